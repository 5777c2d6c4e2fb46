/* kernels/gemm/micro_avx512.h -- the micro-kernel of AVX-512, 14 x 32, for the file that says what a
 * multiply-add is: MULTIPLY_ADD(a, b, sum), vectors of the elements of panels. */
#ifndef LRK_KERNELS_GEMM_MICRO_AVX512_H
#define LRK_KERNELS_GEMM_MICRO_AVX512_H
#include "kernels/gemm/impl.h"

#include <immintrin.h>

enum { MR = 14, LANES = 16 };

/* Pairs read where they lie are bf16 to the compiler, and may begin at any of them. */
static inline __attribute__((always_inline)) __m512 everywhere(const float *p)
{
    float bits;
    memcpy(&bits, p, sizeof bits);
    return _mm512_set1_ps(bits);
}

/* Where operands lie: packed both; A as it lies in memory; B, whose next strip is asked for. */
enum { PACKED, DIRECT, FAR };

/* rows, vectors and way are constants wherever this is inlined, so the accumulators are registers. */
static inline __attribute__((always_inline)) void tile_of(int rows, int vectors, int way,
                                                          size_t k, const float *a, size_t a_stride,
                                                          const float *b, size_t b_stride,
                                                          __mmask16 last, float *c, size_t stride,
                                                          float alpha, bool add)
{
    __m512 sum[MR][2];
    /* every third row has a pointer; the two after it are one and two strides away */
    const float *row[5];
    for (int i = 0; i < 5; i++) row[i] = a + (size_t)i * 3 * a_stride;
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
        const char *line = (const char *)(c + (size_t)i * stride);
        _mm_prefetch(line, _MM_HINT_T0);
        if (vectors > 1) _mm_prefetch(line + 64, _MM_HINT_T0);
    }
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (size_t at = 0; at < k; at++, a += rows, b += b_stride) {
        const __m512 b0 = _mm512_loadu_ps(b);
        if (way == FAR) _mm_prefetch((const char *)(b + 2 * LANES), _MM_HINT_T0);
        if (way == FAR) _mm_prefetch((const char *)(b + 3 * LANES), _MM_HINT_T0);
        const __m512 b1 = vectors > 1 ? _mm512_loadu_ps(b + LANES) : b0;
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
            const __m512 ai =
                everywhere(way == DIRECT ? row[i / 3] + at + (size_t)(i % 3) * a_stride : a + i);
            sum[i][0] = MULTIPLY_ADD(ai, b0, sum[i][0]);
            if (vectors > 1) sum[i][1] = MULTIPLY_ADD(ai, b1, sum[i][1]);
        }
    }
    /* hides c, else the compiler keeps 14 addresses from the prefetches in vector registers */
    __asm__("" : "+r"(c), "+r"(stride));
    const __m512 scale = _mm512_set1_ps(alpha);
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++, c += stride) {
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            const __mmask16 mask = v + 1 < vectors ? 0xffff : last;
            const __m512 old =
                add ? _mm512_maskz_loadu_ps(mask, c + v * LANES) : _mm512_setzero_ps();
            _mm512_mask_storeu_ps(c + v * LANES, mask, _mm512_fmadd_ps(scale, sum[i][v], old));
        }
    }
}

typedef void (*tile_fn)(size_t k, const float *a, size_t a_stride, const float *b, size_t b_stride,
                        __mmask16 last, float *c, size_t stride, float alpha, bool add);
#define TILE(name, rows, vectors, way)                                                             \
    static void name##_##rows##_##vectors(size_t k, const float *a, size_t a_stride,               \
                                          const float *b, size_t b_stride, __mmask16 last,         \
                                          float *c, size_t stride, float alpha, bool add)          \
    {                                                                                              \
        tile_of(rows, vectors, way, k, a, a_stride, b, b_stride, last, c, stride, alpha, add);     \
    }
/* clang-format off */
#define TILES(rows)                                             \
    TILE(packed, rows, 1, PACKED) TILE(packed, rows, 2, PACKED) \
    TILE(direct, rows, 1, DIRECT) TILE(direct, rows, 2, DIRECT) \
    TILE(far, rows, 1, FAR) TILE(far, rows, 2, FAR)
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6) TILES(7)
TILES(8) TILES(9) TILES(10) TILES(11) TILES(12) TILES(13) TILES(14)

#define ROWS(rows)                                                                              \
    {{packed_##rows##_1, packed_##rows##_2}, {direct_##rows##_1, direct_##rows##_2}, {far_##rows##_1, far_##rows##_2}}
static const tile_fn tiles[MR][3][2] = {
    ROWS(1),  ROWS(2),  ROWS(3),  ROWS(4),  ROWS(5), ROWS(6), ROWS(7),
    ROWS(8),  ROWS(9),  ROWS(10), ROWS(11), ROWS(12), ROWS(13), ROWS(14),
};
/* clang-format on */

static __mmask16 last_lanes(size_t cols)
{
    return (__mmask16)(0xffffu >> (LANES - 1 - (cols - 1) % LANES));
}

static void tile(size_t k, const float *a, size_t rows, const float *b, size_t b_stride,
                 size_t cols, float *c, size_t stride, float alpha, bool add)
{
    const int way = b_stride > 2 * LANES ? FAR : PACKED;
    tiles[rows - 1][way][(cols - 1) / LANES](k, a, 0, b, b_stride, last_lanes(cols), c, stride, alpha, add);
}

static void tile_direct(size_t k, const float *a, size_t a_stride, size_t rows, const float *b,
                        size_t b_stride, size_t cols, float *c, size_t stride, float alpha,
                        bool add)
{
    tiles[rows - 1][DIRECT][(cols - 1) / LANES](k, a, a_stride, b, b_stride, last_lanes(cols), c, stride,
                                           alpha, add);
}

#endif /* LRK_KERNELS_GEMM_MICRO_AVX512_H */
