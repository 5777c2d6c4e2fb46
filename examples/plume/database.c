/* plume/database.c -- rows from a seed, after database.def and values.def. */
#include "plume/database.h"

#include "base/rng.h"
#include "plume/query.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *listed, *prefix;
    int digits, from, to;
} pools[] = {
#define VALUES(pool, list) {#pool, list, NULL, 0, 0, 0},
#define NUMBERED(pool, prefix, digits, from, to) {#pool, NULL, prefix, digits, from, to},
#include "plume/values.def"
#undef VALUES
#undef NUMBERED
};

static const struct {
    plume_table table;
    plume_name name;
    plume_kind kind;
    unsigned percent; /* text, number: missing; bool: true */
    int64_t grid[32]; /* number: ascending, the rest 0 */
} rules[] = {
#define TEXT(table, column, missing) {PLUME_##table, PLUME_N_##column, PLUME_TEXT, missing, {0}},
#define NUMBERS(table, column, missing, ...)                                                       \
    {PLUME_##table, PLUME_N_##column, PLUME_NUMBER, missing, {__VA_ARGS__}},
#define FLAG(table, column, percent) {PLUME_##table, PLUME_N_##column, PLUME_BOOL, percent, {0}},
#include "plume/database.def"
#undef TEXT
#undef NUMBERS
#undef FLAG
};
enum { N_RULES = sizeof rules / sizeof rules[0], MAX_POOL = 400 };

lrk_status plume_pool(const char *name, lrk_arena *a, const char *const **values, size_t *n,
                      lrk_err *err)
{
    const char **v = NULL;
    LRK_TRY(lrk_alloc(a, MAX_POOL, sizeof *v, "values", &v, err));
    *n = 0;
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
        if (strcmp(pools[i].name, name) != 0) continue;
        for (const char *s = pools[i].listed; s && *n < MAX_POOL;) {
            const char *end = strchr(s, '|');
            v[(*n)++] = lrk_strndup(a, s, end ? (size_t)(end - s) : strlen(s));
            s = end ? end + 1 : NULL;
        }
        for (int k = pools[i].from; pools[i].prefix && k <= pools[i].to && *n < MAX_POOL; k++) {
            lrk_buf b = {0};
            lrk_buf_printf(&b, "%s%0*d", pools[i].prefix, pools[i].digits, k);
            v[(*n)++] = b.failed ? NULL : lrk_strdup(a, b.data);
            lrk_buf_free(&b);
        }
    }
    for (size_t i = 0; i < *n; i++) LRK_REQUIRE(err, v[i], LRK_ENOMEM, "out of memory");
    *values = v;
    return LRK_OK;
}

/* Small integers from where they are used: rule and row. */
typedef struct dice {
    lrk_rng rng;
    uint64_t next;
} dice;

static uint64_t roll(dice *d, uint64_t n) { return lrk_rng_below(d->rng, d->next++, n); }

