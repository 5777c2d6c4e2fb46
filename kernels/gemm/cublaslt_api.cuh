/* kernels/gemm/cublaslt_api.cuh -- the functions of cuBLASLt that are used, as a table that is filled
 * when the library is opened. The tests' emulator, which defines LRK_EMULATOR, links its own. */
#ifndef LRK_KERNELS_GEMM_CUBLASLT_API_CUH
#define LRK_KERNELS_GEMM_CUBLASLT_API_CUH
#include <cublasLt.h>
extern "C" {
#include "base/status.h"
}

#define LRK_LT_CALLS(X)         \
    X(GetVersion)               \
    X(GetStatusName)            \
    X(Create)                   \
    X(MatmulDescCreate)         \
    X(MatmulDescDestroy)        \
    X(MatmulDescSetAttribute)   \
    X(MatrixLayoutCreate)       \
    X(MatrixLayoutDestroy)      \
    X(MatmulPreferenceCreate)   \
    X(MatmulPreferenceDestroy)  \
    X(MatmulPreferenceSetAttribute) \
    X(MatmulAlgoGetHeuristic)   \
    X(Matmul)

struct lrk_lt_api {
#define X(call) decltype(&cublasLt##call) call;
    LRK_LT_CALLS(X)
#undef X
};

/* LRK_EGPU: no library, or one without some function; the message says which. */
lrk_status lrk_lt_load(lrk_lt_api *api, lrk_err *err);

#endif /* LRK_KERNELS_GEMM_CUBLASLT_API_CUH */
