/* kernels/dora/dora_cuda.cu -- 16 bytes a thread; dM: a block sums columns. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/dora/dora.h"
}

enum { LANES = 32, PARTS = 8 };

template <typename T, int N>
static __global__ void forward_rows(lrk_view<const T> u, const float *m, const float *norm,
                                    const float *bias, lrk_view<T> y, size_t rows, size_t cols)
{
    LRK_FOR_ROWS(t, rows)
    {
        LRK_FOR_ITEMS(i, cols / N)
        {
            lrk_pack<T, N> from, to;
            from.load(u.at(t, i * N));
#pragma unroll
            for (int k = 0; k < N; k++) {
                const size_t o = i * N + k;
                const float v = m[o] / norm[o] * from.get(k);
                to.set(k, bias ? v + bias[o] : v);
            }
            to.store(y.at(t, i * N));
        }
    }
}

template <typename T, int N>
static __global__ void du_rows(lrk_view<const T> dy, const float *m, const float *norm, lrk_view<T> du,
                               size_t rows, size_t cols, bool fresh)
{
    LRK_FOR_ROWS(t, rows)
    {
        LRK_FOR_ITEMS(i, cols / N)
        {
            lrk_pack<T, N> from, to;
            from.load(dy.at(t, i * N));
            if (!fresh) to.load(du.at(t, i * N));
#pragma unroll
            for (int k = 0; k < N; k++) {
                const float v = m[i * N + k] / norm[i * N + k] * from.get(k);
                to.set(k, fresh ? v : to.get(k) + v);
            }
            to.store(du.at(t, i * N));
        }
    }
}

/* A block sums LANES columns: PARTS threads a column, each every PARTS-th row, folded in order. In
 * double, as on the CPU: a sum over all tokens. */
template <typename T>
static __global__ void dm_columns(lrk_view<const T> u, lrk_view<const T> dy, const float *norm, float *dm,
                                  size_t rows, size_t cols, bool fresh)
{
    LRK_SHARED(double, part, PARTS * LANES);
    const size_t o = (size_t)blockIdx.x * LANES + threadIdx.x;
    double sum = 0.0;
    for (size_t t = threadIdx.y; t < rows && o < cols; t += PARTS)
        sum += (double)lrk_value(*u.at(t, o)) * (double)lrk_value(*dy.at(t, o));
    part[threadIdx.y * LANES + threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || o >= cols) return;
    sum = 0.0;
    for (int i = 0; i < PARTS; i++) sum += part[i * LANES + threadIdx.x];
    sum /= (double)norm[o];
    dm[o] = (float)(fresh ? sum : (double)dm[o] + sum);
}

static const float *vector(const lrk_call *c, int i)
{
    return c->in[i] ? lrk_data<const float>(c->in[i]) : NULL;
}

template <typename T, int N> static void launch_forward(const lrk_call *c)
{
    const lrk_tensor *u = c->in[LRK_DORA_U];
    const lrk_walk w = lrk_walk_over(lrk_rows(u), lrk_cols(u) / N);
    LRK_LAUNCH((forward_rows<T, N>), w.grid, w.block, 0, lrk_view_of<const T>(u), vector(c, LRK_DORA_M),
               vector(c, LRK_DORA_NORM), vector(c, LRK_DORA_BIAS), lrk_view_of<T>(c->out[LRK_DORA_Y]),
               lrk_rows(u), lrk_cols(u));
}

template <typename T, int N> static void launch_du(const lrk_call *c)
{
    const lrk_tensor *dy = c->dout[LRK_DORA_Y];
    const lrk_walk w = lrk_walk_over(lrk_rows(dy), lrk_cols(dy) / N);
    LRK_LAUNCH((du_rows<T, N>), w.grid, w.block, 0, lrk_view_of<const T>(dy), vector(c, LRK_DORA_M),
               vector(c, LRK_DORA_NORM), lrk_view_of<T>(c->din[LRK_DORA_U]), lrk_rows(dy), lrk_cols(dy),
               (bool)(c->fresh >> LRK_DORA_U & 1));
}

template <typename T> static void launch_dm(const lrk_call *c)
{
    const lrk_tensor *u = c->in[LRK_DORA_U];
    LRK_LAUNCH((dm_columns<T>), (unsigned)lrk_ceil_div(lrk_cols(u), LANES), dim3(LANES, PARTS), 0,
               lrk_view_of<const T>(u), lrk_view_of<const T>(c->dout[LRK_DORA_Y]), vector(c, LRK_DORA_NORM),
               lrk_data<float>(c->din[LRK_DORA_M]), lrk_rows(u), lrk_cols(u),
               (bool)(c->fresh >> LRK_DORA_M & 1));
}

template <typename T> static void forward(const lrk_call *c)
{
    if (lrk_can_chunk(c->in[LRK_DORA_U]) && lrk_can_chunk(c->out[LRK_DORA_Y]))
        launch_forward<T, 16 / sizeof(T)>(c);
    else
        launch_forward<T, 1>(c);
}

template <typename T> static void backward(const lrk_call *c)
{
    const lrk_tensor *du = c->din[LRK_DORA_U];
    if (c->din[LRK_DORA_M]) launch_dm<T>(c);
    if (du && lrk_can_chunk(du) && lrk_can_chunk(c->dout[LRK_DORA_Y]))
        launch_du<T, 16 / sizeof(T)>(c);
    else if (du)
        launch_du<T, 1>(c);
}

LRK_CUDA_KERNEL(dora, fwd, forward)
LRK_CUDA_KERNEL(dora, bwd, backward)
