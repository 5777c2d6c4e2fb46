/* kernels/experts/cuda_plan.c -- scratch memory on a GPU: plain C, for plans too. */
#include "base/size.h"
#include "kernels/experts/cuda.h"
#include "kernels/experts/layout.h"

static size_t put(size_t *at, size_t bytes)
{
    const size_t here = *at;
    *at += lrk_aligned(bytes, LRK_ALIGN);
    return here;
}

lrk_experts_cuda_layout lrk_experts_cuda_lay(const lrk_call *c)
{
    const lrk_experts_attr *a = c->attr;
    const lrk_tensor *x = c->in[LRK_EXPERTS_X];
    const size_t T = lrk_rows(x), E = a->experts, rows = T * a->used;
    const size_t inner = rows * lrk_row_bytes(x->dtype, a->feed_forward);
    lrk_experts_cuda_layout l;
    size_t at = 0;
    /* whole tiles, and one more for each expert that has rows */
    l.n_tiles = rows / LRK_EXPERTS_TILE + lrk_min(E, rows);
    l.plan = put(&at, (E + 1 + 2 * rows) * sizeof(int32_t));
    l.weight = put(&at, rows * sizeof(float));
    l.score = put(&at, T * E * sizeof(float));
    l.chosen = put(&at, rows * sizeof(int32_t));
    l.tiles = put(&at, l.n_tiles * sizeof(lrk_experts_tile));
    l.weights = put(&at, 9 * E * sizeof(lrk_experts_weight));
    l.g = put(&at, inner);
    l.u = put(&at, inner);
    l.h = put(&at, inner);
    l.y = put(&at, rows * lrk_row_bytes(x->dtype, lrk_cols(x)));
    l.s = put(&at, rows * lrk_row_bytes(x->dtype, lrk_experts_most_rank(c)));
    l.ds = put(&at, rows * lrk_row_bytes(x->dtype, lrk_experts_most_rank(c)));
    l.bytes = at;
    return l;
}
