/* kernels/add/add.h -- the residual: y = x + d.
 *
 *   forward    y[i]  = x[i] + d[i]
 *   backward   dx[i] += dy[i],  dd[i] += dy[i]
 *
 * Both gradients ARE dy, so a tape that honours `passthrough` never runs the backward kernel.
 * Source: He et al., "Deep residual learning", 2015.
 */
#ifndef LRK_KERNELS_ADD_H
#define LRK_KERNELS_ADD_H
#include "kernels/op.h"

/*   in[X], in[D]  (..., C)  f32 | bf16 | f64, both alike
 *   out[Y]        (..., C)  like x; may share storage with d
 */
enum { LRK_ADD_X, LRK_ADD_D };
enum { LRK_ADD_Y };

/* No attributes. infer: LRK_ESHAPE or LRK_ESUPPORT when x and d differ in shape or type. */
extern const lrk_op lrk_op_add;

#endif /* LRK_KERNELS_ADD_H */
