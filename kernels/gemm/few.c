/* kernels/gemm/few.c -- a few rows times W^T. */
#include "kernels/gemm/impl.h"

#include "base/size.h"
#include "base/threads.h"

enum {
    FEW = 4,        /* rows of A; more of them are faster packed */
    TASK_ROWS = 16, /* of W, at least */
};

typedef struct job {
    const lrk_gemm *g;
    const lrk_gemm_isa *isa;
    const float *x; /* A as f32 */
    float *x_sums;  /* of 32 elements each, of each row */
    size_t x_stride, rows;
    float *own; /* a decoded row for each worker; NULL: W is used where it lies */
} job;

bool lrk_gemm_is_few(const lrk_gemm *g)
{
    return g->m <= FEW && g->b.transposed && !g->a.transposed;
}

static size_t x_floats(const lrk_gemm *g)
{
    return g->a.dtype == LRK_F32 ? 0 : lrk_aligned(g->m * g->k, 16);
}

static size_t n_sums(const lrk_gemm *g) { return lrk_aligned(g->k / 32, 16); }

size_t lrk_gemm_few_scratch(const lrk_gemm *g, size_t threads)
{
    return (x_floats(g) + g->m * n_sums(g) + threads * lrk_aligned(g->k, 16)) * sizeof(float);
}

static void sum_32(const float *x, size_t k, float *sums)
{
    for (size_t i = 0; i + 32 <= k; i += 32) {
        float s[8] = {0};
        for (size_t j = 0; j < 32; j++) s[j % 8] += x[i + j];
        sums[i / 32] = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    }
}

static void put(const lrk_gemm *g, size_t i, size_t j, float sum)
{
    const float v = (float)g->alpha * sum;
    if (g->c_dtype == LRK_F32) {
        float *c = (float *)g->c + i * g->c_stride + j;
        *c = (g->accumulate ? *c : 0.0f) + v;
    } else {
        uint16_t *c = (uint16_t *)g->c + i * g->c_stride + j;
        *c = lrk_f32_to_bf16((g->accumulate ? lrk_bf16_to_f32(*c) : 0.0f) + v);
    }
}

static void rows_task(void *ctx, size_t task, int worker)
{
    const job *p = ctx;
    const lrk_gemm *g = p->g;
    const size_t end = lrk_min((task + 1) * p->rows, g->n);
    for (size_t j = task * p->rows; j < end; j++) {
        const void *w = lrk_operand_at(&g->b, j, 0);
        lrk_dtype t = g->b.dtype;
        if (p->own) {
            float *row = p->own + (size_t)worker * lrk_aligned(g->k, 16);
            p->isa->to_f32(t, w, g->k, row);
            w = row;
            t = LRK_F32;
        }
        for (size_t i = 0; i < g->m; i++)
            put(g, i, j,
                p->isa->dot(t, w, p->x + i * p->x_stride, p->x_sums + i * n_sums(g), g->k));
    }
}

void lrk_gemm_few(const lrk_gemm *g, const lrk_gemm_isa *isa, void *scratch)
{
    job p = {.g = g, .isa = isa, .x = g->a.data, .x_stride = g->a.stride};
    if (g->a.dtype != LRK_F32) {
        float *x = scratch;
        for (size_t i = 0; i < g->m; i++)
            isa->to_f32(g->a.dtype, lrk_operand_at(&g->a, i, 0), g->k, x + i * g->k);
        p.x = x;
        p.x_stride = g->k;
    }
    p.x_sums = (float *)scratch + x_floats(g);
    for (size_t i = 0; i < g->m; i++) sum_32(p.x + i * p.x_stride, g->k, p.x_sums + i * n_sums(g));
    if (g->m > 1 && g->b.dtype != LRK_F32) p.own = p.x_sums + g->m * n_sums(g);
    p.rows = lrk_max(lrk_ceil_div(g->n, 4 * (size_t)lrk_threads()), TASK_ROWS);
    lrk_parallel(lrk_ceil_div(g->n, p.rows), rows_task, &p);
}
