/* checkpoint/gguf.c -- the reader: header, keys, tensor infos. Values: gguf_value.c. */
#include "checkpoint/gguf.h"

#include "base/size.h"

#include <string.h>

enum {
    MAX_KEYS = 65536,
    MAX_TENSORS = 65536,
    MAX_KEY = 256,
    MAX_NAME = 63, /* ggml's own limit, NUL excluded */
    MAX_STRING = 16 << 20,
    MAX_ELEMENTS = 1 << 24,
    DEFAULT_ALIGNMENT = 32
};

/* Types that ggml has or had and that hold no weights, for the message. */
static const struct {
    uint32_t id;
    const char *name;
} strange[] = {
    {4, "Q4_2"},      {5, "Q4_3"},      {24, "I8"},         {25, "I16"},        {31, "Q4_0_4_4"},
    {32, "Q4_0_4_8"}, {33, "Q4_0_8_8"}, {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"},
};

static const size_t widths[LRK_GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/* The unread part of the file. */
typedef struct cursor {
    lrk_gguf *g;
    size_t at;
} cursor;

static lrk_status take(cursor *c, size_t n, const char *what, const unsigned char **out,
                       lrk_err *err)
{
    LRK_REQUIRE(err, n <= c->g->size - c->at, LRK_EINPUT,
                "%s: %s at byte %zu needs %zu bytes, the file has %zu left: truncated", c->g->path,
                what, c->at, n, c->g->size - c->at);
    *out = c->g->bytes + c->at;
    c->at += n;
    return LRK_OK;
}

static lrk_status take_uint(cursor *c, size_t n, const char *what, uint64_t *out, lrk_err *err)
{
    const unsigned char *p;
    LRK_TRY(take(c, n, what, &p, err));
    *out = 0;
    for (size_t i = n; i > 0; i--) *out = *out << 8 | p[i - 1];
    return LRK_OK;
}

/* A name: NUL-terminated copy, valid UTF-8. */
static lrk_status take_name(cursor *c, size_t max, const char *what, const char **out, lrk_err *err)
{
    uint64_t n;
    const unsigned char *p;
    LRK_TRY(take_uint(c, 8, what, &n, err));
    LRK_REQUIRE(err, n > 0 && n <= max, LRK_EINPUT,
                "%s: %s of %llu bytes at byte %zu; 1 to %zu allowed", c->g->path, what,
                (unsigned long long)n, c->at, max);
    LRK_TRY(take(c, (size_t)n, what, &p, err));
    LRK_REQUIRE(err, lrk_utf8_check((const char *)p, (size_t)n) == n, LRK_EINPUT,
                "%s: %s at byte %zu is not valid UTF-8", c->g->path, what, c->at - (size_t)n);
    *out = lrk_strndup(&c->g->arena, (const char *)p, (size_t)n);
    LRK_REQUIRE(err, *out, LRK_ENOMEM, "memory: no room for the names of %s", c->g->path);
    return LRK_OK;
}

static lrk_status take_strings(cursor *c, lrk_gguf_kv *kv, lrk_err *err)
{
    size_t *start;
    LRK_REQUIRE(err, kv->n <= (c->g->size - c->at) / 8, LRK_EINPUT,
                "%s: key '%s' claims %zu strings, more than the file can hold", c->g->path, kv->key,
                kv->n);
    LRK_TRY(lrk_alloc(&c->g->arena, kv->n, sizeof *start, "positions of strings", &start, err));
    const size_t first = c->at;
    for (size_t i = 0; i < kv->n; i++) {
        uint64_t n;
        const unsigned char *p;
        start[i] = c->at - first;
        LRK_TRY(take_uint(c, 8, kv->key, &n, err));
        LRK_REQUIRE(err, n <= MAX_STRING, LRK_EINPUT,
                    "%s: key '%s': a string of %llu bytes; at most %d allowed", c->g->path, kv->key,
                    (unsigned long long)n, MAX_STRING);
        LRK_TRY(take(c, (size_t)n, kv->key, &p, err));
    }
    kv->data = c->g->bytes + first;
    kv->start = start;
    return LRK_OK;
}

static lrk_status take_type(cursor *c, const char *key, lrk_gguf_type *out, lrk_err *err)
{
    uint64_t type;
    LRK_TRY(take_uint(c, 4, "type of a value", &type, err));
    LRK_REQUIRE(err, type < LRK_GGUF_TYPES, LRK_EINPUT, "%s: key '%s': unknown type %llu",
                c->g->path, key, (unsigned long long)type);
    *out = (lrk_gguf_type)type;
    return LRK_OK;
}

static lrk_status take_kv(cursor *c, lrk_gguf_kv *kv, lrk_err *err)
{
    *kv = (lrk_gguf_kv){.n = 1};
    LRK_TRY(take_name(c, MAX_KEY, "a key", &kv->key, err));
    kv->raw = c->g->bytes + c->at;
    LRK_TRY(take_type(c, kv->key, &kv->type, err));
    if (kv->type == LRK_GGUF_ARRAY) {
        uint64_t n;
        kv->array = true;
        LRK_TRY(take_type(c, kv->key, &kv->type, err));
        LRK_REQUIRE(err, kv->type != LRK_GGUF_ARRAY, LRK_EINPUT, "%s: key '%s': an array of arrays",
                    c->g->path, kv->key);
        LRK_TRY(take_uint(c, 8, kv->key, &n, err));
        LRK_REQUIRE(err, n <= MAX_ELEMENTS, LRK_EINPUT,
                    "%s: key '%s': %llu elements; at most %d allowed", c->g->path, kv->key,
                    (unsigned long long)n, MAX_ELEMENTS);
        kv->n = (size_t)n;
    }
    if (kv->type == LRK_GGUF_STRING)
        LRK_TRY(take_strings(c, kv, err));
    else
        LRK_TRY(take(c, kv->n * widths[kv->type], kv->key, &kv->data, err));
    if (kv->type == LRK_GGUF_BOOL) {
        for (size_t i = 0; i < kv->n; i++)
            LRK_REQUIRE(err, kv->data[i] <= 1, LRK_EINPUT, "%s: key '%s': %d is no truth value",
                        c->g->path, kv->key, kv->data[i]);
    }
    kv->raw_bytes = (size_t)(c->g->bytes + c->at - kv->raw);
    return LRK_OK;
}

static lrk_status take_dtype(cursor *c, lrk_gguf_info *t, lrk_err *err)
{
    uint64_t id;
    LRK_TRY(take_uint(c, 4, "type of a tensor", &id, err));
    if (lrk_dtype_from_gguf((uint32_t)id, &t->dtype)) return LRK_OK;
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        LRK_REQUIRE(err, strange[i].id != id, LRK_ESUPPORT,
                    "%s: tensor '%s': type %s is not supported: ggml itself has given it up, or "
                    "uses it for no weights; quantize the model anew",
                    c->g->path, t->name, strange[i].name);
    }
    return lrk_fail(err, LRK_EINPUT, "%s: tensor '%s': unknown type %llu", c->g->path, t->name,
                    (unsigned long long)id);
}

static lrk_status take_info(cursor *c, lrk_gguf_info *t, size_t *expected, lrk_err *err)
{
    uint64_t rank, dim[LRK_MAX_RANK] = {0}, offset;
    size_t rows = 1;
    *t = (lrk_gguf_info){0};
    LRK_TRY(take_name(c, MAX_NAME, "a tensor name", &t->name, err));
    LRK_TRY(take_uint(c, 4, "number of axes", &rank, err));
    LRK_REQUIRE(err, rank >= 1 && rank <= LRK_MAX_RANK, LRK_EINPUT,
                "%s: tensor '%s': %llu axes; 1 to %d allowed", c->g->path, t->name,
                (unsigned long long)rank, LRK_MAX_RANK);
    t->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        LRK_TRY(take_uint(c, 8, "an axis", &dim[i], err));
        LRK_REQUIRE(err, dim[i] > 0 && dim[i] <= INT64_MAX, LRK_EINPUT,
                    "%s: tensor '%s': an axis of %llu elements", c->g->path, t->name,
                    (unsigned long long)dim[i]);
        t->dim[rank - 1 - i] = (size_t)dim[i];
        LRK_REQUIRE(err, i == 0 || lrk_mul(rows, (size_t)dim[i], &rows), LRK_EINPUT,
                    "%s: tensor '%s': more elements than memory can address", c->g->path, t->name);
    }
    LRK_TRY(take_dtype(c, t, err));
    LRK_TRY(take_uint(c, 8, "an offset", &offset, err));
    LRK_REQUIRE(err, dim[0] % lrk_dtype_block(t->dtype) == 0, LRK_EINPUT,
                "%s: tensor '%s': rows of %llu elements are no whole number of %s blocks of %zu",
                c->g->path, t->name, (unsigned long long)dim[0], lrk_dtype_name(t->dtype),
                lrk_dtype_block(t->dtype));
    LRK_REQUIRE(err,
                lrk_mul((size_t)dim[0] / lrk_dtype_block(t->dtype), lrk_dtype_block_bytes(t->dtype),
                        &t->bytes) &&
                    lrk_mul(t->bytes, rows, &t->bytes),
                LRK_EINPUT, "%s: tensor '%s': more bytes than memory can address", c->g->path,
                t->name);
    LRK_REQUIRE(err, offset == *expected, LRK_EINPUT,
                "%s: tensor '%s' lies at offset %llu of the data, expected %zu", c->g->path,
                t->name, (unsigned long long)offset, *expected);
    t->offset = (size_t)offset;
    LRK_REQUIRE(err,
                lrk_add(*expected, t->bytes, expected) &&
                    lrk_align_up(*expected, c->g->alignment, expected),
                LRK_EINPUT, "%s: tensor '%s' ends beyond what memory can address", c->g->path,
                t->name);
    return LRK_OK;
}

