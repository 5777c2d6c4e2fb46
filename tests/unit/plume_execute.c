/* tests/unit/plume_execute.c -- results worked out by hand on ten rows, and equality of results. */
#include "plume/canonical.h"
#include "plume/execute.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define NONE (-1.0)

/* Oldest first; age in minutes before now. NULL and NONE are missing. */
static const struct {
    int age;
    const char *svc, *peer;
    double dur, bytes, retries;
    bool root, ok;
} rows[] = {
    {1441, "cart", NULL, 70, 100, 0, true, true},
    {720, "auth", "redis", 60, NONE, 1, false, true},
    {120, "cart", "s3", 10, 100, 0, true, true},
    {119, "cart", "s3", 20, 200, 0, true, false},
    {90, "cart", NULL, 30, NONE, 2, false, true},
    {60, "auth", "redis", 40, 400, 1, true, false},
    {59, "auth", NULL, 50, 500, 0, false, true},
    {30, "email", "stripe", 1000, NONE, 3, true, true},
    {1, "auth", "s3", 5, 50, 0, true, true},
    {0, "cart", "s3", 9999, 9999, 9, true, false},
};

static plume_cell text_of(const char *s)
{
    return s ? (plume_cell){.kind = PLUME_CELL_TEXT, .text = s} : (plume_cell){0};
}

static plume_cell number_of(double v)
{
    return v < 0.0 ? (plume_cell){0} : (plume_cell){.kind = PLUME_CELL_NUMBER, .number = v};
}

static plume_cell bool_of(bool v)
{
    return (plume_cell){.kind = PLUME_CELL_BOOL, .number = v ? 1.0 : 0.0};
}

static bool equal_cells(const plume_cell *a, const plume_cell *b)
{
    if (a->kind != b->kind) return false;
    if (a->kind == PLUME_CELL_TEXT) return strcmp(a->text, b->text) == 0;
    return a->number >= b->number && a->number <= b->number;
}

static void put(plume_data_table *t, lrk_arena *a, plume_name name, size_t row, plume_cell v)
{
    plume_data_column *c = &t->column[name];
    if (!c->value) {
        assert_int_equal(lrk_alloc(a, COUNT(rows) + 1, sizeof *c->value, "values", &c->value, NULL),
                         LRK_OK);
        assert_int_equal(lrk_alloc(a, COUNT(rows), sizeof *c->code, "rows", &c->code, NULL),
                         LRK_OK);
        c->n_values = 1;
    }
    size_t i = 0;
    while (i < c->n_values && !equal_cells(&c->value[i], &v)) i++;
    if (i == c->n_values) c->value[c->n_values++] = v;
    c->code[row] = (uint16_t)i;
}

static void make(plume_database *d, lrk_arena *a)
{
    plume_data_table *t = &d->table[PLUME_spans];
    t->rows = COUNT(rows);
    assert_int_equal(lrk_alloc(a, COUNT(rows), sizeof *t->minute, "rows", &t->minute, NULL),
                     LRK_OK);
    for (size_t i = 0; i < COUNT(rows); i++) {
        t->minute[i] = plume_now() - rows[i].age;
        put(t, a, PLUME_N_svc, i, text_of(rows[i].svc));
        put(t, a, PLUME_N_peer, i, text_of(rows[i].peer));
        put(t, a, PLUME_N_dur_ms, i, number_of(rows[i].dur));
        put(t, a, PLUME_N_bytes_out, i, number_of(rows[i].bytes));
        put(t, a, PLUME_N_retries, i, number_of(rows[i].retries));
        put(t, a, PLUME_N_root, i, bool_of(rows[i].root));
        put(t, a, PLUME_N_ok, i, bool_of(rows[i].ok));
    }
}

/* Result as text: cells with commas, rows with semicolons. */
static void run(const char *query, const plume_database *d, char *out, size_t n)
{
    lrk_arena a = lrk_arena_growing("test");
    lrk_err err = {0};
    lrk_buf b = {0};
    const plume_query *q = NULL;
    plume_result r = {0};
    if (plume_parse(query, strlen(query), false, &a, &q, NULL, &err) != LRK_OK ||
        plume_valid(q, &err) != LRK_OK || plume_execute(q, d, &a, &r, &err) != LRK_OK)
        fail_msg("%s: %s", query, err.text);
    for (size_t i = 0; i < r.rows * r.columns; i++) {
        const plume_cell *c = &r.cell[i];
        if (i) lrk_buf_puts(&b, i % r.columns ? "," : ";");
        if (c->kind == PLUME_CELL_MISSING)
            lrk_buf_puts(&b, "-");
        else if (c->kind == PLUME_CELL_TEXT)
            lrk_buf_puts(&b, c->text);
        else
            lrk_buf_printf(&b, "%.10g", c->number);
    }
    snprintf(out, n, "%s", b.data ? b.data : "");
    lrk_buf_free(&b);
    lrk_arena_free(&a);
}

