/* kernels/gemm/decode.cuh -- elements as they are stored become floats, on the GPU: the bits of
 * base/quant.h, so products and sums are separate roundings here too.
 *
 * lrk_stored<t> describes the type t:
 *   block, bytes     elements and bytes of a block; 1 and the size for plain types
 *   eight(b, i, v)   v[0 .. 7] = elements 8 i .. 8 i + 7 of the block at b; of a plain type, of the row
 *                    at b, which begins on 16 bytes
 *   one(row, i)      element i; plain types alone
 * decode_codes.cuh and decode_grids.cuh have the rarer types. A new type is a specialization and a
 * line in stored.def. Layouts: ggml-common.h of the ggml
 * project. Blocks lie where a row that begins on LRK_ALIGN bytes puts them.
 */
#ifndef LRK_KERNELS_GEMM_DECODE_CUH
#define LRK_KERNELS_GEMM_DECODE_CUH
#include "kernels/cuda.cuh"

template <lrk_dtype t> struct lrk_stored;

/* ---- bytes --------------------------------------------------------------------------------------- */

static __device__ __forceinline__ uint32_t lrk_u16_at(const unsigned char *p)
{
    return *reinterpret_cast<const uint16_t *>(p);
}

/* IEEE half precision. The multiplication is exact, for subnormals too. */
static __device__ __forceinline__ float lrk_f16_value(uint32_t h)
{
    const uint32_t magnitude = (h & 0x7fffu) << 13, sign = (h & 0x8000u) << 16;
    if (magnitude >= 0x0f800000u) return __uint_as_float(sign | 0x7f800000u | magnitude);
    const float v = __uint_as_float(magnitude) * 0x1p112f;
    return __uint_as_float(sign | __float_as_uint(v));
}

static __device__ __forceinline__ float lrk_f16_at(const unsigned char *p)
{
    return lrk_f16_value(lrk_u16_at(p));
}

/* Eight bytes, read in words of 1, 2, 4 or 8: what the address is a multiple of. */
template <int word> struct lrk_octet {
    unsigned char at[8];

    __device__ __forceinline__ explicit lrk_octet(const unsigned char *p)
    {
        if (word == 8) {
            const uint2 w = *reinterpret_cast<const uint2 *>(p);
            spread(0, w.x);
            spread(1, w.y);
        } else if (word == 4) {
            spread(0, *reinterpret_cast<const uint32_t *>(p));
            spread(1, *reinterpret_cast<const uint32_t *>(p + 4));
        } else if (word == 1) {
#pragma unroll
            for (int j = 0; j < 8; j++) at[j] = p[j];
        } else {
            spread(0, lrk_u16_at(p) | lrk_u16_at(p + 2) << 16);
            spread(1, lrk_u16_at(p + 4) | lrk_u16_at(p + 6) << 16);
        }
    }

    __device__ __forceinline__ void spread(int half, uint32_t w)
    {
#pragma unroll
        for (int j = 0; j < 4; j++) at[4 * half + j] = (unsigned char)(w >> (8 * j));
    }
};

/* ---- plain types --------------------------------------------------------------------------------- */

template <> struct lrk_stored<LRK_F32> {
    static const int block = 1, bytes = 4;

    static __device__ __forceinline__ float one(const unsigned char *row, size_t i)
    {
        return reinterpret_cast<const float *>(row)[i];
    }

    static __device__ __forceinline__ void eight(const unsigned char *row, size_t i, float *v)
    {
        const float4 *p = reinterpret_cast<const float4 *>(row) + 2 * i;
        const float4 a = p[0], b = p[1];
        v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w;
        v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
    }
};

template <> struct lrk_stored<LRK_BF16> {
    static const int block = 1, bytes = 2;

    static __device__ __forceinline__ float one(const unsigned char *row, size_t i)
    {
        return lrk_value(reinterpret_cast<const lrk_bf16 *>(row)[i]);
    }

    static __device__ __forceinline__ void eight(const unsigned char *row, size_t i, float *v)
    {
        const uint4 raw = reinterpret_cast<const uint4 *>(row)[i];
        const uint32_t word[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
        for (int j = 0; j < 8; j++)
            v[j] = __uint_as_float(j % 2 ? word[j / 2] & 0xffff0000u : word[j / 2] << 16);
    }
};

template <> struct lrk_stored<LRK_F16> {
    static const int block = 1, bytes = 2;

    static __device__ __forceinline__ float one(const unsigned char *row, size_t i)
    {
        return lrk_f16_at(row + 2 * i);
    }

    static __device__ __forceinline__ void eight(const unsigned char *row, size_t i, float *v)
    {
        const uint4 raw = reinterpret_cast<const uint4 *>(row)[i];
        const uint32_t word[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
        for (int j = 0; j < 8; j++)
            v[j] = lrk_f16_value(j % 2 ? word[j / 2] >> 16 : word[j / 2] & 0xffffu);
    }
};

/* ---- blocks of 32 -------------------------------------------------------------------------------- */

/* Elements 0 .. 15 of a block are the low nibbles of its 16 bytes, 16 .. 31 the high ones. */
template <int word> struct lrk_nibbles {
    lrk_octet<word> byte;
    int shift;

    __device__ __forceinline__ lrk_nibbles(const unsigned char *q, int i)
        : byte(q + i % 2 * 8), shift(i / 2 * 4)
    {
    }

    __device__ __forceinline__ int at(int j) const
    {
        return byte.at[j] >> shift & 15;
    }
};

template <> struct lrk_stored<LRK_Q4_0> {
    static const int block = 32, bytes = 18;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = lrk_f16_at(b);
        const lrk_nibbles<2> q(b + 2, i);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fmul_rn(d, (float)(q.at(j) - 8));
    }
};

template <> struct lrk_stored<LRK_Q4_1> {
    static const int block = 32, bytes = 20;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = lrk_f16_at(b), m = lrk_f16_at(b + 2);
        const lrk_nibbles<4> q(b + 4, i);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fadd_rn(__fmul_rn(d, (float)q.at(j)), m);
    }
};

