/* data/template/value.c -- memory, making values, and what comes from JSON. */
#include "data/template/value.h"

#include "base/size.h"
#include "data/thinking.h"

#include <stdio.h>
#include <string.h>

lrk_status lrk_j_fail(lrk_jrun *r, lrk_status s, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return lrk_jfail(r->t->name, r->at, s, r->err, "%s", text);
}

lrk_status lrk_j_work(lrk_jrun *r, size_t steps)
{
    if (steps > r->max_steps - r->steps)
        return lrk_j_fail(r, LRK_ESUPPORT, "templates that run longer than %zu steps",
                          r->max_steps);
    r->steps += steps;
    return LRK_OK;
}

lrk_status lrk_j_take(lrk_jrun *r, size_t count, size_t size, void *out)
{
    enum { BLOCK = 60 * 1024 };
    size_t bytes, left;
    if (!lrk_mul(count, size, &bytes) || !lrk_align_up(bytes, 16, &bytes) ||
        bytes > r->max_bytes - r->bytes)
        return lrk_j_fail(r, LRK_ESUPPORT, "templates that need more than %zu bytes", r->max_bytes);
    r->bytes += bytes;
    if (bytes > BLOCK / 4)
        return lrk_alloc(r->arena, bytes, 1, "values of a template", out, r->err);
    if (bytes > r->pool_left) {
        left = BLOCK;
        LRK_TRY(lrk_alloc(r->arena, left, 1, "values of a template", &r->pool, r->err));
        r->pool_left = left;
    }
    memcpy(out, &r->pool, sizeof r->pool);
    r->pool += bytes;
    r->pool_left -= bytes;
    return LRK_OK;
}

lrk_status lrk_j_room(lrk_jrun *r, size_t n, size_t *capacity, size_t size, void *array)
{
    if (n < *capacity) return LRK_OK;
    const size_t wanted = *capacity ? 2 * *capacity : 4;
    char *grown, *old;
    memcpy(&old, array, sizeof old);
    LRK_TRY(lrk_j_take(r, wanted, size, &grown));
    if (n) memcpy(grown, old, n * size);
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return LRK_OK;
}

lrk_jvalue lrk_j_undefined(lrk_jrun *r, const char *fmt, ...)
{
    char text[200], *copy;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    lrk_err none = {0}; /* a shorter message is no reason to fail */
    lrk_err *err = r->err;
    r->err = &none;
    const bool fits = lrk_j_take(r, strlen(text) + 1, 1, &copy) == LRK_OK;
    r->err = err;
    if (fits) memcpy(copy, text, strlen(text) + 1);
    return (lrk_jvalue){.kind = LRK_JV_UNDEFINED, .as.hint = fits ? copy : "a value is undefined"};
}

lrk_status lrk_j_text(lrk_jrun *r, const char *s, size_t n, lrk_jvalue *out)
{
    lrk_jout o = {0};
    LRK_TRY(lrk_j_put(r, &o, s, n, 0));
    return lrk_j_finish(r, &o, out);
}

lrk_status lrk_j_seq(lrk_jrun *r, lrk_jkind kind, lrk_jvalue *out)
{
    out->kind = kind;
    return lrk_j_take(r, 1, sizeof *out->as.seq, &out->as.seq);
}

lrk_status lrk_j_append(lrk_jrun *r, lrk_jseq *seq, lrk_jvalue v)
{
    LRK_TRY(lrk_j_work(r, 1));
    LRK_TRY(lrk_j_room(r, seq->n, &seq->capacity, sizeof *seq->items, &seq->items));
    seq->items[seq->n++] = v;
    return LRK_OK;
}

lrk_status lrk_j_pair(lrk_jrun *r, lrk_jvalue a, lrk_jvalue b, lrk_jvalue *out)
{
    lrk_jvalue pair;
    LRK_TRY(lrk_j_seq(r, LRK_JV_TUPLE, &pair));
    LRK_TRY(lrk_j_append(r, pair.as.seq, a));
    LRK_TRY(lrk_j_append(r, pair.as.seq, b));
    *out = pair;
    return LRK_OK;
}

/* ---- dicts ---- */

lrk_status lrk_j_dict(lrk_jrun *r, lrk_jvalue *out)
{
    out->kind = LRK_JV_DICT;
    return lrk_j_take(r, 1, sizeof *out->as.dict, &out->as.dict);
}

