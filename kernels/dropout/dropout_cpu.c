/* kernels/dropout/dropout_cpu.c -- the mask over values, then over gradients. */
#include "kernels/dropout/dropout.h"
#include "kernels/dropout/rows.h"

void LRK_KERNEL(dropout, fwd)(const lrk_call *c);
void LRK_KERNEL(dropout, bwd)(const lrk_call *c);

static void multiply(const lrk_call *c, const lrk_tensor *from, const lrk_tensor *to, bool add)
{
    const lrk_dropout_attr *a = c->attr;
    lrk_dropout_rows((lrk_dropout_job){from, to, a->p, a->rng, a->rest, add});
}

void LRK_KERNEL(dropout, fwd)(const lrk_call *c)
{
    multiply(c, c->in[LRK_DROPOUT_X], c->out[LRK_DROPOUT_Y], false);
}

void LRK_KERNEL(dropout, bwd)(const lrk_call *c)
{
    if (!c->din[LRK_DROPOUT_X]) return;
    multiply(c, c->dout[LRK_DROPOUT_Y], c->din[LRK_DROPOUT_X], !(c->fresh >> LRK_DROPOUT_X & 1));
}
