/* tests/unit/plume_properties.c -- what must hold for any query: 5,000 random trees, deeper and
 * odder than people write, and 5,000 plans of the generator.
 *
 *   parse(print(x)) = x      canonical(canonical(x)) = canonical(x)
 *   canonical form has the result of the query on five databases
 *   the validator accepts gold, and takes the query for its canonical form
 */
#include "plume/canonical.h"
#include "plume/check.h"
#include "plume/execute.h"
#include "plume/features.h"
#include "plume/mutate.h"
#include "plume/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

enum { QUERIES = 5000 };

static plume_database *db;
static lrk_arena shared;

static int setup(void **state)
{
    (void)state;
    shared = lrk_arena_growing("databases");
    if (lrk_alloc(&shared, PLUME_DATABASES, sizeof *db, "databases", &db, NULL) != LRK_OK)
        return -1;
    return plume_databases_make(db, &shared, NULL) == LRK_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    lrk_arena_free(&shared);
    return 0;
}

/* Random conditions on spans, few columns and values, so that rules 4 to 6 meet their cases. */
static void random_cmp(plume_dice *d, lrk_buf *b)
{
    static const char *const some[] = {
        "svc = \"cart\"",
        "svc = \"auth\"",
        "svc in (\"cart\", \"auth\")",
        "svc in (\"search\")",
        "svc != \"cart\"",
        "peer = \"s3\"",
        "peer = \"redis\"",
        "peer in (\"s3\", \"kafka\", \"s3\")",
        "peer exists",
        "peer missing",
        "peer ~ \"s\"",
        "peer !~ \"s\"",
        "region starts \"eu-\"",
        "ok = true",
        "ok = false",
        "root = true",
        "dur_ms > 100",
        "dur_ms >= 100.50",
        "retries <= 1",
        "status != 200",
        "bytes_out missing",
        "bytes_out < 5000",
    };
    lrk_buf_puts(b, some[plume_roll(d, sizeof some / sizeof some[0])]);
}

static void random_expr(plume_dice *d, lrk_buf *b, int depth)
{
    const uint64_t kind = depth ? plume_roll(d, 5) : 0;
    if (kind < 2) {
        random_cmp(d, b);
    } else if (kind == 2) {
        lrk_buf_puts(b, "not ");
        if (plume_chance(d, 40)) {
            random_cmp(d, b);
            return;
        }
        lrk_buf_puts(b, "(");
        random_expr(d, b, depth - 1);
        lrk_buf_puts(b, ")");
    } else {
        const uint64_t n = 2 + plume_roll(d, 3);
        for (uint64_t i = 0; i < n; i++) {
            const bool parens = plume_chance(d, 60);
            if (i) lrk_buf_puts(b, kind == 3 ? " and " : " or ");
            if (parens) lrk_buf_puts(b, "(");
            if (parens)
                random_expr(d, b, depth - 1);
            else
                random_cmp(d, b);
            if (parens) lrk_buf_puts(b, ")");
        }
    }
}

static void random_query(plume_dice *d, lrk_buf *b)
{
    static const char *const tails[] = {
        " | calc count() | last 120m",
        " | calc p95(dur_ms), count() | by svc, region | last 24h",
        " | calc uniq(peer), rate(svc in (\"b\", \"cart\")) | by route | keep uniq(peer) > 1.0 and "
        "uniq(peer) > 1 | last 7d",
        " | calc avg(bytes_out), sum(retries) | by peer | last 300m | sort avg(bytes_out) desc | "
        "take 3",
        " | calc count() | by svc, peer | from 2026-02-28T00:00 to 2026-03-01T12:00 | sort svc asc",
    };
    lrk_buf_puts(b, "spans | where ");
    random_expr(d, b, 4);
    lrk_buf_puts(b, tails[plume_roll(d, sizeof tails / sizeof tails[0])]);
}

static void printed(const plume_query *q, lrk_buf *b)
{
    b->n = 0;
    plume_print(q, b);
    assert_false(b->failed);
}

static bool same_expr(const plume_expr *a, const plume_expr *b)
{
    if (a->node != b->node || a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!same_expr(a->part[i], b->part[i])) return false;
    return a->node != PLUME_CMP ||
           (a->cmp.column == b->cmp.column && a->cmp.op == b->cmp.op &&
            a->cmp.number == b->cmp.number && a->cmp.n_text == b->cmp.n_text);
}