static bool hashable(lrk_jvalue v)
{
    if (v.kind == LRK_JV_TUPLE) {
        for (size_t i = 0; i < v.as.seq->n; i++)
            if (!hashable(v.as.seq->items[i])) return false;
        return true;
    }
    return v.kind != LRK_JV_LIST && v.kind != LRK_JV_DICT;
}

lrk_status lrk_j_dict_get(lrk_jrun *r, const lrk_jdict *d, lrk_jvalue key, const lrk_jvalue **out)
{
    *out = NULL;
    if (!hashable(key)) return lrk_j_fail(r, LRK_EINPUT, "unhashable type: '%s'", lrk_j_type(key));
    LRK_TRY(lrk_j_work(r, d->n / 8));
    if (key.kind == LRK_JV_STR) {
        *out = lrk_j_dict_find(d, key.as.str->s, key.as.str->n);
        return LRK_OK;
    }
    for (size_t i = 0; i < d->n; i++) {
        bool same;
        if (d->pairs[i].key.kind == LRK_JV_STR) continue;
        LRK_TRY(lrk_j_equal(r, d->pairs[i].key, key, &same));
        if (same) {
            *out = &d->pairs[i].value;
            return LRK_OK;
        }
    }
    return LRK_OK;
}

const lrk_jvalue *lrk_j_dict_find(const lrk_jdict *d, const char *key, size_t n)
{
    for (size_t i = 0; i < d->n; i++) {
        const lrk_jvalue *k = &d->pairs[i].key;
        if (k->kind == LRK_JV_STR && lrk_j_same(k->as.str, key, n)) return &d->pairs[i].value;
    }
    return NULL;
}

static lrk_status add_pair(lrk_jrun *r, lrk_jdict *d, lrk_jvalue key, lrk_jvalue value)
{
    LRK_TRY(lrk_j_work(r, 1));
    LRK_TRY(lrk_j_room(r, d->n, &d->capacity, sizeof *d->pairs, &d->pairs));
    d->pairs[d->n++] = (lrk_jpair){key, value};
    return LRK_OK;
}

lrk_status lrk_j_dict_set(lrk_jrun *r, lrk_jdict *d, lrk_jvalue key, lrk_jvalue value)
{
    const lrk_jvalue *there;
    LRK_TRY(lrk_j_dict_get(r, d, key, &there));
    if (!there) return add_pair(r, d, key, value);
    for (size_t i = 0; i < d->n; i++)
        if (&d->pairs[i].value == there) d->pairs[i].value = value;
    return LRK_OK;
}

lrk_status lrk_j_dict_put(lrk_jrun *r, lrk_jdict *d, const char *key, lrk_jvalue value)
{
    lrk_jvalue k;
    LRK_TRY(lrk_j_text(r, key, strlen(key), &k));
    return lrk_j_dict_set(r, d, k, value);
}

/* ---- from JSON ---- */

static lrk_status from_string(lrk_jrun *r, const lrk_json *v, uint32_t origin, lrk_jvalue *out)
{
    size_t n;
    const char *s = lrk_json_string(v, &n);
    lrk_jout o = {0};
    LRK_TRY(lrk_j_put(r, &o, s, n, origin));
    LRK_TRY(lrk_j_finish(r, &o, out));
    if (!origin || n) return LRK_OK;
    /* nothing said is still said by somebody: the end token after it belongs to the turn */
    lrk_jmark *mark;
    lrk_jstr *str;
    LRK_TRY(lrk_j_take(r, 1, sizeof *mark, &mark));
    LRK_TRY(lrk_j_take(r, 1, sizeof *str, &str));
    *mark = (lrk_jmark){0, 0, origin};
    *str = (lrk_jstr){.s = out->as.str->s, .marks = mark, .n_marks = 1};
    out->as.str = str;
    return LRK_OK;
}

static lrk_status from_members(lrk_jrun *r, const lrk_json *v, uint32_t origin, lrk_jvalue *out)
{
    LRK_TRY(lrk_j_dict(r, out));
    for (void *i = lrk_json_begin(v); i; i = lrk_json_next(v, i)) {
        lrk_jvalue key, value;
        size_t n;
        const char *name = lrk_json_key(i, &n);
        /* of a content in parts, only the texts are said; of a tool call, everything is */
        const bool said = (origin & 3) == LRK_J_CALLS || strcmp(name, "text") == 0;
        LRK_TRY(lrk_j_text(r, name, n, &key));
        LRK_TRY(lrk_j_from_json(r, lrk_json_value(i), said ? origin : 0, &value));
        LRK_TRY(add_pair(r, out->as.dict, key, value)); /* the parser refuses duplicates */
    }
    return LRK_OK;
}

