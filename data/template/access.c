/* data/template/access.c -- attributes, items and slices, as the sandbox of the reference gives
 * them. */
#include "data/template/text.h"
#include "data/template/value.h"

#include <stdio.h>
#include <string.h>

/* Attributes of Python's types that templates could reach. What changes a value the sandbox makes
 * undefined; what this renderer lacks is refused. */
typedef struct python_type {
    const char *attributes, *unsafe;
} python_type;

static const python_type type_str = {
    " capitalize casefold center count encode endswith expandtabs find format format_map index "
    "isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace "
    "istitle isupper join ljust lower lstrip maketrans partition removeprefix removesuffix replace "
    "rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title "
    "translate upper zfill ",
    ""};
static const python_type type_list = {" copy count index ",
                                      " append clear extend insert pop remove reverse sort "};
static const python_type type_tuple = {" count index ", ""};
static const python_type type_dict = {" copy fromkeys get items keys values ",
                                      " clear pop popitem setdefault update "};
static const python_type type_int = {
    " as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag is_integer "
    "numerator real to_bytes ",
    ""};
static const python_type type_float = {
    " as_integer_ratio conjugate from_number fromhex hex imag is_integer real ", ""};
static const python_type type_range = {" count index start step stop ", ""};
static const python_type type_view = {" isdisjoint mapping ", ""};
static const python_type type_generator = {
    " close gi_code gi_frame gi_running gi_suspended gi_yieldfrom send throw ", ""};
static const python_type type_none = {"", ""};

static const python_type *type_of(lrk_jkind k)
{
    switch (k) {
    case LRK_JV_STR:
        return &type_str;
    case LRK_JV_LIST:
        return &type_list;
    case LRK_JV_TUPLE:
        return &type_tuple;
    case LRK_JV_DICT:
        return &type_dict;
    case LRK_JV_BOOL:
    case LRK_JV_INT:
        return &type_int;
    case LRK_JV_REAL:
        return &type_float;
    case LRK_JV_RANGE:
        return &type_range;
    case LRK_JV_VIEW:
        return &type_view;
    case LRK_JV_GENERATOR:
        return &type_generator;
    default:
        return &type_none;
    }
}

static bool listed(const char *words, const char *name)
{
    char wanted[32];
    const int n = snprintf(wanted, sizeof wanted, " %s ", name);
    return n > 0 && (size_t)n < sizeof wanted && strstr(words, wanted);
}

lrk_status lrk_j_method(lrk_jrun *r, lrk_jvalue v, const char *name, const lrk_jmethod **out)
{
    const lrk_jmethod *m = v.kind == LRK_JV_STR    ? lrk_jmethods_str
                           : v.kind == LRK_JV_DICT ? lrk_jmethods_dict
                           : v.kind == LRK_JV_LOOP ? lrk_jmethods_loop
                                                   : lrk_jmethods_seq;
    const python_type *type = type_of(v.kind);
    *out = NULL;
    if (v.kind != LRK_JV_LOOP && !listed(type->attributes, name)) return LRK_OK;
    while (m->name && strcmp(m->name, name) != 0) m++;
    if (m->name) *out = m;
    if (!m->name && v.kind != LRK_JV_LOOP)
        return lrk_j_fail(r, LRK_ESUPPORT, "%s.%s", lrk_j_type(v), name);
    return LRK_OK;
}

