/* kernels/experts/experts.c -- shape rule, workspace, samples and record. */
#include "kernels/experts/experts.h"

#include "base/size.h"
#include "kernels/experts/cuda.h"
#include "kernels/experts/layout.h"
#include "kernels/gemm.h"

#include <math.h>

LRK_DECLARE_KERNELS(experts);

/* Which input holds a matrix: the fused adapter is that of the gate. */
static int input_of(const lrk_experts_attr *a, int which)
{
    const bool up = which == LRK_EXPERTS_UP_A || which == LRK_EXPERTS_UP_B;
    return a->fused && up ? which - 2 : which;
}

/* What a stack has for expert e. */
static lrk_tensor part_of(const lrk_experts_attr *a, const lrk_tensor *stack, int which, size_t e)
{
    lrk_tensor view = *stack;
    const bool half = a->fused && (which == LRK_EXPERTS_GATE_B || which == LRK_EXPERTS_UP_B);
    const size_t rows = lrk_rows(stack) / a->experts, n = half ? rows / 2 : rows;
    view.rank = 2;
    view.dim[0] = n;
    view.dim[1] = lrk_cols(stack);
    if (stack->data) view.data = lrk_row(stack, e * rows + (which == LRK_EXPERTS_UP_B ? rows - n : 0));
    return view;
}

lrk_tensor lrk_experts_matrix(const lrk_call *c, int which, size_t e)
{
    const lrk_experts_attr *a = c->attr;
    const lrk_tensor *stack = c->in[input_of(a, which)];
    if (!stack)
        return (which == LRK_EXPERTS_GATE ? a->gate : which == LRK_EXPERTS_UP ? a->up : a->down)[e];
    return part_of(a, stack, which, e);
}

lrk_tensor lrk_experts_gradient(const lrk_call *c, int which, size_t e)
{
    const lrk_tensor *stack = c->din[input_of(c->attr, which)];
    return stack ? part_of(c->attr, stack, which, e) : (lrk_tensor){0};
}

size_t lrk_experts_rank(const lrk_call *c, int which)
{
    const lrk_experts_attr *a = c->attr;
    const lrk_tensor *stack = c->in[input_of(a, lrk_experts_a_of(which))];
    return stack ? lrk_rows(stack) / a->experts : 0;
}

double lrk_experts_scale(const lrk_call *c, int which)
{
    const lrk_experts_attr *a = c->attr;
    return a->scale[a->fused && which == LRK_EXPERTS_UP ? 0 : which - LRK_EXPERTS_GATE];
}

size_t lrk_experts_most_rank(const lrk_call *c)
{
    size_t most = 0;
    for (int which = LRK_EXPERTS_GATE; which <= LRK_EXPERTS_DOWN; which++)
        most = lrk_max(most, lrk_experts_rank(c, which));
    return most;
}

static size_t put(size_t *at, size_t bytes)
{
    const size_t here = *at;
    *at += lrk_aligned(bytes, LRK_ALIGN);
    return here;
}

/* Workspace of a product of `rows` rows with a matrix, or of the gradient of one that belongs to an adapter. */
static size_t scratch_of(const lrk_call *c, size_t rows, const lrk_tensor *w, bool backward)
{
    const lrk_dtype t = c->in[LRK_EXPERTS_X]->dtype;
    const size_t out = lrk_rows(w), in = lrk_cols(w);
    const lrk_gemm g = {.device = c->device, .m = rows, .n = backward ? in : out,
                        .k = backward ? out : in,
                        .a = {.dtype = t, .stride = backward ? out : in},
                        .b = {.dtype = w->dtype, .stride = w->stride, .transposed = !backward},
                        .c_dtype = t, .c_stride = backward ? in : out, .alpha = 1.0};
    return lrk_gemm_scratch(&g);
}

static size_t gradient_scratch(const lrk_call *c, size_t rows, const lrk_tensor *w)
{
    const lrk_dtype t = c->in[LRK_EXPERTS_X]->dtype;
    const lrk_gemm g = {.device = c->device, .m = lrk_rows(w), .n = lrk_cols(w), .k = rows,
                        .a = {.dtype = t, .stride = lrk_rows(w), .transposed = true},
                        .b = {.dtype = t, .stride = lrk_cols(w)},
                        .c_dtype = w->dtype, .c_stride = w->stride, .alpha = 1.0, .accumulate = true};
    return lrk_gemm_scratch(&g);
}

