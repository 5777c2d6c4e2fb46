/* data/template/call.c -- calls, parameters, and the global functions. */
#include "data/template/value.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

lrk_status lrk_j_bind(lrk_jrun *r, const char *what, const lrk_jargs *args,
                      const char *const *names, size_t count, size_t required, lrk_jvalue *out)
{
    if (args->n > count)
        return lrk_j_fail(r, LRK_EINPUT, "%s() takes at most %zu argument(s), %zu given", what,
                          count, args->n);
    for (size_t i = 0; i < count; i++)
        out[i] = i < args->n ? args->at[i] : (lrk_jvalue){.kind = LRK_JV_MISSING};
    for (size_t k = 0; k < args->n_keywords; k++) {
        size_t i = 0;
        while (i < count && strcmp(names[i], args->keywords[k].name) != 0) i++;
        if (i == count)
            return lrk_j_fail(r, LRK_EINPUT, "%s() got an unexpected keyword argument '%s'", what,
                              args->keywords[k].name);
        if (out[i].kind != LRK_JV_MISSING)
            return lrk_j_fail(r, LRK_EINPUT, "%s() got multiple values for argument '%s'", what,
                              names[i]);
        out[i] = args->keywords[k].value;
    }
    for (size_t i = 0; i < required; i++)
        if (out[i].kind == LRK_JV_MISSING)
            return lrk_j_fail(r, LRK_EINPUT, "%s() misses argument '%s'", what,
                              names[i] + (names[i][0] == '/'));
    return LRK_OK;
}

lrk_status lrk_j_want_str(lrk_jrun *r, const char *what, lrk_jvalue v, const lrk_jstr **out)
{
    if (v.kind != LRK_JV_STR)
        return lrk_j_fail(r, LRK_EINPUT, "%s must be str, not %s", what, lrk_j_type(v));
    *out = v.as.str;
    return LRK_OK;
}

lrk_status lrk_j_want_int(lrk_jrun *r, const char *what, lrk_jvalue v, int64_t *out)
{
    if (v.kind != LRK_JV_INT && v.kind != LRK_JV_BOOL)
        return lrk_j_fail(r, LRK_EINPUT, "%s must be an integer, not %s", what, lrk_j_type(v));
    *out = v.kind == LRK_JV_INT ? v.as.integer : v.as.boolean;
    return LRK_OK;
}

lrk_status lrk_j_call(lrk_jrun *r, lrk_jvalue f, const lrk_jargs *args, lrk_jvalue *out)
{
    switch (f.kind) {
    case LRK_JV_MACRO:
        return lrk_j_call_macro(r, f.as.macro, args, out);
    case LRK_JV_FUNCTION:
        return f.as.function->call(r, args, out);
    case LRK_JV_METHOD:
        return f.as.method->method->call(r, f.as.method->self, args, out);
    case LRK_JV_UNDEFINED:
        return lrk_j_fail(r, LRK_EINPUT, "%s", f.as.hint);
    case LRK_JV_LOOP:
        return lrk_j_fail(r, LRK_EINPUT, "the loop is not recursive");
    default:
        return lrk_j_fail(r, LRK_EINPUT, "'%s' object is not callable", lrk_j_type(f));
    }
}

/* ---- globals ---- */

static lrk_status fn_raise(lrk_jrun *r, const lrk_jargs *args, lrk_jvalue *out)
{
    static const char *const names[] = {"message"};
    lrk_jvalue v;
    (void)out;
    LRK_TRY(lrk_j_bind(r, "raise_exception", args, names, 1, 1, &v));
    LRK_TRY(lrk_j_to_str(r, v, &v));
    const int n = v.as.str->n > 1500 ? 1500 : (int)v.as.str->n;
    return lrk_fail(r->err, LRK_EVALUE, "%s:%u:%u: %.*s", r->t->name, (unsigned)r->at.line,
                    (unsigned)r->at.column, n, v.as.str->s);
}

