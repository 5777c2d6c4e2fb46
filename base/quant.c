/* base/quant.c -- rows of any element type to f32 and back, one element after the other.
 *
 * Multiplications and additions are separate roundings (the tree is built without contraction), so
 * the vector versions in kernels/gemm can give the same bits.
 */
#include "base/quant.h"

#include <math.h>

enum { SMALL = 32 }; /* elements of a block of every type that can be written */

static float half_at(const unsigned char *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return lrk_f16_to_f32(h);
}

static void put_half(unsigned char *p, float f)
{
    const uint16_t h = lrk_f32_to_f16(f);
    memcpy(p, &h, sizeof h);
}

static void q4_0_block(const unsigned char *b, float *y)
{
    const float d = half_at(b);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)((b[2 + i] & 15) - 8);
        y[i + 16] = d * (float)((b[2 + i] >> 4) - 8);
    }
}

static void q4_1_block(const unsigned char *b, float *y)
{
    const float d = half_at(b), m = half_at(b + 2);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)(b[4 + i] & 15) + m;
        y[i + 16] = d * (float)(b[4 + i] >> 4) + m;
    }
}

/* Bit j of the 32-bit word before the nibbles is bit 4 of element j. */
static int fifth_bit(const unsigned char *bits, int j)
{
    return ((bits[j / 8] >> (j % 8)) & 1) << 4;
}

static void q5_0_block(const unsigned char *b, float *y)
{
    const float d = half_at(b);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)(((b[6 + i] & 15) | fifth_bit(b + 2, i)) - 16);
        y[i + 16] = d * (float)(((b[6 + i] >> 4) | fifth_bit(b + 2, i + 16)) - 16);
    }
}

static void q5_1_block(const unsigned char *b, float *y)
{
    const float d = half_at(b), m = half_at(b + 2);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)((b[8 + i] & 15) | fifth_bit(b + 4, i)) + m;
        y[i + 16] = d * (float)((b[8 + i] >> 4) | fifth_bit(b + 4, i + 16)) + m;
    }
}

static void q8_0_block(const unsigned char *b, float *y)
{
    const float d = half_at(b);
    for (int i = 0; i < 32; i++) y[i] = (float)(signed char)b[2 + i] * d;
}

/* Eight 6-bit scales and eight 6-bit minima in 12 bytes. */
static void scale_min(const unsigned char *s, int i, int *scale, int *min)
{
    if (i < 4) {
        *scale = s[i] & 63;
        *min = s[i + 4] & 63;
    } else {
        *scale = (s[i + 4] & 15) | ((s[i - 4] >> 6) << 4);
        *min = (s[i + 4] >> 4) | ((s[i] >> 6) << 4);
    }
}

/* qh: NULL, or a fifth bit for each element, bit i of byte l for group i, element l. */
static void k_groups(const unsigned char *head, const unsigned char *qh, const unsigned char *q,
                     float *y)
{
    const float d = half_at(head), dmin = half_at(head + 2);
    for (int i = 0; i < 8; i++) {
        int scale, min;
        scale_min(head + 4, i, &scale, &min);
        const float ds = d * (float)scale, dm = dmin * (float)min;
        for (int l = 0; l < 32; l++) {
            int v = (q[i / 2 * 32 + l] >> (i % 2 * 4)) & 15;
            if (qh) v |= ((qh[l] >> i) & 1) << 4;
            y[i * 32 + l] = ds * (float)v - dm;
        }
    }
}

static void q4_k_block(const unsigned char *b, float *y) { k_groups(b, NULL, b + 16, y); }

static void q5_k_block(const unsigned char *b, float *y) { k_groups(b, b + 16, b + 48, y); }

static void q6_k_block(const unsigned char *b, float *y)
{
    const float d = half_at(b + 208);
    for (int half = 0; half < 2; half++) {
        const unsigned char *ql = b + half * 64, *qh = b + 128 + half * 32;
        const signed char *scale = (const signed char *)(b + 192 + half * 8);
        for (int quarter = 0; quarter < 4; quarter++) {
            for (int l = 0; l < 32; l++) {
                const int low = (ql[quarter % 2 * 32 + l] >> (quarter / 2 * 4)) & 15;
                const int high = (qh[l] >> (quarter * 2)) & 3;
                const float s = d * (float)scale[quarter * 2 + l / 16];
                y[half * 128 + quarter * 32 + l] = s * (float)((low | high << 4) - 32);
            }
        }
    }
}

static void blocks(void (*f)(const unsigned char *, float *), lrk_dtype t, const void *src,
                   size_t n, float *dst)
{
    const size_t elements = lrk_dtype_block(t), bytes = lrk_dtype_block_bytes(t);
    const unsigned char *b = src;
    for (size_t i = 0; i < n; i += elements, b += bytes) f(b, dst + i);
}

