/* plume/execute.c -- evaluation, a column at a time: a comparison is decided once per distinct
 * value, rows only look the verdict up. */
#include "plume/execute.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct run {
    const plume_query *q;
    const plume_data_table *t;
    size_t first, n; /* rows of the window: first .. first + n - 1 */
    uint16_t *row;   /* rows that passed, later ordered by group */
    size_t n_rows;
    uint16_t *group;       /* of each of them */
    size_t groups, *begin; /* rows of group g: begin[g] .. begin[g + 1] - 1 */
    lrk_arena *arena;
    lrk_err *err;
} run;

static bool contains(const char *s, const char *part) { return strstr(s, part) != NULL; }

static bool number_passes(plume_op op, double v, double than)
{
    switch (op) {
    case PLUME_EQ:
        return v >= than && v <= than;
    case PLUME_NE:
        return v < than || v > than;
    case PLUME_GT:
        return v > than;
    case PLUME_GE:
        return v >= than;
    case PLUME_LT:
        return v < than;
    case PLUME_LE:
        return v <= than;
    default:
        return false;
    }
}

static bool text_passes(const plume_cmp *c, const char *v)
{
    switch (c->op) {
    case PLUME_EQ:
        return strcmp(v, c->text[0]) == 0;
    case PLUME_NE:
        return strcmp(v, c->text[0]) != 0;
    case PLUME_CONTAINS:
        return contains(v, c->text[0]);
    case PLUME_LACKS:
        return !contains(v, c->text[0]);
    case PLUME_STARTS:
        return strncmp(v, c->text[0], strlen(c->text[0])) == 0;
    case PLUME_IN:
        for (size_t i = 0; i < c->n_text; i++)
            if (strcmp(v, c->text[i]) == 0) return true;
        return false;
    default:
        return false;
    }
}

static bool passes(const plume_cmp *c, const plume_cell *v)
{
    const bool missing = v->kind == PLUME_CELL_MISSING;
    if (c->op == PLUME_MISSING) return missing;
    if (c->op == PLUME_EXISTS) return !missing;
    if (missing) return false;
    if (v->kind == PLUME_CELL_TEXT) return text_passes(c, v->text);
    if (v->kind == PLUME_CELL_BOOL) return (v->number > 0.5) == c->truth;
    return number_passes(c->op, v->number, (double)c->number / 1000.0);
}

/* One verdict for each value of the column. */
static lrk_status verdicts(run *r, const plume_cmp *c, bool **out)
{
    const plume_data_column *col = &r->t->column[c->column];
    LRK_REQUIRE(r->err, col->n_values, LRK_EVALUE, "%s has no column %s",
                plume_table_text(r->q->table), plume_name_text(c->column));
    LRK_TRY(lrk_alloc(r->arena, col->n_values, sizeof **out, "verdicts", out, r->err));
    for (size_t i = 0; i < col->n_values; i++) (*out)[i] = passes(c, &col->value[i]);
    return LRK_OK;
}

static lrk_status evaluate(run *r, const plume_expr *e, bool *out)
{
    bool *part = NULL;
    if (e->node == PLUME_CMP) {
        LRK_TRY(verdicts(r, &e->cmp, &part));
        const uint16_t *code = r->t->column[e->cmp.column].code + r->first;
        for (size_t i = 0; i < r->n; i++) out[i] = part[code[i]];
        return LRK_OK;
    }
    LRK_TRY(evaluate(r, e->part[0], out));
    if (e->node == PLUME_NOT) {
        for (size_t i = 0; i < r->n; i++) out[i] = !out[i];
        return LRK_OK;
    }
    LRK_TRY(lrk_alloc(r->arena, r->n, sizeof *part, "rows", &part, r->err));
    for (size_t k = 1; k < e->n; k++) {
        LRK_TRY(evaluate(r, e->part[k], part));
        for (size_t i = 0; i < r->n; i++)
            out[i] = e->node == PLUME_AND ? (out[i] && part[i]) : (out[i] || part[i]);
    }
    return LRK_OK;
}

static int64_t unit_minutes(char unit)
{
    return unit == 'm' ? 1 : unit == 'h' ? 60 : unit == 'd' ? 1440 : 10080;
}

