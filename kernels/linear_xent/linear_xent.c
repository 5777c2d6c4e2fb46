/* kernels/linear_xent/linear_xent.c -- shape rule, samples and record. */
#include "kernels/linear_xent/linear_xent.h"

#include "base/size.h"
#include "kernels/gemm.h"
#include "kernels/linear_xent/cuda.h"

LRK_DECLARE_KERNELS(linear_xent);

size_t lrk_linear_xent_chunk(size_t vocabulary)
{
    const size_t budget = 96u << 20, rows = budget / (vocabulary * sizeof(float));
    return rows < 32 ? 32 : rows > LRK_XENT_MAX_CHUNK ? LRK_XENT_MAX_CHUNK : rows / 32 * 32;
}

size_t lrk_linear_xent_rows(const lrk_tensor *x, const lrk_tensor *w,
                            const lrk_linear_xent_attr *attr)
{
    const size_t rows = lrk_min(lrk_linear_xent_chunk(lrk_rows(w)), lrk_rows(x));
    return attr->max_rows ? lrk_min(rows, attr->max_rows) : rows;
}

/* Workspace of the products of m rows with W, or with ROWS, which add to the other's: two, or three where these
 * are trained. */
static size_t products(const lrk_tensor *x, const lrk_tensor *w, bool adds, bool train, size_t stride, size_t m)
{
    const size_t V = lrk_rows(w), C = lrk_cols(x);
    const lrk_tensor chunk = lrk_mat(x->dtype, m, C);
    lrk_tensor gradient = lrk_mat(x->dtype, m, V);
    gradient.stride = stride;
    const lrk_gemm head = {.m = m, .n = V, .k = C, .a = lrk_operand_of(&chunk, false),
                           .b = lrk_operand_of(w, true), .c_dtype = lrk_acc(x->dtype),
                           .c_stride = gradient.stride, .alpha = 1.0};
    const lrk_gemm back = {.m = m, .n = C, .k = V, .a = lrk_operand_of(&gradient, false),
                           .b = lrk_operand_of(w, false), .c_dtype = x->dtype, .c_stride = C,
                           .alpha = 1.0, .accumulate = adds};
    const lrk_gemm own = {.m = V, .n = C, .k = m, .a = lrk_operand_of(&gradient, true),
                          .b = lrk_operand_of(&chunk, false), .c_dtype = lrk_acc(x->dtype), .c_stride = C,
                          .alpha = 1.0, .accumulate = true};
    return lrk_max(lrk_max(lrk_gemm_scratch(&head), lrk_gemm_scratch(&back)), train ? lrk_gemm_scratch(&own) : 0);
}

/* [gathered rows] [logits] [row losses] [workspace of one product]. The last chunk may have any
 * number of rows, and fewer rows may need more workspace. */
static size_t scratch(const lrk_tensor *x, const lrk_tensor *w, const lrk_tensor *some, bool train, size_t rows)
{
    const size_t stride = lrk_linear_xent_stride(lrk_rows(w), some ? lrk_rows(some) : 0);
    const lrk_tensor chunk = lrk_mat(x->dtype, rows, lrk_cols(x)), logits = lrk_mat(lrk_acc(x->dtype), rows, stride);
    size_t workspace = 0;
    for (size_t m = 1; m <= rows; m++) {
        workspace = lrk_max(workspace, products(x, w, false, train && !some, stride, m));
        if (some) workspace = lrk_max(workspace, products(x, some, true, train, stride, m));
    }
    return lrk_aligned(lrk_bytes(&chunk), LRK_ALIGN) + lrk_aligned(lrk_bytes(&logits), LRK_ALIGN) +
           lrk_aligned(LRK_XENT_MAX_CHUNK * sizeof(double), LRK_ALIGN) + workspace;
}

/* ROWS and INDEX beside a head as wide as X. */
static lrk_status check_rows(const lrk_call *c, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_XENT_X], *some = c->in[LRK_LINEAR_XENT_ROWS];
    const lrk_tensor *index = c->in[LRK_LINEAR_XENT_INDEX];
    LRK_REQUIRE(err, !some == !index, LRK_ESHAPE, "linear_xent: rows of the head and their numbers go together");
    if (!some) return LRK_OK;
    LRK_REQUIRE(err, some->rank == 2 && lrk_cols(some) == lrk_cols(x), LRK_ESHAPE,
                "linear_xent: rows '%s' are (%zu, %zu), x '%s' has width %zu", some->name, lrk_rows(some),
                lrk_cols(some), x->name, lrk_cols(x));
    LRK_REQUIRE(err, some->dtype == lrk_acc(x->dtype), LRK_ESUPPORT, "linear_xent: rows '%s' are %s, expected %s",
                some->name, lrk_dtype_name(some->dtype), lrk_dtype_name(lrk_acc(x->dtype)));
    LRK_REQUIRE(err, index->dtype == LRK_I32 && lrk_count(index) == lrk_rows(some), LRK_ESHAPE,
                "linear_xent: %zu numbers of rows of type %s, expected %zu of type i32", lrk_count(index),
                lrk_dtype_name(index->dtype), lrk_rows(some));
    return LRK_OK;
}