static int by_minute(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Age of a row in minutes: mostly young. */
static int64_t age(dice *d)
{
    static const struct {
        uint64_t percent;
        int64_t from, to;
    } spans[] = {{20, 0, 30},     {25, 30, 120},    {15, 120, 360},  {12, 360, 960},
                 {12, 960, 2160}, {11, 2160, 8700}, {5, 8700, 70000}};
    uint64_t p = roll(d, 100);
    size_t i = 0;
    while (p >= spans[i].percent) p -= spans[i++].percent;
    return 1 + spans[i].from + (int64_t)roll(d, (uint64_t)(spans[i].to - spans[i].from));
}

/* Code of a value in the column's list, which it joins if it is new. */
static uint16_t code_of(plume_data_column *c, plume_cell v)
{
    for (size_t i = 1; i < c->n_values; i++) {
        const plume_cell *have = &c->value[i];
        const bool same = v.kind == PLUME_CELL_TEXT
                              ? strcmp(have->text, v.text) == 0
                              : have->number >= v.number && have->number <= v.number;
        if (same) return (uint16_t)i;
    }
    c->value[c->n_values] = v;
    return (uint16_t)c->n_values++;
}

static plume_cell number_cell(dice *d, size_t rule, uint64_t lean)
{
    const int64_t *grid = rules[rule].grid;
    uint64_t n = 1;
    while (n < 32 && grid[n] > 0) n++;
    /* Two rolls, the lower one: small values are common. The lean shifts a group as a whole. */
    const uint64_t x = roll(d, n), y = roll(d, n);
    uint64_t i = (x < y ? x : y) + lean % (n / 3 + 1);
    if (i >= n) i = n - 1;
    int64_t v = grid[i];
    const bool exact = n > 12 && grid[0] == grid[1]; /* status, retries: the grid alone */
    if (!exact && roll(d, 2)) {
        if (i + 1 < n)
            v += (int64_t)roll(d, (uint64_t)(grid[i + 1] - grid[i]));
        else
            v -= (int64_t)roll(d, (uint64_t)(grid[i] - grid[i - 1]));
    }
    return (plume_cell){.kind = PLUME_CELL_NUMBER, .number = (double)v};
}

static plume_cell text_cell(dice *d, const char *const *pool, size_t n, uint64_t lean)
{
    const uint64_t x = roll(d, n), y = roll(d, n);
    const uint64_t i = ((x < y ? x : y) + (roll(d, 3) ? 0 : lean)) % n;
    return (plume_cell){.kind = PLUME_CELL_TEXT, .text = pool[i]};
}

static lrk_status fill(plume_data_table *t, size_t rule, uint64_t seed, lrk_arena *a, lrk_err *err)
{
    plume_data_column *c = &t->column[rules[rule].name];
    const char *const *pool = NULL;
    size_t n = 0;
    LRK_TRY(lrk_alloc(a, t->rows + 1, sizeof *c->value, "values", &c->value, err));
    LRK_TRY(lrk_alloc(a, t->rows, sizeof *c->code, "rows", &c->code, err));
    c->n_values = 1;
    if (rules[rule].kind == PLUME_TEXT) {
        LRK_TRY(plume_pool(plume_name_text(rules[rule].name), a, &pool, &n, err));
    }
    const bool pod = rules[rule].name == PLUME_N_pod;
    for (size_t row = 0; row < t->rows; row++) {
        dice d = {{seed, (uint32_t)rule + 1, (uint32_t)row}, 0};
        /* What the row leans on: its codes in the first two columns of the table. */
        size_t first = rule;
        while (first && rules[first - 1].table == rules[rule].table) first--;
        const uint64_t group = first == rule ? 0 : t->column[rules[first].name].code[row];
        const uint64_t second = first + 1 >= rule ? 0 : t->column[rules[first + 1].name].code[row];
        const lrk_rng hash = {seed, (uint32_t)rule + 1000, 0};
        const uint64_t lean = lrk_rng_u32(hash, group) % 1000 + lrk_rng_u32(hash, 99 + second) % 5;
        plume_cell v = {0};
        if (pod) {
            lrk_buf b = {0};
            lrk_buf_printf(&b, "%s-%d", t->column[PLUME_N_svc].value[group].text,
                           1 + (int)roll(&d, 4));
            v = (plume_cell){.kind = PLUME_CELL_TEXT,
                             .text = b.failed ? NULL : lrk_strdup(a, b.data)};
            lrk_buf_free(&b);
            LRK_REQUIRE(err, v.text, LRK_ENOMEM, "out of memory");
        } else if (rules[rule].kind == PLUME_BOOL) {
            const uint64_t p = rules[rule].percent + lean % 25;
            v = (plume_cell){.kind = PLUME_CELL_BOOL, .number = roll(&d, 112) < p ? 1.0 : 0.0};
        } else if (roll(&d, 100) >= rules[rule].percent) {
            v = pool ? text_cell(&d, pool, n, lean) : number_cell(&d, rule, lean);
        }
        c->code[row] = v.kind == PLUME_CELL_MISSING ? 0 : code_of(c, v);
    }
    return LRK_OK;
}

lrk_status plume_database_make(plume_database *d, uint64_t seed, lrk_arena *a, lrk_err *err)
{
    *d = (plume_database){0};
    for (int i = 0; i < PLUME_TABLES; i++) {
        plume_data_table *t = &d->table[i];
        t->rows = PLUME_ROWS;
        LRK_TRY(lrk_alloc(a, t->rows, sizeof *t->minute, "rows", &t->minute, err));
        dice times = {{seed, 500 + (uint32_t)i, 0}, 0};
        for (size_t row = 0; row < t->rows; row++) t->minute[row] = plume_now() - age(&times);
        qsort(t->minute, t->rows, sizeof *t->minute, by_minute);
        for (size_t rule = 0; rule < N_RULES; rule++)
            if ((int)rules[rule].table == i) LRK_TRY(fill(t, rule, seed, a, err));
    }
    return LRK_OK;
}

lrk_status plume_databases_make(plume_database d[PLUME_DATABASES], lrk_arena *a, lrk_err *err)
{
    for (uint64_t i = 0; i < PLUME_DATABASES; i++)
        LRK_TRY(plume_database_make(&d[i], i + 1, a, err));
    return LRK_OK;
}
