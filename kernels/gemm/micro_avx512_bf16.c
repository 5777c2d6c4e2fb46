/* kernels/gemm/micro_avx512_bf16.c -- the micro-kernel on pairs of bf16: VDPBF16PS adds both products of
 * a pair to a sum in f32. */
#define MULTIPLY_ADD(a, b, sum) _mm512_dpbf16_ps(sum, (__m512bh)(a), (__m512bh)(b))
#include "kernels/gemm/micro_avx512.h"

/* dst: floats that hold pairs */
static void pair(const uint16_t *even, const uint16_t *odd, size_t n, float *dst)
{
    for (size_t i = 0; i < n; i += LANES) {
        const __mmask16 mask = (__mmask16)(n - i < LANES ? (1u << (n - i)) - 1 : 0xffffu);
        const __m256i low = _mm256_maskz_loadu_epi16(mask, even + i);
        const __m256i high = odd ? _mm256_maskz_loadu_epi16(mask, odd + i) : _mm256_setzero_si256();
        const __m512i both = _mm512_or_si512(_mm512_cvtepu16_epi32(low),
                                             _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
        _mm512_mask_storeu_epi32(dst + i, mask, both);
    }
}

const lrk_gemm_isa lrk_gemm_avx512_bf16 = {
    .mr = MR,
    .nr = 2 * LANES,
    .kc = 384,
    .together = 2,
    .lanes = LANES,
    .to_f32 = lrk_to_f32_avx512,
    .to_bf16 = lrk_to_bf16_avx512_bf16,
    .pair = pair,
    .transpose = lrk_transpose_avx512,
    .tile = tile,
    .tile_direct = tile_direct,
    .dot = lrk_dot_avx512,
};
