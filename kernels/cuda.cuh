/* kernels/cuda.cuh -- what all CUDA kernels share. Included first by every *_cuda.cu, which then takes
 * its own contract: extern "C" { #include "kernels/rmsnorm/rmsnorm.h" }
 *
 * The same files are compiled for the GPU by nvcc and for this processor by the tests' emulator
 * (tests/emulator), which defines LRK_EMULATOR. So a kernel
 *   is launched with LRK_LAUNCH, never <<< >>>;
 *   declares shared memory with LRK_SHARED or LRK_DYNAMIC_SHARED;
 *   takes asynchronous copies and tensor-core instructions from kernels/ptx.cuh.
 * Every launch goes to lrk_cuda_stream() and may be recorded into a graph: no call here waits, none
 * allocates, and nothing read at launch (attributes, sizes) may change while shapes stay the same.
 *
 * Rules: no float atomics; sums over fixed pieces folded in a fixed order; equal bits on every run.
 * A kernel reads and writes 16 bytes a thread where rows allow it (lrk_can_chunk), else one element.
 */
#ifndef LRK_KERNELS_CUDA_CUH
#define LRK_KERNELS_CUDA_CUH
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
extern "C" {
#include "base/device_cuda.h"
#include "base/size.h"
#include "kernels/op.h"
}

