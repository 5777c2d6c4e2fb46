/* checkpoint/lookup.h -- names to positions, for the tables of contents of files.
 *
 * A sorted array and binary search: no input makes it slow, as chosen names can make a hash table.
 */
#ifndef LRK_CHECKPOINT_LOOKUP_H
#define LRK_CHECKPOINT_LOOKUP_H
#include "base/arena.h"

typedef struct lrk_lookup_row {
    const char *name;
    size_t at;
} lrk_lookup_row;

typedef struct lrk_lookup {
    lrk_lookup_row *row; /* sorted by the bytes of name */
    size_t n;
} lrk_lookup;

/* Sorts the n rows that the caller filled, in place. Returns a name that occurs twice, or NULL. */
const char *lrk_lookup_sort(lrk_lookup *l);

/* Position of name, or (size_t)-1. */
size_t lrk_lookup_find(const lrk_lookup *l, const char *name);

#endif /* LRK_CHECKPOINT_LOOKUP_H */