static lrk_status check_alignment(lrk_gguf *g, lrk_err *err)
{
    const lrk_gguf_kv *kv = lrk_gguf_find(g, "general.alignment");
    g->alignment = DEFAULT_ALIGNMENT;
    if (!kv) return LRK_OK;
    LRK_REQUIRE(err, !kv->array && kv->type == LRK_GGUF_U32, LRK_EINPUT,
                "%s: general.alignment is not a u32", g->path);
    g->alignment = (size_t)lrk_gguf_integer(kv, 0);
    LRK_REQUIRE(
        err, g->alignment >= 8 && g->alignment <= 4096 && (g->alignment & (g->alignment - 1)) == 0,
        LRK_EINPUT, "%s: general.alignment is %zu, expected a power of two in 8..4096", g->path,
        g->alignment);
    return LRK_OK;
}

static lrk_status check_split(const lrk_gguf *g, lrk_err *err)
{
    size_t count = 1;
    LRK_TRY(lrk_gguf_opt_size(g, "split.count", 0, UINT16_MAX, &count, err));
    LRK_REQUIRE(err, count <= 1, LRK_ESUPPORT,
                "%s: one of %zu files of a split model, which is not supported; join them first "
                "(llama-gguf-split --merge)",
                g->path, count);
    return LRK_OK;
}

