/* kernels/add/add_cuda.cu -- 16 bytes a thread. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/add/add.h"
}

/* y = x + d, or y = x where d has no data. y may be x or d. */
template <typename T, int N>
static __global__ void add_elements(lrk_view<const T> x, lrk_view<const T> d, lrk_view<T> y,
                                    size_t rows, size_t cols)
{
    LRK_FOR_ROWS(r, rows)
    {
        LRK_FOR_ITEMS(i, cols / N)
        {
            lrk_pack<T, N> a, b, sum;
            a.load(x.at(r, i * N));
            if (d.data) {
                b.load(d.at(r, i * N));
#pragma unroll
                for (int k = 0; k < N; k++) sum.set(k, a.get(k) + b.get(k));
            } else {
                sum = a;
            }
            sum.store(y.at(r, i * N));
        }
    }
}

template <typename T, int N>
static void launch(const lrk_tensor *x, const lrk_tensor *d, const lrk_tensor *y, lrk_extent e)
{
    const lrk_walk w = lrk_walk_over(e.rows, e.cols / N);
    LRK_LAUNCH((add_elements<T, N>), w.grid, w.block, 0, lrk_view_of<const T>(x),
               lrk_view_of<const T>(d), lrk_view_of<T>(y), e.rows, e.cols);
}

template <typename T> static void add(const lrk_tensor *x, const lrk_tensor *d, const lrk_tensor *y)
{
    const lrk_tensor *const all[] = {x, d, y};
    const lrk_extent e = lrk_extent_of(all, 3);
    if (e.chunks)
        launch<T, 16 / sizeof(T)>(x, d, y, e);
    else
        launch<T, 1>(x, d, y, e);
}

template <typename T> static void forward(const lrk_call *c)
{
    add<T>(c->in[LRK_ADD_X], c->in[LRK_ADD_D], c->out[LRK_ADD_Y]);
}

template <typename T> static void backward(const lrk_call *c)
{
    const lrk_tensor *dy = c->dout[LRK_ADD_Y];
    for (unsigned k = LRK_ADD_X; k <= LRK_ADD_D; k++) {
        const lrk_tensor *d = c->din[k];
        if (!d || d->data == dy->data) continue; /* handed on where it lies */
        add<T>(dy, c->fresh >> k & 1 ? NULL : d, d);
    }
}

LRK_CUDA_KERNEL(add, fwd, forward)
LRK_CUDA_KERNEL(add, bwd, backward)
