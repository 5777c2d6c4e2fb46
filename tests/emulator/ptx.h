/* tests/emulator/ptx.h -- kernels/ptx.cuh for the emulator: the same functions, done by tensor.cpp.
 */
#ifndef LRK_EMULATOR_PTX_H
#define LRK_EMULATOR_PTX_H
#include <cuda_runtime.h>

#define LRK_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

/* A copy arrives when its group is waited for; until then nobody may touch its target. */
void lrk_emulated_copy(void *shared, const void *global, bool there);
void lrk_cp_async_commit(void);
void lrk_emulated_wait(unsigned groups);

/* `count` matrices, 4, 2 or 1. */
void lrk_emulated_ldmatrix(uint32_t *r, const void *row, int count, bool transposed,
                           const char *file, int line);

enum lrk_operand { LRK_MMA_BF16, LRK_MMA_F16, LRK_MMA_TF32 };
void lrk_emulated_mma(float c[4], const uint32_t a[4], const uint32_t b[2], lrk_operand type,
                      const char *file, int line);

uint32_t lrk_pair_bf16(float low, float high);
uint32_t lrk_pair_f16(float low, float high);

static inline void lrk_cp_async16(void *shared, const void *global)
{
    lrk_emulated_copy(shared, global, true);
}

static inline void lrk_cp_async16_or_zero(void *shared, const void *global, bool there)
{
    lrk_emulated_copy(shared, global, there);
}

template <int N> static inline void lrk_cp_async_wait(void) { lrk_emulated_wait(N); }

static inline void lrk_ldmatrix_x4(uint32_t r[4], const void *row, LRK_SITE)
{
    lrk_emulated_ldmatrix(r, row, 4, false, file, line);
}

static inline void lrk_ldmatrix_x4_trans(uint32_t r[4], const void *row, LRK_SITE)
{
    lrk_emulated_ldmatrix(r, row, 4, true, file, line);
}

static inline void lrk_ldmatrix_x2(uint32_t r[2], const void *row, LRK_SITE)
{
    lrk_emulated_ldmatrix(r, row, 2, false, file, line);
}

static inline void lrk_ldmatrix_x2_trans(uint32_t r[2], const void *row, LRK_SITE)
{
    lrk_emulated_ldmatrix(r, row, 2, true, file, line);
}

static inline void lrk_mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2], LRK_SITE)
{
    lrk_emulated_mma(c, a, b, LRK_MMA_BF16, file, line);
}

static inline void lrk_mma_f16(float c[4], const uint32_t a[4], const uint32_t b[2], LRK_SITE)
{
    lrk_emulated_mma(c, a, b, LRK_MMA_F16, file, line);
}

static inline void lrk_mma_tf32(float c[4], const uint32_t a[4], const uint32_t b[2], LRK_SITE)
{
    lrk_emulated_mma(c, a, b, LRK_MMA_TF32, file, line);
}

#undef LRK_SITE
#endif /* LRK_EMULATOR_PTX_H */
