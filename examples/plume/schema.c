/* plume/schema.c -- look-ups in schema.def. */
#include "plume/schema.h"

#include <string.h>

static const struct {
    const char *text;
    bool held_out;
} tables[] = {
#define PLUME_TABLE(name, held_out) {#name, held_out},
#include "plume/schema.def"
#undef PLUME_TABLE
};

static const struct {
    const char *text;
    plume_kind kind;
} names[] = {
#define PLUME_NAME(name, kind) {#name, PLUME_##kind},
#include "plume/schema.def"
#undef PLUME_NAME
};

static const struct {
    plume_table table;
    plume_name name;
    bool optional;
} columns[] = {
#define PLUME_COLUMN(table, name, optional) {PLUME_##table, PLUME_N_##name, optional},
#include "plume/schema.def"
#undef PLUME_COLUMN
};

enum { N_COLUMNS = sizeof columns / sizeof columns[0] };

static bool same(const char *text, const char *s, size_t n)
{
    return strlen(text) == n && memcmp(text, s, n) == 0;
}

const char *plume_table_text(plume_table t) { return tables[t].text; }

bool plume_table_held_out(plume_table t) { return tables[t].held_out; }

bool plume_table_find(const char *s, size_t n, plume_table *t)
{
    for (int i = 0; i < PLUME_TABLES; i++) {
        if (!same(tables[i].text, s, n)) continue;
        *t = (plume_table)i;
        return true;
    }
    return false;
}

const char *plume_name_text(plume_name c) { return names[c].text; }

plume_kind plume_name_kind(plume_name c) { return names[c].kind; }

bool plume_name_held_out(plume_name c)
{
    for (size_t i = 0; i < N_COLUMNS; i++)
        if (columns[i].name == c && !tables[columns[i].table].held_out) return false;
    return true;
}

bool plume_name_find(const char *s, size_t n, plume_name *c)
{
    for (int i = 0; i < PLUME_NAMES; i++) {
        if (!same(names[i].text, s, n)) continue;
        *c = (plume_name)i;
        return true;
    }
    return false;
}

size_t plume_columns(plume_table t, plume_name out[PLUME_MAX_COLUMNS])
{
    size_t n = 0;
    for (size_t i = 0; i < N_COLUMNS && n < PLUME_MAX_COLUMNS; i++)
        if (columns[i].table == t) out[n++] = columns[i].name;
    return n;
}

bool plume_table_has(plume_table t, plume_name c)
{
    for (size_t i = 0; i < N_COLUMNS; i++)
        if (columns[i].table == t && columns[i].name == c) return true;
    return false;
}

bool plume_optional(plume_table t, plume_name c)
{
    for (size_t i = 0; i < N_COLUMNS; i++)
        if (columns[i].table == t && columns[i].name == c) return columns[i].optional;
    return false;
}
