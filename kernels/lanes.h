/* kernels/lanes.h -- one vector register of the instruction set that a kernel is built for: as many
 * lrk_real as fit, and how many of them a product of local matrices may keep busy. Included after
 * LRK_REAL is set, as kernels/real.h.
 */
#ifndef LRK_KERNELS_LANES_H
#define LRK_KERNELS_LANES_H
#include "kernels/real.h"

#if LRK_REAL != LRK_BUILD_F64 && (defined(__AVX512F__) || defined(__AVX2__))
#include <immintrin.h>
#endif

#if LRK_REAL != LRK_BUILD_F64 && defined(__AVX512F__)
typedef __m512 lrk_lanes;
#define lrk_lanes_all(x) _mm512_set1_ps(x)
#define lrk_lanes_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
enum { LRK_LANES = 16, LRK_BLOCK_ROWS = 8 };
#elif LRK_REAL != LRK_BUILD_F64 && defined(__AVX2__)
typedef __m256 lrk_lanes;
#define lrk_lanes_all(x) _mm256_set1_ps(x)
#define lrk_lanes_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
enum { LRK_LANES = 8, LRK_BLOCK_ROWS = 6 };
#elif LRK_REAL != LRK_BUILD_F64
typedef float lrk_lanes __attribute__((vector_size(16)));
#define lrk_lanes_all(x) ((lrk_lanes){x, x, x, x})
#define lrk_lanes_fma(a, b, c) ((a) * (b) + (c))
enum { LRK_LANES = 4, LRK_BLOCK_ROWS = 6 };
#else
typedef double lrk_lanes __attribute__((vector_size(16)));
#define lrk_lanes_all(x) ((lrk_lanes){x, x})
#define lrk_lanes_fma(a, b, c) ((a) * (b) + (c))
enum { LRK_LANES = 2, LRK_BLOCK_ROWS = 6 };
#endif

static inline lrk_lanes lrk_lanes_load(const lrk_real *p)
{
    lrk_lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void lrk_lanes_store(lrk_real *p, lrk_lanes v)
{
    memcpy(p, &v, sizeof v);
}

/* The sum of all lanes. A simd reduction would add them one after the other, through memory. */
static inline lrk_real lrk_lanes_sum(lrk_lanes v)
{
#if LRK_REAL != LRK_BUILD_F64 && defined(__AVX512F__)
    return _mm512_reduce_add_ps(v);
#elif LRK_REAL != LRK_BUILD_F64 && defined(__AVX2__)
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
#else
    lrk_real sum = v[0] + v[1];
    for (int l = 2; l < LRK_LANES; l += 2) sum += v[l] + v[l + 1];
    return sum;
#endif
}

/* a . b for n elements, n a multiple of LRK_LANES. */
static inline lrk_real lrk_lanes_dot(const lrk_real *a, const lrk_real *b, size_t n)
{
    lrk_lanes sum = lrk_lanes_all(0);
    for (size_t i = 0; i < n; i += LRK_LANES)
        sum = lrk_lanes_fma(lrk_lanes_load(a + i), lrk_lanes_load(b + i), sum);
    return lrk_lanes_sum(sum);
}

#endif /* LRK_KERNELS_LANES_H */
