/* kernels/segments.cuh -- the segment table (kernels/segments.h) on the GPU. */
#ifndef LRK_KERNELS_SEGMENTS_CUH
#define LRK_KERNELS_SEGMENTS_CUH
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/segments.h"
}

/* The segment of token t, one of n: the last that starts at t or before. */
static __device__ __forceinline__ const int32_t *lrk_segment_of(const int32_t *segments, size_t n,
                                                                size_t t)
{
    size_t low = 0, high = n; /* low starts at t or before, high behind it */
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if ((size_t)segments[middle * LRK_SEG_FIELDS + LRK_SEG_START] <= t)
            low = middle;
        else
            high = middle;
    }
    return segments + low * LRK_SEG_FIELDS;
}

#endif /* LRK_KERNELS_SEGMENTS_CUH */
