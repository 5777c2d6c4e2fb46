/* data/template/ask.c -- truth, length, equality, order, membership, iteration. */
#include "data/template/text.h"
#include "data/template/value.h"

#include "base/size.h"

#include <math.h>
#include <string.h>

const char *lrk_j_type(lrk_jvalue v)
{
    static const char *const names[] = {
        "missing", "Undefined", "NoneType", "bool",     "int",       "float",
        "str",     "list",      "tuple",    "range",    "dict_view", "generator",
        "dict",    "Namespace", "Macro",    "function", "method",    "LoopContext"};
    return names[v.kind];
}

bool lrk_j_true(lrk_jvalue v)
{
    switch (v.kind) {
    case LRK_JV_MISSING:
    case LRK_JV_UNDEFINED:
    case LRK_JV_NONE:
        return false;
    case LRK_JV_BOOL:
        return v.as.boolean;
    case LRK_JV_INT:
        return v.as.integer != 0;
    case LRK_JV_REAL:
        return v.as.real < 0.0 || v.as.real > 0.0 || isnan(v.as.real);
    case LRK_JV_STR:
        return v.as.str->n > 0;
    case LRK_JV_LIST:
    case LRK_JV_TUPLE:
    case LRK_JV_RANGE:
    case LRK_JV_VIEW:
        return v.as.seq->n > 0;
    case LRK_JV_DICT:
        return v.as.dict->n > 0;
    default:
        return true;
    }
}

bool lrk_j_number(lrk_jvalue v, int64_t *i, double *d, bool *real)
{
    *real = v.kind == LRK_JV_REAL;
    *i = v.kind == LRK_JV_BOOL ? v.as.boolean : v.kind == LRK_JV_INT ? v.as.integer : 0;
    *d = *real ? v.as.real : (double)*i;
    return v.kind == LRK_JV_BOOL || v.kind == LRK_JV_INT || v.kind == LRK_JV_REAL;
}

lrk_status lrk_j_length(lrk_jrun *r, lrk_jvalue v, size_t *n)
{
    if (v.kind == LRK_JV_STR) {
        LRK_TRY(lrk_j_work(r, v.as.str->n / 64));
        *n = lrk_j_count(v.as.str->s, v.as.str->n);
    } else if (lrk_j_is_seq(v.kind) && v.kind != LRK_JV_GENERATOR) {
        *n = v.as.seq->n;
    } else if (v.kind == LRK_JV_DICT) {
        *n = v.as.dict->n;
    } else if (v.kind == LRK_JV_UNDEFINED) {
        *n = 0;
    } else if (v.kind == LRK_JV_LOOP) {
        return lrk_j_fail(r, LRK_ESUPPORT, "the length of a loop");
    } else {
        return lrk_j_fail(r, LRK_EINPUT, "object of type '%s' has no len()", lrk_j_type(v));
    }
    return LRK_OK;
}

/* long double holds every 64-bit integer exactly, so the order is Python's. */
static int order(lrk_jvalue a, lrk_jvalue b, bool *unordered)
{
    int64_t i, j;
    double d, e;
    bool real_a, real_b;
    lrk_j_number(a, &i, &d, &real_a);
    lrk_j_number(b, &j, &e, &real_b);
    const long double x = real_a ? (long double)d : (long double)i;
    const long double y = real_b ? (long double)e : (long double)j;
    *unordered = isnan(d) || isnan(e);
    return x < y ? -1 : x > y;
}

static bool is_number(lrk_jvalue v)
{
    return v.kind == LRK_JV_BOOL || v.kind == LRK_JV_INT || v.kind == LRK_JV_REAL;
}

static int order_str(const lrk_jstr *a, const lrk_jstr *b)
{
    const size_t n = lrk_min(a->n, b->n);
    const int c = n ? memcmp(a->s, b->s, n) : 0; /* UTF-8 sorts as code points do */
    return c ? c : a->n < b->n ? -1 : a->n > b->n;
}

static lrk_status equal_dict(lrk_jrun *r, const lrk_jdict *a, const lrk_jdict *b, bool *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++) {
        const lrk_jvalue *other;
        LRK_TRY(lrk_j_dict_get(r, b, a->pairs[i].key, &other));
        *out = other != NULL;
        if (other) LRK_TRY(lrk_j_equal(r, a->pairs[i].value, *other, out));
    }
    return LRK_OK;
}

static lrk_status equal_seq(lrk_jrun *r, const lrk_jseq *a, const lrk_jseq *b, bool *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++)
        LRK_TRY(lrk_j_equal(r, a->items[i], b->items[i], out));
    return LRK_OK;
}

