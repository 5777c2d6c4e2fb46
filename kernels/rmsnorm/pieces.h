/* kernels/rmsnorm/pieces.h -- rows cut into pieces as long as w: heads, or whole rows. */
#ifndef LRK_KERNELS_RMSNORM_PIECES_H
#define LRK_KERNELS_RMSNORM_PIECES_H
#include "kernels/rmsnorm/rmsnorm.h"

static inline size_t lrk_rmsnorm_width(const lrk_call *c)
{
    return lrk_count(c->in[LRK_RMSNORM_W]);
}

static inline size_t lrk_rmsnorm_pieces(const lrk_call *c)
{
    return lrk_count(c->in[LRK_RMSNORM_X]) / lrk_rmsnorm_width(c);
}

/* First byte of piece n. */
static inline void *lrk_rmsnorm_piece(const lrk_tensor *t, size_t n, size_t width)
{
    const size_t per_row = lrk_cols(t) / width;
    return (char *)lrk_row(t, n / per_row) + lrk_row_bytes(t->dtype, n % per_row * width);
}

#endif /* LRK_KERNELS_RMSNORM_PIECES_H */
