/* tests/unit/plume_canonical.c -- canonical forms worked out by hand from section 5 of the
 * language, the rules V1 to V5, and where parse errors are said to be. */
#include "plume/canonical.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* Canonical text of s, or "" and the message when it is no query. */
static void canonical(const char *s, lrk_buf *b, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("test");
    const plume_query *q = NULL;
    if (plume_parse(s, strlen(s), false, &a, &q, NULL, err) == LRK_OK)
        assert_int_equal(plume_canonical_text(q, b, err), LRK_OK);
    lrk_arena_free(&a);
}

static void expect(const char *from, const char *to)
{
    lrk_buf once = {0}, twice = {0};
    lrk_err err = {0};
    canonical(from, &once, &err);
    if (!once.data || strcmp(once.data, to) != 0)
        fail_msg("%s\n  gave     %s\n  expected %s\n  %s", from, once.data ? once.data : "", to,
                 err.text);
    canonical(to, &twice, &err);
    assert_string_equal(twice.data, to);
    lrk_buf_free(&once);
    lrk_buf_free(&twice);
}

#define CALC " | calc count() | last 2h"

/* Conditions on spans; from and to. */
static const char *const conditions[][2] = {
    /* 1 parentheses */
    {"(ok = true)", "ok = true"},
    {"((ok = true))", "ok = true"},
    {"retries > 0 and (ok = true and status > 1)", "ok = true and retries > 0 and status > 1"},
    {"(retries > 0 and ok = true) and status > 1", "ok = true and retries > 0 and status > 1"},
    {"retries > 0 or (ok = true or status > 1)", "ok = true or retries > 0 or status > 1"},
    {"(retries > 0 and ok = true) or status > 1", "ok = true and retries > 0 or status > 1"},
    {"(retries > 0 or ok = true) and status > 1", "(ok = true or retries > 0) and status > 1"},
    {"status > 1 and ((retries > 0 or (ok = true)))", "(ok = true or retries > 0) and status > 1"},
    {"((root = true and (ok = true and (status > 1))))",
     "ok = true and root = true and status > 1"},
    {"not (status > 1)", "not status > 1"},
    {"not (not (status > 1))", "status > 1"},
    /* 2 not goes inwards */
    {"not not ok = true", "ok = true"},
    {"not not not status > 1", "not status > 1"},
    {"not not not not status > 1", "status > 1"},
    {"not (status > 1 or retries > 2)", "not retries > 2 and not status > 1"},
    {"not (status > 1 and retries > 2)", "not retries > 2 or not status > 1"},
    {"not (not status > 1 or retries > 2)", "not retries > 2 and status > 1"},
    {"not (not status > 1 and not retries > 2)", "retries > 2 or status > 1"},
    {"not (status > 1 or retries > 2 and dur_ms < 3)",
     "(not dur_ms < 3 or not retries > 2) and not status > 1"},
    {"not ((status > 1 or retries > 2) and dur_ms < 3)",
     "not dur_ms < 3 or not retries > 2 and not status > 1"},
    {"root = true and not (status > 1 or retries > 2)",
     "not retries > 2 and not status > 1 and root = true"},
    {"not not (status > 1 or retries > 2)", "retries > 2 or status > 1"},
    {"not not (status > 1 or retries > 2) and root = true",
     "(retries > 2 or status > 1) and root = true"},
    /* 3 not of exists, missing, bool; other not stay */
    {"not peer missing", "peer exists"},
    {"not peer exists", "peer missing"},
    {"not not peer exists", "peer exists"},
    {"not bytes_out missing", "bytes_out exists"},
    {"not ok exists", "ok missing"},
    {"not ok = true", "ok = false"},
    {"not ok = false", "ok = true"},
    {"not not ok = false", "ok = false"},
    {"not (ok = true or peer missing)", "ok = false and peer exists"},
    {"not status = 1", "not status = 1"},
    {"not status != 1", "not status != 1"},
    {"not status > 1", "not status > 1"},
    {"not peer = \"s3\"", "not peer = \"s3\""},
    {"not peer != \"s3\"", "not peer != \"s3\""},
    {"not peer ~ \"s\"", "not peer ~ \"s\""},
    {"not peer !~ \"s\"", "not peer !~ \"s\""},
    {"not peer starts \"s\"", "not peer starts \"s\""},
    /* 4 one text column */
    {"svc = \"b\" or svc = \"a\"", "svc in (\"a\", \"b\")"},
    {"svc = \"a\" or svc = \"b\" or svc = \"c\"", "svc in (\"a\", \"b\", \"c\")"},
    {"svc = \"c\" or svc in (\"b\", \"a\")", "svc in (\"a\", \"b\", \"c\")"},
    {"svc in (\"d\", \"a\") or svc in (\"a\", \"c\")", "svc in (\"a\", \"c\", \"d\")"},
    {"not svc = \"a\" and not svc = \"b\"", "not svc in (\"a\", \"b\")"},
    {"not svc in (\"a\", \"b\") and not svc = \"c\"", "not svc in (\"a\", \"b\", \"c\")"},
    {"not (svc = \"b\" or svc = \"a\")", "not svc in (\"a\", \"b\")"},
    {"not (not svc = \"b\" and not svc = \"a\")", "svc in (\"a\", \"b\")"},
    {"svc = \"b\" or ok = true or svc = \"a\"", "ok = true or svc in (\"a\", \"b\")"},
    {"svc = \"b\" or (ok = true or svc = \"a\")", "ok = true or svc in (\"a\", \"b\")"},
    {"svc = \"b\" or route = \"/x\" or svc = \"a\" or route = \"/a\"",
     "route in (\"/a\", \"/x\") or svc in (\"a\", \"b\")"},
    {"root = true and (svc = \"b\" or svc = \"a\")", "root = true and svc in (\"a\", \"b\")"},
    {"(svc = \"b\" or svc = \"a\") and not region = \"x\" and not region = \"w\"",
     "not region in (\"w\", \"x\") and svc in (\"a\", \"b\")"},
    {"svc = \"b\" and svc = \"a\"", "svc = \"a\" and svc = \"b\""},
    {"svc != \"b\" and svc != \"a\"", "svc != \"a\" and svc != \"b\""},
    {"not svc = \"b\" or not svc = \"a\"", "not svc = \"a\" or not svc = \"b\""},
    {"svc = \"b\" or svc ~ \"a\"", "svc = \"b\" or svc ~ \"a\""},
    {"status = 2 or status = 1", "status = 1 or status = 2"},
    {"svc = \"b\" or ok = true and svc = \"a\"", "ok = true and svc = \"a\" or svc = \"b\""},
    {"not svc = \"a\" and svc = \"b\"", "not svc = \"a\" and svc = \"b\""},
    /* 5 lists */
    {"svc in (\"b\", \"a\")", "svc in (\"a\", \"b\")"},
    {"svc in (\"b\", \"a\", \"b\")", "svc in (\"a\", \"b\")"},
    {"svc in (\"a\")", "svc = \"a\""},
    {"svc in (\"a\", \"a\")", "svc = \"a\""},
    {"not svc in (\"a\")", "not svc = \"a\""},
    {"not svc in (\"b\", \"a\")", "not svc in (\"a\", \"b\")"},
    {"svc in (\"b\", \"B\", \"a\")", "svc in (\"B\", \"a\", \"b\")"},
    {"svc in (\"a\") or svc in (\"a\")", "svc = \"a\""},
    /* 6 repeats */
    {"ok = true and ok = true", "ok = true"},
    {"ok = true or ok = true", "ok = true"},
    {"svc = \"a\" or svc = \"a\"", "svc = \"a\""},
    {"status > 1 and ok = true and status > 1", "ok = true and status > 1"},
    {"(status > 1 or ok = true) and (ok = true or status > 1)", "ok = true or status > 1"},
    {"ok = true and not ok = false", "ok = true"},
    {"status > 1 and status > 1.0", "status > 1"},
    {"root = true and (ok = true or not ok = false)", "ok = true and root = true"},
    {"not svc = \"a\" and not svc = \"a\"", "not svc = \"a\""},
    {"(ok = true or root = true and root = true) or ok = true", "ok = true or root = true"},
    /* 7 numbers */
    {"dur_ms > 1.50", "dur_ms > 1.5"},
    {"dur_ms > -0", "dur_ms > 0"},
    {"dur_ms > -0.000", "dur_ms > 0"},
    {"dur_ms > 2.000", "dur_ms > 2"},
    {"dur_ms > -2.050", "dur_ms > -2.05"},
    {"dur_ms > 0.005", "dur_ms > 0.005"},
    {"dur_ms > 999999999.999", "dur_ms > 999999999.999"},
    /* 9 byte order */
    {"svc = \"b\" and route = \"/a\" and not status > 1",
     "not status > 1 and route = \"/a\" and svc = \"b\""},
    {"status > 9 and status > 10", "status > 10 and status > 9"},
    {"svc = \"a\" and (status > 1 or ok = true)", "(ok = true or status > 1) and svc = \"a\""},
    {"retries > 1 or retries < 1 or retries = 1", "retries < 1 or retries = 1 or retries > 1"},
    {"svc = \"b\" and svc !~ \"b\" and svc ~ \"b\" and svc starts \"b\"",
     "svc !~ \"b\" and svc = \"b\" and svc starts \"b\" and svc ~ \"b\""},
    {"svc = \"\303\251\" or svc = \"z\"", "svc in (\"z\", \"\303\251\")"},
};

