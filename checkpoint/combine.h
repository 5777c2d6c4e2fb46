/* checkpoint/combine.h -- several adapters of one base as one.
 *
 * Adapter i has the weight w and the scale s; dW = s * B * A is what it adds to a matrix. The result has
 * scale 1. Methods are PEFT's (peft, LoraModel.add_weighted_adapter), under its names:
 *
 *   cat              the ranks side by side: the sum of w * dW, exactly; the rank is the sum of ranks
 *   svd              the nearest matrix of the rank asked for to that sum (Eckart and Young 1936): U S and V^T
 *   linear           A = sum sign(w) sqrt(|w| s) A, B = sum sqrt(|w| s) B. All of one rank. Not the sum of
 *                    products: A of one adapter meets B of another
 *   magnitude_prune  linear, after each A and B has kept the `density` of largest magnitude
 *   ties             magnitude_prune, and each element is the mean over those adapters whose sign is the sign of
 *                    the sum (Yadav et al. 2023)
 *   dare_linear      linear, after each element was kept with probability `density` and divided by it
 *   dare_ties        ties, after the same (Yu et al. 2024)
 *
 * Embedding and head, or rows of them, are by every method what the base has plus the sum of w times the difference
 * to it; a row that an adapter lacks differs by nothing there. (PEFT refuses where two have the same one.)
 *
 * A module that some adapters lack comes from the others. svd never forms a matrix of the base's size: B and
 * A^T are made orthonormal, and what lies between them, no larger than the sum of ranks, is decomposed.
 */
#ifndef LRK_CHECKPOINT_COMBINE_H
#define LRK_CHECKPOINT_COMBINE_H
#include "checkpoint/adapter.h"

typedef enum lrk_combine_method {
    LRK_COMBINE_CAT,
    LRK_COMBINE_SVD,
    LRK_COMBINE_LINEAR,
    LRK_COMBINE_PRUNE,
    LRK_COMBINE_TIES,
    LRK_COMBINE_DARE_LINEAR,
    LRK_COMBINE_DARE_TIES
} lrk_combine_method;

/* By its name; false where there is none such. */
bool lrk_combine_named(const char *name, lrk_combine_method *out);

typedef struct lrk_combine_options {
    lrk_combine_method method;
    size_t rank;    /* svd; 0: the largest rank of an adapter */
    double density; /* of pruning, above 0 and at most 1 */
    uint64_t seed;  /* of dare */
    bool any_base;  /* adapters of other weights of this shape, say of a quantized file, are wanted anyway */
    const char *const *path; /* of the adapters, for messages, or NULL */
    const lrk_weights *base; /* needed where an adapter has embedding, head or rows, with as many rows as they say; or
                                NULL */
} lrk_combine_options;

/* How far the result is from the weighted sum W, as a share of it: |W - B A| / |W| in the Frobenius norm, in f64. Of
 * svd it is what the rank cuts off, from the singular values of each module's sum (A and B, rounded to f32, come on top
 * of it, some 1e-7); of methods that work on A and B by themselves the norm of W - B A, which is a product of matrices
 * of the sum of all ranks. cat is the sum. */
typedef struct lrk_combine_residual {
    double overall;     /* all modules as one */
    double worst;       /* the largest of a module */
    const char *module; /* that has it; lives as long as the adapters. NULL: every sum is zero */
} lrk_combine_residual;

/* out, for the caller to free, takes names and configuration from adapter 0, which must outlive it.
 * LRK_EINPUT where the adapters are of different bases, by the hashes that training noted, or, where one has none, by
 * the last parts of the names in their configurations; LRK_ESHAPE where a module differs in shape,
 * LRK_ENUMERIC where a number of the result is beyond f32, LRK_EVALUE for ranks that linear and its kin cannot add,
 * LRK_ESUPPORT for DoRA, for adapters beside stacks of experts, and where some part a tied head from its embedding and
 * others do not; LRK_EUSAGE where the base is needed and not there. residual: or NULL; cat leaves it zero. */
lrk_status lrk_combine(lrk_adapter *out, const lrk_adapter *adapter, const double *weight, size_t n,
                       const lrk_combine_options *options, lrk_combine_residual *residual, lrk_err *err);

/* ---- inside checkpoint/ ---- */

/* One side of a module: tensors of one shape, n of them, and what each counts. Sums into out. */
typedef struct lrk_combine_side {
    const lrk_tensor *const *tensor;
    const double *factor;
    size_t n;
    uint32_t site; /* of dare's random numbers */
} lrk_combine_side;
lrk_status lrk_combine_elements(const lrk_combine_side *side, const lrk_combine_options *options, lrk_tensor *out,
                                lrk_err *err);

/* out->whole and what is said of it; out->module is there. */
lrk_status lrk_combine_whole(lrk_adapter *out, const lrk_adapter *adapter, const double *weight, size_t n,
                             const lrk_weights *base, lrk_err *err);

/* Sums of squares of the elements. */
typedef struct lrk_low_rank_cut {
    double whole, off; /* of B A, and of what k leaves out of it */
} lrk_low_rank_cut;

/* B (out, R) times A (R, in) as a product of rank k: b (out, k) and a (k, in). */
lrk_status lrk_low_rank(const lrk_tensor *B, const lrk_tensor *A, lrk_tensor *b, lrk_tensor *a, lrk_low_rank_cut *cut,
                        lrk_err *err);

/* |B A|^2 in the Frobenius norm: with B = Q R and A^T = P S, it is |R S^T|^2. */
lrk_status lrk_low_rank_square(const lrk_tensor *B, const lrk_tensor *A, double *square, lrk_err *err);

#endif /* LRK_CHECKPOINT_COMBINE_H */
