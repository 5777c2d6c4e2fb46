/* kernels/softcap/softcap_cpu.c -- a task is a range of rows. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/real.h"
#include "kernels/softcap/softcap.h"

void LRK_KERNEL(softcap, fwd)(const lrk_call *c);
void LRK_KERNEL(softcap, bwd)(const lrk_call *c);

enum { ROWS = 32 };

static void forward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *x = c->in[LRK_SOFTCAP_X], *y = c->out[LRK_SOFTCAP_Y];
    const lrk_softcap_attr *a = c->attr;
    const size_t C = lrk_cols(x), end = lrk_min(lrk_rows(x), (task + 1) * ROWS);
    for (size_t n = task * ROWS; n < end; n++) {
        const lrk_store *px = lrk_row(x, n);
        lrk_store *py = lrk_row(y, n);
        for (size_t i = 0; i < C; i++)
            lrk_put(py, i, (lrk_real)(a->cap * tanh((double)lrk_get(px, i) / a->cap)));
    }
}

void LRK_KERNEL(softcap, fwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->in[LRK_SOFTCAP_X]), ROWS), forward_rows, &c);
}

static void backward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *y = c->out[LRK_SOFTCAP_Y], *dy = c->dout[LRK_SOFTCAP_Y], *dx = c->din[LRK_SOFTCAP_X];
    const lrk_softcap_attr *a = c->attr;
    const lrk_real slope = (lrk_real)(1.0 / a->cap);
    const bool add = !(c->fresh >> LRK_SOFTCAP_X & 1);
    const size_t C = lrk_cols(dy), end = lrk_min(lrk_rows(dy), (task + 1) * ROWS);
    for (size_t n = task * ROWS; n < end; n++) {
        const lrk_store *py = lrk_row(y, n), *pdy = lrk_row(dy, n);
        lrk_store *pdx = lrk_row(dx, n);
        for (size_t i = 0; i < C; i++) {
            const lrk_real t = lrk_get(py, i) * slope, v = lrk_get(pdy, i) * (1 - t * t);
            lrk_put(pdx, i, add ? lrk_get(pdx, i) + v : v);
        }
    }
}

void LRK_KERNEL(softcap, bwd)(const lrk_call *c)
{
    if (!c->din[LRK_SOFTCAP_X]) return;
    lrk_parallel(lrk_ceil_div(lrk_rows(c->dout[LRK_SOFTCAP_Y]), ROWS), backward_rows, &c);
}
