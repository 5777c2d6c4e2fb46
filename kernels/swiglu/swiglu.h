/* kernels/swiglu/swiglu.h -- the gated activation of the feed-forward block: h = act(g) * u.
 *
 *   forward    h[n,f]  = act(g[n,f]) * u[n,f]
 *   backward   dg[n,f] += dh[n,f] * u[n,f] * act'(g[n,f])
 *              du[n,f] += dh[n,f] * act(g[n,f])
 *
 *   silu       act(g) = g * s, s = 1 / (1 + exp(-g));           act' = s * (1 + g * (1 - s))
 *   gelu_tanh  act(g) = g * s, s = sigmoid(2 k (g + c g^3)),    act' = s + g s (1 - s) 2 k (1 + 3 c g^2)
 *              k = sqrt(2 / pi), c = 0.044715: g/2 (1 + tanh(k (g + c g^3))) written with sigmoid
 *   gelu_erf   act(g) = g * P(g), P(g) = (1 + erf(g / sqrt 2)) / 2;   act' = P + g exp(-g^2 / 2) / sqrt(2 pi)
 *
 * Without u, h = act(g): the feed-forward block of models that have no gate.
 *
 * N: tokens.   F: feed-forward width.   Shazeer, "GLU variants improve transformer", 2020.
 */
#ifndef LRK_KERNELS_SWIGLU_H
#define LRK_KERNELS_SWIGLU_H
#include "kernels/op.h"

/*   in[G], in[U]  (N, F)  f32 | bf16 | f64, both alike; may be column slices of one matrix
 *                         in[U] may be absent
 *   out[H]        (N, F)  like g; may share storage with g, and dg with dh
 */
enum { LRK_SWIGLU_G, LRK_SWIGLU_U };
enum { LRK_SWIGLU_H };

typedef enum lrk_activation { LRK_SILU, LRK_GELU_TANH, LRK_GELU_ERF } lrk_activation;

typedef struct lrk_swiglu_attr {
    lrk_activation activation;
} lrk_swiglu_attr;

/* infer: LRK_ESHAPE, LRK_ESUPPORT when g and u differ, LRK_EVALUE for an unknown activation. */
extern const lrk_op lrk_op_swiglu;

#endif /* LRK_KERNELS_SWIGLU_H */
