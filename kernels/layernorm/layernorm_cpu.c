/* kernels/layernorm/layernorm_cpu.c -- a task is a range of rows; for dw and db, a range of columns. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/layernorm/layernorm.h"
#include "kernels/real.h"

void LRK_KERNEL(layernorm, fwd)(const lrk_call *c);
void LRK_KERNEL(layernorm, bwd)(const lrk_call *c);

enum { ROWS = 32, COLUMNS = 64 };

typedef struct job {
    const lrk_call *call;
    const lrk_real *w, *b; /* (C), converted once; b NULL: none */
} job;

static job prepare(const lrk_call *c)
{
    const lrk_tensor *b = c->in[LRK_LAYERNORM_B];
    lrk_real *room = c->scratch;
    job j = {.call = c, .w = lrk_load_row(c->in[LRK_LAYERNORM_W], 0, room)};
    if (b) j.b = lrk_load_row(b, 0, room + lrk_cols(b));
    return j;
}

static void forward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_tensor *x = j->call->in[LRK_LAYERNORM_X], *y = j->call->out[LRK_LAYERNORM_Y];
    const lrk_tensor *mean = j->call->saved[LRK_LAYERNORM_MEAN];
    const lrk_tensor *rstd = j->call->saved[LRK_LAYERNORM_RSTD];
    const lrk_layernorm_attr *attr = j->call->attr;
    const size_t C = lrk_cols(x), end = lrk_min(lrk_rows(x), (task + 1) * ROWS);
    for (size_t n = task * ROWS; n < end; n++) {
        const lrk_store *px = lrk_row(x, n);
        lrk_store *py = lrk_row(y, n);
        double sum = 0.0, square = 0.0;
#pragma omp simd reduction(+ : sum)
        for (size_t i = 0; i < C; i++) sum += (double)lrk_get(px, i);
        const double m = sum / (double)C;
#pragma omp simd reduction(+ : square)
        for (size_t i = 0; i < C; i++)
            square += ((double)lrk_get(px, i) - m) * ((double)lrk_get(px, i) - m);
        const lrk_real r = (lrk_real)(1.0 / sqrt(square / (double)C + attr->eps)), mr = (lrk_real)m;
        if (mean) ((lrk_real *)mean->data)[n] = mr;
        if (rstd) ((lrk_real *)rstd->data)[n] = r;
        for (size_t i = 0; i < C; i++)
            lrk_put(py, i, (lrk_get(px, i) - mr) * r * j->w[i] + (j->b ? j->b[i] : 0));
    }
}

void LRK_KERNEL(layernorm, fwd)(const lrk_call *c)
{
    job j = prepare(c);
    lrk_parallel(lrk_ceil_div(lrk_rows(c->in[LRK_LAYERNORM_X]), ROWS), forward_rows, &j);
}

static void dx_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_tensor *x = j->call->in[LRK_LAYERNORM_X], *dy = j->call->dout[LRK_LAYERNORM_Y];
    const lrk_tensor *dx = j->call->din[LRK_LAYERNORM_X];
    const lrk_real *mean = j->call->saved[LRK_LAYERNORM_MEAN]->data;
    const lrk_real *rstd = j->call->saved[LRK_LAYERNORM_RSTD]->data, *w = j->w;
    const bool fresh = j->call->fresh >> LRK_LAYERNORM_X & 1;
    const size_t C = lrk_cols(x), end = lrk_min(lrk_rows(x), (task + 1) * ROWS);
    for (size_t n = task * ROWS; n < end; n++) {
        const lrk_store *px = lrk_row(x, n), *pdy = lrk_row(dy, n);
        lrk_store *pdx = lrk_row(dx, n);
        const lrk_real m = mean[n], r = rstd[n];
        double g = 0.0, gz = 0.0;
#pragma omp simd reduction(+ : g, gz)
        for (size_t i = 0; i < C; i++) {
            g += (double)(lrk_get(pdy, i) * w[i]);
            gz += (double)(lrk_get(pdy, i) * w[i]) * (double)((lrk_get(px, i) - m) * r);
        }
        const lrk_real a = (lrk_real)(g / (double)C), b = (lrk_real)(gz / (double)C);
        for (size_t i = 0; i < C; i++) {
            const lrk_real z = (lrk_get(px, i) - m) * r, v = r * (lrk_get(pdy, i) * w[i] - a - z * b);
            lrk_put(pdx, i, fresh ? v : lrk_get(pdx, i) + v);
        }
    }
}

/* The sums over rows run from first to last in f64, so bits do not depend on who takes the task. */
static void dw_columns(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_call *c = j->call;
    const lrk_tensor *x = c->in[LRK_LAYERNORM_X], *dy = c->dout[LRK_LAYERNORM_Y];
    const lrk_real *mean = c->saved[LRK_LAYERNORM_MEAN]->data, *rstd = c->saved[LRK_LAYERNORM_RSTD]->data;
    const size_t first = task * COLUMNS, n = lrk_min(lrk_cols(x) - first, COLUMNS);
    double dw[COLUMNS] = {0}, db[COLUMNS] = {0};
    for (size_t t = 0; t < lrk_rows(x); t++) {
        const lrk_store *px = (const lrk_store *)lrk_row(x, t) + first;
        const lrk_store *pdy = (const lrk_store *)lrk_row(dy, t) + first;
#pragma omp simd
        for (size_t i = 0; i < n; i++) {
            dw[i] += (double)(lrk_get(pdy, i) * ((lrk_get(px, i) - mean[t]) * rstd[t]));
            db[i] += (double)lrk_get(pdy, i);
        }
    }
    for (unsigned k = LRK_LAYERNORM_W; k <= LRK_LAYERNORM_B; k++) {
        const double *sum = k == LRK_LAYERNORM_W ? dw : db;
        if (!c->din[k]) continue;
        for (size_t i = 0; i < n; i++)
            lrk_accumulate(c->din[k], first + i, sum[i], c->fresh >> k & 1);
    }
}

void LRK_KERNEL(layernorm, bwd)(const lrk_call *c)
{
    job j = prepare(c);
    const lrk_tensor *x = c->in[LRK_LAYERNORM_X];
    if (c->din[LRK_LAYERNORM_X]) lrk_parallel(lrk_ceil_div(lrk_rows(x), ROWS), dx_rows, &j);
    if (c->din[LRK_LAYERNORM_W] || c->din[LRK_LAYERNORM_B])
        lrk_parallel(lrk_ceil_div(lrk_cols(x), COLUMNS), dw_columns, &j);
}
