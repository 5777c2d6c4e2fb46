/* kernels/gemm/gemm_cuda.cu -- matrix products on a GPU. */
#include "kernels/gemm/cublaslt.cuh"
#include "kernels/gemm/few.cuh"
extern "C" {
#include "kernels/gemm/cuda.h"
}

#include <stdio.h>

enum { THREADS = 256 };

lrk_status lrk_gemm_cuda_open(lrk_err *err)
{
    return lrk_lt_open(err);
}

void lrk_gemm_cuda_version(char *out, size_t size)
{
    const size_t v = lrk_lt_version();
    if (v)
        snprintf(out, size, "%zu.%zu.%zu", v / 10000, v / 100 % 100, v % 100);
    else
        snprintf(out, size, "none");
}

/* c = (add ? c : 0) + sums + bias; NULL: zeros. */
template <typename C>
static __global__ void finish(C *c, size_t stride, const float *sums, const C *bias, size_t m, size_t n, bool add)
{
    const size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= m * n) return;
    C *to = c + at / n * stride + at % n;
    const float sum = (sums ? sums[at] : 0.0f) + (bias ? lrk_value(bias[at % n]) : 0.0f);
    lrk_set(to, add ? lrk_value(*to) + sum : sum);
}

static void finish_c(const lrk_gemm *g, const float *sums)
{
    const unsigned grid = (unsigned)lrk_ceil_div(g->m * g->n, THREADS);
    if (g->c_dtype == LRK_BF16)
        LRK_LAUNCH((finish<lrk_bf16>), grid, THREADS, 0, static_cast<lrk_bf16 *>(g->c), g->c_stride,
                   sums, static_cast<const lrk_bf16 *>(g->bias), g->m, g->n, g->accumulate);
    else
        LRK_LAUNCH((finish<float>), grid, THREADS, 0, static_cast<float *>(g->c), g->c_stride, sums,
                   static_cast<const float *>(g->bias), g->m, g->n, g->accumulate);
}

/* Whether the library adds the bias: its kernels may read one by sixteen bytes, whatever it is told of the address. */
static bool fuses_bias(const lrk_gemm *g, const lrk_gemm_way *w)
{
    return g->bias && !w->sums && reinterpret_cast<uintptr_t>(g->bias) % 16 == 0;
}

static const void *element(const lrk_operand *o, size_t row, size_t col)
{
    return static_cast<const char *>(o->data) + row * lrk_row_bytes(o->dtype, o->stride) +
           lrk_row_bytes(o->dtype, col);
}

/* Columns j .. j + n and depth k0 .. k0 + k of b into the panel, from its depth `at` on. */
static void decode(const lrk_gemm *g, const lrk_gemm_way *w, const lrk_operand *b, size_t j, size_t n, size_t k0,
                   size_t k, void *panel, size_t at)
{
    const bool t = b->transposed;
    lrk_operand from = *b;
    from.data = element(b, t ? j : k0, t ? k0 : j);
    lrk_gemm_cuda_decode(&from, t ? n : k, t ? k : n, g->a.dtype,
                         static_cast<char *>(panel) + lrk_row_bytes(g->a.dtype, t ? at : at * w->panel_stride),
                         w->panel_stride);
}

/* Columns j .. j + n and depth k0 .. k0 + k of b, and of b2 below it, as the product takes them. */
static lrk_lt_operand piece_of_b(const lrk_gemm *g, const lrk_gemm_way *w, size_t j, size_t n,
                                 size_t k0, size_t k, void *panel)
{
    const bool t = g->b.transposed;
    if (!w->decoded) return {element(&g->b, t ? j : k0, t ? k0 : j), g->b.stride, t};
    const size_t of_b = k0 < g->k ? lrk_min(k, g->k - k0) : 0;
    if (of_b) decode(g, w, &g->b, j, n, k0, of_b, panel, 0);
    if (of_b < k) decode(g, w, &g->b2, j, n, k0 + of_b - g->k, k - of_b, panel, of_b);
    return {panel, w->panel_stride, t};
}

/* [panel] [sums] [skipped] [workspace] [trial] */
static void multiply(const lrk_gemm *g, const lrk_gemm_way *w, char *scratch)
{
    char *const panel = scratch, *const sums = panel + w->panel;
    const uintptr_t behind = reinterpret_cast<uintptr_t>(sums + w->sums);
    char *const workspace = sums + w->sums + (lrk_aligned(behind, LRK_GEMM_WORKSPACE_ALIGN) - behind);
    char *const trial = workspace + w->workspace;
    lrk_lt_product p = {};
    p.m = g->m;
    p.type = g->a.dtype;
    p.c_type = w->sums ? LRK_F32 : g->c_dtype;
    p.c_stride = w->sums ? g->n : g->c_stride;
    p.alpha = (float)g->alpha;
    p.workspace = workspace;
    p.workspace_bytes = w->workspace;
    p.trial = w->trial && p.c_stride == g->n ? trial : NULL;
    char *const c = w->sums ? sums : static_cast<char *>(g->c);
    const bool fused = fuses_bias(g, w), first = g->bias && !w->sums && !fused; /* before the product */
    if (first) finish_c(g, NULL);
    for (size_t j = 0; j < g->n; j += w->n_step) {
        p.n = lrk_min(w->n_step, g->n - j);
        p.c = c + lrk_row_bytes(p.c_type, j);
        for (size_t k = 0; k < w->depth; k += w->k_step) {
            p.k = lrk_min(w->k_step, w->depth - k);
            p.accumulate = k > 0 || first || (g->accumulate && !w->sums);
            p.bias = fused && k == 0
                         ? static_cast<const char *>(g->bias) + lrk_row_bytes(g->c_dtype, j)
                         : NULL;
            p.a = {element(&g->a, g->a.transposed ? k : 0, g->a.transposed ? 0 : k), g->a.stride,
                   g->a.transposed};
            p.b = piece_of_b(g, w, j, p.n, k, p.k, panel);
            lrk_lt_multiply(&p);
        }
    }
    if (w->sums) finish_c(g, reinterpret_cast<const float *>(sums));
}

/* The first pair, or both. */
static void product(const lrk_gemm *g, bool both, void *scratch)
{
    const lrk_gemm_way w = lrk_gemm_cuda_way(g, both);
    if (!g->k) {
        if (!g->accumulate || g->bias) finish_c(g, NULL);
    } else if (w.few) {
        lrk_gemm_few_cuda(g);
    } else {
        multiply(g, &w, static_cast<char *>(scratch));
    }
}

void lrk_gemm_cuda(const lrk_gemm *g, void *scratch)
{
    lrk_gemm one = *g;
    if (!g->m || !g->n) return;
    const bool both = lrk_gemm_cuda_joins(g);
    product(g, both, scratch);
    if (!g->k2 || both) return;
    one.a = g->a2;
    one.b = g->b2;
    one.k = g->k2;
    one.accumulate = true;
    one.bias = NULL;
    product(&one, false, scratch);
}
