/* data/tokenizer/splittings.h -- the pre-tokenizers that GGUF files name (tokenizer.ggml.pre). */
#ifndef LRK_DATA_TOKENIZER_SPLITTINGS_H
#define LRK_DATA_TOKENIZER_SPLITTINGS_H
#include "data/tokenizer/internal.h"

enum {
    LRK_SPLITTING_NFC = 1,
    LRK_SPLITTING_IGNORE_MERGES = 2,
    LRK_SPLITTING_ADD_BOS = 4 /* where the file does not say */
};

typedef struct lrk_splitting {
    const char *name;
    lrk_split split[LRK_MAX_STAGES];
    size_t n;
    unsigned flags; /* LRK_SPLITTING_... */
} lrk_splitting;

const lrk_splitting *lrk_splitting_find(const char *name); /* NULL: not known */
/* All of them; of those that are alike the first is the one to write. NULL behind the last. */
const lrk_splitting *lrk_splitting_at(size_t i);
void lrk_splitting_names(lrk_buf *out);                    /* "gpt-2, phi-2, ..." */

#endif /* LRK_DATA_TOKENIZER_SPLITTINGS_H */
