/* checkpoint/safetensors.c -- the reader. Writer: safetensors_write.c. */
#include "checkpoint/safetensors.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

enum { PREFIX = 8 };

/* Every dtype of the format. bits: of an element; narrow ones may end within a byte. */
static const struct {
    const char *name;
    size_t bits;
    int dtype; /* lrk_dtype, or -1 */
} types[] = {
    {"F32", 32, LRK_F32}, {"F16", 16, LRK_F16},   {"BF16", 16, LRK_BF16}, {"F64", 64, LRK_F64},
    {"I32", 32, LRK_I32}, {"I64", 64, LRK_I64},   {"U8", 8, LRK_U8},      {"I8", 8, -1},
    {"BOOL", 8, -1},      {"I16", 16, -1},        {"U16", 16, -1},        {"U32", 32, -1},
    {"U64", 64, -1},      {"C64", 64, -1},        {"F8_E5M2", 8, -1},     {"F8_E4M3", 8, -1},
    {"F8_E8M0", 8, -1},   {"F8_E4M3FNUZ", 8, -1}, {"F8_E5M2FNUZ", 8, -1}, {"F4", 4, -1},
    {"F6_E2M3", 6, -1},   {"F6_E3M2", 6, -1},
};

static lrk_status parse_type(const lrk_safetensors *s, lrk_st_entry *e, const lrk_json *v,
                             size_t *bits, lrk_err *err)
{
    const char *name = lrk_json_string(v, NULL);
    LRK_REQUIRE(err, name, LRK_EINPUT, "%s: tensor '%s': dtype is missing or no string", s->path,
                e->name);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(name, types[i].name) != 0) continue;
        e->type = types[i].name;
        e->readable = types[i].dtype >= 0;
        e->dtype = e->readable ? (lrk_dtype)types[i].dtype : LRK_U8;
        *bits = types[i].bits;
        return LRK_OK;
    }
    return lrk_fail(err, LRK_EINPUT, "%s: tensor '%s': unknown dtype '%.32s'", s->path, e->name,
                    name);
}

/* A non-negative integer, or failure. */
static bool to_size(const lrk_json *v, size_t *out)
{
    if (!lrk_json_is(v, LRK_JSON_INTEGER) || lrk_json_integer(v) < 0) return false;
    *out = (size_t)lrk_json_integer(v);
    return true;
}

static lrk_status parse_entry(const lrk_safetensors *s, lrk_st_entry *e, const lrk_json *v,
                              lrk_err *err)
{
    const lrk_json *shape = lrk_json_get(v, "shape"), *at = lrk_json_get(v, "data_offsets");
    size_t bits = 0, count = 1, total;
    LRK_REQUIRE(err, lrk_json_is(v, LRK_JSON_OBJECT) && lrk_json_size(v) == 3, LRK_EINPUT,
                "%s: tensor '%s': expected dtype, shape and data_offsets and nothing else", s->path,
                e->name);
    LRK_TRY(parse_type(s, e, lrk_json_get(v, "dtype"), &bits, err));
    LRK_REQUIRE(err, lrk_json_is(shape, LRK_JSON_ARRAY) && lrk_json_size(shape) <= LRK_ST_MAX_RANK,
                LRK_EINPUT, "%s: tensor '%s': shape is missing or has more than %d axes", s->path,
                e->name, LRK_ST_MAX_RANK);
    e->rank = (int)lrk_json_size(shape);
    for (size_t i = 0; i < lrk_json_size(shape); i++) {
        LRK_REQUIRE(err, to_size(lrk_json_at(shape, i), &e->dim[i]), LRK_EINPUT,
                    "%s: tensor '%s': axis %zu of the shape is no size", s->path, e->name, i);
        LRK_REQUIRE(err, lrk_mul(count, e->dim[i], &count), LRK_EINPUT,
                    "%s: tensor '%s': the shape has more elements than memory can address", s->path,
                    e->name);
    }
    LRK_REQUIRE(err, lrk_mul(count, bits, &total) && total % 8 == 0, LRK_EINPUT,
                "%s: tensor '%s': %zu elements of %s are no whole number of bytes", s->path,
                e->name, count, e->type);
    LRK_REQUIRE(err,
                lrk_json_is(at, LRK_JSON_ARRAY) && lrk_json_size(at) == 2 &&
                    to_size(lrk_json_at(at, 0), &e->begin) && to_size(lrk_json_at(at, 1), &e->end),
                LRK_EINPUT, "%s: tensor '%s': data_offsets is not a pair of sizes", s->path,
                e->name);
    LRK_REQUIRE(err, e->begin <= e->end && e->end <= s->data_bytes, LRK_EINPUT,
                "%s: tensor '%s': bytes %zu to %zu lie outside the file, which has %zu bytes of "
                "tensors; is the file truncated?",
                s->path, e->name, e->begin, e->end, s->data_bytes);
    LRK_REQUIRE(err, e->end - e->begin == total / 8, LRK_EINPUT,
                "%s: tensor '%s': %zu bytes, but shape and dtype %s need %zu", s->path, e->name,
                e->end - e->begin, e->type, total / 8);
    return LRK_OK;
}