/* What getattr() finds on a value; *found says whether. */
static lrk_status own_attr(lrk_jrun *r, lrk_jvalue v, const char *name, lrk_jvalue *out,
                           bool *found)
{
    const lrk_jmethod *method;
    *found = true;
    if (strncmp(name, "__", 2) == 0) return lrk_j_fail(r, LRK_ESUPPORT, "attribute %s", name);
    if (v.kind == LRK_JV_UNDEFINED) return lrk_j_fail(r, LRK_EINPUT, "%s", v.as.hint);
    if (v.kind == LRK_JV_MACRO || v.kind == LRK_JV_FUNCTION || v.kind == LRK_JV_METHOD)
        return lrk_j_fail(r, LRK_ESUPPORT, "attributes of a %s", lrk_j_type(v));
    if (v.kind == LRK_JV_NAMESPACE) {
        const lrk_jvalue *there = lrk_j_dict_find(v.as.dict, name, strlen(name));
        *found = there != NULL;
        if (there) *out = *there;
        return LRK_OK;
    }
    if (v.kind == LRK_JV_LOOP) {
        LRK_TRY(lrk_j_loop_attr(r, v.as.loop, name, out, found));
        if (*found) return LRK_OK;
    }
    if (listed(type_of(v.kind)->unsafe, name)) {
        *out = lrk_j_undefined(r, "access to attribute '%s' of '%s' object is unsafe.", name,
                               lrk_j_type(v));
        return LRK_OK;
    }
    LRK_TRY(lrk_j_method(r, v, name, &method));
    *found = method != NULL;
    if (!method) return LRK_OK;
    lrk_jbound *bound;
    LRK_TRY(lrk_j_take(r, 1, sizeof *bound, &bound));
    *bound = (lrk_jbound){v, method};
    *out = (lrk_jvalue){.kind = LRK_JV_METHOD, .as.method = bound};
    return LRK_OK;
}

static lrk_jvalue no_attribute(lrk_jrun *r, lrk_jvalue v, const char *name)
{
    if (v.kind == LRK_JV_NONE) return lrk_j_undefined(r, "'None' has no attribute '%s'", name);
    return lrk_j_undefined(r, "'%s object' has no attribute '%s'", lrk_j_type(v), name);
}

lrk_status lrk_j_attr(lrk_jrun *r, lrk_jvalue v, const char *name, lrk_jvalue *out)
{
    bool found;
    if (v.kind == LRK_JV_DICT && strncmp(name, "__", 2) == 0 &&
        lrk_j_dict_find(v.as.dict, name, strlen(name)))
        return lrk_j_fail(r, LRK_ESUPPORT, "attribute %s", name);
    LRK_TRY(own_attr(r, v, name, out, &found));
    if (found) return LRK_OK;
    const lrk_jvalue *there =
        v.kind == LRK_JV_DICT ? lrk_j_dict_find(v.as.dict, name, strlen(name)) : NULL;
    *out = there ? *there : no_attribute(r, v, name);
    return LRK_OK;
}

/* v[index] where it exists. */
static lrk_status own_item(lrk_jrun *r, lrk_jvalue v, lrk_jvalue index, lrk_jvalue *out,
                           bool *found)
{
    *found = false;
    if (v.kind == LRK_JV_DICT) {
        const lrk_jvalue *there;
        if (index.kind == LRK_JV_LIST || index.kind == LRK_JV_DICT) return LRK_OK;
        LRK_TRY(lrk_j_dict_get(r, v.as.dict, index, &there));
        *found = there != NULL;
        if (there) *out = *there;
        return LRK_OK;
    }
    if (index.kind != LRK_JV_INT && index.kind != LRK_JV_BOOL) return LRK_OK;
    if (v.kind != LRK_JV_STR && v.kind != LRK_JV_LIST && v.kind != LRK_JV_TUPLE &&
        v.kind != LRK_JV_RANGE)
        return LRK_OK;
    size_t n;
    LRK_TRY(lrk_j_length(r, v, &n));
    int64_t i = index.kind == LRK_JV_BOOL ? index.as.boolean : index.as.integer;
    if (i < 0) i += (int64_t)n;
    if (i < 0 || (uint64_t)i >= n) return LRK_OK;
    *found = true;
    if (v.kind != LRK_JV_STR) {
        *out = v.as.seq->items[i];
        return LRK_OK;
    }
    const lrk_jstr *s = v.as.str;
    const size_t at = lrk_j_offset(s->s, s->n, (size_t)i);
    size_t width;
    lrk_j_decode(s->s, s->n, at, &width);
    return lrk_j_part(r, s, at, at + width, out);
}

