/* base/json.h -- JSON values, strict: duplicate keys, NUL in strings, invalid UTF-8, trailing bytes
 * and nesting beyond 512 are errors with line and column. Backed by jansson, which no other file
 * includes. Key order is kept. An integer beyond int64_t is a real.
 *
 * Getters never fail on a missing member: they return NULL, the fallback, or an error that names
 * the path of the member ("config.json: rope_scaling.factor: expected a number, got a string").
 */
#ifndef LRK_BASE_JSON_H
#define LRK_BASE_JSON_H
#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct json_t lrk_json;

typedef enum lrk_json_kind {
    LRK_JSON_OBJECT,
    LRK_JSON_ARRAY,
    LRK_JSON_STRING,
    LRK_JSON_INTEGER,
    LRK_JSON_REAL,
    LRK_JSON_BOOL,
    LRK_JSON_NULL
} lrk_json_kind;

/* `where` names the source in messages: a path, or "line 14 of data.jsonl". */
lrk_status lrk_json_parse(lrk_json **out, const char *text, size_t n, const char *where,
                          lrk_err *err);
/* The same for a line of a file: messages say that line's number. */
lrk_status lrk_json_parse_line(lrk_json **out, const char *text, size_t n, const char *where,
                               size_t line, lrk_err *err);
lrk_status lrk_json_load(lrk_json **out, const char *path, size_t max_bytes, lrk_err *err);
/* Indented by two, with a newline at the end; whole or not at all. */
lrk_status lrk_json_save(const lrk_json *v, const char *path, lrk_err *err);
void lrk_json_free(lrk_json *v); /* drops one reference; NULL is fine */
lrk_json *lrk_json_ref(lrk_json *v);

lrk_json_kind lrk_json_type(const lrk_json *v);
const char *lrk_json_kind_name(lrk_json_kind k);
static inline bool lrk_json_is(const lrk_json *v, lrk_json_kind k)
{
    return v && lrk_json_type(v) == k;
}
/* There, and not null. */
static inline bool lrk_json_is_set(const lrk_json *v)
{
    return v && lrk_json_type(v) != LRK_JSON_NULL;
}

/* Plain access; the wrong kind gives NULL, 0 or false. */
lrk_json *lrk_json_get(const lrk_json *object, const char *key);
lrk_json *lrk_json_at(const lrk_json *array, size_t i);
size_t lrk_json_size(const lrk_json *v); /* members of an object or array */
const char *lrk_json_string(const lrk_json *v, size_t *n); /* n may be NULL */
const char *lrk_json_word(const lrk_json *object, const char *key); /* of a member that is a string, else NULL */
int64_t lrk_json_integer(const lrk_json *v);
double lrk_json_number(const lrk_json *v); /* integers too */
bool lrk_json_bool(const lrk_json *v);

/* Members of an object in order: for (i = begin; i; i = next(object, i)). */
void *lrk_json_begin(const lrk_json *object);
void *lrk_json_next(const lrk_json *object, void *iterator);
const char *lrk_json_key(void *iterator, size_t *n);
lrk_json *lrk_json_value(void *iterator);

/* Checked access to an optional member: absent or null leaves *out as it is. */
lrk_status lrk_json_opt_size(const lrk_json *object, const char *key, size_t min, size_t max,
                             size_t *out, const char *where, lrk_err *err);
lrk_status lrk_json_opt_real(const lrk_json *object, const char *key, double *out,
                             const char *where, lrk_err *err); /* must be finite */
lrk_status lrk_json_opt_bool(const lrk_json *object, const char *key, bool *out, const char *where,
                             lrk_err *err);
lrk_status lrk_json_opt_string(const lrk_json *object, const char *key, const char **out,
                               const char *where, lrk_err *err); /* lives as long as object */

/* Building. Setters take over the reference of `value`. Calls need no checks: after a failure of memory,
 * and for an object with text that is not UTF-8, lrk_json_dump fails. */
lrk_json *lrk_json_object(void);
lrk_json *lrk_json_array(void);
lrk_json *lrk_json_new_string(const char *s, size_t n);
lrk_json *lrk_json_c_string(const char *s); /* NUL-terminated; null where s is NULL */
lrk_json *lrk_json_new_integer(int64_t i);
lrk_json *lrk_json_new_real(double d); /* a non-finite number becomes null */
lrk_json *lrk_json_new_bool(bool b);
lrk_json *lrk_json_new_null(void);
void lrk_json_set(lrk_json *object, const char *key, lrk_json *value);
void lrk_json_set_text(lrk_json *object, const char *key, const char *s); /* NULL: no such member */
void lrk_json_set_count(lrk_json *object, const char *key, uint64_t n);   /* below 2^63 */
void lrk_json_add(lrk_json *array, lrk_json *value);

/* LRK_EINPUT names a text in v that is not UTF-8; LRK_ENOMEM where one of the setters above had no memory. */
lrk_status lrk_json_check(const lrk_json *v, lrk_err *err);

/* Text of v appended to b; indent 0 is one line with ", " and ": ", as Python's json.dumps; reals are
 * the shortest that read back the same. Errors as lrk_json_check. */
lrk_status lrk_json_dump(const lrk_json *v, int indent, lrk_buf *b, lrk_err *err);
/* One JSON string literal, quotes included; non-ASCII stays as it is. */
void lrk_json_quote(lrk_buf *b, const char *s, size_t n);

/* Version of jansson, for `lorikeet doctor`. */
const char *lrk_json_version(void);

#endif /* LRK_BASE_JSON_H */
