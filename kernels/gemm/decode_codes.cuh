/* kernels/gemm/decode_codes.cuh -- decode.cuh for the rarer types: few bits, the other K types, and
 * codes that are looked up in a table. Each is base/quant's decoder of that name, eight at a time. */
#ifndef LRK_KERNELS_GEMM_DECODE_CODES_CUH
#define LRK_KERNELS_GEMM_DECODE_CODES_CUH
#include "kernels/gemm/decode.cuh"

#define LRK_VALUES(type, name, n, ...) static __device__ const type gpu_##name[n] = {__VA_ARGS__};
#include "base/quant/nf4.def"
#include "base/quant/table.def"
#undef LRK_VALUES

static __device__ __forceinline__ float lrk_f32_at(const unsigned char *p)
{
    return *reinterpret_cast<const float *>(p);
}

/* ---- one, two and three levels ------------------------------------------------------------------- */

template <> struct lrk_stored<LRK_Q1_0> {
    static const int block = 128, bytes = 18;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = lrk_f16_at(b);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = b[2 + i] >> j & 1 ? d : -d;
    }
};

template <> struct lrk_stored<LRK_Q2_0> {
    static const int block = 64, bytes = 18;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = lrk_f16_at(b);
        const uint32_t codes = lrk_u16_at(b + 2 + 2 * i);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fmul_rn((float)((int)(codes >> 2 * j & 3) - 1), d);
    }
};

/* The byte, and the shift in it, of two bits of each element; a half's bytes hold elements 32 apart. */
struct lrk_pairs {
    lrk_octet<2> byte;
    int shift;

    __device__ __forceinline__ lrk_pairs(const unsigned char *q, int i)
        : byte(q + i / 16 * 32 + i % 4 * 8), shift(i / 4 % 4 * 2)
    {
    }

    __device__ __forceinline__ int at(int j) const
    {
        return byte.at[j] >> shift & 3;
    }
};

template <> struct lrk_stored<LRK_TQ2_0> {
    static const int block = 256, bytes = 66;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = lrk_f16_at(b + 64);
        const lrk_pairs q(b, i);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fmul_rn((float)(q.at(j) - 1), d);
    }
};

/* A byte is the fraction 0.d0 d1 d2 d3 d4 in base 3; digit n of bytes that lie `apart` elements. */
template <> struct lrk_stored<LRK_TQ1_0> {
    static const int block = 256, bytes = 54;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = lrk_f16_at(b + 52);
        const int first = i < 20 ? 0 : i < 30 ? 32 : 48, element = i < 20 ? 0 : i < 30 ? 160 : 240;
        const int apart = i < 20 ? 32 : i < 30 ? 16 : 4;
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const int e = 8 * i + j - element;
            uint32_t fraction = b[first + e % apart];
            for (int n = e / apart; n; n--) fraction = fraction * 3 & 255;
            v[j] = __fmul_rn((float)((int)(fraction * 3 >> 8) - 1), d);
        }
    }
};

/* ---- codes times a scale ------------------------------------------------------------------------- */

template <> struct lrk_stored<LRK_Q8_1> {
    static const int block = 32, bytes = 36;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = lrk_f16_at(b);
        const lrk_octet<4> q(b + 4 + 8 * i);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fmul_rn((float)(signed char)q.at[j], d);
    }
};

template <> struct lrk_stored<LRK_Q8_K> {
    static const int block = 256, bytes = 292;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = lrk_f32_at(b);
        const lrk_octet<4> q(b + 4 + 8 * i);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fmul_rn(d, (float)(signed char)q.at[j]);
    }
};

template <> struct lrk_stored<LRK_Q2_K> {
    static const int block = 256, bytes = 84;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float scale = __fmul_rn(lrk_f16_at(b + 80), (float)(b[i / 2] & 15));
        const float min = __fmul_rn(lrk_f16_at(b + 82), (float)(b[i / 2] >> 4));
        const lrk_pairs q(b + 16, i);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fsub_rn(__fmul_rn(scale, (float)q.at(j)), min);
    }
};