static lrk_status parse_metadata(lrk_safetensors *s, lrk_json *v, lrk_err *err)
{
    LRK_REQUIRE(err, lrk_json_is(v, LRK_JSON_OBJECT), LRK_EINPUT,
                "%s: __metadata__ is not an object", s->path);
    for (void *i = lrk_json_begin(v); i; i = lrk_json_next(v, i)) {
        LRK_REQUIRE(err, lrk_json_is(lrk_json_value(i), LRK_JSON_STRING), LRK_EINPUT,
                    "%s: __metadata__: value of '%s' is not a string", s->path,
                    lrk_json_key(i, NULL));
    }
    s->metadata = lrk_json_ref(v);
    return LRK_OK;
}

/* Empty tensors share their offset with a neighbour; they come first, then names decide, so that
 * the order is one whatever qsort does. */
static int by_offset(const void *a, const void *b)
{
    const lrk_st_entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name);
}

static lrk_status check_layout(lrk_safetensors *s, lrk_err *err)
{
    size_t expected = 0;
    if (s->n > 1) qsort(s->entry, s->n, sizeof *s->entry, by_offset);
    for (size_t i = 0; i < s->n; i++) {
        LRK_REQUIRE(err, s->entry[i].begin == expected, LRK_EINPUT,
                    "%s: tensor '%s' begins at byte %zu of the data, expected %zu: %s", s->path,
                    s->entry[i].name, s->entry[i].begin, expected,
                    s->entry[i].begin < expected ? "tensors overlap" : "there is a gap");
        expected = s->entry[i].end;
    }
    LRK_REQUIRE(err, expected == s->data_bytes, LRK_EINPUT,
                "%s: the tensors end at byte %zu of the data, but the file has %zu", s->path,
                expected, s->data_bytes);
    LRK_TRY(lrk_alloc(&s->arena, s->n, sizeof *s->lookup.row, "tensor names", &s->lookup.row, err));
    s->lookup.n = s->n;
    for (size_t i = 0; i < s->n; i++) s->lookup.row[i] = (lrk_lookup_row){s->entry[i].name, i};
    const char *twice = lrk_lookup_sort(&s->lookup);
    LRK_REQUIRE(err, !twice, LRK_EINPUT, "%s: tensor '%s' occurs twice", s->path, twice);
    return LRK_OK;
}

static lrk_status parse_header(lrk_safetensors *s, const lrk_json *root, lrk_err *err)
{
    LRK_REQUIRE(err, lrk_json_is(root, LRK_JSON_OBJECT), LRK_EINPUT,
                "%s: the header is not a JSON object", s->path);
    const size_t most = lrk_json_size(root);
    LRK_REQUIRE(err, most <= LRK_ST_MAX_TENSORS, LRK_EINPUT, "%s: %zu tensors, at most %d allowed",
                s->path, most, LRK_ST_MAX_TENSORS);
    LRK_TRY(lrk_alloc(&s->arena, most, sizeof *s->entry, "tensor table", &s->entry, err));
    for (void *i = lrk_json_begin(root); i; i = lrk_json_next(root, i)) {
        size_t length = 0;
        const char *key = lrk_json_key(i, &length);
        if (strcmp(key, "__metadata__") == 0) {
            LRK_TRY(parse_metadata(s, lrk_json_value(i), err));
            continue;
        }
        LRK_REQUIRE(err, length > 0 && length <= LRK_ST_MAX_NAME, LRK_EINPUT,
                    "%s: a tensor name of %zu bytes; 1 to %d allowed", s->path, length,
                    LRK_ST_MAX_NAME);
        lrk_st_entry *e = &s->entry[s->n];
        e->name = lrk_strndup(&s->arena, key, length);
        LRK_REQUIRE(err, e->name, LRK_ENOMEM, "memory: no room for tensor names");
        LRK_TRY(parse_entry(s, e, lrk_json_value(i), err));
        s->n++;
    }
    return check_layout(s, err);
}

