/* kernels/scale/scale_cpu.c -- a task is a range of rows. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/real.h"
#include "kernels/scale/scale.h"

void LRK_KERNEL(scale, fwd)(const lrk_call *c);
void LRK_KERNEL(scale, bwd)(const lrk_call *c);

enum { ROWS = 32 };

static void forward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *x = c->in[LRK_SCALE_X], *y = c->out[LRK_SCALE_Y];
    const lrk_scale_attr *a = c->attr;
    const lrk_real scale = (lrk_real)a->scale;
    const size_t C = lrk_cols(x), end = lrk_min(lrk_rows(x), (task + 1) * ROWS);
    for (size_t n = task * ROWS; n < end; n++) {
        const lrk_store *px = lrk_row(x, n);
        lrk_store *py = lrk_row(y, n);
#pragma omp simd
        for (size_t i = 0; i < C; i++) lrk_put(py, i, scale * lrk_get(px, i));
    }
}

void LRK_KERNEL(scale, fwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->in[LRK_SCALE_X]), ROWS), forward_rows, &c);
}

static void backward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *dy = c->dout[LRK_SCALE_Y], *dx = c->din[LRK_SCALE_X];
    const lrk_scale_attr *a = c->attr;
    const lrk_real scale = (lrk_real)a->scale;
    const bool add = dx->data != dy->data && !(c->fresh >> LRK_SCALE_X & 1);
    const size_t C = lrk_cols(dy), end = lrk_min(lrk_rows(dy), (task + 1) * ROWS);
    for (size_t n = task * ROWS; n < end; n++) {
        const lrk_store *pdy = lrk_row(dy, n);
        lrk_store *pdx = lrk_row(dx, n);
        for (size_t i = 0; i < C; i++) {
            const lrk_real v = scale * lrk_get(pdy, i);
            lrk_put(pdx, i, add ? lrk_get(pdx, i) + v : v);
        }
    }
}

void LRK_KERNEL(scale, bwd)(const lrk_call *c)
{
    if (!c->din[LRK_SCALE_X]) return;
    lrk_parallel(lrk_ceil_div(lrk_rows(c->dout[LRK_SCALE_Y]), ROWS), backward_rows, &c);
}
