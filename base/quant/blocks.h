/* base/quant/blocks.h -- one block of every quantized type to f32 and back.
 *
 * Inside base/quant/ only. d, m: f16; x: f32. Layouts, unless said otherwise: ggml-common.h of the
 * ggml project. Multiplications and additions are separate roundings (the tree is built without
 * contraction), so that the vector versions in kernels/gemm can give the same bits.
 */
#ifndef LRK_BASE_QUANT_BLOCKS_H
#define LRK_BASE_QUANT_BLOCKS_H
#include "base/dtype.h"

typedef void lrk_block_decoder(const unsigned char *b, float *y);
typedef void lrk_block_encoder(const float *x, unsigned char *b);

/* small.c: 32 elements with one scale */
lrk_block_decoder lrk_decode_q4_0, lrk_decode_q4_1, lrk_decode_q5_0, lrk_decode_q5_1;
lrk_block_decoder lrk_decode_q8_0, lrk_decode_q8_1;
lrk_block_encoder lrk_encode_q4_0, lrk_encode_q4_1, lrk_encode_q5_0, lrk_encode_q5_1;
lrk_block_encoder lrk_encode_q8_0;
/* k_decode.c, k_encode.c: 256 elements in groups with scales of their own */
lrk_block_decoder lrk_decode_q2_k, lrk_decode_q3_k, lrk_decode_q4_k, lrk_decode_q5_k;
lrk_block_decoder lrk_decode_q6_k, lrk_decode_q8_k;
lrk_block_encoder lrk_encode_q2_k, lrk_encode_q3_k, lrk_encode_q4_k, lrk_encode_q5_k;
lrk_block_encoder lrk_encode_q6_k;
/* iq.c: points of a codebook */
lrk_block_decoder lrk_decode_iq1_s, lrk_decode_iq1_m, lrk_decode_iq2_xxs, lrk_decode_iq2_xs;
lrk_block_decoder lrk_decode_iq2_s, lrk_decode_iq3_xxs, lrk_decode_iq3_s;
/* table.c: codes into a table of 16 values */
lrk_block_decoder lrk_decode_iq4_nl, lrk_decode_iq4_xs, lrk_decode_mxfp4, lrk_decode_nvfp4;
lrk_block_encoder lrk_encode_iq4_nl, lrk_encode_iq4_xs, lrk_encode_mxfp4;
/* nf4.c */
lrk_block_decoder lrk_decode_nf4, lrk_decode_nf4_double;
/* few_bits.c: signs, and levels -1, 0, 1 (2) */
lrk_block_decoder lrk_decode_q1_0, lrk_decode_q2_0, lrk_decode_tq1_0, lrk_decode_tq2_0;
lrk_block_encoder lrk_encode_tq1_0, lrk_encode_tq2_0;

extern const uint16_t lrk_grid_iq2xxs[256], lrk_grid_iq2xs[512], lrk_grid_iq2s[1024];
extern const float lrk_nf4_map[128];
extern const uint16_t lrk_grid_iq1s[2048], lrk_grid_iq3xxs[256], lrk_grid_iq3s[512];

static inline float lrk_half_at(const unsigned char *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return lrk_f16_to_f32(h);
}

static inline void lrk_put_half(unsigned char *p, float f)
{
    const uint16_t h = lrk_f32_to_f16(f);
    memcpy(p, &h, sizeof h);
}

static inline unsigned lrk_u16_at(const unsigned char *p) { return p[0] | (unsigned)p[1] << 8; }

/* To the nearest integer, ties to even, of |v| < 2^22: the sum loses just the fraction. */
static inline int lrk_nearest(float v)
{
    const float shifted = v + 0x1.8p23f;
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (bits & 0x7fffff) - 0x400000;
}

static inline int lrk_clamp(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

/* Scale and minimum i of eight, six bits each, in 12 bytes (q4_k, q5_k). */
static inline void lrk_scale_min(const unsigned char *s, int i, int *scale, int *min)
{
    if (i < 4) {
        *scale = s[i] & 63;
        *min = s[i + 4] & 63;
    } else {
        *scale = (s[i + 4] & 15) | ((s[i - 4] >> 6) << 4);
        *min = (s[i + 4] >> 4) | ((s[i] >> 6) << 4);
    }
}

/* Scale i of sixteen, -32 .. 31, six bits each, in 12 bytes (q3_k). */
static inline int lrk_scale_16(const unsigned char *s, int i)
{
    const int low = (s[i % 8] >> (i / 8 * 4)) & 15, high = (s[8 + i % 4] >> (i / 4 * 2)) & 3;
    return (low | high << 4) - 32;
}

/* The element of largest magnitude, with its sign; the first of equals. */
float lrk_extreme(const float *x, int n);

#endif /* LRK_BASE_QUANT_BLOCKS_H */
