/* kernels/dora/dora.c -- shape rule, samples and record. */
#include "kernels/dora/dora.h"

LRK_DECLARE_KERNELS(dora);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *u = c->in[LRK_DORA_U];

    LRK_TRY(lrk_compute_of(u, "dora", &p->compute, err));
    for (int i = LRK_DORA_M; i <= LRK_DORA_BIAS; i++) {
        const lrk_tensor *v = c->in[i];
        LRK_REQUIRE(err, !v || (v->rank == 1 && lrk_count(v) == lrk_cols(u)), LRK_ESHAPE,
                    "dora: vector '%s' has %zu elements, '%s' has width %zu", v->name, lrk_count(v),
                    u->name, lrk_cols(u));
        LRK_REQUIRE(err, !v || v->dtype == lrk_acc(u->dtype), LRK_ESUPPORT,
                    "dora: vector '%s' is %s, expected %s", v->name, lrk_dtype_name(v->dtype),
                    lrk_dtype_name(lrk_acc(u->dtype)));
    }
    LRK_REQUIRE(err, !c->din[LRK_DORA_NORM] && !c->din[LRK_DORA_BIAS], LRK_ESUPPORT,
                "dora: norm and bias are constants: no gradient");
    p->out[LRK_DORA_Y] = lrk_mat(u->dtype, lrk_rows(u), lrk_cols(u));
    return LRK_OK;
}

#define FIXED(n) {.dim = {n}, .adapter = true, .frozen = true}
#define MAGNITUDE(n) {.dim = {n}, .adapter = true}
static const lrk_sample samples[] = {
    {.name = "one element", .in = {{{1, 1}}, MAGNITUDE(1), FIXED(1)}},
    {.name = "odd shape, bias, several tasks",
     .in = {{{67, 77}}, MAGNITUDE(77), FIXED(77), FIXED(77)}},
    {.name = "whole packs", .in = {{{40, 72}}, MAGNITUDE(72), FIXED(72), FIXED(72)}},
    {.name = "magnitude alone is trained",
     .in = {{{9, 16}, .frozen = true}, MAGNITUDE(16), FIXED(16)}},
};

const lrk_op lrk_op_dora = {
    .name = "dora",
    .n_in = 4,
    .n_out = 1,
    .optional_in = 1u << LRK_DORA_BIAS,
    .overwrites = true,
    .needs_in = 1u << LRK_DORA_U | 1u << LRK_DORA_M | 1u << LRK_DORA_NORM,
    .infer = infer,
    LRK_KERNELS(dora),
    LRK_SAMPLES(samples),
};
