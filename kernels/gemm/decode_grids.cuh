/* kernels/gemm/decode_grids.cuh -- decode.cuh for the IQ types whose codes are points of a codebook.
 * Each is base/quant/iq.c's decoder of that name, eight at a time. */
#ifndef LRK_KERNELS_GEMM_DECODE_GRIDS_CUH
#define LRK_KERNELS_GEMM_DECODE_GRIDS_CUH
#include "kernels/gemm/decode.cuh"

#define LRK_VALUES(type, name, n, ...) static __device__ const type gpu_##name[n] = {__VA_ARGS__};
#include "base/quant/grids.def"
#undef LRK_VALUES

/* Seven signs are stored; the eighth makes their number even. */
static __device__ __forceinline__ uint32_t lrk_eight_signs(uint32_t seven)
{
    return seven | (uint32_t)(__popc(seven) & 1) << 7;
}

static __device__ __forceinline__ uint32_t lrk_u32_at(const unsigned char *p)
{
    return lrk_u16_at(p) | lrk_u16_at(p + 2) << 16;
}

static __device__ __forceinline__ void lrk_two_bits(uint32_t point, uint32_t signs, float scale,
                                                    float *v)
{
#pragma unroll
    for (int j = 0; j < 8; j++) {
        const uint32_t code = point >> 2 * j & 3;
        const float x = __fmul_rn(scale, code == 0 ? 8.0f : code == 1 ? 25.0f : 43.0f);
        v[j] = signs >> j & 1 ? -x : x;
    }
}

static __device__ __forceinline__ float lrk_quarter_scale(float d, uint32_t code)
{
    return __fmul_rn(__fmul_rn(d, 0.5f + (float)code), 0.25f);
}

template <> struct lrk_stored<LRK_IQ2_XXS> {
    static const int block = 256, bytes = 66;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const unsigned char *p = b + 2 + i / 4 * 8;
        const uint32_t word = lrk_u32_at(p + 4);
        lrk_two_bits(gpu_lrk_grid_iq2xxs[p[i % 4]], lrk_eight_signs(word >> 7 * (i % 4) & 127),
                     lrk_quarter_scale(lrk_f16_at(b), word >> 28), v);
    }
};

template <> struct lrk_stored<LRK_IQ2_XS> {
    static const int block = 256, bytes = 74;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const uint32_t word = lrk_u16_at(b + 2 + 2 * i);
        const uint32_t code = b[66 + i / 4] >> (i / 2 % 2 * 4) & 15;
        lrk_two_bits(gpu_lrk_grid_iq2xs[word & 511], lrk_eight_signs(word >> 9),
                     lrk_quarter_scale(lrk_f16_at(b), code), v);
    }
};

template <> struct lrk_stored<LRK_IQ2_S> {
    static const int block = 256, bytes = 82;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const uint32_t high = b[66 + i / 4] >> (i % 4 * 2) & 3;
        const uint32_t code = b[74 + i / 4] >> (i / 2 % 2 * 4) & 15;
        lrk_two_bits(gpu_lrk_grid_iq2s[b[2 + i] | high << 8], b[34 + i],
                     lrk_quarter_scale(lrk_f16_at(b), code), v);
    }
};

template <> struct lrk_stored<LRK_IQ3_XXS> {
    static const int block = 256, bytes = 98;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const uint32_t word = lrk_u32_at(b + 66 + i / 4 * 4);
        const float scale = __fmul_rn(__fmul_rn(lrk_f16_at(b), 0.5f + (float)(word >> 28)), 0.5f);
        const uint32_t signs = lrk_eight_signs(word >> 7 * (i % 4) & 127);
        const uint32_t low = gpu_lrk_grid_iq3xxs[b[2 + 2 * i]];
        const uint32_t high = gpu_lrk_grid_iq3xxs[b[3 + 2 * i]];
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const uint32_t code = (j < 4 ? low : high) >> 3 * (j % 4) & 7;
            const float x = __fmul_rn(scale, code == 7 ? 62.0f : (float)(4 + 8 * code));
            v[j] = signs >> j & 1 ? -x : x;
        }
    }
};

template <> struct lrk_stored<LRK_IQ3_S> {
    static const int block = 256, bytes = 110;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const uint32_t ninth = b[66 + i / 4] >> (i % 4 * 2), signs = b[74 + i];
        const int code = b[106 + i / 8] >> (i / 4 % 2 * 4) & 15;
        const float scale = __fmul_rn(lrk_f16_at(b), (float)(1 + 2 * code));
        const uint32_t low = gpu_lrk_grid_iq3s[b[2 + 2 * i] | (ninth & 1) << 8];
        const uint32_t high = gpu_lrk_grid_iq3s[b[3 + 2 * i] | (ninth >> 1 & 1) << 8];
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const uint32_t point = (j < 4 ? low : high) >> 3 * (j % 4) & 7;
            const float x = __fmul_rn(scale, (float)(1 + 2 * point));
            v[j] = signs >> j & 1 ? -x : x;
        }
    }
};

/* Coordinates -1, 0, 1, moved by an eighth up or down. */
static __device__ __forceinline__ void lrk_around_zero(uint32_t point, bool down, float scale, float *v)
{
#pragma unroll
    for (int j = 0; j < 8; j++) {
        const float x = (float)((int)(point >> 2 * j & 3) - 1);
        v[j] = __fmul_rn(scale, x + (down ? -0.125f : 0.125f));
    }
}

template <> struct lrk_stored<LRK_IQ1_S> {
    static const int block = 256, bytes = 50;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        const uint32_t word = lrk_u16_at(b + 34 + i / 4 * 2), high = word >> (i % 4 * 3) & 7;
        const float scale = __fmul_rn(lrk_f16_at(b), (float)(2 * (word >> 12 & 7) + 1));
        lrk_around_zero(gpu_lrk_grid_iq1s[b[2 + i] | high << 8], word >> 15, scale, v);
    }
};

/* d lies in the highest four bits of each of the four words of scales. */
template <> struct lrk_stored<LRK_IQ1_M> {
    static const int block = 256, bytes = 56;

    static __device__ __forceinline__ void eight(const unsigned char *b, int i, float *v)
    {
        uint32_t half = 0;
#pragma unroll
        for (int j = 0; j < 4; j++) half |= lrk_u16_at(b + 48 + 2 * j) >> 12 << 4 * j;
        const uint32_t high = b[32 + i / 2] >> (i % 2 * 4) & 15;
        const uint32_t code = lrk_u16_at(b + 48 + i / 8 * 2) >> (i / 2 % 4 * 3) & 7;
        lrk_around_zero(gpu_lrk_grid_iq1s[b[i] | (high & 7) << 8], high >> 3,
                        __fmul_rn(lrk_f16_value(half), (float)(2 * code + 1)), v);
    }
};

#endif /* LRK_KERNELS_GEMM_DECODE_GRIDS_CUH */
