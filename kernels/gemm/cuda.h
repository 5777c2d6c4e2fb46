/* kernels/gemm/cuda.h -- inside the matrix product on a GPU.
 *
 *   cuda_plan.c    which way a product goes and what memory it takes: plain C, for plans too
 *   decode.cuh     stored types to floats; decode.cu: panels of them
 *   cublaslt.cu    the library, opened at run time, and its choice of an algorithm for a shape
 *   few_cuda.cu    few rows (decoding): dot products, each weight read once
 *   gemm_cuda.cu   the ways put together
 *
 * b in another type than a is decoded into a's type a panel at a time:
 *   b transposed, as in y = x w^T     rows of b in memory, which are columns of c
 *   b as it lies, as in dx = dy w     columns; or, where so few would leave processors idle, rows,
 *                                     which are pieces of the sum: a bf16 c is then summed in f32
 * so that a big quantized weight never exists whole.
 */
#ifndef LRK_KERNELS_GEMM_CUDA_H
#define LRK_KERNELS_GEMM_CUDA_H
#include "kernels/gemm.h"

/* How one product goes: of the first pair alone, or of both. Sizes in bytes are multiples of LRK_ALIGN. */
typedef struct lrk_gemm_way {
    bool few;              /* the kernel of few_cuda.cu: no memory at all */
    bool decoded;          /* b goes through a panel */
    size_t depth;          /* of the sum: k, or k + k2 */
    size_t n_step, k_step; /* of c's columns and of the sum, taken at a time */
    size_t panel_stride;   /* elements */
    size_t panel, sums, workspace; /* the last begins at a multiple of LRK_GEMM_WORKSPACE_ALIGN */
    size_t trial; /* a place for results while algorithms are timed, where c must be kept */
} lrk_gemm_way;

/* cuBLASLt refuses a workspace that begins elsewhere. */
enum { LRK_GEMM_FEW_ROWS = 8, LRK_GEMM_WORKSPACE_ALIGN = 256 };

/* both: as one sum, where lrk_gemm_cuda_joins. */
lrk_gemm_way lrk_gemm_cuda_way(const lrk_gemm *g, bool both);
bool lrk_gemm_cuda_joins(const lrk_gemm *g);
size_t lrk_gemm_cuda_scratch(const lrk_gemm *g); /* both pairs */

/* Bytes of a panel from now on, for tests; 0: as usual. */
void lrk_gemm_panel_set(size_t bytes);

/* Linked where the program has GPU kernels. open: LRK_EGPU when cuBLASLt is missing. */
__attribute__((weak)) lrk_status lrk_gemm_cuda_open(lrk_err *err);
__attribute__((weak)) void lrk_gemm_cuda_version(char *out, size_t size);
__attribute__((weak)) void lrk_gemm_cuda(const lrk_gemm *g, void *scratch);

/* Rows x cols of src, any type of stored.def, become dst, f32 or bf16, dst_stride elements a row. */
__attribute__((weak)) void lrk_gemm_cuda_decode(const lrk_operand *src, size_t rows, size_t cols,
                                                lrk_dtype dst_type, void *dst, size_t dst_stride);

#endif /* LRK_KERNELS_GEMM_CUDA_H */