static lrk_status infer(const lrk_call *c, lrk_infer *p, lrk_err *err)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_XENT_X], *w = c->in[LRK_LINEAR_XENT_W],
                     *target = c->in[LRK_LINEAR_XENT_TARGET];
    const lrk_linear_xent_attr *attr = c->attr;

    LRK_TRY(lrk_compute_of(x, "linear_xent", &p->compute, err));
    LRK_REQUIRE(err, w->rank == 2 && lrk_cols(w) == lrk_cols(x), LRK_ESHAPE,
                "linear_xent: head '%s' is (%zu, %zu), x '%s' has width %zu", w->name, lrk_rows(w),
                lrk_cols(w), x->name, lrk_cols(x));
    LRK_REQUIRE(err, lrk_gemm_decodes(c->device, w->dtype), LRK_ESUPPORT,
                "linear_xent: head '%s' is %s, which no kernel for %s reads", w->name,
                lrk_dtype_name(w->dtype), lrk_device_name(c->device));
    LRK_REQUIRE(err, target->dtype == LRK_I32 && lrk_count(target) == lrk_rows(x), LRK_ESHAPE,
                "linear_xent: %zu targets of type %s, expected %zu of type i32", lrk_count(target),
                lrk_dtype_name(target->dtype), lrk_rows(x));
    LRK_REQUIRE(err, attr && attr->softcap >= 0.0, LRK_EVALUE,
                "linear_xent: softcap must not be negative");
    LRK_TRY(check_rows(c, err));
    const lrk_tensor *some = c->in[LRK_LINEAR_XENT_ROWS], *learns = some ? some : w;
    const lrk_dtype wide = lrk_acc(x->dtype);
    LRK_REQUIRE(err, !attr->train || learns->dtype == wide || (!some && w->dtype == x->dtype), LRK_ESUPPORT,
                "linear_xent: head '%s' is %s and to be trained, expected %s or the type of x", w->name,
                lrk_dtype_name(w->dtype), lrk_dtype_name(wide));
    p->out[LRK_LINEAR_XENT_LOSS] = lrk_vec(LRK_F64, 1);
    p->saved[LRK_LINEAR_XENT_DX] = lrk_like(x);
    if (attr->train) p->saved[LRK_LINEAR_XENT_DW] = lrk_mat(wide, lrk_rows(learns), lrk_cols(learns));
    if (c->device == LRK_CUDA) {
        p->forward_scratch = lrk_xent_cuda_layout(c).end;
        p->backward_scratch = lrk_xent_cuda_backward_scratch(c);
        return LRK_OK;
    }
    p->forward_scratch = scratch(x, w, some, attr->train, lrk_linear_xent_rows(x, w, attr));
    return LRK_OK;
}

static const lrk_linear_xent_attr plain = {0}, capped = {.softcap = 2.0}, trained = {.train = true},
                                  trained_capped = {.softcap = 2.0, .train = true};
#define FROZEN(v, c) {.dim = {v, c}, .frozen = true}
#define TRAINED(v, c) {.dim = {v, c}, .adapter = true}
#define SHADOW(v, c) {.dim = {v, c}, .adapter = true, .shadow = true}
#define TARGETS(n, v) {.dim = {n}, .fill = LRK_FILL_TARGET, .limit = v}
#define INDEX(list) {.dim = {sizeof(list) / sizeof *(list)}, .fill = LRK_FILL_DATA, .data = (list)}
static const int32_t first[] = {0}, some[] = {0, 5, 36}, most[] = {0, 1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 13, 15};
static const lrk_sample samples[] = {
    {.name = "one row, two words", .in = {{{1, 3}}, FROZEN(2, 3), TARGETS(1, 2)}, .attr = &plain},
    {.name = "odd sizes", .in = {{{13, 9}}, FROZEN(37, 9), TARGETS(13, 37)}, .attr = &plain},
    {.name = "soft cap", .in = {{{11, 16}}, FROZEN(50, 16), TARGETS(11, 50)}, .attr = &capped},
    {.name = "more rows than one chunk",
     .in = {{{1100, 8}}, FROZEN(16, 8), TARGETS(1100, 16)},
     .attr = &plain},
    {.name = "trained head, one row", .in = {{{1, 3}}, TRAINED(2, 3), TARGETS(1, 2)}, .attr = &trained},
    {.name = "trained head, soft cap", .in = {{{13, 9}}, TRAINED(37, 9), TARGETS(13, 37)}, .attr = &trained_capped},
    {.name = "trained head, more than one chunk",
     .in = {{{1100, 8}}, TRAINED(16, 8), TARGETS(1100, 16)},
     .attr = &trained},
    {.name = "a trained row of two",
     .in = {{{3, 3}}, FROZEN(2, 3), TARGETS(3, 2), TRAINED(1, 3), INDEX(first)},
     .attr = &trained},
    {.name = "trained rows, soft cap",
     .in = {{{13, 9}}, FROZEN(37, 9), TARGETS(13, 37), TRAINED(3, 9), INDEX(some)},
     .attr = &trained_capped},
    {.name = "trained rows, more than one chunk",
     .in = {{{1100, 8}}, FROZEN(16, 8), TARGETS(1100, 16), TRAINED(13, 8), INDEX(most)},
     .attr = &trained},
    {.name = "trained head in the compute type",
     .in = {{{30, 16}}, SHADOW(40, 16), TARGETS(30, 40)},
     .attr = &trained},
};

const lrk_op lrk_op_linear_xent = {
    .name = "linear_xent",
    .n_in = 5,
    .n_out = 1,
    .n_saved = 2,
    .optional_in = 1u << LRK_LINEAR_XENT_ROWS | 1u << LRK_LINEAR_XENT_INDEX,
    .overwrites = true,
    .needs_in = 1u << LRK_LINEAR_XENT_TARGET,
    .infer = infer,
    LRK_KERNELS(linear_xent),
    LRK_SAMPLES(samples),
};
