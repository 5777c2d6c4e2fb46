/* tests/ops/case.h -- one sample of one op in memory, every buffer between guards.
 *
 * The numbers of a sample are drawn in f64 and do not depend on type, level or threads; a run rounds
 * them to the types of its call. Buffers start as NaN patterns, so what a kernel forgets to write, or
 * reads before writing, shows in the result.
 *
 * A call on a GPU keeps its numbers in this process, where tests look at them, and a copy of every
 * buffer on the device: each run uploads all of them, guards included, and downloads them again.
 */
#ifndef LRK_TESTS_OPS_CASE_H
#define LRK_TESTS_OPS_CASE_H
#include "base/quant.h"
#include "base/rng.h"
#include "base/size.h"
#include "kernels/op.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 256, MAX_TENSORS = LRK_MAX_IN + LRK_MAX_OUT + LRK_MAX_SAVED };
/* The emulator watches the bounds itself, reads too, if allocations end where buffers do. */
#ifdef LRK_EMULATOR
enum { DEVICE_GUARD = 0 };
#else
enum { DEVICE_GUARD = GUARD };
#endif
static const unsigned char guard_byte = 0xa5, poison_byte = 0xff;

/* Memory with GUARD bytes before and behind; on a GPU with DEVICE_GUARD. */
typedef struct region {
    unsigned char *block, *data;
    size_t bytes;
    lrk_arena device; /* the copy there; empty on the CPU */
} region;

/* One call: tensors, gradients, scratch. */
typedef struct call {
    lrk_call c;
    lrk_infer shapes;
    lrk_tensor in[LRK_MAX_IN], joined[2], out[LRK_MAX_OUT], saved[LRK_MAX_SAVED];
    lrk_tensor din[LRK_MAX_IN], dout[LRK_MAX_OUT];
    region regions[4 * MAX_TENSORS];
    size_t n_regions;
    region scratch, before[LRK_MAX_IN]; /* before: what the inputs held */
    size_t gap; /* elements behind each row of a matrix */
} call;

static inline size_t count_of(const lrk_sample_in *in)
{
    size_t n = 0;
    for (int d = 0; d < LRK_MAX_RANK && in->dim[d]; d++) n = n ? n * in->dim[d] : in->dim[d];
    return n;
}

static inline bool is_integer(const lrk_sample_in *in)
{
    return in->fill != LRK_FILL_NORMAL;
}

static inline bool has_gradient(const lrk_sample *s, int i)
{
    return count_of(&s->in[i]) && !is_integer(&s->in[i]) && !s->in[i].frozen;
}

static inline void *need_memory(size_t bytes)
{
    void *p = lrk_heap_alloc(bytes ? bytes : 1, 1);
    if (!p) LRK_BUG("out of memory");
    return p;
}

static inline void must(lrk_status s, const lrk_err *err)
{
    if (s != LRK_OK) LRK_BUG("%s", err->text);
}

static inline region new_region(call *k, size_t bytes)
{
    region r = {.bytes = bytes};
    lrk_err err = {0};
    if (k->c.device != LRK_CPU)
        must(lrk_arena_on(k->c.device, &r.device, "sample", bytes + 2 * DEVICE_GUARD, &err), &err);
    r.block = need_memory(bytes + 2 * GUARD + LRK_ALIGN);
    r.data = (unsigned char *)(((uintptr_t)r.block + GUARD + LRK_ALIGN - 1) & ~(uintptr_t)(LRK_ALIGN - 1));
    memset(r.block, guard_byte, bytes + 2 * GUARD + LRK_ALIGN);
    memset(r.data, poison_byte, bytes);
    k->regions[k->n_regions++] = r;
    return r;
}

static inline bool guards_hold(const region *r)
{
    const size_t all = r->bytes + 2 * GUARD + LRK_ALIGN;
    const size_t first = (size_t)(r->data - r->block);
    for (size_t i = 0; i < all; i++) {
        if ((i < first || i >= first + r->bytes) && r->block[i] != guard_byte) return false;
    }
    return true;
}

/* Where number i of a tensor lies, in elements. */
static inline size_t place_of(const lrk_tensor *t, size_t i)
{
    const size_t cols = lrk_cols(t);
    return t->stride == cols ? i : i / cols * t->stride + i % cols; /* to divide takes longer than all the rest */
}

/* What lies at such a place as f64. */
static inline double at_place(const lrk_tensor *t, size_t i)
{
    switch (t->dtype) {
    case LRK_F64: return ((const double *)t->data)[i];
    case LRK_F32: return (double)((const float *)t->data)[i];
    case LRK_BF16: return (double)lrk_bf16_to_f32(((const uint16_t *)t->data)[i]);
    default: LRK_BUG("type %s in a sample", lrk_dtype_name(t->dtype));
    }
}

