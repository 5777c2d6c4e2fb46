/* data/template/filters.c -- filters of texts, numbers and single values. */
#include "data/template/filters.h"
#include "data/template/strings.h"
#include "data/template/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILTER(name)                                                                               \
    static lrk_status name(lrk_jrun *r, lrk_jvalue v, const lrk_jargs *args, lrk_jvalue *out)

static lrk_status no_arguments(lrk_jrun *r, const char *what, const lrk_jargs *args)
{
    return lrk_j_bind(r, what, args, NULL, 0, 0, NULL);
}

/* soft_str() of the reference: strings stay, other values print. */
static lrk_status text_of(lrk_jrun *r, lrk_jvalue v, const lrk_jstr **out)
{
    if (v.kind == LRK_JV_STR && v.as.str->safe)
        return lrk_j_fail(r, LRK_ESUPPORT, "filters on text that went through |safe");
    LRK_TRY(lrk_j_to_str(r, v, &v));
    *out = v.as.str;
    return LRK_OK;
}

FILTER(f_default)
{
    static const char *const names[] = {"default_value", "boolean"};
    lrk_jvalue a[2];
    LRK_TRY(lrk_j_bind(r, "default", args, names, 2, 0, a));
    *out = v;
    if (v.kind != LRK_JV_UNDEFINED && !(lrk_j_true(a[1]) && !lrk_j_true(v))) return LRK_OK;
    if (a[0].kind == LRK_JV_MISSING) return lrk_j_text(r, "", 0, out);
    *out = a[0];
    return LRK_OK;
}

FILTER(f_string)
{
    LRK_TRY(no_arguments(r, "string", args));
    *out = v;
    return v.kind == LRK_JV_STR ? LRK_OK : lrk_j_to_str(r, v, out);
}

FILTER(f_safe)
{
    lrk_jstr *copy;
    LRK_TRY(no_arguments(r, "safe", args));
    LRK_TRY(lrk_j_to_str(r, v, &v));
    LRK_TRY(lrk_j_take(r, 1, sizeof *copy, &copy));
    *copy = *v.as.str;
    copy->safe = true;
    *out = (lrk_jvalue){.kind = LRK_JV_STR, .as.str = copy};
    return LRK_OK;
}

FILTER(f_trim)
{
    static const char *const names[] = {"chars"};
    const lrk_jstr *s, *chars = NULL;
    lrk_jvalue a;
    LRK_TRY(lrk_j_bind(r, "trim", args, names, 1, 0, &a));
    LRK_TRY(text_of(r, v, &s));
    if (a.kind != LRK_JV_MISSING && a.kind != LRK_JV_NONE)
        LRK_TRY(lrk_j_want_str(r, "strip arg", a, &chars));
    return lrk_j_strip(r, s, chars, true, true, out);
}

static lrk_status cased(lrk_jrun *r, lrk_jvalue v, const lrk_jargs *args, lrk_jcase how,
                        lrk_jvalue *out)
{
    const lrk_jstr *s;
    LRK_TRY(no_arguments(r, "this filter", args));
    LRK_TRY(text_of(r, v, &s));
    return lrk_j_case(r, s, how, out);
}

FILTER(f_upper) { return cased(r, v, args, LRK_J_UPPER, out); }

FILTER(f_lower) { return cased(r, v, args, LRK_J_LOWER, out); }

FILTER(f_capitalize) { return cased(r, v, args, LRK_J_CAPITALIZE, out); }

FILTER(f_title) { return cased(r, v, args, LRK_J_TITLE_WORDS, out); }

FILTER(f_replace)
{
    static const char *const names[] = {"old", "new", "count"};
    const lrk_jstr *s, *old, *by;
    lrk_jvalue a[3];
    int64_t max = -1;
    LRK_TRY(lrk_j_bind(r, "replace", args, names, 3, 2, a));
    LRK_TRY(text_of(r, v, &s));
    LRK_TRY(text_of(r, a[0], &old));
    LRK_TRY(text_of(r, a[1], &by));
    if (a[2].kind != LRK_JV_MISSING && a[2].kind != LRK_JV_NONE)
        LRK_TRY(lrk_j_want_int(r, "count", a[2], &max));
    return lrk_j_replace(r, s, old, by, max, out);
}

/* ---- indent ---- */

static lrk_status spaces(lrk_jrun *r, int64_t n, const lrk_jstr **out)
{
    lrk_jout o = {0};
    lrk_jvalue v;
    for (int64_t i = 0; i < n; i++) LRK_TRY(lrk_j_put(r, &o, " ", 1, 0));
    LRK_TRY(lrk_j_finish(r, &o, &v));
    *out = v.as.str;
    return LRK_OK;
}

