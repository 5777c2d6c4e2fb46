/* kernels/gemm/few_cuda.cu -- a few rows times W^T: a warp for each row of W, which is read once and
 * decoded in registers. Bound by reading W. */
#include "kernels/gemm/few.cuh"
extern "C" {
#include "kernels/gemm/cuda.h"
}
#include "kernels/gemm/decode.cuh"

/* Small blocks: a narrow W has few rows, and all multiprocessors should read. */
enum { THREADS = 128, WARPS = THREADS / LRK_WARP };

struct few {
    const void *a, *b, *bias; /* bias: of c's type; NULL: none */
    void *c;
    size_t m, n, k;
    size_t a_stride, b_bytes, c_stride; /* b_bytes: of a row of W */
    float alpha;
    bool accumulate, a_bf16, c_bf16, a_eights;
};

/* Eight elements of a row of A; zeros beyond its end. */
template <typename T>
static __device__ __forceinline__ void load_a_as(const few &p, size_t row, size_t e, float *v)
{
    const T *from = static_cast<const T *>(p.a) + row * p.a_stride + e;
    if (p.a_eights) {
#pragma unroll
        for (int i = 0; i < 8; i += lrk_chunk<T>::n) {
            lrk_chunk<T> chunk;
            chunk.load(from + i);
#pragma unroll
            for (int j = 0; j < lrk_chunk<T>::n; j++) v[i + j] = chunk.v[j];
        }
        return;
    }
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] = e + (size_t)i < p.k ? lrk_value(from[i]) : 0.0f;
}

static __device__ __forceinline__ void load_a(const few &p, size_t row, size_t e, float *v)
{
    if (p.a_bf16)
        load_a_as<lrk_bf16>(p, row, e, v);
    else
        load_a_as<float>(p, row, e, v);
}

template <lrk_dtype t, bool eights>
static __device__ __forceinline__ void load_b(const few &p, const unsigned char *row, size_t e,
                                              float *v)
{
    if constexpr (eights) {
        lrk_decode_eight<t>(row, e, v);
    } else {
#pragma unroll
        for (int i = 0; i < 8; i++)
            v[i] = e + (size_t)i < p.k ? lrk_stored<t>::one(row, e + (size_t)i) : 0.0f;
    }
}

static __device__ __forceinline__ void put(const few &p, size_t i, size_t j, float sum)
{
    const size_t at = i * p.c_stride + j;
    float v = p.alpha * sum;
    if (p.bias)
        v += p.c_bf16 ? lrk_value(static_cast<const lrk_bf16 *>(p.bias)[j]) : static_cast<const float *>(p.bias)[j];
    if (p.c_bf16) {
        lrk_bf16 *c = static_cast<lrk_bf16 *>(p.c) + at;
        lrk_set(c, p.accumulate ? lrk_value(*c) + v : v);
    } else {
        float *c = static_cast<float *>(p.c) + at;
        *c = p.accumulate ? *c + v : v;
    }
}

template <lrk_dtype t, int M, bool eights>
static __global__ void __launch_bounds__(THREADS) few_rows(few p)
{
    const int lane = (int)threadIdx.x % LRK_WARP;
    const size_t j = (size_t)blockIdx.x * WARPS + threadIdx.x / LRK_WARP;
    if (j >= p.n) return;
    const unsigned char *row = static_cast<const unsigned char *>(p.b) + j * p.b_bytes;
    float sum[M] = {};
#pragma unroll (M == 1 ? 2 : 1)
    for (size_t e = 8 * (size_t)lane; e < p.k; e += 8 * LRK_WARP) {
        float w[8], x[8];
        load_b<t, eights>(p, row, e, w);
#pragma unroll
        for (int i = 0; i < M; i++) {
            if ((size_t)i >= p.m) break;
            load_a(p, (size_t)i, e, x);
#pragma unroll
            for (int l = 0; l < 8; l++) sum[i] = fmaf(w[l], x[l], sum[i]);
        }
    }
#pragma unroll
    for (int i = 0; i < M; i++) {
        const float whole = lrk_warp_sum(sum[i]);
        if (lane == 0 && (size_t)i < p.m) put(p, (size_t)i, j, whole);
    }
}

template <lrk_dtype t, bool eights> static void launch(const few &p)
{
    const unsigned grid = (unsigned)lrk_ceil_div(p.n, WARPS);
    if (p.m == 1)
        LRK_LAUNCH((few_rows<t, 1, eights>), grid, THREADS, 0, p);
    else
        LRK_LAUNCH((few_rows<t, LRK_GEMM_FEW_ROWS, eights>), grid, THREADS, 0, p);
}

template <lrk_dtype t> static void choose(const few &p)
{
    if constexpr (lrk_stored<t>::block > 1) {
        launch<t, true>(p);
    } else if (((uintptr_t)p.b | p.b_bytes) % 16 == 0 && p.k % 8 == 0) {
        launch<t, true>(p);
    } else {
        launch<t, false>(p);
    }
}

void lrk_gemm_few_cuda(const lrk_gemm *g)
{
    const size_t a_bytes = lrk_row_bytes(g->a.dtype, g->a.stride);
    const few p = {g->a.data, g->b.data, g->bias, g->c, g->m, g->n, g->k, g->a.stride,
                   lrk_row_bytes(g->b.dtype, g->b.stride), g->c_stride, (float)g->alpha,
                   g->accumulate, g->a.dtype == LRK_BF16, g->c_dtype == LRK_BF16,
                   ((uintptr_t)g->a.data | a_bytes) % 16 == 0 && g->k % 8 == 0};
    lrk_with_stored(g->b.dtype, [&](auto tag) { choose<decltype(tag)::dtype>(p); });
}
