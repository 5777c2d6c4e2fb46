/* plume/features.h -- what a row is about: tags, level, and which pairs of features training lacks.
 */
#ifndef PLUME_FEATURES_H
#define PLUME_FEATURES_H
#include "plume/query.h"

/* House rules are bits: bit i stands for Hi. */
typedef struct plume_features {
    bool fn[PLUME_FNS];
    bool multi, in, or_, not_, contains, starts, exists, range, keep, asc, desc, take, edit;
    size_t aggs, filters, by;
    unsigned rules;
} plume_features;

/* q is canonical. */
plume_features plume_features_of(const plume_query *q, unsigned rules, bool edit);

/* The highest that fits: 5 edit, or 4 with two of H2 to H10; 4 or, not, keep, rate, two aggregates;
 * 3 sort, or one of H2 to H10; 2 by, or two comparisons; 1 the rest. */
int plume_level(const plume_features *f);

/* Pairs that only test-comp has: rate+keep, not+or, p99 with two by, uniq+asc, in+exists,
 * range+take, starts+multi. Lengths that only test-length has: four filters, three aggregates. */
bool plume_held_out(const plume_features *f);

/* "count", "by:1", "H2", ... as a JSON array. */
void plume_tags(const plume_features *f, lrk_buf *b);

#endif /* PLUME_FEATURES_H */
