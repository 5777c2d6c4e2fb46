/* kernels/dropout/dropout.c -- shape rule, samples and record. */
#include "kernels/dropout/dropout.h"

LRK_DECLARE_KERNELS(dropout);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_DROPOUT_X];
    const lrk_dropout_attr *a = c->attr;

    LRK_TRY(lrk_compute_of(x, "dropout", &p->compute, err));
    LRK_REQUIRE(err, a->p >= 0.0 && a->p < 1.0, LRK_EVALUE,
                "dropout: p is %g, expected at least 0 and less than 1", a->p);
    LRK_REQUIRE(err, a->rng, LRK_EVALUE, "dropout: a random number generator is needed");
    p->out[LRK_DROPOUT_Y] = lrk_like(x);
    return LRK_OK;
}

static const lrk_rng mask = {.seed = 5, .site = LRK_SITE_TEST};
static const lrk_dropout_attr quarter = {.p = 0.25, .rng = &mask}, rest = {.p = 0.25, .rng = &mask, .rest = true};
static const lrk_sample samples[] = {
    {.name = "one element", .in = {{{1, 1}}}, .attr = &quarter},
    {.name = "odd shape, several tasks", .in = {{{67, 37}}}, .attr = &quarter},
    {.name = "the rest, whole chunks", .in = {{{40, 64}}}, .attr = &rest},
};

const lrk_op lrk_op_dropout = {
    .name = "dropout",
    .n_in = 1,
    .n_out = 1,
    .overwrites = true,
    .cheap = true,
    .infer = infer,
    LRK_KERNELS(dropout),
    LRK_SAMPLES(samples),
};
