/* plume/compare.c -- when two results are the same. */
#include "plume/execute.h"

#include <math.h>
#include <string.h>

static bool same_cell(const plume_cell *a, const plume_cell *b)
{
    if (a->kind != b->kind) return false;
    if (a->kind == PLUME_CELL_MISSING) return true;
    if (a->kind == PLUME_CELL_TEXT) return strcmp(a->text, b->text) == 0;
    const double size = fmax(1.0, fmax(fabs(a->number), fabs(b->number)));
    return fabs(a->number - b->number) <= 1e-9 * size;
}

enum { MAX_COLUMNS = 32, MAX_ROWS = PLUME_ROWS + 1 };

static bool same_row(const plume_result *a, size_t i, const plume_result *b, size_t k,
                     const size_t *map)
{
    for (size_t c = 0; c < a->columns; c++)
        if (!same_cell(&a->cell[i * a->columns + c], &b->cell[k * b->columns + map[c]]))
            return false;
    return true;
}

/* Rows under one permutation of the columns: in place first, then any row not yet used. */
static bool same_rows(const plume_result *a, const plume_result *b, const size_t *map, bool ordered)
{
    bool used[MAX_ROWS] = {false};
    for (size_t i = 0; i < a->rows; i++) {
        size_t k = i;
        if (ordered && !same_row(a, i, b, k, map)) return false;
        if (used[k] || !same_row(a, i, b, k, map))
            for (k = 0; k < b->rows && (used[k] || !same_row(a, i, b, k, map));) k++;
        if (k == b->rows) return false;
        used[k] = true;
    }
    return true;
}

/* Column x of a and column y of b may be the same: judged by one row where order counts, else by
 * the kinds of cells that they hold. */
static bool may_match(const plume_result *a, size_t x, const plume_result *b, size_t y,
                      bool ordered)
{
    size_t kinds[2][4] = {{0}};
    for (size_t i = 0; i < a->rows; i++) {
        const plume_cell *p = &a->cell[i * a->columns + x], *q = &b->cell[i * b->columns + y];
        if (ordered && !same_cell(p, q)) return false;
        kinds[0][p->kind]++;
        kinds[1][q->kind]++;
    }
    return memcmp(kinds[0], kinds[1], sizeof kinds[0]) == 0;
}

static bool search(const plume_result *a, const plume_result *b, bool ordered, size_t *map,
                   size_t column, unsigned taken)
{
    if (column == a->columns) return same_rows(a, b, map, ordered);
    for (size_t y = 0; y < b->columns; y++) {
        if (taken & 1u << y || !may_match(a, column, b, y, ordered)) continue;
        map[column] = y;
        if (search(a, b, ordered, map, column + 1, taken | 1u << y)) return true;
    }
    return false;
}

bool plume_result_equal(const plume_result *a, const plume_result *b, bool ordered)
{
    size_t map[MAX_COLUMNS];
    if (a->rows != b->rows || a->columns != b->columns || a->rows > MAX_ROWS) return false;
    for (size_t i = 0; i < a->columns && i < MAX_COLUMNS; i++) map[i] = i;
    if (a->columns <= MAX_COLUMNS && same_rows(a, b, map, ordered)) return true;
    /* Beyond a handful of columns the permutations are too many to try. */
    return a->columns <= 8 && search(a, b, ordered, map, 0, 0);
}

lrk_status plume_same_meaning(const plume_query *gold, const plume_query *other,
                              const plume_database *d, size_t n, bool *same, lrk_err *err)
{
    *same = true;
    for (size_t i = 0; i < n && *same; i++) {
        lrk_arena a = lrk_arena_growing("results");
        plume_result x, y;
        lrk_status s = plume_execute(gold, &d[i], &a, &x, err);
        if (s == LRK_OK) s = plume_execute(other, &d[i], &a, &y, err);
        if (s == LRK_OK) *same = plume_result_equal(&x, &y, gold->sort.kind != PLUME_UNSORTED);
        lrk_arena_free(&a);
        LRK_TRY(s);
    }
    return LRK_OK;
}
