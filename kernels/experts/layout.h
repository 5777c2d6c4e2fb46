/* kernels/experts/layout.h -- the CPU's workspace of both passes; this folder only. */
#ifndef LRK_KERNELS_EXPERTS_LAYOUT_H
#define LRK_KERNELS_EXPERTS_LAYOUT_H
#include "kernels/experts/experts.h"

/* Bytes from the start of the scratch memory; rows are T * K, in the order of experts. */
typedef struct lrk_experts_layout {
    size_t plan;         /* i32, where nothing is saved */
    size_t weight;       /* real (T, K) */
    size_t score;        /* real (T, E) */
    size_t x;            /* store (rows, C): gathered */
    size_t g, u;         /* store (rows, F), where nothing is saved; backward: their gradients */
    size_t h;            /* store (rows, F) */
    size_t y;            /* store (rows, C): results, or gradients of x */
    size_t s, ds;        /* store (rows, R): between the two matrices of an adapter */
    size_t gemm;
    size_t bytes;
} lrk_experts_layout;

lrk_experts_layout lrk_experts_lay(const lrk_call *c, bool backward);

/* The matrix of expert e: GATE, UP, DOWN, or one of an adapter, that of UP inside a fused one too. */
lrk_tensor lrk_experts_matrix(const lrk_call *c, int which, size_t e);

/* The first matrix of the adapter beside GATE, UP or DOWN; the second is the next one. */
static inline int lrk_experts_a_of(int which)
{
    return LRK_EXPERTS_GATE_A + 2 * (which - LRK_EXPERTS_GATE);
}

/* Its rank, 0 where there is none, and its scale. */
size_t lrk_experts_rank(const lrk_call *c, int which);
double lrk_experts_scale(const lrk_call *c, int which);

/* Where the gradient of an adapter's matrix goes; no data where nobody needs it. */
lrk_tensor lrk_experts_gradient(const lrk_call *c, int which, size_t e);

/* The largest rank. */
size_t lrk_experts_most_rank(const lrk_call *c);

#endif /* LRK_KERNELS_EXPERTS_LAYOUT_H */
