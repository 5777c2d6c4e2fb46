/* data/tokens.h -- a split of a data set as token ids and loss masks, cached beside the file.
 *
 * The cache is "<data set>.tokens-<8 digits>.h5", in its folder, or where that cannot be written in the
 * user's cache directory (data/cache.h). It may be deleted. Its key is a SHA-256
 * over everything that decides its content: the bytes of the data set, the split, tokenizer,
 * template, masking, sequence_len, what happens to long rows, and the version of this format. A
 * cache with another key is never used, a damaged one neither; both are written anew. The data set
 * itself is never changed.
 *
 *   /tokens   attributes lrk.key, lrk.vocab_size and the counts of lrk_token_report
 *     ids u32[T], mask u8[T] (1: this token is a target), offsets u64[E + 1], row u64[E],
 *     hash u64[E] (of the row's text)
 *
 * A row is rendered, tokenized as a whole, and a token is a target when one of its bytes lies in a
 * trained range (data/chat.h says which bytes), but for the first token of a row, which nothing
 * predicts. Rows are worked on in blocks, many threads at once, and written in order: the file does
 * not depend on the number of threads, memory not on the rows.
 *
 * Refused, with every row counted and the first ones listed: rows longer than sequence_len (unless
 * they are dropped or cut), rows without a trained token.
 */
#ifndef LRK_DATA_TOKENS_H
#define LRK_DATA_TOKENS_H
#include "data/chat.h"
#include "data/dataset.h"
#include "data/tokenizer.h"

/* What happens to rows longer than sequence_len. */
typedef enum lrk_long_rows { LRK_LONG_RAISE, LRK_LONG_DROP, LRK_LONG_TRUNCATE } lrk_long_rows;

typedef struct lrk_token_options {
    lrk_chat_options chat;
    size_t sequence_len; /* 0: no limit */
    lrk_long_rows long_rows;
    const char *cache_dir; /* NULL: beside the data set */
    const char *name;      /* of the data set in messages about its rows, as somebody gave it; NULL: its path */
} lrk_token_options;

typedef struct lrk_token_report {
    uint64_t rows, kept;    /* in the split, in the result */
    uint64_t dropped, cut;  /* because of sequence_len */
    uint64_t cut_tokens;    /* tokens that were dropped or cut off */
    uint64_t tokens, trained;
    uint64_t longest;       /* tokens of the longest row before any cut */
    uint64_t across;        /* kept rows with a token across (lrk_row_tokens) */
    bool cached;            /* nothing had to be tokenized */
} lrk_token_report;

/* The ids of one row, before sequence_len has its say. */
typedef struct lrk_row_tokens {
    lrk_chat_text text; /* the rendered row */
    lrk_ids ids;
    uint8_t *mask; /* one a token */
    size_t capacity, trained;
    bool across; /* a target begins before the trained text, as where "Answer: " and "yes" share the token " yes": who
                    asks with the prompt alone asks with a token that was never trained */
} lrk_row_tokens;

/* What is said of rows with a token across. */
#define LRK_ACROSS_WAY \
    "who asks with the prompt asks otherwise than was trained: end prompts without white space, and begin answers with it"

/* Renders and tokenizes a row; `out` is zero-initialized once and reused. Thread-safe. */
lrk_status lrk_row_tokenize(const lrk_record *r, const lrk_tokenizer *t, const lrk_chat_options *o,
                            lrk_row_tokens *out, lrk_err *err);
void lrk_row_tokens_free(lrk_row_tokens *r);

/* Whether the file is a cache, of whatever data and version; nothing else of it is read. */
bool lrk_is_token_cache(const char *path);

typedef struct lrk_tokens lrk_tokens;

/* split NULL: all rows. LRK_EINPUT where rows are refused or there is no such split. */
lrk_status lrk_tokens_open(lrk_tokens **out, const char *path, const char *split,
                           const lrk_tokenizer *t, const lrk_token_options *o, lrk_err *err);
void lrk_tokens_close(lrk_tokens *t); /* NULL is fine */

const lrk_token_report *lrk_tokens_report(const lrk_tokens *t);
const char *lrk_tokens_key(const lrk_tokens *t);  /* 64 hex digits */
const char *lrk_tokens_path(const lrk_tokens *t); /* of the cache */

size_t lrk_tokens_count(const lrk_tokens *t); /* examples: rows that were kept */
uint64_t lrk_tokens_row(const lrk_tokens *t, size_t example);
uint64_t lrk_tokens_hash(const lrk_tokens *t, size_t example); /* of the row's text */
size_t lrk_tokens_length(const lrk_tokens *t, size_t example);
size_t lrk_tokens_trained(const lrk_tokens *t, size_t example); /* targets; at least 1 */
/* length ids and mask bytes; ids are below the vocabulary size. */
lrk_status lrk_tokens_read(lrk_tokens *t, size_t example, uint32_t *ids, uint8_t *mask,
                           lrk_err *err);

#endif /* LRK_DATA_TOKENS_H */