lrk_status lrk_j_equal(lrk_jrun *r, lrk_jvalue a, lrk_jvalue b, bool *out)
{
    LRK_TRY(lrk_j_work(r, 1));
    if (is_number(a) && is_number(b)) {
        bool unordered;
        *out = order(a, b, &unordered) == 0 && !unordered;
        return LRK_OK;
    }
    *out = false;
    if (a.kind != b.kind) return LRK_OK;
    if (++r->depth > LRK_J_MAX_DEPTH) return lrk_j_fail(r, LRK_ESUPPORT, "values nested so deep");
    lrk_status s = LRK_OK;
    switch (a.kind) {
    case LRK_JV_STR:
        *out = lrk_j_same(a.as.str, b.as.str->s, b.as.str->n);
        break;
    case LRK_JV_NONE:
    case LRK_JV_UNDEFINED:
        *out = true;
        break;
    case LRK_JV_LIST:
    case LRK_JV_TUPLE:
    case LRK_JV_RANGE:
        s = equal_seq(r, a.as.seq, b.as.seq, out);
        break;
    case LRK_JV_DICT:
        s = equal_dict(r, a.as.dict, b.as.dict, out);
        break;
    case LRK_JV_NAMESPACE:
        *out = a.as.dict == b.as.dict;
        break;
    default:
        s = lrk_j_fail(r, LRK_ESUPPORT, "comparing values of type '%s'", lrk_j_type(a));
    }
    r->depth--;
    return s;
}

static bool holds(lrk_jop op, int order)
{
    return op == LRK_JOP_LT   ? order < 0
           : op == LRK_JOP_LE ? order <= 0
           : op == LRK_JOP_GT ? order > 0
                              : order >= 0;
}

static lrk_status compare_seq(lrk_jrun *r, lrk_jop op, const lrk_jseq *a, const lrk_jseq *b,
                              bool *out)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        bool same;
        LRK_TRY(lrk_j_equal(r, a->items[i], b->items[i], &same));
        if (!same) return lrk_j_compare(r, op, a->items[i], b->items[i], out);
    }
    *out = holds(op, a->n < b->n ? -1 : a->n > b->n);
    return LRK_OK;
}

lrk_status lrk_j_compare(lrk_jrun *r, lrk_jop op, lrk_jvalue a, lrk_jvalue b, bool *out)
{
    static const char *const text[] = {
        [LRK_JOP_LT] = "<", [LRK_JOP_LE] = "<=", [LRK_JOP_GT] = ">", [LRK_JOP_GE] = ">="};
    LRK_TRY(lrk_j_work(r, 1));
    if (is_number(a) && is_number(b)) {
        bool unordered;
        const int o = order(a, b, &unordered);
        *out = !unordered && holds(op, o);
        return LRK_OK;
    }
    if (a.kind == LRK_JV_UNDEFINED) return lrk_j_fail(r, LRK_EINPUT, "%s", a.as.hint);
    if (b.kind == LRK_JV_UNDEFINED) return lrk_j_fail(r, LRK_EINPUT, "%s", b.as.hint);
    if (a.kind == LRK_JV_STR && b.kind == LRK_JV_STR) {
        *out = holds(op, order_str(a.as.str, b.as.str));
        return LRK_OK;
    }
    if (a.kind == b.kind && (a.kind == LRK_JV_LIST || a.kind == LRK_JV_TUPLE)) {
        if (++r->depth > LRK_J_MAX_DEPTH)
            return lrk_j_fail(r, LRK_ESUPPORT, "values nested so deep");
        const lrk_status s = compare_seq(r, op, a.as.seq, b.as.seq, out);
        r->depth--;
        return s;
    }
    return lrk_j_fail(r, a.kind == LRK_JV_VIEW ? LRK_ESUPPORT : LRK_EINPUT,
                      "'%s' not supported between instances of '%s' and '%s'", text[op],
                      lrk_j_type(a), lrk_j_type(b));
}

lrk_status lrk_j_contains(lrk_jrun *r, lrk_jvalue in, lrk_jvalue v, bool *out)
{
    *out = false;
    if (in.kind == LRK_JV_STR) {
        if (v.kind != LRK_JV_STR)
            return lrk_j_fail(r, LRK_EINPUT,
                              "'in <string>' requires string as left operand, not %s",
                              lrk_j_type(v));
        LRK_TRY(lrk_j_work(r, in.as.str->n / 64));
        *out = v.as.str->n == 0 ||
               memmem(in.as.str->s, in.as.str->n, v.as.str->s, v.as.str->n) != NULL;
        return LRK_OK;
    }
    if (in.kind == LRK_JV_DICT) {
        const lrk_jvalue *found;
        LRK_TRY(lrk_j_dict_get(r, in.as.dict, v, &found));
        *out = found != NULL;
        return LRK_OK;
    }
    if (!lrk_j_is_seq(in.kind) && in.kind != LRK_JV_UNDEFINED)
        return lrk_j_fail(r, LRK_EINPUT, "argument of type '%s' is not iterable", lrk_j_type(in));
    lrk_jiter it;
    lrk_jvalue item;
    bool more;
    LRK_TRY(lrk_j_iter(r, in, &it));
    for (;;) {
        LRK_TRY(lrk_j_next(r, &it, &item, &more));
        if (!more || *out) return LRK_OK;
        LRK_TRY(lrk_j_equal(r, item, v, out));
        if (*out) return LRK_OK;
    }
}

