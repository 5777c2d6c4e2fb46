/* kernels/linear_xent/linear_xent.h -- output head and cross-entropy in one, without T x V logits.
 *
 *   forward    for rows t with target[t] >= 0 only:
 *              z[t,v]  = softcap(sum_c(X[t,c] * W[v,c]))      softcap(z) = cap * tanh(z / cap)
 *              LOSS    = sum_t(log(sum_v(exp(z[t,v]))) - z[t,target[t]])
 *   backward   g[t,v]  = (softmax(z[t])[v] - (v == target[t])) * softcap'(z)
 *              dX[t,c] += dLOSS * sum_v(g[t,v] * W[v,c])
 *              rows without target get nothing
 *              dW[v,c] += dLOSS * sum_t(g[t,v] * X[t,c])          where the head is trained
 *
 * Rows of the head may be trained alone: ROWS[k] stands for W[INDEX[k]] everywhere above, and dROWS[k] is what
 * dW[INDEX[k]] would be. Their logits are a product of their own, behind those of W, and change places with them.
 *
 * Rows with a target are gathered and go through in chunks: logits of a chunk, their loss, and, when
 * a backward follows, the chunk's gradient at once, so that the logits are computed one time and live
 * for one chunk. That gradient, for dLOSS = 1, is saved; backward only scales and scatters it. A head that
 * is trained saves its own beside it, summed over the chunks: (V, C) numbers, or (N, C) of its rows, which spare
 * computing the logits again.
 * Softmax in f32 (f64 in f64) whatever the compute type; the sum of the losses in f64.
 *
 * T: rows of X.  C: model width.  V: vocabulary.  N: trained rows of the head.
 * Source: the gradient of a chunk made in its forward pass as in
 * Liger Kernel (Hsu et al., 2024); no logits of all rows as in Wijmans et al., "Cut your losses", 2024.
 */
#ifndef LRK_KERNELS_LINEAR_XENT_H
#define LRK_KERNELS_LINEAR_XENT_H
#include "kernels/op.h"

/*   in[X]       (T, C)  compute type
 *   in[W]       (V, C)  compute type or any stored type; f32 (f64 in f64) or the compute type where it is trained,
 *                       and its gradient f32 (f64 in f64)
 *   in[TARGET]  (T)     i32, below V; negative: the row is not trained
 *   in[ROWS]    (N, C)  f32 (f64 in f64); absent: the head is W
 *   in[INDEX]   (N)     i32 in [0, V), none twice: the caller has checked them; beside ROWS
 *   out[LOSS]   ()      f64, one element
 *   saved[DX]   (T, C)  like X: the gradients of the trained rows, at the front
 *   saved[DW]   (V, C)  f32 (f64 in f64), only with `train`; of ROWS, (N, C), where they are there
 */
enum {
    LRK_LINEAR_XENT_X,
    LRK_LINEAR_XENT_W,
    LRK_LINEAR_XENT_TARGET,
    LRK_LINEAR_XENT_ROWS,
    LRK_LINEAR_XENT_INDEX
};
enum { LRK_LINEAR_XENT_LOSS };
enum { LRK_LINEAR_XENT_DX, LRK_LINEAR_XENT_DW };

typedef struct lrk_linear_xent_attr {
    double softcap;  /* 0: none */
    size_t max_rows; /* trained rows at most; 0: any number. The CPU makes its chunks no longer than that and
                        takes more rows all the same. A GPU, whose work is launched before anybody has
                        counted, has no room for them: the loss and the gradients of X's trained rows are
                        NaN then, and whoever knows the numbers asks first, as models/engine.h does */
    bool train;      /* the gradient of ROWS, or of W where there are none, will be asked for */
} lrk_linear_xent_attr;

/* Rows of one chunk: so many that their logits fill about 100 MB, at most LRK_XENT_MAX_CHUNK. */
enum { LRK_XENT_MAX_CHUNK = 512 };
size_t lrk_linear_xent_chunk(size_t vocabulary);

/* Where the logits of ROWS begin, behind those of W. */
static inline size_t lrk_linear_xent_behind(size_t vocabulary)
{
    return (vocabulary + 15) / 16 * 16;
}

/* From one row of logits to the next, in elements, where n rows of the head are trained. Rows whose distance is a
 * multiple of a page, as large vocabularies have it, would all fall into the same few lines of the caches. */
static inline size_t lrk_linear_xent_stride(size_t vocabulary, size_t n)
{
    return lrk_linear_xent_behind(vocabulary) + (n + 15) / 16 * 16 + 16;
}

/* Rows that the workspace is laid out for. */
size_t lrk_linear_xent_rows(const lrk_tensor *x, const lrk_tensor *w,
                            const lrk_linear_xent_attr *attr);

/* infer: LRK_ESHAPE where W or ROWS are not as wide as X, or TARGET and INDEX are not one i32 a row; LRK_ESUPPORT
 * for a W that no kernel of the device reads; LRK_EVALUE for a cap below 0. Scratch memory: the gathered rows and the
 * logits of one chunk, and the workspace of a product. */
extern const lrk_op lrk_op_linear_xent;

#endif /* LRK_KERNELS_LINEAR_XENT_H */
