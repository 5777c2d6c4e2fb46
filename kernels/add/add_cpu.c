/* kernels/add/add_cpu.c -- a task is a range of rows. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/add/add.h"
#include "kernels/real.h"

void LRK_KERNEL(add, fwd)(const lrk_call *c);
void LRK_KERNEL(add, bwd)(const lrk_call *c);

enum { ROWS = 32 };

static void forward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *x = c->in[LRK_ADD_X], *d = c->in[LRK_ADD_D], *y = c->out[LRK_ADD_Y];
    const size_t C = lrk_cols(x), end = lrk_min(lrk_rows(x), (task + 1) * ROWS);
    for (size_t n = task * ROWS; n < end; n++) {
        const lrk_store *px = lrk_row(x, n), *pd = lrk_row(d, n);
        lrk_store *py = lrk_row(y, n);
#pragma omp simd
        for (size_t i = 0; i < C; i++) lrk_put(py, i, lrk_get(px, i) + lrk_get(pd, i));
    }
}

void LRK_KERNEL(add, fwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->in[LRK_ADD_X]), ROWS), forward_rows, &c);
}

void LRK_KERNEL(add, bwd)(const lrk_call *c)
{
    const lrk_tensor *dy = c->dout[LRK_ADD_Y];
    for (unsigned k = LRK_ADD_X; k <= LRK_ADD_D; k++) {
        const lrk_tensor *d = c->din[k];
        const bool fresh = c->fresh >> k & 1;
        if (!d || d->data == dy->data) continue; /* handed on where it lies */
        for (size_t n = 0; n < lrk_rows(dy); n++) {
            const lrk_store *from = lrk_row(dy, n);
            lrk_store *to = lrk_row(d, n);
            for (size_t i = 0; i < lrk_cols(dy); i++)
                lrk_put(to, i, lrk_get(from, i) + (fresh ? 0 : lrk_get(to, i)));
        }
    }
}