void lrk_to_f32(lrk_dtype t, const void *src, size_t n, float *dst)
{
    const uint16_t *half = src;
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
    case LRK_Q4_0:
        blocks(q4_0_block, t, src, n, dst);
        return;
    case LRK_Q4_1:
        blocks(q4_1_block, t, src, n, dst);
        return;
    case LRK_Q5_0:
        blocks(q5_0_block, t, src, n, dst);
        return;
    case LRK_Q5_1:
        blocks(q5_1_block, t, src, n, dst);
        return;
    case LRK_Q8_0:
        blocks(q8_0_block, t, src, n, dst);
        return;
    case LRK_Q4_K:
        blocks(q4_k_block, t, src, n, dst);
        return;
    case LRK_Q5_K:
        blocks(q5_k_block, t, src, n, dst);
        return;
    case LRK_Q6_K:
        blocks(q6_k_block, t, src, n, dst);
        return;
    case LRK_I32:
    case LRK_I64:
    case LRK_U8:
    case LRK_DTYPE_COUNT:
        return;
    }
}

/* The element of largest magnitude, with its sign; the first of equals. */
static float extreme(const float *x)
{
    float best = 0.0f;
    for (int i = 0; i < SMALL; i++)
        if (fabsf(x[i]) > fabsf(best)) best = x[i];
    return best;
}

static void range(const float *x, float *low, float *high)
{
    *low = *high = x[0];
    for (int i = 1; i < SMALL; i++) {
        *low = fminf(*low, x[i]);
        *high = fmaxf(*high, x[i]);
    }
}

static int level(float x, int max) { return x >= (float)max ? max : x > 0.0f ? (int)x : 0; }

/* Codes 0 .. max of (x - low) / d + half, into nibbles and, for max 31, the word of fifth bits. */
static void put_codes(const float *x, float low, float d, float half, int max, unsigned char *fifth,
                      unsigned char *q)
{
    const float inverse = d != 0.0f ? 1.0f / d : 0.0f;
    for (int i = 0; i < 16; i++) {
        const int a = level((x[i] - low) * inverse + half, max);
        const int b = level((x[i + 16] - low) * inverse + half, max);
        q[i] = (unsigned char)((a & 15) | (b & 15) << 4);
        if (!fifth) continue;
        fifth[i / 8] = (unsigned char)(fifth[i / 8] | (a >> 4) << (i % 8));
        fifth[2 + i / 8] = (unsigned char)(fifth[2 + i / 8] | (b >> 4) << (i % 8));
    }
}

static void to_q4_0(const float *x, unsigned char *b)
{
    const float d = extreme(x) / -8.0f;
    put_half(b, d);
    put_codes(x, 0.0f, d, 8.5f, 15, NULL, b + 2);
}

static void to_q5_0(const float *x, unsigned char *b)
{
    const float d = extreme(x) / -16.0f;
    put_half(b, d);
    memset(b + 2, 0, 4);
    put_codes(x, 0.0f, d, 16.5f, 31, b + 2, b + 6);
}

static void to_q4_1(const float *x, unsigned char *b)
{
    float low, high;
    range(x, &low, &high);
    const float d = (high - low) / 15.0f;
    put_half(b, d);
    put_half(b + 2, low);
    put_codes(x, low, d, 0.5f, 15, NULL, b + 4);
}

static void to_q5_1(const float *x, unsigned char *b)
{
    float low, high;
    range(x, &low, &high);
    const float d = (high - low) / 31.0f;
    put_half(b, d);
    put_half(b + 2, low);
    memset(b + 4, 0, 4);
    put_codes(x, low, d, 0.5f, 31, b + 4, b + 8);
}

static void to_q8_0(const float *x, unsigned char *b)
{
    const float d = fabsf(extreme(x)) / 127.0f;
    const float inverse = d != 0.0f ? 1.0f / d : 0.0f;
    put_half(b, d);
    for (int i = 0; i < SMALL; i++) b[2 + i] = (unsigned char)(signed char)roundf(x[i] * inverse);
}

static void to_blocks(void (*f)(const float *, unsigned char *), lrk_dtype t, const float *src,
                      size_t n, void *dst)
{
    const size_t elements = lrk_dtype_block(t), bytes = lrk_dtype_block_bytes(t);
    unsigned char *b = dst;
    for (size_t i = 0; i < n; i += elements, b += bytes) f(src + i, b);
}

bool lrk_from_f32(lrk_dtype t, const float *src, size_t n, void *dst)
{
    uint16_t *half = dst;
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
    case LRK_Q4_0:
        to_blocks(to_q4_0, t, src, n, dst);
        return true;
    case LRK_Q4_1:
        to_blocks(to_q4_1, t, src, n, dst);
        return true;
    case LRK_Q5_0:
        to_blocks(to_q5_0, t, src, n, dst);
        return true;
    case LRK_Q5_1:
        to_blocks(to_q5_1, t, src, n, dst);
        return true;
    case LRK_Q8_0:
        to_blocks(to_q8_0, t, src, n, dst);
        return true;
    default:
        return false;
    }
}

bool lrk_can_quantize(lrk_dtype t)
{
    switch (t) {
    case LRK_F32:
    case LRK_F64:
    case LRK_BF16:
    case LRK_F16:
    case LRK_Q4_0:
    case LRK_Q4_1:
    case LRK_Q5_0:
    case LRK_Q5_1:
    case LRK_Q8_0:
        return true;
    default:
        return false;
    }
}
