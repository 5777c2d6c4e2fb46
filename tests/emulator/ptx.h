/* tests/emulator/ptx.h -- kernels/ptx.cuh for the emulator: the same functions, done by tensor.cpp.
 */
#ifndef LRK_EMULATOR_PTX_H
#define LRK_EMULATOR_PTX_H
#include <cuda_runtime.h>

#define LRK_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

/* A copy arrives when its group is waited for; until then nobody may touch its target. */
void lrk_cp_async16_or_zero(void *shared, const void *global, bool there);
void lrk_cp_async_commit(void);
void lrk_emulated_wait(unsigned groups);

void lrk_emulated_ldmatrix(uint32_t *r, const void *row, bool transposed, const char *file, int line);

void lrk_mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2], LRK_SITE);
uint32_t lrk_pair_bf16(float low, float high);

template <int N> static inline void lrk_cp_async_wait(void) { lrk_emulated_wait(N); }

static inline void lrk_ldmatrix_x4(uint32_t r[4], const void *row, LRK_SITE)
{
    lrk_emulated_ldmatrix(r, row, false, file, line);
}

static inline void lrk_ldmatrix_x4_trans(uint32_t r[4], const void *row, LRK_SITE)
{
    lrk_emulated_ldmatrix(r, row, true, file, line);
}

#undef LRK_SITE
#endif /* LRK_EMULATOR_PTX_H */
