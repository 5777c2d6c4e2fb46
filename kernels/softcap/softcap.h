/* kernels/softcap/softcap.h -- logits that cannot grow beyond a cap.
 *
 *   forward    y[i]  = cap * tanh(x[i] / cap)
 *   backward   dx[i] += dy[i] * (1 - (y[i] / cap)^2)
 *
 * Training does the same inside kernels/linear_xent/. Backward reads y, not x.
 * Source: Gemma Team, "Gemma 2", 2024, section 2, after Bello et al., 2016.
 */
#ifndef LRK_KERNELS_SOFTCAP_H
#define LRK_KERNELS_SOFTCAP_H
#include "kernels/op.h"

/*   in[X]   (..., C)  f32 | bf16 | f64
 *   out[Y]  (..., C)  like x
 */
enum { LRK_SOFTCAP_X };
enum { LRK_SOFTCAP_Y };

typedef struct lrk_softcap_attr {
    double cap; /* > 0 */
} lrk_softcap_attr;

/* infer: LRK_EVALUE for a cap that is not above 0 and finite. */
extern const lrk_op lrk_op_softcap;

#endif /* LRK_KERNELS_SOFTCAP_H */