/* Number i of a tensor as f64. */
static inline double at(const lrk_tensor *t, size_t i)
{
    return at_place(t, place_of(t, i));
}

static inline void set(const lrk_tensor *t, size_t i, double v)
{
    i = place_of(t, i);
    switch (t->dtype) {
    case LRK_F64: ((double *)t->data)[i] = v; break;
    case LRK_F32: ((float *)t->data)[i] = (float)v; break;
    case LRK_BF16: ((uint16_t *)t->data)[i] = lrk_f32_to_bf16((float)v); break;
    default: LRK_BUG("type %s in a sample", lrk_dtype_name(t->dtype));
    }
}

/* Number e of a stream of its own for each use and part: to draw it anew for each call of each level would take
 * longer than all kernels. */
enum { OF_INPUTS, OF_COTANGENTS, OF_INTEGERS, OF_DIRECTIONS, USES, SEED = 17, STEPS = 3 };
static inline double normal(int use, int part, uint32_t step, size_t e)
{
    static struct {
        double *v;
        size_t n;
    } kept[USES][LRK_MAX_IN][STEPS], *k;
    k = &kept[use][part][step];
    if (e >= k->n) {
        const size_t n = 2 * e + 1024;
        double *v = need_memory(n * sizeof *v);
        const lrk_rng r = {.seed = SEED + (uint64_t)use, .site = LRK_SITE_TEST | (uint32_t)part, .step = step};
        lrk_rng_normals(r, 0, n, v);
        lrk_heap_free(k->v);
        k->v = v;
        k->n = n;
    }
    return k->v[e];
}

/* Number e of input i; adapter inputs stay f32 in every run but f64, so theirs are f32 numbers, and where
 * they come rounded the sample's are f32 still. */
static inline double drawn(const lrk_sample *s, int i, size_t e)
{
    const lrk_sample_in *in = &s->in[i];
    const double v = normal(OF_INPUTS, i, 0, e) * (in->scale == 0.0 ? 1.0 : in->scale);
    return in->adapter ? (double)(float)v : v;
}

static inline double cotangent(int out, size_t e)
{
    return normal(OF_COTANGENTS, out, 0, e);
}

static inline int32_t integer(const lrk_sample *s, int i, size_t e)
{
    const lrk_sample_in *in = &s->in[i];
    const lrk_rng r = {.seed = SEED + OF_INTEGERS, .site = LRK_SITE_TEST | (uint32_t)i};
    if (in->fill == LRK_FILL_DATA) return in->data[e];
    if (in->fill == LRK_FILL_TARGET && e && lrk_rng_uniform(r, e) < 1.0 / 3.0) return -1;
    return (int32_t)lrk_rng_below(r, e + 1000000, (uint64_t)in->limit);
}

static inline lrk_tensor place(call *k, lrk_tensor t)
{
    if (t.rank > 1 && t.dtype != LRK_I32) t.stride += k->gap;
    t.data = new_region(k, lrk_rows(&t) * lrk_row_bytes(t.dtype, t.stride)).data;
    return t;
}

/* Whether what lies behind the rows of a tensor is what it was. */
static inline bool gaps_hold(const lrk_tensor *t, size_t gap)
{
    const size_t bytes = lrk_row_bytes(t->dtype, t->rank > 1 && t->dtype != LRK_I32 ? gap : 0);
    for (size_t r = 0; r < lrk_rows(t); r++) {
        const unsigned char *behind = (const unsigned char *)lrk_row(t, r) + lrk_row_bytes(t->dtype, lrk_cols(t));
        for (size_t i = 0; i < bytes; i++)
            if (behind[i] != poison_byte) return false;
    }
    return true;
}

static inline lrk_tensor input_tensor(const lrk_sample_in *in, lrk_dtype type)
{
    lrk_tensor t = {.name = "sample"};
    t.dtype = is_integer(in) ? LRK_I32 : in->adapter && !in->shadow ? lrk_acc(type) : type;
    while (t.rank < LRK_MAX_RANK && in->dim[t.rank]) {
        t.dim[t.rank] = in->dim[t.rank];
        t.rank++;
    }
    t.stride = lrk_cols(&t);
    return t;
}

/* An input below another begins where that ends: in memory of both. */
static inline lrk_tensor place_input(call *k, const lrk_op *op, const lrk_sample *s, int i, lrk_dtype type)
{
    lrk_tensor t = input_tensor(&s->in[i], type);
    const int above = s->in[i].below - 1;
    if (above >= 0) {
        t.data = lrk_row(&k->in[above], lrk_rows(&k->in[above]));
        return t;
    }
    size_t bytes = lrk_bytes(&t);
    for (int next = i, j = i + 1; j < op->n_in; j++) {
        if (s->in[j].below - 1 != next) continue;
        const lrk_tensor more = input_tensor(&s->in[j], type);
        bytes += lrk_bytes(&more);
        next = j;
    }
    if (bytes == lrk_bytes(&t)) return place(k, t);
    t.data = new_region(k, bytes).data;
    return t;
}

