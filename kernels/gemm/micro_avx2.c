/* kernels/gemm/micro_avx2.c -- the f32 micro-kernel, 6 x 16, and transposition with AVX2 and FMA.
 */
#include "kernels/gemm/impl.h"

#include <immintrin.h>

enum { MR = 6, LANES = 8 };

typedef __m256d half_f64;
#define WIDENED(p) _mm256_cvtps_pd(_mm_loadu_ps(p))
#define PUT_NARROWED(p, x) _mm_storeu_ps(p, _mm256_cvtpd_ps(x))
#define MULTIPLY_ADD_F64(a, b, sum) _mm256_fmadd_pd(a, b, sum)
#include "kernels/gemm/micro_short.h"

/* Lanes below n. */
static inline __m256i first(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Where operands lie: packed both; A as it lies in memory; B, whose next strip is asked for. */
enum { PACKED, DIRECT, FAR };

/* rows, vectors and way are constants wherever this is inlined, so the accumulators are registers. */
static inline __attribute__((always_inline)) void tile_of(int rows, int vectors, int way,
                                                          size_t k, const float *a, size_t a_stride,
                                                          const float *b, size_t b_stride,
                                                          size_t last, float *c, size_t stride,
                                                          float alpha, bool add)
{
    __m256 sum[MR][2];
    const float *row[MR];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        row[i] = a + (size_t)i * a_stride;
        _mm_prefetch((const char *)(c + (size_t)i * stride), _MM_HINT_T0);
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = _mm256_setzero_ps();
    for (size_t at = 0; at < k; at++, a += rows, b += b_stride) {
        const __m256 b0 = _mm256_loadu_ps(b);
        if (way == FAR) _mm_prefetch((const char *)(b + 2 * LANES), _MM_HINT_T0);
        const __m256 b1 = vectors > 1 ? _mm256_loadu_ps(b + LANES) : b0;
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            const __m256 ai = _mm256_broadcast_ss(way == DIRECT ? row[i] + at : a + i);
            sum[i][0] = _mm256_fmadd_ps(ai, b0, sum[i][0]);
            if (vectors > 1) sum[i][1] = _mm256_fmadd_ps(ai, b1, sum[i][1]);
        }
    }
    /* hides c, else the compiler keeps addresses from the prefetches in vector registers */
    __asm__("" : "+r"(c), "+r"(stride));
    const __m256 scale = _mm256_set1_ps(alpha);
    const __m256i tail = first(last);
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++, c += stride) {
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            float *p = c + v * LANES;
            __m256 old = _mm256_setzero_ps();
            if (v + 1 < vectors || last == LANES) {
                if (add) old = _mm256_loadu_ps(p);
                _mm256_storeu_ps(p, _mm256_fmadd_ps(scale, sum[i][v], old));
            } else {
                if (add) old = _mm256_maskload_ps(p, tail);
                _mm256_maskstore_ps(p, tail, _mm256_fmadd_ps(scale, sum[i][v], old));
            }
        }
    }
}

typedef void (*tile_fn)(size_t k, const float *a, size_t a_stride, const float *b, size_t b_stride,
                        size_t last, float *c, size_t stride, float alpha, bool add);
#define TILE(name, rows, vectors, way)                                                             \
    static void name##_##rows##_##vectors(size_t k, const float *a, size_t a_stride,               \
                                          const float *b, size_t b_stride, size_t last, float *c,  \
                                          size_t stride, float alpha, bool add)                    \
    {                                                                                              \
        tile_of(rows, vectors, way, k, a, a_stride, b, b_stride, last, c, stride, alpha, add);     \
    }
/* clang-format off */
#define TILES(rows)                                             \
    TILE(packed, rows, 1, PACKED) TILE(packed, rows, 2, PACKED) \
    TILE(direct, rows, 1, DIRECT) TILE(direct, rows, 2, DIRECT) \
    TILE(far, rows, 1, FAR) TILE(far, rows, 2, FAR)
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)

#define ROWS(rows)                                                                              \
    {{packed_##rows##_1, packed_##rows##_2}, {direct_##rows##_1, direct_##rows##_2}, {far_##rows##_1, far_##rows##_2}}
static const tile_fn tiles[MR][3][2] = {ROWS(1), ROWS(2), ROWS(3), ROWS(4), ROWS(5), ROWS(6)};
/* clang-format on */

static void tile(size_t k, const float *a, size_t rows, const float *b, size_t b_stride,
                 size_t cols, float *c, size_t stride, float alpha, bool add)
{
    const size_t last = (cols - 1) % LANES + 1;
    const int way = b_stride > 2 * LANES ? FAR : PACKED;
    tiles[rows - 1][way][(cols - 1) / LANES](k, a, 0, b, b_stride, last, c, stride, alpha, add);
}

static void tile_direct(size_t k, const float *a, size_t a_stride, size_t rows, const float *b,
                        size_t b_stride, size_t cols, float *c, size_t stride, float alpha,
                        bool add)
{
    const size_t last = (cols - 1) % LANES + 1;
    tiles[rows - 1][DIRECT][(cols - 1) / LANES](k, a, a_stride, b, b_stride, last, c, stride, alpha,
                                           add);
}

/* clang-format off */
SHORT(1) SHORT(2) SHORT(3) SHORT(4) SHORT(5) SHORT(6)
TILE_SHORT(short_1, short_2, short_3, short_4, short_5, short_6)
/* clang-format on */

static inline __attribute__((always_inline)) void transpose_8(__m256 r[8])
{
    __m256 t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) r[i] = t[i];
}

static void transpose(const float *src, size_t src_stride, size_t rows, size_t cols, float *dst,
                      size_t dst_stride)
{
    for (size_t i = 0; i < rows; i += LANES) {
        const size_t n = rows - i < LANES ? rows - i : LANES;
        const __m256i write = first(n);
        for (size_t j = 0; j < cols; j += LANES) {
            const size_t w = cols - j < LANES ? cols - j : LANES;
            const __m256i read = first(w);
            __m256 r[8];
#pragma GCC unroll 8
            for (size_t s = 0; s < LANES; s++)
                r[s] = s < n ? _mm256_maskload_ps(src + (i + s) * src_stride + j, read)
                             : _mm256_setzero_ps();
            transpose_8(r);
            float *out = dst + j * dst_stride + i;
            if (n == LANES && w == LANES) {
#pragma GCC unroll 8
                for (size_t s = 0; s < LANES; s++) _mm256_storeu_ps(out + s * dst_stride, r[s]);
            } else {
                for (size_t s = 0; s < w; s++)
                    _mm256_maskstore_ps(out + s * dst_stride, write, r[s]);
            }
        }
    }
}

const lrk_gemm_isa lrk_gemm_avx2 = {
    .mr = MR,
    .nr = 2 * LANES,
    .kc = 288,
    .together = 1,
    .lanes = LANES,
    .to_f32 = lrk_to_f32_avx2,
    .transpose = transpose,
    .tile = tile,
    .tile_direct = tile_direct,
    .tile_short = tile_short,
    .dot = lrk_dot_avx2,
};
