/* data/template/operate.c -- arithmetic. Integers are Python's as far as 64 bits go; what would not
 * fit is refused. */
#include "data/template/text.h"
#include "data/template/value.h"

#include "base/size.h"

#include <math.h>
#include <string.h>

static lrk_status too_big(lrk_jrun *r)
{
    return lrk_j_fail(r, LRK_ESUPPORT, "integers beyond 64 bits");
}

static lrk_status floor_divide(lrk_jrun *r, int64_t a, int64_t b, bool modulo, lrk_jvalue *out)
{
    if (b == 0) return lrk_j_fail(r, LRK_EINPUT, "integer division or modulo by zero");
    if (a == INT64_MIN && b == -1) return too_big(r);
    int64_t q = a / b, m = a % b;
    if (m != 0 && (m < 0) != (b < 0)) {
        q--;
        m += b;
    }
    *out = lrk_j_int(modulo ? m : q);
    return LRK_OK;
}

static lrk_status power(lrk_jrun *r, int64_t base, int64_t exponent, lrk_jvalue *out)
{
    int64_t result = 1;
    if (exponent < 0) return lrk_j_fail(r, LRK_ESUPPORT, "negative powers of integers");
    for (int64_t i = 0; i < exponent; i++) {
        if (result == 0 || base == 1) break;
        LRK_TRY(lrk_j_work(r, 1));
        if (__builtin_mul_overflow(result, base, &result)) return too_big(r);
    }
    *out = lrk_j_int(result);
    return LRK_OK;
}

static lrk_status integers(lrk_jrun *r, lrk_jop op, int64_t a, int64_t b, lrk_jvalue *out)
{
    const int64_t exact = (int64_t)1 << 53;
    int64_t n = 0;
    bool overflow = false;
    switch (op) {
    case LRK_JOP_ADD:
        overflow = __builtin_add_overflow(a, b, &n);
        break;
    case LRK_JOP_SUB:
        overflow = __builtin_sub_overflow(a, b, &n);
        break;
    case LRK_JOP_MUL:
        overflow = __builtin_mul_overflow(a, b, &n);
        break;
    case LRK_JOP_POW:
        return power(r, a, b, out);
    case LRK_JOP_DIV:
        if (b == 0) return lrk_j_fail(r, LRK_EINPUT, "division by zero");
        if (a > exact || a < -exact || b > exact || b < -exact) return too_big(r);
        *out = lrk_j_real((double)a / (double)b);
        return LRK_OK;
    default:
        return floor_divide(r, a, b, op == LRK_JOP_MOD, out);
    }
    if (overflow) return too_big(r);
    *out = lrk_j_int(n);
    return LRK_OK;
}

static lrk_status reals(lrk_jrun *r, lrk_jop op, double a, double b, lrk_jvalue *out)
{
    const bool divides = op == LRK_JOP_DIV || op == LRK_JOP_FLOORDIV || op == LRK_JOP_MOD;
    if (divides && !(b < 0.0 || b > 0.0))
        return lrk_j_fail(r, LRK_EINPUT, "float division by zero");
    double m;
    switch (op) {
    case LRK_JOP_ADD:
        *out = lrk_j_real(a + b);
        break;
    case LRK_JOP_SUB:
        *out = lrk_j_real(a - b);
        break;
    case LRK_JOP_MUL:
        *out = lrk_j_real(a * b);
        break;
    case LRK_JOP_DIV:
        *out = lrk_j_real(a / b);
        break;
    case LRK_JOP_MOD:
        m = fmod(a, b);
        if (m < 0.0 || m > 0.0) {
            if ((b < 0.0) != (m < 0.0)) m += b;
        } else {
            m = copysign(0.0, b);
        }
        *out = lrk_j_real(m);
        break;
    default:
        return lrk_j_fail(r, LRK_ESUPPORT, "this operator on floats");
    }
    if (!isfinite(out->as.real)) return lrk_j_fail(r, LRK_ESUPPORT, "numbers beyond double range");
    return LRK_OK;
}

static lrk_status repeat(lrk_jrun *r, lrk_jvalue v, int64_t times, lrk_jvalue *out)
{
    if (v.kind == LRK_JV_STR) {
        lrk_jout o = {0};
        if (v.as.str->safe) return lrk_j_fail(r, LRK_ESUPPORT, "* of text that went through |safe");
        for (int64_t i = 0; v.as.str->n && i < times; i++) LRK_TRY(lrk_j_put_str(r, &o, v.as.str));
        return lrk_j_finish(r, &o, out);
    }
    lrk_jvalue list;
    LRK_TRY(lrk_j_seq(r, v.kind, &list));
    for (int64_t i = 0; v.as.seq->n && i < times; i++)
        for (size_t k = 0; k < v.as.seq->n; k++)
            LRK_TRY(lrk_j_append(r, list.as.seq, v.as.seq->items[k]));
    *out = list;
    return LRK_OK;
}