static void conditions_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(conditions); i++) {
        lrk_buf from = {0}, to = {0};
        lrk_buf_printf(&from, "spans | where %s" CALC, conditions[i][0]);
        lrk_buf_printf(&to, "spans | where %s" CALC, conditions[i][1]);
        expect(from.data, to.data);
        lrk_buf_free(&from);
        lrk_buf_free(&to);
    }
}

/* Whole queries. */
static const char *const queries[][2] = {
    {"logs | calc count() | last 120m", "logs | calc count() | last 2h"},
    {"logs | calc count() | last 60m", "logs | calc count() | last 1h"},
    {"logs | calc count() | last 90m", "logs | calc count() | last 90m"},
    {"logs | calc count() | last 720m", "logs | calc count() | last 12h"},
    {"logs | calc count() | last 24h", "logs | calc count() | last 1d"},
    {"logs | calc count() | last 36h", "logs | calc count() | last 36h"},
    {"logs | calc count() | last 168h", "logs | calc count() | last 1w"},
    {"logs | calc count() | last 7d", "logs | calc count() | last 1w"},
    {"logs | calc count() | last 14d", "logs | calc count() | last 2w"},
    {"logs | calc count() | last 10d", "logs | calc count() | last 10d"},
    {"logs | calc count() | last 999m", "logs | calc count() | last 999m"},
    {"logs | calc count() | from 2026-02-28T00:00 to 2026-03-01T00:00",
     "logs | calc count() | from 2026-02-28T00:00 to 2026-03-01T00:00"},
    {"spans | calc p95(dur_ms), count(), avg(dur_ms) | last 2h",
     "spans | calc avg(dur_ms), count(), p95(dur_ms) | last 2h"},
    {"spans | calc p50(dur_ms), p50(bytes_out) | last 2h",
     "spans | calc p50(bytes_out), p50(dur_ms) | last 2h"},
    {"spans | calc rate(svc in (\"b\", \"a\")) | last 2h",
     "spans | calc rate(svc in (\"a\", \"b\")) | last 2h"},
    {"spans | calc rate(svc in (\"a\")) | last 2h", "spans | calc rate(svc = \"a\") | last 2h"},
    {"spans | calc rate(dur_ms > 1.0) | last 2h", "spans | calc rate(dur_ms > 1) | last 2h"},
    {"spans | calc count() | by svc, region | last 2h",
     "spans | calc count() | by region, svc | last 2h"},
    {"spans | calc count() | by svc, root, peer | last 2h",
     "spans | calc count() | by peer, root, svc | last 2h"},
    {"spans | calc count() | by svc | keep count() > 9 and count() < 20 | last 2h",
     "spans | calc count() | by svc | keep count() < 20 and count() > 9 | last 2h"},
    {"spans | calc count() | by svc | keep count() > 9 and count() > 9.0 | last 2h",
     "spans | calc count() | by svc | keep count() > 9 | last 2h"},
    {"spans | calc rate(svc in (\"b\", \"a\")) | by route | keep rate(svc in (\"b\", \"a\")) > "
     "0.50 | last 60m | sort rate(svc in (\"b\", \"a\")) desc | take 5",
     "spans | calc rate(svc in (\"a\", \"b\")) | by route | keep rate(svc in (\"a\", \"b\")) > 0.5 "
     "| last 1h | sort rate(svc in (\"a\", \"b\")) desc | take 5"},
    {"spans | where not (svc = \"b\" or not peer exists or svc = \"a\") | calc count() | by svc | "
     "last 48h | sort svc asc",
     "spans | where not svc in (\"a\", \"b\") and peer exists | calc count() | by svc | last 2d | "
     "sort svc asc"},
};

