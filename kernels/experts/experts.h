/* kernels/experts/experts.h -- a mixture of experts: each token through the K of E feed-forward blocks that
 * its router chose.
 *
 *   forward    G'[e]  = G[e] + scale_G * GB[e] GA[e], and so U', D': matrices with what is beside them
 *              s[t,e] = softmax_e(Z[t,e]), or sigmoid(Z[t,e])
 *              chosen(t): the K experts with the largest s[t,e] + BIAS[e]; with groups only among the
 *              experts of the `groups_used` best groups, whose worth is their largest member, or the sum
 *              of their two largest
 *              w[t,e] = factor * s[t,e] / (normalize ? sum of s over chosen(t) : 1)
 *              h      = act(X[t] G'[e]^T) * (X[t] U'[e]^T)
 *              Y[t]   = sum over e in chosen(t) of w[t,e] * (h D'[e]^T)
 *   backward   dh     = w[t,e] * (dY[t] D'[e]),  through act as in kernels/swiglu/
 *              dX[t] += sum of dg G'[e] + du U'[e];  dw[t,e] = <dY[t] D'[e], h>
 *              dZ    += dw through the normalisation and the scores; the choice itself has no gradient
 *              dGB[e] += scale_G * sum of dg^T (X[t] GA[e]^T),   dGA[e] += scale_G * sum of (dg GB[e])^T X[t],
 *              sums over the tokens that chose e; U as G; D with w[t,e] * dY[t] and h in place of dg and X[t]
 * G, U, D and BIAS are frozen. Products with an adapter go through its rank, as in kernels/linear/; with
 * `fused` one adapter is beside G and U, whose rows lie one below the other: GA is shared, GB has those of
 * G, then those of U. The order of sums: Hu et al., 2021; stacks as peft, tuners/lora/layer.py,
 * ParamWrapper has them, which knows no dropout here, as we do.
 *
 * Tokens are put in order by expert; an expert multiplies those that chose it and no others. Nothing that
 * the host would have to know depends on the choice: sizes of results and scratch memory are those of
 * T * K rows.
 *
 * T: tokens.   C: width.   F: width of an expert.   E: experts.   Fedus et al., 2021; Jiang et al.
 * (Mixtral), 2024; DeepSeek-AI, 2024.
 */
#ifndef LRK_KERNELS_EXPERTS_H
#define LRK_KERNELS_EXPERTS_H
#include "kernels/op.h"
#include "kernels/swiglu/swiglu.h"

/*   in[X]      (T, C)  f32 | bf16 | f64
 *   in[Z]      (T, E)  like X: the router's logits
 *   in[BIAS]   (E)     f32 (f64 in f64), or absent
 *   in[GATE], in[UP]  (E * F, C), in[DOWN]  (E * C, F)  any stored type, the experts one below the other;
 *                      absent where the attributes hold a matrix for each
 *   in[GATE_A], in[UP_A]  (E * R, C), in[DOWN_A]  (E * R, F)   f32 (f64 in f64); an adapter's two are both
 *   in[GATE_B], in[UP_B]  (E * F, R), in[DOWN_B]  (E * C, R)   there or absent, and each has its own R
 *                      fused: in[GATE_B]  (E * 2 F, R), and no UP_A, UP_B
 *   out[Y]     (T, C)  like X
 *   saved[G], saved[U]  (T * K, F)  like X: before the activation, in the order of experts
 *   saved[PLAN]         (E + 1 + 2 T K)  i32: where each expert's rows begin; token of each row; row of
 *                       each choice
 */
enum {
    LRK_EXPERTS_X,
    LRK_EXPERTS_Z,
    LRK_EXPERTS_BIAS,
    LRK_EXPERTS_GATE,
    LRK_EXPERTS_UP,
    LRK_EXPERTS_DOWN,
    LRK_EXPERTS_GATE_A,
    LRK_EXPERTS_GATE_B,
    LRK_EXPERTS_UP_A,
    LRK_EXPERTS_UP_B,
    LRK_EXPERTS_DOWN_A,
    LRK_EXPERTS_DOWN_B
};
enum { LRK_EXPERTS_Y };
enum { LRK_EXPERTS_G, LRK_EXPERTS_U, LRK_EXPERTS_PLAN };

typedef struct lrk_experts_attr {
    size_t experts, used, feed_forward; /* E, K, F */
    lrk_activation activation;
    bool sigmoid;                       /* else softmax */
    bool normalize;
    double factor;
    size_t groups, groups_used;         /* 0: no groups; groups divides E */
    bool group_by_two;                  /* the sum of two, else the largest */
    const lrk_tensor *gate, *up, *down; /* E views each, or NULL */
    double scale[3];                    /* of the adapters beside gate, up, down */
    bool fused;
} lrk_experts_attr;

enum { LRK_EXPERTS_MAX = 1024, LRK_EXPERTS_MAX_USED = 64 };

/* infer: LRK_ESHAPE when shapes do not fit, LRK_EVALUE when K, groups or their number cannot be,
 * LRK_ESUPPORT beyond the limits above. */
extern const lrk_op lrk_op_experts;

#endif /* LRK_KERNELS_EXPERTS_H */
