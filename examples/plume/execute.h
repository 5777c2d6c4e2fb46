/* plume/execute.h -- what a query means: its result on a database, and when two results are equal.
 *
 * A comparison with a missing value is false, even != and !~; `not` plainly negates. Texts compare
 * by bytes. `last N` is now-N <= t < now, `from a to b` is a <= t < b. One group per tuple of the
 * by values, where missing is a value; without by exactly one group, even of no rows. Aggregates
 * skip missing values; of none, sum avg min max pNN are missing. pNN is the ceil(NN/100 * n)-th
 * smallest, rate(c) is rows passing / rows, missing for no rows. keep drops groups that fail or
 * miss the aggregate. sort: numbers by value, texts by bytes, false before true, missing last both
 * ways, ties by the by columns in name order, ascending. Without sort the order is that of the
 * first row of each group.
 */
#ifndef PLUME_EXECUTE_H
#define PLUME_EXECUTE_H
#include "plume/database.h"
#include "plume/query.h"

/* Columns: by first, then calc, each as written. Cells row by row; texts belong to the database. */
typedef struct plume_result {
    size_t rows, columns;
    plume_cell *cell;
    size_t matched; /* rows of the table that passed window and where */
} plume_result;

/* q must be valid (canonical.h). The result lives in a. */
lrk_status plume_execute(const plume_query *q, const plume_database *d, lrk_arena *a,
                         plume_result *out, lrk_err *err);

/* The same multiset of rows under some permutation of the columns, in the same order if ordered;
 * numbers within 1e-9 relative, absolute below 1. */
bool plume_result_equal(const plume_result *a, const plume_result *b, bool ordered);

/* Equal results on all n databases; ordered when gold sorts. */
lrk_status plume_same_meaning(const plume_query *gold, const plume_query *other,
                              const plume_database *d, size_t n, bool *same, lrk_err *err);

#endif /* PLUME_EXECUTE_H */
