/* kernels/gemm/micro_avx512.c -- the f32 micro-kernel and transposition with AVX-512. */
#define MULTIPLY_ADD(a, b, sum) _mm512_fmadd_ps(a, b, sum)
#include "kernels/gemm/micro_avx512.h"

typedef __m512d half_f64;
#define WIDENED(p) _mm512_cvtps_pd(_mm256_loadu_ps(p))
#define PUT_NARROWED(p, x) _mm256_storeu_ps(p, _mm512_cvtpd_ps(x))
#define MULTIPLY_ADD_F64(a, b, sum) _mm512_fmadd_pd(a, b, sum)
#include "kernels/gemm/micro_short.h"

/* clang-format off */
SHORT(1) SHORT(2) SHORT(3) SHORT(4) SHORT(5) SHORT(6) SHORT(7)
SHORT(8) SHORT(9) SHORT(10) SHORT(11) SHORT(12) SHORT(13) SHORT(14)
TILE_SHORT(short_1, short_2, short_3, short_4, short_5, short_6, short_7,
           short_8, short_9, short_10, short_11, short_12, short_13, short_14)
/* clang-format on */

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

void lrk_transpose_avx512(const float *src, size_t src_stride, size_t rows, size_t cols, float *dst,
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
    .together = 1,
    .lanes = LANES,
    .to_f32 = lrk_to_f32_avx512,
    .transpose = lrk_transpose_avx512,
    .tile = tile,
    .tile_direct = tile_direct,
    .tile_short = tile_short,
    .dot = lrk_dot_avx512,
};
