/* kernels/linear_xent/cuda.h -- how the head is cut into chunks on a GPU, and where its scratch lies.
 *
 * No number of the batch is read by the host: the trained rows are listed on the GPU, and as many
 * chunks are launched as the shapes allow, max_rows of the attributes at most. Rows of a chunk behind
 * the last trained row are zeros, which cost their share of the products and nothing else.
 */
#ifndef LRK_KERNELS_LINEAR_XENT_CUDA_H
#define LRK_KERNELS_LINEAR_XENT_CUDA_H
#include "kernels/gemm.h"
#include "kernels/linear_xent/linear_xent.h"

/* Offsets into the scratch of forward, in bytes. */
typedef struct lrk_xent_layout {
    size_t rows;   /* trained rows at most */
    size_t chunk;  /* rows of a chunk; the last one may have fewer */
    size_t stride; /* elements between rows of logits, f32 */
    size_t behind; /* of a row: where the logits of ROWS begin */
    size_t list;   /* i32: how many trained rows there are; then, LRK_ALIGN bytes on, which */
    size_t x, logits, losses, workspace, end;
} lrk_xent_layout;

lrk_xent_layout lrk_xent_cuda_layout(const lrk_call *c);

/* The products of m rows with w, which is W or ROWS; data pointers of the chunk are the caller's to set: a and c, of
 * `own` b too. The gradient lies where its logits were, in x's type, at the front of every row. back: adds to the
 * other's where w is ROWS. own: of a head that is trained; it adds to its result. */
lrk_gemm lrk_xent_cuda_head(const lrk_call *c, const lrk_xent_layout *l, const lrk_tensor *w, size_t m);
lrk_gemm lrk_xent_cuda_back(const lrk_call *c, const lrk_xent_layout *l, const lrk_tensor *w, size_t m);
lrk_gemm lrk_xent_cuda_own(const lrk_call *c, const lrk_xent_layout *l, const lrk_tensor *w, size_t m);

/* Of backward: i32, how many trained rows there are; LRK_ALIGN bytes on, each row's place among them. */
size_t lrk_xent_cuda_backward_scratch(const lrk_call *c);

#endif /* LRK_KERNELS_LINEAR_XENT_CUDA_H */
