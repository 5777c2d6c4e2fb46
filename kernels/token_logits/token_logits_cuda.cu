/* kernels/token_logits/token_logits_cuda.cu -- a block for each row: all of it is copied unless it lies there
 * already, then the tokens are put over it. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/token_logits/token_logits.h"
}

enum { THREADS = 256 };

template <typename T>
static __global__ void __launch_bounds__(THREADS)
    replace(lrk_view<const T> x, lrk_view<const T> r, const int32_t *index, lrk_view<T> y, size_t cols, size_t n)
{
    const size_t row = blockIdx.x;
    for (size_t v = threadIdx.x; v < cols && x.data != y.data; v += THREADS) *y.at(row, v) = *x.at(row, v);
    __syncthreads(); /* the copy is not to come last */
    for (size_t k = threadIdx.x; k < n; k += THREADS) *y.at(row, (size_t)index[k]) = *r.at(row, k);
}

template <typename T> static void forward(const lrk_call *c)
{
    const lrk_tensor *x = c->in[LRK_TOKEN_LOGITS_X], *r = c->in[LRK_TOKEN_LOGITS_R];
    LRK_LAUNCH((replace<T>), (unsigned)lrk_rows(x), THREADS, 0, lrk_view_of<const T>(x), lrk_view_of<const T>(r),
               lrk_data<const int32_t>(c->in[LRK_TOKEN_LOGITS_INDEX]), lrk_view_of<T>(c->out[LRK_TOKEN_LOGITS_Y]),
               lrk_cols(x), lrk_cols(r));
}

LRK_CUDA_KERNEL(token_logits, fwd, forward)