static void queries_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(queries); i++) expect(queries[i][0], queries[i][1]);
    assert_true(COUNT(queries) + COUNT(conditions) >= 80);
}

/* Text, the byte at which it stops being a query, and whether it is a query cut off. */
static const struct {
    const char *text;
    size_t at;
    bool cut;
} broken[] = {
    {"", 0, true},
    {"spa", 0, true},
    {"span | calc count() | last 2h", 0, false},
    {" spans | calc count() | last 2h", 0, false},
    {"SPANS | calc count() | last 2h", 0, false},
    {"deploys | calc count() | last 2h", 0, false},
    {"spans", 5, true},
    {"spans ", 6, true},
    {"spans| calc count() | last 2h", 5, false},
    {"spans |", 7, true},
    {"spans | calc", 12, true},
    {"spans | count() | last 2h", 8, false},
    {"spans | last 2h", 8, false},
    {"spans | by svc | last 2h", 8, false},
    {"spans | calc count() | where ok = true | last 2h", 23, false},
    {"spans | calc count()", 20, true},
    {"spans | calc count() ", 21, true},
    {"spans | calc count( | last 2h", 19, false},
    {"spans | calc count(dur_ms) | last 2h", 19, false},
    {"spans | calc mean(dur_ms) | last 2h", 13, false},
    {"spans | calc p9", 13, true},
    {"spans | calc p95(svc) | last 2h", 17, false},
    {"spans | calc p95(dur) | last 2h", 17, false},
    {"spans | calc p95(dur_ms | last 2h", 23, false},
    {"spans | calc sum(ok) | last 2h", 17, false},
    {"spans | calc uniq() | last 2h", 18, false},
    {"spans | calc rate(ok) | last 2h", 20, false},
    {"spans | calc rate(ok = true and root = true) | last 2h", 27, false},
    {"spans | calc count(),p95(dur_ms) | last 2h", 20, false},
    {"spans | calc count(), | last 2h", 22, false},
    {"spans | calc count() | by | last 2h", 26, false},
    {"spans | calc count() | by svc,route | last 2h", 29, false},
    {"spans | calc count() | by service | last 2h", 26, false},
    {"spans | calc count() | by depth | last 2h", 26, false},
    {"spans | calc count() | last 2h | by svc", 33, false},
    {"spans | calc count() | by svc | keep count() | last 2h", 44, false},
    {"spans | calc count() | by svc | keep svc > 1 | last 2h", 37, false},
    {"spans | calc count() | by svc | keep count() > 1 or count() < 9 | last 2h", 48, false},
    {"spans | calc count() | by svc | keep count() exists | last 2h", 51, false},
    {"spans | calc count() | last 0h", 28, false},
    {"spans | calc count() | last h", 28, false},
    {"spans | calc count() | last 2", 29, true},
    {"spans | calc count() | last 2s", 29, false},
    {"spans | calc count() | last 1000h", 31, false},
    {"spans | calc count() | last 02h", 28, false},
    {"spans | calc count() | last 2h ", 31, true},
    {"spans | calc count() | last 2h\n", 30, false},
    {"spans | calc count() | last 2h | last 3h", 33, false},
    {"spans | calc count() | from 2026-03-01 to 2026-03-02T00:00", 38, false},
    {"spans | calc count() | from 2026-3-01T00:00 to 2026-03-02T00:00", 34, false},
    {"spans | calc count() | from 2026-03-01T00:00", 44, true},
    {"spans | calc count() | from 2026-03-01T00:00 until 2026-03-02T00:00", 44, false},
    {"spans | calc count() | by svc | last 2h | sort count()", 54, true},
    {"spans | calc count() | by svc | last 2h | sort count() down", 54, false},
    {"spans | calc count() | by svc | last 2h | sort foo asc", 47, false},
    {"spans | calc count() | by svc | last 2h | sort svc asc | take 0", 62, false},
    {"spans | where ok = yes | calc count() | last 2h", 19, false},
    {"spans | where ok != true | calc count() | last 2h", 16, false},
    {"spans | where svc == \"a\" | calc count() | last 2h", 17, false},
    {"spans | where svc > \"a\" | calc count() | last 2h", 17, false},
    {"spans | where svc = cart | calc count() | last 2h", 20, false},
    {"spans | where svc = 'cart' | calc count() | last 2h", 20, false},
    {"spans | where svc = \"\" | calc count() | last 2h", 21, false},
    {"spans | where svc = \"a", 22, true},
    {"spans | where svc = \"a\\\"b\" | calc count() | last 2h", 22, false},
    {"spans | where svc = \"a\tb\" | calc count() | last 2h", 22, false},
    {"spans | where svc = \"a\377\" | calc count() | last 2h", 22, false},
    {"spans | where svc in () | calc count() | last 2h", 22, false},
    {"spans | where svc in (\"a\",\"b\") | calc count() | last 2h", 25, false},
    {"spans | where svc in (1) | calc count() | last 2h", 22, false},
    {"spans | where status = \"200\" | calc count() | last 2h", 23, false},
    {"spans | where status = 0200 | calc count() | last 2h", 24, false},
    {"spans | where status = 1234567890 | calc count() | last 2h", 32, false},
    {"spans | where status = 1.2345 | calc count() | last 2h", 28, false},
    {"spans | where status = 1. | calc count() | last 2h", 25, false},
    {"spans | where status = .5 | calc count() | last 2h", 23, false},
    {"spans | where status = +5 | calc count() | last 2h", 23, false},
    {"spans | where status ~ 5 | calc count() | last 2h", 20, false},
    {"spans | where status in (5) | calc count() | last 2h", 20, false},
    {"spans | where (ok = true | calc count() | last 2h", 24, false},
    {"spans | where ok = true) | calc count() | last 2h", 23, false},
    {"spans | where not | calc count() | last 2h", 18, false},
    {"spans | where ok = true and | calc count() | last 2h", 28, false},
    {"spans | where ok = true  and root = true | calc count() | last 2h", 23, false},
    {"spans | where ok = true AND root = true | calc count() | last 2h", 23, false},
    {"spans | where app = \"a\" | calc count() | last 2h", 14, false},
};

