/* data/template/tests.c -- what stands after `is`. */
#include "data/template/text.h"
#include "data/template/value.h"

#include <string.h>

typedef lrk_status (*test_fn)(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out);

static lrk_status t_defined(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    (void)r;
    (void)arg;
    *out = v.kind != LRK_JV_UNDEFINED;
    return LRK_OK;
}

static lrk_status t_undefined(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    (void)r;
    (void)arg;
    *out = v.kind == LRK_JV_UNDEFINED;
    return LRK_OK;
}

#define KIND_TEST(name, condition)                                                                 \
    static lrk_status name(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)            \
    {                                                                                              \
        (void)r;                                                                                   \
        (void)arg;                                                                                 \
        *out = (condition);                                                                        \
        return LRK_OK;                                                                             \
    }
KIND_TEST(t_none, v.kind == LRK_JV_NONE)
KIND_TEST(t_boolean, v.kind == LRK_JV_BOOL)
KIND_TEST(t_true, v.kind == LRK_JV_BOOL && v.as.boolean)
KIND_TEST(t_false, v.kind == LRK_JV_BOOL && !v.as.boolean)
KIND_TEST(t_integer, v.kind == LRK_JV_INT)
KIND_TEST(t_float, v.kind == LRK_JV_REAL)
KIND_TEST(t_number, v.kind == LRK_JV_INT || v.kind == LRK_JV_REAL || v.kind == LRK_JV_BOOL)
KIND_TEST(t_string, v.kind == LRK_JV_STR)
KIND_TEST(t_mapping, v.kind == LRK_JV_DICT)
KIND_TEST(t_escaped, v.kind == LRK_JV_STR && v.as.str->safe)
KIND_TEST(t_callable, v.kind == LRK_JV_MACRO || v.kind == LRK_JV_FUNCTION ||
                          v.kind == LRK_JV_METHOD || v.kind == LRK_JV_LOOP ||
                          v.kind == LRK_JV_UNDEFINED)
KIND_TEST(t_iterable, v.kind == LRK_JV_STR || v.kind == LRK_JV_DICT || v.kind == LRK_JV_LOOP ||
                          v.kind == LRK_JV_UNDEFINED || lrk_j_is_seq(v.kind))
KIND_TEST(t_sequence, v.kind == LRK_JV_STR || v.kind == LRK_JV_LIST || v.kind == LRK_JV_TUPLE ||
                          v.kind == LRK_JV_RANGE || v.kind == LRK_JV_DICT ||
                          v.kind == LRK_JV_UNDEFINED)

static lrk_status modulo(lrk_jrun *r, lrk_jvalue v, lrk_jvalue by, int64_t want, bool *out)
{
    lrk_jvalue rest;
    LRK_TRY(lrk_j_binary(r, LRK_JOP_MOD, v, by, &rest));
    return lrk_j_equal(r, rest, lrk_j_int(want), out);
}

static lrk_status t_odd(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    (void)arg;
    return modulo(r, v, lrk_j_int(2), 1, out);
}

static lrk_status t_even(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    (void)arg;
    return modulo(r, v, lrk_j_int(2), 0, out);
}

static lrk_status t_divisibleby(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    return modulo(r, v, arg[0], 0, out);
}

