/* tests/emulator/ptx.h -- kernels/ptx.cuh for the emulator: the same functions, done by tensor.cpp. */
#ifndef LRK_EMULATOR_PTX_H
#define LRK_EMULATOR_PTX_H
#include <cuda_runtime.h>

/* A copy arrives when its group is waited for; until then nobody may touch its target. */
void lrk_cp_async16_or_zero(void *shared, const void *global, bool there);
void lrk_cp_async_commit(void);
void lrk_emulated_wait(unsigned groups);

void lrk_emulated_ldmatrix(uint32_t *r, const void *row, bool transposed, lrk_site site);

void lrk_mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2], lrk_site site = {});
uint32_t lrk_pair_bf16(float low, float high);

template <int N> static inline void lrk_cp_async_wait(void) { lrk_emulated_wait(N); }

static inline void lrk_ldmatrix_x4(uint32_t r[4], const void *row, lrk_site site = {})
{
    lrk_emulated_ldmatrix(r, row, false, site);
}

static inline void lrk_ldmatrix_x4_trans(uint32_t r[4], const void *row, lrk_site site = {})
{
    lrk_emulated_ldmatrix(r, row, true, site);
}

#endif /* LRK_EMULATOR_PTX_H */