static void errors_are_placed(void **state)
{
    (void)state;
    assert_true(COUNT(broken) >= 60);
    for (size_t i = 0; i < COUNT(broken); i++) {
        lrk_arena a = lrk_arena_growing("test");
        lrk_err err = {0};
        plume_fault fault = {0};
        const plume_query *q = NULL;
        const char *s = broken[i].text;
        if (plume_parse(s, strlen(s), false, &a, &q, &fault, &err) != LRK_EINPUT)
            fail_msg("accepted: %s", s);
        if (fault.at != broken[i].at || fault.cut != broken[i].cut)
            fail_msg("%s\n  at %zu, cut %d; expected %zu, %d: %s", s, fault.at, fault.cut,
                     broken[i].at, broken[i].cut, err.text);
        assert_non_null(strstr(err.text, "expected"));
        lrk_arena_free(&a);
    }
}

/* Grammatical, but against a rule; "" where all is well. */
static const char *const rules[][2] = {
    {"spans | where level = \"warn\" | calc count() | last 2h", "V1"},
    {"spans | where ok = true or not (level = \"warn\") | calc count() | last 2h", "V1"},
    {"spans | calc avg(cpu_pct) | last 2h", "V1"},
    {"hosts | calc count() | by svc | last 2h", "V1"},
    {"logs | calc rate(ok = false) | last 2h", "V1"},
    {"logs | calc uniq(host) | last 2h", "V1"},
    {"spans | calc count(), count() | last 2h", "V2"},
    {"spans | calc rate(dur_ms > 1), rate(dur_ms > 1.0) | last 2h", "V2"},
    {"spans | calc rate(svc = \"a\"), rate(svc in (\"a\")) | last 2h", "V2"},
    {"spans | calc count() | by svc, region, svc | last 2h", "V2"},
    {"spans | calc count() | by svc | keep p95(dur_ms) > 1 | last 2h", "V3"},
    {"spans | calc p95(dur_ms) | by svc | last 2h | sort count() desc", "V3"},
    {"spans | calc count() | by svc | last 2h | sort region asc", "V3"},
    {"spans | calc rate(ok = true) | by svc | keep rate(ok = false) > 1 | last 2h", "V3"},
    {"spans | calc count() | keep count() > 1 | last 2h", "V4"},
    {"spans | calc count() | last 2h | sort count() desc", "V4"},
    {"spans | calc count() | by svc | last 2h | take 5", "V4"},
    {"spans | calc count() | from 2026-02-30T00:00 to 2026-03-01T00:00", "V5"},
    {"spans | calc count() | from 2025-02-29T00:00 to 2026-03-01T00:00", "V5"},
    {"spans | calc count() | from 2026-02-28T24:00 to 2026-03-01T00:00", "V5"},
    {"spans | calc count() | from 2026-02-28T23:60 to 2026-03-01T00:00", "V5"},
    {"spans | calc count() | from 2026-13-01T00:00 to 2027-03-01T00:00", "V5"},
    {"spans | calc count() | from 2026-00-01T00:00 to 2027-03-01T00:00", "V5"},
    {"spans | calc count() | from 2026-03-00T00:00 to 2027-03-01T00:00", "V5"},
    {"spans | calc count() | from 2026-03-01T00:00 to 2026-03-01T00:00", "V5"},
    {"spans | calc count() | from 2026-03-02T00:00 to 2026-03-01T23:59", "V5"},
    {"spans | calc count() | from 2024-02-29T00:00 to 2024-03-01T00:00", ""},
    {"spans | calc count() | from 0000-02-29T00:00 to 0000-03-01T00:00", ""},
    {"spans | calc count() | from 2026-03-01T00:00 to 2026-03-01T00:01", ""},
    {"spans | calc rate(svc in (\"a\")) | by ok | keep rate(svc = \"a\") > 0 | last 2h | sort "
     "rate(svc = \"a\") asc | take 3",
     ""},
    {"hosts | calc count() | by host, os | last 2h | sort os desc | take 999", ""},
};

