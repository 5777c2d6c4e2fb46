/* kernels/weight_norm/weight_norm_cpu.c -- a task is a range of rows, each taken in pieces. */
#include "base/quant.h"
#include "base/size.h"
#include "base/threads.h"
#include "kernels/real.h"
#include "kernels/weight_norm/weight_norm.h"

void LRK_KERNEL(weight_norm, fwd)(const lrk_call *c);

enum { ROWS = 4, PIECE = 1024 }; /* a piece is a whole number of blocks of every stored type */

/* n numbers of row o from element `first` on. */
static void decode(const lrk_tensor *w, size_t o, size_t first, size_t n, lrk_real *to)
{
#if LRK_REAL == LRK_BUILD_F64
    memcpy(to, (const double *)lrk_row(w, o) + first, n * sizeof *to);
#else
    lrk_to_f32(w->dtype, (const char *)lrk_row(w, o) + lrk_row_bytes(w->dtype, first), n, to);
#endif
}

static double piece_sum(const lrk_call *c, size_t o, size_t first, size_t n)
{
    const lrk_tensor *a = c->in[LRK_WEIGHT_NORM_A];
    const lrk_weight_norm_attr *attr = c->attr;
    const lrk_real *b = lrk_row(c->in[LRK_WEIGHT_NORM_B], o);
    lrk_real w[PIECE], sum = 0;
    decode(c->in[LRK_WEIGHT_NORM_W], o, first, n, w);
    for (size_t r = 0; r < lrk_rows(a); r++) {
        const lrk_real factor = (lrk_real)attr->scale * b[r];
        const lrk_real *pa = (const lrk_real *)lrk_row(a, r) + first;
#pragma omp simd
        for (size_t i = 0; i < n; i++) w[i] = lrk_fma(factor, pa[i], w[i]);
    }
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) sum += w[i] * w[i];
    return (double)sum;
}

static void norm_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *w = c->in[LRK_WEIGHT_NORM_W];
    lrk_real *norm = c->out[LRK_WEIGHT_NORM_NORM]->data;
    const size_t C = lrk_cols(w), end = lrk_min(lrk_rows(w), (task + 1) * ROWS);
    for (size_t o = task * ROWS; o < end; o++) {
        double sum = 0.0;
        for (size_t i = 0; i < C; i += PIECE) sum += piece_sum(c, o, i, lrk_min(PIECE, C - i));
        norm[o] = (lrk_real)sqrt(sum);
    }
}

void LRK_KERNEL(weight_norm, fwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->in[LRK_WEIGHT_NORM_W]), ROWS), norm_rows, &c);
}