static lrk_status fn_range(lrk_jrun *r, const lrk_jargs *args, lrk_jvalue *out)
{
    enum { MAX_RANGE = 100000 };
    int64_t b[3] = {0, 0, 1};
    if (args->n_keywords || args->n < 1 || args->n > 3)
        return lrk_j_fail(r, LRK_EINPUT, "range() takes 1 to 3 integers");
    for (size_t i = 0; i < args->n; i++)
        LRK_TRY(lrk_j_want_int(r, "an argument of range()", args->at[i], &b[args->n == 1 ? 1 : i]));
    if (b[2] == 0) return lrk_j_fail(r, LRK_EINPUT, "range() arg 3 must not be zero");
    lrk_jvalue list;
    LRK_TRY(lrk_j_seq(r, LRK_JV_RANGE, &list));
    for (int64_t i = b[0]; b[2] > 0 ? i < b[1] : i > b[1];) {
        if (list.as.seq->n == MAX_RANGE)
            return lrk_j_fail(r, LRK_EINPUT, "range too big, the limit is %d", MAX_RANGE);
        LRK_TRY(lrk_j_append(r, list.as.seq, lrk_j_int(i)));
        if (__builtin_add_overflow(i, b[2], &i)) break;
    }
    *out = list;
    return LRK_OK;
}

/* dict(...) and namespace(...): one mapping or pairs, then keywords. */
static lrk_status new_mapping(lrk_jrun *r, const char *what, const lrk_jargs *args, lrk_jvalue *out)
{
    lrk_jvalue dict;
    LRK_TRY(lrk_j_dict(r, &dict));
    if (args->n > 1)
        return lrk_j_fail(r, LRK_EINPUT, "%s expected at most 1 argument, got %zu", what, args->n);
    if (args->n == 1) {
        if (args->at[0].kind != LRK_JV_DICT)
            return lrk_j_fail(r, LRK_ESUPPORT, "%s() of a %s", what, lrk_j_type(args->at[0]));
        const lrk_jdict *from = args->at[0].as.dict;
        for (size_t i = 0; i < from->n; i++)
            LRK_TRY(lrk_j_dict_set(r, dict.as.dict, from->pairs[i].key, from->pairs[i].value));
    }
    for (size_t i = 0; i < args->n_keywords; i++)
        LRK_TRY(lrk_j_dict_put(r, dict.as.dict, args->keywords[i].name, args->keywords[i].value));
    *out = dict;
    return LRK_OK;
}

static lrk_status fn_dict(lrk_jrun *r, const lrk_jargs *args, lrk_jvalue *out)
{
    return new_mapping(r, "dict", args, out);
}

static lrk_status fn_namespace(lrk_jrun *r, const lrk_jargs *args, lrk_jvalue *out)
{
    LRK_TRY(new_mapping(r, "namespace", args, out));
    out->kind = LRK_JV_NAMESPACE;
    return LRK_OK;
}

static lrk_status fn_refused(lrk_jrun *r, const lrk_jargs *args, lrk_jvalue *out)
{
    (void)args;
    (void)out;
    return lrk_j_fail(r, LRK_ESUPPORT, "this global function");
}

/* ---- strftime_now ---- */

/* "2026-03-01T12:00:00", what follows is not looked at but for a Z. */
static lrk_status read_now(lrk_jrun *r, struct tm *tm)
{
    char utc[21];
    const char *now = r->o && r->o->now ? r->o->now : NULL;
    if (!now) {
        lrk_utc(utc);
        now = utc;
    }
    int used = 0;
    *tm = (struct tm){0};
    const int got = sscanf(now, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm->tm_year, &tm->tm_mon,
                           &tm->tm_mday, &tm->tm_hour, &tm->tm_min, &tm->tm_sec, &used);
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int y = tm->tm_year;
    const bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (got != 6 || (now[used] && strcmp(now + used, "Z") != 0) || y < 1000 || tm->tm_mon < 1 ||
        tm->tm_mon > 12 || tm->tm_mday < 1 ||
        tm->tm_mday > days[tm->tm_mon - 1] + (tm->tm_mon == 2 && leap) || tm->tm_hour < 0 ||
        tm->tm_hour > 23 || tm->tm_min < 0 || tm->tm_min > 59 || tm->tm_sec < 0 || tm->tm_sec > 59)
        return lrk_fail(r->err, LRK_EUSAGE,
                        "the clock is '%s', expected a time like 2026-03-01T12:00:00", now);
    tm->tm_year -= 1900;
    tm->tm_mon--;
    tm->tm_yday = tm->tm_mday - 1;
    for (int m = 0; m < tm->tm_mon; m++) tm->tm_yday += days[m] + (m == 1 && leap);
    const int before = y - 1; /* 1 January of year 1 was a Monday */
    tm->tm_wday = (1 + before * 365 + before / 4 - before / 100 + before / 400 + tm->tm_yday) % 7;
    return LRK_OK;
}