lrk_status lrk_j_iter(lrk_jrun *r, lrk_jvalue v, lrk_jiter *out)
{
    *out = (lrk_jiter){.over = v};
    if (v.kind == LRK_JV_STR || v.kind == LRK_JV_DICT || v.kind == LRK_JV_UNDEFINED ||
        lrk_j_is_seq(v.kind))
        return LRK_OK;
    return lrk_j_fail(r, v.kind == LRK_JV_LOOP ? LRK_ESUPPORT : LRK_EINPUT,
                      "'%s' object is not iterable", lrk_j_type(v));
}

static lrk_status pull(lrk_jrun *r, lrk_jlazy *l, lrk_jvalue *out, bool *more)
{
    lrk_jvalue item;
    bool keep = false;
    if (!l->begun) LRK_TRY(l->begin(r, l));
    l->begun = true;
    if (++r->depth > LRK_J_MAX_DEPTH)
        return lrk_j_fail(r, LRK_ESUPPORT, "generators nested so deep");
    do {
        LRK_TRY(lrk_j_next(r, &l->source, &item, more));
        if (*more) LRK_TRY(l->step(r, l, item, out, &keep));
    } while (*more && !keep);
    r->depth--;
    return LRK_OK;
}

lrk_status lrk_j_next(lrk_jrun *r, lrk_jiter *it, lrk_jvalue *out, bool *more)
{
    LRK_TRY(lrk_j_work(r, 1));
    *more = false;
    const lrk_jvalue v = it->over;
    if (v.kind == LRK_JV_GENERATOR && v.as.seq->lazy) return pull(r, v.as.seq->lazy, out, more);
    if (v.kind == LRK_JV_STR) {
        size_t width;
        if (it->pos >= v.as.str->n) return LRK_OK;
        lrk_j_decode(v.as.str->s, v.as.str->n, it->pos, &width);
        *more = true;
        it->pos += width;
        return lrk_j_part(r, v.as.str, it->pos - width, it->pos, out);
    }
    if (v.kind == LRK_JV_DICT) {
        *more = it->pos < v.as.dict->n;
        if (*more) *out = v.as.dict->pairs[it->pos++].key;
    } else if (v.kind != LRK_JV_UNDEFINED) {
        size_t *pos = v.kind == LRK_JV_GENERATOR ? &v.as.seq->pos : &it->pos;
        *more = *pos < v.as.seq->n;
        if (*more) *out = v.as.seq->items[(*pos)++];
    }
    return LRK_OK;
}

lrk_status lrk_j_items(lrk_jrun *r, lrk_jvalue v, lrk_jseq **out)
{
    lrk_jiter it;
    lrk_jvalue list, item;
    bool more;
    LRK_TRY(lrk_j_seq(r, LRK_JV_LIST, &list));
    LRK_TRY(lrk_j_iter(r, v, &it));
    for (;;) {
        LRK_TRY(lrk_j_next(r, &it, &item, &more));
        if (!more) break;
        LRK_TRY(lrk_j_append(r, list.as.seq, item));
    }
    *out = list.as.seq;
    return LRK_OK;
}

/* A stable merge sort: Python's sorted(); reverse keeps equal items in order too. */
lrk_status lrk_j_sort(lrk_jrun *r, lrk_jseq *items, const lrk_jvalue *keys, bool reverse)
{
    size_t *a, *b;
    const size_t n = items->n;
    if (n < 2) return LRK_OK;
    LRK_TRY(lrk_j_take(r, n, sizeof *a, &a));
    LRK_TRY(lrk_j_take(r, n, sizeof *b, &b));
    for (size_t i = 0; i < n; i++) a[i] = i;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t low = 0; low < n; low += 2 * width) {
            const size_t mid = lrk_min(low + width, n), high = lrk_min(low + 2 * width, n);
            size_t i = low, j = mid;
            for (size_t k = low; k < high; k++) {
                bool later = i == mid; /* take from the right half */
                if (i < mid && j < high)
                    LRK_TRY(reverse ? lrk_j_compare(r, LRK_JOP_LT, keys[a[i]], keys[a[j]], &later)
                                    : lrk_j_compare(r, LRK_JOP_LT, keys[a[j]], keys[a[i]], &later));
                b[k] = later ? a[j++] : a[i++];
            }
        }
        size_t *swap = a;
        a = b;
        b = swap;
    }
    lrk_jvalue *sorted;
    LRK_TRY(lrk_j_take(r, n, sizeof *sorted, &sorted));
    for (size_t i = 0; i < n; i++) sorted[i] = items->items[a[i]];
    items->items = sorted;
    items->capacity = n;
    return LRK_OK;
}
