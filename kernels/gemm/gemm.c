/* kernels/gemm/gemm.c -- matrix products: which way a product goes. */
#include "kernels/gemm.h"

#include "base/quant.h"
#include "base/size.h"
#include "base/threads.h"

enum { COLUMNS = 256 }; /* of C for each task; a multiple of every block length */

static bool is_f64(const lrk_gemm *g)
{
    return g->a.dtype == LRK_F64;
}

static size_t worker_bytes(const lrk_gemm *g)
{
    const size_t columns = lrk_min(g->n, COLUMNS);
    return lrk_aligned((g->b.transposed ? g->k : columns) * sizeof(float), 64) +
           lrk_aligned((g->m * columns + 1) * sizeof(float), 64);
}

size_t lrk_gemm_scratch(const lrk_gemm *g)
{
    return is_f64(g) ? 0 : worker_bytes(g) * (size_t)lrk_threads();
}

static float a_at(const lrk_gemm *g, size_t i, size_t k)
{
    const size_t at = g->a.transposed ? k * g->a.stride + i : i * g->a.stride + k;
    return g->a.dtype == LRK_F32 ? ((const float *)g->a.data)[at]
                                 : lrk_bf16_to_f32(((const uint16_t *)g->a.data)[at]);
}

static void b_row(const lrk_gemm *g, size_t row, size_t first, size_t n, float *dst)
{
    const unsigned char *p = g->b.data;
    p += row * lrk_row_bytes(g->b.dtype, g->b.stride) + lrk_row_bytes(g->b.dtype, first);
    lrk_to_f32(g->b.dtype, p, n, dst);
    if (g->a.dtype == LRK_BF16)
        for (size_t i = 0; i < n; i++) dst[i] = lrk_bf16_to_f32(lrk_f32_to_bf16(dst[i]));
}

typedef struct plain {
    const lrk_gemm *g;
    char *scratch;
} plain;

static void columns_task(void *ctx, size_t task, int worker)
{
    const plain *p = ctx;
    const lrk_gemm *g = p->g;
    const size_t first = task * COLUMNS, n = lrk_min(g->n - first, COLUMNS);
    float *row = (float *)(void *)(p->scratch + (size_t)worker * worker_bytes(g));
    float *sum = row + lrk_aligned(g->b.transposed ? g->k : lrk_min(g->n, COLUMNS), 16);

    for (size_t i = 0; i < g->m * n; i++) sum[i] = 0.0f;
    if (g->b.transposed) {
        for (size_t j = 0; j < n; j++) {
            b_row(g, first + j, 0, g->k, row);
            for (size_t i = 0; i < g->m; i++)
                for (size_t k = 0; k < g->k; k++) sum[i * n + j] += a_at(g, i, k) * row[k];
        }
    } else {
        for (size_t k = 0; k < g->k; k++) {
            b_row(g, k, first, n, row);
            for (size_t i = 0; i < g->m; i++) {
                const float a = a_at(g, i, k);
                for (size_t j = 0; j < n; j++) sum[i * n + j] += a * row[j];
            }
        }
    }
    const float alpha = (float)g->alpha;
    for (size_t i = 0; i < g->m; i++) {
        for (size_t j = 0; j < n; j++) {
            const size_t at = i * g->c_stride + first + j;
            const float v = alpha * sum[i * n + j];
            if (g->c_dtype == LRK_F32) {
                float *c = (float *)g->c + at;
                *c = g->accumulate ? *c + v : v;
            } else {
                uint16_t *c = (uint16_t *)g->c + at;
                *c = lrk_f32_to_bf16(g->accumulate ? lrk_bf16_to_f32(*c) + v : v);
            }
        }
    }
}

static void row_f64(void *ctx, size_t i, int worker)
{
    const lrk_gemm *g = ctx;
    const double *a = g->a.data, *b = g->b.data;
    (void)worker;
    for (size_t j = 0; j < g->n; j++) {
        double *c = (double *)g->c + i * g->c_stride + j, sum = 0.0;
        for (size_t k = 0; k < g->k; k++)
            sum += a[g->a.transposed ? k * g->a.stride + i : i * g->a.stride + k] *
                   b[g->b.transposed ? j * g->b.stride + k : k * g->b.stride + j];
        *c = (g->accumulate ? *c : 0.0) + g->alpha * sum;
    }
}

void lrk_gemm_run(const lrk_gemm *g, void *scratch)
{
    if (is_f64(g)) {
        lrk_gemm copy = *g;
        lrk_parallel(g->m, row_f64, &copy);
        return;
    }
    plain p = {g, scratch};
    lrk_parallel(lrk_ceil_div(g->n, COLUMNS), columns_task, &p);
}
