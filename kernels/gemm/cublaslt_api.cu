/* kernels/gemm/cublaslt_api.cu -- finds cuBLASLt. */
#include "kernels/gemm/cublaslt_api.cuh"

#ifdef LRK_EMULATOR

lrk_status lrk_lt_load(lrk_lt_api *api, lrk_err *)
{
#define X(call) api->call = cublasLt##call;
    LRK_LT_CALLS(X)
#undef X
    return LRK_OK;
}

#else
#include <dlfcn.h>

/* The major versions whose interface is the one compiled for, as far as the table uses it; NVIDIA's packages put them
 * where the linker does not look. */
static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so.13",
                                    "/usr/local/cuda/lib64/libcublasLt.so.12"};

lrk_status lrk_lt_load(lrk_lt_api *api, lrk_err *err)
{
    void *library = NULL;
    const char *name = NULL;
    for (const char *candidate : names) {
        name = candidate;
        library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        if (library) break;
    }
    LRK_REQUIRE(err, library, LRK_EGPU,
                "device: cuda: cuBLASLt is missing: neither %s nor %s opens, here or in "
                "/usr/local/cuda/lib64; install CUDA's libraries (apt-get install libcublas-13-0 from "
                "NVIDIA's repository, or pip install nvidia-cublas and name its lib folder in LD_LIBRARY_PATH), or use device: cpu",
                names[0], names[1]);
#define X(call)                                                                           \
    api->call = reinterpret_cast<decltype(api->call)>(dlsym(library, "cublasLt" #call)); \
    LRK_REQUIRE(err, api->call, LRK_EGPU,                                                 \
                "device: cuda: %s has no cublasLt" #call                                  \
                "; install a newer one, or use device: cpu",                              \
                name);
    LRK_LT_CALLS(X)
#undef X
    return LRK_OK;
}

#endif