/* Bit e of the word before the nibbles is bit 4 of element e. */
template <> struct lrk_stored<LRK_Q5_0> {
    static const int block = 32, bytes = 22;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = lrk_f16_at(b);
        const int fifth = b[2 + i];
        const lrk_nibbles<2> q(b + 6, i);
#pragma unroll
        for (int j = 0; j < 8; j++)
            v[j] = __fmul_rn(d, (float)((q.at(j) | (fifth >> j & 1) << 4) - 16));
    }
};

template <> struct lrk_stored<LRK_Q5_1> {
    static const int block = 32, bytes = 24;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = lrk_f16_at(b), m = lrk_f16_at(b + 2);
        const int fifth = b[4 + i];
        const lrk_nibbles<8> q(b + 8, i);
#pragma unroll
        for (int j = 0; j < 8; j++)
            v[j] = __fadd_rn(__fmul_rn(d, (float)(q.at(j) | (fifth >> j & 1) << 4)), m);
    }
};

template <> struct lrk_stored<LRK_Q8_0> {
    static const int block = 32, bytes = 34;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = lrk_f16_at(b);
        const lrk_octet<2> q(b + 2 + 8 * i);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fmul_rn((float)(signed char)q.at[j], d);
    }
};

/* ---- blocks of 256 ------------------------------------------------------------------------------- */

/* Scale and minimum of group g, six bits each, from 12 bytes that hold eight of both. */
static __device__ __forceinline__ void lrk_scale_min(const unsigned char *s, int g, int *scale,
                                                     int *min)
{
    if (g < 4) {
        *scale = s[g] & 63;
        *min = s[g + 4] & 63;
    } else {
        *scale = (s[g + 4] & 15) | s[g - 4] >> 6 << 4;
        *min = s[g + 4] >> 4 | s[g] >> 6 << 4;
    }
}

/* Groups of 32: two share 32 bytes, low and high nibbles. fifth: a bit for each element, bit g of
 * byte l; NULL: none. */
static __device__ __forceinline__ void lrk_k_eight(const unsigned char *b,
                                                   const unsigned char *fifth,
                                                   const unsigned char *q, int i, float *v)
{
    const int g = i / 4, l = i % 4 * 8, shift = g % 2 * 4;
    int scale, min;
    lrk_scale_min(b + 4, g, &scale, &min);
    const float ds = __fmul_rn(lrk_f16_at(b), (float)scale);
    const float dm = __fmul_rn(lrk_f16_at(b + 2), (float)min);
    const lrk_octet<8> low(q + g / 2 * 32 + l);
    int code[8];
#pragma unroll
    for (int j = 0; j < 8; j++) code[j] = low.at[j] >> shift & 15;
    if (fifth) {
        const lrk_octet<8> high(fifth + l);
#pragma unroll
        for (int j = 0; j < 8; j++) code[j] |= (high.at[j] >> g & 1) << 4;
    }
#pragma unroll
    for (int j = 0; j < 8; j++) v[j] = __fsub_rn(__fmul_rn(ds, (float)code[j]), dm);
}

template <> struct lrk_stored<LRK_Q4_K> {
    static const int block = 256, bytes = 144;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        lrk_k_eight(b, NULL, b + 16, i, v);
    }
};

template <> struct lrk_stored<LRK_Q5_K> {
    static const int block = 256, bytes = 176;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        lrk_k_eight(b, b + 16, b + 48, i, v);
    }
};

template <> struct lrk_stored<LRK_Q6_K> {
    static const int block = 256, bytes = 210;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const int half = i / 16, quarter = i % 16 / 4, l = i % 4 * 8;
        const lrk_octet<2> low(b + half * 64 + quarter % 2 * 32 + l);
        const lrk_octet<2> high(b + 128 + half * 32 + l);
        const signed char scale = (signed char)b[192 + half * 8 + quarter * 2 + l / 16];
        const float s = __fmul_rn(lrk_f16_at(b + 208), (float)scale);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const int code = (low.at[j] >> (quarter / 2 * 4) & 15) |
                             (high.at[j] >> (quarter * 2) & 3) << 4;
            v[j] = __fmul_rn(s, (float)(code - 32));
        }
    }
};

#include "kernels/gemm/decode_codes.cuh"
#include "kernels/gemm/decode_grids.cuh"

/* ---- rows ---------------------------------------------------------------------------------------- */

/* Elements e .. e + 7 of a row; e is a multiple of 8. */
template <lrk_dtype t>
static __device__ __forceinline__ void lrk_decode_eight(const unsigned char *row, size_t e,
                                                        float *v)
{
    typedef lrk_stored<t> type;
    if (type::block == 1)
        type::eight(row, (int)(e / 8), v);
    else
        type::eight(row + e / type::block * type::bytes, (int)(e % type::block / 8), v);
}

/* Host: calls f(lrk_stored_tag<t>()) for the type t. */
template <lrk_dtype t> struct lrk_stored_tag {
    static const lrk_dtype dtype = t;
};

template <typename F> static inline void lrk_with_stored(lrk_dtype t, F f)
{
    switch (t) {
#define X(NAME)                           \
    case LRK_##NAME:                      \
        f(lrk_stored_tag<LRK_##NAME>()); \
        break;
#include "kernels/gemm/stored.def"
#undef X
    default:
        break;
    }
}

#endif /* LRK_KERNELS_GEMM_DECODE_CUH */
