/* kernels/linear_xent/cuda_plan.c -- chunks and scratch on a GPU: plain C, for plans too. */
#include "kernels/linear_xent/cuda.h"

#include "base/size.h"

/* Long chunks fill a GPU; their logits are the price. */
enum { LOGITS = 256 << 20, MOST_ROWS = 1024, ROWS = 32, COLUMNS = 8 };

lrk_gemm lrk_xent_cuda_head(const lrk_call *c, const lrk_xent_layout *l, const lrk_tensor *w, size_t m)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_XENT_X];
    return (lrk_gemm){.device = c->device, .m = m, .n = lrk_rows(w), .k = lrk_cols(x),
                      .a = {NULL, x->dtype, lrk_cols(x), false}, .b = lrk_operand_of(w, true),
                      .c_dtype = LRK_F32, .c_stride = l->stride, .alpha = 1.0};
}

lrk_gemm lrk_xent_cuda_back(const lrk_call *c, const lrk_xent_layout *l, const lrk_tensor *w, size_t m)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_XENT_X];
    const size_t stride = l->stride * sizeof(float) / lrk_row_bytes(x->dtype, 1);
    return (lrk_gemm){.device = c->device, .m = m, .n = lrk_cols(x), .k = lrk_rows(w),
                      .a = {NULL, x->dtype, stride, false}, .b = lrk_operand_of(w, false),
                      .c_dtype = x->dtype, .c_stride = lrk_cols(x), .alpha = 1.0,
                      .accumulate = w == c->in[LRK_LINEAR_XENT_ROWS]};
}

lrk_gemm lrk_xent_cuda_own(const lrk_call *c, const lrk_xent_layout *l, const lrk_tensor *w, size_t m)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_XENT_X];
    const size_t stride = l->stride * sizeof(float) / lrk_row_bytes(x->dtype, 1);
    return (lrk_gemm){.device = c->device, .m = lrk_rows(w), .n = lrk_cols(x), .k = m,
                      .a = {NULL, x->dtype, stride, true}, .b = {NULL, x->dtype, lrk_cols(x), false},
                      .c_dtype = LRK_F32, .c_stride = lrk_cols(x), .alpha = 1.0, .accumulate = true};
}

static size_t place(size_t *end, size_t bytes)
{
    const size_t at = *end;
    *end += lrk_aligned(bytes, LRK_ALIGN);
    return at;
}

/* Workspace of the products with w, of a whole chunk and of the last one. */
static size_t workspace_of(const lrk_call *c, const lrk_xent_layout *l, const lrk_tensor *w, bool train)
{
    const size_t last = (l->rows - 1) % l->chunk + 1;
    const lrk_gemm product[] = {
        lrk_xent_cuda_head(c, l, w, l->chunk), lrk_xent_cuda_back(c, l, w, l->chunk),
        lrk_xent_cuda_head(c, l, w, last), lrk_xent_cuda_back(c, l, w, last),
        lrk_xent_cuda_own(c, l, w, l->chunk), lrk_xent_cuda_own(c, l, w, last)};
    size_t workspace = 0;
    for (size_t i = 0; i < (train ? 6 : 4); i++) workspace = lrk_max(workspace, lrk_gemm_scratch(&product[i]));
    return workspace;
}

lrk_xent_layout lrk_xent_cuda_layout(const lrk_call *c)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_XENT_X], *w = c->in[LRK_LINEAR_XENT_W];
    const lrk_tensor *some = c->in[LRK_LINEAR_XENT_ROWS];
    const lrk_linear_xent_attr *attr = c->attr;
    lrk_xent_layout l = {.rows = lrk_rows(x), .behind = lrk_aligned(lrk_rows(w), COLUMNS)};
    l.stride = l.behind + (some ? lrk_aligned(lrk_rows(some), COLUMNS) : 0);
    if (attr->max_rows) l.rows = lrk_min(l.rows, attr->max_rows);
    const size_t fit = LOGITS / (l.stride * sizeof(float)) / ROWS * ROWS;
    l.chunk = lrk_min(l.rows, lrk_min(MOST_ROWS, lrk_max(fit, ROWS)));
    l.list = place(&l.end, LRK_ALIGN + lrk_rows(x) * sizeof(int32_t));
    l.x = place(&l.end, l.chunk * lrk_row_bytes(x->dtype, lrk_cols(x)));
    l.logits = place(&l.end, l.chunk * l.stride * sizeof(float));
    l.losses = place(&l.end, l.rows * sizeof(double));
    const size_t table = workspace_of(c, &l, w, attr->train && !some);
    l.workspace = place(&l.end, some ? lrk_max(table, workspace_of(c, &l, some, attr->train)) : table);
    return l;
}

size_t lrk_xent_cuda_backward_scratch(const lrk_call *c)
{
    return LRK_ALIGN + lrk_rows(c->in[LRK_LINEAR_XENT_X]) * sizeof(int32_t);
}