/* Results, or their gradients: each in memory of its own, or abreast. */
static inline void place_results(call *k, const lrk_op *op, lrk_tensor *t)
{
    size_t all = 0;
    for (int i = 0; i < op->n_out; i++) {
        const lrk_tensor *shape = &k->shapes.out[i];
        if (!shape->name) continue;
        if (!k->shapes.abreast) t[i] = place(k, *shape);
        all += lrk_cols(shape);
    }
    if (!k->shapes.abreast) return;
    const lrk_tensor *first = &k->shapes.out[0];
    char *at = (char *)place(k, lrk_mat(first->dtype, lrk_rows(first), all)).data;
    for (int i = 0; i < op->n_out; i++) {
        if (!k->shapes.out[i].name) continue;
        t[i] = k->shapes.out[i];
        t[i].stride = all + k->gap;
        t[i].data = at;
        at += lrk_row_bytes(t[i].dtype, lrk_cols(&t[i]));
    }
}

static inline lrk_tensor gradient_tensor(const lrk_sample_in *in, const lrk_tensor *value)
{
    lrk_tensor t = lrk_like(value);
    if (in->shadow) t.dtype = lrk_acc(t.dtype);
    return t;
}

static inline bool wants_backward(const lrk_op *op, const lrk_sample *s)
{
    for (int i = 0; i < op->n_in; i++) {
        if (has_gradient(s, i)) return true;
    }
    return false;
}

/* What a call of this type computes in: an op whose numbers all stay f32 beside bf16 has no bf16. */
static inline lrk_compute computes_in(const lrk_op *op, const lrk_sample *s, lrk_compute compute)
{
    for (int i = 0; i < op->n_in; i++) {
        if (count_of(&s->in[i]) && !is_integer(&s->in[i]) && !s->in[i].adapter) return compute;
    }
    return compute == LRK_C_BF16 ? LRK_C_F32 : compute;
}

/* Inputs, results and saved tensors of a call in this type; the inputs hold the sample's numbers. Rows of matrices have
 * `gap` elements behind them. */
static inline lrk_status call_apart(call *k, const lrk_op *op, const lrk_sample *s, lrk_compute compute,
                                    lrk_device device, size_t gap, lrk_err *err)
{
    memset(k, 0, sizeof *k);
    k->gap = gap;
    k->c.device = device;
    k->c.attr = s->attr;
    k->c.backward_follows = wants_backward(op, s);
    for (int i = 0; i < op->n_in; i++) {
        if (!count_of(&s->in[i])) continue;
        k->in[i] = place_input(k, op, s, i, lrk_compute_dtype(compute));
        k->c.in[i] = &k->in[i];
        for (size_t e = 0; e < lrk_count(&k->in[i]); e++) {
            if (is_integer(&s->in[i]))
                ((int32_t *)k->in[i].data)[e] = integer(s, i, e);
            else
                set(&k->in[i], e, drawn(s, i, e));
        }
    }
    LRK_TRY(lrk_op_infer(op, &k->c, &k->shapes, err));
    const lrk_compute expected = computes_in(op, s, compute);
    LRK_REQUIRE(err, k->shapes.compute == expected, LRK_EINTERNAL, "computes in %s, expected %s",
                lrk_compute_name(k->shapes.compute), lrk_compute_name(expected));
    for (int i = 0; i < op->n_out; i++) k->out[i] = k->dout[i] = lrk_vec(LRK_F32, 0);
    place_results(k, op, k->out);
    place_results(k, op, k->dout);
    for (int i = 0; i < op->n_out; i++) {
        if (!k->shapes.out[i].name) continue;
        k->c.out[i] = &k->out[i];
        k->c.dout[i] = &k->dout[i];
        for (size_t e = 0; e < lrk_count(&k->dout[i]); e++) set(&k->dout[i], e, cotangent(i, e));
    }
    k->gap = 0; /* what a pass keeps for itself has none */
    for (int i = 0; i < op->n_saved; i++) {
        if (!k->shapes.saved[i].name) continue;
        k->saved[i] = place(k, k->shapes.saved[i]);
        k->c.saved[i] = &k->saved[i];
    }
    k->gap = gap;
    for (int i = 0; i < op->n_in; i++) {
        if (!has_gradient(s, i)) continue;
        k->din[i] = place(k, gradient_tensor(&s->in[i], &k->in[i]));
        k->c.din[i] = &k->din[i];
        for (size_t r = 0; r < lrk_rows(&k->din[i]); r++)
            memset(lrk_row(&k->din[i], r), 0, lrk_row_bytes(k->din[i].dtype, lrk_cols(&k->din[i])));
    }
    k->scratch = new_region(k, lrk_max(k->shapes.forward_scratch, k->shapes.backward_scratch));
    return LRK_OK;
}

