/* kernels/experts/experts.cuh -- what the CUDA files of this folder share. */
#ifndef LRK_KERNELS_EXPERTS_CUH
#define LRK_KERNELS_EXPERTS_CUH
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/experts/cuda.h"
#include "kernels/experts/layout.h"
}

/* A call's places on the GPU, and its sizes. */
struct lrk_experts_run {
    const lrk_call *call;
    const lrk_experts_attr *attr;
    size_t T, C, F, E, K, rows, n_tiles;
    int32_t *start, *token, *place; /* of the plan */
    int32_t *chosen;
    float *weight, *score;
    lrk_experts_tile *tiles;
    lrk_experts_weight *weights;
};

/* Scores, choices, weights and tiles; the plan too where it is not there yet. */
void lrk_experts_route(const lrk_experts_run *r, bool plan);

/* Where the matrices lie, for all products of the call. */
void lrk_experts_list_weights(const lrk_experts_run *r);

/* c = a W^T (transposed) or a W, c contiguous; rows of a and c in the order of experts, or with
 * `by_token` row r of a is that of its token. add: to what c holds. */
void lrk_experts_multiply(const lrk_experts_run *r, int which, bool transposed, const lrk_tensor *a,
                          bool by_token, void *c, bool add);

/* dM[e] += y^T x over the rows of expert e, M one of an adapter's matrices; nothing where nobody needs it.
 * Rows as above. */
void lrk_experts_add_gradient(const lrk_experts_run *r, int which, const lrk_tensor *y, bool y_by_token,
                              const lrk_tensor *x, bool x_by_token);

/* to = factor * from, row by row times the weight of its choice too where `weighted`; both contiguous, of one
 * shape, or one. */
void lrk_experts_scale_rows(const lrk_experts_run *r, double factor, bool weighted, const lrk_tensor *from,
                            const lrk_tensor *to);

#endif /* LRK_KERNELS_EXPERTS_CUH */
