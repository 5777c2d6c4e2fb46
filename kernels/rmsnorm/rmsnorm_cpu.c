/* kernels/rmsnorm/rmsnorm_cpu.c -- a task is a range of rows; for dw, a range of columns. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/real.h"
#include "kernels/rmsnorm/pieces.h"

void LRK_KERNEL(rmsnorm, fwd)(const lrk_call *c);
void LRK_KERNEL(rmsnorm, bwd)(const lrk_call *c);

enum { ROWS = 32, COLUMNS = 64 };

typedef struct job {
    const lrk_call *call;
    const lrk_real *w; /* (C), converted once */
} job;

static job prepare(const lrk_call *c)
{
    return (job){c, lrk_load_row(c->in[LRK_RMSNORM_W], 0, c->scratch)};
}

/* What the addition does. */
static void sum_row(const lrk_call *c, size_t n)
{
    const lrk_tensor *x = c->in[LRK_RMSNORM_X];
    const lrk_store *pa = lrk_row(c->joined[0], n), *pb = lrk_row(c->joined[1], n);
    lrk_store *px = lrk_row(x, n);
#pragma omp simd
    for (size_t i = 0; i < lrk_cols(x); i++) lrk_put(px, i, lrk_get(pa, i) + lrk_get(pb, i));
}

static void forward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_tensor *x = j->call->in[LRK_RMSNORM_X], *y = j->call->out[LRK_RMSNORM_Y];
    const lrk_tensor *rstd = j->call->saved[LRK_RMSNORM_RSTD];
    const lrk_rmsnorm_attr *attr = j->call->attr;
    const size_t C = lrk_cols(x), end = lrk_min(lrk_rows(x), (task + 1) * ROWS);
    for (size_t n = task * ROWS; n < end; n++) {
        const lrk_store *px = lrk_row(x, n);
        lrk_store *py = lrk_row(y, n);
        double square = 0.0;
        if (j->call->joined[0]) sum_row(j->call, n);
#pragma omp simd reduction(+ : square)
        for (size_t i = 0; i < C; i++) square += (double)lrk_get(px, i) * (double)lrk_get(px, i);
        const lrk_real r = (lrk_real)(1.0 / sqrt(square / (double)C + attr->eps));
        if (rstd) ((lrk_real *)rstd->data)[n] = r;
#pragma omp simd
        for (size_t i = 0; i < C; i++) lrk_put(py, i, lrk_get(px, i) * r * j->w[i]);
    }
}

void LRK_KERNEL(rmsnorm, fwd)(const lrk_call *c)
{
    lrk_rmsnorm_pieces pieces;
    c = lrk_rmsnorm_call(c, &pieces);
    job j = prepare(c);
    lrk_parallel(lrk_ceil_div(lrk_rows(c->in[LRK_RMSNORM_X]), ROWS), forward_rows, &j);
}

static void dx_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_tensor *x = j->call->in[LRK_RMSNORM_X], *dy = j->call->dout[LRK_RMSNORM_Y];
    const lrk_tensor *dx = j->call->din[LRK_RMSNORM_X];
    const lrk_real *rstd = j->call->saved[LRK_RMSNORM_RSTD]->data, *w = j->w;
    const bool fresh = j->call->fresh >> LRK_RMSNORM_X & 1;
    const size_t C = lrk_cols(x), end = lrk_min(lrk_rows(x), (task + 1) * ROWS);
    for (size_t n = task * ROWS; n < end; n++) {
        const lrk_store *px = lrk_row(x, n), *pdy = lrk_row(dy, n);
        lrk_store *pdx = lrk_row(dx, n);
        double s = 0.0;
#pragma omp simd reduction(+ : s)
        for (size_t i = 0; i < C; i++) s += (double)(lrk_get(pdy, i) * w[i]) * (double)lrk_get(px, i);
        const double rn = (double)rstd[n];
        const lrk_real r = rstd[n], k = (lrk_real)(rn * rn * rn * s / (double)C);
        if (fresh) {
#pragma omp simd
            for (size_t i = 0; i < C; i++)
                lrk_put(pdx, i, r * w[i] * lrk_get(pdy, i) - k * lrk_get(px, i));
        } else {
#pragma omp simd
            for (size_t i = 0; i < C; i++)
                lrk_put(pdx, i, lrk_get(pdx, i) + (r * w[i] * lrk_get(pdy, i) - k * lrk_get(px, i)));
        }
    }
}

/* The sum over rows runs from first to last in f64, so bits do not depend on who takes the task. */
static void dw_columns(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_tensor *x = j->call->in[LRK_RMSNORM_X], *dy = j->call->dout[LRK_RMSNORM_Y];
    const lrk_tensor *dw = j->call->din[LRK_RMSNORM_W];
    const lrk_real *rstd = j->call->saved[LRK_RMSNORM_RSTD]->data;
    const size_t first = task * COLUMNS, n = lrk_min(lrk_cols(x) - first, COLUMNS);
    double sum[COLUMNS] = {0};
    for (size_t t = 0; t < lrk_rows(x); t++) {
        const lrk_store *px = (const lrk_store *)lrk_row(x, t) + first;
        const lrk_store *pdy = (const lrk_store *)lrk_row(dy, t) + first;
        const lrk_real r = rstd[t];
#pragma omp simd
        for (size_t i = 0; i < n; i++) sum[i] += (double)(lrk_get(pdy, i) * (lrk_get(px, i) * r));
    }
    const bool fresh = j->call->fresh >> LRK_RMSNORM_W & 1;
    for (size_t i = 0; i < n; i++) lrk_accumulate(dw, first + i, sum[i], fresh);
}

void LRK_KERNEL(rmsnorm, bwd)(const lrk_call *c)
{
    lrk_rmsnorm_pieces pieces;
    c = lrk_rmsnorm_call(c, &pieces);
    job j = prepare(c);
    const lrk_tensor *x = c->in[LRK_RMSNORM_X];
    if (c->din[LRK_RMSNORM_X]) lrk_parallel(lrk_ceil_div(lrk_rows(x), ROWS), dx_rows, &j);
    if (c->din[LRK_RMSNORM_W])
        lrk_parallel(lrk_ceil_div(lrk_cols(x), COLUMNS), dw_columns, &j);
}
