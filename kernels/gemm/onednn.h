/* kernels/gemm/onednn.h -- the product by oneDNN. */
#ifndef LRK_KERNELS_GEMM_ONEDNN_H
#define LRK_KERNELS_GEMM_ONEDNN_H
#include "kernels/gemm/impl.h"

/* Returns the number of columns of C that are done, n unless oneDNN declined; the others are as
 * they were. Not for f64 or empty products. */
size_t lrk_gemm_onednn(const lrk_gemm *g, void *scratch);
size_t lrk_gemm_onednn_scratch(const lrk_gemm *g);

#endif /* LRK_KERNELS_GEMM_ONEDNN_H */
