/* kernels/linear/linear_cpu.c -- dropout, and the gradient of a bias, around the products. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/dropout/rows.h"
#include "kernels/linear/products.h"
#include "kernels/real.h"

void LRK_KERNEL(linear, fwd)(const lrk_call *c);
void LRK_KERNEL(linear, bwd)(const lrk_call *c);

static void apply_mask(const lrk_call *c, const lrk_tensor *from, const lrk_tensor *to, bool add)
{
    const lrk_linear_attr *a = c->attr;
    lrk_dropout_rows((lrk_dropout_job){from, to, a->dropout, a->rng, false, add});
}

static void add_bias_gradient(const lrk_tensor *dy, const lrk_tensor *dbias, bool fresh)
{
    for (size_t o = 0; o < lrk_cols(dy); o++) {
        double sum = fresh ? 0.0 : (double)lrk_get(dbias->data, o);
        for (size_t t = 0; t < lrk_rows(dy); t++) sum += (double)lrk_get(lrk_row(dy, t), o);
        lrk_put(dbias->data, o, (lrk_real)sum);
    }
}

static const lrk_linear_steps steps = {apply_mask, add_bias_gradient, NULL};

void LRK_KERNEL(linear, fwd)(const lrk_call *c) { lrk_linear_forward(c, &steps); }

void LRK_KERNEL(linear, bwd)(const lrk_call *c) { lrk_linear_backward(c, &steps); }
