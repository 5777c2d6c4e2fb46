/* plume/check.h -- judges one predicted query against the gold one.
 *
 * A prediction is trimmed of blanks first. Classes, exclusive, the first that fits:
 *   empty      nothing there
 *   prose      does not begin with a table name
 *   truncated  the beginning of a query
 *   parse      the grammar does not accept it
 *   semantic   V1 to V5
 *   wrong      valid, another canonical form than gold
 *   ok         the canonical form of gold
 */
#ifndef PLUME_CHECK_H
#define PLUME_CHECK_H
#include "plume/database.h"

typedef enum plume_class {
    PLUME_OK,
    PLUME_EMPTY,
    PLUME_PROSE,
    PLUME_TRUNCATED,
    PLUME_UNPARSED,
    PLUME_INVALID,
    PLUME_WRONG
} plume_class;

typedef struct plume_verdict {
    plume_class class;
    bool parse, valid, equal; /* equal: canonical match */
    bool same;                /* equal, or valid with gold's results on all databases */
    char note[400];           /* why not ok; empty when ok */
} plume_verdict;

const char *plume_class_text(plume_class c);

/* db: PLUME_DATABASES databases, or NULL: then same is equal. held_out: tables outside the plain
 * grammar count too. Fails when gold itself is no valid query. */
lrk_status plume_check(const char *pred, const char *gold, bool held_out, const plume_database *db,
                       plume_verdict *v, lrk_err *err);

/* One line of `plume check`: {"id","pred","gold"} in, the verdict with the same id out, appended to
 * b without a newline. Fails on a line that is no such object. */
lrk_status plume_check_line(const char *line, size_t n, const plume_database *db, lrk_buf *b,
                            lrk_err *err);

#endif /* PLUME_CHECK_H */
