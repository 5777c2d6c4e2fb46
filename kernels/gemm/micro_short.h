/* kernels/gemm/micro_short.h -- the micro-kernel of short sums, in f64 and rounded once, for the file that has
 * said what MR, LANES and half_f64, a vector of LANES / 2 doubles, are, and
 *   WIDENED(p)                     LANES / 2 floats as doubles
 *   PUT_NARROWED(p, x)             and doubles as floats
 *   MULTIPLY_ADD_F64(a, b, sum)    a b + sum
 */
#ifndef LRK_KERNELS_GEMM_MICRO_SHORT_H
#define LRK_KERNELS_GEMM_MICRO_SHORT_H
#include "kernels/gemm/impl.h"

enum { HALF = LANES / 2 };

/* x in all lanes: nothing is subtracted, which changes no bit */
static inline __attribute__((always_inline)) half_f64 everywhere_f64(double x) { return x - (half_f64){0}; }

/* HALF columns of a row of C */
static inline __attribute__((always_inline)) void put_half(half_f64 sum, float *c, half_f64 alpha, bool add)
{
    sum *= alpha;
    if (add) sum += WIDENED(c);
    PUT_NARROWED(c, sum);
}

/* n of them, fewer than HALF */
static void put_some(half_f64 sum, size_t n, float *c, half_f64 alpha, bool add)
{
    float some[HALF] = {0};
    memcpy(some, c, n * sizeof *c);
    put_half(sum, some, alpha, add);
    memcpy(c, some, n * sizeof *c);
}

/* cols of them, fewer than LANES */
static void put_few(const half_f64 sum[2], size_t cols, float *c, half_f64 alpha, bool add)
{
    const bool half = cols >= HALF;
    if (half) put_half(sum[0], c, alpha, add);
    if (cols > HALF || !half) put_some(sum[half], cols - half * HALF, c + half * HALF, alpha, add);
}

/* LANES columns of C, of which cols are there. rows is a constant wherever this is inlined, so the accumulators are
 * registers. */
static inline __attribute__((always_inline)) void columns_of_short(int rows, size_t k, const double *a, const float *b,
                                                                   size_t b_stride, size_t cols, float *c,
                                                                   size_t stride, half_f64 alpha, bool add)
{
    half_f64 sum[MR][2] = {{{0}}};
    for (size_t at = 0; at < k; at++, a += rows, b += b_stride) {
        const half_f64 b0 = WIDENED(b), b1 = WIDENED(b + HALF);
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
            const half_f64 ai = everywhere_f64(a[i]);
            sum[i][0] = MULTIPLY_ADD_F64(ai, b0, sum[i][0]);
            sum[i][1] = MULTIPLY_ADD_F64(ai, b1, sum[i][1]);
        }
    }
    if (cols == LANES) {
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++, c += stride) {
            put_half(sum[i][0], c, alpha, add);
            put_half(sum[i][1], c + HALF, alpha, add);
        }
        return;
    }
    half_f64 done[MR][2]; /* in memory: what ends a border's row is not repeated for each */
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) done[i][0] = sum[i][0], done[i][1] = sum[i][1];
    for (int i = 0; i < rows; i++, c += stride) put_few(done[i], cols, c, alpha, add);
}

/* The strip of A is widened once for the columns of a tile. */
static inline __attribute__((always_inline)) void short_of(int rows, size_t k, const float *a, const float *b,
                                                           size_t b_stride, size_t cols, float *c, size_t stride,
                                                           float alpha, bool add)
{
    _Alignas(half_f64) double wide[LRK_GEMM_SHORT * MR];
    const size_t n = k * (size_t)rows, whole = n / HALF * HALF;
    for (size_t i = 0; i < whole; i += HALF) *(half_f64 *)(wide + i) = WIDENED(a + i);
    for (size_t i = whole; i < n; i++) wide[i] = (double)a[i];
    for (size_t j = 0; j < cols; j += LANES)
        columns_of_short(rows, k, wide, b + j, b_stride, cols - j < LANES ? cols - j : LANES, c + j, stride,
                         everywhere_f64((double)alpha), add);
}

typedef void (*short_fn)(size_t k, const float *a, const float *b, size_t b_stride, size_t cols, float *c,
                         size_t stride, float alpha, bool add);
#define SHORT(rows)                                                                                                    \
    static void short_##rows(size_t k, const float *a, const float *b, size_t b_stride, size_t cols, float *c,         \
                             size_t stride, float alpha, bool add)                                                     \
    {                                                                                                                  \
        short_of(rows, k, a, b, b_stride, cols, c, stride, alpha, add);                                                \
    }

/* The tile of impl.h, out of SHORT(1) .. SHORT(MR), whose names are its arguments. */
#define TILE_SHORT(...)                                                                                                \
    static void tile_short(size_t k, const float *a, size_t rows, const float *b, size_t b_stride, size_t cols,        \
                           float *c, size_t stride, float alpha, bool add)                                             \
    {                                                                                                                  \
        static const short_fn shorts[MR] = {__VA_ARGS__};                                                              \
        shorts[rows - 1](k, a, b, b_stride, cols, c, stride, alpha, add);                                              \
    }

#endif /* LRK_KERNELS_GEMM_MICRO_SHORT_H */
