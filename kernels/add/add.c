/* kernels/add/add.c -- shape rule, samples and record. */
#include "kernels/add/add.h"

LRK_DECLARE_KERNELS(add);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_ADD_X], *d = c->in[LRK_ADD_D];

    LRK_TRY(lrk_compute_of(x, "add", &p->compute, err));
    LRK_REQUIRE(err, lrk_same_shape(x, d), LRK_ESHAPE,
                "add: x '%s' is (%zu, %zu), d '%s' is (%zu, %zu)", x->name, lrk_rows(x),
                lrk_cols(x), d->name, lrk_rows(d), lrk_cols(d));
    LRK_REQUIRE(err, x->dtype == d->dtype, LRK_ESUPPORT, "add: x '%s' is %s, d '%s' is %s", x->name,
                lrk_dtype_name(x->dtype), d->name, lrk_dtype_name(d->dtype));
    p->out[LRK_ADD_Y] = lrk_like(x);
    return LRK_OK;
}

static const lrk_sample samples[] = {
    {.name = "one element", .in = {{{1, 1}}, {{1, 1}}}},
    {.name = "odd shape, several tasks", .in = {{{67, 37}}, {{67, 37}}}},
    {.name = "rank 3", .in = {{{2, 3, 16}}, {{2, 3, 16}}}},
};

const lrk_op lrk_op_add = {
    .name = "add",
    .n_in = 2,
    .n_out = 1,
    .inplace = {1 + LRK_ADD_D}, /* x is the residual stream, which others still read */
    .passthrough = 1 << LRK_ADD_X | 1 << LRK_ADD_D,
    .overwrites = true,
    .infer = infer,
    LRK_KERNELS(add),
    LRK_SAMPLES(samples),
};
