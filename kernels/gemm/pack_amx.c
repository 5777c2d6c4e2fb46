/* kernels/gemm/pack_amx.c -- bf16 to tiles. */
#include "kernels/gemm/amx.h"

#include <immintrin.h>

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
