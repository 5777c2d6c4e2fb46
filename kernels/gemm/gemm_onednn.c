/* kernels/gemm/gemm_onednn.c -- matrix products by oneDNN: for processors that impl.h has no vector
 * kernel for, and the rival in tests and benchmarks. The only includer of dnnl.h.
 *
 * oneDNN multiplies plain matrices of one type, so B is decoded into scratch, CHUNK columns at a
 * time, and sums that need scaling, adding or rounding go through scratch as well. Its own working
 * memory is not in the plan, and the order of its sums is its own.
 */
#include "kernels/gemm/onednn.h"

#include "base/arena.h"
#include "base/quant.h"
#include "base/size.h"
#include "base/threads.h"

#include <dnnl.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>

enum { CHUNK = 512 }; /* columns; a multiple of every block */

static _Atomic(dnnl_engine_t) the_engine;

static dnnl_engine_t engine(void)
{
    dnnl_engine_t e = atomic_load(&the_engine), none = NULL;
    if (e || dnnl_engine_create(&e, dnnl_cpu, 0) != dnnl_success) return e;
    if (!atomic_compare_exchange_strong(&the_engine, &none, e)) {
        dnnl_engine_destroy(e);
        e = none;
    }
    return e;
}

/* A matrix of f32 or bf16 that oneDNN reads or writes. */
typedef struct matrix {
    void *data;
    bool bf16;
    size_t rows, cols, row_stride, col_stride;
} matrix;

static dnnl_status_t describe(dnnl_memory_desc_t *d, const matrix *x)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)x->rows, (dnnl_dim_t)x->cols};
    const dnnl_dims_t strides = {(dnnl_dim_t)x->row_stride, (dnnl_dim_t)x->col_stride};
    const dnnl_data_type_t type = x->bf16 ? dnnl_bf16 : dnnl_f32;
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_strides(d, 2, dims, type, strides);
#else
    return dnnl_memory_desc_init_by_strides(d, 2, dims, type, strides);
#endif
}

static dnnl_status_t describe_product(dnnl_primitive_desc_t *pd, dnnl_memory_desc_t *d)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_matmul_primitive_desc_create(pd, engine(), d[0], d[1], NULL, d[2], NULL);
#else
    dnnl_matmul_desc_t product;
    const dnnl_status_t s = dnnl_matmul_desc_init(&product, &d[0], &d[1], NULL, &d[2]);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(pd, &product, NULL, engine(), NULL);
#endif
}

static dnnl_status_t attach(dnnl_memory_t *m, const dnnl_memory_desc_t *d, void *data)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_create(m, *d, engine(), data);
#else
    return dnnl_memory_create(m, d, engine(), data);
#endif
}

static dnnl_status_t execute(dnnl_primitive_t p, const dnnl_memory_t *m)
{
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, m[0]}, {DNNL_ARG_WEIGHTS, m[1]}, {DNNL_ARG_DST, m[2]}};
    dnnl_stream_t stream = NULL;
    dnnl_status_t s = dnnl_stream_create(&stream, engine(), dnnl_stream_default_flags);
    if (s == dnnl_success) s = dnnl_primitive_execute(p, stream, 3, args);
    if (s == dnnl_success) s = dnnl_stream_wait(stream);
    if (stream) dnnl_stream_destroy(stream);
    return s;
}

/* x[2] = x[0] x[1] */
static bool multiply(const matrix x[3])
{
    dnnl_memory_desc_t d[3] = {0};
    dnnl_memory_t m[3] = {NULL};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t p = NULL;
    dnnl_status_t s = engine() ? dnnl_success : dnnl_runtime_error;
    for (int i = 0; i < 3 && s == dnnl_success; i++) s = describe(&d[i], &x[i]);
    if (s == dnnl_success) s = describe_product(&pd, d);
    if (s == dnnl_success) s = dnnl_primitive_create(&p, pd);
    for (int i = 0; i < 3 && s == dnnl_success; i++) s = attach(&m[i], &d[i], x[i].data);
    if (s == dnnl_success) s = execute(p, m);
    for (int i = 0; i < 3; i++) {
        if (m[i]) dnnl_memory_destroy(m[i]);
#if DNNL_VERSION_MAJOR >= 3
        if (d[i]) dnnl_memory_desc_destroy(d[i]);
#endif
    }
    if (p) dnnl_primitive_destroy(p);
    if (pd) dnnl_primitive_desc_destroy(pd);
    return s == dnnl_success;
}

/* ---- around it ---- */

typedef struct job {
    const lrk_gemm *g;
    bool bf16;          /* multiply as bf16; else f32 */
    bool direct;        /* oneDNN writes C itself */
    size_t first, cols; /* the chunk in work */
    unsigned char *a, *b;
    float *c;
} job;

static bool is(lrk_dtype t, bool bf16) { return t == (bf16 ? LRK_BF16 : LRK_F32); }

static size_t a_bytes(const job *p)
{
    return is(p->g->a.dtype, p->bf16) ? 0
                                      : lrk_aligned(p->g->m * p->g->k * sizeof(float), LRK_ALIGN);
}

/* b of f32 beside an a of bf16 is rounded, though f32 are multiplied. */
static size_t b_bytes(const job *p)
{
    const bool rounded = !p->bf16 && p->g->a.dtype == LRK_BF16;
    if (is(p->g->b.dtype, p->bf16) && !rounded) return 0;
    return lrk_aligned(p->g->k * lrk_min(p->g->n, CHUNK) * sizeof(float), LRK_ALIGN);
}

