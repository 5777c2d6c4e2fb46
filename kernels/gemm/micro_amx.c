/* kernels/gemm/micro_amx.c -- products of tiles, and their way to memory. */
#include "kernels/gemm/amx.h"

#include <immintrin.h>

/* What LDTILECFG reads. A constant: compilers do not see that the instruction reads all of it, and
 * would drop stores to a local one. C tiles 0 1 / 2 3, A tiles 4 5, B tiles 6 7. */
static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} config __attribute__((aligned(64))) = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};
_Static_assert(sizeof config == 64, "the layout of LDTILECFG");

void lrk_amx_begin(void)
{
    _tile_loadconfig(&config);
}

void lrk_amx_end(void)
{
    _tile_release();
}

/* a_tiles and b_tiles are constants wherever this is inlined. */
static inline __attribute__((always_inline)) void product(size_t steps, const lrk_amx_strip *strip,
                                                          int a_tiles, const uint16_t *b,
                                                          int b_tiles, float *sums, size_t stride,
                                                          bool add)
{
    const size_t row = stride * sizeof *sums, step = strip->step, a_row = strip->stride;
    const char *a = strip->a, *a2 = a + strip->tile;
    float *below = sums + LRK_TILE_ROWS * stride;
    if (add) {
        _tile_loadd(0, sums, row);
        if (b_tiles > 1) _tile_loadd(1, sums + 16, row);
        if (a_tiles > 1) _tile_loadd(2, below, row);
        if (a_tiles > 1 && b_tiles > 1) _tile_loadd(3, below + 16, row);
    } else {
        _tile_zero(0);
        if (b_tiles > 1) _tile_zero(1);
        if (a_tiles > 1) _tile_zero(2);
        if (a_tiles > 1 && b_tiles > 1) _tile_zero(3);
    }
    for (; steps; steps--, a += step, a2 += step, b += b_tiles * LRK_TILE_SIZE) {
        _tile_loadd(6, b, 64);
        _tile_loadd(4, a, a_row);
        _tile_dpbf16ps(0, 4, 6);
        if (b_tiles > 1) {
            _tile_loadd(7, b + LRK_TILE_SIZE, 64);
            _tile_dpbf16ps(1, 4, 7);
        }
        if (a_tiles > 1) {
            _tile_loadd(5, a2, a_row);
            _tile_dpbf16ps(2, 5, 6);
            if (b_tiles > 1) _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, sums, row);
    if (b_tiles > 1) _tile_stored(1, sums + 16, row);
    if (a_tiles > 1) _tile_stored(2, below, row);
    if (a_tiles > 1 && b_tiles > 1) _tile_stored(3, below + 16, row);
}

void lrk_amx_product(size_t steps, const lrk_amx_strip *a, size_t a_tiles, const uint16_t *b,
                     size_t b_tiles, float *sums, size_t stride, bool add)
{
    if (a_tiles > 1 && b_tiles > 1)
        product(steps, a, 2, b, 2, sums, stride, add);
    else if (a_tiles > 1)
        product(steps, a, 2, b, 1, sums, stride, add);
    else if (b_tiles > 1)
        product(steps, a, 1, b, 2, sums, stride, add);
    else
        product(steps, a, 1, b, 1, sums, stride, add);
}

static inline __mmask16 first(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1);
}

static inline __m512 widen(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

void lrk_amx_store(const float *sums, size_t stride, size_t rows, size_t cols, void *c,
                   lrk_dtype c_dtype, size_t c_stride, float alpha, bool accumulate)
{
    const __m512 scale = _mm512_set1_ps(alpha);
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < cols; j += 16) {
            const __mmask16 mask = first(cols - j);
            const size_t at = i * c_stride + j;
            const __m512 sum = _mm512_loadu_ps(sums + i * stride + j);
            __m512 old = _mm512_setzero_ps();
            if (c_dtype == LRK_F32) {
                float *p = (float *)c + at;
                if (accumulate) old = _mm512_maskz_loadu_ps(mask, p);
                _mm512_mask_storeu_ps(p, mask, _mm512_fmadd_ps(scale, sum, old));
            } else {
                uint16_t *p = (uint16_t *)c + at;
                if (accumulate) old = widen(_mm256_maskz_loadu_epi16(mask, p));
                const __m256bh v = _mm512_cvtneps_pbh(_mm512_fmadd_ps(scale, sum, old));
                _mm256_mask_storeu_epi16(p, mask, (__m256i)v);
            }
        }
    }
}