/* The largest workspace of the products; rows that an expert may get are 1 to T. */
static size_t product_scratch(const lrk_call *c, bool backward)
{
    size_t most = 0;
    for (size_t rows = lrk_rows(c->in[LRK_EXPERTS_X]); rows; rows /= 2) {
        for (int which = LRK_EXPERTS_GATE; which <= LRK_EXPERTS_DOWN_B; which++) {
            const bool adapter = which > LRK_EXPERTS_DOWN;
            if (adapter && !lrk_experts_rank(c, LRK_EXPERTS_GATE + (which - LRK_EXPERTS_GATE_A) / 2)) continue;
            const lrk_tensor w = lrk_experts_matrix(c, which, 0);
            most = lrk_max(most, scratch_of(c, rows, &w, backward));
            if (!adapter || !backward) continue;
            most = lrk_max(most, scratch_of(c, rows, &w, false));
            most = lrk_max(most, gradient_scratch(c, rows, &w));
        }
    }
    return most + most / 4;
}

lrk_experts_layout lrk_experts_lay(const lrk_call *c, bool backward)
{
    const lrk_experts_attr *a = c->attr;
    const lrk_tensor *x = c->in[LRK_EXPERTS_X];
    const size_t T = lrk_rows(x), rows = T * a->used, C = lrk_cols(x), F = a->feed_forward;
    const size_t real = lrk_row_bytes(lrk_acc(x->dtype), 1), store = lrk_row_bytes(x->dtype, 1);
    lrk_experts_layout l;
    size_t at = 0;
    l.plan = put(&at, (a->experts + 1 + 2 * rows) * sizeof(int32_t));
    l.weight = put(&at, rows * real);
    l.score = put(&at, T * a->experts * real);
    l.x = put(&at, rows * C * store);
    l.g = put(&at, rows * F * store);
    l.u = put(&at, rows * F * store);
    l.h = put(&at, rows * F * store);
    l.y = put(&at, rows * C * store);
    l.s = put(&at, rows * lrk_experts_most_rank(c) * store);
    l.ds = put(&at, backward ? rows * lrk_experts_most_rank(c) * store : 0);
    l.gemm = put(&at, product_scratch(c, backward));
    l.bytes = at;
    return l;
}

static lrk_status check_weights(const lrk_call *c, lrk_err *err)
{
    const lrk_experts_attr *a = c->attr;
    const size_t C = lrk_cols(c->in[LRK_EXPERTS_X]), F = a->feed_forward;
    LRK_REQUIRE(err, (c->in[LRK_EXPERTS_GATE] && c->in[LRK_EXPERTS_UP] && c->in[LRK_EXPERTS_DOWN]) ||
                         (a->gate && a->up && a->down),
                LRK_ESHAPE, "experts: neither stacked matrices nor one for each expert are there");
    for (size_t e = 0; e < a->experts; e++) {
        for (int which = LRK_EXPERTS_GATE; which <= LRK_EXPERTS_DOWN; which++) {
            const lrk_tensor w = lrk_experts_matrix(c, which, e);
            const bool down = which == LRK_EXPERTS_DOWN;
            LRK_REQUIRE(err, lrk_rows(&w) == (down ? C : F) && lrk_cols(&w) == (down ? F : C), LRK_ESHAPE,
                        "experts: '%s' is (%zu, %zu), expected (%zu, %zu)", w.name, lrk_rows(&w),
                        lrk_cols(&w), down ? C : F, down ? F : C);
        }
    }
    return LRK_OK;
}

static lrk_status check_stack(const lrk_call *c, int which, size_t rows, size_t cols, lrk_err *err)
{
    const lrk_tensor *t = c->in[which];
    LRK_REQUIRE(err, lrk_rows(t) == rows && lrk_cols(t) == cols && rows && cols, LRK_ESHAPE,
                "experts: '%s' is (%zu, %zu), expected (%zu, %zu)", t->name, lrk_rows(t), lrk_cols(t), rows,
                cols);
    LRK_REQUIRE(err, t->dtype == lrk_acc(c->in[LRK_EXPERTS_X]->dtype), LRK_ESHAPE,
                "experts: '%s' is %s, expected %s", t->name, lrk_dtype_name(t->dtype),
                lrk_dtype_name(lrk_acc(c->in[LRK_EXPERTS_X]->dtype)));
    return LRK_OK;
}

