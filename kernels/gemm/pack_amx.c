/* kernels/gemm/pack_amx.c -- rows of any type to bf16, and bf16 to tiles. */
#include "kernels/gemm/amx.h"

#include <immintrin.h>

/* ---- to bf16 ---- */

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

void lrk_to_bf16_amx(lrk_dtype t, const void *src, size_t n, uint16_t *dst, float *tmp)
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

/* ---- to tiles ---- */

/* A pair of bf16 is a 32-bit number here. As the transposition in micro_avx512.c. */
static inline __attribute__((always_inline)) void transpose_16(__m512i r[16])
{
    __m512i t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

void lrk_tiles_of_rows_amx(const uint16_t *src, size_t stride, size_t k, uint16_t *dst, size_t step)
{
    for (size_t s = 0; s < k; s += LRK_TILE_K, dst += step) {
        __m512i r[16];
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(src + i * stride + s);
        transpose_16(r);
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; i++) _mm512_storeu_si512(dst + i * 32, r[i]);
    }
}

void lrk_tiles_of_columns_amx(const uint16_t *even, const uint16_t *odd, size_t tiles,
                              uint16_t *dst)
{
    /* unpacking works within 128 bits: bring columns 0-3, 16-19; 4-7, 20-23; ... together first */
    const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    for (; tiles > 1; tiles -= 2, even += 32, odd += 32, dst += 2 * LRK_TILE_SIZE) {
        const __m512i a = _mm512_permutexvar_epi64(order, _mm512_loadu_si512(even));
        const __m512i b = _mm512_permutexvar_epi64(order, _mm512_loadu_si512(odd));
        _mm512_storeu_si512(dst, _mm512_unpacklo_epi16(a, b));
        _mm512_storeu_si512(dst + LRK_TILE_SIZE, _mm512_unpackhi_epi16(a, b));
    }
    for (size_t i = 0; tiles && i < LRK_TILE_ROWS; i++) {
        dst[2 * i] = even[i];
        dst[2 * i + 1] = odd[i];
    }
}

void lrk_tile_transposed_amx(const uint16_t *src, size_t stride, uint16_t *dst)
{
    __m512i r[16];
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) {
        const __m256i *even = (const __m256i *)(const void *)(src + 2 * i * stride);
        const __m256i *odd = (const __m256i *)(const void *)(src + (2 * i + 1) * stride);
        const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256(even));
        const __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256(odd));
        r[i] = _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
    }
    transpose_16(r);
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) _mm512_storeu_si512(dst + i * 32, r[i]);
}
