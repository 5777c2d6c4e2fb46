/* checkpoint/gguf_keys.h -- the rows of gguf_keys.def, for both directions. Inside checkpoint/ only. */
#ifndef LRK_CHECKPOINT_GGUF_KEYS_H
#define LRK_CHECKPOINT_GGUF_KEYS_H
#include "checkpoint/names.h"

/* A number under its key of config.json and its key of GGUF, below the architecture. */
typedef struct lrk_size_key {
    unsigned groups;
    bool needed;
    const char *hf, *gguf;
} lrk_size_key;

typedef struct lrk_real_key {
    unsigned groups;
    const char *hf, *gguf;
    double otherwise; /* what holds where the key is absent; 0: nothing */
} lrk_real_key;

/* The row after k of those that a has, the first one after NULL; NULL behind the last. */
const lrk_size_key *lrk_size_key_next(const lrk_arch *a, const lrk_size_key *k);
const lrk_real_key *lrk_real_key_next(const lrk_arch *a, const lrk_real_key *k);

#endif /* LRK_CHECKPOINT_GGUF_KEYS_H */
