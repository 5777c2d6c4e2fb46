/* plume/check.c -- verdicts, and their JSON lines. */
#include "plume/check.h"

#include "base/json.h"
#include "plume/canonical.h"
#include "plume/execute.h"

#include <string.h>

static const char *const classes[] = {"ok",    "empty",    "prose", "truncated",
                                      "parse", "semantic", "wrong"};

const char *plume_class_text(plume_class c) { return classes[c]; }

static void note(plume_verdict *v, const char *text)
{
    size_t n = strlen(text);
    if (n >= sizeof v->note) n = sizeof v->note - 1;
    memcpy(v->note, text, n);
    v->note[n] = '\0';
}

static bool begins_with_table(const char *s, size_t n)
{
    size_t word = 0;
    plume_table t;
    while (word < n && s[word] >= 'a' && s[word] <= 'z') word++;
    if (plume_table_find(s, word, &t)) return word == n || s[word] == ' ' || s[word] == '|';
    for (int i = 0; word && word == n && i < PLUME_TABLES; i++)
        if (strncmp(plume_table_text((plume_table)i), s, n) == 0) return true;
    return false;
}

static void trim(const char **s, size_t *n)
{
    while (*n && strchr(" \t\r\n", (*s)[0])) (*s)++, (*n)--;
    while (*n && strchr(" \t\r\n", (*s)[*n - 1])) (*n)--;
}

static lrk_status judge(const char *pred, const plume_query *gold, bool held_out,
                        const plume_database *db, lrk_arena *a, plume_verdict *v, lrk_err *err)
{
    lrk_err why = {0};
    plume_fault fault = {0};
    const plume_query *q = NULL;
    size_t n = strlen(pred);
    trim(&pred, &n);
    *v = (plume_verdict){.class = PLUME_OK};
    lrk_status s = plume_parse(pred, n, held_out, a, &q, &fault, &why);
    if (s == LRK_ENOMEM) return lrk_fail(err, s, "%s", why.text);
    if (s != LRK_OK) {
        v->class = !n                            ? PLUME_EMPTY
                   : !begins_with_table(pred, n) ? PLUME_PROSE
                   : fault.cut                   ? PLUME_TRUNCATED
                                                 : PLUME_UNPARSED;
        note(v, why.text);
        return LRK_OK;
    }
    v->parse = true;
    s = plume_valid(q, &why);
    if (s != LRK_OK) {
        v->class = PLUME_INVALID;
        note(v, why.text);
        return s == LRK_ENOMEM ? lrk_fail(err, s, "%s", why.text) : LRK_OK;
    }
    v->valid = true;
    lrk_buf x = {0}, y = {0};
    s = plume_canonical_text(gold, &x, err);
    if (s == LRK_OK) s = plume_canonical_text(q, &y, err);
    if (s == LRK_OK) {
        v->equal = strcmp(x.data, y.data) == 0;
        v->same = v->equal;
    }
    if (s == LRK_OK && !v->equal) {
        v->class = PLUME_WRONG;
        if (db && gold->table == q->table)
            s = plume_same_meaning(gold, q, db, PLUME_DATABASES, &v->same, err);
        note(v, v->same ? "same results, another canonical form" : "another query");
    }
    lrk_buf_free(&x);
    lrk_buf_free(&y);
    return s;
}

lrk_status plume_check(const char *pred, const char *gold, bool held_out, const plume_database *db,
                       plume_verdict *v, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("check");
    const plume_query *q = NULL;
    lrk_status s = plume_parse(gold, strlen(gold), held_out, &a, &q, NULL, err);
    if (s == LRK_OK) s = plume_valid(q, err);
    if (s != LRK_OK)
        lrk_err_prefix(err, s, "gold '%.200s'", gold);
    else
        s = judge(pred, q, held_out, db, &a, v, err);
    lrk_arena_free(&a);
    return s;
}

static void member(lrk_buf *b, const char *name, bool value)
{
    lrk_buf_printf(b, ", \"%s\": %s", name, value ? "true" : "false");
}

static lrk_status answer(const lrk_json *row, const plume_database *db, lrk_buf *b, lrk_err *err)
{
    plume_verdict v = {0};
    const lrk_json *id = lrk_json_get(row, "id");
    const char *pred = lrk_json_string(lrk_json_get(row, "pred"), NULL);
    const char *gold = lrk_json_string(lrk_json_get(row, "gold"), NULL);
    const char *schema = lrk_json_string(lrk_json_get(row, "schema"), NULL);
    plume_table t;
    LRK_REQUIRE(err, id && pred && gold, LRK_EINPUT,
                "expected {\"id\": .., \"pred\": \"..\", \"gold\": \"..\"}");
    const bool held_out =
        schema && plume_table_find(schema, strlen(schema), &t) && plume_table_held_out(t);
    LRK_TRY(plume_check(pred, gold, held_out, db, &v, err));
    lrk_buf_puts(b, "{\"id\": ");
    LRK_TRY(lrk_json_dump(id, 0, b, err));
    member(b, "parse", v.parse);
    member(b, "valid", v.valid);
    member(b, "equal", v.equal);
    member(b, "same", v.same);
    lrk_buf_printf(b, ", \"class\": \"%s\", \"note\": ", classes[v.class]);
    lrk_json_quote(b, v.note, strlen(v.note));
    lrk_buf_puts(b, "}");
    return lrk_buf_check(b, err);
}

lrk_status plume_check_line(const char *line, size_t n, const plume_database *db, lrk_buf *b,
                            lrk_err *err)
{
    lrk_json *row = NULL;
    lrk_status s = lrk_json_parse(&row, line, n, "check", err);
    if (s == LRK_OK) s = answer(row, db, b, err);
    lrk_json_free(row);
    return s;
}