lrk_status lrk_j_from_json(lrk_jrun *r, const lrk_json *v, uint32_t origin, lrk_jvalue *out)
{
    switch (lrk_json_type(v)) {
    case LRK_JSON_NULL:
        *out = lrk_j_none();
        return LRK_OK;
    case LRK_JSON_BOOL:
        *out = lrk_j_bool(lrk_json_bool(v));
        return LRK_OK;
    case LRK_JSON_INTEGER:
        *out = lrk_j_int(lrk_json_integer(v));
        return LRK_OK;
    case LRK_JSON_REAL:
        *out = lrk_j_real(lrk_json_number(v));
        return LRK_OK;
    case LRK_JSON_STRING:
        return from_string(r, v, origin, out);
    case LRK_JSON_ARRAY: {
        LRK_TRY(lrk_j_seq(r, LRK_JV_LIST, out));
        const size_t n = lrk_json_size(v);
        for (size_t i = 0; i < n; i++) {
            lrk_jvalue item;
            LRK_TRY(lrk_j_from_json(r, lrk_json_at(v, i), origin, &item));
            LRK_TRY(lrk_j_append(r, out->as.seq, item));
        }
        return LRK_OK;
    }
    case LRK_JSON_OBJECT:
        return from_members(r, v, origin, out);
    }
    return lrk_j_fail(r, LRK_EINTERNAL, "an unknown kind of JSON value");
}

static uint32_t field_of(const char *name)
{
    if (lrk_thinking_field(name)) return LRK_J_THINKS;
    if (strcmp(name, "content") == 0) return LRK_J_SAYS;
    return strcmp(name, "tool_calls") == 0 ? LRK_J_CALLS : 0;
}

static lrk_status from_messages(lrk_jrun *r, const lrk_json *messages, lrk_jvalue *out)
{
    LRK_TRY(lrk_j_seq(r, LRK_JV_LIST, out));
    const size_t count = lrk_json_size(messages);
    if (count >= UINT32_MAX / 4) return lrk_j_fail(r, LRK_ESUPPORT, "%zu messages", count);
    for (size_t m = 0; m < count; m++) {
        const lrk_json *message = lrk_json_at(messages, m);
        lrk_jvalue v;
        if (!lrk_json_is(message, LRK_JSON_OBJECT)) {
            LRK_TRY(lrk_j_from_json(r, message, 0, &v));
            LRK_TRY(lrk_j_append(r, out->as.seq, v));
            continue;
        }
        LRK_TRY(lrk_j_dict(r, &v));
        for (void *i = lrk_json_begin(message); i; i = lrk_json_next(message, i)) {
            size_t n;
            const char *name = lrk_json_key(i, &n);
            const uint32_t field = field_of(name);
            lrk_jvalue key, value;
            LRK_TRY(lrk_j_text(r, name, n, &key));
            LRK_TRY(
                lrk_j_from_json(r, lrk_json_value(i), field ? (uint32_t)m * 4 + field : 0, &value));
            LRK_TRY(add_pair(r, v.as.dict, key, value));
        }
        LRK_TRY(lrk_j_append(r, out->as.seq, v));
    }
    return LRK_OK;
}

lrk_status lrk_j_context(lrk_jrun *r, const lrk_json *context, lrk_jvalue *out)
{
    LRK_TRY(lrk_j_dict(r, out));
    for (void *i = lrk_json_begin(context); i; i = lrk_json_next(context, i)) {
        size_t n;
        const char *name = lrk_json_key(i, &n);
        const lrk_json *v = lrk_json_value(i);
        lrk_jvalue key, value;
        LRK_TRY(lrk_j_text(r, name, n, &key));
        if (strcmp(name, "messages") == 0 && lrk_json_is(v, LRK_JSON_ARRAY)) {
            LRK_TRY(from_messages(r, v, &value));
        } else {
            LRK_TRY(lrk_j_from_json(r, v, 0, &value));
        }
        LRK_TRY(add_pair(r, out->as.dict, key, value));
    }
    return LRK_OK;
}
