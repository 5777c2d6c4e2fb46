/* kernels/gemm/micro_amx.c -- products of tiles, and their way to memory. */
#include "base/size.h"
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

/* ---- C ---- */

static inline __m512 widen(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

static inline void *c_row(const lrk_amx_result *r, size_t i) { return (char *)r->c + i * r->c_row; }

/* Whole rows of bf16 that replace what was there: most of them. */
static void replace_bf16(const lrk_amx_result *r, size_t from, size_t to)
{
    const __m512 scale = _mm512_set1_ps(r->alpha);
    for (size_t i = from; i < to; i++) {
        const float *sums = r->sums + i * r->stride;
        const __m512 low = _mm512_mul_ps(scale, _mm512_loadu_ps(sums)),
                     high = _mm512_mul_ps(scale, _mm512_loadu_ps(sums + 16));
        _mm512_storeu_si512(c_row(r, i), (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

static void store_bf16(const lrk_amx_result *r, size_t from, size_t to, __mmask32 mask)
{
    const __m512 scale = _mm512_set1_ps(r->alpha);
    for (size_t i = from; i < to; i++) {
        const float *sums = r->sums + i * r->stride;
        __m512i old = _mm512_setzero_si512();
        if (r->accumulate) old = _mm512_maskz_loadu_epi16(mask, c_row(r, i));
        const __m512 low = _mm512_fmadd_ps(scale, _mm512_maskz_loadu_ps((__mmask16)mask, sums),
                                           widen(_mm512_castsi512_si256(old)));
        const __m512 high =
            _mm512_fmadd_ps(scale, _mm512_maskz_loadu_ps((__mmask16)(mask >> 16), sums + 16),
                            widen(_mm512_extracti64x4_epi64(old, 1)));
        _mm512_mask_storeu_epi16(c_row(r, i), mask, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

static void store_f32(const lrk_amx_result *r, size_t from, size_t to, __mmask32 mask)
{
    const __m512 scale = _mm512_set1_ps(r->alpha);
    for (size_t i = from; i < to; i++) {
        for (size_t j = 0; j < LRK_STRIP; j += 16) {
            const __mmask16 part = (__mmask16)(mask >> j);
            float *c = (float *)c_row(r, i) + j;
            __m512 old = _mm512_setzero_ps();
            if (r->accumulate) old = _mm512_maskz_loadu_ps(part, c);
            const __m512 sums = _mm512_maskz_loadu_ps(part, r->sums + i * r->stride + j);
            _mm512_mask_storeu_ps(c, part, _mm512_fmadd_ps(scale, sums, old));
        }
    }
}

/* Whole rows of f32 past the caches; the atomic count that ends the task orders them. */
static void stream_f32(const lrk_amx_result *r, size_t from, size_t to)
{
    const __m512 scale = _mm512_set1_ps(r->alpha);
    for (size_t i = from; i < to; i++) {
        const float *sums = r->sums + i * r->stride;
        float *c = c_row(r, i);
        _mm512_stream_ps(c, _mm512_mul_ps(scale, _mm512_loadu_ps(sums)));
        _mm512_stream_ps(c + 16, _mm512_mul_ps(scale, _mm512_loadu_ps(sums + 16)));
    }
}

static void store_rows(const lrk_amx_result *r, size_t from, size_t to)
{
    const __mmask32 mask = r->cols >= LRK_STRIP ? UINT32_MAX : (1u << r->cols) - 1;
    if (r->past_caches && r->cols == LRK_STRIP)
        stream_f32(r, from, to);
    else if (r->c_dtype == LRK_F32)
        store_f32(r, from, to, mask);
    else if (r->cols == LRK_STRIP && !r->accumulate)
        replace_bf16(r, from, to);
    else
        store_bf16(r, from, to, mask);
}

void lrk_amx_store(const lrk_amx_result *r) { store_rows(r, 0, r->rows); }

/* ---- products ---- */

/* Rows from `from` on, so many as fit into one step of `steps`. Not inlined: the registers belong
 * to the loop over the tiles. */
static __attribute__((noinline)) void go_on(const lrk_amx_result *beside, size_t from, size_t n)
{
    store_rows(beside, from, lrk_min(from + n, beside->rows));
}

/* a_tiles and b_tiles are constants wherever this is inlined. */
static inline __attribute__((always_inline)) void product(const lrk_amx_run *run, size_t runs,
                                                          int a_tiles, int b_tiles, float *sums,
                                                          size_t stride, bool add,
                                                          const lrk_amx_result *beside)
{
    const size_t row = stride * sizeof *sums, rows_beside = beside ? beside->rows : 0;
    const size_t rows_a_step = run->steps >= LRK_STRIP / 2 ? 2 : 8;
    float *below = sums + LRK_TILE_ROWS * stride;
    size_t done = 0;
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
            _tile_stream_loadd(4, a, a_row);
            _tile_dpbf16ps(0, 4, 6);
            if (b_tiles > 1) {
                _tile_loadd(7, b + LRK_TILE_SIZE, 64);
                _tile_dpbf16ps(1, 4, 7);
            }
            if (a_tiles > 1) {
                _tile_stream_loadd(5, a2, a_row);
                _tile_dpbf16ps(2, 5, 6);
                if (b_tiles > 1) _tile_dpbf16ps(3, 5, 7);
            }
            if (done < rows_beside) {
                go_on(beside, done, rows_a_step);
                done += rows_a_step;
            }
        }
    }
    if (done < rows_beside) go_on(beside, done, LRK_STRIP);
    _tile_stored(0, sums, row);
    if (b_tiles > 1) _tile_stored(1, sums + 16, row);
    if (a_tiles > 1) _tile_stored(2, below, row);
    if (a_tiles > 1 && b_tiles > 1) _tile_stored(3, below + 16, row);
}

void lrk_amx_products(const lrk_amx_run *run, size_t runs, size_t a_tiles, size_t b_tiles,
                      float *sums, size_t stride, bool add, const lrk_amx_result *beside)
{
    if (a_tiles > 1 && b_tiles > 1)
        product(run, runs, 2, 2, sums, stride, add, beside);
    else if (a_tiles > 1)
        product(run, runs, 2, 1, sums, stride, add, beside);
    else if (b_tiles > 1)
        product(run, runs, 1, 2, sums, stride, add, beside);
    else
        product(run, runs, 1, 1, sums, stride, add, beside);
}
