/* kernels/rng.cuh -- base/rng.h on the GPU: the same bits. Seed and step are read from its memory, so
 * that a recorded kernel draws anew at every replay (lrk_device_draw); the site is a parameter. */
#ifndef LRK_KERNELS_RNG_CUH
#define LRK_KERNELS_RNG_CUH
#include "kernels/cuda.cuh"

/* Elements 4 * block .. 4 * block + 3. */
static __device__ __forceinline__ void lrk_draw_four(const lrk_cuda_draws *draws, uint32_t site,
                                                     uint64_t block, uint32_t out[4])
{
    uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32), c2 = site, c3 = draws->step;
    uint32_t k0 = (uint32_t)draws->seed, k1 = (uint32_t)(draws->seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const uint32_t h0 = __umulhi(0xD2511F53u, c0), l0 = 0xD2511F53u * c0;
        const uint32_t h1 = __umulhi(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
        c0 = h1 ^ c1 ^ k0;
        c2 = h0 ^ c3 ^ k1;
        c1 = l1;
        c3 = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

#endif /* LRK_KERNELS_RNG_CUH */
