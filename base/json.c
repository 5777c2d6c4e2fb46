/* base/json.c -- strict JSON on jansson. */
#include "base/json.h"

#include "base/file.h"

#include <jansson.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

static const char *const kinds[] = {"an object", "an array", "a string", "an integer",
                                    "a number",  "a boolean", "null"};

const char *lrk_json_kind_name(lrk_json_kind k)
{
    return kinds[k];
}

/* A copy of the text in which integers beyond int64_t are reals: 1e30 written out, as some files
 * have it. */
static bool long_integers(const char *text, size_t n, lrk_buf *b)
{
    enum { SAFE = 18 }; /* digits that always fit */
    bool string = false;
    size_t done = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"') string = !string;
        if (string && text[i] == '\\') i++;
        if (string || text[i] < '0' || text[i] > '9') continue;
        const size_t begin = i;
        while (i < n && text[i] >= '0' && text[i] <= '9') i++;
        const bool whole = (i == n || !strchr(".eE", text[i])) &&
                           (!begin || !strchr(".eE+", text[begin - 1]));
        if (whole && i - begin > SAFE) {
            lrk_buf_append(b, text + done, i - done);
            lrk_buf_puts(b, "e0");
            done = i;
        }
        i--;
    }
    lrk_buf_append(b, text + done, n - done);
    return done > 0 && !b->failed;
}

lrk_status lrk_json_parse_line(lrk_json **out, const char *text, size_t n, const char *where,
                               size_t line, lrk_err *err)
{
    json_error_t e;
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (!*out && json_error_code(&e) == json_error_numeric_overflow) {
        lrk_buf b = {.n = 0};
        if (long_integers(text, n, &b))
            *out = json_loadb(b.data, b.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
        lrk_buf_free(&b);
    }
    LRK_REQUIRE(err, *out, LRK_EINPUT, "%s:%zu:%d: not valid JSON: %s", where,
                line + (size_t)(e.line > 0 ? e.line - 1 : 0), e.column, e.text);
    return LRK_OK;
}

lrk_status lrk_json_parse(lrk_json **out, const char *text, size_t n, const char *where,
                          lrk_err *err)
{
    return lrk_json_parse_line(out, text, n, where, 1, err);
}

lrk_status lrk_json_load(lrk_json **out, const char *path, size_t max_bytes, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("json");
    char *text;
    size_t n;
    lrk_status status = lrk_file_read(&a, path, max_bytes, &text, &n, err);
    if (status == LRK_OK) status = lrk_json_parse(out, text, n, path, err);
    lrk_arena_free(&a);
    return status;
}

void lrk_json_free(lrk_json *v)
{
    json_decref(v);
}

lrk_json *lrk_json_ref(lrk_json *v)
{
    return json_incref(v);
}

lrk_json_kind lrk_json_type(const lrk_json *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return LRK_JSON_OBJECT;
    case JSON_ARRAY: return LRK_JSON_ARRAY;
    case JSON_STRING: return LRK_JSON_STRING;
    case JSON_INTEGER: return LRK_JSON_INTEGER;
    case JSON_REAL: return LRK_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return LRK_JSON_BOOL;
    case JSON_NULL: break;
    }
    return LRK_JSON_NULL;
}

lrk_json *lrk_json_get(const lrk_json *object, const char *key)
{
    return json_object_get(object, key);
}

lrk_json *lrk_json_at(const lrk_json *array, size_t i)
{
    return json_array_get(array, i);
}

size_t lrk_json_size(const lrk_json *v)
{
    return json_is_array(v) ? json_array_size(v) : json_object_size(v);
}

const char *lrk_json_string(const lrk_json *v, size_t *n)
{
    if (n) *n = json_string_length(v);
    return json_string_value(v);
}

const char *lrk_json_word(const lrk_json *object, const char *key)
{
    return lrk_json_string(lrk_json_get(object, key), NULL);
}

int64_t lrk_json_integer(const lrk_json *v)
{
    return json_integer_value(v);
}

double lrk_json_number(const lrk_json *v)
{
    return json_number_value(v);
}

bool lrk_json_bool(const lrk_json *v)
{
    return json_is_true(v);
}

/* jansson's iterators take a non-const object though they only read it */
static json_t *unconst(const lrk_json *v)
{
    return (json_t *)(uintptr_t)v;
}

void *lrk_json_begin(const lrk_json *object)
{
    return json_object_iter(unconst(object));
}

void *lrk_json_next(const lrk_json *object, void *iterator)
{
    return json_object_iter_next(unconst(object), iterator);
}

const char *lrk_json_key(void *iterator, size_t *n)
{
    const char *key = json_object_iter_key(iterator);
    if (n) *n = strlen(key);
    return key;
}

lrk_json *lrk_json_value(void *iterator)
{
    return json_object_iter_value(iterator);
}

static bool absent(const lrk_json *v)
{
    return !v || json_is_null(v);
}

static lrk_status wrong(const char *where, const char *key, const char *expected, const lrk_json *v,
                        lrk_err *err)
{
    return lrk_fail(err, LRK_EINPUT, "%s: %s: expected %s, got %s", where, key, expected,
                    kinds[lrk_json_type(v)]);
}

