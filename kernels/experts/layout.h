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
    size_t gemm;
    size_t bytes;
} lrk_experts_layout;

lrk_experts_layout lrk_experts_lay(const lrk_call *c, bool backward);

/* The matrix of expert e: GATE, UP or DOWN. */
lrk_tensor lrk_experts_matrix(const lrk_call *c, int which, size_t e);

#endif /* LRK_KERNELS_EXPERTS_LAYOUT_H */
