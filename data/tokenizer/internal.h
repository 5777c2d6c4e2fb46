/* data/tokenizer/internal.h -- what the files of the tokenizer share.
 *
 * Text runs through: added tokens before the normalizer -> transforms -> added tokens behind it ->
 * steps of the pre-tokenizer -> the model. Loaders fill the first half of struct lrk_tokenizer,
 * lrk_tokenizer_finish derives the second half from it.
 */
#ifndef LRK_DATA_TOKENIZER_INTERNAL_H
#define LRK_DATA_TOKENIZER_INTERNAL_H
#include "data/tokenizer.h"
#include "data/tokenizer/scan.h"
#include "data/tokenizer/table.h"

enum { LRK_MAX_STAGES = 8 };

/* Flags of a token. */
enum {
    LRK_IS_ADDED = 1,
    LRK_IS_SPECIAL = 2,
    LRK_IS_NORMALIZED = 4, /* added: sought behind the normalizer */
    LRK_IS_LSTRIP = 8,
    LRK_IS_RSTRIP = 16,
    LRK_IS_SINGLE_WORD = 32,
    LRK_IS_BYTE = 64, /* "<0x0A>" of byte_fallback */
    LRK_IS_END = 128
};

/* A map from beginnings of text to other text, as SentencePiece compiles its normalizers. */
typedef struct lrk_charsmap {
    const uint32_t *unit; /* a double-array trie */
    size_t n_units;
    const char *text; /* what it maps to, each up to a NUL */
    size_t n_text;
} lrk_charsmap;

/* A step that changes the text. */
typedef struct lrk_transform {
    enum {
        LRK_TRANSFORM_NFC,
        LRK_TRANSFORM_NFD,
        LRK_TRANSFORM_NFKC,
        LRK_TRANSFORM_NFKD,
        LRK_TRANSFORM_LOWERCASE,
        LRK_TRANSFORM_STRIP_ACCENTS, /* leaves marks out */
        LRK_TRANSFORM_STRIP,         /* white space at the ends */
        LRK_TRANSFORM_PREPEND,       /* `to` in front of every text that is not empty */
        LRK_TRANSFORM_PREPEND_ONCE,  /* the same where the text does not begin with it */
        LRK_TRANSFORM_PREPEND_FIRST, /* the same, and only at the beginning of the input */
        LRK_TRANSFORM_REPLACE,       /* every `from` by `to` */
        LRK_TRANSFORM_REPLACE_RUNS,  /* two or more `from` in a row, a character, by one `to` */
        LRK_TRANSFORM_CHARSMAP
    } kind;
    lrk_piece from, to;
    bool left, right; /* STRIP: which ends */
    const lrk_charsmap *map;
} lrk_transform;

/* A step of the pre-tokenizer. */
typedef struct lrk_step {
    bool splits; /* else it transforms */
    lrk_split split;
    lrk_transform transform;
} lrk_step;

/* Added tokens to be sought in text, sorted by bytes. */
typedef struct lrk_added {
    lrk_piece *text; /* as it looks there: normalized, for those behind the normalizer */
    uint32_t *id;
    size_t n;
    bool first[256]; /* bytes that one begins with */
} lrk_added;

struct lrk_tokenizer {
    lrk_arena arena;
    char *pool; /* rest of a block for short strings */
    size_t pool_left;

    /* filled by a loader */
    size_t n;
    size_t n_model;       /* ids from here on are added tokens that the model does not know */
    lrk_piece *text;      /* as the vocabulary spells them, each NUL-terminated; NULL: no token */
    unsigned char *flags; /* LRK_IS_... */
    bool byte_level;      /* text is spelled in the byte alphabet: bytes, not characters, merge */
    bool ignore_merges, byte_fallback, fuse_unk;
    int64_t unk; /* the model's own unknown token, or LRK_NO_ID */
    lrk_merges merges;
    unsigned char merges_sha256[32]; /* from_json: of the merges in their order */
    double *score;                   /* of each token: the model is a Unigram. NULL: it is a BPE */
    lrk_transform before[LRK_MAX_STAGES]; /* the normalizer */
    size_t n_before;
    lrk_step step[LRK_MAX_STAGES]; /* the pre-tokenizer */
    size_t n_steps;
    uint32_t prefix[LRK_MAX_STAGES], suffix[LRK_MAX_STAGES]; /* what add_special adds */
    size_t n_prefix, n_suffix;
    lrk_piece decode_from, decode_to; /* characters that decoding replaces; from.n 0: none */
    bool decode_bytes;                /* "<0x0A>" becomes its byte */
    bool decode_strip;                /* one blank at the beginning of the text goes */
    bool decode_drop;                 /* the first token loses all its decode_from */
    int64_t special[LRK_TOKEN_SPECIALS];
    const char *chat_template;
    char sha256[65];

