/* kernels/gemm/micro_scalar.c -- the micro-kernel for every processor: 4 x 8, vectors of 4 floats
 * by the compiler's own vector type. */
#include "kernels/gemm/impl.h"

#include "base/quant.h"

enum { MR = 4, LANES = 4 };

typedef double half_f64 __attribute__((vector_size(16)));
#define WIDENED(p) ((half_f64){(double)(p)[0], (double)(p)[1]})
#define PUT_NARROWED(p, x) ((p)[0] = (float)(x)[0], (p)[1] = (float)(x)[1])
#define MULTIPLY_ADD_F64(a, b, sum) ((a) * (b) + (sum))
#include "kernels/gemm/micro_short.h"

typedef float vec __attribute__((vector_size(16), aligned(4)));

static inline __attribute__((always_inline)) void tile_of(int rows, int vectors, size_t k,
                                                          const float *a, const float *b,
                                                          size_t b_stride, float out[MR][2 * LANES])
{
    vec sum[MR][2] = {{{0}}};
    for (; k; k--, a += rows, b += b_stride) {
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) sum[i][v] += a[i] * *(const vec *)(b + v * LANES);
    }
    memcpy(out, sum, sizeof sum);
}

static void tile(size_t k, const float *a, size_t rows, const float *b, size_t b_stride,
                 size_t cols, float *c, size_t stride, float alpha, bool add)
{
    float sum[MR][2 * LANES];
    switch (rows * 2 + (cols > LANES)) {
    case 2:
        tile_of(1, 1, k, a, b, b_stride, sum);
        break;
    case 3:
        tile_of(1, 2, k, a, b, b_stride, sum);
        break;
    case 4:
        tile_of(2, 1, k, a, b, b_stride, sum);
        break;
    case 5:
        tile_of(2, 2, k, a, b, b_stride, sum);
        break;
    case 6:
        tile_of(3, 1, k, a, b, b_stride, sum);
        break;
    case 7:
        tile_of(3, 2, k, a, b, b_stride, sum);
        break;
    case 8:
        tile_of(4, 1, k, a, b, b_stride, sum);
        break;
    default:
        tile_of(4, 2, k, a, b, b_stride, sum);
        break;
    }
    for (size_t i = 0; i < rows; i++, c += stride)
        for (size_t j = 0; j < cols; j++) c[j] = (add ? c[j] : 0.0f) + alpha * sum[i][j];
}

/* Copies a few columns at a time into packed form. */
static void tile_direct(size_t k, const float *a, size_t a_stride, size_t rows, const float *b,
                        size_t b_stride, size_t cols, float *c, size_t stride, float alpha,
                        bool add)
{
    enum { DEPTH = 64 };
    float packed[DEPTH * MR];
    for (size_t k0 = 0; k0 < k; k0 += DEPTH) {
        const size_t n = k - k0 < DEPTH ? k - k0 : DEPTH;
        for (size_t i = 0; i < n; i++)
            for (size_t r = 0; r < rows; r++) packed[i * rows + r] = a[r * a_stride + k0 + i];
        tile(n, packed, rows, b + k0 * b_stride, b_stride, cols, c, stride, alpha, add || k0);
    }
}

/* clang-format off */
SHORT(1) SHORT(2) SHORT(3) SHORT(4)
TILE_SHORT(short_1, short_2, short_3, short_4)
/* clang-format on */

static void transpose(const float *src, size_t src_stride, size_t rows, size_t cols, float *dst,
                      size_t dst_stride)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) dst[c * dst_stride + r] = src[r * src_stride + c];
}

static float dot(lrk_dtype t, const void *w, const float *x, const float *x_sums, size_t k)
{
    (void)x_sums;
    enum { PART = 256 }; /* a multiple of every block */
    float y[PART];
    vec sum = {0};
    float tail = 0.0f;
    for (size_t i = 0; i < k; i += PART) {
        const size_t n = k - i < PART ? k - i : PART, whole = n / LANES * LANES;
        lrk_to_f32(t, (const char *)w + lrk_row_bytes(t, i), n, y);
        for (size_t j = 0; j < whole; j += LANES)
            sum += *(const vec *)(y + j) * *(const vec *)(x + i + j);
        for (size_t j = whole; j < n; j++) tail += y[j] * x[i + j];
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]) + tail;
}

const lrk_gemm_isa lrk_gemm_scalar = {
    .mr = MR,
    .nr = 2 * LANES,
    .kc = 256,
    .together = 1,
    .lanes = LANES,
    .to_f32 = lrk_to_f32,
    .transpose = transpose,
    .tile = tile,
    .tile_direct = tile_direct,
    .tile_short = tile_short,
    .dot = dot,
};
