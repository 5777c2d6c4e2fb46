/* kernels/layernorm/layernorm.c -- shape rule, samples and record. */
#include "kernels/layernorm/layernorm.h"

LRK_DECLARE_KERNELS(layernorm);

static lrk_status check_vector(const lrk_tensor *x, const lrk_tensor *v, lrk_err *err)
{
    LRK_REQUIRE(err, v->rank == 1 && lrk_cols(v) == lrk_cols(x), LRK_ESHAPE,
                "layernorm: '%s' has %zu elements, x '%s' has width %zu", v->name, lrk_count(v),
                x->name, lrk_cols(x));
    LRK_REQUIRE(err, v->dtype == x->dtype || (v->dtype == LRK_F32 && x->dtype == LRK_BF16),
                LRK_ESUPPORT, "layernorm: '%s' is %s, expected %s or f32", v->name,
                lrk_dtype_name(v->dtype), lrk_dtype_name(x->dtype));
    return LRK_OK;
}

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_LAYERNORM_X], *b = c->in[LRK_LAYERNORM_B];
    const lrk_layernorm_attr *a = c->attr;

    LRK_TRY(lrk_compute_of(x, "layernorm", &p->compute, err));
    LRK_TRY(check_vector(x, c->in[LRK_LAYERNORM_W], err));
    if (b) LRK_TRY(check_vector(x, b, err));
    LRK_REQUIRE(err, a->eps > 0.0, LRK_EVALUE, "layernorm: eps is %g, must be > 0", a->eps);
    p->out[LRK_LAYERNORM_Y] = lrk_like(x);
    p->saved[LRK_LAYERNORM_MEAN] = lrk_vec(lrk_acc(x->dtype), lrk_rows(x));
    p->saved[LRK_LAYERNORM_RSTD] = lrk_vec(lrk_acc(x->dtype), lrk_rows(x));
    p->forward_scratch = p->backward_scratch = 2 * lrk_row_bytes(lrk_acc(x->dtype), lrk_cols(x));
    return LRK_OK;
}

static const lrk_layernorm_attr tiny = {1e-5}, large = {1e-2};
static const lrk_sample samples[] = {
    {.name = "one pair", .in = {{{1, 2}}, {{2}}, {{2}}}, .attr = &large},
    {.name = "odd width, no bias", .in = {{{5, 123}}, {{123}}}, .attr = &tiny},
    {.name = "rank 3, eps not negligible", .in = {{{2, 3, 64}}, {{64}}, {{64}}}, .attr = &large},
    {.name = "more rows than one task, f32 weights",
     .in = {{{70, 33}}, {{33}, .adapter = true}, {{33}, .adapter = true}},
     .attr = &tiny},
};

const lrk_op lrk_op_layernorm = {
    .name = "layernorm",
    .n_in = 3,
    .n_out = 1,
    .n_saved = 2,
    .optional_in = 1u << LRK_LAYERNORM_B,
    .overwrites = true,
    .cheap = true,
    .needs_in = 1u << LRK_LAYERNORM_X | 1u << LRK_LAYERNORM_W,
    .infer = infer,
    LRK_KERNELS(layernorm),
    LRK_SAMPLES(samples),
};