static lrk_status take_keys(cursor *c, uint64_t n, lrk_err *err)
{
    lrk_gguf *g = c->g;
    g->n_kv = (size_t)n;
    LRK_TRY(lrk_alloc(&g->arena, g->n_kv, sizeof *g->kv, "keys", &g->kv, err));
    LRK_TRY(lrk_alloc(&g->arena, g->n_kv, sizeof *g->keys.row, "keys", &g->keys.row, err));
    for (size_t i = 0; i < g->n_kv; i++) {
        LRK_TRY(take_kv(c, &g->kv[i], err));
        g->keys.row[i] = (lrk_lookup_row){g->kv[i].key, i};
    }
    g->keys.n = g->n_kv;
    const char *twice = lrk_lookup_sort(&g->keys);
    LRK_REQUIRE(err, !twice, LRK_EINPUT, "%s: key '%s' occurs twice", g->path, twice);
    return LRK_OK;
}

static lrk_status take_infos(cursor *c, uint64_t n, lrk_err *err)
{
    lrk_gguf *g = c->g;
    size_t expected = 0, start;
    g->n_tensors = (size_t)n;
    LRK_TRY(lrk_alloc(&g->arena, g->n_tensors, sizeof *g->tensor, "tensor table", &g->tensor, err));
    LRK_TRY(lrk_alloc(&g->arena, g->n_tensors, sizeof *g->names.row, "tensor names", &g->names.row,
                      err));
    for (size_t i = 0; i < g->n_tensors; i++) {
        LRK_TRY(take_info(c, &g->tensor[i], &expected, err));
        g->names.row[i] = (lrk_lookup_row){g->tensor[i].name, i};
    }
    g->names.n = g->n_tensors;
    const char *twice = lrk_lookup_sort(&g->names);
    LRK_REQUIRE(err, !twice, LRK_EINPUT, "%s: tensor '%s' occurs twice", g->path, twice);
    if (g->n_tensors == 0) return LRK_OK; /* a vocabulary without weights may end unpadded */
    LRK_REQUIRE(err, lrk_align_up(c->at, g->alignment, &start) && start <= g->size, LRK_EINPUT,
                "%s: the file ends before its tensor data: truncated", g->path);
    g->data = g->bytes + start;
    g->data_bytes = g->size - start;
    const lrk_gguf_info *last = &g->tensor[g->n_tensors - 1];
    LRK_REQUIRE(err, last->offset <= g->data_bytes && last->bytes <= g->data_bytes - last->offset,
                LRK_EINPUT,
                "%s: tensor '%s' needs data up to byte %zu, the file has %zu: truncated", g->path,
                last->name, last->offset + last->bytes, g->data_bytes);
    return LRK_OK;
}

