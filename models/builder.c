/* models/builder.c -- see builder.h. */
#include "models/builder.h"

#include "base/nf4.h"
#include "base/quant.h"

lrk_status lrk_build_expect(const lrk_builder *b, const lrk_tensor *t, const char *name, size_t rows, size_t cols,
                            lrk_err *err)
{
    const char *where = b->m->decoder.where;
    const bool vector = rows == 1 && t->rank == 1 && t->dim[0] == cols;
    const bool matrix = t->rank == 2 && t->dim[0] == rows && t->dim[1] == cols;
    LRK_REQUIRE(err, vector || matrix, LRK_ESHAPE,
                "%s: weight %s is (%zu, %zu), the configuration says (%zu, %zu): they are not of the "
                "same model",
                where ? where : "model", name, lrk_rows(t), lrk_cols(t), rows, cols);
    LRK_REQUIRE(err, t->dtype != LRK_I32 && t->dtype != LRK_I64 && t->dtype != LRK_U8, LRK_ESUPPORT,
                "%s: weight %s is %s, expected floating-point numbers or blocks of GGUF",
                where ? where : "model", name, lrk_dtype_name(t->dtype));
    return LRK_OK;
}

lrk_status lrk_build_put(const lrk_builder *b, const void *numbers, lrk_tensor *out, lrk_err *err)
{
    LRK_TRY(lrk_alloc(b->memory.frozen, lrk_bytes(out), 1, out->name, &out->data, err));
    if (out->data && b->options->way != LRK_WEIGHTS_LISTED)
        lrk_device_upload(b->memory.device, out->data, numbers, lrk_bytes(out));
    return LRK_OK;
}

lrk_status lrk_build_vector(const lrk_builder *b, const char *name, size_t n, float more, lrk_dtype type,
                            lrk_tensor *out, lrk_err *err)
{
    lrk_tensor stored;
    LRK_TRY(b->find(b->ctx, name, &stored, err));
    LRK_TRY(lrk_build_expect(b, &stored, name, 1, n, err));
    *out = lrk_vec(type, n);
    out->name = stored.name;
    if (lrk_arena_counting(b->memory.frozen) || b->options->way == LRK_WEIGHTS_LISTED)
        return lrk_alloc(b->memory.frozen, lrk_bytes(out), 1, out->name, &out->data, err);
    float *numbers = lrk_heap_alloc(n, 2 * sizeof *numbers);
    LRK_REQUIRE(err, numbers, LRK_ENOMEM, "memory: no room for %s", name);
    float *narrow = numbers + n;
    if (stored.data) lrk_to_f32(stored.dtype, stored.data, n, numbers);
    for (size_t i = 0; i < n && more > 0.0f; i++) numbers[i] += more;
    if (type != LRK_F32) (void)lrk_from_f32(type, numbers, n, narrow);
    const lrk_status status = lrk_build_put(b, type == LRK_F32 ? numbers : narrow, out, err);
    lrk_heap_free(numbers);
    return status;
}

/* Room for *out in the frozen arena. */
static lrk_status take_weight(const lrk_builder *b, lrk_tensor *out, lrk_err *err)
{
    b->m->weight_bytes += lrk_bytes(out);
    return lrk_alloc(b->memory.frozen, lrk_bytes(out), 1, out->name, &out->data, err);
}

static lrk_status list(lrk_weight_list *l, const lrk_parcel *p, lrk_err *err)
{
    if (l->n == l->capacity) {
        const size_t capacity = l->capacity ? 2 * l->capacity : 256;
        lrk_parcel *grown = lrk_heap_grow(l->parcel, capacity, sizeof *grown);
        LRK_REQUIRE(err, grown, LRK_ENOMEM, "memory: no room for a list of weights");
        l->parcel = grown;
        l->capacity = capacity;
    }
    l->parcel[l->n++] = *p;
    return LRK_OK;
}

lrk_status lrk_build_send(const lrk_builder *b, const lrk_tensor *to, const void *stored, lrk_err *err)
{
    const size_t row = lrk_row_bytes(to->dtype, lrk_cols(to));
    if (!to->data || !stored || b->options->way == LRK_WEIGHTS_THERE) return LRK_OK;
    const lrk_parcel p = {to->data, stored, lrk_rows(to), row, lrk_row_bytes(to->dtype, to->stride)};
    if (b->options->way == LRK_WEIGHTS_LISTED) return list(b->options->list, &p, err);
    lrk_device_upload_rows(b->memory.device, &p);
    return LRK_OK;
}

lrk_status lrk_build_matrix(const lrk_builder *b, const char *name, size_t rows, size_t cols,
                            lrk_tensor *out, lrk_err *err)
{
    LRK_TRY(b->find(b->ctx, name, out, err));
    LRK_TRY(lrk_build_expect(b, out, name, rows, cols, err));
    if (b->memory.device == LRK_CPU) return LRK_OK;
    const void *stored = out->data;
    LRK_TRY(take_weight(b, out, err));
    return lrk_build_send(b, out, stored, err);
}

/* stored as NF4, made here and taken to where the model lies. */
static lrk_status quantize(const lrk_builder *b, const lrk_tensor *stored, lrk_tensor *out,
                           lrk_err *err)
{
    const bool twice = b->options->bits == LRK_AS_NF4_TWICE, here = b->memory.device == LRK_CPU;
    LRK_TRY(take_weight(b, out, err));
    if (!out->data || !stored->data || b->options->way == LRK_WEIGHTS_LISTED) return LRK_OK;
    lrk_tensor made = *out;
    if (!here) made.data = lrk_heap_alloc(lrk_bytes(out), 1);
    LRK_REQUIRE(err, made.data, LRK_ENOMEM, "memory: no room for %s", out->name);
    const lrk_status status = lrk_nf4_quantize(stored, twice, &made, err);
    if (here) return status;
    if (status == LRK_OK)
        lrk_device_upload(b->memory.device, out->data, made.data, lrk_bytes(out));
    lrk_heap_free(made.data);
    return status;
}

lrk_status lrk_build_linear(const lrk_builder *b, const char *name, size_t rows, size_t cols,
                            lrk_tensor *out, lrk_err *err)
{
    lrk_tensor stored;
    lrk_dtype type;
    LRK_TRY(b->find(b->ctx, name, &stored, err));
    const bool plain =
        stored.dtype == LRK_F32 || stored.dtype == LRK_F16 || stored.dtype == LRK_BF16;
    if (b->options->bits == LRK_AS_STORED || !plain ||
        !lrk_nf4_type(cols, b->options->bits == LRK_AS_NF4_TWICE, &type))
        return lrk_build_matrix(b, name, rows, cols, out, err);
    LRK_TRY(lrk_build_expect(b, &stored, name, rows, cols, err));
    *out = lrk_like(&stored);
    out->dtype = type;
    return quantize(b, &stored, out, err);
}
