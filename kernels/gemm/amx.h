/* kernels/gemm/amx.h -- the bf16 product on Intel's tile registers.
 *
 * TDPBF16PS multiplies a tile of A (16 rows x 32 of k) by a tile of B (16 pairs of k x 16 columns,
 * the two of a pair side by side) into 16 x 16 floats, in 16 cycles. The micro-kernel holds 2 x 2
 * tiles of C: 4 loads of tiles, 8 cycles each, feed 4 products, so loads hide behind products as
 * long as one operand comes from the first-level cache. That is B, a strip of which stays there
 * while A streams past it: A is loaded with the hint that it comes once, else it would drive B out,
 * and both would come from the second level at half the rate.
 *
 * A: rows lie in memory as the tile wants them: read in place when it is bf16, not transposed, k
 * is whole steps of 32, and the strip of 32 rows is whole; otherwise packed, padded by zeros.
 *
 * B: packed by each task, step by step: decoded to rows of bf16, then 16 x 16 pairs transposed (W
 * transposed), or two rows interleaved (W plain).
 *
 * C: sums go through 4 KiB of the first-level cache to f32 or bf16, a few rows in each step of the
 * product that follows, since the tile unit leaves the vector unit idle: done in between it would
 * cost as much as 8 steps. A deep k is cut into blocks whose sums are kept in f32 in between.
 *
 * dB += dY^T S (A transposed and tall, B plain and thin) runs as C^T = B^T A^T, whose big operand
 * needs no transposition.
 */
#ifndef LRK_KERNELS_GEMM_AMX_H
#define LRK_KERNELS_GEMM_AMX_H
#include "kernels/gemm/impl.h"

enum {
    LRK_TILE_ROWS = 16,  /* of a tile; also columns of B and C in it */
    LRK_TILE_K = 32,     /* bf16 in a row of a tile */
    LRK_TILE_SIZE = 512, /* bf16 in a tile */
    LRK_STRIP = 32,      /* rows of A, columns of B, of one micro-kernel: two tiles */
};

size_t lrk_gemm_amx_scratch(const lrk_gemm *g, size_t threads);
void lrk_gemm_amx(const lrk_gemm *g, void *scratch);

/* The second product of g is added to the sums before they are stored; otherwise it is left out. */
bool lrk_gemm_amx_fuses(const lrk_gemm *g);

/* pack_amx.c. 16 rows of k bf16 (whole steps) to tiles of B, `step` elements from one to the next. */
void lrk_tiles_of_rows_amx(const uint16_t *src, size_t stride, size_t k, uint16_t *dst,
                           size_t step);

/* Two rows of 16 * tiles columns to one row of each of `tiles` tiles of B, LRK_TILE_SIZE apart. */
void lrk_tiles_of_columns_amx(const uint16_t *even, const uint16_t *odd, size_t tiles,
                              uint16_t *dst);

/* 32 rows (of k) of 16 columns, to a tile of A: 16 rows of 32. */
void lrk_tile_transposed_amx(const uint16_t *src, size_t stride, uint16_t *dst);

/* micro_amx.c. A strip of A (one or two tiles of rows): row r of step s begins at
 * a + s * step + (r / 16) * tile + (r % 16) * stride bytes. */
typedef struct lrk_amx_strip {
    const char *a;
    size_t stride, tile, step;
} lrk_amx_strip;

void lrk_amx_begin(void); /* on each thread, before products */
void lrk_amx_end(void);

/* So many steps of k: a strip of A and one of B (one or two tiles of columns). */
typedef struct lrk_amx_run {
    size_t steps;
    lrk_amx_strip a;
    const uint16_t *b;
} lrk_amx_run;

/* Finished sums and where they go: c = (accumulate ? c : 0) + alpha * sums, f32 or bf16; at most
 * 32 columns. Rows are `stride` floats and c_row bytes apart. */
typedef struct lrk_amx_result {
    const float *sums;
    size_t stride, rows, cols;
    void *c;
    lrk_dtype c_dtype;
    size_t c_row;
    float alpha;
    bool accumulate;
    bool past_caches; /* replaced f32 rows whose strips begin at whole cache lines */
} lrk_amx_result;

void lrk_amx_store(const lrk_amx_result *r);

/* sums[i * stride + j] = (add ? sums[..] : 0) + the runs one after the other, 16 * a_tiles x
 * 16 * b_tiles floats. `beside` is stored meanwhile, by the vector unit; NULL: nothing is. */
void lrk_amx_products(const lrk_amx_run *run, size_t runs, size_t a_tiles, size_t b_tiles,
                      float *sums, size_t stride, bool add, const lrk_amx_result *beside);

static inline void lrk_amx_product(size_t steps, const lrk_amx_strip *a, size_t a_tiles,
                                   const uint16_t *b, size_t b_tiles, float *sums, size_t stride,
                                   bool add)
{
    const lrk_amx_run run = {steps, *a, b};
    lrk_amx_products(&run, 1, a_tiles, b_tiles, sums, stride, add, NULL);
}

#endif /* LRK_KERNELS_GEMM_AMX_H */