static size_t first_at(const plume_data_table *t, int64_t minute)
{
    size_t lo = 0, hi = t->rows;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (t->minute[mid] < minute)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static lrk_status filter(run *r)
{
    const plume_window *w = &r->q->window;
    const int64_t from =
        w->range ? plume_minutes(w->from) : plume_now() - w->n * unit_minutes(w->unit);
    const int64_t to = w->range ? plume_minutes(w->to) : plume_now();
    r->first = first_at(r->t, from);
    const size_t end = first_at(r->t, to);
    r->n = end > r->first ? end - r->first : 0;
    bool *pass = NULL;
    LRK_TRY(lrk_alloc(r->arena, r->n + 1, sizeof *pass, "rows", &pass, r->err));
    memset(pass, 1, r->n);
    if (r->q->where) LRK_TRY(evaluate(r, r->q->where, pass));
    LRK_TRY(lrk_alloc(r->arena, r->n + 1, sizeof *r->row, "rows", &r->row, r->err));
    for (size_t i = 0; i < r->n; i++)
        if (pass[i]) r->row[r->n_rows++] = (uint16_t)(r->first + i);
    return LRK_OK;
}

/* Splits every group by one more column: (group, code) is looked up in a small open hash. */
static lrk_status split(run *r, plume_name column)
{
    size_t slots = 64;
    while (slots < 2 * r->n_rows) slots *= 2;
    uint32_t *key = NULL;
    uint16_t *id = NULL;
    const uint16_t *code = r->t->column[column].code;
    LRK_REQUIRE(r->err, code, LRK_EVALUE, "%s has no column %s", plume_table_text(r->q->table),
                plume_name_text(column));
    LRK_TRY(lrk_alloc(r->arena, slots, sizeof *key, "groups", &key, r->err));
    LRK_TRY(lrk_alloc(r->arena, slots, sizeof *id, "groups", &id, r->err));
    r->groups = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const uint32_t k = 1u + ((uint32_t)r->group[i] << 16 | code[r->row[i]]);
        size_t slot = ((k * 2654435761u) >> 16) & (slots - 1);
        while (key[slot] && key[slot] != k) slot = (slot + 1) % slots;
        if (!key[slot]) {
            key[slot] = k;
            id[slot] = (uint16_t)r->groups++;
        }
        r->group[i] = id[slot];
    }
    return LRK_OK;
}

