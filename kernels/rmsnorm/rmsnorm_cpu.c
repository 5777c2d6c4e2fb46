/* kernels/rmsnorm/rmsnorm_cpu.c -- a task is a range of pieces; for dw, a range of columns. */
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
static void sum_piece(const lrk_call *c, size_t n, size_t C)
{
    const lrk_store *pa = lrk_rmsnorm_piece(c->joined[0], n, C), *pb = lrk_rmsnorm_piece(c->joined[1], n, C);
    lrk_store *px = lrk_rmsnorm_piece(c->in[LRK_RMSNORM_X], n, C);
#pragma omp simd
    for (size_t i = 0; i < C; i++) lrk_put(px, i, lrk_get(pa, i) + lrk_get(pb, i));
}

static void forward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_tensor *x = j->call->in[LRK_RMSNORM_X], *y = j->call->out[LRK_RMSNORM_Y];
    const lrk_tensor *rstd = j->call->saved[LRK_RMSNORM_RSTD];
    const lrk_rmsnorm_attr *attr = j->call->attr;
    const size_t C = lrk_rmsnorm_width(j->call), end = lrk_min(lrk_rmsnorm_pieces(j->call), (task + 1) * ROWS);
    for (size_t n = task * ROWS; n < end; n++) {
        const lrk_store *px = lrk_rmsnorm_piece(x, n, C);
        lrk_store *py = lrk_rmsnorm_piece(y, n, C);
        double square = 0.0;
        if (j->call->joined[0]) sum_piece(j->call, n, C);
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
    job j = prepare(c);
    lrk_parallel(lrk_ceil_div(lrk_rmsnorm_pieces(c), ROWS), forward_rows, &j);
}

static void dx_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_tensor *x = j->call->in[LRK_RMSNORM_X], *dy = j->call->dout[LRK_RMSNORM_Y];
    const lrk_tensor *dx = j->call->din[LRK_RMSNORM_X];
    const lrk_real *rstd = j->call->saved[LRK_RMSNORM_RSTD]->data, *w = j->w;
    const bool fresh = j->call->fresh >> LRK_RMSNORM_X & 1;
    const size_t C = lrk_rmsnorm_width(j->call), end = lrk_min(lrk_rmsnorm_pieces(j->call), (task + 1) * ROWS);
    for (size_t n = task * ROWS; n < end; n++) {
        const lrk_store *px = lrk_rmsnorm_piece(x, n, C), *pdy = lrk_rmsnorm_piece(dy, n, C);
        lrk_store *pdx = lrk_rmsnorm_piece(dx, n, C);
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
    const size_t C = lrk_rmsnorm_width(j->call), first = task * COLUMNS, n = lrk_min(C - first, COLUMNS);
    double sum[COLUMNS] = {0};
    for (size_t t = 0; t < lrk_rmsnorm_pieces(j->call); t++) {
        const lrk_store *px = (const lrk_store *)lrk_rmsnorm_piece(x, t, C) + first;
        const lrk_store *pdy = (const lrk_store *)lrk_rmsnorm_piece(dy, t, C) + first;
        const lrk_real r = rstd[t];
#pragma omp simd
        for (size_t i = 0; i < n; i++) sum[i] += (double)(lrk_get(pdy, i) * (lrk_get(px, i) * r));
    }
    const bool fresh = j->call->fresh >> LRK_RMSNORM_W & 1;
    for (size_t i = 0; i < n; i++) lrk_accumulate(dw, first + i, sum[i], fresh);
}

void LRK_KERNEL(rmsnorm, bwd)(const lrk_call *c)
{
    job j = prepare(c);
    if (c->din[LRK_RMSNORM_X]) lrk_parallel(lrk_ceil_div(lrk_rmsnorm_pieces(c), ROWS), dx_rows, &j);
    if (c->din[LRK_RMSNORM_W]) lrk_parallel(lrk_ceil_div(lrk_rmsnorm_width(c), COLUMNS), dw_columns, &j);
}
