/* kernels/gemm/decode_avx512_bf16.c -- rows of any type to bf16. */
#include "kernels/gemm/impl.h"

#include <immintrin.h>

static inline float half_at(const unsigned char *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _cvtsh_ss(h);
}

static inline void put_32(__m512 low, __m512 high, uint16_t *dst)
{
    _mm512_storeu_si512(dst, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

/* 32 codes, low nibbles then high ones, through a table of their 16 values. */
static inline void put_nibbles(const unsigned char *q, __m512 values, uint16_t *dst)
{
    const __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)q));
    const __m256i shifts = _mm256_setr_epi64x(0, 0, 4, 4);
    const __m256i codes = _mm256_and_si256(_mm256_srlv_epi64(twice, shifts), _mm256_set1_epi8(15));
    const __m512i table = _mm512_castsi256_si512((__m256i)_mm512_cvtneps_pbh(values));
    _mm512_storeu_si512(dst, _mm512_permutexvar_epi16(_mm512_cvtepu8_epi16(codes), table));
}

static void q4_0_row(const unsigned char *b, size_t n, uint16_t *dst)
{
    const __m512 code = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
    for (size_t i = 0; i < n; i += 32, b += 18)
        put_nibbles(b + 2, _mm512_mul_ps(_mm512_set1_ps(half_at(b)), code), dst + i);
}

static void q4_1_row(const unsigned char *b, size_t n, uint16_t *dst)
{
    const __m512 code = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (size_t i = 0; i < n; i += 32, b += 20) {
        const __m512 both = _mm512_castps128_ps512(_mm_cvtph_ps(_mm_loadu_si32(b)));
        const __m512 product = _mm512_mul_ps(_mm512_broadcastss_ps(_mm512_castps512_ps128(both)), code);
        const __m512 least = _mm512_permutexvar_ps(_mm512_set1_epi32(1), both);
        put_nibbles(b + 4, _mm512_add_ps(product, least), dst + i);
    }
}

static inline __m512 codes_at(const unsigned char *q)
{
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)q)));
}

static void q8_0_row(const unsigned char *b, size_t n, uint16_t *dst)
{
    for (size_t i = 0; i < n; i += 32, b += 34) {
        const __m512 d = _mm512_set1_ps(half_at(b));
        put_32(_mm512_mul_ps(codes_at(b + 2), d), _mm512_mul_ps(codes_at(b + 18), d), dst + i);
    }
}

static void f32_row(const float *src, size_t n, uint16_t *dst)
{
    for (size_t i = 0; i < n; i += 32) {
        const uint32_t mask = n - i < 32 ? (1u << (n - i)) - 1 : UINT32_MAX;
        const __m512 low = _mm512_maskz_loadu_ps((__mmask16)(mask & 0xffffu), src + i);
        const __m512 high = _mm512_maskz_loadu_ps((__mmask16)(mask >> 16), src + i + 16);
        _mm512_mask_storeu_epi16(dst + i, mask, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

void lrk_to_bf16_avx512_bf16(lrk_dtype t, const void *src, size_t n, uint16_t *dst, float *tmp)
{
    switch (t) {
    case LRK_BF16:
        memcpy(dst, src, n * sizeof *dst);
        return;
    case LRK_F32:
        f32_row(src, n, dst);
        return;
    case LRK_Q4_0:
        q4_0_row(src, n, dst);
        return;
    case LRK_Q4_1:
        q4_1_row(src, n, dst);
        return;
    case LRK_Q8_0:
        q8_0_row(src, n, dst);
        return;
    default:
        lrk_to_f32_avx512(t, src, n, tmp);
        f32_row(tmp, n, dst);
    }
}