static inline lrk_status call_new(call *k, const lrk_op *op, const lrk_sample *s, lrk_compute compute,
                                  lrk_device device, lrk_err *err)
{
    return call_apart(k, op, s, compute, device, 0, err);
}

static inline void call_free(call *k)
{
    for (size_t i = 0; i < k->n_regions; i++) {
        lrk_heap_free(k->regions[i].block);
        lrk_arena_free(&k->regions[i].device);
    }
    k->n_regions = 0;
}

/* ---- running a kernel ---------------------------------------------------------------------------- */

/* The copy on the device of what lies at p; NULL stays NULL. */
static inline void *on_device(const call *k, const void *p)
{
    for (size_t i = 0; i < k->n_regions; i++) {
        const region *r = &k->regions[i];
        const size_t offset = (size_t)((const unsigned char *)p - r->data);
        if (p == r->data || (p && offset < r->bytes)) return r->device.base + DEVICE_GUARD + offset;
    }
    if (p) LRK_BUG("no buffer of the call");
    return NULL;
}

/* The call as the kernel gets it there; the tensors lie in `room`. */
static inline lrk_call call_on_device(const call *k, lrk_tensor room[3 * MAX_TENSORS])
{
    lrk_call c = k->c;
    size_t n = 0;
#define MOVE(member, count)                                  \
    for (int i = 0; i < (count); i++) {                      \
        if (!c.member[i]) continue;                          \
        room[n] = *c.member[i];                              \
        room[n].data = on_device(k, c.member[i]->data);      \
        c.member[i] = &room[n++];                            \
    }
    MOVE(in, LRK_MAX_IN)
    MOVE(joined, 2)
    MOVE(out, LRK_MAX_OUT)
    MOVE(saved, LRK_MAX_SAVED)
    MOVE(dout, LRK_MAX_OUT)
    MOVE(din, LRK_MAX_IN)
#undef MOVE
    c.scratch = on_device(k, c.scratch);
    return c;
}

static inline void run_kernel(const call *k, lrk_kernel kernel)
{
    lrk_tensor room[3 * MAX_TENSORS];
    lrk_err err = {0};
    if (k->c.device == LRK_CPU) {
        kernel(&k->c);
        return;
    }
    for (size_t i = 0; i < k->n_regions; i++) {
        const region *r = &k->regions[i];
        lrk_device_upload(k->c.device, r->device.base, r->data - DEVICE_GUARD,
                          r->bytes + 2 * DEVICE_GUARD);
    }
    const lrk_call c = call_on_device(k, room);
    kernel(&c);
    for (size_t i = 0; i < k->n_regions; i++) {
        const region *r = &k->regions[i];
        must(lrk_device_download(k->c.device, r->data - DEVICE_GUARD, r->device.base,
                                 r->bytes + 2 * DEVICE_GUARD, &err), &err);
    }
}

/* The scratch of each pass ends exactly where infer said: guards stand right behind. */
static inline bool run_with_scratch(call *k, lrk_kernel kernel, size_t bytes)
{
    unsigned char *end = k->scratch.data + k->scratch.bytes, *start = k->scratch.data;
    memset(start, poison_byte, k->scratch.bytes);
    memset(start + bytes, guard_byte, (size_t)(end - start) - bytes);
    k->c.scratch = start;
    run_kernel(k, kernel);
    for (const unsigned char *p = start + bytes; p < end; p++) {
        if (*p != guard_byte) return false;
    }
    return true;
}

static inline bool forward(call *k, const lrk_op *op)
{
    return run_with_scratch(k, lrk_op_forward(op, k->c.device, k->shapes.compute),
                            k->shapes.forward_scratch);
}

/* Nothing to do where the sample asks for no gradient. */
static inline bool backward(call *k, const lrk_op *op)
{
    if (!k->c.backward_follows) return true;
    return run_with_scratch(k, lrk_op_backward(op, k->c.device, k->shapes.compute),
                            k->shapes.backward_scratch);
}

static inline bool same_bits(const lrk_tensor *a, const lrk_tensor *b)
{
    const size_t bytes = lrk_row_bytes(a->dtype, lrk_cols(a));
    if (a->dtype != b->dtype || !lrk_same_shape(a, b)) return false;
    for (size_t r = 0; bytes && r < lrk_rows(a); r++)
        if (memcmp(lrk_row(a, r), lrk_row(b, r), bytes) != 0) return false;
    return true;
}

#endif /* LRK_TESTS_OPS_CASE_H */
