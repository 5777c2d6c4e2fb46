/* data/tokenizer/internal.h -- what the files of the tokenizer share.
 *
 * Text runs through: added tokens before the normalizer -> transforms -> added tokens behind it ->
 * splits -> bpe. Loaders fill the first half of struct lrk_tokenizer, lrk_tokenizer_finish derives
 * the second half from it.
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

/* A step that changes the text before it is split. */
typedef struct lrk_transform {
    enum {
        LRK_TRANSFORM_NFC,
        LRK_TRANSFORM_PREPEND,       /* `to` in front of every text that is not empty */
        LRK_TRANSFORM_PREPEND_ONCE,  /* the same where the text does not begin with it */
        LRK_TRANSFORM_PREPEND_FIRST, /* the same, and only at the beginning of the input */
        LRK_TRANSFORM_REPLACE        /* every `from` by `to` */
    } kind;
    lrk_piece from, to;
} lrk_transform;

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
    lrk_piece *text;      /* as the vocabulary spells them, each NUL-terminated */
    unsigned char *flags; /* LRK_IS_... */
    bool byte_level;      /* text is spelled in the byte alphabet: bytes, not characters, merge */
    bool ignore_merges, byte_fallback, fuse_unk;
    int64_t unk; /* the model's own unknown token, or LRK_NO_ID */
    lrk_merges merges;
    lrk_transform before[LRK_MAX_STAGES]; /* the normalizer */
    size_t n_before;
    lrk_transform after[LRK_MAX_STAGES]; /* what pre-tokenizers do to the text before they split */
    size_t n_after;
    const lrk_pattern *split[LRK_MAX_STAGES];
    size_t n_splits;
    uint32_t prefix[LRK_MAX_STAGES], suffix[LRK_MAX_STAGES]; /* what add_special adds */
    size_t n_prefix, n_suffix;
    lrk_piece decode_from, decode_to; /* characters that decoding replaces; from.n 0: none */
    bool decode_bytes;                /* "<0x0A>" becomes its byte */
    bool decode_strip;                /* one blank at the beginning of the text goes */
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

typedef struct lrk_work {
    lrk_symbol *symbol;
    lrk_candidate *heap;
    size_t n_symbols, n_heap; /* capacities */
    lrk_changed changed[4];   /* two a list of transforms: source and target in turn */
} lrk_work;

void lrk_work_free(lrk_work *w);

/* transform.c: runs a list of transforms over *m, which then points into c[0] or c[1], or where it
 * did when nothing changed. */
lrk_status lrk_transform_run(const lrk_transform *list, size_t n, lrk_mapped *m, lrk_changed c[2],
                             lrk_err *err);

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
/* When all texts are set: every id has one, no two are the same. From here lrk_token_id works. */
lrk_status lrk_tokenizer_index(lrk_tokenizer *t, lrk_err *err);
/* Merge number `rank`; after lrk_merges_make. */
lrk_status lrk_tokenizer_merge(lrk_tokenizer *t, size_t rank, lrk_piece left, lrk_piece right,
                               const char *key, lrk_err *err);
/* Derives what encoding and decoding need. */
lrk_status lrk_tokenizer_finish(lrk_tokenizer *t, lrk_err *err);

#endif /* LRK_DATA_TOKENIZER_INTERNAL_H */
