/* data/tokenizer.h -- text to token ids and back, as the reference does it.
 *
 * Reference: Hugging Face `tokenizers`. The ids are equal to the reference's, or the tokenizer is
 * refused with the name of what is not known (LRK_ESUPPORT). Known:
 *   added tokens     leftmost-longest, before or after the normalizer; lstrip, rstrip, single_word
 *   normalizers      NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace of a
 *                    string or of " {2,}", Precompiled, Sequence of these, none
 *   pre-tokenizers   ByteLevel, Digits, Punctuation, Whitespace, WhitespaceSplit, Metaspace,
 *                    CharDelimiterSplit, Split at a string or by a pattern of
 *                    data/tokenizer/patterns.c, each behavior, Sequence of these, none
 *   models           BPE with ignore_merges, byte_fallback, unk_token, fuse_unk; Unigram with
 *                    byte_fallback
 *   post-processors  TemplateProcessing, RobertaProcessing, BertProcessing, ByteLevel, Sequence of
 *                    these, none
 *   decoders         ByteLevel; Replace, ByteFallback, Fuse, Strip; ByteFallback, Metaspace
 * and from GGUF byte-level BPE by the names of data/tokenizer/splittings.c, SentencePiece's BPE
 * ("llama") and Unigram ("t5").
 *
 * Patterns are recognised by their text: no other regular expression of a file is ever run. Work
 * grows with n log n whatever the text, but for a Unigram's, which grows with n times the longest
 * token.
 *
 * A tokenizer is never written to once it is there: any number of threads may use one.
 */
#ifndef LRK_DATA_TOKENIZER_H
#define LRK_DATA_TOKENIZER_H
#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lrk_tokenizer lrk_tokenizer;

enum {
    LRK_NO_ID = -1,
    LRK_MAX_VOCAB = 1 << 20,
    LRK_MAX_MERGES = 1 << 21,
    LRK_MAX_TOKEN_BYTES = 4096
};

/* ---- loading ---- */

/* A tokenizer.json (128 MiB at most). tokenizer_config.json beside it, where there is one, gives
 * names of bos, eos, pad and unk, add_bos_token, add_eos_token and the chat template; a
 * chat_template.jinja beside it goes before that. Names file and key in messages. Refused: gaps
 * among ids with others than added tokens above them, duplicates, merges of absent tokens, added
 * tokens whose id is not the one they would get, special ids outside the vocabulary. */
lrk_status lrk_tokenizer_from_json(lrk_tokenizer **out, const char *path, lrk_err *err);
/* The same for the text of a tokenizer.json, with nothing beside it; `where` names it in messages.
 */
lrk_status lrk_tokenizer_parse(lrk_tokenizer **out, const char *text, size_t n, const char *where,
                               lrk_err *err);

/* The same with the text of a tokenizer_config.json beside it. */
lrk_status lrk_tokenizer_parse_with(lrk_tokenizer **out, const char *text, size_t n, const char *config,
                                    size_t n_config, const char *where, lrk_err *err);

typedef struct lrk_piece {
    const char *data;
    size_t n;
} lrk_piece;

/* What GGUF metadata hold under tokenizer.ggml; filled by whoever reads GGUF, copied by
 * lrk_tokenizer_from_vocab. Absent ids are LRK_NO_ID, absent flags -1, absent strings NULL. */
typedef struct lrk_vocab {
    const char *where; /* names the file in messages */
    const char *model; /* "gpt2": byte-level BPE; "llama": BPE of SentencePiece, by scores;
                          "gemma4": the same with merges; "t5": Unigram */
    const char *pre;   /* gpt2: which splitting: "smollm", "llama-bpe", "qwen2", ... */
    const lrk_piece *tokens;
    const int32_t *types; /* one a token: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused,
                             6 byte; NULL: all normal */
    size_t n_tokens;
    const float *scores;     /* one a token: llama, t5 */
    const lrk_piece *merges; /* "left right", best first: gpt2, gemma4 */
    size_t n_merges;
    lrk_piece charsmap; /* precompiled_charsmap, t5; data NULL: none */
    int64_t bos, eos, eot, eom, unk, pad;
    int add_bos, add_eos;
    int add_space_prefix;         /* llama, t5: -1 is yes */
    bool prefix_first;            /* llama: the blank stands in front of the first text alone, not
                                     of what follows an added token, unless one is there */
    bool merges_by_id;            /* llama: merges of one token are in the order of ids, not with
                                     the longest left part first (data/tokenizer/scores.c) */
    int remove_extra_whitespaces; /* t5: must be yes */
    bool blanks_behind; /* llama: added tokens but <unk>, <s>, <|endoftext|> swallow them (Phi-3) */
    const char *chat_template;
} lrk_vocab;

lrk_status lrk_tokenizer_from_vocab(lrk_tokenizer **out, const lrk_vocab *v, lrk_err *err);

/* ---- writing ---- */

/* What lrk_tokenizer_from_vocab makes a tokenizer of the same ids of, but for flags of added tokens
 * that swallow blanks. rows: of the embedding; those without a token get one of their own, unused.
 * Strings belong to t and to a. LRK_ESUPPORT with what GGUF has no place for. */
lrk_status lrk_tokenizer_to_vocab(const lrk_tokenizer *t, size_t rows, lrk_arena *a, lrk_vocab *v,
                                  lrk_err *err);
/* Text of a tokenizer.json of the same ids, appended; LRK_ESUPPORT for what it cannot describe. */
lrk_status lrk_tokenizer_to_json(const lrk_tokenizer *t, lrk_buf *out, lrk_err *err);
/* How many added tokens have flags that GGUF does not hold. */
size_t lrk_tokenizer_swallowing(const lrk_tokenizer *t);

