/* kernels/tile.h -- small matrix products on local memory, for the CPU builds of one kernel file.
 *
 *   C[i,j] (+)= sum_k A(i,k) * B[k,j]      i < m, j < n, n a multiple of LRK_LANES
 *
 * A(i,k) lies at a[i * a_row + k * a_col], so A may be read either way round; rows of B and C are
 * contiguous. For each instruction set the block of C that stays in registers is as large as fits.
 * Every sum runs over k in order, and is added to C at its end: long sums that are made by several calls
 * round less than in one. Included after kernels/real.h.
 */
#ifndef LRK_KERNELS_TILE_H
#define LRK_KERNELS_TILE_H
#include "kernels/lanes.h"

typedef struct lrk_tile_product {
    size_t m, n, k;
    const lrk_real *a;
    size_t a_row, a_col;
    const lrk_real *b;
    size_t b_row;
    lrk_real *c;
    size_t c_row;
    bool add;
} lrk_tile_product;

/* The block of C at rows i .., columns j ..; rows and vecs are constants where this is inlined. */
static inline __attribute__((always_inline)) void lrk_tile_block(const lrk_tile_product *p, size_t i,
                                                                 size_t j, const int rows,
                                                                 const int vecs)
{
    lrk_lanes acc[LRK_BLOCK_ROWS][2];
    const lrk_real *a = p->a + i * p->a_row, *b = p->b + j;
    const size_t a_row = p->a_row, a_col = p->a_col, b_row = p->b_row;
    lrk_real *c = p->c + i * p->c_row + j;
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++) acc[r][v] = lrk_lanes_all(0);
    for (size_t k = 0; k < p->k; k++, a += a_col, b += b_row) {
        lrk_lanes bv[2];
        for (int v = 0; v < vecs; v++) bv[v] = lrk_lanes_load(b + v * LRK_LANES);
        for (int r = 0; r < rows; r++) {
            const lrk_lanes ar = lrk_lanes_all(a[(size_t)r * a_row]);
            for (int v = 0; v < vecs; v++) acc[r][v] = lrk_lanes_fma(ar, bv[v], acc[r][v]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++) {
            lrk_real *to = c + (size_t)r * p->c_row + v * LRK_LANES;
            if (p->add) acc[r][v] += lrk_lanes_load(to);
            lrk_lanes_store(to, acc[r][v]);
        }
}

static inline __attribute__((always_inline)) void lrk_tile_columns(const lrk_tile_product *p,
                                                                   size_t j, const int vecs)
{
    size_t i = 0;
    for (; i + LRK_BLOCK_ROWS <= p->m; i += LRK_BLOCK_ROWS)
        lrk_tile_block(p, i, j, LRK_BLOCK_ROWS, vecs);
    switch (p->m - i) {
    case 7: lrk_tile_block(p, i, j, LRK_BLOCK_ROWS > 7 ? 7 : 1, vecs); break;
    case 6: lrk_tile_block(p, i, j, LRK_BLOCK_ROWS > 6 ? 6 : 1, vecs); break;
    case 5: lrk_tile_block(p, i, j, 5, vecs); break;
    case 4: lrk_tile_block(p, i, j, 4, vecs); break;
    case 3: lrk_tile_block(p, i, j, 3, vecs); break;
    case 2: lrk_tile_block(p, i, j, 2, vecs); break;
    case 1: lrk_tile_block(p, i, j, 1, vecs); break;
    default: break;
    }
}

static void lrk_tile_multiply(const lrk_tile_product *p)
{
    size_t j = 0;
    for (; j + 2 * LRK_LANES <= p->n; j += 2 * LRK_LANES) lrk_tile_columns(p, j, 2);
    if (j < p->n) lrk_tile_columns(p, j, 1);
}

#endif /* LRK_KERNELS_TILE_H */
