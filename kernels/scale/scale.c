/* kernels/scale/scale.c -- shape rule, samples and record. */
#include "kernels/scale/scale.h"

#include <math.h>

LRK_DECLARE_KERNELS(scale);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_SCALE_X];
    const lrk_scale_attr *a = c->attr;

    LRK_TRY(lrk_compute_of(x, "scale", &p->compute, err));
    LRK_REQUIRE(err, isfinite(a->scale), LRK_EVALUE, "scale: scale is %g", a->scale);
    p->out[LRK_SCALE_Y] = lrk_like(x);
    return LRK_OK;
}

static const lrk_scale_attr half = {.scale = 0.5}, negative = {.scale = -3.0};
static const lrk_sample samples[] = {
    {.name = "one element", .in = {{{1, 1}}}, .attr = &half},
    {.name = "odd shape, several tasks", .in = {{{67, 37}}}, .attr = &negative},
};

const lrk_op lrk_op_scale = {
    .name = "scale",
    .n_in = 1,
    .n_out = 1,
    .inplace = {1 + LRK_SCALE_X},
    .overwrites = true,
    .infer = infer,
    LRK_KERNELS(scale),
    LRK_SAMPLES(samples),
};
