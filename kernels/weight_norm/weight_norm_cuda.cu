/* kernels/weight_norm/weight_norm_cuda.cu -- a block takes a row, a thread eight elements of it at a time. */
#include "kernels/gemm/decode.cuh"
extern "C" {
#include "kernels/weight_norm/weight_norm.h"
}

enum { EIGHT = 8, MOST = 256 };

struct adapter {
    const float *a, *b;
    size_t rank, a_stride, b_stride;
    float scale;
};

/* The sum of all threads' sums of squares, at thread 0 of the row's block. */
static __device__ __forceinline__ void finish(float sum, float *norm)
{
    LRK_SHARED(float, room, LRK_WARP);
    sum = lrk_block_sum(sum, room);
    if (threadIdx.x == 0) norm[blockIdx.x] = sqrtf(sum);
}

template <lrk_dtype stored>
static __global__ void norm_eights(const unsigned char *w, size_t row_bytes, adapter d, float *norm,
                                   size_t cols)
{
    const unsigned char *row = w + blockIdx.x * row_bytes;
    const float *b = d.b + blockIdx.x * d.b_stride;
    float sum = 0.0f;
    for (size_t i = (size_t)threadIdx.x * EIGHT; i < cols; i += (size_t)blockDim.x * EIGHT) {
        float v[EIGHT];
        lrk_decode_eight<stored>(row, i, v);
        for (size_t r = 0; r < d.rank; r++) {
            const float factor = d.scale * b[r], *a = d.a + r * d.a_stride + i;
            lrk_chunk<float> low, high;
            low.load(a);
            high.load(a + EIGHT / 2);
#pragma unroll
            for (int k = 0; k < EIGHT / 2; k++) {
                v[k] = fmaf(factor, low.v[k], v[k]);
                v[EIGHT / 2 + k] = fmaf(factor, high.v[k], v[EIGHT / 2 + k]);
            }
        }
#pragma unroll
        for (int k = 0; k < EIGHT; k++) sum = fmaf(v[k], v[k], sum);
    }
    finish(sum, norm);
}

template <lrk_dtype stored>
static __global__ void norm_ones(const unsigned char *w, size_t row_bytes, adapter d, float *norm,
                                 size_t cols)
{
    const unsigned char *row = w + blockIdx.x * row_bytes;
    const float *b = d.b + blockIdx.x * d.b_stride;
    float sum = 0.0f;
    for (size_t i = threadIdx.x; i < cols; i += blockDim.x) {
        float v = lrk_stored<stored>::one(row, i);
        for (size_t r = 0; r < d.rank; r++) v = fmaf(d.scale * b[r], d.a[r * d.a_stride + i], v);
        sum = fmaf(v, v, sum);
    }
    finish(sum, norm);
}

template <lrk_dtype stored> static void launch(const lrk_call *c)
{
    const lrk_tensor *w = c->in[LRK_WEIGHT_NORM_W], *a = c->in[LRK_WEIGHT_NORM_A];
    const lrk_tensor *b = c->in[LRK_WEIGHT_NORM_B];
    const size_t cols = lrk_cols(w), row_bytes = lrk_row_bytes(w->dtype, w->stride);
    const adapter d = {lrk_data<const float>(a), lrk_data<const float>(b), lrk_rows(a), a->stride, b->stride,
                       (float)static_cast<const lrk_weight_norm_attr *>(c->attr)->scale};
    const unsigned rows = (unsigned)lrk_rows(w);
    const unsigned char *data = lrk_data<const unsigned char>(w);
    float *norm = lrk_data<float>(c->out[LRK_WEIGHT_NORM_NORM]);
    if constexpr (lrk_stored<stored>::block == 1) {
        if (cols % EIGHT || !lrk_can_chunk(w) || !lrk_can_chunk(a)) {
            const size_t threads = lrk_min(MOST, lrk_aligned(cols, LRK_WARP));
            LRK_LAUNCH(norm_ones<stored>, rows, (unsigned)threads, 0, data, row_bytes, d, norm, cols);
            return;
        }
    }
    const size_t threads = lrk_min(MOST, lrk_aligned(cols / EIGHT, LRK_WARP));
    LRK_LAUNCH(norm_eights<stored>, rows, (unsigned)threads, 0, data, row_bytes, d, norm, cols);
}

/* A and B are f32 whatever W is, so there is one kernel for both entries. */
template <typename T> static void forward(const lrk_call *c)
{
    lrk_with_stored(c->in[LRK_WEIGHT_NORM_W]->dtype, [c](auto tag) { launch<decltype(tag)::dtype>(c); });
}

LRK_CUDA_KERNEL(weight_norm, fwd, forward)
