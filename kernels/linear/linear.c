/* kernels/linear/linear.c -- shape rule, samples and record. */
#include "kernels/linear/linear.h"

#include "base/size.h"
#include "kernels/gemm.h"
#include "kernels/linear/products.h"

LRK_DECLARE_KERNELS(linear);

static lrk_status check_type(const lrk_call *c, const lrk_tensor *t, lrk_err *err)
{
    const lrk_dtype compute = c->in[LRK_LINEAR_X]->dtype;
    LRK_REQUIRE(err, t->dtype == compute || t->dtype == lrk_acc(compute), LRK_ESUPPORT,
                "linear: the adapter of '%s' is %s, expected %s or the type of x", c->in[LRK_LINEAR_W]->name,
                lrk_dtype_name(t->dtype), lrk_dtype_name(lrk_acc(compute)));
    return LRK_OK;
}

/* B of weight i. */
static lrk_status check_b(const lrk_call *c, int i, lrk_err *err)
{
    const lrk_tensor *w = c->in[lrk_linear_w(i)], *a = c->in[LRK_LINEAR_A], *b = c->in[lrk_linear_b(i)];
    const bool only = !c->in[LRK_LINEAR_W2];
    LRK_REQUIRE(err, lrk_rows(b) == lrk_rows(w) && lrk_cols(a) == lrk_cols(w) && lrk_rows(a) > 0 &&
                         (only ? lrk_cols(b) == lrk_rows(a) : lrk_cols(b) <= lrk_rows(a)),
                LRK_ESHAPE, "linear: adapter A (%zu, %zu), B (%zu, %zu) does not fit '%s' (%zu, %zu)",
                lrk_rows(a), lrk_cols(a), lrk_rows(b), lrk_cols(b), w->name, lrk_rows(w),
                lrk_cols(w));
    return check_type(c, b, err);
}

static lrk_status check_adapter(const lrk_call *c, lrk_err *err)
{
    const lrk_tensor *w = c->in[LRK_LINEAR_W], *a = c->in[LRK_LINEAR_A];
    const lrk_linear_attr *attr = c->attr;
    size_t ranks = 0, adapted = 0;
    bool all = true; /* B have as many columns as A rows */
    for (int i = 0; i < LRK_LINEAR_WEIGHTS; i++) {
        const lrk_tensor *b = c->in[lrk_linear_b(i)];
        if (!b) continue;
        LRK_REQUIRE(err, a && c->in[lrk_linear_w(i)], LRK_ESHAPE, "linear: '%s' has one half of an adapter", w->name);
        LRK_TRY(check_b(c, i, err));
        ranks += lrk_cols(b);
        all = all && lrk_cols(b) == lrk_rows(a);
        adapted++;
    }
    LRK_REQUIRE(err, !a || adapted, LRK_ESHAPE, "linear: '%s' has one half of an adapter", w->name);
    if (!a) return LRK_OK;
    LRK_TRY(check_type(c, a, err));
    LRK_REQUIRE(err, all || ranks == lrk_rows(a), LRK_ESHAPE,
                "linear: A beside '%s' has %zu rows, expected those of %zu adapters, %zu", w->name, lrk_rows(a),
                adapted, ranks);
    LRK_REQUIRE(err, attr && attr->dropout >= 0.0 && attr->dropout < 1.0, LRK_EVALUE,
                "linear: dropout must be at least 0 and less than 1");
    LRK_REQUIRE(err, attr->dropout == 0.0 || attr->rng, LRK_EVALUE,
                "linear: dropout needs a random number generator");
    LRK_REQUIRE(err, attr->dropout == 0.0 || all, LRK_ESUPPORT,
                "linear: adapters of '%s' and its neighbours in one A have one mask; expected dropout 0", w->name);
    return LRK_OK;
}