static const char *const cases[][2] = {
    /* windows: the row of now is outside, that of two hours ago is inside */
    {"spans | calc count() | last 2h", "7"},
    {"spans | calc count() | last 1h", "4"},
    {"spans | calc count() | last 59m", "3"},
    {"spans | calc count() | last 1m", "1"},
    {"spans | calc count() | last 1d", "8"},
    {"spans | calc count() | last 1w", "9"},
    {"spans | calc count() | from 2026-03-01T10:00 to 2026-03-01T12:00", "7"},
    {"spans | calc count() | from 2026-03-01T10:00 to 2026-03-01T12:01", "8"},
    {"spans | calc count() | from 2026-03-01T10:01 to 2026-03-01T11:00", "2"},
    {"spans | calc count() | from 2027-01-01T00:00 to 2027-01-02T00:00", "0"},
    /* comparisons and missing values */
    {"spans | where peer = \"s3\" | calc count() | last 2h", "3"},
    {"spans | where peer != \"s3\" | calc count() | last 2h", "2"},
    {"spans | where not peer = \"s3\" | calc count() | last 2h", "4"},
    {"spans | where not peer != \"s3\" | calc count() | last 2h", "5"},
    {"spans | where peer ~ \"s\" | calc count() | last 2h", "5"},
    {"spans | where peer !~ \"3\" | calc count() | last 2h", "2"},
    {"spans | where not peer ~ \"s\" | calc count() | last 2h", "2"},
    {"spans | where peer starts \"s\" | calc count() | last 2h", "4"},
    {"spans | where peer starts \"S\" | calc count() | last 2h", "0"},
    {"spans | where peer in (\"redis\", \"stripe\") | calc count() | last 2h", "2"},
    {"spans | where not peer in (\"redis\", \"stripe\") | calc count() | last 2h", "5"},
    {"spans | where peer missing | calc count() | last 2h", "2"},
    {"spans | where peer exists | calc count() | last 2h", "5"},
    {"spans | where bytes_out < 9999 | calc count() | last 2h", "5"},
    {"spans | where bytes_out != 100 | calc count() | last 2h", "4"},
    {"spans | where not bytes_out = 100 | calc count() | last 2h", "6"},
    {"spans | where dur_ms > 20 | calc count() | last 2h", "4"},
    {"spans | where dur_ms >= 20 | calc count() | last 2h", "5"},
    {"spans | where dur_ms < 20.5 | calc count() | last 2h", "3"},
    {"spans | where dur_ms <= 10 | calc count() | last 2h", "2"},
    {"spans | where ok = false | calc count() | last 2h", "2"},
    {"spans | where ok = false and svc = \"cart\" or retries > 2 | calc count() | last 2h", "2"},
    {"spans | where ok = false and (svc = \"cart\" or retries > 2) | calc count() | last 2h", "1"},
    {"spans | where not (ok = false or svc = \"cart\") | calc count() | last 2h", "3"},
    {"spans | where peer exists and not (peer = \"s3\" or root = true) | calc count() | last 1d",
     "1"},
    /* aggregates */
    {"spans | calc sum(bytes_out), avg(bytes_out), min(bytes_out), max(bytes_out) | last 2h",
     "1250,250,50,500"},
    {"spans | calc p50(dur_ms), p90(dur_ms), p95(dur_ms), p99(dur_ms) | last 2h",
     "30,1000,1000,1000"},
    {"spans | where svc = \"cart\" | calc p50(dur_ms), p90(dur_ms) | last 2h", "20,30"},
    {"spans | where svc = \"auth\" | calc p50(dur_ms), p99(dur_ms) | last 1d", "40,60"},
    {"spans | where svc = \"email\" | calc sum(bytes_out), avg(bytes_out), p95(bytes_out), "
     "min(bytes_out) | last 2h",
     "-,-,-,-"},
    {"spans | calc uniq(peer), uniq(svc), uniq(ok), uniq(bytes_out) | last 2h", "3,3,2,5"},
    {"spans | calc rate(ok = false), rate(peer = \"s3\"), rate(bytes_out exists) | last 1h",
     "0.25,0.25,0.75"},
    {"spans | where svc = \"nobody\" | calc count(), rate(ok = true), uniq(svc), sum(dur_ms) | "
     "last 2h",
     "0,-,0,-"},
    /* groups: missing is a value; without sort in the order of first rows */
    {"spans | calc count() | by svc | last 2h", "cart,3;auth,3;email,1"},
    {"spans | calc count() | by peer | last 2h", "s3,3;-,2;redis,1;stripe,1"},
    {"spans | calc count() | by svc, ok | last 2h",
     "cart,1,2;cart,0,1;auth,0,1;auth,1,2;email,1,1"},
    {"spans | where svc = \"nobody\" | calc count() | by svc | last 2h", ""},
    /* keep, sort, take */
    {"spans | calc count() | by svc | keep count() > 2 | last 2h", "cart,3;auth,3"},
    {"spans | calc count(), sum(bytes_out) | by svc | keep sum(bytes_out) < 1000 and count() >= 3 "
     "| last 2h",
     "cart,3,300;auth,3,950"},
    {"spans | calc sum(bytes_out) | by svc | keep sum(bytes_out) != 0 | last 2h",
     "cart,300;auth,950"},
    {"spans | calc count() | by svc | last 2h | sort count() desc", "auth,3;cart,3;email,1"},
    {"spans | calc count() | by svc | last 2h | sort count() asc", "email,1;auth,3;cart,3"},
    {"spans | calc count() | by svc | last 2h | sort svc desc", "email,1;cart,3;auth,3"},
    {"spans | calc sum(bytes_out) | by svc | last 2h | sort sum(bytes_out) asc",
     "cart,300;auth,950;email,-"},
    {"spans | calc sum(bytes_out) | by svc | last 2h | sort sum(bytes_out) desc",
     "auth,950;cart,300;email,-"},
    {"spans | calc count() | by peer | last 2h | sort peer desc", "stripe,1;s3,3;redis,1;-,2"},
    {"spans | calc count() | by peer | last 2h | sort peer asc", "redis,1;s3,3;stripe,1;-,2"},
    {"spans | calc count() | by ok | last 2h | sort ok asc", "0,2;1,5"},
    {"spans | calc count() | by svc, peer | last 2h | sort count() desc | take 3",
     "cart,s3,2;auth,redis,1;auth,s3,1"},
    {"spans | calc count() | by retries | last 2h | sort retries desc | take 2", "3,1;2,1"},
    {"spans | calc p95(dur_ms) | by svc | last 2h | sort p95(dur_ms) desc | take 1", "email,1000"},
};

