/* base/row_list.h -- some rows of a matrix, by number: the tokens of a vocabulary that are trained. */
#ifndef LRK_BASE_ROW_LIST_H
#define LRK_BASE_ROW_LIST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lrk_row_list {
    const int32_t *id; /* ascending, none twice; not owned */
    size_t n;          /* 0: no list */
} lrk_row_list;

/* The place of a row in such a list, or n where it is not there. */
static inline size_t lrk_row_place(const int32_t *id, size_t n, int32_t row)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (id[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && id[low] == row ? low : n;
}

static inline bool lrk_row_lists_equal(lrk_row_list a, lrk_row_list b)
{
    bool equal = a.n == b.n;
    for (size_t i = 0; equal && i < a.n; i++) equal = a.id[i] == b.id[i];
    return equal;
}

#endif /* LRK_BASE_ROW_LIST_H */
