/* base/quant/table.c -- codes of four bits into a table of 16 values: iq4_nl and iq4_xs, whose
 * table is denser near zero, and the microscaling formats mxfp4 and nvfp4, whose table is E2M1.
 *
 * mxfp4: OCP Microscaling Formats (MX) specification v1.0. nvfp4: an unsigned E4M3 scale for each
 * 16 elements. The table holds twice the values of E2M1, the scales are halved for it.
 */
#include "base/quant/blocks.h"

#include <math.h>

#define LRK_VALUES(type, name, n, ...) static const type name[n] = {__VA_ARGS__};
#include "base/quant/table.def"
#undef LRK_VALUES

/* n bytes: elements i and i + n. */
static void look_up(const int8_t table[16], const unsigned char *q, int n, float d, float *y)
{
    for (int i = 0; i < n; i++) {
        y[i] = d * (float)table[q[i] & 15];
        y[i + n] = d * (float)table[q[i] >> 4];
    }
}

void lrk_decode_iq4_nl(const unsigned char *b, float *y)
{
    look_up(lrk_nonlinear, b + 2, 16, lrk_half_at(b), y);
}

/* Six bits of scale for each 32 elements, the upper two apart. */
void lrk_decode_iq4_xs(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b);
    const unsigned high = lrk_u16_at(b + 2);
    for (int g = 0; g < 8; g++) {
        const int low = (b[4 + g / 2] >> (g % 2 * 4)) & 15;
        const int scale = (low | (int)((high >> (2 * g)) & 3) << 4) - 32;
        look_up(lrk_nonlinear, b + 8 + g * 16, 16, d * (float)scale, y + g * 32);
    }
}

/* 2^(e - 128), also where that is subnormal. */
static float half_of_e8m0(unsigned e)
{
    const uint32_t bits = e < 2 ? 0x200000u << e : (e - 1) << 23;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

void lrk_decode_mxfp4(const unsigned char *b, float *y)
{
    look_up(lrk_e2m1_twice, b + 1, 16, half_of_e8m0(b[0]), y);
}

/* NaN, 0x7f, is taken as 0. */
static float half_of_ue4m3(unsigned code)
{
    const int exponent = (int)(code >> 3) & 15, mantissa = (int)code & 7;
    if (code == 0x7f) return 0.0f;
    return exponent ? ldexpf((float)(8 + mantissa), exponent - 11) : ldexpf((float)mantissa, -10);
}

void lrk_decode_nvfp4(const unsigned char *b, float *y)
{
    for (int g = 0; g < 4; g++)
        look_up(lrk_e2m1_twice, b + 4 + g * 8, 8, half_of_ue4m3(b[g]), y + g * 16);
}

/* ---- to iq4 ---- */

/* The code whose value is nearest; half way between two, the upper. Twice x is exact. */
static int nearest_code(float x)
{
    int code = 0;
    for (int step = 8; step; step >>= 1) {
        const int next = code + step;
        if (x + x >= (float)(lrk_nonlinear[next - 1] + lrk_nonlinear[next])) code = next;
    }
    return code;
}

typedef struct moments {
    float qx, qq; /* sums of w q x and w q q, w = x^2 */
} moments;

static moments measure(const float *x, float inverse)
{
    moments m = {0.0f, 0.0f};
    for (int i = 0; i < 32; i++) {
        const float q = (float)lrk_nonlinear[nearest_code(inverse * x[i])], w = x[i] * x[i];
        m.qx += w * q * x[i];
        m.qq += w * q * q;
    }
    return m;
}

/* The scale with the least weighted squares over 15 starts, which put the extreme element at
 * table values from -134 to -120 (and at -127 with either sign). */
static float best_scale(const float *x)
{
    const float extreme = lrk_extreme(x, 32);
    if (fabsf(extreme) < 1e-15f) return 0.0f;
    moments m = measure(x, 1.0f / (-extreme / (float)lrk_nonlinear[0]));
    float d = m.qq > 0.0f ? m.qx / m.qq : 0.0f, best = d * m.qx;
    for (int i = -7; i <= 7; i++) {
        m = measure(x, (float)(i + lrk_nonlinear[0]) / extreme);
        if (!(m.qq > 0.0f && m.qx * m.qx > best * m.qq)) continue;
        d = m.qx / m.qq;
        best = d * m.qx;
    }
    return d;
}

static void put_codes(const float *x, float d, unsigned char *q)
{
    const float inverse = d != 0.0f ? 1.0f / d : 0.0f;
    for (int i = 0; i < 16; i++)
        q[i] =
            (unsigned char)(nearest_code(inverse * x[i]) | nearest_code(inverse * x[i + 16]) << 4);
}

void lrk_encode_iq4_nl(const float *x, unsigned char *b)
{
    const float d = best_scale(x);
    lrk_put_half(b, d);
    put_codes(x, d, b + 2);
}

void lrk_encode_iq4_xs(const float *x, unsigned char *b)
{
    float scale[8];
    unsigned high = 0;
    for (int g = 0; g < 8; g++) scale[g] = best_scale(x + g * 32);
    const float d = -lrk_extreme(scale, 8) / 32.0f, inverse = d != 0.0f ? 1.0f / d : 0.0f;
    lrk_put_half(b, d);
    memset(b + 4, 0, 4);
    for (int g = 0; g < 8; g++) {
        const int code = lrk_clamp(lrk_nearest(inverse * scale[g]), -32, 31);
        put_codes(x + g * 32, d * (float)code, b + 8 + g * 16);
        b[4 + g / 2] = (unsigned char)(b[4 + g / 2] | ((code + 32) & 15) << (g % 2 * 4));
        high |= (unsigned)(code + 32) >> 4 << (2 * g);
    }
    b[2] = (unsigned char)high;
    b[3] = (unsigned char)(high >> 8);
}

/* ---- to mxfp4 ---- */

/* The first of the nearest, so that zero is code 0. */
static int nearest_e2m1(float x, float d)
{
    int best = 0;
    float least = fabsf(x);
    for (int i = 1; i < 16; i++) {
        const float error = fabsf(d * (float)lrk_e2m1_twice[i] - x);
        if (error >= least) continue;
        least = error;
        best = i;
    }
    return best;
}

/* The power of two that puts the largest magnitude between 4 and 8, in units of E2M1. */
void lrk_encode_mxfp4(const float *x, unsigned char *b)
{
    const float most = fabsf(lrk_extreme(x, 32));
    const int exponent = most > 0.0f ? lrk_clamp((int)floorf(log2f(most)) + 125, 0, 255) : 0;
    const float d = half_of_e8m0((unsigned)exponent);
    b[0] = (unsigned char)exponent;
    for (int i = 0; i < 16; i++)
        b[1 + i] = (unsigned char)(nearest_e2m1(x[i], d) | nearest_e2m1(x[i + 16], d) << 4);
}