FILTER(f_indent)
{
    static const char *const names[] = {"width", "first", "blank"};
    lrk_jvalue a[3], line_list;
    const lrk_jstr *s, *indent;
    lrk_jout with_newline = {0}, o = {0};
    int64_t width = 4;
    LRK_TRY(lrk_j_bind(r, "indent", args, names, 3, 0, a));
    LRK_TRY(lrk_j_want_str(r, "what indent works on", v, &s));
    if (s->safe) return lrk_j_fail(r, LRK_ESUPPORT, "indent of text that went through |safe");
    if (a[0].kind == LRK_JV_STR) {
        indent = a[0].as.str;
    } else {
        if (a[0].kind != LRK_JV_MISSING) LRK_TRY(lrk_j_want_int(r, "the width", a[0], &width));
        LRK_TRY(spaces(r, width, &indent));
    }
    LRK_TRY(lrk_j_put_str(r, &with_newline, s));
    LRK_TRY(lrk_j_puts(r, &with_newline, "\n"));
    LRK_TRY(lrk_j_finish(r, &with_newline, &v));
    LRK_TRY(lrk_j_splitlines(r, v.as.str, false, &line_list));
    const lrk_jseq *lines = line_list.as.seq;
    if (lrk_j_true(a[1])) LRK_TRY(lrk_j_put_str(r, &o, indent));
    for (size_t i = 0; i < lines->n; i++) {
        const lrk_jstr *line = lines->items[i].as.str;
        if (i) LRK_TRY(lrk_j_puts(r, &o, "\n"));
        if (i && (line->n || lrk_j_true(a[2]))) LRK_TRY(lrk_j_put_str(r, &o, indent));
        LRK_TRY(lrk_j_put_str(r, &o, line));
    }
    return lrk_j_finish(r, &o, out);
}

/* ---- tojson ---- */

static lrk_status c_text(lrk_jrun *r, const lrk_jstr *s, const char **out)
{
    char *copy;
    if (memchr(s->s, 0, s->n)) return lrk_j_fail(r, LRK_ESUPPORT, "NUL in a separator");
    LRK_TRY(lrk_j_take(r, s->n + 1, 1, &copy));
    memcpy(copy, s->s, s->n);
    copy[s->n] = 0;
    *out = copy;
    return LRK_OK;
}

static lrk_status separators(lrk_jrun *r, lrk_jvalue v, lrk_jjson *f)
{
    const lrk_jstr *item, *key;
    if ((v.kind != LRK_JV_TUPLE && v.kind != LRK_JV_LIST) || v.as.seq->n != 2)
        return lrk_j_fail(r, LRK_EINPUT, "separators must be two strings");
    LRK_TRY(lrk_j_want_str(r, "a separator", v.as.seq->items[0], &item));
    LRK_TRY(lrk_j_want_str(r, "a separator", v.as.seq->items[1], &key));
    LRK_TRY(c_text(r, item, &f->item));
    return c_text(r, key, &f->key);
}

FILTER(f_tojson)
{
    static const char *const names[] = {"ensure_ascii", "indent", "separators", "sort_keys"};
    lrk_jvalue a[4];
    LRK_TRY(lrk_j_bind(r, "tojson", args, names, 4, 0, a));
    lrk_jjson f = {.ascii = lrk_j_true(a[0]), .sort = lrk_j_true(a[3]), .item = ", ", .key = ": "};
    if (a[1].kind != LRK_JV_MISSING && a[1].kind != LRK_JV_NONE) {
        const lrk_jstr *indent;
        int64_t width;
        f.lines = true;
        f.item = ",";
        if (a[1].kind == LRK_JV_STR) {
            indent = a[1].as.str;
        } else {
            LRK_TRY(lrk_j_want_int(r, "indent", a[1], &width));
            LRK_TRY(spaces(r, width, &indent));
        }
        f.indent = indent->s;
        f.indent_n = indent->n;
    }
    if (a[2].kind != LRK_JV_MISSING && a[2].kind != LRK_JV_NONE) LRK_TRY(separators(r, a[2], &f));
    lrk_jout o = {0};
    LRK_TRY(lrk_j_put_json(r, &o, v, &f, 0));
    return lrk_j_finish(r, &o, out);
}

/* ---- numbers ---- */

/* Decimal text of a number with blanks around it. Python reads more (underscores, other digits,
 * "inf"); what could be that is refused. */
