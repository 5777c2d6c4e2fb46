/* tests/cuda/both.h -- calls on a GPU beside the same ones on the CPU. What is taken there lives until
 * `release`, a teardown of cmocka. */
#ifndef LRK_TESTS_CUDA_BOTH_H
#define LRK_TESTS_CUDA_BOTH_H
#include "base/device.h"
#include "base/quant.h"
#include "base/rng.h"
#include "base/size.h"
#include "kernels/op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ARENAS = 32 };
static lrk_arena arenas[ARENAS];
static size_t n_arenas;

static inline int release(void **state)
{
    (void)state;
    while (n_arenas) lrk_arena_free(&arenas[--n_arenas]);
    return 0;
}

static inline void *on_gpu(const void *from, size_t bytes)
{
    lrk_err err = {0};
    lrk_arena *a = &arenas[n_arenas++];
    assert_true(n_arenas <= ARENAS);
    assert_int_equal(lrk_arena_on(LRK_CUDA, a, "test", bytes, &err), LRK_OK);
    if (from) lrk_device_upload(LRK_CUDA, a->base, from, bytes);
    return a->base;
}

static inline void from_gpu(void *to, const void *from, size_t bytes)
{
    lrk_err err = {0};
    assert_int_equal(lrk_device_download(LRK_CUDA, to, from, bytes, &err), LRK_OK);
}

static inline void draw(float *p, size_t n, uint32_t number)
{
    const lrk_rng r = {.seed = 5, .site = LRK_SITE_TEST, .step = number};
    for (size_t i = 0; i < n; i++) p[i] = (float)lrk_rng_normal(r, i);
}

static inline void *take(size_t count, size_t size)
{
    void *p = lrk_heap_alloc(count, size);
    assert_non_null(p);
    return p;
}

/* Two results of one formula in f32, each rounded a few times on its way. */
static inline void assert_near(const float *a, const float *b, size_t n, double scale)
{
    for (size_t i = 0; i < n; i++) {
        const double x = (double)a[i], y = (double)b[i];
        if (!(fabs(x - y) <= 16 * 0x1p-24 * (fabs(y) + scale)))
            fail_msg("number %zu: %.9g, expected %.9g", i, x, y);
    }
}

static inline lrk_tensor matrix(lrk_dtype type, size_t rows, size_t cols, size_t stride, void *data)
{
    lrk_tensor t = lrk_mat(type, rows, cols);
    t.name = "test";
    t.stride = stride;
    t.data = data;
    return t;
}

static inline lrk_tensor moved(const lrk_tensor *t)
{
    lrk_tensor d = *t;
    d.data = on_gpu(t->data, lrk_rows(t) * lrk_row_bytes(t->dtype, t->stride));
    return d;
}

/* A call on the CPU and the same on the GPU: every tensor moved, then the results back and compared. What
 * the attributes point to is not moved: gpu.attr, where it is set, has them as they are there. bound: of
 * the largest number of a result; 0: as assert_near. */
typedef struct both {
    lrk_call cpu, gpu;
    double bound;
    lrk_tensor there[LRK_MAX_IN + LRK_MAX_OUT + LRK_MAX_SAVED + LRK_MAX_OUT + LRK_MAX_IN];
    size_t n;
} both;

static inline lrk_tensor *move(both *b, const lrk_tensor *t)
{
    if (!t) return NULL;
    b->there[b->n] = moved(t);
    return &b->there[b->n++];
}

static inline void assert_within(const float *a, const float *b, size_t n, double bound)
{
    double worst = 0.0, largest = 0.0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, isfinite(a[i]) ? fabs((double)a[i] - (double)b[i]) : HUGE_VAL);
        largest = fmax(largest, fabs((double)b[i]));
    }
    if (!(worst <= bound * largest)) fail_msg("off by %g of %g, at most %g", worst, largest, bound * largest);
    assert_true(largest > 0.0);
}

static inline void bring_back(const both *b, const lrk_tensor *here, const lrk_tensor *there)
{
    const size_t n = lrk_rows(here) * here->stride;
    void *got = take(n, lrk_row_bytes(here->dtype, 1));
    float *x = take(n, sizeof *x), *y = take(n, sizeof *y);
    from_gpu(got, there->data, lrk_row_bytes(here->dtype, n));
    lrk_to_f32(here->dtype, got, n, x);
    lrk_to_f32(here->dtype, here->data, n, y);
    if (b->bound > 0.0)
        assert_within(x, y, n, b->bound);
    else
        assert_near(x, y, n, 1.0); /* gaps included: nobody wrote there */
    lrk_heap_free(got);
    lrk_heap_free(x);
    lrk_heap_free(y);
}

static inline void run_both(const lrk_op *op, both *b)
{
    lrk_err err = {0};
    lrk_infer shapes;
    assert_int_equal(lrk_op_infer(op, &b->cpu, &shapes, &err), LRK_OK);
    const void *attr = b->gpu.attr ? b->gpu.attr : b->cpu.attr;
    b->gpu = b->cpu;
    b->gpu.attr = attr;
    b->gpu.device = LRK_CUDA;
    for (int i = 0; i < LRK_MAX_IN; i++) b->gpu.in[i] = move(b, b->cpu.in[i]);
    for (int i = 0; i < LRK_MAX_OUT; i++) b->gpu.out[i] = move(b, b->cpu.out[i]);
    for (int i = 0; i < LRK_MAX_SAVED; i++) b->gpu.saved[i] = move(b, b->cpu.saved[i]);
    for (int i = 0; i < LRK_MAX_OUT; i++) b->gpu.dout[i] = move(b, b->cpu.dout[i]);
    for (int i = 0; i < LRK_MAX_IN; i++) b->gpu.din[i] = move(b, b->cpu.din[i]);
    lrk_infer there;
    assert_int_equal(lrk_op_infer(op, &b->gpu, &there, &err), LRK_OK);
    b->gpu.scratch = on_gpu(NULL, 1 + lrk_max(there.forward_scratch, there.backward_scratch));
    void *scratch = take(1 + lrk_max(shapes.forward_scratch, shapes.backward_scratch), 1);
    b->cpu.scratch = scratch;
    lrk_op_forward(op, LRK_CPU, shapes.compute)(&b->cpu);
    lrk_op_forward(op, LRK_CUDA, shapes.compute)(&b->gpu);
    if (b->cpu.dout[0]) {
        lrk_op_backward(op, LRK_CPU, shapes.compute)(&b->cpu);
        lrk_op_backward(op, LRK_CUDA, shapes.compute)(&b->gpu);
    }
    bring_back(b, b->cpu.out[0], b->gpu.out[0]);
    for (int i = 0; i < LRK_MAX_IN; i++) {
        if (b->cpu.din[i]) bring_back(b, b->cpu.din[i], b->gpu.din[i]);
    }
    lrk_heap_free(scratch);
    release(NULL);
}

#endif /* LRK_TESTS_CUDA_BOTH_H */