/* Grid, block and bytes of dynamic shared memory, then the kernel's arguments. */
#define LRK_LAUNCH(kernel, grid, block, shared, ...)             \
    do {                                                         \
        if (!lrk_cuda_failed()) {                                \
            LRK_START(kernel, grid, block, shared, __VA_ARGS__); \
            lrk_cuda_note(cudaGetLastError(), #kernel);          \
        }                                                        \
    } while (0)

/* Shared arrays begin on 16 bytes. */
#ifdef LRK_EMULATOR
#define LRK_START(kernel, grid, block, shared, ...) \
    lrk_emulate(#kernel, grid, block, shared, lrk_cuda_stream(), kernel, __VA_ARGS__)
#define LRK_SHARED(type, name, count)       \
    type *const name = static_cast<type *>( \
        lrk_emulated_shared(#name, __PRETTY_FUNCTION__, __LINE__, sizeof(type) * (count)))
#define LRK_DYNAMIC_SHARED(type, name) \
    type *const name = static_cast<type *>(lrk_emulated_dynamic_shared())
#else
#define LRK_START(kernel, grid, block, shared, ...) \
    (kernel)<<<(grid), (block), (shared), lrk_cuda_stream()>>>(__VA_ARGS__)
#define LRK_SHARED(type, name, count) __shared__ __align__(16) type name[count]
#define LRK_DYNAMIC_SHARED(type, name)                           \
    extern __shared__ __align__(16) unsigned char lrk_dynamic[]; \
    type *const name = reinterpret_cast<type *>(lrk_dynamic)
#endif

/* A template argument of kernels whose dynamic shared memory follows from their other ones: what they are launched
 * with, and, as a part of their names, what scripts/cuda-report counts for them. */
template <int BYTES> struct lrk_takes {
    static const int bytes = BYTES;
};

enum { LRK_WARP = 32 };
#define LRK_ALL_LANES 0xffffffffu

/* ---- elements ------------------------------------------------------------------------------------ */

struct lrk_bf16 {
    uint16_t bits;
};

static __device__ __forceinline__ float lrk_value(float x)
{
    return x;
}

static __device__ __forceinline__ float lrk_value(lrk_bf16 x)
{
    return __uint_as_float((uint32_t)x.bits << 16);
}

/* To nearest, ties to even; NaN stays NaN: the bits of lrk_f32_to_bf16. */
static __device__ __forceinline__ void lrk_set(float *p, float v)
{
    *p = v;
}

static __device__ __forceinline__ lrk_bf16 lrk_round_bf16(float v)
{
    const uint32_t u = __float_as_uint(v);
    lrk_bf16 h;
    if ((u & 0x7fffffffu) > 0x7f800000u)
        h.bits = (uint16_t)((u >> 16) | 0x40u);
    else
        h.bits = (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    return h;
}

static __device__ __forceinline__ void lrk_set(lrk_bf16 *p, float v)
{
    *p = lrk_round_bf16(v);
}

template <typename T> struct lrk_type_of;
template <> struct lrk_type_of<float> {
    static const lrk_dtype dtype = LRK_F32;
};
template <> struct lrk_type_of<lrk_bf16> {
    static const lrk_dtype dtype = LRK_BF16;
};

/* 16 bytes of T as floats. */
template <typename T> struct lrk_chunk {
    static const int n = 16 / (int)sizeof(T);
    float v[n];

    __device__ __forceinline__ void load(const T *p)
    {
        union {
            uint4 raw;
            T item[n];
        } u;
        u.raw = *reinterpret_cast<const uint4 *>(p);
#pragma unroll
        for (int i = 0; i < n; i++) v[i] = lrk_value(u.item[i]);
    }

    __device__ __forceinline__ void store(T *p) const
    {
        union {
            uint4 raw;
            T item[n];
        } u;
#pragma unroll
        for (int i = 0; i < n; i++) lrk_set(&u.item[i], v[i]);
        *reinterpret_cast<uint4 *>(p) = u.raw;
    }
};

/* Eight floats to where eight T lie, on 16 bytes. */
template <typename T>
static __device__ __forceinline__ void lrk_store_eight(T *to, const float *v)
{
#pragma unroll
    for (int i = 0; i < 8; i += lrk_chunk<T>::n) {
        lrk_chunk<T> chunk;
#pragma unroll
        for (int j = 0; j < lrk_chunk<T>::n; j++) chunk.v[j] = v[i + j];
        chunk.store(to + i);
    }
}

/* Whether every row of t begins on 16 bytes and is a whole number of them. Host. */
static inline bool lrk_can_chunk(const lrk_tensor *t)
{
    return (uintptr_t)t->data % 16 == 0 && lrk_row_bytes(t->dtype, lrk_cols(t)) % 16 == 0 &&
           lrk_row_bytes(t->dtype, t->stride) % 16 == 0;
}

/* N elements as they lie in memory, so that those of two bytes take half the registers: 8 bytes or a
 * multiple of 16, aligned alike, or one element. */
template <int bytes> struct lrk_word {
    typedef uint4 type;
};
template <> struct lrk_word<8> {
    typedef uint2 type;
};
template <> struct lrk_word<4> {
    typedef uint32_t type;
};
template <> struct lrk_word<2> {
    typedef uint16_t type;
};

template <typename T, int N> struct lrk_pack {
    typedef typename lrk_word<N * (int)sizeof(T)>::type word;
    static const int words = N * (int)sizeof(T) / (int)sizeof(word);
    union {
        word raw[words];
        T item[N];
    };

    __device__ __forceinline__ void load(const T *p)
    {
#pragma unroll
        for (int i = 0; i < words; i++) raw[i] = reinterpret_cast<const word *>(p)[i];
    }

    __device__ __forceinline__ void store(T *p) const
    {
#pragma unroll
        for (int i = 0; i < words; i++) reinterpret_cast<word *>(p)[i] = raw[i];
    }

    __device__ __forceinline__ float get(int i) const
    {
        return lrk_value(item[i]);
    }

    __device__ __forceinline__ void set(int i, float v)
    {
        lrk_set(&item[i], v);
    }
};

/* ---- rows and columns ---------------------------------------------------------------------------- */

/* A tensor as a kernel sees it; no data where there is no tensor. */
template <typename T> struct lrk_view {
    T *data;
    size_t stride;

    __device__ __forceinline__ T *at(size_t row, size_t column) const
    {
        return data + row * stride + column;
    }
};

template <typename T> static inline lrk_view<T> lrk_view_of(const lrk_tensor *t)
{
    lrk_view<T> v = {t ? static_cast<T *>(t->data) : NULL, t ? t->stride : 0};
    return v;
}

/* What an elementwise kernel walks: tensors of one shape, as a single row where none has gaps.
 * chunks: all may be read 16 bytes at a time. */
struct lrk_extent {
    size_t rows, cols;
    bool chunks;
};

static inline lrk_extent lrk_extent_of(const lrk_tensor *const *all, int n)
{
    lrk_extent e = {lrk_rows(all[0]), lrk_cols(all[0]), true};
    bool gaps = false;
    for (int i = 0; i < n; i++) gaps = gaps || (all[i] && !lrk_contiguous(all[i]));
    if (!gaps) {
        e.cols *= e.rows;
        e.rows = 1;
    }
    for (int i = 0; i < n; i++) {
        const lrk_tensor *t = all[i];
        if (!t) continue;
        const size_t apart = e.rows > 1 ? lrk_row_bytes(t->dtype, t->stride) : 0;
        e.chunks = e.chunks && (uintptr_t)t->data % 16 == 0 && apart % 16 == 0 &&
                   lrk_row_bytes(t->dtype, e.cols) % 16 == 0;
    }
    return e;
}

/* Threads over rows of `items` pieces of work each: threads lie along a row first, and a block takes
 * several rows where they are short. The kernel loops with the two macros. */
struct lrk_walk {
    dim3 grid, block;
};

static inline lrk_walk lrk_walk_over(size_t rows, size_t items)
{
    const size_t threads = 256, most = 65535;
    const size_t across = lrk_ceil_div(items, threads);
    const size_t x = across == 1 ? items : lrk_aligned(lrk_ceil_div(items, across), LRK_WARP);
    const size_t y = lrk_min(threads / x, rows);
    lrk_walk w;
    w.block = dim3((unsigned)x, (unsigned)y);
    w.grid = dim3((unsigned)lrk_min(across, 0x7fffffff),
                  (unsigned)lrk_min(lrk_ceil_div(rows, y), most));
    return w;
}

#define LRK_FOR_ROWS(r, rows)                                                \
    for (size_t r = (size_t)blockIdx.y * blockDim.y + threadIdx.y; r < (rows); \
         r += (size_t)gridDim.y * blockDim.y)
#define LRK_FOR_ITEMS(i, items)                                               \
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < (items); \
         i += (size_t)gridDim.x * blockDim.x)

/* ---- sums ---------------------------------------------------------------------------------------- */

template <typename T> static __device__ __forceinline__ T lrk_warp_sum(T v)
{
#pragma unroll
    for (int d = LRK_WARP / 2; d; d /= 2) v += __shfl_xor_sync(LRK_ALL_LANES, v, d);
    return v;
}

static __device__ __forceinline__ float lrk_warp_max(float v)
{
#pragma unroll
    for (int d = LRK_WARP / 2; d; d /= 2) v = fmaxf(v, __shfl_xor_sync(LRK_ALL_LANES, v, d));
    return v;
}

/* Over a block of whole warps, for all its threads; `room` is LRK_WARP numbers of shared memory, free
 * again after the next barrier. */
template <typename T> static __device__ __forceinline__ T lrk_block_sum(T v, T *room)
{
    const int lane = (int)threadIdx.x % LRK_WARP, warp = (int)threadIdx.x / LRK_WARP;
    const int warps = (int)blockDim.x / LRK_WARP;
    v = lrk_warp_sum(v);
    if (lane == 0) room[warp] = v;
    __syncthreads();
    v = lane < warps ? room[lane] : (T)0;
    __syncthreads();
    return lrk_warp_sum(v);
}

static __device__ __forceinline__ float lrk_block_max(float v, float *room)
{
    const int lane = (int)threadIdx.x % LRK_WARP, warp = (int)threadIdx.x / LRK_WARP;
    const int warps = (int)blockDim.x / LRK_WARP;
    v = lrk_warp_max(v);
    if (lane == 0) room[warp] = v;
    __syncthreads();
    v = lane < warps ? room[lane] : -INFINITY;
    __syncthreads();
    return lrk_warp_max(v);
}

/* Where this thread's share begins among those of the block, and the sum of all. room: LRK_WARP ints. */
static __device__ __forceinline__ int lrk_block_offset(int mine, int *room, int *all)
{
    const int lane = (int)threadIdx.x % LRK_WARP, warp = (int)threadIdx.x / LRK_WARP;
    int sum = mine;
    for (int d = 1; d < LRK_WARP; d *= 2) {
        const int below = __shfl_up_sync(LRK_ALL_LANES, sum, (unsigned)d);
        if (lane >= d) sum += below;
    }
    if (lane == LRK_WARP - 1) room[warp] = sum;
    __syncthreads();
    int before = 0, total = 0;
    for (int w = 0; w < (int)blockDim.x / LRK_WARP; w++) {
        if (w == warp) before = total;
        total += room[w];
    }
    __syncthreads();
    *all = total;
    return before + sum - mine;
}

/* ---- names --------------------------------------------------------------------------------------- */

/* The two entries of an op's pass: body<T> is a host function template on the call. */
#define LRK_CUDA_KERNEL(op, pass, body)                           \
    extern "C" void lrk_##op##_##pass##_f32_cuda(const lrk_call *c) \
    {                                                             \
        body<float>(c);                                           \
    }                                                             \
    extern "C" void lrk_##op##_##pass##_bf16_cuda(const lrk_call *c) \
    {                                                             \
        body<lrk_bf16>(c);                                        \
    }

template <typename T> static inline T *lrk_data(const lrk_tensor *t)
{
    return static_cast<T *>(t->data);
}

#endif /* LRK_KERNELS_CUDA_CUH */
