/* kernels/embed/embed_cuda.cu -- forward: a thread decodes eight elements of a row. backward: the first
 * token of an id, and its block, adds the gradients of all tokens with that id, in order. */
#include "kernels/gemm/decode.cuh"
extern "C" {
#include "kernels/embed/embed.h"
}

enum { EIGHT = 8 };

template <lrk_dtype stored, typename T>
static __global__ void decode_rows(const unsigned char *table, size_t row_bytes, const int32_t *ids,
                                   lrk_view<T> y, size_t rows, size_t cols, float scale)
{
    LRK_FOR_ROWS(t, rows)
    {
        const unsigned char *row = table + (size_t)ids[t] * row_bytes;
        LRK_FOR_ITEMS(i, cols / EIGHT)
        {
            float v[EIGHT];
            lrk_pack<T, EIGHT> out;
            lrk_decode_eight<stored>(row, i * EIGHT, v);
#pragma unroll
            for (int k = 0; k < EIGHT; k++) out.set(k, scale * v[k]);
            out.store(y.at(t, i * EIGHT));
        }
    }
}

template <lrk_dtype stored, typename T>
static __global__ void copy_rows(const unsigned char *table, size_t row_bytes, const int32_t *ids,
                                 lrk_view<T> y, size_t rows, size_t cols, float scale)
{
    LRK_FOR_ROWS(t, rows)
    {
        const unsigned char *row = table + (size_t)ids[t] * row_bytes;
        LRK_FOR_ITEMS(i, cols)
        {
            lrk_set(y.at(t, i), scale * lrk_stored<stored>::one(row, i));
        }
    }
}

/* G: of the table, T or float. */
template <typename T, typename G, int N>
static __global__ void add_tokens(lrk_view<const T> dy, const int32_t *ids, lrk_view<G> dtable,
                                  size_t tokens, size_t cols, float scale, size_t padding)
{
    const size_t token = blockIdx.x, packs = cols / N, lane = threadIdx.x % LRK_WARP;
    const int32_t id = ids[token];
    if ((size_t)id + 1 == padding) return;
    for (size_t base = 0; base < token; base += LRK_WARP) {
        const bool earlier = base + lane < token && ids[base + lane] == id;
        if (__ballot_sync(LRK_ALL_LANES, earlier)) return;
    }
    for (size_t first = 0; first < packs; first += blockDim.x) {
        const size_t i = first + threadIdx.x;
        float sum[N] = {0};
        for (size_t base = token; base < tokens; base += LRK_WARP) {
            const bool same = base + lane < tokens && ids[base + lane] == id;
            unsigned found = __ballot_sync(LRK_ALL_LANES, same);
            for (; found && i < packs; found &= found - 1) {
                lrk_pack<T, N> p;
                p.load(dy.at(base + (size_t)__ffs((int)found) - 1, i * N));
#pragma unroll
                for (int k = 0; k < N; k++) sum[k] += p.get(k);
            }
        }
        if (i >= packs) continue;
        lrk_pack<G, N> p;
        p.load(dtable.at((size_t)id, i * N));
#pragma unroll
        for (int k = 0; k < N; k++) p.set(k, p.get(k) + scale * sum[k]);
        p.store(dtable.at((size_t)id, i * N));
    }
}

static float scale_of(const lrk_call *c)
{
    const double scale = static_cast<const lrk_embed_attr *>(c->attr)->scale;
    return scale == 0.0 ? 1.0f : (float)scale;
}

template <lrk_dtype stored, typename T> static void launch_forward(const lrk_call *c)
{
    const lrk_tensor *table = c->in[LRK_EMBED_TABLE], *y = c->out[LRK_EMBED_Y];
    const size_t rows = lrk_rows(y), cols = lrk_cols(y);
    const size_t row_bytes = lrk_row_bytes(table->dtype, table->stride);
    const unsigned char *data = lrk_data<const unsigned char>(table);
    const int32_t *ids = lrk_data<const int32_t>(c->in[LRK_EMBED_IDS]);
    if constexpr (lrk_stored<stored>::block == 1) {
        if (cols % EIGHT || !lrk_can_chunk(table) || !lrk_can_chunk(y)) {
            const lrk_walk w = lrk_walk_over(rows, cols);
            LRK_LAUNCH((copy_rows<stored, T>), w.grid, w.block, 0, data, row_bytes, ids,
                       lrk_view_of<T>(y), rows, cols, scale_of(c));
            return;
        }
    }
    const lrk_walk w = lrk_walk_over(rows, cols / EIGHT);
    LRK_LAUNCH((decode_rows<stored, T>), w.grid, w.block, 0, data, row_bytes, ids,
               lrk_view_of<T>(y), rows, cols, scale_of(c));
}

template <typename T, typename G, int N> static void launch_backward(const lrk_call *c)
{
    const lrk_tensor *dy = c->dout[LRK_EMBED_Y];
    const size_t tokens = lrk_rows(dy), cols = lrk_cols(dy);
    const size_t threads = lrk_min(512, lrk_aligned(cols / N, LRK_WARP));
    LRK_LAUNCH((add_tokens<T, G, N>), dim3((unsigned)tokens), dim3((unsigned)threads), 0,
               lrk_view_of<const T>(dy), lrk_data<const int32_t>(c->in[LRK_EMBED_IDS]),
               lrk_view_of<G>(c->din[LRK_EMBED_TABLE]), tokens, cols, scale_of(c),
               static_cast<const lrk_embed_attr *>(c->attr)->padding);
}

template <typename T> static void forward(const lrk_call *c)
{
    lrk_with_stored(c->in[LRK_EMBED_TABLE]->dtype,
                    [c](auto tag) { launch_forward<decltype(tag)::dtype, T>(c); });
}

template <typename T, typename G> static void backward_to(const lrk_call *c)
{
    if (lrk_can_chunk(c->dout[LRK_EMBED_Y]) && lrk_can_chunk(c->din[LRK_EMBED_TABLE]))
        launch_backward<T, G, 16 / sizeof(T)>(c);
    else
        launch_backward<T, G, 1>(c);
}

template <typename T> static void backward(const lrk_call *c)
{
    if (!c->din[LRK_EMBED_TABLE]) return;
    if (c->din[LRK_EMBED_TABLE]->dtype == LRK_F32)
        backward_to<T, float>(c);
    else
        backward_to<T, T>(c);
}

LRK_CUDA_KERNEL(embed, fwd, forward)
LRK_CUDA_KERNEL(embed, bwd, backward)
