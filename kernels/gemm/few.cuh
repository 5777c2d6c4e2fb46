/* kernels/gemm/few.cuh -- a few rows times W^T on a GPU, as when decoding: m <= LRK_GEMM_FEW_ROWS, b
 * transposed, a not. One pair of operands. b is not rounded to bf16 here. */
#ifndef LRK_KERNELS_GEMM_FEW_CUH
#define LRK_KERNELS_GEMM_FEW_CUH
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/gemm.h"
}

void lrk_gemm_few_cuda(const lrk_gemm *g);

#endif /* LRK_KERNELS_GEMM_FEW_CUH */
