/* kernels/softcap/softcap_cuda.cu -- an element a thread: logits are few beside what made them. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/softcap/softcap.h"
}

template <typename T>
static __global__ void cap_elements(lrk_view<const T> x, lrk_view<T> y, size_t rows, size_t cols, float cap)
{
    LRK_FOR_ROWS(r, rows)
    {
        LRK_FOR_ITEMS(i, cols) { lrk_set(y.at(r, i), cap * tanhf(lrk_value(*x.at(r, i)) / cap)); }
    }
}

template <typename T>
static __global__ void cap_back(lrk_view<const T> y, lrk_view<const T> dy, lrk_view<T> dx, size_t rows,
                                size_t cols, float cap, bool fresh)
{
    LRK_FOR_ROWS(r, rows)
    {
        LRK_FOR_ITEMS(i, cols)
        {
            const float t = lrk_value(*y.at(r, i)) / cap, v = lrk_value(*dy.at(r, i)) * (1.0f - t * t);
            lrk_set(dx.at(r, i), fresh ? v : lrk_value(*dx.at(r, i)) + v);
        }
    }
}

static float cap_of(const lrk_call *c)
{
    return (float)static_cast<const lrk_softcap_attr *>(c->attr)->cap;
}

template <typename T> static void forward(const lrk_call *c)
{
    const lrk_tensor *x = c->in[LRK_SOFTCAP_X];
    const lrk_walk w = lrk_walk_over(lrk_rows(x), lrk_cols(x));
    LRK_LAUNCH((cap_elements<T>), w.grid, w.block, 0, lrk_view_of<const T>(x),
               lrk_view_of<T>(c->out[LRK_SOFTCAP_Y]), lrk_rows(x), lrk_cols(x), cap_of(c));
}

template <typename T> static void backward(const lrk_call *c)
{
    const lrk_tensor *y = c->out[LRK_SOFTCAP_Y];
    if (!c->din[LRK_SOFTCAP_X]) return;
    const lrk_walk w = lrk_walk_over(lrk_rows(y), lrk_cols(y));
    LRK_LAUNCH((cap_back<T>), w.grid, w.block, 0, lrk_view_of<const T>(y),
               lrk_view_of<const T>(c->dout[LRK_SOFTCAP_Y]), lrk_view_of<T>(c->din[LRK_SOFTCAP_X]),
               lrk_rows(y), lrk_cols(y), cap_of(c), (bool)(c->fresh >> LRK_SOFTCAP_X & 1));
}

LRK_CUDA_KERNEL(softcap, fwd, forward)
LRK_CUDA_KERNEL(softcap, bwd, backward)
