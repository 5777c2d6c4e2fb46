/* kernels/token_logits/token_logits.c -- shape rule, samples and record. */
#include "kernels/token_logits/token_logits.h"

LRK_DECLARE_KERNELS(token_logits);

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_TOKEN_LOGITS_X], *r = c->in[LRK_TOKEN_LOGITS_R];
    const lrk_tensor *index = c->in[LRK_TOKEN_LOGITS_INDEX];

    LRK_TRY(lrk_compute_of(x, "token_logits", &p->compute, err));
    LRK_REQUIRE(err, r->dtype == x->dtype && lrk_rows(r) == lrk_rows(x), LRK_ESHAPE,
                "token_logits: '%s' has %zu rows of %s, x '%s' has %zu of %s", r->name, lrk_rows(r),
                lrk_dtype_name(r->dtype), x->name, lrk_rows(x), lrk_dtype_name(x->dtype));
    LRK_REQUIRE(err, index->dtype == LRK_I32 && lrk_count(index) == lrk_cols(r), LRK_ESHAPE,
                "token_logits: %zu tokens of type %s, expected %zu of type i32", lrk_count(index),
                lrk_dtype_name(index->dtype), lrk_cols(r));
    p->out[LRK_TOKEN_LOGITS_Y] = lrk_like(x);
    return LRK_OK;
}

static const int32_t one[] = {0}, some[] = {0, 7, 36}, many[] = {1, 2, 3, 50, 63};
#define FIXED(r, c) {.dim = {r, c}, .frozen = true}
#define INDEX(list) {.dim = {sizeof(list) / sizeof *(list)}, .fill = LRK_FILL_DATA, .data = (list)}
static const lrk_sample samples[] = {
    {.name = "one element", .in = {FIXED(1, 1), FIXED(1, 1), INDEX(one)}},
    {.name = "odd shape, first and last", .in = {FIXED(9, 37), FIXED(9, 3), INDEX(some)}},
    {.name = "more rows than a task", .in = {FIXED(70, 64), FIXED(70, 5), INDEX(many)}},
};

const lrk_op lrk_op_token_logits = {
    .name = "token_logits",
    .n_in = 3,
    .n_out = 1,
    .inplace = {1 + LRK_TOKEN_LOGITS_X},
    .infer = infer,
    LRK_FORWARD_KERNELS(token_logits),
    LRK_SAMPLES(samples),
};
