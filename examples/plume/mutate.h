/* plume/mutate.h -- queries one step away from a query: a condition dropped, negated, with another
 * operator or value, and for or, another aggregate, group, threshold, window, order, number.
 *
 * A question is worth asking where its answer tells it from such neighbours.
 */
#ifndef PLUME_MUTATE_H
#define PLUME_MUTATE_H
#include "plume/database.h"
#include "plume/query.h"

enum { PLUME_MUTANTS = 64 };

/* At most PLUME_MUTANTS valid mutants of q, none with its canonical form, in a. Other values come
 * from db. */
lrk_status plume_mutants(const plume_query *q, const plume_database *db, lrk_arena *a,
                         const plume_query *out[PLUME_MUTANTS], size_t *n, lrk_err *err);

#endif /* PLUME_MUTATE_H */
