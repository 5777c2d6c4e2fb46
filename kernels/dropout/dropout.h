/* kernels/dropout/dropout.h -- what passes a dropout mask, or what it holds back.
 *
 *   forward    Y[t,i]  = f[t,i] * X[t,i],   f = m, or 1 - m for the rest
 *   backward   dX[t,i] += f[t,i] * dY[t,i]
 *
 * m[t,i] is 0 with probability p, else 1 / (1 - p), drawn for element t * width + i: the mask of
 * kernels/linear/. DoRA takes both halves, since PEFT scales only what passed (models/decoder_forward.c).
 */
#ifndef LRK_KERNELS_DROPOUT_H
#define LRK_KERNELS_DROPOUT_H
#include "base/rng.h"
#include "kernels/op.h"

/*   in[X]   (T, C)  f32 | bf16 | f64
 *   out[Y]  (T, C)  like X
 */
enum { LRK_DROPOUT_X };
enum { LRK_DROPOUT_Y };

typedef struct lrk_dropout_attr {
    double p;           /* 0 <= p < 1 */
    const lrk_rng *rng; /* the same seed and step in forward and backward */
    bool rest;          /* f is 1 - m */
} lrk_dropout_attr;

/* infer: LRK_EVALUE for another p, or without rng. */
extern const lrk_op lrk_op_dropout;

#endif /* LRK_KERNELS_DROPOUT_H */
