/* base/device_cuda.h -- for .cu files alone: the stream that all work goes to, and the place where
 * errors are kept. See base/device.h. */
#ifndef LRK_BASE_DEVICE_CUDA_H
#define LRK_BASE_DEVICE_CUDA_H
#include "base/device.h"

#include <cuda_runtime.h>

cudaStream_t lrk_cuda_stream(void);

/* Keeps the first error; `what` is a static string, the call or kernel. */
void lrk_cuda_note(cudaError_t e, const char *what);
bool lrk_cuda_failed(void);

#endif /* LRK_BASE_DEVICE_CUDA_H */