    /* derived */
    lrk_strings by_text;
    lrk_strings by_bytes;  /* byte_level: what tokens stand for, for whole pieces */
    lrk_piece *bytes;      /* what a token stands for in a text */
    int32_t start[256];    /* id of the byte, byte_level; of the ASCII character otherwise; -1 */
    int32_t fallback[256]; /* id of "<0xNN>"; -1 */
    _Atomic unsigned char *whole; /* per token: does its own text give it alone? 0 unknown yet */
    lrk_added raw, normalized;
    lrk_cuts cuts;        /* BPE without byte_level: where a piece may be cut */
    lrk_trie trie;        /* Unigram: all tokens */
    double unknown_score; /* Unigram: of a character without token */
    uint32_t *ends;
    const char **end_texts, **special_texts;
    size_t n_ends, n_specials;
    lrk_classes classes;
};

enum { LRK_WHOLE_YES = 1, LRK_WHOLE_NO };

/* Text in the middle of the way: bytes, and where each came from. */
typedef struct lrk_mapped {
    const char *s;
    size_t n;
    const size_t *from; /* offset in the input of every byte, and of the end; NULL: begin + i */
    size_t begin;       /* offset in the input of s[0] */
} lrk_mapped;

static inline size_t lrk_origin(const lrk_mapped *m, size_t i)
{
    return m->from ? m->from[i] : m->begin + i;
}

static inline lrk_mapped lrk_mapped_part(const lrk_mapped *m, size_t begin, size_t end)
{
    return (lrk_mapped){.s = m->s + begin,
                        .n = end - begin,
                        .from = m->from ? m->from + begin : NULL,
                        .begin = m->begin + begin};
}

/* Memory of one encoding, reused by all its parts. Zero-initialize; release with lrk_work_free. */
typedef struct lrk_symbol {
    uint32_t id, prev, next, begin; /* id UINT32_MAX: merged into its left neighbour */
} lrk_symbol;

typedef struct lrk_candidate {
    uint64_t order; /* rank << 32 | index of the left symbol: lowest rank first, then leftmost */
    uint32_t id;
} lrk_candidate;

typedef struct lrk_changed {
    lrk_buf text;
    size_t *from;
    size_t capacity;
} lrk_changed;

/* The best way to the end of a character, Unigram. */
typedef struct lrk_best {
    double score;
    uint32_t id, begin; /* of its last token; begin UINT32_MAX: there is no way yet */
} lrk_best;

typedef struct lrk_work {
    lrk_symbol *symbol;
    lrk_candidate *heap;
    lrk_best *best;
    size_t n_symbols, n_heap, n_best; /* capacities */
    lrk_changed changed[2];           /* of the normalizer: source and target in turn */
    lrk_changed step[LRK_MAX_STAGES]; /* of the steps that transform */
    lrk_buf spelled[LRK_MAX_STAGES];  /* of the steps behind ByteLevel */
} lrk_work;

void lrk_work_free(lrk_work *w);
/* Room for n elements in *pointer, a pointer to a lrk_heap_grow'n array. */
lrk_status lrk_work_room(void *pointer, size_t *capacity, size_t n, size_t size, lrk_err *err);

/* transform.c: runs a list of transforms over *m, which then points into c[0] or c[1], or where it
 * did when nothing changed. One transform needs c[0] only. */
lrk_status lrk_transform_run(const lrk_transform *list, size_t n, lrk_mapped *m, lrk_changed *c,
                             lrk_err *err);
/* Pieces of a changed text: `made` in place of what began at m->s[i]; m->s[begin .. end) as it is.
 */
lrk_status lrk_changed_put(lrk_changed *c, const lrk_mapped *m, size_t i, lrk_piece made,
                           lrk_err *err);
lrk_status lrk_changed_keep(lrk_changed *c, const lrk_mapped *m, size_t begin, size_t end,
                            lrk_err *err);

/* unicode.c: the transforms that need tables of Unicode; *changed: c holds the new text. */
lrk_status lrk_normalize(lrk_changed *c, const lrk_mapped *m, const lrk_transform *f, bool *changed,
                         lrk_err *err);
lrk_status lrk_change_case(lrk_changed *c, const lrk_mapped *m, const lrk_transform *f,
                           bool *changed, lrk_err *err);

/* charsmap.c: n bytes as they stand in a file, copied and checked. */
lrk_status lrk_charsmap_make(lrk_charsmap **out, lrk_arena *a, const char *bytes, size_t n,
                             lrk_err *err);
