/* kernels/scale/scale.h -- a number times a tensor.
 *
 *   forward    y[i]  = scale * x[i]
 *   backward   dx[i] += scale * dy[i]
 *
 * The multipliers of embedding, residual and logits. Source: transformers, models/granite, after Yang et al.,
 * "Tensor Programs V", 2022.
 */
#ifndef LRK_KERNELS_SCALE_H
#define LRK_KERNELS_SCALE_H
#include "kernels/op.h"

/*   in[X]   (..., C)  f32 | bf16 | f64
 *   out[Y]  (..., C)  like x; may share storage with x, and dX with dY
 */
enum { LRK_SCALE_X };
enum { LRK_SCALE_Y };

typedef struct lrk_scale_attr {
    double scale; /* finite; 0 and negative ones too */
} lrk_scale_attr;

/* infer: LRK_EVALUE for a scale that is not finite. */
extern const lrk_op lrk_op_scale;

#endif /* LRK_KERNELS_SCALE_H */
