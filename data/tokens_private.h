/* data/tokens_private.h -- what tokens.c (rows, reading) and tokens_write.c (tokenizing) share. */
#ifndef LRK_DATA_TOKENS_PRIVATE_H
#define LRK_DATA_TOKENS_PRIVATE_H
#include "data/tokens.h"

/* Raised whenever ids or masks of equal input could change: older caches are then not used. */
enum { LRK_TOKENS_VERSION = 1 };
#define LRK_TOKENS_FORMAT "lorikeet-tokens"

typedef struct lrk_token_job {
    lrk_dataset *data;
    int split; /* -1: all rows */
    const lrk_tokenizer *tokenizer;
    const lrk_token_options *o;
    const char *path, *key;
} lrk_token_job;

/* Tokenizes the split into a cache file at job->path. */
lrk_status lrk_tokens_write(const lrk_token_job *job, lrk_err *err);

#endif /* LRK_DATA_TOKENS_PRIVATE_H */
