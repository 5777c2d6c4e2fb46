/* kernels/token_rows/token_rows_cuda.cu -- a token looks its id up in the list; drows: a block for each row adds
 * the gradients of all tokens with its id, in order. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/token_rows/token_rows.h"
}

struct lrk_trained_rows {
    const int32_t *ids, *index;
    size_t n;
};

/* The row that stands for token t, or n. */
static __device__ __forceinline__ size_t place_of(lrk_trained_rows r, size_t t)
{
    const int32_t id = r.ids[t];
    size_t low = 0, high = r.n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (r.index[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r.n && r.index[low] == id ? low : r.n;
}

template <typename T, int N>
static __global__ void replace(lrk_trained_rows r, lrk_view<const T> x, lrk_view<const float> rows, lrk_view<T> y,
                               size_t tokens, size_t cols, float scale)
{
    LRK_FOR_ROWS(t, tokens)
    {
        const size_t k = place_of(r, t);
        if (k == r.n && x.data == y.data) continue;
        LRK_FOR_ITEMS(i, cols / N)
        {
            lrk_pack<T, N> out;
            if (k == r.n) {
                out.load(x.at(t, i * N));
            } else {
#pragma unroll
                for (int e = 0; e < N; e++) out.set(e, scale * *rows.at(k, i * N + e));
            }
            out.store(y.at(t, i * N));
        }
    }
}

template <typename T, int N>
static __global__ void add_tokens(lrk_trained_rows r, lrk_view<const T> dy, lrk_view<float> drows, size_t tokens,
                                  size_t cols, float scale, size_t padding, bool fresh)
{
    const size_t k = blockIdx.x, packs = cols / N, lane = threadIdx.x % LRK_WARP;
    const int32_t id = r.index[k];
    const bool padded = (size_t)id + 1 == padding;
    for (size_t first = 0; first < packs; first += blockDim.x) {
        const size_t i = first + threadIdx.x;
        float sum[N] = {0};
        for (size_t base = 0; base < tokens && !padded; base += LRK_WARP) {
            const bool same = base + lane < tokens && r.ids[base + lane] == id;
            unsigned found = __ballot_sync(LRK_ALL_LANES, same);
            for (; found && i < packs; found &= found - 1) {
                lrk_pack<T, N> p;
                p.load(dy.at(base + (size_t)__ffs((int)found) - 1, i * N));
#pragma unroll
                for (int e = 0; e < N; e++) sum[e] += p.get(e);
            }
        }
        if (i >= packs) continue;
#pragma unroll
        for (int e = 0; e < N; e++) {
            float *to = drows.at(k, i * N + e);
            *to = (fresh ? 0.0f : *to) + scale * sum[e];
        }
    }
}

/* dx may lie where dy does. */
template <typename T, int N>
static __global__ void pass(lrk_trained_rows r, lrk_view<const T> dy, lrk_view<T> dx, size_t tokens, size_t cols,
                            bool fresh)
{
    LRK_FOR_ROWS(t, tokens)
    {
        const bool stays = place_of(r, t) == r.n;
        if (!stays && !fresh) continue;
        LRK_FOR_ITEMS(i, cols / N)
        {
            lrk_pack<T, N> from, to;
            from.load(dy.at(t, i * N));
            if (!fresh) to.load(dx.at(t, i * N));
#pragma unroll
            for (int e = 0; e < N; e++) to.set(e, (fresh ? 0.0f : to.get(e)) + (stays ? from.get(e) : 0.0f));
            to.store(dx.at(t, i * N));
        }
    }
}

static float scale_of(const lrk_call *c)
{
    const double scale = static_cast<const lrk_token_rows_attr *>(c->attr)->scale;
    return scale == 0.0 ? 1.0f : (float)scale;
}

static lrk_trained_rows rows_of(const lrk_call *c)
{
    const lrk_tensor *index = c->in[LRK_TOKEN_ROWS_INDEX];
    return {lrk_data<const int32_t>(c->in[LRK_TOKEN_ROWS_IDS]), lrk_data<const int32_t>(index), lrk_count(index)};
}

template <typename T, int N> static void launch_forward(const lrk_call *c)
{
    const lrk_tensor *x = c->in[LRK_TOKEN_ROWS_X];
    const lrk_walk w = lrk_walk_over(lrk_rows(x), lrk_cols(x) / N);
    LRK_LAUNCH((replace<T, N>), w.grid, w.block, 0, rows_of(c), lrk_view_of<const T>(x),
               lrk_view_of<const float>(c->in[LRK_TOKEN_ROWS_ROWS]), lrk_view_of<T>(c->out[LRK_TOKEN_ROWS_Y]),
               lrk_rows(x), lrk_cols(x), scale_of(c));
}

template <typename T> static void forward(const lrk_call *c)
{
    if (lrk_can_chunk(c->in[LRK_TOKEN_ROWS_X]) && lrk_can_chunk(c->out[LRK_TOKEN_ROWS_Y]))
        launch_forward<T, 16 / sizeof(T)>(c);
    else
        launch_forward<T, 1>(c);
}

template <typename T, int N> static void launch_backward(const lrk_call *c)
{
    const lrk_tensor *dy = c->dout[LRK_TOKEN_ROWS_Y], *dx = c->din[LRK_TOKEN_ROWS_X];
    const lrk_tensor *drows = c->din[LRK_TOKEN_ROWS_ROWS];
    const lrk_trained_rows r = rows_of(c);
    const size_t tokens = lrk_rows(dy), cols = lrk_cols(dy), threads = lrk_min(512, lrk_aligned(cols / N, LRK_WARP));
    const bool fresh = (c->fresh >> LRK_TOKEN_ROWS_ROWS & 1) != 0;
    if (drows)
        LRK_LAUNCH((add_tokens<T, N>), (unsigned)r.n, (unsigned)threads, 0, r, lrk_view_of<const T>(dy),
                   lrk_view_of<float>(drows), tokens, cols, scale_of(c),
                   static_cast<const lrk_token_rows_attr *>(c->attr)->padding, fresh);
    if (!dx) return;
    const lrk_walk w = lrk_walk_over(tokens, cols / N);
    LRK_LAUNCH((pass<T, N>), w.grid, w.block, 0, r, lrk_view_of<const T>(dy), lrk_view_of<T>(dx), tokens, cols,
               dx->data == dy->data || (c->fresh >> LRK_TOKEN_ROWS_X & 1) != 0);
}

template <typename T> static void backward(const lrk_call *c)
{
    const lrk_tensor *dx = c->din[LRK_TOKEN_ROWS_X];
    if (lrk_can_chunk(c->dout[LRK_TOKEN_ROWS_Y]) && (!dx || lrk_can_chunk(dx)))
        launch_backward<T, 16 / sizeof(T)>(c);
    else
        launch_backward<T, 1>(c);
}

LRK_CUDA_KERNEL(token_rows, fwd, forward)
LRK_CUDA_KERNEL(token_rows, bwd, backward)
