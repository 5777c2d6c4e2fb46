/* base/quant/quant.c -- rows of any element type to f32 and back, one block after the other. */
#include "base/quant.h"

#include "base/quant/blocks.h"

typedef struct coder {
    lrk_block_decoder *decode;
    lrk_block_encoder *encode; /* NULL: is only read */
} coder;

#define BOTH(NAME, name) [LRK_##NAME] = {lrk_decode_##name, lrk_encode_##name}
#define READ(NAME, name) [LRK_##NAME] = {lrk_decode_##name, NULL}

static const coder coders[LRK_DTYPE_COUNT] = {
    BOTH(Q4_0, q4_0),
    BOTH(Q4_1, q4_1),
    BOTH(Q5_0, q5_0),
    BOTH(Q5_1, q5_1),
    BOTH(Q8_0, q8_0),
    READ(Q8_1, q8_1),
    BOTH(Q2_K, q2_k),
    BOTH(Q3_K, q3_k),
    BOTH(Q4_K, q4_k),
    BOTH(Q5_K, q5_k),
    BOTH(Q6_K, q6_k),
    READ(Q8_K, q8_k),
    READ(Q1_0, q1_0),
    READ(Q2_0, q2_0),
    BOTH(TQ1_0, tq1_0),
    BOTH(TQ2_0, tq2_0),
    READ(IQ1_S, iq1_s),
    READ(IQ1_M, iq1_m),
    READ(IQ2_XXS, iq2_xxs),
    READ(IQ2_XS, iq2_xs),
    READ(IQ2_S, iq2_s),
    READ(IQ3_XXS, iq3_xxs),
    READ(IQ3_S, iq3_s),
    BOTH(IQ4_NL, iq4_nl),
    BOTH(IQ4_XS, iq4_xs),
    BOTH(MXFP4, mxfp4),
    READ(NVFP4, nvfp4),
    READ(NF4, nf4),
    READ(NF4_DOUBLE, nf4_double),
};

void lrk_to_f32(lrk_dtype t, const void *src, size_t n, float *dst)
{
    const uint16_t *half = src;
    const unsigned char *b = src;
    switch (t) {
    case LRK_F32:
        memcpy(dst, src, n * sizeof *dst);
        return;
    case LRK_F64:
        for (size_t i = 0; i < n; i++) dst[i] = (float)((const double *)src)[i];
        return;
    case LRK_BF16:
        for (size_t i = 0; i < n; i++) dst[i] = lrk_bf16_to_f32(half[i]);
        return;
    case LRK_F16:
        for (size_t i = 0; i < n; i++) dst[i] = lrk_f16_to_f32(half[i]);
        return;
    default:
        break;
    }
    if (!coders[t].decode) return;
    const size_t elements = lrk_dtype_block(t), bytes = lrk_dtype_block_bytes(t);
    for (size_t i = 0; i < n; i += elements, b += bytes) coders[t].decode(b, dst + i);
}

bool lrk_from_f32(lrk_dtype t, const float *src, size_t n, void *dst)
{
    uint16_t *half = dst;
    unsigned char *b = dst;
    switch (t) {
    case LRK_F32:
        memcpy(dst, src, n * sizeof *src);
        return true;
    case LRK_F64:
        for (size_t i = 0; i < n; i++) ((double *)dst)[i] = (double)src[i];
        return true;
    case LRK_BF16:
        for (size_t i = 0; i < n; i++) half[i] = lrk_f32_to_bf16(src[i]);
        return true;
    case LRK_F16:
        for (size_t i = 0; i < n; i++) half[i] = lrk_f32_to_f16(src[i]);
        return true;
    default:
        break;
    }
    if (!coders[t].encode) return false;
    const size_t elements = lrk_dtype_block(t), bytes = lrk_dtype_block_bytes(t);
    for (size_t i = 0; i < n; i += elements, b += bytes) coders[t].encode(src + i, b);
    return true;
}

bool lrk_can_quantize(lrk_dtype t)
{
    return coders[t].encode || t == LRK_F32 || t == LRK_F64 || t == LRK_BF16 || t == LRK_F16;
}