static lrk_status check_weight(const lrk_call *c, int i, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_X], *w = c->in[lrk_linear_w(i)], *bias = c->in[lrk_linear_bias(i)];
    LRK_REQUIRE(err, w->rank == 2 && lrk_cols(w) == lrk_cols(x), LRK_ESHAPE,
                "linear: weight '%s' is (%zu, %zu), x '%s' has width %zu", w->name, lrk_rows(w),
                lrk_cols(w), x->name, lrk_cols(x));
    LRK_REQUIRE(err, lrk_gemm_decodes(c->device, w->dtype), LRK_ESUPPORT,
                "linear: weight '%s' is %s, which no kernel for %s reads", w->name,
                lrk_dtype_name(w->dtype), lrk_device_name(c->device));
    LRK_REQUIRE(err, !bias || lrk_count(bias) == lrk_rows(w), LRK_ESHAPE,
                "linear: bias of '%s' has %zu elements, expected %zu", w->name, lrk_count(bias),
                lrk_rows(w));
    LRK_REQUIRE(err, !bias || bias->dtype == x->dtype || (c->device == LRK_CPU && bias->dtype == lrk_acc(x->dtype)),
                LRK_ESUPPORT, "linear: bias of '%s' is %s, expected %s%s", w->name, lrk_dtype_name(bias->dtype),
                lrk_dtype_name(x->dtype), c->device == LRK_CPU && x->dtype == LRK_BF16 ? " or f32" : "");
    return LRK_OK;
}

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_X], *a = c->in[LRK_LINEAR_A];

    LRK_TRY(lrk_compute_of(x, "linear", &p->compute, err));
    for (int i = 0; i < LRK_LINEAR_WEIGHTS; i++) {
        if (!c->in[lrk_linear_w(i)]) continue;
        LRK_REQUIRE(err, !i || c->in[lrk_linear_w(i - 1)], LRK_ESHAPE, "linear: weight %d, '%s', without weight %d",
                    i + 1, c->in[lrk_linear_w(i)]->name, i);
        LRK_TRY(check_weight(c, i, err));
        p->out[LRK_LINEAR_Y + i] = lrk_mat(x->dtype, lrk_rows(x), lrk_rows(c->in[lrk_linear_w(i)]));
    }
    p->abreast = lrk_linear_abreast(c);
    LRK_TRY(check_adapter(c, err));
    if (a) p->saved[LRK_LINEAR_S] = lrk_mat(x->dtype, lrk_rows(x), lrk_rows(a));
    if (a) p->behind[LRK_LINEAR_S] = 1 + LRK_LINEAR_X;
    p->border = lrk_linear_border(c);
    lrk_linear_scratch(c, &p->forward_scratch, &p->backward_scratch);
    return LRK_OK;
}

static const lrk_rng mask = {.seed = 5, .site = LRK_SITE_TEST};
static const lrk_linear_attr plain = {.scale = 1.0}, scaled = {.scale = 0.5},
                             dropped = {.scale = 2.0, .dropout = 0.25, .rng = &mask};
