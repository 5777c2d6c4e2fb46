/* kernels/softcap/softcap.c -- shape rule, samples and record. */
#include "kernels/softcap/softcap.h"

#include <math.h>

LRK_DECLARE_KERNELS(softcap);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_SOFTCAP_X];
    const lrk_softcap_attr *a = c->attr;

    LRK_TRY(lrk_compute_of(x, "softcap", &p->compute, err));
    LRK_REQUIRE(err, isfinite(a->cap) && a->cap > 0.0, LRK_EVALUE,
                "softcap: cap is %g, must be above 0", a->cap);
    p->out[LRK_SOFTCAP_Y] = lrk_like(x);
    return LRK_OK;
}

static const lrk_softcap_attr low = {0.5}, high = {30.0};
static const lrk_sample samples[] = {
    {.name = "one element", .in = {{{1, 1}}}, .attr = &low},
    {.name = "odd shape, several tasks", .in = {{{67, 37}}}, .attr = &low},
    {.name = "high cap", .in = {{{9, 50}, .scale = 40.0}}, .attr = &high},
};

const lrk_op lrk_op_softcap = {
    .name = "softcap",
    .n_in = 1,
    .n_out = 1,
    .overwrites = true,
    .needs_out = 1u << LRK_SOFTCAP_Y,
    .infer = infer,
    LRK_KERNELS(softcap),
    LRK_SAMPLES(samples),
};
