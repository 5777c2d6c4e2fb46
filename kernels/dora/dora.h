/* kernels/dora/dora.h -- the rows of an adapted matrix at lengths of their own (DoRA).
 *
 *   forward    g[o]    = M[o] / norm[o]
 *              Y[t,o]  = g[o] * U[t,o] + bias[o]      U = X (W + scale B A)^T, kernels/linear/
 *   backward   dU[t,o] += g[o] * dY[t,o]
 *              dM[o]   += sum_t(dY[t,o] * U[t,o]) / norm[o]
 *
 * Under dropout PEFT scales only what passed the mask: X is that here, and the rest of X takes the way of W
 * alone, beside this op (models/decoder_forward.c).
 *
 * norm (kernels/weight_norm/) is a constant: no gradient goes through it. Source: Liu et al., 2024, equations
 * 5 and 11; PEFT, tuners/lora/dora.py.
 */
#ifndef LRK_KERNELS_DORA_H
#define LRK_KERNELS_DORA_H
#include "kernels/op.h"

/*   in[U]     (T, out)  compute type
 *   in[M]     (out)     f32 (f64 in f64)
 *   in[NORM]  (out)     like M; above 0
 *   in[BIAS]  (out)     like M; may be absent
 *   out[Y]    (T, out)  like U
 */
enum { LRK_DORA_U, LRK_DORA_M, LRK_DORA_NORM, LRK_DORA_BIAS };
enum { LRK_DORA_Y };

/* infer: LRK_ESHAPE where lengths differ, LRK_ESUPPORT for a gradient of norm or bias. */
extern const lrk_op lrk_op_dora;

#endif /* LRK_KERNELS_DORA_H */