static void rules_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rules); i++) {
        lrk_arena a = lrk_arena_growing("test");
        lrk_err err = {0};
        const plume_query *q = NULL;
        const char *s = rules[i][0];
        assert_int_equal(plume_parse(s, strlen(s), false, &a, &q, NULL, &err), LRK_OK);
        const lrk_status got = plume_valid(q, &err);
        if ((got == LRK_OK) != !*rules[i][1] ||
            strncmp(err.text, rules[i][1], strlen(rules[i][1])) != 0)
            fail_msg("%s\n  expected '%s', got '%s'", s, rules[i][1], err.text);
        lrk_arena_free(&a);
    }
}

static void held_out_tables_only_when_asked(void **state)
{
    (void)state;
    static const char s[] =
        "deploys | where app = \"billing\" | calc p95(took_s) | by stage | last 1w";
    lrk_arena a = lrk_arena_growing("test");
    lrk_err err = {0};
    const plume_query *q = NULL;
    assert_int_equal(plume_parse(s, strlen(s), false, &a, &q, NULL, NULL), LRK_EINPUT);
    assert_int_equal(plume_parse(s, strlen(s), true, &a, &q, NULL, &err), LRK_OK);
    assert_int_equal(plume_valid(q, &err), LRK_OK);
    lrk_arena_free(&a);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    lrk_arena a = lrk_arena_growing("test");
    const plume_query *q = NULL;
    for (int depth = 150; depth <= 100000; depth *= 25) {
        lrk_buf b = {0};
        lrk_buf_puts(&b, "spans | where ");
        for (int i = 0; i < depth; i++) lrk_buf_puts(&b, i % 2 ? "(" : "not ");
        lrk_buf_puts(&b, "ok = true");
        for (int i = 0; i < depth / 2; i++) lrk_buf_puts(&b, ")");
        lrk_buf_puts(&b, CALC);
        assert_int_equal(plume_parse(b.data, b.n, false, &a, &q, NULL, NULL),
                         depth < PLUME_MAX_DEPTH ? LRK_OK : LRK_EINPUT);
        lrk_buf_free(&b);
    }
    lrk_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_by_hand),
        cmocka_unit_test(queries_by_hand),
        cmocka_unit_test(errors_are_placed),
        cmocka_unit_test(rules_are_named),
        cmocka_unit_test(held_out_tables_only_when_asked),
        cmocka_unit_test(nesting_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
