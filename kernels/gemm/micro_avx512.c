/* kernels/gemm/micro_avx512.c -- the f32 micro-kernel, 14 x 32, and transposition with AVX-512. */
#include "kernels/gemm/impl.h"

#include <immintrin.h>

enum { MR = 14, LANES = 16 };

/* rows and vectors are constants wherever this is inlined, so the accumulators are registers. */
static inline __attribute__((always_inline)) void tile_of(int rows, int vectors, size_t k,
                                                          const float *a, const float *b,
                                                          __mmask16 last, float *c, size_t stride,
                                                          float alpha, bool add)
{
    __m512 sum[MR][2];
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (; k; k--, a += rows, b += vectors * LANES) {
        const __m512 b0 = _mm512_loadu_ps(b);
        const __m512 b1 = vectors > 1 ? _mm512_loadu_ps(b + LANES) : b0;
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
            const __m512 ai = _mm512_set1_ps(a[i]);
            sum[i][0] = _mm512_fmadd_ps(ai, b0, sum[i][0]);
            if (vectors > 1) sum[i][1] = _mm512_fmadd_ps(ai, b1, sum[i][1]);
        }
    }
    const __m512 scale = _mm512_set1_ps(alpha);
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++, c += stride) {
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            const __mmask16 mask = v + 1 < vectors ? 0xffff : last;
            const __m512 old = add ? _mm512_maskz_loadu_ps(mask, c + v * LANES) : _mm512_setzero_ps();
            _mm512_mask_storeu_ps(c + v * LANES, mask, _mm512_fmadd_ps(scale, sum[i][v], old));
        }
    }
}

typedef void (*tile_fn)(size_t k, const float *a, const float *b, __mmask16 last, float *c,
                        size_t stride, float alpha, bool add);
#define TILE(rows, vectors)                                                                     \
    static void tile_##rows##_##vectors(size_t k, const float *a, const float *b,               \
                                        __mmask16 last, float *c, size_t stride, float alpha,   \
                                        bool add)                                               \
    {                                                                                           \
        tile_of(rows, vectors, k, a, b, last, c, stride, alpha, add);                           \
    }
#define TILES(rows) TILE(rows, 1) TILE(rows, 2)
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6) TILES(7)
TILES(8) TILES(9) TILES(10) TILES(11) TILES(12) TILES(13) TILES(14)

#define PAIR(rows) {tile_##rows##_1, tile_##rows##_2}
static const tile_fn tiles[MR][2] = {PAIR(1), PAIR(2),  PAIR(3),  PAIR(4),  PAIR(5),
                                     PAIR(6), PAIR(7),  PAIR(8),  PAIR(9),  PAIR(10),
                                     PAIR(11), PAIR(12), PAIR(13), PAIR(14)};

static void tile(size_t k, const float *a, size_t rows, const float *b, size_t cols, float *c,
                 size_t stride, float alpha, bool add)
{
    const size_t tail = cols % LANES;
    const __mmask16 last = (__mmask16)(tail ? (1u << tail) - 1 : 0xffffu);
    tiles[rows - 1][(cols - 1) / LANES](k, a, b, last, c, stride, alpha, add);
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
    .kc = 256,
    .lanes = LANES,
    .to_f32 = lrk_to_f32_avx512,
    .transpose = transpose,
    .tile = tile,
};
