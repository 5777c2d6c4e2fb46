/* base/quant/k_decode.c -- blocks of 256 elements, in groups of 16 or 32 with scales of their own.
 */
#include "base/quant/blocks.h"

/* Two bits of each element; the bytes of a half hold elements 32 apart. */
static int pair_of_bits(const unsigned char *q, int i)
{
    return (q[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3;
}

void lrk_decode_q2_k(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b + 80), dmin = lrk_half_at(b + 82);
    for (int g = 0; g < 16; g++) {
        const float scale = d * (float)(b[g] & 15), min = dmin * (float)(b[g] >> 4);
        for (int i = g * 16; i < g * 16 + 16; i++)
            y[i] = scale * (float)pair_of_bits(b + 16, i) - min;
    }
}

/* Bit i / 32 of byte i % 32 is set where 4 is not to be taken away. */
void lrk_decode_q3_k(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b + 108);
    for (int g = 0; g < 16; g++) {
        const float scale = d * (float)lrk_scale_16(b + 96, g);
        for (int i = g * 16; i < g * 16 + 16; i++) {
            const int high = (b[i % 32] >> (i / 32)) & 1;
            y[i] = scale * (float)(pair_of_bits(b + 32, i) - (high ? 0 : 4));
        }
    }
}

/* qh: NULL, or a fifth bit for each element, bit i of byte l for group i, element l. */
static void k_groups(const unsigned char *head, const unsigned char *qh, const unsigned char *q,
                     float *y)
{
    const float d = lrk_half_at(head), dmin = lrk_half_at(head + 2);
    for (int i = 0; i < 8; i++) {
        int scale, min;
        lrk_scale_min(head + 4, i, &scale, &min);
        const float ds = d * (float)scale, dm = dmin * (float)min;
        for (int l = 0; l < 32; l++) {
            int v = (q[i / 2 * 32 + l] >> (i % 2 * 4)) & 15;
            if (qh) v |= ((qh[l] >> i) & 1) << 4;
            y[i * 32 + l] = ds * (float)v - dm;
        }
    }
}

void lrk_decode_q4_k(const unsigned char *b, float *y) { k_groups(b, NULL, b + 16, y); }

void lrk_decode_q5_k(const unsigned char *b, float *y) { k_groups(b, b + 16, b + 48, y); }

void lrk_decode_q6_k(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b + 208);
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

/* d is f32; sums of 16 codes each, for products, follow the codes. */
void lrk_decode_q8_k(const unsigned char *b, float *y)
{
    float d;
    memcpy(&d, b, sizeof d);
    for (int i = 0; i < 256; i++) y[i] = d * (float)(signed char)b[4 + i];
}
