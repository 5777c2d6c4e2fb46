/* kernels/layernorm/layernorm.h -- layer normalisation over the last axis.
 *
 *   forward    m[n]    = mean_c(x[n,c])
 *              r[n]    = 1 / sqrt(mean_c((x[n,c] - m[n])^2) + eps)
 *              y[n,c]  = (x[n,c] - m[n]) * r[n] * w[c] + b[c]
 *   backward   g[n,c]  = dy[n,c] * w[c],  z[n,c] = (x[n,c] - m[n]) * r[n]
 *              dx[n,c] += r[n] * (g[n,c] - mean_c(g[n,c]) - z[n,c] * mean_c(g[n,c] * z[n,c]))
 *              dw[c]   += sum_n(dy[n,c] * z[n,c])
 *              db[c]   += sum_n(dy[n,c])
 *
 * N: rows, the product of all axes but the last.   C: model width.   Ba, Kiros, Hinton, 2016.
 */
#ifndef LRK_KERNELS_LAYERNORM_H
#define LRK_KERNELS_LAYERNORM_H
#include "kernels/op.h"

/*   in[X]       (..., C)  f32 | bf16 | f64; rows may be strided
 *   in[W]       (C)       like x, or f32
 *   in[B]       (C)       like w, or absent
 *   out[Y]      (..., C)  like x
 *   saved[MEAN], saved[RSTD]  (N)  f32, or f64 when x is f64
 */
enum { LRK_LAYERNORM_X, LRK_LAYERNORM_W, LRK_LAYERNORM_B };
enum { LRK_LAYERNORM_Y };
enum { LRK_LAYERNORM_MEAN, LRK_LAYERNORM_RSTD };

/* eps is added to the variance; must be > 0. */
typedef struct lrk_layernorm_attr {
    double eps;
} lrk_layernorm_attr;

/* infer fails with LRK_ESHAPE when w or b is not (C), LRK_ESUPPORT when their type is neither that of
 * x nor f32, LRK_EVALUE when eps is not > 0. Frozen w and b cost nothing. Sums in f64. */
extern const lrk_op lrk_op_layernorm;

#endif /* LRK_KERNELS_LAYERNORM_H */