static lrk_status read_number(lrk_jrun *r, const lrk_jstr *s, bool integer, bool *ok,
                              lrk_jvalue *out)
{
    char text[64];
    const size_t begin = lrk_j_lstrip(s->s, s->n), end = lrk_j_rstrip(s->s, s->n);
    *ok = false;
    if (begin >= end) return LRK_OK;
    const size_t n = end - begin;
    for (size_t i = begin; i < end; i++)
        if ((unsigned char)s->s[i] >= 0x80 || s->s[i] == '_')
            return lrk_j_fail(r, LRK_ESUPPORT, "numbers in this notation");
    static const char *const words[] = {"inf", "infinity", "nan"};
    if (n >= sizeof text) return lrk_j_fail(r, LRK_ESUPPORT, "numbers of so many digits");
    memcpy(text, s->s + begin, n);
    text[n] = 0;
    const char *digits = text + (text[0] == '+' || text[0] == '-');
    for (size_t i = 0; i < 3; i++)
        if (strcasecmp(digits, words[i]) == 0)
            return lrk_j_fail(r, LRK_ESUPPORT, "numbers that are not finite");
    if (strspn(digits, integer ? "0123456789" : "0123456789.eE+-") != strlen(digits) || !*digits)
        return LRK_OK;
    char *stop;
    errno = 0;
    if (integer) {
        *out = lrk_j_int(strtoll(text, &stop, 10));
        if (errno == ERANGE) return lrk_j_fail(r, LRK_ESUPPORT, "integers beyond 64 bits");
    } else {
        *out = lrk_j_real(strtod(text, &stop));
        if (!isfinite(out->as.real))
            return lrk_j_fail(r, LRK_ESUPPORT, "numbers beyond double range");
    }
    *ok = *stop == 0 && strpbrk(digits, "0123456789") != NULL;
    return LRK_OK;
}

static lrk_status truncated(lrk_jrun *r, double d, lrk_jvalue *out)
{
    if (!(fabs(d) < 9e18)) return lrk_j_fail(r, LRK_ESUPPORT, "integers beyond 64 bits");
    *out = lrk_j_int((int64_t)d);
    return LRK_OK;
}

FILTER(f_int)
{
    static const char *const names[] = {"default", "base"};
    lrk_jvalue a[2], number;
    int64_t i;
    double d;
    bool real, ok = false;
    LRK_TRY(lrk_j_bind(r, "int", args, names, 2, 0, a));
    if (a[1].kind != LRK_JV_MISSING) return lrk_j_fail(r, LRK_ESUPPORT, "int with a base");
    if (v.kind == LRK_JV_UNDEFINED) return lrk_j_fail(r, LRK_EINPUT, "%s", v.as.hint);
    if (lrk_j_number(v, &i, &d, &real)) {
        *out = lrk_j_int(i);
        return real ? truncated(r, d, out) : LRK_OK;
    }
    if (v.kind == LRK_JV_STR) {
        LRK_TRY(read_number(r, v.as.str, true, &ok, &number));
        *out = number;
        if (ok) return LRK_OK;
        LRK_TRY(read_number(r, v.as.str, false, &ok, &number));
        if (ok) return truncated(r, number.as.real, out);
    }
    *out = a[0].kind == LRK_JV_MISSING ? lrk_j_int(0) : a[0];
    return LRK_OK;
}

FILTER(f_float)
{
    static const char *const names[] = {"default"};
    lrk_jvalue a, number;
    int64_t i;
    double d;
    bool real, ok = false;
    LRK_TRY(lrk_j_bind(r, "float", args, names, 1, 0, &a));
    if (v.kind == LRK_JV_UNDEFINED) return lrk_j_fail(r, LRK_EINPUT, "%s", v.as.hint);
    if (lrk_j_number(v, &i, &d, &real)) {
        *out = lrk_j_real(d);
        return LRK_OK;
    }
    if (v.kind == LRK_JV_STR) LRK_TRY(read_number(r, v.as.str, false, &ok, &number));
    *out = ok ? number : a.kind == LRK_JV_MISSING ? lrk_j_real(0.0) : a;
    return LRK_OK;
}

FILTER(f_abs)
{
    int64_t i;
    double d;
    bool real;
    LRK_TRY(no_arguments(r, "abs", args));
    if (!lrk_j_number(v, &i, &d, &real))
        return lrk_j_fail(r, LRK_EINPUT, "bad operand type for abs(): '%s'", lrk_j_type(v));
    if (real) {
        *out = lrk_j_real(fabs(d));
        return LRK_OK;
    }
    *out = lrk_j_int(i);
    return i < 0 ? lrk_j_unary(r, true, lrk_j_int(i), out) : LRK_OK;
}

const lrk_jfilter lrk_jfilters_text[] = {{"default", f_default},
                                         {"d", f_default},
                                         {"string", f_string},
                                         {"safe", f_safe},
                                         {"trim", f_trim},
                                         {"upper", f_upper},
                                         {"lower", f_lower},
                                         {"title", f_title},
                                         {"capitalize", f_capitalize},
                                         {"replace", f_replace},
                                         {"indent", f_indent},
                                         {"tojson", f_tojson},
                                         {"int", f_int},
                                         {"float", f_float},
                                         {"abs", f_abs},
                                         {NULL, NULL}};
