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

void lrk_amx_begin(void) { _tile_loadconfig(&config); }

void lrk_amx_end(void) { _tile_release(); }

/* a_tiles and b_tiles are constants wherever this is inlined. */
static inline __attribute__((always_inline)) void product(const lrk_amx_run *run, size_t runs,
                                                          int a_tiles, int b_tiles, float *sums,
                                                          size_t stride, bool add)
{
    const size_t row = stride * sizeof *sums;
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
    for (; runs; runs--, run++) {
        const size_t step = run->a.step, a_row = run->a.stride;
        const char *a = run->a.a, *a2 = a + run->a.tile;
        const uint16_t *b = run->b;
        for (size_t s = run->steps; s; s--, a += step, a2 += step, b += b_tiles * LRK_TILE_SIZE) {
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
    }
    _tile_stored(0, sums, row);
    if (b_tiles > 1) _tile_stored(1, sums + 16, row);
    if (a_tiles > 1) _tile_stored(2, below, row);
    if (a_tiles > 1 && b_tiles > 1) _tile_stored(3, below + 16, row);
}

void lrk_amx_products(const lrk_amx_run *run, size_t runs, size_t a_tiles, size_t b_tiles,
                      float *sums, size_t stride, bool add)
{
    if (a_tiles > 1 && b_tiles > 1)
        product(run, runs, 2, 2, sums, stride, add);
    else if (a_tiles > 1)
        product(run, runs, 2, 1, sums, stride, add);
    else if (b_tiles > 1)
        product(run, runs, 1, 2, sums, stride, add);
    else
        product(run, runs, 1, 1, sums, stride, add);
}

static inline __mmask16 first(size_t n) { return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1); }

static inline __m512 widen(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

/* Whole strips of bf16, one line of the cache a row. */
static void store_bf16_32(const float *sums, size_t stride, size_t rows, uint16_t *c,
                          size_t c_stride, __m512 scale, bool accumulate)
{
    for (size_t i = 0; i < rows; i++, sums += stride, c += c_stride) {
        __m512 low = _mm512_setzero_ps(), high = low;
        if (accumulate) {
            low = widen(_mm256_loadu_si256((const __m256i *)(const void *)c));
            high = widen(_mm256_loadu_si256((const __m256i *)(const void *)(c + 16)));
        }
        low = _mm512_fmadd_ps(scale, _mm512_loadu_ps(sums), low);
        high = _mm512_fmadd_ps(scale, _mm512_loadu_ps(sums + 16), high);
        _mm512_storeu_si512(c, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

static void store_f32(const float *sums, __mmask16 mask, float *c, __m512 scale, bool accumulate)
{
    __m512 old = _mm512_setzero_ps();
    if (accumulate) old = _mm512_maskz_loadu_ps(mask, c);
    _mm512_mask_storeu_ps(c, mask, _mm512_fmadd_ps(scale, _mm512_loadu_ps(sums), old));
}

static void store_bf16(const float *sums, __mmask16 mask, uint16_t *c, __m512 scale,
                       bool accumulate)
{
    __m512 old = _mm512_setzero_ps();
    if (accumulate) old = widen(_mm256_maskz_loadu_epi16(mask, c));
    const __m512 v = _mm512_fmadd_ps(scale, _mm512_loadu_ps(sums), old);
    _mm256_mask_storeu_epi16(c, mask, (__m256i)_mm512_cvtneps_pbh(v));
}

void lrk_amx_store(const float *sums, size_t stride, size_t rows, size_t cols, void *c,
                   lrk_dtype c_dtype, size_t c_stride, float alpha, bool accumulate)
{
    const __m512 scale = _mm512_set1_ps(alpha);
    if (c_dtype == LRK_BF16 && cols == LRK_STRIP) {
        store_bf16_32(sums, stride, rows, c, c_stride, scale, accumulate);
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < cols; j += 16) {
            const size_t at = i * c_stride + j;
            if (c_dtype == LRK_F32)
                store_f32(sums + i * stride + j, first(cols - j), (float *)c + at, scale,
                          accumulate);
            else
                store_bf16(sums + i * stride + j, first(cols - j), (uint16_t *)c + at, scale,
                           accumulate);
        }
    }
}