/* ---- more tokens ---- */

/* One that add_tokens or add_special_tokens of the reference is asked for, or another text for an added one. */
typedef struct lrk_new_token {
    const char *text;
    int64_t id;               /* of the one that gets this text; LRK_NO_ID: what has it, else the next. Set to it */
    bool special, normalized; /* where it is none of the added ones yet; those keep theirs */
    bool fresh;               /* set: nothing had this text before */
} lrk_new_token;

/* The text of a tokenizer.json, which t was made of, appended with these tokens among added_tokens and all else byte
 * for byte. LRK_EUSAGE for texts and ids that cannot be. */
lrk_status lrk_tokenizer_grow(const lrk_tokenizer *t, const char *json, size_t n, lrk_new_token *list, size_t n_list,
                              lrk_buf *out, lrk_err *err);

void lrk_tokenizer_free(lrk_tokenizer *t); /* NULL is fine */

/* ---- text to ids ---- */

/* Zero-initialize; the arrays are kept and reused from call to call. */
typedef struct lrk_ids {
    uint32_t *id;
    size_t *begin; /* byte offset in the text where token i begins; ascending but for tokens that
                      a normalizer moved. A token that post-processing added has the offset of its
                      place: 0 in front, the length of the text behind */
    size_t n, capacity;
} lrk_ids;

void lrk_ids_free(lrk_ids *ids);

/* Replaces what `out` held. The text is UTF-8 without NUL (else LRK_EINPUT with the offset).
 * Texts of special tokens in it become those tokens. add_special: also the tokens of the
 * post-processor (bos, eos); leave it off for text from a chat template, which writes its own. */
lrk_status lrk_encode(const lrk_tokenizer *t, const char *text, size_t n, bool add_special,
                      lrk_ids *out, lrk_err *err);

/* ---- ids to text ---- */

/* Appends to `out`, always UTF-8: bytes that are none become U+FFFD as the reference makes them.
 * skip_special leaves out the tokens marked special. An id outside the vocabulary: LRK_EVALUE. */
lrk_status lrk_decode(const lrk_tokenizer *t, const uint32_t *ids, size_t n, bool skip_special,
                      lrk_buf *out, lrk_err *err);

/* Token by token, for streams: appends what is complete, holds back the beginning of a character.
 * Zero-initialize for a new text. Equals lrk_decode wherever the bytes of the text are UTF-8. */
typedef struct lrk_stream {
    unsigned char held[4];
    unsigned n_held;
    bool begun;
} lrk_stream;

lrk_status lrk_stream_push(const lrk_tokenizer *t, lrk_stream *s, uint32_t id, bool skip_special,
                           lrk_buf *out, lrk_err *err);
void lrk_stream_end(lrk_stream *s, lrk_buf *out); /* what is held back becomes U+FFFD */

/* ---- what a tokenizer knows ---- */

size_t lrk_tokenizer_size(const lrk_tokenizer *t); /* ids are 0 .. size - 1 */
/* As the vocabulary spells it ("Ġthe", "<|im_end|>"); NUL-terminated, of *n bytes (n may be NULL);
 * NULL where id is outside, or in a gap. */
const char *lrk_token_text(const lrk_tokenizer *t, uint32_t id, size_t *n);
int64_t lrk_token_id(const lrk_tokenizer *t, const char *text, size_t n); /* LRK_NO_ID: none */
bool lrk_token_is_special(const lrk_tokenizer *t, uint32_t id); /* skipped by skip_special */
bool lrk_token_is_added(const lrk_tokenizer *t, uint32_t id);   /* found as a whole in text */
/* The bytes that the token stands for, appended; parts of characters stay as they are. */
lrk_status lrk_token_bytes(const lrk_tokenizer *t, uint32_t id, lrk_buf *out, lrk_err *err);

typedef enum lrk_special {
    LRK_TOKEN_BOS,
    LRK_TOKEN_EOS,
    LRK_TOKEN_EOT,
    LRK_TOKEN_EOM,
    LRK_TOKEN_PAD,
    LRK_TOKEN_UNK,
    LRK_TOKEN_SPECIALS
} lrk_special;

const char *lrk_special_name(lrk_special s); /* "bos_token", ...: the template's variable */
int64_t lrk_tokenizer_special(const lrk_tokenizer *t, lrk_special s); /* LRK_NO_ID: none */

/* Ids that end a generation: eos, eot, eom and the tokens known by their text (<|im_end|>,
 * <|eot_id|>, <|endoftext|>, </s>, ...), ascending; lives as long as t. */
const uint32_t *lrk_tokenizer_ends(const lrk_tokenizer *t, size_t *n);
bool lrk_token_is_end(const lrk_tokenizer *t, uint32_t id);
/* The texts of these ids, for lrk_render_options.end_tokens. */
const char *const *lrk_tokenizer_end_texts(const lrk_tokenizer *t, size_t *n);
/* The texts of all special tokens, longest first. */
const char *const *lrk_tokenizer_special_texts(const lrk_tokenizer *t, size_t *n);

bool lrk_tokenizer_adds_bos(const lrk_tokenizer *t); /* add_special puts bos in front */
bool lrk_tokenizer_adds_eos(const lrk_tokenizer *t);
const char *lrk_tokenizer_chat_template(const lrk_tokenizer *t); /* NULL: none */
/* 64 hex digits over everything that decides about ids: two tokenizers with equal ones give equal
 * ids. Texts of templates play no part. */
const char *lrk_tokenizer_sha256(const lrk_tokenizer *t);

#endif /* LRK_DATA_TOKENIZER_H */
