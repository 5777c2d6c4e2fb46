/* kernels/weight_norm/weight_norm.h -- how long the rows of an adapted matrix are.
 *
 *   forward    norm[o] = sqrt(sum_i (W[o,i] + scale * sum_r B[o,r] A[r,i])^2)
 *
 * There is no backward: DoRA takes the norm as a constant of the step (Liu et al., 2024, section 4.3), and
 * it is computed once after each change of A and B, not in every pass. W is decoded as the products of
 * kernels/linear/ decode it. Sums in the compute type over pieces of a row, the pieces added in double on
 * the CPU.
 */
#ifndef LRK_KERNELS_WEIGHT_NORM_H
#define LRK_KERNELS_WEIGHT_NORM_H
#include "kernels/op.h"

/*   in[W]      (out, in)  any stored type; f64 in f64
 *   in[A]      (R, in)    f32 (f64 in f64)
 *   in[B]      (out, R)   like A
 *   out[NORM]  (out)      like A
 */
enum { LRK_WEIGHT_NORM_W, LRK_WEIGHT_NORM_A, LRK_WEIGHT_NORM_B };
enum { LRK_WEIGHT_NORM_NORM };

typedef struct lrk_weight_norm_attr {
    double scale; /* of B A */
} lrk_weight_norm_attr;

/* infer: LRK_ESHAPE where A and B do not fit W, LRK_ESUPPORT for a type that the device does not decode. */
extern const lrk_op lrk_op_weight_norm;

#endif /* LRK_KERNELS_WEIGHT_NORM_H */
