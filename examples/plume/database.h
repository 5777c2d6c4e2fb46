/* plume/database.h -- a small database for Plume queries: every table, 1,500 rows, from a seed.
 *
 * The same seed gives the same rows on every machine (integers and base/rng.h only). A row has a
 * hidden time in minutes; nearly half of the rows lie in the last two hours, the rest reach back
 * seven weeks. Values of a column are numbered: value[0] is "missing", code[row] is the number.
 */
#ifndef PLUME_DATABASE_H
#define PLUME_DATABASE_H
#include "base/arena.h"
#include "plume/schema.h"

#include <stdint.h>

enum { PLUME_ROWS = 1500, PLUME_DATABASES = 5 };

typedef enum plume_cell_kind {
    PLUME_CELL_MISSING,
    PLUME_CELL_TEXT,
    PLUME_CELL_NUMBER,
    PLUME_CELL_BOOL
} plume_cell_kind;

typedef struct plume_cell {
    plume_cell_kind kind;
    const char *text;
    double number; /* a bool is 0 or 1 */
} plume_cell;

typedef struct plume_data_column {
    plume_cell *value;
    size_t n_values;
    uint16_t *code; /* one a row */
} plume_data_column;

typedef struct plume_data_table {
    size_t rows;
    int64_t *minute;                       /* ascending */
    plume_data_column column[PLUME_NAMES]; /* empty where the table has no such column */
} plume_data_table;

typedef struct plume_database {
    plume_data_table table[PLUME_TABLES];
} plume_database;

/* Filled from the seed; lives in a. */
lrk_status plume_database_make(plume_database *d, uint64_t seed, lrk_arena *a, lrk_err *err);

/* The databases of seeds 1 to PLUME_DATABASES, on which "the same result" is decided. */
lrk_status plume_databases_make(plume_database d[PLUME_DATABASES], lrk_arena *a, lrk_err *err);

/* The values of a pool of values.def, in order. */
lrk_status plume_pool(const char *name, lrk_arena *a, const char *const **values, size_t *n,
                      lrk_err *err);

#endif /* PLUME_DATABASE_H */
