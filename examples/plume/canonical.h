/* plume/canonical.h -- the one spelling of a query, and the rules that make it valid.
 *
 * Canonical form, repeated until nothing changes, and nothing else is rewritten:
 *   1 no needless parentheses          a and (b and c)              a and b and c
 *   2 not goes inwards                 not (a or b)                 not a and not b
 *   3 not of exists, missing, bool     not ok = true                ok = false
 *   4 one text column                  c = "b" or c = "a"           c in ("a", "b")
 *                                      not c = "a" and not c = "b"  not c in ("a", "b")
 *   5 lists sorted, no repeats         c in ("a")                   c = "a"
 *   6 no repeats in and, or, keep      a and a                      a
 *   7 numbers                          1.50, -0                     1.5, 0
 *   8 largest exact unit               120m, 7d                     2h, 1w
 *   9 byte order of the printed text   operands of and and or, calc, by, keep
 * Idempotent, and the result of the query stays the same. In `not c in ("a")` rule 5 applies to
 * the comparison under the not.
 */
#ifndef PLUME_CANONICAL_H
#define PLUME_CANONICAL_H
#include "plume/query.h"

lrk_status plume_canonical(const plume_query *q, lrk_arena *a, const plume_query **out,
                           lrk_err *err);

/* The canonical text of q appended to b. */
lrk_status plume_canonical_text(const plume_query *q, lrk_buf *b, lrk_err *err);

/* The rules beyond the grammar; the message names the first that is broken ("V3: ...").
 *   V1 columns belong to the table              V2 nothing twice in by or calc
 *   V3 keep and sort aggregates are in calc, a sort column in by
 *   V4 keep and sort need by; take needs sort   V5 real timestamps, from < to
 * Aggregates are compared in canonical form.
 */
lrk_status plume_valid(const plume_query *q, lrk_err *err);
lrk_status plume_valid_canonical(const plume_query *q, lrk_err *err); /* the same of one in canonical form */

#endif /* PLUME_CANONICAL_H */