lrk_status lrk_j_item(lrk_jrun *r, lrk_jvalue v, lrk_jvalue index, lrk_jvalue *out)
{
    bool found;
    if (v.kind == LRK_JV_UNDEFINED) return lrk_j_fail(r, LRK_EINPUT, "%s", v.as.hint);
    if (v.kind == LRK_JV_MACRO || v.kind == LRK_JV_FUNCTION || v.kind == LRK_JV_METHOD)
        return lrk_j_fail(r, LRK_ESUPPORT, "items of a %s", lrk_j_type(v));
    LRK_TRY(own_item(r, v, index, out, &found));
    if (found) return LRK_OK;
    if (index.kind == LRK_JV_STR) {
        char name[64];
        const lrk_jstr *s = index.as.str;
        if (s->n < sizeof name) {
            memcpy(name, s->s, s->n);
            name[s->n] = 0;
            if (strlen(name) == s->n) LRK_TRY(own_attr(r, v, name, out, &found));
        }
        if (!found) *out = no_attribute(r, v, s->n < 60 ? name : "...");
        return LRK_OK;
    }
    *out = lrk_j_undefined(r, "%s object has no such element", lrk_j_type(v));
    return LRK_OK;
}

/* Bounds as Python's slice.indices() has them. */
static lrk_status slice_bounds(lrk_jrun *r, const lrk_jvalue b[3], int64_t n, int64_t out[3])
{
    int64_t given[3] = {0, 0, 1};
    for (int i = 0; i < 3; i++) {
        if (b[i].kind == LRK_JV_NONE) continue;
        if (b[i].kind != LRK_JV_INT && b[i].kind != LRK_JV_BOOL)
            return lrk_j_fail(r, LRK_ESUPPORT, "slices with a bound of type %s", lrk_j_type(b[i]));
        given[i] = b[i].kind == LRK_JV_INT ? b[i].as.integer : b[i].as.boolean;
    }
    const int64_t step = given[2];
    if (step == 0) return lrk_j_fail(r, LRK_EINPUT, "slice step cannot be zero");
    const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    for (int i = 0; i < 2; i++) {
        if (b[i].kind == LRK_JV_NONE) {
            out[i] = (i == 0) == (step > 0) ? low : high;
            continue;
        }
        int64_t at = given[i];
        if (at < 0) at = at + n < 0 ? low : at + n;
        out[i] = at > high ? high : at;
    }
    out[2] = step;
    return LRK_OK;
}

lrk_status lrk_j_slice(lrk_jrun *r, lrk_jvalue v, const lrk_jvalue bounds[3], lrk_jvalue *out)
{
    int64_t b[3];
    size_t n;
    if (v.kind == LRK_JV_UNDEFINED) return lrk_j_fail(r, LRK_EINPUT, "%s", v.as.hint);
    /* an error in the reference, but undefined where it could fold constants while compiling */
    if (v.kind != LRK_JV_STR && v.kind != LRK_JV_LIST && v.kind != LRK_JV_TUPLE)
        return lrk_j_fail(r, LRK_ESUPPORT, "slices of a %s", lrk_j_type(v));
    LRK_TRY(lrk_j_length(r, v, &n));
    LRK_TRY(slice_bounds(r, bounds, (int64_t)n, b));
    if (v.kind == LRK_JV_STR && b[2] == 1) {
        const lrk_jstr *s = v.as.str;
        if (b[1] < b[0]) b[1] = b[0];
        const size_t begin = lrk_j_offset(s->s, s->n, (size_t)b[0]);
        const size_t end = begin + lrk_j_offset(s->s + begin, s->n - begin, (size_t)(b[1] - b[0]));
        return lrk_j_part(r, s, begin, end, out);
    }
    lrk_jseq *items;
    LRK_TRY(lrk_j_items(r, v, &items));
    lrk_jout o = {0};
    lrk_jvalue list;
    LRK_TRY(lrk_j_seq(r, v.kind, &list));
    for (int64_t i = b[0]; b[2] > 0 ? i < b[1] : i > b[1]; i += b[2]) {
        if (v.kind == LRK_JV_STR) {
            LRK_TRY(lrk_j_put_str(r, &o, items->items[i].as.str));
        } else {
            LRK_TRY(lrk_j_append(r, list.as.seq, items->items[i]));
        }
        if (b[2] > 0 ? i > INT64_MAX - b[2] : i < INT64_MIN - b[2]) break;
    }
    if (v.kind == LRK_JV_STR) return lrk_j_finish(r, &o, out);
    *out = list;
    return LRK_OK;
}
