/* kernels/experts/cuda.h -- scratch memory of a mixture of experts on a GPU; this folder only.
 *
 *   route_cuda.cu     scores, choices, and the order by expert
 *   product_cuda.cu   rows in that order times the matrices of their experts
 *   adapter_cuda.cu   gradients of the adapters' matrices
 *   experts_cuda.cu   both passes
 *
 * The host never learns how many rows an expert has: rows in order are cut into tiles of at most
 * LRK_EXPERTS_TILE, which a kernel lists, and grids have room for as many as there can be.
 */
#ifndef LRK_KERNELS_EXPERTS_CUDA_H
#define LRK_KERNELS_EXPERTS_CUDA_H
#include "kernels/experts/experts.h"

enum { LRK_EXPERTS_TILE = 64 };

/* expert < 0: a place in the list that is not needed. */
typedef struct lrk_experts_tile {
    int32_t expert, first; /* of its rows */
} lrk_experts_tile;

typedef struct lrk_experts_weight {
    const void *data;
    size_t bytes; /* from row to row */
    int32_t dtype;
} lrk_experts_weight;

/* Offsets in bytes; rows are T * K, in the order of experts. */
typedef struct lrk_experts_cuda_layout {
    size_t n_tiles;
    size_t plan;    /* i32, where nothing is saved */
    size_t weight;  /* f32 (T, K) */
    size_t score;   /* f32 (T, E) */
    size_t chosen;  /* i32 (T, K): experts, ascending */
    size_t tiles;   /* lrk_experts_tile (n_tiles) */
    size_t weights; /* lrk_experts_weight (9, E): gate, up, down, and the matrices of their adapters */
    size_t g, u;    /* like X (rows, F), where nothing is saved; backward: their gradients */
    size_t h;       /* like X (rows, F) */
    size_t y;       /* like X (rows, C): results, or gradients of x */
    size_t s, ds;   /* like X (rows, R): between the two matrices of an adapter */
    size_t bytes;
} lrk_experts_cuda_layout;

lrk_experts_cuda_layout lrk_experts_cuda_lay(const lrk_call *c);

#endif /* LRK_KERNELS_EXPERTS_CUDA_H */
