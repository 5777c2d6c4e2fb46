/* base/quant/small.c -- blocks of 32 elements: d, perhaps m, perhaps 32 fifth bits, codes.
 *
 * Rounding is that of ggml's reference quantizers, which multiply by 1/d before d is rounded. */
#include "base/quant/blocks.h"

#include <math.h>

enum { SMALL = 32 };

void lrk_decode_q4_0(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)((b[2 + i] & 15) - 8);
        y[i + 16] = d * (float)((b[2 + i] >> 4) - 8);
    }
}

void lrk_decode_q4_1(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b), m = lrk_half_at(b + 2);
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

void lrk_decode_q5_0(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)(((b[6 + i] & 15) | fifth_bit(b + 2, i)) - 16);
        y[i + 16] = d * (float)(((b[6 + i] >> 4) | fifth_bit(b + 2, i + 16)) - 16);
    }
}

void lrk_decode_q5_1(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b), m = lrk_half_at(b + 2);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)((b[8 + i] & 15) | fifth_bit(b + 4, i)) + m;
        y[i + 16] = d * (float)((b[8 + i] >> 4) | fifth_bit(b + 4, i + 16)) + m;
    }
}

void lrk_decode_q8_0(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b);
    for (int i = 0; i < 32; i++) y[i] = (float)(signed char)b[2 + i] * d;
}

void lrk_decode_q8_1(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b); /* then d times the sum of the codes, for products */
    for (int i = 0; i < 32; i++) y[i] = (float)(signed char)b[4 + i] * d;
}

float lrk_extreme(const float *x, int n)
{
    float best = 0.0f;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(best)) best = x[i];
    return best;
}

/* Of zeros of both signs the first, as ggml has it; fminf may return either. */
static void range(const float *x, float *low, float *high)
{
    *low = *high = x[0];
    for (int i = 1; i < SMALL; i++) {
        if (x[i] < *low) *low = x[i];
        if (x[i] > *high) *high = x[i];
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

void lrk_encode_q4_0(const float *x, unsigned char *b)
{
    const float d = lrk_extreme(x, SMALL) / -8.0f;
    lrk_put_half(b, d);
    put_codes(x, 0.0f, d, 8.5f, 15, NULL, b + 2);
}

void lrk_encode_q5_0(const float *x, unsigned char *b)
{
    const float d = lrk_extreme(x, SMALL) / -16.0f;
    lrk_put_half(b, d);
    memset(b + 2, 0, 4);
    put_codes(x, 0.0f, d, 16.5f, 31, b + 2, b + 6);
}

void lrk_encode_q4_1(const float *x, unsigned char *b)
{
    float low, high;
    range(x, &low, &high);
    const float d = (high - low) / 15.0f;
    lrk_put_half(b, d);
    lrk_put_half(b + 2, low);
    put_codes(x, low, d, 0.5f, 15, NULL, b + 4);
}

void lrk_encode_q5_1(const float *x, unsigned char *b)
{
    float low, high;
    range(x, &low, &high);
    const float d = (high - low) / 31.0f;
    lrk_put_half(b, d);
    lrk_put_half(b + 2, low);
    memset(b + 4, 0, 4);
    put_codes(x, low, d, 0.5f, 31, b + 4, b + 8);
}

void lrk_encode_q8_0(const float *x, unsigned char *b)
{
    const float d = fabsf(lrk_extreme(x, SMALL)) / 127.0f;
    const float inverse = d != 0.0f ? 1.0f / d : 0.0f;
    lrk_put_half(b, d);
    for (int i = 0; i < SMALL; i++) b[2 + i] = (unsigned char)(signed char)roundf(x[i] * inverse);
}
