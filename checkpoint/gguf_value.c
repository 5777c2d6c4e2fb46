/* checkpoint/gguf_value.c -- the values of GGUF keys. */
#include "checkpoint/gguf.h"

#include <math.h>
#include <string.h>

static const char *const names[LRK_GGUF_TYPES] = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};

const char *lrk_gguf_type_name(lrk_gguf_type t) { return names[t]; }

static uint64_t load(const unsigned char *p, size_t n)
{
    uint64_t u = 0;
    for (size_t i = n; i > 0; i--) u = u << 8 | p[i - 1];
    return u;
}

int64_t lrk_gguf_integer(const lrk_gguf_kv *kv, size_t i)
{
    switch (kv->type) {
    case LRK_GGUF_U8:
    case LRK_GGUF_BOOL:
        return kv->data[i];
    case LRK_GGUF_I8:
        return (int8_t)kv->data[i];
    case LRK_GGUF_U16:
        return (int64_t)load(kv->data + 2 * i, 2);
    case LRK_GGUF_I16:
        return (int16_t)load(kv->data + 2 * i, 2);
    case LRK_GGUF_U32:
        return (int64_t)load(kv->data + 4 * i, 4);
    case LRK_GGUF_I32:
        return (int32_t)load(kv->data + 4 * i, 4);
    case LRK_GGUF_U64:
    case LRK_GGUF_I64:
        return (int64_t)load(kv->data + 8 * i, 8);
    default:
        return 0;
    }
}

double lrk_gguf_number(const lrk_gguf_kv *kv, size_t i)
{
    if (kv->type == LRK_GGUF_F32) {
        const uint32_t u = (uint32_t)load(kv->data + 4 * i, 4);
        float f;
        memcpy(&f, &u, sizeof f);
        return (double)f;
    }
    if (kv->type == LRK_GGUF_F64) {
        const uint64_t u = load(kv->data + 8 * i, 8);
        double d;
        memcpy(&d, &u, sizeof d);
        return d;
    }
    return (double)lrk_gguf_integer(kv, i);
}

const char *lrk_gguf_string(const lrk_gguf_kv *kv, size_t i, size_t *n)
{
    const unsigned char *p = kv->data + kv->start[i];
    *n = (size_t)load(p, 8);
    return (const char *)p + 8;
}

static bool is_integer(const lrk_gguf_kv *kv)
{
    return kv->type != LRK_GGUF_F32 && kv->type != LRK_GGUF_F64 && kv->type != LRK_GGUF_STRING &&
           kv->type != LRK_GGUF_BOOL;
}

static lrk_status wrong_type(const lrk_gguf *g, const lrk_gguf_kv *kv, const char *expected,
                             lrk_err *err)
{
    return lrk_fail(err, LRK_EINPUT, "%s: key '%s' is %s%s, expected %s", g->path, kv->key,
                    kv->array ? "an array of " : "", names[kv->type], expected);
}

lrk_status lrk_gguf_opt_size(const lrk_gguf *g, const char *key, size_t min, size_t max,
                             size_t *out, lrk_err *err)
{
    const lrk_gguf_kv *kv = lrk_gguf_find(g, key);
    if (!kv) return LRK_OK;
    if (kv->array || !is_integer(kv)) return wrong_type(g, kv, "an integer", err);
    /* a u64 beyond 2^63 comes out negative and is refused with the rest */
    const int64_t v = lrk_gguf_integer(kv, 0);
    LRK_REQUIRE(err, v >= 0 && (size_t)v >= min && (size_t)v <= max, LRK_EINPUT,
                "%s: key '%s' is %lld, expected %zu to %zu", g->path, key, (long long)v, min, max);
    *out = (size_t)v;
    return LRK_OK;
}

lrk_status lrk_gguf_opt_real(const lrk_gguf *g, const char *key, double *out, lrk_err *err)
{
    const lrk_gguf_kv *kv = lrk_gguf_find(g, key);
    if (!kv) return LRK_OK;
    if (kv->array || kv->type == LRK_GGUF_STRING || kv->type == LRK_GGUF_BOOL)
        return wrong_type(g, kv, "a number", err);
    LRK_REQUIRE(err, isfinite(lrk_gguf_number(kv, 0)), LRK_EINPUT, "%s: key '%s' is not finite",
                g->path, key);
    *out = lrk_gguf_number(kv, 0);
    return LRK_OK;
}

lrk_status lrk_gguf_opt_bool(const lrk_gguf *g, const char *key, bool *out, lrk_err *err)
{
    const lrk_gguf_kv *kv = lrk_gguf_find(g, key);
    if (!kv) return LRK_OK;
    if (kv->array || kv->type != LRK_GGUF_BOOL) return wrong_type(g, kv, "a bool", err);
    *out = kv->data[0] != 0;
    return LRK_OK;
}

lrk_status lrk_gguf_opt_string(const lrk_gguf *g, const char *key, lrk_arena *a, const char **out,
                               lrk_err *err)
{
    size_t n;
    const lrk_gguf_kv *kv = lrk_gguf_find(g, key);
    if (!kv) return LRK_OK;
    if (kv->array || kv->type != LRK_GGUF_STRING) return wrong_type(g, kv, "a string", err);
    const char *s = lrk_gguf_string(kv, 0, &n);
    LRK_REQUIRE(err, lrk_utf8_check(s, n) == n, LRK_EINPUT,
                "%s: key '%s': byte %zu of the string is not valid UTF-8", g->path, key,
                lrk_utf8_check(s, n));
    *out = lrk_strndup(a, s, n);
    LRK_REQUIRE(err, *out, LRK_ENOMEM, "memory: no room for key '%s'", key);
    return LRK_OK;
}

lrk_status lrk_gguf_opt_array(const lrk_gguf *g, const char *key, lrk_gguf_type type,
                              const lrk_gguf_kv **out, lrk_err *err)
{
    *out = lrk_gguf_find(g, key);
    if (!*out || ((*out)->array && (*out)->type == type)) return LRK_OK;
    const lrk_gguf_kv *kv = *out;
    *out = NULL;
    return lrk_fail(err, LRK_EINPUT, "%s: key '%s' is %s%s, expected an array of %s", g->path, key,
                    kv->array ? "an array of " : "", names[kv->type], names[type]);
}