/* Whether str(v) has a letter of the case and none of the other. */
static lrk_status has_case(lrk_jrun *r, lrk_jvalue v, bool upper, bool *out)
{
    LRK_TRY(lrk_j_to_str(r, v, &v));
    bool right = false, wrong = false;
    for (size_t i = 0; i < v.as.str->n; i++) {
        const unsigned char c = (unsigned char)v.as.str->s[i];
        if (c >= 0x80) return lrk_j_fail(r, LRK_ESUPPORT, "the case of text beyond ASCII");
        right = right || (upper ? c >= 'A' && c <= 'Z' : c >= 'a' && c <= 'z');
        wrong = wrong || (upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z');
    }
    *out = right && !wrong;
    return LRK_OK;
}

static lrk_status t_lower(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    (void)arg;
    return has_case(r, v, false, out);
}

static lrk_status t_upper(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    (void)arg;
    return has_case(r, v, true, out);
}

static lrk_status t_in(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    return lrk_j_contains(r, arg[0], v, out);
}

static lrk_status t_eq(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    return lrk_j_equal(r, v, arg[0], out);
}

static lrk_status t_ne(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    LRK_TRY(lrk_j_equal(r, v, arg[0], out));
    *out = !*out;
    return LRK_OK;
}

static lrk_status t_lt(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    return lrk_j_compare(r, LRK_JOP_LT, v, arg[0], out);
}

static lrk_status t_le(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    return lrk_j_compare(r, LRK_JOP_LE, v, arg[0], out);
}

static lrk_status t_gt(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    return lrk_j_compare(r, LRK_JOP_GT, v, arg[0], out);
}

static lrk_status t_ge(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    return lrk_j_compare(r, LRK_JOP_GE, v, arg[0], out);
}

/* Python's `is`: safe to say of the constants only. */
static lrk_status t_sameas(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue *arg, bool *out)
{
    if (v.kind != LRK_JV_BOOL && v.kind != LRK_JV_NONE && arg->kind != LRK_JV_BOOL &&
        arg->kind != LRK_JV_NONE)
        return lrk_j_fail(r, LRK_ESUPPORT, "sameas of other than true, false and none");
    *out = v.kind == arg->kind && (v.kind == LRK_JV_NONE || v.as.boolean == arg->as.boolean);
    return LRK_OK;
}

static const struct {
    const char *name;
    test_fn call;
    size_t n_args;
} tests[] = {
    {"defined", t_defined, 0},
    {"undefined", t_undefined, 0},
    {"none", t_none, 0},
    {"boolean", t_boolean, 0},
    {"true", t_true, 0},
    {"false", t_false, 0},
    {"integer", t_integer, 0},
    {"float", t_float, 0},
    {"number", t_number, 0},
    {"string", t_string, 0},
    {"mapping", t_mapping, 0},
    {"escaped", t_escaped, 0},
    {"callable", t_callable, 0},
    {"iterable", t_iterable, 0},
    {"sequence", t_sequence, 0},
    {"odd", t_odd, 0},
    {"even", t_even, 0},
    {"divisibleby", t_divisibleby, 1},
    {"lower", t_lower, 0},
    {"upper", t_upper, 0},
    {"in", t_in, 1},
    {"eq", t_eq, 1},
    {"equalto", t_eq, 1},
    {"==", t_eq, 1},
    {"ne", t_ne, 1},
    {"!=", t_ne, 1},
    {"lt", t_lt, 1},
    {"lessthan", t_lt, 1},
    {"<", t_lt, 1},
    {"le", t_le, 1},
    {"<=", t_le, 1},
    {"gt", t_gt, 1},
    {"greaterthan", t_gt, 1},
    {">", t_gt, 1},
    {"ge", t_ge, 1},
    {">=", t_ge, 1},
    {"sameas", t_sameas, 1},
};

int lrk_jtest_known(const char *name)
{
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (strcmp(tests[i].name, name) == 0) return 2;
    return !strcmp(name, "filter") || !strcmp(name, "test");
}

lrk_status lrk_j_test(lrk_jrun *r, const char *name, lrk_jvalue v, const lrk_jargs *args, bool *out)
{
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (strcmp(tests[i].name, name) != 0) continue;
        if (args->n_keywords) return lrk_j_fail(r, LRK_ESUPPORT, "keywords in a test");
        if (args->n != tests[i].n_args)
            return lrk_j_fail(r, LRK_EINPUT, "test %s takes %zu argument(s), %zu given", name,
                              tests[i].n_args, args->n);
        return tests[i].call(r, v, args->at, out);
    }
    return lrk_jtest_known(name) ? lrk_j_fail(r, LRK_ESUPPORT, "test %s", name)
                                 : lrk_j_fail(r, LRK_EINPUT, "No test named '%s' found.", name);
}
