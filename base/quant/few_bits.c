/* base/quant/few_bits.c -- one bit, two bits, and three levels (ternary) an element. */
#include "base/quant/blocks.h"

#include <math.h>

void lrk_decode_q1_0(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b);
    for (int i = 0; i < 128; i++) y[i] = (b[2 + i / 8] >> (i % 8)) & 1 ? d : -d;
}

void lrk_decode_q2_0(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b);
    for (int i = 0; i < 64; i++) y[i] = (float)(((b[2 + i / 4] >> (i % 4 * 2)) & 3) - 1) * d;
}

void lrk_decode_tq2_0(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b + 64);
    for (int i = 0; i < 256; i++)
        y[i] = (float)(((b[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3) - 1) * d;
}

/* Of tq1_0: runs of bytes, each byte with elements `bytes` apart, five of them, or four at last. */
static const struct run {
    int first, element, bytes, digits;
} runs[] = {{0, 0, 32, 5}, {32, 160, 16, 5}, {48, 240, 4, 4}};

/* A byte is the fraction 0.d0 d1 d2 d3 d4 in base 3, in units of 1/256 and rounded up: three times
 * the byte carries the first digit out, the powers of three bring the others there. */
void lrk_decode_tq1_0(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b + 52);
    for (const struct run *r = runs; r < runs + 3; r++) {
        for (int m = 0; m < r->bytes; m++) {
            unsigned fraction = b[r->first + m];
            for (int n = 0; n < r->digits; n++) {
                const int digit = (int)(fraction * 3 >> 8);
                y[r->element + n * r->bytes + m] = (float)(digit - 1) * d;
                fraction = fraction * 3 & 255;
            }
        }
    }
}

static int level_of(float x, float inverse) { return (int)roundf(x * inverse) + 1; }

void lrk_encode_tq1_0(const float *x, unsigned char *b)
{
    const float d = fabsf(lrk_extreme(x, 256)), inverse = d != 0.0f ? 1.0f / d : 0.0f;
    lrk_put_half(b + 52, d);
    for (const struct run *r = runs; r < runs + 3; r++) {
        for (int m = 0; m < r->bytes; m++) {
            int number = 0;
            for (int n = 0; n < 5; n++) {
                number *= 3;
                if (n < r->digits) number += level_of(x[r->element + n * r->bytes + m], inverse);
            }
            b[r->first + m] = (unsigned char)((number * 256 + 242) / 243);
        }
    }
}

void lrk_encode_tq2_0(const float *x, unsigned char *b)
{
    const float d = fabsf(lrk_extreme(x, 256)), inverse = d != 0.0f ? 1.0f / d : 0.0f;
    memset(b, 0, 64);
    lrk_put_half(b + 64, d);
    for (int i = 0; i < 256; i++) {
        unsigned char *p = b + i / 128 * 32 + i % 32;
        *p = (unsigned char)(*p | level_of(x[i], inverse) << (i / 32 % 4 * 2));
    }
}