static void results_by_hand(void **state)
{
    (void)state;
    lrk_arena a = lrk_arena_growing("test");
    static plume_database d;
    char out[512];
    make(&d, &a);
    for (size_t i = 0; i < COUNT(cases); i++) {
        run(cases[i][0], &d, out, sizeof out);
        if (strcmp(out, cases[i][1]) != 0)
            fail_msg("%s\n  gave     %s\n  expected %s", cases[i][0], out, cases[i][1]);
    }
    lrk_arena_free(&a);
}

static bool same(const char *x, const char *y, const plume_database *d)
{
    lrk_arena a = lrk_arena_growing("test");
    const plume_query *p = NULL, *q = NULL;
    bool equal = false;
    assert_int_equal(plume_parse(x, strlen(x), false, &a, &p, NULL, NULL), LRK_OK);
    assert_int_equal(plume_parse(y, strlen(y), false, &a, &q, NULL, NULL), LRK_OK);
    assert_int_equal(plume_same_meaning(p, q, d, 1, &equal, NULL), LRK_OK);
    lrk_arena_free(&a);
    return equal;
}

static void equality(void **state)
{
    (void)state;
    lrk_arena a = lrk_arena_growing("test");
    static plume_database d;
    make(&d, &a);
#define G "spans | calc count(), uniq(peer) | by svc | last 2h"
    /* columns may be permuted, rows too where gold does not sort */
    assert_true(same(G, "spans | calc uniq(peer), count() | by svc | last 2h", &d));
    assert_true(same(G, "spans | calc uniq(peer), count() | by svc | last 2h | sort svc desc", &d));
    assert_false(same(G " | sort svc asc",
                      "spans | calc uniq(peer), count() | by svc | last 2h | sort svc desc", &d));
    assert_true(same(G " | sort svc asc",
                     "spans | calc uniq(peer), count() | by svc | last 2h | sort svc asc", &d));
    assert_false(same(G, "spans | calc count() | by svc | last 2h", &d));
    assert_false(same(G, "spans | calc count(), uniq(peer) | by svc | last 1h", &d));
    assert_false(same(G, "spans | calc count(), uniq(ok) | by svc | last 2h", &d));
    assert_true(same("spans | calc sum(retries) | last 2h",
                     "spans | calc sum(retries) | from 2026-03-01T10:00 to 2026-03-01T12:00", &d));
#undef G
    lrk_arena_free(&a);
}