static lrk_status check_adapters(const lrk_call *c, lrk_err *err)
{
    const lrk_experts_attr *a = c->attr;
    const size_t E = a->experts, C = lrk_cols(c->in[LRK_EXPERTS_X]), F = a->feed_forward;
    LRK_REQUIRE(err, !a->fused || !c->in[LRK_EXPERTS_UP_A], LRK_ESHAPE,
                "experts: a fused adapter and one beside UP");
    for (int which = LRK_EXPERTS_GATE; which <= LRK_EXPERTS_DOWN; which++) {
        const int at = lrk_experts_a_of(which);
        const lrk_tensor *first = c->in[at];
        const bool down = which == LRK_EXPERTS_DOWN, both = a->fused && which == LRK_EXPERTS_GATE;
        LRK_REQUIRE(err, !first == !c->in[at + 1], LRK_ESHAPE, "experts: one of A and B is missing");
        if (!first) continue;
        const size_t R = lrk_rows(first) / E;
        LRK_TRY(check_stack(c, at, E * R, down ? F : C, err));
        LRK_TRY(check_stack(c, at + 1, E * (down ? C : both ? 2 * F : F), R, err));
        LRK_REQUIRE(err, isfinite(a->scale[which - LRK_EXPERTS_GATE]), LRK_EVALUE, "experts: scale is %g",
                    a->scale[which - LRK_EXPERTS_GATE]);
    }
    return LRK_OK;
}

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_EXPERTS_X], *z = c->in[LRK_EXPERTS_Z], *b = c->in[LRK_EXPERTS_BIAS];
    const lrk_experts_attr *a = c->attr;

    LRK_TRY(lrk_compute_of(x, "experts", &p->compute, err));
    LRK_REQUIRE(err, a->experts > 0 && a->experts <= LRK_EXPERTS_MAX && a->used > 0 &&
                         a->used <= LRK_EXPERTS_MAX_USED && a->used <= a->experts,
                LRK_EVALUE, "experts: %zu of %zu experts, at most %d of %d are possible", a->used,
                a->experts, (int)LRK_EXPERTS_MAX_USED, (int)LRK_EXPERTS_MAX);
    LRK_REQUIRE(err, !a->groups || (a->experts % a->groups == 0 && a->groups_used > 0 &&
                                    a->groups_used <= a->groups &&
                                    a->groups_used * (a->experts / a->groups) >= a->used &&
                                    (!a->group_by_two || a->experts / a->groups >= 2)),
                LRK_EVALUE, "experts: %zu of %zu groups of %zu experts cannot give %zu", a->groups_used,
                a->groups, a->experts, a->used);
    LRK_REQUIRE(err, isfinite(a->factor), LRK_EVALUE, "experts: factor is %g", a->factor);
    LRK_REQUIRE(err, lrk_rows(z) == lrk_rows(x) && lrk_cols(z) == a->experts && z->dtype == x->dtype,
                LRK_ESHAPE, "experts: logits '%s' are (%zu, %zu), expected (%zu, %zu)", z->name,
                lrk_rows(z), lrk_cols(z), lrk_rows(x), a->experts);
    LRK_REQUIRE(err, !b || (lrk_count(b) == a->experts && b->dtype == lrk_acc(x->dtype)), LRK_ESHAPE,
                "experts: bias '%s' has %zu elements, expected %zu of %s", b->name, lrk_count(b),
                a->experts, lrk_dtype_name(lrk_acc(x->dtype)));
    LRK_TRY(check_weights(c, err));
    LRK_TRY(check_adapters(c, err));
    const size_t rows = lrk_rows(x) * a->used;
    p->out[LRK_EXPERTS_Y] = lrk_mat(x->dtype, lrk_rows(x), lrk_cols(x));
    p->saved[LRK_EXPERTS_G] = lrk_mat(x->dtype, rows, a->feed_forward);
    p->saved[LRK_EXPERTS_U] = lrk_mat(x->dtype, rows, a->feed_forward);
    p->saved[LRK_EXPERTS_PLAN] = lrk_vec(LRK_I32, a->experts + 1 + 2 * rows);
    const bool gpu = c->device == LRK_CUDA;
    p->forward_scratch = gpu ? lrk_experts_cuda_lay(c).bytes : lrk_experts_lay(c, false).bytes;
    p->backward_scratch = gpu ? lrk_experts_cuda_lay(c).bytes : lrk_experts_lay(c, true).bytes;
    return LRK_OK;
}

