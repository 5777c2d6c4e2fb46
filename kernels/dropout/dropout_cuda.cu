/* kernels/dropout/dropout_cuda.cu -- a thread takes the four elements of one block of random numbers. */
#include "kernels/cuda.cuh"
#include "kernels/rng.cuh"
extern "C" {
#include "kernels/dropout/dropout.h"
}

enum { THREADS = 256, FOUR = 4 };

struct halves {
    const lrk_cuda_draws *draws;
    uint32_t site, limit; /* drawn below limit: held back */
    float passed, held;
    size_t rows, cols;
    bool add;
};

template <typename T>
static __global__ void factor_fours(halves d, lrk_view<const T> from, lrk_view<T> to)
{
    const size_t block = (size_t)blockIdx.x * THREADS + threadIdx.x, all = d.rows * d.cols;
    if (block * FOUR >= all) return;
    uint32_t drawn[FOUR];
    lrk_draw_four(d.draws, d.site, block, drawn);
#pragma unroll
    for (int k = 0; k < FOUR; k++) {
        const size_t e = block * FOUR + k;
        if (e >= all) return;
        T *p = to.at(e / d.cols, e % d.cols);
        const float f = drawn[k] < d.limit ? d.held : d.passed;
        const float v = __fmul_rn(f, lrk_value(*from.at(e / d.cols, e % d.cols)));
        lrk_set(p, d.add ? __fadd_rn(lrk_value(*p), v) : v);
    }
}

template <typename T>
static void multiply(const lrk_call *c, const lrk_tensor *from, const lrk_tensor *to, bool add)
{
    const lrk_dropout_attr *a = static_cast<const lrk_dropout_attr *>(c->attr);
    const double keep = 1.0 / (1.0 - a->p);
    const halves d = {lrk_cuda_draw(a->rng),
                      a->rng->site,
                      (uint32_t)(a->p * 4294967296.0),
                      (float)(a->rest ? 1.0 - keep : keep),
                      a->rest ? 1.0f : 0.0f,
                      lrk_rows(from),
                      lrk_cols(from),
                      add};
    const size_t blocks = lrk_ceil_div(lrk_count(from), FOUR);
    LRK_LAUNCH(factor_fours<T>, (unsigned)lrk_ceil_div(blocks, THREADS), THREADS, 0, d,
               lrk_view_of<const T>(from), lrk_view_of<T>(to));
}

template <typename T> static void forward(const lrk_call *c)
{
    multiply<T>(c, c->in[LRK_DROPOUT_X], c->out[LRK_DROPOUT_Y], false);
}

template <typename T> static void backward(const lrk_call *c)
{
    if (c->din[LRK_DROPOUT_X])
        multiply<T>(c, c->dout[LRK_DROPOUT_Y], c->din[LRK_DROPOUT_X], !(c->fresh >> LRK_DROPOUT_X & 1));
}

LRK_CUDA_KERNEL(dropout, fwd, forward)
LRK_CUDA_KERNEL(dropout, bwd, backward)
