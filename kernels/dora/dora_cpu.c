/* kernels/dora/dora_cpu.c -- results and dU: a task is a range of rows; dM: of columns. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/dora/dora.h"
#include "kernels/real.h"

void LRK_KERNEL(dora, fwd)(const lrk_call *c);
void LRK_KERNEL(dora, bwd)(const lrk_call *c);

enum { ROWS = 32, COLUMNS = 64 };

static void forward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *u = c->in[LRK_DORA_U];
    const lrk_real *m = c->in[LRK_DORA_M]->data, *norm = c->in[LRK_DORA_NORM]->data;
    const lrk_real *bias = c->in[LRK_DORA_BIAS] ? c->in[LRK_DORA_BIAS]->data : NULL;
    const size_t end = lrk_min(lrk_rows(u), (task + 1) * ROWS);
    for (size_t t = task * ROWS; t < end; t++) {
        const lrk_store *pu = lrk_row(u, t);
        lrk_store *py = lrk_row(c->out[LRK_DORA_Y], t);
        for (size_t o = 0; o < lrk_cols(u); o++) {
            const lrk_real y = m[o] / norm[o] * lrk_get(pu, o);
            lrk_put(py, o, bias ? y + bias[o] : y);
        }
    }
}

void LRK_KERNEL(dora, fwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->in[LRK_DORA_U]), ROWS), forward_rows, &c);
}

static void backward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *dy = c->dout[LRK_DORA_Y];
    const lrk_real *m = c->in[LRK_DORA_M]->data, *norm = c->in[LRK_DORA_NORM]->data;
    const bool fresh = c->fresh >> LRK_DORA_U & 1;
    const size_t end = lrk_min(lrk_rows(dy), (task + 1) * ROWS);
    for (size_t t = task * ROWS; t < end; t++) {
        const lrk_store *pdy = lrk_row(dy, t);
        lrk_store *pdu = lrk_row(c->din[LRK_DORA_U], t);
        for (size_t o = 0; o < lrk_cols(dy); o++) {
            const lrk_real v = m[o] / norm[o] * lrk_get(pdy, o);
            lrk_put(pdu, o, fresh ? v : lrk_get(pdu, o) + v);
        }
    }
}

static void backward_columns(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *u = c->in[LRK_DORA_U], *dy = c->dout[LRK_DORA_Y];
    const lrk_real *norm = c->in[LRK_DORA_NORM]->data;
    lrk_real *dm = c->din[LRK_DORA_M]->data;
    const bool fresh = c->fresh >> LRK_DORA_M & 1;
    const size_t first = task * COLUMNS, n = lrk_min(lrk_cols(u) - first, COLUMNS);
    double sum[COLUMNS] = {0.0};
    for (size_t t = 0; t < lrk_rows(u); t++) {
        const lrk_store *pu = (const lrk_store *)lrk_row(u, t) + first;
        const lrk_store *pdy = (const lrk_store *)lrk_row(dy, t) + first;
        for (size_t o = 0; o < n; o++) sum[o] += (double)lrk_get(pu, o) * (double)lrk_get(pdy, o);
    }
    for (size_t o = first; o < first + n; o++) {
        const double v = sum[o - first] / (double)norm[o];
        dm[o] = (lrk_real)(fresh ? v : (double)dm[o] + v);
    }
}

void LRK_KERNEL(dora, bwd)(const lrk_call *c)
{
    const lrk_tensor *dy = c->dout[LRK_DORA_Y];
    if (c->din[LRK_DORA_U]) lrk_parallel(lrk_ceil_div(lrk_rows(dy), ROWS), backward_rows, &c);
    if (c->din[LRK_DORA_M]) lrk_parallel(lrk_ceil_div(lrk_cols(dy), COLUMNS), backward_columns, &c);
}