static void hold(const char *text)
{
    lrk_arena a = lrk_arena_growing("query");
    lrk_err err = {0};
    lrk_buf x = {0}, y = {0};
    const plume_query *q = NULL, *again = NULL, *c = NULL, *cc = NULL;
    if (plume_parse(text, strlen(text), false, &a, &q, NULL, &err) != LRK_OK ||
        plume_valid(q, &err) != LRK_OK)
        fail_msg("%s: %s", text, err.text);
    printed(q, &x);
    if (plume_parse(x.data, x.n, false, &a, &again, NULL, &err) != LRK_OK)
        fail_msg("%s: %s", x.data, err.text);
    printed(again, &y);
    assert_string_equal(x.data, y.data);
    assert_true(!q->where || same_expr(q->where, again->where));
    assert_int_equal(plume_canonical(q, &a, &c, &err), LRK_OK);
    assert_int_equal(plume_canonical(c, &a, &cc, &err), LRK_OK);
    printed(c, &x);
    printed(cc, &y);
    assert_string_equal(x.data, y.data);
    bool same = false;
    assert_int_equal(plume_same_meaning(q, c, db, PLUME_DATABASES, &same, &err), LRK_OK);
    if (!same) fail_msg("%s\n  has other results than %s", text, x.data);
    plume_verdict v;
    assert_int_equal(plume_check(text, x.data, false, db, &v, &err), LRK_OK);
    if (v.class != PLUME_OK) fail_msg("%s: %s: %s", text, plume_class_text(v.class), v.note);
    assert_true(v.parse && v.valid && v.equal && v.same);
    lrk_buf_free(&x);
    lrk_buf_free(&y);
    lrk_arena_free(&a);
}

static void random_queries(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QUERIES; i++) {
        plume_dice d = {{11, LRK_SITE_TEST, i}, 0};
        lrk_buf b = {0};
        random_query(&d, &b);
        hold(b.data);
        lrk_buf_free(&b);
    }
}

/* The generator's queries, and that its words are whole: no slot left open, no double blank. */
static void generated_queries(void **state)
{
    (void)state;
    uint32_t step = 0;
    for (int n = 0; n < QUERIES; step++) {
        plume_dice d = {{3, LRK_SITE_TEST, step}, 0};
        lrk_arena a = lrk_arena_growing("plan");
        lrk_err err = {0};
        plume_plan p;
        const char *query = NULL, *words = "";
        const plume_query *q = NULL;
        bool ok = false;
        assert_int_equal(plume_plan_draw(&d, "SLH"[step % 3], db, &a, &p, &ok, &err), LRK_OK);
        if (ok) assert_int_equal(plume_plan_english(&p, &d, &a, &words, &ok, &err), LRK_OK);
        if (ok) {
            assert_int_equal(plume_plan_query(&p, &a, &query, &err), LRK_OK);
            assert_int_equal(plume_parse(query, strlen(query), false, &a, &q, NULL, &err), LRK_OK);
            ok = plume_valid(q, NULL) == LRK_OK;
        }
        if (ok) {
            n++;
            hold(query);
            const size_t length = strlen(words);
            if (length < 3 || strpbrk(words, "{}()|") || strstr(words, "  ") ||
                strstr(words, " ,") || words[0] == ' ' || words[length - 1] == ' ' ||
                strstr(words, ",,"))
                fail_msg("'%s' for %s", words, query);
        }
        lrk_arena_free(&a);
    }
}

/* Mutants are valid, none is the query itself, and most of a rich query's differ from it. */
static void mutants(void **state)
{
    (void)state;
    static const char s[] = "spans | where not svc = \"cart\" and ok = false and dur_ms > 100 | "
                            "calc p95(dur_ms), count() | by region, svc"
                            " | keep count() > 2 | last 6h | sort p95(dur_ms) desc | take 5";
    lrk_arena a = lrk_arena_growing("test");
    const plume_query *q = NULL, *m[PLUME_MUTANTS];
    size_t n = 0, differ = 0;
    lrk_buf x = {0}, y = {0};
    assert_int_equal(plume_parse(s, strlen(s), false, &a, &q, NULL, NULL), LRK_OK);
    assert_int_equal(plume_mutants(q, &db[0], &a, m, &n, NULL), LRK_OK);
    assert_true(n >= 20);
    assert_int_equal(plume_canonical_text(q, &x, NULL), LRK_OK);
    for (size_t i = 0; i < n; i++) {
        bool same = true;
        assert_int_equal(plume_valid(m[i], NULL), LRK_OK);
        y.n = 0;
        assert_int_equal(plume_canonical_text(m[i], &y, NULL), LRK_OK);
        assert_string_not_equal(x.data, y.data);
        assert_int_equal(plume_same_meaning(q, m[i], db, PLUME_DATABASES, &same, NULL), LRK_OK);
        differ += !same;
    }
    assert_true(10 * differ >= 9 * n);
    lrk_buf_free(&x);
    lrk_buf_free(&y);
    lrk_arena_free(&a);
}