static bool repeatable(lrk_jvalue v)
{
    return v.kind == LRK_JV_STR || v.kind == LRK_JV_LIST || v.kind == LRK_JV_TUPLE;
}

static lrk_status put_escaped(lrk_jrun *r, lrk_jout *o, const lrk_jstr *s)
{
    static const char from[] = "&<>'\"";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    if (s->safe) return lrk_j_put_str(r, o, s);
    for (size_t i = 0; i < s->n; i++) {
        const char *special = s->s[i] ? strchr(from, s->s[i]) : NULL;
        if (special) {
            const char *text = to[special - from];
            LRK_TRY(lrk_j_put(r, o, text, strlen(text), lrk_j_origin_at(s, i)));
        } else {
            LRK_TRY(lrk_j_put_part(r, o, s, i, i + 1));
        }
    }
    return LRK_OK;
}

/* Markup escapes what it is joined with, and the result is Markup again. */
static lrk_status join_safe(lrk_jrun *r, const lrk_jstr *a, const lrk_jstr *b, lrk_jvalue *out)
{
    lrk_jout o = {0};
    LRK_TRY(put_escaped(r, &o, a));
    LRK_TRY(put_escaped(r, &o, b));
    LRK_TRY(lrk_j_finish(r, &o, out));
    lrk_jstr *safe;
    LRK_TRY(lrk_j_take(r, 1, sizeof *safe, &safe));
    *safe = *out->as.str;
    safe->safe = true;
    out->as.str = safe;
    return LRK_OK;
}

static lrk_status join_two(lrk_jrun *r, lrk_jvalue a, lrk_jvalue b, lrk_jvalue *out)
{
    if (a.kind == LRK_JV_STR) {
        if (a.as.str->safe || b.as.str->safe) return join_safe(r, a.as.str, b.as.str, out);
        lrk_jout o = {0};
        LRK_TRY(lrk_j_put_str(r, &o, a.as.str));
        LRK_TRY(lrk_j_put_str(r, &o, b.as.str));
        return lrk_j_finish(r, &o, out);
    }
    lrk_jvalue list;
    LRK_TRY(lrk_j_seq(r, a.kind, &list));
    for (size_t i = 0; i < a.as.seq->n; i++)
        LRK_TRY(lrk_j_append(r, list.as.seq, a.as.seq->items[i]));
    for (size_t i = 0; i < b.as.seq->n; i++)
        LRK_TRY(lrk_j_append(r, list.as.seq, b.as.seq->items[i]));
    *out = list;
    return LRK_OK;
}

lrk_status lrk_j_binary(lrk_jrun *r, lrk_jop op, lrk_jvalue a, lrk_jvalue b, lrk_jvalue *out)
{
    static const char *const text[] = {"+", "-", "*", "/", "//", "%", "**"};
    int64_t i, j;
    double d, e;
    bool real_a, real_b;
    LRK_TRY(lrk_j_work(r, 1));
    const bool number_a = lrk_j_number(a, &i, &d, &real_a),
               number_b = lrk_j_number(b, &j, &e, &real_b);
    if (number_a && number_b)
        return real_a || real_b ? reals(r, op, d, e, out) : integers(r, op, i, j, out);
    if (op == LRK_JOP_MOD && a.kind == LRK_JV_STR)
        return lrk_j_fail(r, LRK_ESUPPORT, "%% formatting of text");
    if (a.kind == LRK_JV_UNDEFINED) return lrk_j_fail(r, LRK_EINPUT, "%s", a.as.hint);
    if (b.kind == LRK_JV_UNDEFINED) return lrk_j_fail(r, LRK_EINPUT, "%s", b.as.hint);
    if (op == LRK_JOP_ADD && a.kind == b.kind && repeatable(a)) return join_two(r, a, b, out);
    if (op == LRK_JOP_MUL && repeatable(a) && number_b && !real_b) return repeat(r, a, j, out);
    if (op == LRK_JOP_MUL && repeatable(b) && number_a && !real_a) return repeat(r, b, i, out);
    return lrk_j_fail(r, a.kind == LRK_JV_VIEW ? LRK_ESUPPORT : LRK_EINPUT,
                      "unsupported operand type(s) for %s: '%s' and '%s'", text[op], lrk_j_type(a),
                      lrk_j_type(b));
}

lrk_status lrk_j_unary(lrk_jrun *r, bool negate, lrk_jvalue a, lrk_jvalue *out)
{
    int64_t i;
    double d;
    bool real;
    if (!lrk_j_number(a, &i, &d, &real)) {
        if (a.kind == LRK_JV_UNDEFINED) return lrk_j_fail(r, LRK_EINPUT, "%s", a.as.hint);
        return lrk_j_fail(r, LRK_EINPUT, "bad operand type for unary %c: '%s'", negate ? '-' : '+',
                          lrk_j_type(a));
    }
    if (negate && i == INT64_MIN) return too_big(r);
    *out = real ? lrk_j_real(negate ? -d : d) : lrk_j_int(negate ? -i : i);
    return LRK_OK;
}
