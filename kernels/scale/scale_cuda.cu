/* kernels/scale/scale_cuda.cu -- 16 bytes a thread. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/scale/scale.h"
}

/* y = scale * x, added to what is there where `add`. y may be x. */
template <typename T, int N>
static __global__ void scale_elements(lrk_view<const T> x, lrk_view<T> y, size_t rows, size_t cols,
                                      float scale, bool add)
{
    LRK_FOR_ROWS(r, rows)
    {
        LRK_FOR_ITEMS(i, cols / N)
        {
            lrk_pack<T, N> from, to;
            from.load(x.at(r, i * N));
            if (add) to.load(y.at(r, i * N));
#pragma unroll
            for (int k = 0; k < N; k++) {
                const float v = scale * from.get(k);
                to.set(k, add ? to.get(k) + v : v);
            }
            to.store(y.at(r, i * N));
        }
    }
}

template <typename T, int N>
static void launch(const lrk_call *c, const lrk_tensor *x, const lrk_tensor *y, lrk_extent e, bool add)
{
    const lrk_walk w = lrk_walk_over(e.rows, e.cols / N);
    const lrk_scale_attr *a = static_cast<const lrk_scale_attr *>(c->attr);
    LRK_LAUNCH((scale_elements<T, N>), w.grid, w.block, 0, lrk_view_of<const T>(x), lrk_view_of<T>(y),
               e.rows, e.cols, (float)a->scale, add);
}

template <typename T>
static void multiply(const lrk_call *c, const lrk_tensor *x, const lrk_tensor *y, bool add)
{
    const lrk_tensor *const all[] = {x, y};
    const lrk_extent e = lrk_extent_of(all, 2);
    if (e.chunks)
        launch<T, 16 / sizeof(T)>(c, x, y, e, add);
    else
        launch<T, 1>(c, x, y, e, add);
}

template <typename T> static void forward(const lrk_call *c)
{
    multiply<T>(c, c->in[LRK_SCALE_X], c->out[LRK_SCALE_Y], false);
}

template <typename T> static void backward(const lrk_call *c)
{
    const lrk_tensor *dy = c->dout[LRK_SCALE_Y], *dx = c->din[LRK_SCALE_X];
    if (dx) multiply<T>(c, dy, dx, dx->data != dy->data && !(c->fresh >> LRK_SCALE_X & 1));
}

LRK_CUDA_KERNEL(scale, fwd, forward)
LRK_CUDA_KERNEL(scale, bwd, backward)
