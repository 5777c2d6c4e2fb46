/* checkpoint/safetensors_write.c -- the writer: declare, begin, stream, commit. */
#include "checkpoint/safetensors.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

/* Types that can be written, with their place in the reference's enumeration: it sorts by that,
 * highest first, so that every tensor lies at a multiple of its own size. */
static const struct {
    lrk_dtype dtype;
    const char *name;
    int order;
} types[] = {
    {LRK_I64, "I64", 18},   {LRK_F64, "F64", 17}, {LRK_F32, "F32", 15}, {LRK_I32, "I32", 13},
    {LRK_BF16, "BF16", 12}, {LRK_F16, "F16", 11}, {LRK_U8, "U8", 4},
};

typedef struct declared {
    const char *name;
    const char *type;
    int order;
    int rank;
    size_t dim[LRK_MAX_RANK];
    size_t bytes;
} declared;

struct lrk_st_writer {
    lrk_arena arena;
    declared *tensor;
    size_t n, capacity, total;
    lrk_json *metadata;
    lrk_writer *file;
    size_t at, done; /* tensor being written, bytes of it written */
};

lrk_status lrk_st_create(lrk_st_writer **out, lrk_err *err)
{
    lrk_st_writer *w = lrk_heap_alloc(1, sizeof *w);
    LRK_REQUIRE(err, w, LRK_ENOMEM, "memory: no room for a safetensors writer");
    w->arena = lrk_arena_growing("safetensors writer");
    w->metadata = lrk_json_object();
    lrk_json_set(w->metadata, "format", lrk_json_new_string("pt", 2));
    *out = w;
    return LRK_OK;
}

lrk_status lrk_st_note(lrk_st_writer *w, const char *key, const char *value, lrk_err *err)
{
    LRK_REQUIRE(err, lrk_utf8_check(value, strlen(value)) == strlen(value), LRK_EVALUE,
                "metadata '%s' is not valid UTF-8", key);
    lrk_json_set(w->metadata, key, lrk_json_c_string(value));
    return LRK_OK;
}

lrk_status lrk_st_declare(lrk_st_writer *w, const char *name, const lrk_tensor *t, lrk_err *err)
{
    declared d = {.rank = t->rank, .bytes = lrk_bytes(t)};
    LRK_ASSERT(!w->file);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].dtype != t->dtype) continue;
        d.type = types[i].name;
        d.order = types[i].order;
    }
    LRK_REQUIRE(err, d.type, LRK_ESUPPORT, "tensor '%s': safetensors has no type for %s", name,
                lrk_dtype_name(t->dtype));
    LRK_REQUIRE(err,
                strlen(name) <= LRK_ST_MAX_NAME && w->n < LRK_ST_MAX_TENSORS &&
                    lrk_add(w->total, d.bytes, &w->total),
                LRK_EVALUE, "tensor '%s': the name is too long or the file too large", name);
    for (int i = 0; i < t->rank; i++) d.dim[i] = t->dim[i];
    d.name = lrk_strdup(&w->arena, name);
    LRK_REQUIRE(err, d.name, LRK_ENOMEM, "memory: no room for tensor names");
    if (w->n == w->capacity) {
        const size_t capacity = w->capacity ? 2 * w->capacity : 256;
        declared *grown = lrk_heap_grow(w->tensor, capacity, sizeof *grown);
        LRK_REQUIRE(err, grown, LRK_ENOMEM, "memory: no room for a table of tensors");
        w->tensor = grown;
        w->capacity = capacity;
    }
    w->tensor[w->n++] = d;
    return LRK_OK;
}

size_t lrk_st_total(const lrk_st_writer *w) { return w->total; }

static int by_order(const void *a, const void *b)
{
    const declared *x = a, *y = b;
    return x->order != y->order ? y->order - x->order : strcmp(x->name, y->name);
}

static lrk_status check_names(lrk_st_writer *w, const char *path, lrk_err *err)
{
    lrk_lookup names = {.n = w->n};
    LRK_TRY(lrk_alloc(&w->arena, w->n, sizeof *names.row, "tensor names", &names.row, err));
    for (size_t i = 0; i < w->n; i++) names.row[i] = (lrk_lookup_row){w->tensor[i].name, i};
    const char *twice = lrk_lookup_sort(&names);
    LRK_REQUIRE(err, !twice, LRK_EVALUE, "%s: tensor '%s' is declared twice", path, twice);
    return LRK_OK;
}