static job plan(const lrk_gemm *g)
{
    job p = {.g = g, .bf16 = g->a.dtype == LRK_BF16 && lrk_cpu_has_bf16()};
    p.direct = g->alpha == 1.0 && !g->accumulate && (g->c_dtype == LRK_F32 || p.bf16);
    return p;
}

size_t lrk_gemm_onednn_scratch(const lrk_gemm *g)
{
    const job p = plan(g);
    const size_t row = lrk_aligned(lrk_max(g->k, CHUNK) * sizeof(float), LRK_ALIGN);
    return a_bytes(&p) + b_bytes(&p) + g->m * lrk_min(g->n, CHUNK) * sizeof(float) +
           row * (size_t)lrk_threads();
}

static void a_row(void *ctx, size_t r, int worker)
{
    const job *p = ctx;
    const lrk_operand *a = &p->g->a;
    const size_t width = a->transposed ? p->g->m : p->g->k;
    (void)worker;
    lrk_to_f32(a->dtype, lrk_operand_at(a, r, 0), width, (float *)(void *)p->a + r * width);
}

static void b_row(void *ctx, size_t r, int worker)
{
    const job *p = ctx;
    const lrk_operand *b = &p->g->b;
    const size_t width = b->transposed ? p->g->k : p->cols;
    const size_t row = b->transposed ? p->first + r : r, col = b->transposed ? 0 : p->first;
    const size_t at = lrk_aligned(lrk_max(p->g->k, CHUNK) * sizeof(float), LRK_ALIGN);
    float *f =
        (float *)(void *)((char *)(p->c + p->g->m * lrk_min(p->g->n, CHUNK)) + (size_t)worker * at);

    lrk_to_f32(b->dtype, lrk_operand_at(b, row, col), width, f);
    if (p->bf16) {
        lrk_from_f32(LRK_BF16, f, width, p->b + r * width * sizeof(uint16_t));
        return;
    }
    if (p->g->a.dtype == LRK_BF16)
        for (size_t i = 0; i < width; i++) f[i] = lrk_bf16_to_f32(lrk_f32_to_bf16(f[i]));
    memcpy(p->b + r * width * sizeof *f, f, width * sizeof *f);
}

static void finish_row(void *ctx, size_t i, int worker)
{
    const job *p = ctx;
    const lrk_gemm *g = p->g;
    const float alpha = (float)g->alpha, *sum = p->c + i * p->cols;
    const size_t at = i * g->c_stride + p->first;
    (void)worker;
    for (size_t j = 0; j < p->cols; j++) {
        if (g->c_dtype == LRK_F32) {
            float *c = (float *)g->c + at + j;
            *c = (g->accumulate ? *c : 0.0f) + alpha * sum[j];
        } else {
            uint16_t *c = (uint16_t *)g->c + at + j;
            *c = lrk_f32_to_bf16((g->accumulate ? lrk_bf16_to_f32(*c) : 0.0f) + alpha * sum[j]);
        }
    }
}

static matrix operand(const lrk_operand *o, void *packed, bool bf16, size_t rows, size_t cols)
{
    const size_t stride = packed ? (o->transposed ? rows : cols) : o->stride;
    return (matrix){.data = packed,
                    .bf16 = bf16,
                    .rows = rows,
                    .cols = cols,
                    .row_stride = o->transposed ? 1 : stride,
                    .col_stride = o->transposed ? stride : 1};
}

static bool chunk(job *p)
{
    const lrk_gemm *g = p->g;
    const size_t row = g->b.transposed ? p->first : 0, col = g->b.transposed ? 0 : p->first;
    const bool a_packed = a_bytes(p) != 0, b_packed = b_bytes(p) != 0;
    matrix x[3] = {operand(&g->a, a_packed ? p->a : NULL, p->bf16, g->m, g->k),
                   operand(&g->b, b_packed ? p->b : NULL, p->bf16, g->k, p->cols),
                   {p->c, false, g->m, p->cols, p->cols, 1}};
    if (!a_packed) x[0].data = (void *)(uintptr_t)g->a.data;
    if (!b_packed) x[1].data = (void *)(uintptr_t)lrk_operand_at(&g->b, row, col);
    if (b_packed) lrk_parallel(g->b.transposed ? p->cols : g->k, b_row, p);
    if (p->direct)
        x[2] = (matrix){(char *)g->c + lrk_row_bytes(g->c_dtype, p->first),
                        g->c_dtype == LRK_BF16,
                        g->m,
                        p->cols,
                        g->c_stride,
                        1};
    if (!multiply(x)) return false;
    if (!p->direct) lrk_parallel(g->m, finish_row, p);
    return true;
}

size_t lrk_gemm_onednn(const lrk_gemm *g, void *scratch)
{
    job p = plan(g);
    p.a = scratch;
    p.b = p.a + a_bytes(&p);
    p.c = (float *)(void *)(p.b + b_bytes(&p));
    omp_set_num_threads(lrk_threads());
    if (a_bytes(&p)) lrk_parallel(g->a.transposed ? g->k : g->m, a_row, &p);
    /* nothing to decode and nowhere to go through: one product */
    const size_t step = p.direct && !b_bytes(&p) ? g->n : CHUNK;
    for (; p.first < g->n; p.first += p.cols) {
        p.cols = lrk_min(g->n - p.first, step);
        if (!chunk(&p)) break;
    }
    return p.first;
}

void lrk_gemm_onednn_version(char *out, size_t size)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(out, size, "%d.%d.%d", v->major, v->minor, v->patch);
}