static const lrk_experts_attr one = {.experts = 1, .used = 1, .feed_forward = 3, .factor = 1.0},
                              mixtral = {.experts = 5, .used = 2, .feed_forward = 7, .normalize = true,
                                         .factor = 1.0},
                              all = {.experts = 2, .used = 2, .feed_forward = 40, .factor = 1.0},
                              plain = {.experts = 8, .used = 3, .feed_forward = 6, .factor = 2.5,
                                       .activation = LRK_GELU_TANH},
                              v2 = {.experts = 12, .used = 3, .feed_forward = 5, .factor = 1.5,
                                    .groups = 4, .groups_used = 2},
                              v3 = {.experts = 12, .used = 4, .feed_forward = 5, .factor = 2.5,
                                    .sigmoid = true, .normalize = true, .groups = 3, .groups_used = 2,
                                    .group_by_two = true},
                              adapted = {.experts = 5, .used = 2, .feed_forward = 7, .normalize = true,
                                         .factor = 1.0, .scale = {1.5, 0.5, 2.0}},
                              sparse = {.experts = 9, .used = 2, .feed_forward = 40, .factor = 1.5,
                                        .scale = {1.0, 1.0, 0.75}},
                              fused = {.experts = 4, .used = 3, .feed_forward = 6, .normalize = true,
                                       .factor = 1.0, .scale = {1.5, 0.0, 2.0}, .fused = true};
#define WEIGHTS(e, f, c)                                                                    \
    {{(e) * (f), c}, .frozen = true}, {{(e) * (f), c}, .frozen = true},                     \
    {{(e) * (c), f}, .frozen = true}
#define ADAPTER(e, r, out, in) {{(e) * (r), in}, .adapter = true}, {{(e) * (out), r}, .adapter = true}
#define NONE {{0}}, {{0}}
/* Eleven tokens for three of eight: at the 17th the third and fourth expert are 1.3e-5 apart, less than
 * the sweep's step of 1e-3; there the result jumps, and differences are no slope. */
static const lrk_sample samples[] = {
    {.name = "one expert", .in = {{{1, 4}}, {{1, 1}}, {{0}}, WEIGHTS(1, 3, 4)}, .attr = &one},
    {.name = "two of five, normalized",
     .in = {{{21, 9}}, {{21, 5}}, {{0}}, WEIGHTS(5, 7, 9)},
     .attr = &mixtral},
    {.name = "three of eight", .in = {{{11, 10}}, {{11, 8}}, {{0}}, WEIGHTS(8, 6, 10)}, .attr = &plain},
    {.name = "both of two, more rows than a tile",
     .in = {{{70, 72}}, {{70, 2}}, {{0}}, WEIGHTS(2, 40, 72)},
     .attr = &all},
    {.name = "groups by their best",
     .in = {{{17, 6}}, {{17, 12}}, {{0}}, WEIGHTS(12, 5, 6)},
     .attr = &v2},
    {.name = "sigmoid, groups by two, bias",
     .in = {{{17, 6}}, {{17, 12}}, {{12}, .adapter = true, .frozen = true}, WEIGHTS(12, 5, 6)},
     .attr = &v3},
    {.name = "adapters of three ranks",
     .in = {{{11, 9}}, {{11, 5}}, {{0}}, WEIGHTS(5, 7, 9), ADAPTER(5, 2, 7, 9), ADAPTER(5, 3, 7, 9),
            ADAPTER(5, 1, 9, 7)},
     .attr = &adapted},
    {.name = "an adapter beside down alone, experts without tokens",
     .in = {{{3, 72}}, {{3, 9}}, {{0}}, WEIGHTS(9, 40, 72), NONE, NONE, ADAPTER(9, 8, 72, 40)},
     .attr = &sparse},
    {.name = "an adapter beside up alone, more rows than a tile",
     .in = {{{70, 72}}, {{70, 9}}, {{0}}, WEIGHTS(9, 40, 72), NONE, ADAPTER(9, 8, 40, 72), NONE},
     .attr = &sparse},
    {.name = "gate and up fused",
     .in = {{{11, 10}}, {{11, 4}}, {{0}}, WEIGHTS(4, 6, 10), ADAPTER(4, 4, 12, 10), NONE,
            ADAPTER(4, 2, 10, 6)},
     .attr = &fused},
};

const lrk_op lrk_op_experts = {
    .name = "experts",
    .n_in = 12,
    .n_out = 1,
    .n_saved = 3,
    .optional_in = 0xfffu & ~(1u << LRK_EXPERTS_X | 1u << LRK_EXPERTS_Z),
    .needs_in = 0xfffu,
    .infer = infer,
    LRK_KERNELS(experts),
    LRK_SAMPLES(samples),
};