static lrk_status build_header(const lrk_st_writer *w, lrk_buf *b, lrk_err *err)
{
    size_t offset = 0;
    lrk_buf_puts(b, "{\"__metadata__\":{");
    for (void *i = lrk_json_begin(w->metadata); i; i = lrk_json_next(w->metadata, i)) {
        size_t key_bytes = 0, value_bytes = 0;
        const char *key = lrk_json_key(i, &key_bytes);
        const char *value = lrk_json_string(lrk_json_value(i), &value_bytes);
        if (b->data && b->data[b->n - 1] != '{') lrk_buf_puts(b, ",");
        lrk_json_quote(b, key, key_bytes);
        lrk_buf_puts(b, ":");
        lrk_json_quote(b, value, value_bytes);
    }
    lrk_buf_puts(b, "}");
    for (size_t i = 0; i < w->n; i++) {
        const declared *d = &w->tensor[i];
        lrk_buf_puts(b, ",");
        lrk_json_quote(b, d->name, strlen(d->name));
        lrk_buf_printf(b, ":{\"dtype\":\"%s\",\"shape\":[", d->type);
        for (int k = 0; k < d->rank; k++) lrk_buf_printf(b, "%s%zu", k ? "," : "", d->dim[k]);
        lrk_buf_printf(b, "],\"data_offsets\":[%zu,%zu]}", offset, offset + d->bytes);
        offset += d->bytes;
    }
    lrk_buf_puts(b, "}");
    while (b->n % 8 && !b->failed) lrk_buf_puts(b, " ");
    LRK_TRY(lrk_buf_check(b, err));
    LRK_REQUIRE(err, b->n <= LRK_ST_MAX_HEADER, LRK_EVALUE,
                "the header would have %zu bytes, at most %d are allowed", b->n, LRK_ST_MAX_HEADER);
    return LRK_OK;
}

/* Empty tensors need no bytes and are never `next`. */
static void skip_done(lrk_st_writer *w)
{
    while (w->at < w->n && w->done == w->tensor[w->at].bytes) {
        w->at++;
        w->done = 0;
    }
}

lrk_status lrk_st_begin(lrk_st_writer *w, const char *path, lrk_err *err)
{
    lrk_buf b = {0};
    unsigned char prefix[8];
    LRK_ASSERT(!w->file);
    if (w->n > 1) qsort(w->tensor, w->n, sizeof *w->tensor, by_order);
    LRK_TRY(check_names(w, path, err));
    lrk_status status = build_header(w, &b, err);
    if (status == LRK_OK) status = lrk_writer_open(&w->file, path, err);
    for (int i = 0; i < 8; i++) prefix[i] = (unsigned char)((uint64_t)b.n >> (8 * i));
    if (status == LRK_OK) status = lrk_write(w->file, prefix, sizeof prefix, err);
    if (status == LRK_OK) status = lrk_write(w->file, b.data, b.n, err);
    lrk_buf_free(&b);
    skip_done(w);
    return status;
}

const char *lrk_st_next(const lrk_st_writer *w)
{
    return w->at < w->n ? w->tensor[w->at].name : NULL;
}

lrk_status lrk_st_write(lrk_st_writer *w, const void *data, size_t n, lrk_err *err)
{
    if (n == 0) return LRK_OK;
    LRK_ASSERT(w->file && w->at < w->n && n <= w->tensor[w->at].bytes - w->done);
    LRK_TRY(lrk_write(w->file, data, n, err));
    w->done += n;
    skip_done(w);
    return LRK_OK;
}

lrk_status lrk_st_commit(lrk_st_writer *w, lrk_err *err)
{
    LRK_ASSERT(w->file && w->at == w->n);
    return lrk_writer_commit(w->file, err);
}

void lrk_st_writer_close(lrk_st_writer *w)
{
    if (!w) return;
    lrk_writer_close(w->file);
    lrk_json_free(w->metadata);
    lrk_heap_free(w->tensor);
    lrk_arena_free(&w->arena);
    lrk_heap_free(w);
}
