/* kernels/rmsnorm/rmsnorm.h -- root-mean-square normalisation over the last axis.
 *
 *   forward    r[n]    = 1 / sqrt(mean_c(x[n,c]^2) + eps)
 *              y[n,c]  = x[n,c] * r[n] * w[c]
 *   backward   s[n]    = sum_c(dy[n,c] * w[c] * x[n,c])
 *              dx[n,c] += r[n] * w[c] * dy[n,c] - x[n,c] * r[n]^3 * s[n] / C
 *              dw[c]   += sum_n(dy[n,c] * x[n,c] * r[n])
 *
 * Joins the residual (kernels/add/add.h): forward can make x, the sum of two tensors, in the pass that reads it.
 * Backward needs nothing for that: dx is added to where the gradient of the residual stream already lies.
 *
 * N: rows, the product of all axes but the last.   C: model width. Where w is shorter than a row, the
 * row is normalised in pieces of its length, each a row of the formulas: the heads of q and k.
 * Source: Zhang, Sennrich, Root Mean Square Layer Normalization, 2019; the backward is its derivative.
 */
#ifndef LRK_KERNELS_RMSNORM_H
#define LRK_KERNELS_RMSNORM_H
#include "base/size.h"
#include "kernels/op.h"

/* Tensors of one call, as indices into lrk_call; row-major, rows may be strided.
 *   in[X]       (..., C)  f32 | bf16 | f64
 *   in[W]       (C)       like x, or f32; or (D), D a divisor of C
 *   joined[]    (..., C)  like x, or NULL; x may share storage with either
 *   out[Y]      (..., C)  like x; may share storage with x only when no backward will run
 *   saved[RSTD] (N)       the r of the formulas, one for each piece; f32, or f64 when x is f64
 */
enum { LRK_RMSNORM_X, LRK_RMSNORM_W };
enum { LRK_RMSNORM_Y };
enum { LRK_RMSNORM_RSTD };

/* eps is added to the mean square, so its unit is that of x squared; must be > 0. */
typedef struct lrk_rmsnorm_attr {
    double eps;
} lrk_rmsnorm_attr;

/* infer fails with LRK_ESHAPE when w is no vector whose length divides C, LRK_ESUPPORT when its type is
 * neither that of x nor f32, LRK_EVALUE when eps is not > 0. A frozen w costs nothing. Sums of squares in
 * f64 on the CPU. Scratch: a row on the CPU; on a GPU, for dw, a row of f32 sums for each part of the rows. */
extern const lrk_op lrk_op_rmsnorm;

/* Rows of a part: at most 32 parts, so that the last sum is short. */
static inline size_t lrk_rmsnorm_part_rows(size_t rows)
{
    return lrk_max(64, lrk_ceil_div(rows, 32));
}

#endif /* LRK_KERNELS_RMSNORM_H */
