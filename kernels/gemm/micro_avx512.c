/* kernels/gemm/micro_avx512.c -- the f32 micro-kernel, 14 x 32, and transposition with AVX-512. */
#include "kernels/gemm/impl.h"

#include <immintrin.h>

enum { MR = 14, LANES = 16 };

/* rows and vectors are constants wherever this is inlined, so the accumulators are registers. */
static inline __attribute__((always_inline)) void tile_of(int rows, int vectors, bool direct,
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
        const __m512 b1 = vectors > 1 ? _mm512_loadu_ps(b + LANES) : b0;
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
            const __m512 ai =
                _mm512_set1_ps(direct ? row[i / 3][at + (size_t)(i % 3) * a_stride] : a[i]);
            sum[i][0] = _mm512_fmadd_ps(ai, b0, sum[i][0]);
            if (vectors > 1) sum[i][1] = _mm512_fmadd_ps(ai, b1, sum[i][1]);
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
#define TILE(name, rows, vectors, direct)                                                          \
    static void name##_##rows##_##vectors(size_t k, const float *a, size_t a_stride,               \
                                          const float *b, size_t b_stride, __mmask16 last,         \
                                          float *c, size_t stride, float alpha, bool add)          \
    {                                                                                              \
        tile_of(rows, vectors, direct, k, a, a_stride, b, b_stride, last, c, stride, alpha, add);  \
    }
/* clang-format off */
#define TILES(rows)                                           \
    TILE(packed, rows, 1, false) TILE(packed, rows, 2, false) \
    TILE(direct, rows, 1, true) TILE(direct, rows, 2, true)
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6) TILES(7)
TILES(8) TILES(9) TILES(10) TILES(11) TILES(12) TILES(13) TILES(14)

#define ROWS(rows) {{packed_##rows##_1, packed_##rows##_2}, {direct_##rows##_1, direct_##rows##_2}}
static const tile_fn tiles[MR][2][2] = {
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
    tiles[rows - 1][0][(cols - 1) / LANES](k, a, 0, b, b_stride, last_lanes(cols), c, stride, alpha,
                                           add);
}

static void tile_direct(size_t k, const float *a, size_t a_stride, size_t rows, const float *b,
                        size_t b_stride, size_t cols, float *c, size_t stride, float alpha,
                        bool add)
{
    tiles[rows - 1][1][(cols - 1) / LANES](k, a, a_stride, b, b_stride, last_lanes(cols), c, stride,
                                           alpha, add);
}

/* Four rounds of butterflies: after round s, rows that differ in bit s have swapped their parts. */
static inline __attribute__((always_inline)) void transpose_16(__m512 r[16])
{
    __m512 t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[4 * i] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

static void transpose(const float *src, size_t src_stride, size_t rows, size_t cols, float *dst,
                      size_t dst_stride)
{
    for (size_t i = 0; i < rows; i += LANES) {
        const size_t n = rows - i < LANES ? rows - i : LANES;
        const __mmask16 write = (__mmask16)(0xffffu >> (LANES - n));
        for (size_t j = 0; j < cols; j += LANES) {
            const size_t w = cols - j < LANES ? cols - j : LANES;
            const __mmask16 read = (__mmask16)(0xffffu >> (LANES - w));
            __m512 r[16];
#pragma GCC unroll 16
            for (size_t s = 0; s < LANES; s++)
                r[s] = s < n ? _mm512_maskz_loadu_ps(read, src + (i + s) * src_stride + j)
                             : _mm512_setzero_ps();
            transpose_16(r);
            float *out = dst + j * dst_stride + i;
            if (w == LANES) {
#pragma GCC unroll 16
                for (size_t s = 0; s < LANES; s++)
                    _mm512_mask_storeu_ps(out + s * dst_stride, write, r[s]);
            } else {
                for (size_t s = 0; s < w; s++)
                    _mm512_mask_storeu_ps(out + s * dst_stride, write, r[s]);
            }
        }
    }
}

const lrk_gemm_isa lrk_gemm_avx512 = {
    .mr = MR,
    .nr = 2 * LANES,
    .kc = 192,
    .lanes = LANES,
    .to_f32 = lrk_to_f32_avx512,
    .transpose = transpose,
    .tile = tile,
    .tile_direct = tile_direct,
    .dot = lrk_dot_avx512,
};
