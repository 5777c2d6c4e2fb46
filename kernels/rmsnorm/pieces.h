/* kernels/rmsnorm/pieces.h -- rows cut into pieces as long as w, for kernels that know only whole rows. */
#ifndef LRK_KERNELS_RMSNORM_PIECES_H
#define LRK_KERNELS_RMSNORM_PIECES_H
#include "kernels/rmsnorm/rmsnorm.h"

/* The call that kernels see: x, what it is the sum of, y and the gradients with a piece in each row. */
typedef struct lrk_rmsnorm_pieces {
    lrk_call call;
    lrk_tensor x, joined[2], y, dx, dy;
} lrk_rmsnorm_pieces;

static inline lrk_tensor lrk_rmsnorm_cut(const lrk_tensor *t, size_t width)
{
    lrk_tensor cut = *t;
    cut.rank = 2;
    cut.dim[0] = lrk_count(t) / width;
    cut.dim[1] = cut.stride = width;
    return cut;
}

static inline const lrk_call *lrk_rmsnorm_call(const lrk_call *c, lrk_rmsnorm_pieces *p)
{
    const size_t width = lrk_count(c->in[LRK_RMSNORM_W]);
    if (width == lrk_cols(c->in[LRK_RMSNORM_X])) return c;
    p->call = *c;
    p->x = lrk_rmsnorm_cut(c->in[LRK_RMSNORM_X], width);
    p->call.in[LRK_RMSNORM_X] = &p->x;
    for (int i = 0; i < 2 && c->joined[i]; i++) {
        p->joined[i] = lrk_rmsnorm_cut(c->joined[i], width);
        p->call.joined[i] = &p->joined[i];
    }
    if (c->out[LRK_RMSNORM_Y]) {
        p->y = lrk_rmsnorm_cut(c->out[LRK_RMSNORM_Y], width);
        p->call.out[LRK_RMSNORM_Y] = &p->y;
    }
    if (c->dout[LRK_RMSNORM_Y]) {
        p->dy = lrk_rmsnorm_cut(c->dout[LRK_RMSNORM_Y], width);
        p->call.dout[LRK_RMSNORM_Y] = &p->dy;
    }
    if (c->din[LRK_RMSNORM_X]) {
        p->dx = lrk_rmsnorm_cut(c->din[LRK_RMSNORM_X], width);
        p->call.din[LRK_RMSNORM_X] = &p->dx;
    }
    return &p->call;
}

#endif /* LRK_KERNELS_RMSNORM_PIECES_H */
