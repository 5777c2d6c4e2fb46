/* kernels/real.h -- the types of one build of a CPU kernel.
 *
 * A *_cpu.c file is compiled several times (CMakeLists.txt): LRK_REAL names the element type, LRK_ISA
 * the instruction set. It sees
 *   lrk_store   how elements lie in memory:  float | double | uint16_t (bf16)
 *   lrk_real    what arithmetic is done in:  float | double | float
 *   lrk_get(p, i), lrk_put(p, i, v)  one element, converted
 *   lrk_load_row, lrk_accumulate     for inputs that may be f32 beside bf16
 *   LRK_KERNEL(op, pass)  the name of the kernel of this build
 * Reductions that must not lose digits accumulate in double or in lrk_real over short rows; write
 * them as `#pragma omp simd reduction(+ : s)`, which fixes the order for one build.
 */
#ifndef LRK_KERNELS_REAL_H
#define LRK_KERNELS_REAL_H
#include "base/tensor.h"

#include <math.h>

#define LRK_BUILD_F32 1
#define LRK_BUILD_F64 2
#define LRK_BUILD_BF16 3

#if LRK_REAL == LRK_BUILD_F32
typedef float lrk_real;
typedef float lrk_store;
#define LRK_REAL_NAME f32
#define LRK_REAL_DTYPE LRK_F32
#elif LRK_REAL == LRK_BUILD_F64
typedef double lrk_real;
typedef double lrk_store;
#define LRK_REAL_NAME f64
#define LRK_REAL_DTYPE LRK_F64
#elif LRK_REAL == LRK_BUILD_BF16
typedef float lrk_real;
typedef uint16_t lrk_store;
#define LRK_REAL_NAME bf16
#define LRK_REAL_DTYPE LRK_BF16
#endif

#define LRK_PASTE_(a, b, c, d) lrk_##a##_##b##_##c##_##d
#define LRK_PASTE(a, b, c, d) LRK_PASTE_(a, b, c, d)
#define LRK_KERNEL(op, pass) LRK_PASTE(op, pass, LRK_REAL_NAME, LRK_ISA)

#if LRK_REAL == LRK_BUILD_BF16
static inline lrk_real lrk_get(const lrk_store *p, size_t i)
{
    return lrk_bf16_to_f32(p[i]);
}
static inline void lrk_put(lrk_store *p, size_t i, lrk_real v)
{
    p[i] = lrk_f32_to_bf16(v);
}
#else
static inline lrk_real lrk_get(const lrk_store *p, size_t i)
{
    return p[i];
}
static inline void lrk_put(lrk_store *p, size_t i, lrk_real v)
{
    p[i] = v;
}
#endif

/* Row r of t, which is of this build's type or f32 (f64 in f64), as lrk_real: where it lies when it
 * can be read so, else converted into `room`, lrk_cols(t) elements. */
static inline const lrk_real *lrk_load_row(const lrk_tensor *t, size_t r, void *room)
{
#if LRK_REAL == LRK_BUILD_BF16
    if (t->dtype == LRK_REAL_DTYPE) {
        lrk_real *out = room;
        const lrk_store *row = lrk_row(t, r);
        for (size_t i = 0; i < lrk_cols(t); i++) out[i] = lrk_get(row, i);
        return out;
    }
#endif
    (void)room;
    return lrk_row(t, r);
}

/* t[i] += v, or t[i] = v; t is a vector of this build's type or f32. */
static inline void lrk_accumulate(const lrk_tensor *t, size_t i, double v, int fresh)
{
#if LRK_REAL == LRK_BUILD_BF16
    if (t->dtype == LRK_F32) {
        float *p = (float *)t->data + i;
        *p = (float)(fresh ? v : (double)*p + v);
        return;
    }
#endif
    lrk_store *p = t->data;
    lrk_put(p, i, (lrk_real)(fresh ? v : (double)lrk_get(p, i) + v));
}

/* a * b + c: fused, with one rounding, where the build's instruction set has it. */
#if LRK_REAL != LRK_BUILD_F64 && (defined(__FMA__) || defined(__aarch64__))
static inline lrk_real lrk_fma(lrk_real a, lrk_real b, lrk_real c)
{
    return __builtin_fmaf(a, b, c);
}
#else
static inline lrk_real lrk_fma(lrk_real a, lrk_real b, lrk_real c)
{
    return a * b + c;
}
#endif

/* exp. The float version is branch-free so that loops around it become vector code: x = k ln2 + r,
 * exp(r) = 1 + r + r^2 p(r) with a minimax p of degree 5 (5e-11) on |r| <= ln2 / 2; relative error
 * below 1.5 ulp. It saturates outside [-87.3, 88.7]: the smallest normal number, never 0. */
#if LRK_REAL == LRK_BUILD_F64
static inline lrk_real lrk_exp(lrk_real x)
{
    return exp(x);
}
#else
static inline lrk_real lrk_exp(lrk_real x)
{
    x = x < -87.3f ? -87.3f : x > 88.7f ? 88.7f : x;
    /* the nearest integer, which then stands in the low bits of `shifted` too */
    const float shifted = x * 1.44269504f + 12582912.0f, k = shifted - 12582912.0f;
    const float r = lrk_fma(k, 2.12194440e-4f, lrk_fma(k, -0.693359375f, x));
    float p = 1.97902977e-4f;
    p = lrk_fma(p, r, 1.39447034e-3f);
    p = lrk_fma(p, r, 8.33349768e-3f);
    p = lrk_fma(p, r, 4.16662954e-2f);
    p = lrk_fma(p, r, 1.66666657e-1f);
    p = lrk_fma(p, r, 0.5f);
    p = lrk_fma(p * r, r, r) + 1.0f;
    uint32_t bits;
    float scale;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23; /* unsigned: whatever a NaN leaves here, p is NaN */
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}
#endif

/* tanh. The float version is branch-free too, and relatively exact, below 3 ulp: near 0, where
 * 1 - 2 / (1 + e^2x) would cancel, x + x^3 p(x^2) with a minimax p of degree 4 (5e-8) on |x| < 0.625. */
#if LRK_REAL == LRK_BUILD_F64
static inline lrk_real lrk_tanh(lrk_real x)
{
    return tanh(x);
}
#else
static inline lrk_real lrk_tanh(lrk_real x)
{
    const float z = x * x, far = 1.0f - 2.0f / (1.0f + lrk_exp(2.0f * x));
    float p = -6.096714166e-3f;
    p = lrk_fma(p, z, 2.0997179e-2f);
    p = lrk_fma(p, z, -5.385090958e-2f);
    p = lrk_fma(p, z, 1.333276974e-1f);
    p = lrk_fma(p, z, -3.333332894e-1f);
    return z < 0.390625f ? lrk_fma(p * z, x, x) : far;
}
#endif

#endif /* LRK_KERNELS_REAL_H */
