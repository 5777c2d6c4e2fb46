/* kernels/gemm/decode_avx512.c -- rows of any type to f32 with AVX-512. */
#include "kernels/gemm/impl.h"

#include <immintrin.h>

static inline __m512 floats(__m128i codes)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));
}

static inline void scaled(__m128i codes, float d, float *dst)
{
    _mm512_storeu_ps(dst, _mm512_mul_ps(floats(codes), _mm512_set1_ps(d)));
}

static inline void shifted(__m128i codes, float d, float m, float *dst)
{
    const __m512 product = _mm512_mul_ps(floats(codes), _mm512_set1_ps(d));
    _mm512_storeu_ps(dst, _mm512_add_ps(product, _mm512_set1_ps(m)));
}

static inline void looked_up(const float *table, __m128i codes, float d, float *dst)
{
    const __m512i index = _mm512_cvtepu8_epi32(codes);
    const __m512 entry = _mm512_permutexvar_ps(index, _mm512_loadu_ps(table));
    _mm512_storeu_ps(dst, _mm512_mul_ps(entry, _mm512_set1_ps(d)));
}

static inline __m256i words(const unsigned char *src)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)src);
}

static inline void halves(const unsigned char *src, float *dst)
{
    _mm512_storeu_ps(dst, _mm512_cvtph_ps(words(src)));
}

static inline void brains(const unsigned char *src, float *dst)
{
    const __m512i wide = _mm512_slli_epi32(_mm512_cvtepu16_epi32(words(src)), 16);
    _mm512_storeu_ps(dst, _mm512_castsi512_ps(wide));
}

typedef struct sums {
    __m512 a, b;
} sums;

static inline sums none(void) { return (sums){_mm512_setzero_ps(), _mm512_setzero_ps()}; }

static inline sums dot_32(sums s, const float *y, const float *x)
{
    s.a = _mm512_fmadd_ps(_mm512_loadu_ps(y), _mm512_loadu_ps(x), s.a);
    s.b = _mm512_fmadd_ps(_mm512_loadu_ps(y + 16), _mm512_loadu_ps(x + 16), s.b);
    return s;
}

static inline sums code_dot(sums s, __m128i low, __m128i high, float d, const float *x)
{
    const __m512 product = _mm512_mul_ps(floats(low), _mm512_loadu_ps(x));
    const __m512 both = _mm512_fmadd_ps(floats(high), _mm512_loadu_ps(x + 16), product);
    s.a = _mm512_fmadd_ps(_mm512_set1_ps(d), both, s.a);
    return s;
}

static inline __m512i wide(const unsigned char *q)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)q));
}

static inline sums nibble_dot(sums s, const unsigned char *q, __m128 d, const float *x)
{
    const __m512i both = wide(q);
    const __m512 low = _mm512_cvtepi32_ps(_mm512_and_si512(both, _mm512_set1_epi32(15)));
    const __m512 high = _mm512_cvtepi32_ps(_mm512_srli_epi32(both, 4));
    const __m512 product = _mm512_mul_ps(low, _mm512_loadu_ps(x));
    const __m512 sum = _mm512_fmadd_ps(high, _mm512_loadu_ps(x + 16), product);
    s.a = _mm512_fmadd_ps(_mm512_broadcastss_ps(d), sum, s.a);
    return s;
}

static inline sums byte_dot(sums s, const unsigned char *q, __m128 d, const float *x)
{
    const __m128i *p = (const __m128i *)(const void *)q;
    const __m512 product = _mm512_mul_ps(floats(_mm_loadu_si128(p)), _mm512_loadu_ps(x));
    const __m512 sum =
        _mm512_fmadd_ps(floats(_mm_loadu_si128(p + 1)), _mm512_loadu_ps(x + 16), product);
    s.a = _mm512_fmadd_ps(_mm512_broadcastss_ps(d), sum, s.a);
    return s;
}

static inline float total(sums s) { return _mm512_reduce_add_ps(_mm512_add_ps(s.a, s.b)); }

#include "kernels/gemm/decode_x86.h"

void lrk_to_f32_avx512(lrk_dtype t, const void *src, size_t n, float *dst)
{
    decode_row(t, src, n, dst);
}

float lrk_dot_avx512(lrk_dtype t, const void *w, const float *x, const float *x_sums, size_t k)
{
    return dot_row(t, w, x, x_sums, k);
}
