/* base/device_cuda.h -- for .cu files alone: the stream that all work goes to, and the place where
 * errors are kept. See base/device.h. */
#ifndef LRK_BASE_DEVICE_CUDA_H
#define LRK_BASE_DEVICE_CUDA_H
#include "base/device.h"
#include "base/rng.h"

#include <cuda_runtime.h>

cudaStream_t lrk_cuda_stream(void);

/* Keeps the first error; `what` is a static string, the call or kernel. */
void lrk_cuda_note(cudaError_t e, const char *what);
bool lrk_cuda_failed(void);

/* The same for a library's errors; the static string says all. */
void lrk_cuda_refuse(const char *text);

/* Where, on the GPU, the seed and step lie that a kernel launched next draws with: those of r, or, in a
 * recording, those that hold at the replay. */
typedef struct lrk_cuda_draws {
    uint64_t seed;
    uint32_t step;
} lrk_cuda_draws;
const lrk_cuda_draws *lrk_cuda_draw(const lrk_rng *r);

#endif /* LRK_BASE_DEVICE_CUDA_H */
