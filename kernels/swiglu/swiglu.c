/* kernels/swiglu/swiglu.c -- shape rule, samples and record. */
#include "kernels/swiglu/swiglu.h"

LRK_DECLARE_KERNELS(swiglu);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *g = c->in[LRK_SWIGLU_G], *u = c->in[LRK_SWIGLU_U];
    const lrk_swiglu_attr *a = c->attr;

    LRK_TRY(lrk_compute_of(g, "swiglu", &p->compute, err));
    LRK_REQUIRE(err, !u || lrk_same_shape(g, u), LRK_ESHAPE,
                "swiglu: gate '%s' is (%zu, %zu), up '%s' is (%zu, %zu)", g->name, lrk_rows(g),
                lrk_cols(g), u->name, lrk_rows(u), lrk_cols(u));
    LRK_REQUIRE(err, !u || g->dtype == u->dtype, LRK_ESUPPORT,
                "swiglu: gate '%s' is %s, up '%s' is %s", g->name, lrk_dtype_name(g->dtype), u->name,
                lrk_dtype_name(u->dtype));
    LRK_REQUIRE(err, a->activation <= LRK_GELU_ERF, LRK_EVALUE, "swiglu: activation %d is unknown",
                (int)a->activation);
    p->out[LRK_SWIGLU_H] = lrk_like(g);
    return LRK_OK;
}

static const lrk_swiglu_attr silu = {LRK_SILU}, gelu_tanh = {LRK_GELU_TANH},
                             gelu_erf = {LRK_GELU_ERF};
static const lrk_sample samples[] = {
    {.name = "one element", .in = {{{1, 1}}, {{1, 1}}}, .attr = &silu},
    {.name = "silu, odd width", .in = {{{21, 43}}, {{21, 43}}}, .attr = &silu},
    {.name = "silu, large gates", .in = {{{3, 50}, .scale = 30.0}, {{3, 50}}}, .attr = &silu},
    {.name = "gelu_tanh", .in = {{{5, 40}}, {{5, 40}}}, .attr = &gelu_tanh},
    {.name = "more than one block", .in = {{{9, 712}}, {{9, 712}}}, .attr = &silu},
    {.name = "gelu_erf", .in = {{{5, 40}}, {{5, 40}}}, .attr = &gelu_erf},
    {.name = "no gate, odd width", .in = {{{21, 43}}}, .attr = &gelu_tanh},
};

const lrk_op lrk_op_swiglu = {
    .name = "swiglu",
    .n_in = 2,
    .n_out = 1,
    .optional_in = 1u << LRK_SWIGLU_U,
    .inplace = {1 + LRK_SWIGLU_G},
    .overwrites = true,
    .cheap = true,
    .needs_in = 1u << LRK_SWIGLU_G | 1u << LRK_SWIGLU_U,
    .infer = infer,
    LRK_KERNELS(swiglu),
    LRK_SAMPLES(samples),
};
