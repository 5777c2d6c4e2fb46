/* kernels/weight_norm/weight_norm.c -- shape rule, samples and record. */
#include "kernels/weight_norm/weight_norm.h"

#include "kernels/gemm.h"

LRK_DECLARE_KERNELS(weight_norm);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *w = c->in[LRK_WEIGHT_NORM_W], *a = c->in[LRK_WEIGHT_NORM_A];
    const lrk_tensor *b = c->in[LRK_WEIGHT_NORM_B];

    LRK_REQUIRE(err, w->rank == 2 && a->rank == 2 && b->rank == 2 && lrk_cols(a) == lrk_cols(w) &&
                         lrk_rows(b) == lrk_rows(w) && lrk_cols(b) == lrk_rows(a),
                LRK_ESHAPE,
                "weight_norm: adapter A (%zu, %zu), B (%zu, %zu) does not fit '%s' (%zu, %zu)",
                lrk_rows(a), lrk_cols(a), lrk_rows(b), lrk_cols(b), w->name, lrk_rows(w), lrk_cols(w));
    LRK_REQUIRE(err, a->dtype == b->dtype && a->dtype == (w->dtype == LRK_F64 ? LRK_F64 : LRK_F32),
                LRK_ESUPPORT, "weight_norm: the adapter of '%s' is %s, expected f32", w->name,
                lrk_dtype_name(a->dtype));
    LRK_REQUIRE(err, w->dtype == LRK_F64 || lrk_gemm_decodes(c->device, w->dtype), LRK_ESUPPORT,
                "weight_norm: weight '%s' is %s, which no kernel for %s reads", w->name,
                lrk_dtype_name(w->dtype), lrk_device_name(c->device));
    LRK_TRY(lrk_compute_of(a, "weight_norm", &p->compute, err));
    p->out[LRK_WEIGHT_NORM_NORM] = lrk_vec(a->dtype, lrk_rows(w));
    return LRK_OK;
}

static const lrk_weight_norm_attr half = {.scale = 0.5}, two = {.scale = 2.0};
#define FIXED(r, c) {.dim = {r, c}, .adapter = true, .frozen = true}
static const lrk_sample samples[] = {
    {.name = "one element", .in = {FIXED(1, 1), FIXED(1, 1), FIXED(1, 1)}, .attr = &half},
    {.name = "odd shape",
     .in = {FIXED(37, 33), FIXED(3, 33), FIXED(37, 3)},
     .attr = &two},
    {.name = "wide rows, several pieces",
     .in = {FIXED(19, 2312), FIXED(8, 2312), FIXED(19, 8)},
     .attr = &half},
};

const lrk_op lrk_op_weight_norm = {
    .name = "weight_norm",
    .n_in = 3,
    .n_out = 1,
    .infer = infer,
    LRK_FORWARD_KERNELS(weight_norm),
    LRK_SAMPLES(samples),
};
