/* kernels/gemm/decode_avx2.c -- rows of any type to f32 with AVX2 and F16C. */
#include "kernels/gemm/impl.h"

#include <immintrin.h>

static inline __m256 floats(__m128i codes)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes));
}

static inline __m128i upper(__m128i codes) { return _mm_srli_si128(codes, 8); }

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

/* The upper bit of a code chooses between the halves of the table; shifted up, it is a sign. */
static inline __m256 entries(const float *table, __m256i codes)
{
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), codes);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), codes);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(codes, 28)));
}

static inline void looked_up(const float *table, __m128i codes, float d, float *dst)
{
    const __m256 scale = _mm256_set1_ps(d);
    const __m256 a = entries(table, _mm256_cvtepu8_epi32(codes));
    const __m256 b = entries(table, _mm256_cvtepu8_epi32(upper(codes)));
    _mm256_storeu_ps(dst, _mm256_mul_ps(a, scale));
    _mm256_storeu_ps(dst + 8, _mm256_mul_ps(b, scale));
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

typedef struct sums {
    __m256 a, b, c, d;
} sums;

static inline sums none(void)
{
    const __m256 zero = _mm256_setzero_ps();
    return (sums){zero, zero, zero, zero};
}

static inline sums dot_32(sums s, const float *y, const float *x)
{
    s.a = _mm256_fmadd_ps(_mm256_loadu_ps(y), _mm256_loadu_ps(x), s.a);
    s.b = _mm256_fmadd_ps(_mm256_loadu_ps(y + 8), _mm256_loadu_ps(x + 8), s.b);
    s.c = _mm256_fmadd_ps(_mm256_loadu_ps(y + 16), _mm256_loadu_ps(x + 16), s.c);
    s.d = _mm256_fmadd_ps(_mm256_loadu_ps(y + 24), _mm256_loadu_ps(x + 24), s.d);
    return s;
}

static inline sums code_dot(sums s, __m128i low, __m128i high, float d, const float *x)
{
    __m256 p = _mm256_mul_ps(floats(low), _mm256_loadu_ps(x));
    __m256 q = _mm256_mul_ps(floats(high), _mm256_loadu_ps(x + 16));
    p = _mm256_fmadd_ps(floats(upper(low)), _mm256_loadu_ps(x + 8), p);
    q = _mm256_fmadd_ps(floats(upper(high)), _mm256_loadu_ps(x + 24), q);
    s.a = _mm256_fmadd_ps(_mm256_set1_ps(d), p, s.a);
    s.b = _mm256_fmadd_ps(_mm256_set1_ps(d), q, s.b);
    return s;
}

static inline __m128i eight(const unsigned char *q)
{
    return _mm_loadl_epi64((const __m128i *)(const void *)q);
}

static inline sums nibble_dot(sums s, const unsigned char *q, __m128 d, const float *x)
{
    const __m256i mask = _mm256_set1_epi32(15);
    const __m256i a = _mm256_cvtepu8_epi32(eight(q)), b = _mm256_cvtepu8_epi32(eight(q + 8));
    const __m256 scale = _mm256_broadcastss_ps(d);
    const __m256 a_low = _mm256_cvtepi32_ps(_mm256_and_si256(a, mask));
    const __m256 b_low = _mm256_cvtepi32_ps(_mm256_and_si256(b, mask));
    const __m256 a_high = _mm256_cvtepi32_ps(_mm256_srli_epi32(a, 4));
    const __m256 b_high = _mm256_cvtepi32_ps(_mm256_srli_epi32(b, 4));
    const __m256 p =
        _mm256_fmadd_ps(a_high, _mm256_loadu_ps(x + 16), _mm256_mul_ps(a_low, _mm256_loadu_ps(x)));
    const __m256 r = _mm256_fmadd_ps(b_high, _mm256_loadu_ps(x + 24),
                                     _mm256_mul_ps(b_low, _mm256_loadu_ps(x + 8)));
    s.a = _mm256_fmadd_ps(scale, p, s.a);
    s.b = _mm256_fmadd_ps(scale, r, s.b);
    return s;
}

static inline __m256 bytes_at(const unsigned char *q)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight(q)));
}

static inline sums byte_dot(sums s, const unsigned char *q, __m128 d, const float *x)
{
    const __m256 scale = _mm256_broadcastss_ps(d);
    const __m256 p = _mm256_fmadd_ps(bytes_at(q + 8), _mm256_loadu_ps(x + 8),
                                     _mm256_mul_ps(bytes_at(q), _mm256_loadu_ps(x)));
    const __m256 r = _mm256_fmadd_ps(bytes_at(q + 24), _mm256_loadu_ps(x + 24),
                                     _mm256_mul_ps(bytes_at(q + 16), _mm256_loadu_ps(x + 16)));
    s.a = _mm256_fmadd_ps(scale, p, s.a);
    s.b = _mm256_fmadd_ps(scale, r, s.b);
    return s;
}

static inline float total(sums s)
{
    const __m256 all = _mm256_add_ps(_mm256_add_ps(s.a, s.b), _mm256_add_ps(s.c, s.d));
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

#include "kernels/gemm/decode_x86.h"

void lrk_to_f32_avx2(lrk_dtype t, const void *src, size_t n, float *dst)
{
    decode_row(t, src, n, dst);
}

float lrk_dot_avx2(lrk_dtype t, const void *w, const float *x, const float *x_sums, size_t k)
{
    return dot_row(t, w, x, x_sums, k);
}
