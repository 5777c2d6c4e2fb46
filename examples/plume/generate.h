/* plume/generate.h -- rows of question and query, from a seed.
 *
 * A row's split is decided by the hash of its canonical query, so train, val and test-iid share no
 * query whatever their seeds, and no question, because equal questions have equal queries. Rows
 * come one after the other: the first 1,000 of 3,000 are what 1,000 would have been. A row is kept
 * when its gold query finds rows on 3 of the 5 databases and differs in result from 90 % of its
 * one-step mutants.
 */
#ifndef PLUME_GENERATE_H
#define PLUME_GENERATE_H
#include "base/arena.h"

#include <stdint.h>

typedef enum plume_split {
    PLUME_TRAIN,
    PLUME_VAL,
    PLUME_TEST_IID,
    PLUME_TEST_COMP, /* the feature pairs that the others lack */
    PLUME_SPLITS
} plume_split;

const char *plume_split_text(plume_split s);
bool plume_split_find(const char *name, plume_split *s);

/* Called with each row, one line of JSON without newline. */
typedef lrk_status (*plume_row)(void *ctx, const char *line, size_t n, lrk_err *err);

lrk_status plume_generate(plume_split split, size_t rows, uint64_t seed, plume_row f, void *ctx,
                          lrk_err *err);

#endif /* PLUME_GENERATE_H */