lrk_status lrk_charsmap_run(lrk_changed *c, const lrk_mapped *m, const lrk_charsmap *map,
                            bool *changed, lrk_err *err);

/* added.c: collects the added tokens whose NORMALIZED flag is as asked. */
lrk_status lrk_added_make(lrk_added *set, lrk_tokenizer *t, bool normalized, lrk_err *err);
/* One added token after the other in the n bytes s. Zero-initialize; false: there is none any more,
 * and the text from `gap` to n is what is left. */
typedef struct lrk_found {
    size_t gap;        /* text from here to begin lies before the token; none where gap >= begin */
    size_t begin, end; /* the token and the blanks it swallows */
    uint32_t id;
    size_t resume; /* where the search goes on: a token that swallows blanks may hide others */
} lrk_found;
bool lrk_added_next(const lrk_added *set, const lrk_tokenizer *t, const char *s, size_t n,
                    lrk_found *f);

/* bpe.c: appends the ids of the piece m->s[begin .. end). */
lrk_status lrk_bpe(const lrk_tokenizer *t, const lrk_mapped *m, size_t begin, size_t end,
                   lrk_work *w, lrk_ids *out, lrk_err *err);
/* scores.c: fills t->merges, when all texts are set and indexed; by_id: as older converters did. */
lrk_status lrk_merges_from_scores(lrk_tokenizer *t, const float *score, bool by_id, lrk_err *err);

/* unigram.c: as lrk_bpe. */
lrk_status lrk_unigram(const lrk_tokenizer *t, const lrk_mapped *m, size_t begin, size_t end,
                       lrk_work *w, lrk_ids *out, lrk_err *err);
lrk_status lrk_ids_add(lrk_ids *ids, uint32_t id, size_t begin, lrk_err *err);

/* bytes.c: the byte alphabet of byte-level BPE. */
uint32_t lrk_alphabet_point(unsigned char byte);
int lrk_alphabet_byte(uint32_t point); /* -1: not of the alphabet */
/* The bytes that s spells, into out, which has room for n; false where s has other characters. */
bool lrk_alphabet_decode(const char *s, size_t n, char *out, size_t *n_out);
int lrk_byte_token(const char *s, size_t n); /* of "<0x0A>" its byte, else -1 */
/* Appends s with U+FFFD for what is no UTF-8: one for each maximal beginning of a character, or one
 * for each byte of all of it (`each`). */
void lrk_append_lossy(lrk_buf *out, const char *s, size_t n, bool each);
/* Bytes at the end of s that begin a character and want more: 0 to 3. */
size_t lrk_unfinished(const char *s, size_t n);

/* finish.c */
lrk_status lrk_tokenizer_new(lrk_tokenizer **out, size_t n_tokens, lrk_err *err);
/* n bytes copied, NUL-terminated, side by side with others. */
lrk_status lrk_tokenizer_copy(lrk_tokenizer *t, const char *s, size_t n, lrk_piece *out,
                              lrk_err *err);
/* The text of token id; refuses texts that are empty, too long or no UTF-8, and a second one. `key`
 * names the place in messages. */
lrk_status lrk_tokenizer_set(lrk_tokenizer *t, size_t id, const char *s, size_t n, const char *key,
                             lrk_err *err);
/* When texts are set: no two are the same. From here lrk_token_id works; texts set later are added
 * to by_text by hand. */
lrk_status lrk_tokenizer_index(lrk_tokenizer *t, lrk_err *err);
/* When all texts and the flags of added tokens are set: an id without text is an error, unless all
 * above it are added tokens: some vocabularies keep theirs apart. */
lrk_status lrk_tokenizer_complete(const lrk_tokenizer *t, lrk_err *err);
/* One more step of the pre-tokenizer; compiles its pattern. */
lrk_status lrk_tokenizer_step(lrk_tokenizer *t, lrk_step step, const char *key, lrk_err *err);
/* The merges from number `rank` on, n of them, each two of `part`; after lrk_merges_make, with
 * LRK_MERGE_MANY at once at most. */
enum { LRK_MERGE_MANY = LRK_FIND_MANY / 2 };
lrk_status lrk_tokenizer_merges(lrk_tokenizer *t, size_t rank, const lrk_piece *part, size_t n,
                                const char *key, lrk_err *err);
/* Derives what encoding and decoding need. */
lrk_status lrk_tokenizer_finish(lrk_tokenizer *t, lrk_err *err);

#endif /* LRK_DATA_TOKENIZER_INTERNAL_H */
