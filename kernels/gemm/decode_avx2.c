/* kernels/gemm/decode_avx2.c -- rows of any type to f32 with AVX2 and F16C. */
#include "kernels/gemm/impl.h"

#include <immintrin.h>

static inline __m256 floats(__m128i codes)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes));
}

static inline __m128i upper(__m128i codes)
{
    return _mm_srli_si128(codes, 8);
}

static inline void scaled(__m128i codes, float d, float *dst)
{
    const __m256 scale = _mm256_set1_ps(d);
    _mm256_storeu_ps(dst, _mm256_mul_ps(floats(codes), scale));
    _mm256_storeu_ps(dst + 8, _mm256_mul_ps(floats(upper(codes)), scale));
}

static inline void shifted(__m128i codes, float d, float m, float *dst)
{
    const __m256 scale = _mm256_set1_ps(d), shift = _mm256_set1_ps(m);
    _mm256_storeu_ps(dst, _mm256_add_ps(_mm256_mul_ps(floats(codes), scale), shift));
    _mm256_storeu_ps(dst + 8, _mm256_add_ps(_mm256_mul_ps(floats(upper(codes)), scale), shift));
}

static inline __m128i words(const unsigned char *src)
{
    return _mm_loadu_si128((const __m128i *)(const void *)src);
}

static inline void halves(const unsigned char *src, float *dst)
{
    _mm256_storeu_ps(dst, _mm256_cvtph_ps(words(src)));
    _mm256_storeu_ps(dst + 8, _mm256_cvtph_ps(words(src + 16)));
}

static inline __m256 brain(const unsigned char *src)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(words(src)), 16));
}

static inline void brains(const unsigned char *src, float *dst)
{
    _mm256_storeu_ps(dst, brain(src));
    _mm256_storeu_ps(dst + 8, brain(src + 16));
}

#include "kernels/gemm/decode_x86.h"

void lrk_to_f32_avx2(lrk_dtype t, const void *src, size_t n, float *dst)
{
    decode_row(t, src, n, dst);
}
