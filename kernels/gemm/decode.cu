/* kernels/gemm/decode.cu -- panels of stored numbers become panels of the compute type. */
#include "kernels/gemm/decode.cuh"
extern "C" {
#include "kernels/gemm/cuda.h"
}

enum { THREADS = 256 };

struct panel {
    const unsigned char *src;
    size_t src_bytes; /* of a row */
    void *dst;
    size_t dst_stride;
    size_t rows, cols;
};

/* A thread takes eight elements of a row. */
template <lrk_dtype t, typename T> static __global__ void decode_eights(panel p)
{
    const size_t groups = p.cols / 8, at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= p.rows * groups) return;
    const size_t row = at / groups, e = at % groups * 8;
    float v[8];
    lrk_decode_eight<t>(p.src + row * p.src_bytes, e, v);
    lrk_store_eight(static_cast<T *>(p.dst) + row * p.dst_stride + e, v);
}

/* Rows of plain types that do not begin on 16 bytes, or are no multiple of eight. */
template <lrk_dtype t, typename T> static __global__ void decode_ones(panel p)
{
    const size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= p.rows * p.cols) return;
    const size_t row = at / p.cols, i = at % p.cols;
    lrk_set(static_cast<T *>(p.dst) + row * p.dst_stride + i,
            lrk_stored<t>::one(p.src + row * p.src_bytes, i));
}

template <lrk_dtype t, typename T> static void decode_as(const panel &p)
{
    const bool quantized = lrk_stored<t>::block > 1;
    const bool aligned = ((uintptr_t)p.src | p.src_bytes) % 16 == 0 && p.cols % 8 == 0;
    const bool eights = quantized || aligned;
    const size_t threads = p.rows * (eights ? p.cols / 8 : p.cols);
    const unsigned grid = (unsigned)lrk_ceil_div(threads, THREADS);
    if (eights) {
        LRK_LAUNCH((decode_eights<t, T>), grid, THREADS, 0, p);
        return;
    }
    if constexpr (!quantized) LRK_LAUNCH((decode_ones<t, T>), grid, THREADS, 0, p);
}

void lrk_gemm_cuda_decode(const lrk_operand *src, size_t rows, size_t cols, lrk_dtype dst_type,
                          void *dst, size_t dst_stride)
{
    const panel p = {static_cast<const unsigned char *>(src->data),
                     lrk_row_bytes(src->dtype, src->stride), dst, dst_stride, rows, cols};
    lrk_with_stored(src->dtype, [&](auto tag) {
        if (dst_type == LRK_BF16)
            decode_as<decltype(tag)::dtype, lrk_bf16>(p);
        else
            decode_as<decltype(tag)::dtype, float>(p);
    });
}
