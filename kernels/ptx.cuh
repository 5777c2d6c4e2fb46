/* kernels/ptx.cuh -- asynchronous copies and tensor-core products, one function an instruction.
 *
 * Fragments are those of the PTX manual. With g = lane / 4 and t = lane % 4, for m16n8k16:
 *   A (16 x 16)  a[0]: (g, 2t) (g, 2t+1)        a[1]: (g+8, 2t) (g+8, 2t+1)
 *                a[2]: (g, 2t+8) (g, 2t+9)      a[3]: (g+8, 2t+8) (g+8, 2t+9)
 *   B (16 x 8)   b[0]: (2t, g) (2t+1, g)        b[1]: (2t+8, g) (2t+9, g)         (k, n)
 *   C (16 x 8)   c[0], c[1]: (g, 2t) (g, 2t+1)  c[2], c[3]: (g+8, 2t) (g+8, 2t+1)
 * the first of a pair in the low half. ldmatrix: lanes 8i .. 8i+7 give the addresses of the eight rows
 * (16 bytes each, in shared memory) of matrix i; lane l receives row l / 4, elements 2 (l % 4) and the
 * next one; trans: the transposed matrix.
 * All lanes of a warp take part. sm_80 and later.
 */
#ifndef LRK_KERNELS_PTX_CUH
#define LRK_KERNELS_PTX_CUH
#include "kernels/cuda.cuh"

#ifdef LRK_EMULATOR
#include "emulator/ptx.h"
#else

static __device__ __forceinline__ uint32_t lrk_shared_address(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

/* 16 bytes, zeros where `there` is false; both addresses are multiples of 16, and `global` must be readable
 * all the same. Nothing arrives before the matching wait. */
static __device__ __forceinline__ void lrk_cp_async16_or_zero(void *shared, const void *global,
                                                              bool there)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(lrk_shared_address(shared)),
                 "l"(global), "r"(there ? 16 : 0)
                 : "memory");
}

static __device__ __forceinline__ void lrk_cp_async_commit(void)
{
    asm volatile("cp.async.commit_group;\n" ::: "memory");
}

/* At most N groups of this thread may still be under way; others see the data after a barrier. */
template <int N> static __device__ __forceinline__ void lrk_cp_async_wait(void)
{
    asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
}

static __device__ __forceinline__ void lrk_ldmatrix_x4(uint32_t r[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(lrk_shared_address(row))
                 : "memory");
}

static __device__ __forceinline__ void lrk_ldmatrix_x4_trans(uint32_t r[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(lrk_shared_address(row))
                 : "memory");
}

/* c += a b, bf16 times bf16, sums in f32. */
static __device__ __forceinline__ void lrk_mma_bf16(float c[4], const uint32_t a[4],
                                                    const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* Two floats as a pair of bf16, the first in the low half; to nearest, ties to even. */
static __device__ __forceinline__ uint32_t lrk_pair_bf16(float low, float high)
{
    uint32_t r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

#endif /* LRK_EMULATOR */

/* 2^x within 2 ulp; 0 where that is below 2^-126. */
static __device__ __forceinline__ float lrk_exp2(float x)
{
#ifdef LRK_EMULATOR
    return exp2f(x);
#else
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
    return y;
#endif
}

/* 1 / x within 1 ulp. */
static __device__ __forceinline__ float lrk_reciprocal(float x)
{
#ifdef LRK_EMULATOR
    return 1.0f / x;
#else
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
    return y;
#endif
}

#endif /* LRK_KERNELS_PTX_CUH */