/* Groups in the order of their first row, and the rows of each side by side. */
static lrk_status gather(run *r)
{
    LRK_TRY(lrk_alloc(r->arena, r->n_rows + 1, sizeof *r->group, "rows", &r->group, r->err));
    r->groups = 1;
    for (size_t i = 0; i < r->q->n_by; i++) LRK_TRY(split(r, r->q->by[i]));
    LRK_TRY(lrk_alloc(r->arena, r->groups + 2, sizeof *r->begin, "groups", &r->begin, r->err));
    for (size_t i = 0; i < r->n_rows; i++) r->begin[r->group[i] + 2]++;
    for (size_t g = 2; g < r->groups + 2; g++) r->begin[g] += r->begin[g - 1];
    uint16_t *ordered = NULL;
    LRK_TRY(lrk_alloc(r->arena, r->n_rows + 1, sizeof *ordered, "rows", &ordered, r->err));
    for (size_t i = 0; i < r->n_rows; i++) ordered[r->begin[r->group[i] + 1]++] = r->row[i];
    r->row = ordered;
    return LRK_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static plume_cell number_cell(double v)
{
    return (plume_cell){.kind = PLUME_CELL_NUMBER, .number = v};
}

/* Statistics of n > 0 numbers; v may be reordered. */
static double statistic(plume_fn fn, double *v, size_t n)
{
    static const size_t nn[PLUME_FNS] = {
        [PLUME_P50] = 50, [PLUME_P90] = 90, [PLUME_P95] = 95, [PLUME_P99] = 99};
    double sum = 0.0, low = v[0], high = v[0];
    if (nn[fn]) {
        qsort(v, n, sizeof *v, by_value);
        return v[(nn[fn] * n + 99) / 100 - 1];
    }
    for (size_t i = 0; i < n; i++) {
        sum += v[i];
        low = v[i] < low ? v[i] : low;
        high = v[i] > high ? v[i] : high;
    }
    return fn == PLUME_SUM ? sum : fn == PLUME_AVG ? sum / (double)n : fn == PLUME_MIN ? low : high;
}

static lrk_status aggregate(run *r, const plume_agg *g, plume_result *out, size_t at)
{
    const plume_data_column *col = &r->t->column[g->fn == PLUME_RATE ? g->cmp.column : g->column];
    bool *pass = NULL;
    double *v = NULL;
    size_t *seen = NULL;
    if (g->fn == PLUME_RATE) LRK_TRY(verdicts(r, &g->cmp, &pass));
    LRK_REQUIRE(r->err, g->fn == PLUME_COUNT || col->n_values, LRK_EVALUE, "%s has no column %s",
                plume_table_text(r->q->table), plume_name_text(g->column));
    LRK_TRY(lrk_alloc(r->arena, r->n_rows + 1, sizeof *v, "values", &v, r->err));
    LRK_TRY(lrk_alloc(r->arena, col->n_values + 1, sizeof *seen, "values", &seen, r->err));
    for (size_t i = 0; i < r->groups; i++) {
        const size_t begin = r->begin[i], n = r->begin[i + 1] - begin;
        size_t m = 0, distinct = 0, good = 0;
        for (size_t k = begin; k < begin + n && g->fn != PLUME_COUNT; k++) {
            const uint16_t code = col->code[r->row[k]];
            if (pass) good += pass[code];
            if (!code) continue;
            distinct += seen[code] != i + 1;
            seen[code] = i + 1;
            v[m++] = col->value[code].number;
        }
        plume_cell *cell = &out->cell[i * out->columns + at];
        *cell = (plume_cell){0};
        if (g->fn == PLUME_COUNT)
            *cell = number_cell((double)n);
        else if (g->fn == PLUME_UNIQ)
            *cell = number_cell((double)distinct);
        else if (g->fn == PLUME_RATE && n)
            *cell = number_cell((double)good / (double)n);
        else if (g->fn != PLUME_RATE && m)
            *cell = number_cell(statistic(g->fn, v, m));
    }
    return LRK_OK;
}

static size_t column_of(const plume_query *q, const plume_agg *g)
{
    size_t i = 0;
    while (i + 1 < q->n_calc && !plume_same_agg(&q->calc[i], g)) i++;
    return q->n_by + i;
}

static void keep(const plume_query *q, plume_result *out)
{
    for (size_t c = 0; c < q->n_keep; c++) {
        const size_t at = column_of(q, &q->keep[c].agg);
        const double than = (double)q->keep[c].number / 1000.0;
        size_t left = 0;
        for (size_t i = 0; i < out->rows; i++) {
            plume_cell *row = out->cell + i * out->columns;
            if (row[at].kind != PLUME_CELL_NUMBER ||
                !number_passes(q->keep[c].op, row[at].number, than))
                continue;
            memmove(out->cell + left++ * out->columns, row, out->columns * sizeof *row);
        }
        out->rows = left;
    }
}

/* Missing last, both ways. */
static int compare_cells(const plume_cell *a, const plume_cell *b, bool descending)
{
    if (a->kind == PLUME_CELL_MISSING || b->kind == PLUME_CELL_MISSING)
        return (a->kind == PLUME_CELL_MISSING) - (b->kind == PLUME_CELL_MISSING);
    int c = (a->number > b->number) - (a->number < b->number);
    if (a->kind == PLUME_CELL_TEXT) c = strcmp(a->text, b->text);
    return descending ? -c : c;
}

static lrk_status sort(run *r, plume_result *out)
{
    const plume_query *q = r->q;
    size_t key = 0, order[PLUME_MAX_COLUMNS], n = 0;
    if (q->sort.kind == PLUME_SORT_AGG) key = column_of(q, &q->sort.agg);
    while (q->sort.kind == PLUME_SORT_COLUMN && q->by[key] != q->sort.column) key++;
    for (size_t i = 0; i < q->n_by && n < PLUME_MAX_COLUMNS; i++) { /* by columns in name order */
        size_t at = n++;
        for (; at && strcmp(plume_name_text(q->by[order[at - 1]]), plume_name_text(q->by[i])) > 0;
             at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    const size_t bytes = out->columns * sizeof *out->cell;
    plume_cell *row = NULL;
    LRK_TRY(lrk_alloc(r->arena, out->columns, sizeof *row, "rows", &row, r->err));
    for (size_t i = 1; i < out->rows; i++) {
        memcpy(row, out->cell + i * out->columns, bytes);
        size_t at = i;
        for (; at; at--) {
            const plume_cell *above = out->cell + (at - 1) * out->columns;
            int c = compare_cells(&above[key], &row[key], q->sort.descending);
            for (size_t k = 0; !c && k < n; k++)
                c = compare_cells(&above[order[k]], &row[order[k]], false);
            if (c <= 0) break;
            memcpy(out->cell + at * out->columns, above, bytes);
        }
        memcpy(out->cell + at * out->columns, row, bytes);
    }
    return LRK_OK;
}

lrk_status plume_execute(const plume_query *q, const plume_database *d, lrk_arena *a,
                         plume_result *out, lrk_err *err)
{
    run r = {.q = q, .t = &d->table[q->table], .arena = a, .err = err};
    LRK_TRY(filter(&r));
    LRK_TRY(gather(&r));
    *out = (plume_result){.rows = r.groups, .columns = q->n_by + q->n_calc, .matched = r.n_rows};
    LRK_TRY(
        lrk_alloc(a, out->rows * out->columns + 1, sizeof *out->cell, "result", &out->cell, err));
    for (size_t g = 0; g < r.groups; g++)
        for (size_t i = 0; i < q->n_by; i++) {
            const plume_data_column *col = &r.t->column[q->by[i]];
            out->cell[g * out->columns + i] = col->value[col->code[r.row[r.begin[g]]]];
        }
    for (size_t i = 0; i < q->n_calc; i++) LRK_TRY(aggregate(&r, &q->calc[i], out, q->n_by + i));
    keep(q, out);
    if (q->sort.kind) LRK_TRY(sort(&r, out));
    if (q->take && out->rows > (size_t)q->take) out->rows = (size_t)q->take;
    return LRK_OK;
}