static lrk_status parse(lrk_gguf *g, lrk_err *err)
{
    cursor c = {.g = g};
    uint64_t version, tensors, keys;
    const unsigned char *magic;
    LRK_REQUIRE(err, g->size >= 24 && memcmp(g->bytes, "GGUF", 4) == 0, LRK_EINPUT,
                "%s: not a GGUF file", g->path);
    LRK_TRY(take(&c, 4, "magic", &magic, err));
    LRK_TRY(take_uint(&c, 4, "version", &version, err));
    LRK_REQUIRE(err, version == 2 || version == 3, LRK_ESUPPORT,
                "%s: GGUF version %llu%s is not supported, only 2 and 3", g->path,
                (unsigned long long)version, version > 0xffff ? " (big-endian?)" : "");
    LRK_TRY(take_uint(&c, 8, "number of tensors", &tensors, err));
    LRK_TRY(take_uint(&c, 8, "number of keys", &keys, err));
    /* a key takes 13 bytes at least, a tensor info 33 */
    LRK_REQUIRE(err, keys <= MAX_KEYS && keys <= g->size / 13, LRK_EINPUT,
                "%s: %llu keys do not fit the file", g->path, (unsigned long long)keys);
    LRK_REQUIRE(err, tensors <= MAX_TENSORS && tensors <= g->size / 33, LRK_EINPUT,
                "%s: %llu tensors do not fit the file", g->path, (unsigned long long)tensors);
    LRK_TRY(take_keys(&c, keys, err));
    LRK_TRY(check_split(g, err));
    LRK_TRY(check_alignment(g, err));
    return take_infos(&c, tensors, err);
}

lrk_status lrk_gguf_parse(lrk_gguf *g, const void *data, size_t n, const char *path, lrk_err *err)
{
    *g = (lrk_gguf){.arena = lrk_arena_growing("gguf"), .bytes = data, .size = n};
    g->path = lrk_strdup(&g->arena, path);
    const lrk_status status =
        g->path ? parse(g, err) : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    if (status != LRK_OK) lrk_gguf_close(g);
    return status;
}

lrk_status lrk_gguf_open(lrk_gguf *g, const char *path, lrk_err *err)
{
    lrk_map map = {0};
    *g = (lrk_gguf){0};
    LRK_TRY(lrk_map_open(&map, path, err));
    const lrk_status status = lrk_gguf_parse(g, map.data, map.size, path, err);
    if (status != LRK_OK) {
        lrk_map_close(&map);
        return status;
    }
    map.path = g->path;
    g->map = map;
    return LRK_OK;
}

void lrk_gguf_close(lrk_gguf *g)
{
    lrk_map_close(&g->map);
    lrk_arena_free(&g->arena);
    *g = (lrk_gguf){0};
}

const lrk_gguf_kv *lrk_gguf_find(const lrk_gguf *g, const char *key)
{
    const size_t at = lrk_lookup_find(&g->keys, key);
    return at < g->n_kv ? &g->kv[at] : NULL;
}

const lrk_gguf_info *lrk_gguf_tensor(const lrk_gguf *g, const char *name)
{
    const size_t at = lrk_lookup_find(&g->names, name);
    return at < g->n_tensors ? &g->tensor[at] : NULL;
}

lrk_tensor lrk_gguf_view(const lrk_gguf *g, const lrk_gguf_info *t)
{
    lrk_tensor view = {.name = t->name, .dtype = t->dtype, .rank = t->rank};
    for (int i = 0; i < t->rank; i++) view.dim[i] = t->dim[i];
    view.stride = lrk_cols(&view);
    view.data = (void *)(uintptr_t)(g->data + t->offset);
    return view;
}
