/* kernels/gemm/cublaslt.cuh -- cuBLASLt: opened at run time, asked for one product at a time.
 *
 * Algorithms are looked for the first time that a shape comes by, and kept for the life of the
 * process: only such as sum in a fixed order (no split of k, or partial sums in the workspace). It is the
 * first that the library proposes and takes, in every process the same, so that one command gives the same bits;
 * a proposal that it refuses when it is to run leaves the word to the next.
 * Where LRK_GPU_PRODUCTS names a file (choices.h), it is the one that was the fastest on the buffers of
 * the first call, by this process or by one before it; a later one must be clearly faster to be taken
 * before an earlier one, and while a graph is recorded nothing is timed.
 */
#ifndef LRK_KERNELS_GEMM_CUBLASLT_CUH
#define LRK_KERNELS_GEMM_CUBLASLT_CUH
#include "kernels/cuda.cuh"

/* c (m, n) = alpha a b (+ c) (+ bias to each row), row-major; a and b of one type, f32 or bf16. */
struct lrk_lt_operand {
    const void *data;
    size_t stride;
    bool transposed;
};

struct lrk_lt_product {
    size_t m, n, k;
    lrk_dtype type, c_type;
    lrk_lt_operand a, b;
    void *c;
    size_t c_stride;
    float alpha;
    bool accumulate;
    const void *bias; /* n numbers of c_type, or NULL: the library adds them before it stores */
    void *workspace;
    size_t workspace_bytes;
    void *trial; /* as large as c, or NULL: do not time an accumulating product */
};

lrk_status lrk_lt_open(lrk_err *err);
size_t lrk_lt_version(void); /* 130100, without a GPU too; 0: no library */
void lrk_lt_multiply(const lrk_lt_product *p);

#endif /* LRK_KERNELS_GEMM_CUBLASLT_CUH */
