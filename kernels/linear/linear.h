/* kernels/linear/linear.h -- a frozen linear map, with or without a LoRA adapter beside it, or up to three of one x.
 *
 *   forward    Xd      = dropout(X)                    mask and 1/(1-p) by counter; p = 0: X
 *              S[t,r]  = scale * sum_i(Xd[t,i] * A[r,i])
 *              Y[t,o]  = sum_i(X[t,i] * W[o,i]) + bias[o] + sum_r(S[t,r] * B[o,r])
 *   backward   dS[t,r] = scale * sum_o(dY[t,o] * B[o,r])
 *              dX[t,i] += sum_o(dY[t,o] * W[o,i]) + mask[t,i] * sum_r(dS[t,r] * A[r,i])
 *              dB[o,r] += sum_t(dY[t,o] * S[t,r])
 *              dA[r,i] += sum_t(dS[t,r] * Xd[t,i])
 *              dW, dbias: only for plain tensors of the compute type, when somebody asks
 *
 * The order (XA)B is kept in both directions: no product is ever as large as W. The scale is in S and
 * dS and nowhere else. LoRA: Hu et al., 2021; fused order as in Unsloth and RunLoRA.
 *
 * Several weights, each with a Y: their A lie one below the other, and each W has its own R columns of S; or all share
 * one A and all of S, as the rows of a matrix that an adapter is beside (then dS is the sum over them). S, dA and what
 * A adds to dX are one product each: what is thin is bound by reading X and dX. On a GPU the Y are columns of one
 * matrix, and weights of one type that lie one below the other in memory, as q, k and v do there, are one product too,
 * forward and backward.
 *
 * Adapters in the borders of weights, on a GPU: Y = [X S] [W B]^T and dX = [dY dS] [W; A] are one product each where
 * kernels/gemm.h makes one sum of two. For that S lies behind X and dS behind dY wherever they have a border
 * (kernels/op.h), and whoever places the weights has B lie behind W in its rows, and A below the last W; beside a W
 * that is decoded both may lie anywhere. The B of several are one matrix where they lie below each other and share one
 * A, or are the blocks on its diagonal, as wide as A has rows: the numbers beside them are 0 then.
 *
 * T: rows of X.  in, out: widths.  R: rank of the adapter.
 */
#ifndef LRK_KERNELS_LINEAR_H
#define LRK_KERNELS_LINEAR_H
#include "base/rng.h"
#include "kernels/op.h"

/*   in[X]     (T, in)    compute type
 *   in[W]     (out, in)  compute type, or any stored type: f32, f16, bf16, GGUF blocks
 *   in[BIAS]  (out)      f32 or compute type, on a GPU the latter; may be absent
 *   in[A]     (R, in)    f32 (f64 in f64), or the compute type, which spares rounding them in front of each
 *   in[B]     (out, R)   product; A and B are both there or both absent; their gradients are f32 (f64 in f64)
 *   in[W2] .. in[B3]     likewise of a second and a third weight; there an A without some of the B means that those
 *                        weights have no adapter. A: (sum of the R, in), or (R, in) with an R that all have
 *   out[Y]    (T, out)   like X; out[Y + 1], out[Y + 2]: those of W2 and W3
 *   saved[S]  (T, rows of A)  like X; only with an adapter
 */
enum {
    LRK_LINEAR_X,
    LRK_LINEAR_W,
    LRK_LINEAR_BIAS,
    LRK_LINEAR_A,
    LRK_LINEAR_B,
    LRK_LINEAR_W2,
    LRK_LINEAR_BIAS2,
    LRK_LINEAR_B2,
    LRK_LINEAR_W3,
    LRK_LINEAR_BIAS3,
    LRK_LINEAR_B3,
    LRK_LINEAR_INS
};
enum { LRK_LINEAR_Y, LRK_LINEAR_WEIGHTS = 3 };
enum { LRK_LINEAR_S };

/* The inputs of weight i. */
static inline int lrk_linear_w(int i) { return i ? LRK_LINEAR_W2 + 3 * (i - 1) : LRK_LINEAR_W; }
static inline int lrk_linear_bias(int i) { return i ? LRK_LINEAR_BIAS2 + 3 * (i - 1) : LRK_LINEAR_BIAS; }
static inline int lrk_linear_b(int i) { return LRK_LINEAR_B + 3 * i; }

/* scale: alpha / r, or alpha / sqrt(r). dropout: 0 <= p < 1. rng says which mask: its seed and step
 * must be the same in forward and backward, its site different for every adapter; it may be NULL
 * when dropout is 0. */
typedef struct lrk_linear_attr {
    double scale;
    double dropout;
    const lrk_rng *rng;
} lrk_linear_attr;

/* infer: LRK_ESHAPE where W, bias, A and B do not fit each other, or one of A and B is missing; LRK_ESUPPORT for a
 * W that no kernel of the device reads, for bias, A and B in another type, and for dropout where several A lie in one,
 * whose masks would differ; LRK_EVALUE for a dropout out of range or without rng. */
extern const lrk_op lrk_op_linear;

#endif /* LRK_KERNELS_LINEAR_H */
