/* data/tokenizer/table.h -- open-addressing hash tables of fixed size: strings to ids, pairs of ids
 * to merges.
 *
 * Strings stay where they are: the table holds indices into an array of pieces. Tables are made for
 * a known number of entries and live in an arena. A file built to collide is refused after
 * LRK_MAX_PROBES steps.
 */
#ifndef LRK_DATA_TOKENIZER_TABLE_H
#define LRK_DATA_TOKENIZER_TABLE_H
#include "data/tokenizer.h"

enum { LRK_MAX_PROBES = 1000 };

typedef struct lrk_strings {
    const lrk_piece *piece; /* what ids point into */
    uint64_t *slot;         /* upper half of the hash << 32 | id + 1; 0: empty */
    size_t mask;
} lrk_strings;

lrk_status lrk_strings_make(lrk_strings *t, lrk_arena *a, size_t n, const lrk_piece *piece,
                            lrk_err *err);
/* *found: the id that holds this string already, or id itself when it was added. */
lrk_status lrk_strings_add(lrk_strings *t, uint32_t id, uint32_t *found, lrk_err *err);
int64_t lrk_strings_find(const lrk_strings *t, const char *s, size_t n); /* LRK_NO_ID: absent */

typedef struct lrk_merge {
    uint32_t left, right;
    uint32_t rank; /* lower goes first */
    uint32_t id;   /* of the two together; UINT32_MAX: empty slot */
} lrk_merge;

typedef struct lrk_merges {
    lrk_merge *slot;
    size_t mask;
} lrk_merges;

lrk_status lrk_merges_make(lrk_merges *t, lrk_arena *a, size_t n, lrk_err *err);
/* A pair that is there already gets the new rank, as the reference does. */
lrk_status lrk_merges_add(lrk_merges *t, lrk_merge m, lrk_err *err);

static inline uint64_t lrk_mix(uint64_t h)
{
    h *= 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

/* NULL: the pair does not merge. */
static inline const lrk_merge *lrk_merges_find(const lrk_merges *t, uint32_t left, uint32_t right)
{
    size_t i = (size_t)lrk_mix((uint64_t)left << 32 | right) & t->mask;
    for (;; i = (i + 1) & t->mask) {
        const lrk_merge *m = &t->slot[i];
        if (m->id == UINT32_MAX) return NULL;
        if (m->left == left && m->right == right) return m;
    }
}

#endif /* LRK_DATA_TOKENIZER_TABLE_H */