lrk_status lrk_json_opt_size(const lrk_json *object, const char *key, size_t min, size_t max,
                             size_t *out, const char *where, lrk_err *err)
{
    const lrk_json *v = json_object_get(object, key);
    if (absent(v)) return LRK_OK;
    if (!json_is_integer(v)) return wrong(where, key, "an integer", v, err);
    const int64_t i = json_integer_value(v);
    LRK_REQUIRE(err, i >= 0 && (uint64_t)i >= min && (uint64_t)i <= max, LRK_EINPUT,
                "%s: %s: %lld is out of range, expected %zu to %zu", where, key, (long long)i, min,
                max);
    *out = (size_t)i;
    return LRK_OK;
}

lrk_status lrk_json_opt_real(const lrk_json *object, const char *key, double *out,
                             const char *where, lrk_err *err)
{
    const lrk_json *v = json_object_get(object, key);
    if (absent(v)) return LRK_OK;
    if (!json_is_number(v)) return wrong(where, key, "a number", v, err);
    const double d = json_number_value(v);
    LRK_REQUIRE(err, isfinite(d), LRK_EINPUT, "%s: %s: not a finite number", where, key);
    *out = d;
    return LRK_OK;
}

lrk_status lrk_json_opt_bool(const lrk_json *object, const char *key, bool *out, const char *where,
                             lrk_err *err)
{
    const lrk_json *v = json_object_get(object, key);
    if (absent(v)) return LRK_OK;
    if (!json_is_boolean(v)) return wrong(where, key, "a boolean", v, err);
    *out = json_is_true(v);
    return LRK_OK;
}

lrk_status lrk_json_opt_string(const lrk_json *object, const char *key, const char **out,
                               const char *where, lrk_err *err)
{
    const lrk_json *v = json_object_get(object, key);
    if (absent(v)) return LRK_OK;
    if (!json_is_string(v)) return wrong(where, key, "a string", v, err);
    *out = json_string_value(v);
    return LRK_OK;
}

lrk_json *lrk_json_object(void)
{
    return json_object();
}

lrk_json *lrk_json_array(void)
{
    return json_array();
}

/* Text that is not UTF-8 is kept as it came: its object cannot be written, others can. */
lrk_json *lrk_json_new_string(const char *s, size_t n)
{
    return json_stringn_nocheck(s, n);
}

lrk_json *lrk_json_new_integer(int64_t i)
{
    return json_integer(i);
}

lrk_json *lrk_json_new_real(double d)
{
    return isfinite(d) ? json_real(d) : json_null();
}

lrk_json *lrk_json_new_bool(bool b)
{
    return json_boolean(b);
}

lrk_json *lrk_json_c_string(const char *s)
{
    return s ? lrk_json_new_string(s, strlen(s)) : lrk_json_new_null();
}

lrk_json *lrk_json_new_null(void)
{
    return json_null();
}

/* Set once when memory ran out, so that a text that lacks a value is never written. It stays set: no
 * object has room to say so itself, and a process without memory has nothing more to say. */
static atomic_bool out_of_memory;

void lrk_json_set(lrk_json *object, const char *key, lrk_json *value)
{
    if (json_object_set_new_nocheck(object, key, value) != 0) atomic_store(&out_of_memory, true);
}

void lrk_json_set_text(lrk_json *object, const char *key, const char *s)
{
    if (s) lrk_json_set(object, key, lrk_json_c_string(s));
}

void lrk_json_set_count(lrk_json *object, const char *key, uint64_t n)
{
    lrk_json_set(object, key, lrk_json_new_integer((int64_t)n));
}

void lrk_json_add(lrk_json *array, lrk_json *value)
{
    if (json_array_append_new(array, value) != 0) atomic_store(&out_of_memory, true);
}

/* NUL is fine: it is written as \u0000. */
static bool is_utf8(const char *s, size_t n)
{
    size_t i = 0;
    for (size_t fine = 1; i < n && fine; i += fine) fine = s[i] ? lrk_utf8_check(s + i, n - i) : 1;
    return i == n;
}

/* The first text in v that is not UTF-8, or NULL. */
static const char *not_utf8(const json_t *v)
{
    const char *found = NULL;
    size_t n;
    const char *text = lrk_json_string(v, &n);
    if (text && !is_utf8(text, n)) found = text;
    for (size_t i = 0; !found && i < json_array_size(v); i++) found = not_utf8(json_array_get(v, i));
    for (void *i = lrk_json_begin(v); !found && i; i = lrk_json_next(v, i)) {
        const char *key = json_object_iter_key(i);
        found = is_utf8(key, strlen(key)) ? not_utf8(lrk_json_value(i)) : key;
    }
    return found;
}

lrk_status lrk_json_check(const lrk_json *v, lrk_err *err)
{
    LRK_REQUIRE(err, v && !atomic_load(&out_of_memory), LRK_ENOMEM, "JSON: no memory for a value");
    const char *text = not_utf8(v);
    LRK_REQUIRE(err, !text, LRK_EINPUT, "JSON: '%.200s' is not UTF-8", text);
    return LRK_OK;
}

const char *lrk_json_version(void)
{
    return JANSSON_VERSION;
}