#define ADAPTER(r, c) {.dim = {r, c}, .adapter = true}
#define SHADOW(r, c) {.dim = {r, c}, .adapter = true, .shadow = true}
#define BIAS_BELOW(n, above) {.dim = {n}, .frozen = true, .below = 1 + (above)}
static const lrk_sample samples[] = {
    {.name = "one element", .in = {{{1, 1}}, {{1, 1}}}, .attr = &plain},
    {.name = "no adapter, odd shape, bias", .in = {{{5, 7}}, {{3, 7}}, {{3}}}, .attr = &plain},
    {.name = "adapter",
     .in = {{{9, 12}}, {{10, 12}}, {{0}}, ADAPTER(4, 12), ADAPTER(10, 4)},
     .attr = &scaled},
    {.name = "adapter, bias, rank 1",
     .in = {{{17, 33}}, {{31, 33}}, {{31}}, ADAPTER(1, 33), ADAPTER(31, 1)},
     .attr = &scaled},
    {.name = "adapter with dropout",
     .in = {{{8, 40}}, {{24, 40}}, {{0}}, ADAPTER(8, 40), ADAPTER(24, 8)},
     .attr = &dropped},
    {.name = "frozen weight, as in training",
     .in = {{{64, 96}}, {{80, 96}, .frozen = true}, {{0}}, ADAPTER(16, 96), ADAPTER(80, 16)},
     .attr = &scaled},
    {.name = "adapter in the compute type",
     .in = {{{64, 96}}, {{80, 96}, .frozen = true}, {{80}, .frozen = true}, SHADOW(16, 96), SHADOW(80, 16)},
     .attr = &dropped},
    {.name = "adapter in the compute type, more rows than a block",
     .in = {{{330, 16}}, {{272, 16}, .frozen = true}, {{0}}, SHADOW(16, 16), SHADOW(272, 16)},
     .attr = &scaled},
    {.name = "two weights, one without adapter",
     .in = {{{7, 12}}, {{10, 12}}, {{0}}, ADAPTER(3, 12), {{0}}, {{5, 12}}, {{5}}, ADAPTER(5, 3)},
     .attr = &scaled},
    {.name = "three weights, as in training",
     .in = {{{40, 48}}, {{48, 48}, .frozen = true}, {{48}, .frozen = true}, SHADOW(32, 48), SHADOW(48, 16),
            {{16, 48}, .frozen = true}, {{0}}, SHADOW(16, 8), {{16, 48}, .frozen = true}, {{0}}, SHADOW(16, 8)},
     .attr = &scaled},
    {.name = "three weights, one below the other",
     .in = {{{40, 48}}, {{48, 48}, .frozen = true}, {{48}, .frozen = true}, SHADOW(32, 48), SHADOW(48, 16),
            {{16, 48}, .frozen = true, .below = 1 + LRK_LINEAR_W}, BIAS_BELOW(16, LRK_LINEAR_BIAS), SHADOW(16, 8),
            {{16, 48}, .frozen = true, .below = 1 + LRK_LINEAR_W2}, BIAS_BELOW(16, LRK_LINEAR_BIAS2), SHADOW(16, 8)},
     .attr = &scaled},
    {.name = "two weights, one below the other, the second with an adapter",
     .in = {{{40, 48}}, {{16, 48}, .frozen = true}, {{0}}, SHADOW(8, 48), {{0}},
            {{24, 48}, .frozen = true, .below = 1 + LRK_LINEAR_W}, {{0}}, SHADOW(24, 8)},
     .attr = &scaled},
    {.name = "two of three weights one below the other",
     .in = {{{9, 24}}, {{16, 24}}, {{0}}, ADAPTER(4, 24), {{0}}, {{8, 24}, .below = 1 + LRK_LINEAR_W}, {{0}},
            ADAPTER(8, 4), {{24, 24}}, {{24}}, ADAPTER(24, 4)},
     .attr = &dropped},
    {.name = "three weights, one A, dropout",
     .in = {{{9, 12}}, {{10, 12}}, {{0}}, ADAPTER(4, 12), ADAPTER(10, 4), {{5, 12}}, {{0}}, ADAPTER(5, 4),
            {{6, 12}}, {{0}}, ADAPTER(6, 4)},
     .attr = &dropped},
};

const lrk_op lrk_op_linear = {
    .name = "linear",
    .n_in = LRK_LINEAR_INS,
    .n_out = LRK_LINEAR_WEIGHTS,
    .n_saved = 1,
    .optional_in = ~(1u << LRK_LINEAR_X | 1u << LRK_LINEAR_W),
    .overwrites = true,
    .needs_in = ~(1u << LRK_LINEAR_BIAS | 1u << LRK_LINEAR_BIAS2 | 1u << LRK_LINEAR_BIAS3),
    .infer = infer,
    LRK_KERNELS(linear),
    LRK_SAMPLES(samples),
};