/* Levels and tags of a few queries, by hand. */
static void levels(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned rules;
        int level;
        bool held_out;
    } some[] = {
        {"logs | calc count() | last 2h", 1u << 1, 1, false},
        {"logs | where level = \"warn\" | calc count() | last 1h", 0, 1, false},
        {"logs | where level = \"warn\" and line_len > 9 | calc count() | last 1h", 0, 2, false},
        {"logs | calc count() | by svc | last 1h", 0, 2, false},
        {"logs | calc count() | by svc | last 1h | sort svc asc", 0, 3, false},
        {"spans | calc p95(dur_ms) | last 2h", 1u << 5 | 1u << 1, 3, false},
        {"spans | where ok = true or root = true | calc count() | last 1h", 0, 4, false},
        {"spans | where not svc = \"a\" | calc count() | last 1h", 1u << 1, 4, false},
        {"spans | calc count() | by svc | keep count() > 1 | last 1h", 1u << 3, 4, false},
        {"spans | calc rate(ok = false) | last 1h", 1u << 4, 4, false},
        {"spans | calc avg(dur_ms), count() | last 1h", 0, 4, false},
        {"spans | where root = true | calc rate(ok = false) | last 1h", 1u << 4 | 1u << 2, 5,
         false},
        {"spans | calc rate(ok = false) | by svc | keep rate(ok = false) > 0.5 | last 1h", 0, 4,
         true},
        {"spans | where ok = true or not svc = \"a\" | calc count() | last 1h", 0, 4, true},
        {"spans | calc p99(dur_ms) | by region, svc | last 1h", 0, 2, true},
        {"spans | calc uniq(svc) | by region | last 1h | sort uniq(svc) asc", 0, 3, true},
        {"spans | where peer exists and svc in (\"a\", \"b\") | calc count() | last 1h", 0, 2,
         true},
        {"spans | calc count() | by svc | from 2026-02-01T00:00 to 2026-02-02T00:00 | sort count() "
         "desc | take 3",
         0, 3, true},
        {"spans | where route starts \"/a\" | calc avg(dur_ms), count() | last 1h", 0, 4, true},
        {"spans | calc avg(dur_ms), count(), max(dur_ms) | last 1h", 0, 4, true},
    };
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        lrk_arena a = lrk_arena_growing("test");
        const plume_query *q = NULL;
        assert_int_equal(plume_parse(some[i].text, strlen(some[i].text), false, &a, &q, NULL, NULL),
                         LRK_OK);
        const plume_features f = plume_features_of(q, some[i].rules, false);
        if (plume_level(&f) != some[i].level || plume_held_out(&f) != some[i].held_out)
            fail_msg("%s: level %d, held out %d", some[i].text, plume_level(&f),
                     plume_held_out(&f));
        lrk_arena_free(&a);
    }
}

/* One prediction of each class. */
static void classes(void **state)
{
    (void)state;
    static const char gold[] = "spans | where svc = \"cart\" | calc count() | last 2h";
    static const struct {
        const char *pred;
        plume_class class;
        bool same;
    } some[] = {
        {"spans | where svc = \"cart\" | calc count() | last 2h", PLUME_OK, true},
        {" spans | where svc in (\"cart\") | calc count() | last 120m \n", PLUME_OK, true},
        {"", PLUME_EMPTY, false},
        {" \n", PLUME_EMPTY, false},
        {"Here is the query: spans | calc count() | last 2h", PLUME_PROSE, false},
        {"SELECT count(*) FROM spans", PLUME_PROSE, false},
        {"spans | where svc = \"ca", PLUME_TRUNCATED, false},
        {"spans | where svc = \"cart\" | ca", PLUME_TRUNCATED, false},
        {"spa", PLUME_TRUNCATED, false},
        {"spans | where svc = \"cart\" | count() | last 2h", PLUME_UNPARSED, false},
        {"spans | where service = \"cart\" | calc count() | last 2h", PLUME_UNPARSED, false},
        {"spans | where level = \"warn\" | calc count() | last 2h", PLUME_INVALID, false},
        {"spans | where svc = \"auth\" | calc count() | last 2h", PLUME_WRONG, false},
        {"logs | where svc = \"cart\" | calc count() | last 2h", PLUME_WRONG, false},
        {"spans | where svc = \"cart\" | calc count() | from 2026-03-01T10:00 to 2026-03-01T12:00",
         PLUME_WRONG, true},
    };
    plume_verdict v;
    lrk_err err = {0};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        assert_int_equal(plume_check(some[i].pred, gold, false, db, &v, &err), LRK_OK);
        if (v.class != some[i].class || v.same != some[i].same)
            fail_msg("%s: %s: %s", some[i].pred, plume_class_text(v.class), v.note);
        assert_int_equal(v.equal, v.class == PLUME_OK);
        assert_int_equal(v.valid, v.class == PLUME_OK || v.class == PLUME_WRONG);
        assert_int_equal(v.parse, v.valid || v.class == PLUME_INVALID);
    }
    assert_int_equal(plume_check(gold, "spans | calc", false, db, &v, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "gold"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_queries), cmocka_unit_test(generated_queries),
        cmocka_unit_test(mutants),        cmocka_unit_test(levels),
        cmocka_unit_test(classes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
