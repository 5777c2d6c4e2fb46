/* kernels/swiglu/swiglu_cpu.c -- a task is a range of rows; a row goes through in blocks whose
 * activations stay in the cache, so that each exponential is computed once. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/real.h"
#include "kernels/swiglu/swiglu.h"

void LRK_KERNEL(swiglu, fwd)(const lrk_call *c);
void LRK_KERNEL(swiglu, bwd)(const lrk_call *c);

enum { ROWS = 8, BLOCK = 256 };

/* value[i] = act(g[i]), slope[i] = act'(g[i]) for a block of n; forward has no slope, NULL. */
typedef void (*activation)(size_t n, const lrk_store *g, lrk_real *value, lrk_real *slope);

static void silu(size_t n, const lrk_store *g, lrk_real *value, lrk_real *slope)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const lrk_real x = lrk_get(g, i), s = 1 / (1 + lrk_exp(-x));
        value[i] = x * s;
        if (slope) slope[i] = s * (1 + x * (1 - s));
    }
}

static void gelu_tanh(size_t n, const lrk_store *g, lrk_real *value, lrk_real *slope)
{
    const lrk_real k2 = (lrk_real)1.5957691216057308, c = (lrk_real)0.044715;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const lrk_real x = lrk_get(g, i), s = 1 / (1 + lrk_exp(-k2 * (x + c * x * x * x)));
        value[i] = x * s;
        if (slope) slope[i] = s + x * s * (1 - s) * k2 * (1 + 3 * c * x * x);
    }
}

static void gelu_erf(size_t n, const lrk_store *g, lrk_real *value, lrk_real *slope)
{
    for (size_t i = 0; i < n; i++) {
        const double x = (double)lrk_get(g, i), p = 0.5 * erfc(-x * 0.70710678118654752);
        value[i] = (lrk_real)(x * p);
        if (slope) slope[i] = (lrk_real)(p + x * 0.3989422804014327 * exp(-0.5 * x * x));
    }
}

static activation choose(const lrk_call *c)
{
    const lrk_swiglu_attr *attr = c->attr;
    return attr->activation == LRK_SILU ? silu : attr->activation == LRK_GELU_TANH ? gelu_tanh : gelu_erf;
}

static const lrk_store *up_row(const lrk_tensor *u, size_t row, size_t first)
{
    return u ? (const lrk_store *)lrk_row(u, row) + first : NULL;
}

static void forward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *g = c->in[LRK_SWIGLU_G], *u = c->in[LRK_SWIGLU_U], *h = c->out[LRK_SWIGLU_H];
    const activation act = choose(c);
    const size_t F = lrk_cols(g), end = lrk_min(lrk_rows(g), (task + 1) * ROWS);
    lrk_real value[BLOCK];
    for (size_t n = task * ROWS; n < end; n++) {
        for (size_t first = 0; first < F; first += BLOCK) {
            const size_t m = lrk_min(BLOCK, F - first);
            const lrk_store *pu = up_row(u, n, first);
            lrk_store *ph = (lrk_store *)lrk_row(h, n) + first;
            act(m, (const lrk_store *)lrk_row(g, n) + first, value, NULL);
            if (pu) {
#pragma omp simd
                for (size_t i = 0; i < m; i++) lrk_put(ph, i, value[i] * lrk_get(pu, i));
            } else {
                for (size_t i = 0; i < m; i++) lrk_put(ph, i, value[i]);
            }
        }
    }
}

void LRK_KERNEL(swiglu, fwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->in[LRK_SWIGLU_G]), ROWS), forward_rows, &c);
}

static void add_block(const lrk_tensor *d, size_t row, size_t first, size_t n, bool fresh,
                      const lrk_real *v)
{
    lrk_store *p = (lrk_store *)lrk_row(d, row) + first;
    if (fresh) {
#pragma omp simd
        for (size_t i = 0; i < n; i++) lrk_put(p, i, v[i]);
    } else {
#pragma omp simd
        for (size_t i = 0; i < n; i++) lrk_put(p, i, lrk_get(p, i) + v[i]);
    }
}

static void backward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *g = c->in[LRK_SWIGLU_G], *u = c->in[LRK_SWIGLU_U];
    const lrk_tensor *dh = c->dout[LRK_SWIGLU_H];
    const lrk_tensor *dg = c->din[LRK_SWIGLU_G], *du = c->din[LRK_SWIGLU_U];
    const activation act = choose(c);
    const bool fresh = c->fresh >> LRK_SWIGLU_G & 1 || (dg && dg->data == dh->data);
    const size_t F = lrk_cols(g), end = lrk_min(lrk_rows(g), (task + 1) * ROWS);
    lrk_real value[BLOCK], slope[BLOCK];
    for (size_t n = task * ROWS; n < end; n++) {
        for (size_t first = 0; first < F; first += BLOCK) {
            const size_t m = lrk_min(BLOCK, F - first);
            const lrk_store *pu = up_row(u, n, first);
            const lrk_store *pdh = (const lrk_store *)lrk_row(dh, n) + first;
            act(m, (const lrk_store *)lrk_row(g, n) + first, value, slope);
            if (pu) {
#pragma omp simd
                for (size_t i = 0; i < m; i++) {
                    value[i] *= lrk_get(pdh, i);
                    slope[i] *= lrk_get(pdh, i) * lrk_get(pu, i);
                }
            } else {
                for (size_t i = 0; i < m; i++) slope[i] *= lrk_get(pdh, i);
            }
            if (dg) add_block(dg, n, first, m, fresh, slope);
            if (du) add_block(du, n, first, m, c->fresh >> LRK_SWIGLU_U & 1, value);
        }
    }
}

void LRK_KERNEL(swiglu, bwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->in[LRK_SWIGLU_G]), ROWS), backward_rows, &c);
}