static const char *const month_names[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
static const char *const day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};

/* One directive, in the C locale whatever the environment says. */
static lrk_status put_directive(lrk_jrun *r, lrk_jout *o, char c, bool plain, const struct tm *t)
{
    char text[32];
    const int hour12 = t->tm_hour % 12 ? t->tm_hour % 12 : 12;
    int value = -1, width = 2;
    switch (c) {
    case 'Y':
        value = t->tm_year + 1900;
        width = 4;
        break;
    case 'y':
        value = t->tm_year % 100;
        break;
    case 'm':
        value = t->tm_mon + 1;
        break;
    case 'd':
        value = t->tm_mday;
        break;
    case 'H':
        value = t->tm_hour;
        break;
    case 'I':
        value = hour12;
        break;
    case 'M':
        value = t->tm_min;
        break;
    case 'S':
        value = t->tm_sec;
        break;
    case 'j':
        value = t->tm_yday + 1;
        width = 3;
        break;
    default:
        break;
    }
    if (value >= 0) {
        snprintf(text, sizeof text, "%0*d", plain ? 1 : width, value);
        return lrk_j_puts(r, o, text);
    }
    if (plain) return lrk_j_fail(r, LRK_ESUPPORT, "strftime_now with %%-%c", c);
    if (c == '%') return lrk_j_puts(r, o, "%");
    if (c == 'B') return lrk_j_puts(r, o, month_names[t->tm_mon]);
    if (c == 'b' || c == 'h') return lrk_j_put(r, o, month_names[t->tm_mon], 3, 0);
    if (c == 'A') return lrk_j_puts(r, o, day_names[t->tm_wday]);
    if (c == 'a') return lrk_j_put(r, o, day_names[t->tm_wday], 3, 0);
    if (c == 'p') return lrk_j_puts(r, o, t->tm_hour < 12 ? "AM" : "PM");
    if (c == 'F' || c == 'T') {
        snprintf(text, sizeof text, c == 'F' ? "%04d-%02d-%02d" : "%02d:%02d:%02d",
                 c == 'F' ? t->tm_year + 1900 : t->tm_hour, c == 'F' ? t->tm_mon + 1 : t->tm_min,
                 c == 'F' ? t->tm_mday : t->tm_sec);
        return lrk_j_puts(r, o, text);
    }
    return lrk_j_fail(r, LRK_ESUPPORT, "strftime_now with this directive");
}

static lrk_status fn_strftime_now(lrk_jrun *r, const lrk_jargs *args, lrk_jvalue *out)
{
    static const char *const names[] = {"format"};
    const lrk_jstr *format;
    lrk_jvalue v;
    struct tm t;
    lrk_jout o = {0};
    LRK_TRY(lrk_j_bind(r, "strftime_now", args, names, 1, 1, &v));
    LRK_TRY(lrk_j_want_str(r, "the format", v, &format));
    LRK_TRY(read_now(r, &t));
    for (size_t i = 0; i < format->n; i++) {
        if (format->s[i] != '%') {
            LRK_TRY(lrk_j_put(r, &o, format->s + i, 1, 0));
            continue;
        }
        const bool plain = i + 1 < format->n && format->s[i + 1] == '-';
        i += plain ? 2 : 1;
        LRK_TRY(put_directive(r, &o, i < format->n ? format->s[i] : 0, plain, &t));
    }
    return lrk_j_finish(r, &o, out);
}

const lrk_jfunction *lrk_j_function(const char *name)
{
    static const lrk_jfunction functions[] = {{"raise_exception", fn_raise},
                                              {"range", fn_range},
                                              {"dict", fn_dict},
                                              {"namespace", fn_namespace},
                                              {"lipsum", fn_refused},
                                              {"cycler", fn_refused},
                                              {"joiner", fn_refused},
                                              {"strftime_now", fn_strftime_now}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].name, name) == 0) return &functions[i];
    return NULL;
}
