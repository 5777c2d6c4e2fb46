/* tests/blocks.h -- random blocks of any quantized type. Random bytes are valid blocks, but for
 * their scales: those get tame values. */
#ifndef LRK_TESTS_BLOCKS_H
#define LRK_TESTS_BLOCKS_H
#include "base/dtype.h"
#include "base/rng.h"

/* Where the f16 scales of a block lie; -1: none. */
static inline void lrk_test_scales(lrk_dtype t, int *d, int *m)
{
    *d = 0;
    *m = t == LRK_Q4_1 || t == LRK_Q5_1 || t == LRK_Q4_K || t == LRK_Q5_K ? 2 : -1;
    if (t == LRK_Q6_K) *d = 208;
    if (t == LRK_Q3_K) *d = 108;
    if (t == LRK_TQ1_0) *d = 52;
    if (t == LRK_TQ2_0) *d = 64;
    if (t == LRK_Q2_K) *d = 80, *m = 82;
    if (t == LRK_IQ1_M || t == LRK_MXFP4 || t == LRK_NVFP4) *d = -1;
}

static inline void lrk_test_put_f16(unsigned char *p, float f)
{
    const uint16_t h = lrk_f32_to_f16(f);
    memcpy(p, &h, sizeof h);
}

/* n elements; scale: of the scales. */
static inline void lrk_test_blocks(lrk_dtype t, size_t n, uint64_t seed, float scale,
                                   unsigned char *dst)
{
    const size_t bytes = lrk_dtype_block_bytes(t), count = n / lrk_dtype_block(t);
    const bool super = lrk_dtype_block(t) == 256;
    const lrk_rng numbers = {seed, LRK_SITE_TEST, 3}, codes = {seed, LRK_SITE_TEST, 4};
    int at, min_at;
    lrk_test_scales(t, &at, &min_at);
    for (size_t i = 0; i < count; i++, dst += bytes) {
        const float d = (float)lrk_rng_normal(numbers, 2 * i) * scale * (super ? 0.003f : 0.06f);
        const float m = (float)lrk_rng_normal(numbers, 2 * i + 1) * scale * (super ? 0.003f : 0.5f);
        const uint16_t h = lrk_f32_to_f16(d);
        for (size_t j = 0; j < bytes; j++)
            dst[j] = (unsigned char)lrk_rng_below(codes, i * bytes + j, 256);
        if (at >= 0) lrk_test_put_f16(dst + at, d);
        if (min_at >= 0) lrk_test_put_f16(dst + min_at, m);
        if (t == LRK_Q8_K || t == LRK_NF4 || t == LRK_NF4_DOUBLE) memcpy(dst, &d, sizeof d);
        if (t == LRK_NF4_DOUBLE) memcpy(dst + 4, &m, sizeof m);
        if (t == LRK_MXFP4) dst[0] = (unsigned char)(118 + dst[0] % 8);
        for (int j = 0; t == LRK_NVFP4 && j < 4; j++) dst[j] &= scale < 1.0f ? 15 : 63;
        /* in the upper bits of four words */
        for (int j = 0; t == LRK_IQ1_M && j < 4; j++)
            dst[49 + 2 * j] = (unsigned char)((dst[49 + 2 * j] & 15) | ((h >> (4 * j)) & 15) << 4);
    }
}

#endif /* LRK_TESTS_BLOCKS_H */
