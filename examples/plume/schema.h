/* plume/schema.h -- tables and columns of Plume, from schema.def.
 *
 * A column name means the same kind of value in every table that has it, so the tree of a query
 * holds names, and only valid.h asks whether the table has that column.
 */
#ifndef PLUME_SCHEMA_H
#define PLUME_SCHEMA_H
#include <stdbool.h>
#include <stddef.h>

typedef enum plume_kind { PLUME_TEXT, PLUME_NUMBER, PLUME_BOOL } plume_kind;

typedef enum plume_table {
#define PLUME_TABLE(name, held_out) PLUME_##name,
#include "plume/schema.def"
#undef PLUME_TABLE
    PLUME_TABLES
} plume_table;

typedef enum plume_name {
#define PLUME_NAME(name, kind) PLUME_N_##name,
#include "plume/schema.def"
#undef PLUME_NAME
    PLUME_NAMES
} plume_name;

enum { PLUME_MAX_COLUMNS = 16 };

const char *plume_table_text(plume_table t);
bool plume_table_held_out(plume_table t); /* deploys and queues: outside the plain grammar */
bool plume_table_find(const char *s, size_t n, plume_table *t);

const char *plume_name_text(plume_name c);
plume_kind plume_name_kind(plume_name c);
bool plume_name_held_out(plume_name c); /* only tables that are held out have it */
bool plume_name_find(const char *s, size_t n, plume_name *c);

/* Columns of a table in order; the return value is their number, at most PLUME_MAX_COLUMNS. */
size_t plume_columns(plume_table t, plume_name out[PLUME_MAX_COLUMNS]);
bool plume_table_has(plume_table t, plume_name c);
bool plume_optional(plume_table t, plume_name c); /* may be missing in a row */

#endif /* PLUME_SCHEMA_H */