static lrk_status parse(lrk_safetensors *s, const unsigned char *data, size_t n, lrk_err *err)
{
    uint64_t header = 0;
    lrk_json *root = NULL;
    LRK_REQUIRE(err, n >= PREFIX, LRK_EINPUT,
                "%s: %zu bytes are too few for a safetensors file; is it truncated?", s->path, n);
    for (int i = PREFIX - 1; i >= 0; i--) header = header << 8 | data[i];
    LRK_REQUIRE(err, header <= n - PREFIX, LRK_EINPUT,
                "%s: the header claims %llu bytes, the file has %zu: truncated, or not a "
                "safetensors file",
                s->path, (unsigned long long)header, n);
    LRK_REQUIRE(err, header >= 2 && header <= LRK_ST_MAX_HEADER, LRK_EINPUT,
                "%s: a header of %llu bytes; 2 to %d allowed", s->path, (unsigned long long)header,
                LRK_ST_MAX_HEADER);
    LRK_REQUIRE(err, data[PREFIX] == '{', LRK_EINPUT,
                "%s: the header does not begin with '{': not a safetensors file", s->path);
    s->header = data + PREFIX;
    s->header_bytes = (size_t)header;
    s->data = s->header + s->header_bytes;
    s->data_bytes = n - PREFIX - s->header_bytes;
    LRK_TRY(lrk_json_parse(&root, (const char *)s->header, s->header_bytes, s->path, err));
    const lrk_status status = parse_header(s, root, err);
    lrk_json_free(root);
    return status;
}

lrk_status lrk_st_parse(lrk_safetensors *s, const void *data, size_t n, const char *path,
                        lrk_err *err)
{
    *s = (lrk_safetensors){.arena = lrk_arena_growing("safetensors")};
    s->path = lrk_strdup(&s->arena, path);
    const lrk_status status =
        s->path ? parse(s, data, n, err) : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    if (status != LRK_OK) lrk_st_close(s);
    return status;
}

lrk_status lrk_st_open(lrk_safetensors *s, const char *path, lrk_err *err)
{
    lrk_map map = {0};
    *s = (lrk_safetensors){0};
    LRK_TRY(lrk_map_open(&map, path, err));
    const lrk_status status = lrk_st_parse(s, map.data, map.size, path, err);
    if (status != LRK_OK) {
        lrk_map_close(&map);
        return status;
    }
    map.path = s->path;
    s->map = map;
    return LRK_OK;
}

void lrk_st_close(lrk_safetensors *s)
{
    lrk_json_free(s->metadata);
    lrk_map_close(&s->map);
    lrk_arena_free(&s->arena);
    *s = (lrk_safetensors){0};
}

const lrk_st_entry *lrk_st_find(const lrk_safetensors *s, const char *name)
{
    const size_t at = lrk_lookup_find(&s->lookup, name);
    return at < s->n ? &s->entry[at] : NULL;
}

lrk_status lrk_st_view(const lrk_safetensors *s, const lrk_st_entry *e, lrk_tensor *view,
                       lrk_err *err)
{
    LRK_REQUIRE(err, e->readable, LRK_ESUPPORT,
                "%s: tensor '%s': dtype %s is not supported; convert the file to F32, F16 or BF16",
                s->path, e->name, e->type);
    LRK_REQUIRE(err, e->rank <= LRK_MAX_RANK, LRK_ESUPPORT,
                "%s: tensor '%s': rank %d is not supported, at most %d", s->path, e->name, e->rank,
                LRK_MAX_RANK);
    *view = (lrk_tensor){.name = e->name, .dtype = e->dtype, .rank = e->rank};
    for (int i = 0; i < e->rank; i++) view->dim[i] = e->dim[i];
    view->stride = lrk_cols(view);
    view->data = (void *)(uintptr_t)(s->data + e->begin);
    return LRK_OK;
}

bool lrk_st_aligned(const lrk_tensor *view)
{
    const size_t size = lrk_min(lrk_row_bytes(view->dtype, 1), 8);
    return size < 2 || (uintptr_t)view->data % size == 0;
}

lrk_status lrk_st_align(lrk_tensor *view, lrk_arena *a, lrk_err *err)
{
    void *copy;
    if (lrk_st_aligned(view) || !lrk_bytes(view)) return LRK_OK;
    LRK_TRY(lrk_alloc(a, lrk_bytes(view), 1, view->name, &copy, err));
    memcpy(copy, view->data, lrk_bytes(view));
    view->data = copy;
    return LRK_OK;
}

const char *lrk_st_metadata(const lrk_safetensors *s, const char *key)
{
    return lrk_json_string(lrk_json_get(s->metadata, key), NULL);
}