template <> struct lrk_stored<LRK_Q3_K> {
    static const int block = 256, bytes = 110;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const unsigned char *s = b + 96;
        const int g = i / 2, low = s[g % 8] >> (g / 8 * 4) & 15, high = s[8 + g % 4] >> (g / 4 * 2) & 3;
        const float scale = __fmul_rn(lrk_f16_at(b + 108), (float)((low | high << 4) - 32));
        const lrk_pairs q(b + 32, i);
        const lrk_octet<2> third(b + i % 4 * 8);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const int less = third.at[j] >> (i / 4) & 1 ? 0 : 4;
            v[j] = __fmul_rn(scale, (float)(q.at(j) - less));
        }
    }
};

/* ---- codes of four bits into a table ------------------------------------------------------------- */

template <> struct lrk_stored<LRK_IQ4_NL> {
    static const int block = 32, bytes = 18;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = lrk_f16_at(b);
        const lrk_nibbles<2> q(b + 2, i);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fmul_rn(d, (float)gpu_lrk_nonlinear[q.at(j)]);
    }
};

template <> struct lrk_stored<LRK_IQ4_XS> {
    static const int block = 256, bytes = 136;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const int g = i / 4, low = b[4 + g / 2] >> (g % 2 * 4) & 15;
        const int high = (int)(lrk_u16_at(b + 2) >> (2 * g) & 3);
        const float d = __fmul_rn(lrk_f16_at(b), (float)((low | high << 4) - 32));
        const lrk_nibbles<8> q(b + 8 + g * 16, i % 4);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fmul_rn(d, (float)gpu_lrk_nonlinear[q.at(j)]);
    }
};

/* The scale is 2^(e - 128), also where that is subnormal. */
template <> struct lrk_stored<LRK_MXFP4> {
    static const int block = 32, bytes = 17;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const uint32_t e = b[0];
        const float d = __uint_as_float(e < 2 ? 0x200000u << e : (e - 1) << 23);
        const lrk_nibbles<1> q(b + 1, i);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fmul_rn(d, (float)gpu_lrk_e2m1_twice[q.at(j)]);
    }
};

/* Groups of 16; a scale is half of a ue4m3 number, whose NaN, 0x7f, is taken as 0. */
template <> struct lrk_stored<LRK_NVFP4> {
    static const int block = 64, bytes = 36;

    static __device__ __forceinline__ float scale(int code)
    {
        const int exponent = code >> 3 & 15, mantissa = code & 7;
        if (code == 0x7f) return 0.0f;
        const float unit = __uint_as_float((uint32_t)((exponent ? exponent : 1) - 11 + 127) << 23);
        return (float)(exponent ? 8 + mantissa : mantissa) * unit;
    }

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float d = scale(b[i / 2]);
        const lrk_octet<4> q(b + 4 + i / 2 * 8);
#pragma unroll
        for (int j = 0; j < 8; j++)
            v[j] = __fmul_rn(d, (float)gpu_lrk_e2m1_twice[q.at[j] >> (i % 2 * 4) & 15]);
    }
};

template <> struct lrk_stored<LRK_NF4> {
    static const int block = 64, bytes = 36;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float m = lrk_f32_at(b);
        const lrk_nibbles<4> q(b + 4 + i / 4 * 16, i % 4);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fmul_rn(gpu_lrk_nf4_table[q.at(j)], m);
    }
};

template <> struct lrk_stored<LRK_NF4_DOUBLE> {
    static const int block = 256, bytes = 140;

    static __device__ __forceinline__ float map(int code)
    {
        if (code == 127) return 0.0f;
        return code > 127 ? gpu_lrk_nf4_map[code - 128] : -gpu_lrk_nf4_map[126 - code];
    }

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const float m = __fadd_rn(__fmul_rn(map(b[8 + i / 8]), lrk_f32_at(b)), lrk_f32_at(b + 4));
        const lrk_nibbles<4> q(b + 12 + i / 4 * 16, i % 4);
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = __fmul_rn(gpu_lrk_nf4_table[q.at(j)], m);
    }
};

#endif /* LRK_KERNELS_GEMM_DECODE_CODES_CUH */