static plume_result column(plume_cell *cells, size_t n)
{
    return (plume_result){.rows = n, .columns = 1, .cell = cells};
}

static void tolerance(void **state)
{
    (void)state;
    plume_cell x[] = {{PLUME_CELL_NUMBER, NULL, 1e6},
                      {PLUME_CELL_NUMBER, NULL, 0.5},
                      {PLUME_CELL_MISSING, NULL, 0}};
    plume_cell y[] = {{PLUME_CELL_MISSING, NULL, 0},
                      {PLUME_CELL_NUMBER, NULL, 1e6 * (1 + 5e-10)},
                      {PLUME_CELL_NUMBER, NULL, 0.5 + 9e-10}};
    plume_result p = column(x, 3), q = column(y, 3);
    assert_true(plume_result_equal(&p, &q, false));
    assert_false(plume_result_equal(&p, &q, true));
    y[1].number = 1e6 * (1 + 3e-9);
    assert_false(plume_result_equal(&p, &q, false));
    y[1].number = 1e6;
    y[2].number = 0.5 + 3e-9;
    assert_false(plume_result_equal(&p, &q, false));
    q = column(y, 2);
    assert_false(plume_result_equal(&p, &q, false));
}

/* The same seed gives the same rows, another seed others, in every table. */
static void databases(void **state)
{
    (void)state;
    lrk_arena a = lrk_arena_growing("test");
    static plume_database one, again, two;
    assert_int_equal(plume_database_make(&one, 1, &a, NULL), LRK_OK);
    assert_int_equal(plume_database_make(&again, 1, &a, NULL), LRK_OK);
    assert_int_equal(plume_database_make(&two, 2, &a, NULL), LRK_OK);
    for (int t = 0; t < PLUME_TABLES; t++) {
        plume_name names[PLUME_MAX_COLUMNS];
        const size_t n = plume_columns((plume_table)t, names);
        assert_int_equal(one.table[t].rows, 1500);
        for (size_t i = 0; i < n; i++) {
            const plume_data_column *x = &one.table[t].column[names[i]],
                                    *y = &again.table[t].column[names[i]];
            assert_memory_equal(x->code, y->code, 1500 * sizeof *x->code);
            bool missing = false;
            for (size_t k = 0; k < 1500; k++) missing = missing || !x->code[k];
            assert_int_equal(missing, plume_optional((plume_table)t, names[i]));
        }
        assert_memory_not_equal(one.table[t].minute, two.table[t].minute, 1500 * sizeof(int64_t));
        for (size_t k = 1; k < 1500; k++)
            assert_true(one.table[t].minute[k - 1] <= one.table[t].minute[k]);
        assert_true(one.table[t].minute[1499] < plume_now());
    }
    lrk_arena_free(&a);
}

static void calendar(void **state)
{
    (void)state;
    assert_int_equal(plume_minutes((plume_time){1970, 1, 1, 0, 0}), 0);
    assert_int_equal(plume_minutes((plume_time){2000, 3, 1, 0, 1}), 11017LL * 1440 + 1);
    assert_int_equal(plume_now(),
                     20513LL * 1440 + 720); /* 2026-03-01, a Sunday: day 3 after a Thursday */
    assert_int_equal((20513 + 4) % 7, 0);
    for (int64_t m = 0; m < 80LL * 366 * 1440; m += 1439)
        assert_int_equal(plume_minutes(plume_time_of(m)), m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_by_hand), cmocka_unit_test(equality), cmocka_unit_test(tolerance),
        cmocka_unit_test(databases),       cmocka_unit_test(calendar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
