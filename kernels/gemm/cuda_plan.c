/* kernels/gemm/cuda_plan.c -- the way of a product on a GPU, and its memory. */
#include "kernels/gemm/cuda.h"

#include "base/size.h"

#include <stdatomic.h>

/* PANEL: long enough to fill a GPU with each product, short beside the weights of a model.
 * WORKSPACE: what cuBLASLt is said to want on sm_90; partial sums of a split k lie there.
 * TRIAL: results up to this size are put aside while algorithms are timed. */
enum {
    PANEL = 64 << 20,
    WORKSPACE = 32 << 20,
    LEAST_WORKSPACE = 1 << 16,
    SPLITS = 16,
    TRIAL = 8 << 20,
    COLUMNS = 256, /* the longest block */
    DEPTH = 64,
    ENOUGH_COLUMNS = 1024
};

static atomic_size_t chosen; /* bytes of a panel; 0: PANEL */

void lrk_gemm_panel_set(size_t bytes) { atomic_store(&chosen, bytes); }

bool lrk_gemm_decodes(lrk_device d, lrk_dtype t)
{
    switch (t) {
#define X(NAME) case LRK_##NAME:
#include "kernels/gemm/stored.def"
#undef X
        return true;
    default:
        return d == LRK_CPU && t != LRK_I32 && t != LRK_I64 && t != LRK_U8;
    }
}

static size_t whole(size_t n, size_t unit, size_t most)
{
    return lrk_min(most, lrk_max(unit, n / unit * unit));
}

static void cut(const lrk_gemm *g, lrk_gemm_way *w)
{
    const size_t set = atomic_load(&chosen), size = lrk_row_bytes(g->a.dtype, 1);
    const size_t elements = (set ? set : (size_t)PANEL) / size;
    w->n_step = whole(elements / w->depth, COLUMNS, g->n);
    if (!g->b.transposed && w->n_step < lrk_min(ENOUGH_COLUMNS, lrk_ceil_div(g->n, 4))) {
        w->n_step = g->n;
        w->k_step = whole(elements / g->n, DEPTH, w->depth);
    }
    const size_t rows = g->b.transposed ? w->n_step : w->k_step;
    w->panel_stride = lrk_aligned(g->b.transposed ? w->k_step : w->n_step, 8);
    w->panel = lrk_aligned(rows * w->panel_stride * size, LRK_ALIGN);
}

static bool few(const lrk_gemm *g)
{
    return g->m <= LRK_GEMM_FEW_ROWS && g->b.transposed && !g->a.transposed;
}

/* Whether b2 begins behind so many bytes of b, and goes on as b does. */
static bool follows(const lrk_operand *b2, const lrk_operand *b, size_t bytes)
{
    return b2->dtype == b->dtype && b2->stride == b->stride && (const char *)b2->data == (const char *)b->data + bytes;
}

bool lrk_gemm_cuda_joins(const lrk_gemm *g)
{
    enum { EIGHT = 8 }; /* numbers in 16 bytes of bf16: what a panel is written by */
    const lrk_operand *a = &g->a, *b = &g->b;
    if (!g->k || !g->k2 || few(g) || a->transposed || g->b2.transposed != b->transposed) return false;
    if (!follows(&g->a2, a, lrk_row_bytes(a->dtype, g->k))) return false;
    if (g->m * lrk_row_bytes(g->c_dtype, g->n) <= lrk_device_keeps(g->device)) return false;
    if (b->dtype != a->dtype) return g->k % EIGHT == 0 && g->b2.dtype == a->dtype;
    return follows(&g->b2, b,
                   b->transposed ? lrk_row_bytes(b->dtype, g->k) : g->k * lrk_row_bytes(b->dtype, b->stride));
}

lrk_gemm_way lrk_gemm_cuda_way(const lrk_gemm *g, bool both)
{
    const size_t depth = both ? g->k + g->k2 : g->k;
    lrk_gemm_way w = {.depth = depth, .n_step = g->n, .k_step = depth};
    if (!g->m || !g->n || !g->k) return w;
    w.few = few(g);
    if (w.few) return w;
    w.decoded = g->b.dtype != g->a.dtype;
    if (w.decoded) cut(g, &w);
    const size_t sums = g->m * g->n * sizeof(float);
    /* cuBLASLt has no f32 product with a bf16 result */
    if (g->c_dtype == LRK_BF16 && (w.k_step < depth || g->a.dtype == LRK_F32))
        w.sums = lrk_aligned(sums, LRK_ALIGN);
    w.workspace = sums > WORKSPACE / SPLITS ? WORKSPACE : LEAST_WORKSPACE + SPLITS * sums;
    w.workspace = lrk_min(WORKSPACE, lrk_aligned(w.workspace, LRK_ALIGN));
    const size_t bytes = g->m * lrk_row_bytes(g->c_dtype, g->n);
    /* A bias that lies askew is put into c before, and the product added to it (gemm_cuda.cu): that is seldom, and not
     * known here, so that such products are not timed. */
    if (g->accumulate && !w.sums && bytes <= TRIAL) w.trial = lrk_aligned(bytes, LRK_ALIGN);
    return w;
}

static size_t bytes_of(const lrk_gemm *g, bool both)
{
    const lrk_gemm_way w = lrk_gemm_cuda_way(g, both);
    const size_t skipped = w.workspace ? LRK_GEMM_WORKSPACE_ALIGN - LRK_ALIGN : 0;
    return w.panel + w.sums + skipped + w.workspace + w.trial;
}

/* Where the pairs lie is not known yet. */
size_t lrk_gemm_cuda_scratch(const lrk_gemm *g)
{
    lrk_gemm second = *g;
    const size_t first = bytes_of(g, false);
    if (!g->k2) return first;
    second.a = g->a2;
    second.b = g->b2;
    second.k = g->k2;
    second.accumulate = true;
    return lrk_max(first, lrk_max(bytes_of(&second, false), bytes_of(g, true)));
}
