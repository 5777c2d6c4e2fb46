/* base/quant/k_encode.c -- to the K types, without an importance matrix.
 *
 * Every group is fitted on its own: a search over a few dozen steps for the scale (and minimum)
 * with the least weighted error. Then the scales of the block are quantized, and the codes are
 * rounded once more under the scales that will be read. Searches, weights and the order of the
 * sums are those of ggml's quantize_row_*_ref (ggml-quants.c), one rounding for each operation, so
 * that the blocks are too: they are equal to those of a ggml compiled without fused multiply-add.
 */
#include "base/quant/blocks.h"

#include <math.h>

enum { BLOCK = 256 };

static const float nothing = 1e-15f; /* a group or block below this is all zeros */

/* ---- x ~ scale * code + low, code 0 .. top, low <= 0 ---- */

typedef struct search {
    int n, top;        /* elements of a group; largest code */
    float first, step; /* the range is divided by top + first, top + first + step, ... */
    int steps;
    bool absolute; /* the error is |e|, not e^2 */
} search;

typedef struct line {
    float scale, low;
} line;

static int code_at(const search *s, float x, float low, float inverse)
{
    return lrk_clamp(lrk_nearest(inverse * (x - low)), 0, s->top);
}

static float error_of(const search *s, const float *x, const float *w, const uint8_t *code, line l)
{
    float sum = 0.0f;
    for (int i = 0; i < s->n; i++) {
        const float e = l.scale * (float)code[i] + l.low - x[i];
        sum += w[i] * (s->absolute ? fabsf(e) : e * e);
    }
    return sum;
}

/* The regression line through (code, x); false where all codes are equal. sum_w, sum_x: of all. */
static bool regress(const search *s, const float *x, const float *w, const uint8_t *code,
                    float sum_w, float sum_x, line *l)
{
    float sum_c = 0.0f, sum_cc = 0.0f, sum_xc = 0.0f;
    for (int i = 0; i < s->n; i++) {
        const float c = (float)code[i];
        sum_c += w[i] * c;
        sum_cc += w[i] * c * c;
        sum_xc += w[i] * c * x[i];
    }
    const float determinant = sum_w * sum_cc - sum_c * sum_c;
    if (!(determinant > 0.0f)) return false;
    l->scale = (sum_w * sum_xc - sum_x * sum_c) / determinant;
    l->low = (sum_cc * sum_x - sum_c * sum_xc) / determinant;
    if (l->low > 0.0f) *l = (line){sum_xc / sum_cc, 0.0f};
    return true;
}

/* The best line and its codes. The codes of a try are those of the best line so far, divided more
 * or less finely. */
static line fit_line(const search *s, const float *x, const float *w, uint8_t *code)
{
    float low = x[0], high = x[0], sum_w = w[0], sum_x = w[0] * x[0];
    uint8_t try[32];
    for (int i = 1; i < s->n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        sum_w += w[i];
        sum_x += w[i] * x[i];
    }
    if (low > 0.0f) low = 0.0f;
    line best = {0.0f, low};
    memset(code, 0, (size_t)s->n);
    if (high == low) return best;
    float inverse = (float)s->top / (high - low);
    best.scale = 1.0f / inverse;
    for (int i = 0; i < s->n; i++) code[i] = (uint8_t)code_at(s, x[i], low, inverse);
    float least = error_of(s, x, w, code, best);
    for (int k = 0; k <= s->steps; k++) {
        line l;
        inverse = (s->first + s->step * (float)k + (float)s->top) / (high - best.low);
        for (int i = 0; i < s->n; i++) try[i] = (uint8_t)code_at(s, x[i], best.low, inverse);
        if (!regress(s, x, w, try, sum_w, sum_x, &l)) continue;
        const float error = error_of(s, x, w, try, l);
        if (!(error < least)) continue;
        memcpy(code, try, (size_t)s->n);
        least = error;
        best = l;
    }
    return best;
}

/* Codes of a group under the scale and the minimum that will be read; as fitted where the scale
 * came out as 0. */
static void round_again(const search *s, const float *x, float scale, float min, uint8_t *code)
{
    if (scale == 0.0f) return;
    for (int i = 0; i < s->n; i++)
        code[i] = (uint8_t)lrk_clamp(lrk_nearest((x[i] + min) / scale), 0, s->top);
}

static void put_bits(const uint8_t *code, int shift, unsigned char *q)
{
    for (int i = 0; i < BLOCK; i++) {
        unsigned char *p = q + i / 128 * 32 + i % 32;
        *p = (unsigned char)(*p | ((code[i] >> shift) & 3) << (i / 32 % 4 * 2));
    }
}

void lrk_encode_q2_k(const float *x, unsigned char *b)
{
    static const search s = {16, 3, -0.5f, 0.1f, 15, true};
    float scale[16], min[16], w[16], most_scale = 0.0f, most_min = 0.0f;
    uint8_t code[BLOCK];
    for (int g = 0; g < 16; g++) {
        for (int i = 0; i < 16; i++) w[i] = fabsf(x[g * 16 + i]);
        const line l = fit_line(&s, x + g * 16, w, code + g * 16);
        scale[g] = l.scale;
        min[g] = -l.low;
        most_scale = scale[g] > most_scale ? scale[g] : most_scale;
        most_min = min[g] > most_min ? min[g] : most_min;
    }
    const float per_scale = most_scale > 0.0f ? 15.0f / most_scale : 0.0f;
    const float per_min = most_min > 0.0f ? 15.0f / most_min : 0.0f;
    lrk_put_half(b + 80, most_scale / 15.0f);
    lrk_put_half(b + 82, most_min / 15.0f);
    const float d = lrk_half_at(b + 80), dmin = lrk_half_at(b + 82);
    for (int g = 0; g < 16; g++) {
        const int scale_code = lrk_nearest(per_scale * scale[g]) & 15;
        const int min_code = lrk_nearest(per_min * min[g]) & 15;
        b[g] = (unsigned char)(scale_code | min_code << 4);
        round_again(&s, x + g * 16, d * (float)scale_code, dmin * (float)min_code, code + g * 16);
    }
    memset(b + 16, 0, 64);
    put_bits(code, 0, b + 16);
}

/* The scale and the minimum of eight groups, as lrk_scale_min reads them. */
static void put_scale_min(unsigned char *p, int i, int scale, int min)
{
    if (i < 4) {
        p[i] = (unsigned char)scale;
        p[i + 4] = (unsigned char)min;
    } else {
        p[i + 4] = (unsigned char)((scale & 15) | (min & 15) << 4);
        p[i - 4] = (unsigned char)(p[i - 4] | scale >> 4 << 6);
        p[i] = (unsigned char)(p[i] | min >> 4 << 6);
    }
}

/* What q4_k and q5_k have in common: d, dmin and twelve bytes of scales; and the codes. */
static void fit_groups(const search *s, const float *x, unsigned char *b, uint8_t *code)
{
    float scale[8], min[8], w[32], most_scale = 0.0f, most_min = 0.0f;
    for (int g = 0; g < 8; g++) {
        const float *y = x + g * 32;
        float squares = 0.0f;
        for (int i = 0; i < 32; i++) squares += y[i] * y[i];
        const float typical = sqrtf(squares / 32.0f);
        for (int i = 0; i < 32; i++) w[i] = typical + fabsf(y[i]);
        const line l = fit_line(s, y, w, code + g * 32);
        scale[g] = l.scale;
        min[g] = -l.low;
        most_scale = scale[g] > most_scale ? scale[g] : most_scale;
        most_min = min[g] > most_min ? min[g] : most_min;
    }
    const float per_scale = most_scale > 0.0f ? 63.0f / most_scale : 0.0f;
    const float per_min = most_min > 0.0f ? 63.0f / most_min : 0.0f;
    lrk_put_half(b, most_scale / 63.0f);
    lrk_put_half(b + 2, most_min / 63.0f);
    for (int g = 0; g < 8; g++) {
        const int scale_code = lrk_nearest(per_scale * scale[g]) & 255;
        const int min_code = lrk_nearest(per_min * min[g]) & 255;
        put_scale_min(b + 4, g, scale_code < 63 ? scale_code : 63, min_code < 63 ? min_code : 63);
    }
    const float d = lrk_half_at(b), dmin = lrk_half_at(b + 2);
    for (int g = 0; g < 8; g++) {
        int scale_code, min_code;
        lrk_scale_min(b + 4, g, &scale_code, &min_code);
        round_again(s, x + g * 32, d * (float)scale_code, dmin * (float)min_code, code + g * 32);
    }
}

static void put_nibbles(const uint8_t *code, unsigned char *q)
{
    for (int i = 0; i < BLOCK / 2; i++) {
        const uint8_t *c = code + i / 32 * 64 + i % 32;
        q[i] = (unsigned char)((c[0] & 15) | (c[32] & 15) << 4);
    }
}

void lrk_encode_q4_k(const float *x, unsigned char *b)
{
    static const search s = {32, 15, -1.0f, 0.1f, 20, false};
    uint8_t code[BLOCK];
    fit_groups(&s, x, b, code);
    put_nibbles(code, b + 16);
}

void lrk_encode_q5_k(const float *x, unsigned char *b)
{
    static const search s = {32, 31, -0.5f, 0.1f, 15, false};
    uint8_t code[BLOCK];
    fit_groups(&s, x, b, code);
    memset(b + 16, 0, 32);
    for (int i = 0; i < BLOCK; i++)
        b[16 + i % 32] = (unsigned char)(b[16 + i % 32] | code[i] >> 4 << (i / 32));
    put_nibbles(code, b + 48);
}

/* ---- x ~ scale * code, code -half .. half - 1 ---- */

typedef struct sums {
    float xc, cc; /* of w x code and w code code, w = x^2 */
} sums;

static void add(sums *s, float x, int code)
{
    const float w = x * x, c = (float)code;
    s->xc += w * x * c;
    s->cc += w * c * c;
}

static sums round_group(const float *x, float inverse, int half, int8_t *code)
{
    sums s = {0.0f, 0.0f};
    for (int i = 0; i < 16; i++) {
        code[i] = (int8_t)lrk_clamp(lrk_nearest(inverse * x[i]), -half, half - 1);
        add(&s, x[i], code[i]);
    }
    return s;
}

/* q6_k: the best of 19 starts. */
static float fit_starts(const float *x, int8_t *code)
{
    const float extreme = lrk_extreme(x, 16);
    int8_t try[16];
    memset(code, -32, 16); /* what ggml leaves there: code 0 as it is stored */
    if (fabsf(extreme) < nothing) return 0.0f;
    sums s = round_group(x, -32.0f / extreme, 32, code);
    float scale = s.cc != 0.0f ? s.xc / s.cc : 0.0f, best = scale * s.xc;
    for (int k = -9; k <= 9; k++) {
        if (k == 0) continue;
        s = round_group(x, -(32.0f + 0.1f * (float)k) / extreme, 32, try);
        if (!(s.cc > 0.0f && s.xc * s.xc > best * s.cc)) continue;
        memcpy(code, try, sizeof try);
        scale = s.xc / s.cc;
        best = scale * s.xc;
    }
    return scale;
}

/* q3_k: one start, then single codes are moved while that lowers the error; five rounds at most. */
static float fit_moves(const float *x, int8_t *code)
{
    const float extreme = lrk_extreme(x, 16);
    memset(code, -4, 16);
    if (fabsf(extreme) < nothing) return 0.0f;
    sums s = round_group(x, -4.0f / extreme, 4, code);
    bool moved = true;
    for (int round = 0; round < 5 && moved; round++) {
        moved = false;
        for (int i = 0; i < 16; i++) {
            const float w = x[i] * x[i], c = (float)code[i];
            sums t = {s.xc - w * x[i] * c, s.cc - w * c * c};
            if (!(t.xc > 0.0f)) continue;
            const int to = lrk_clamp(lrk_nearest(x[i] * t.cc / t.xc), -4, 3);
            if (to == code[i]) continue;
            add(&t, x[i], to);
            if (!(t.cc > 0.0f && t.xc * t.xc * s.cc > s.xc * s.xc * t.cc)) continue;
            code[i] = (int8_t)to;
            s = t;
            moved = true;
        }
    }
    return s.cc > 0.0f ? s.xc / s.cc : 0.0f;
}

static void round_signed(const float *x, float scale, int half, int8_t *code)
{
    if (scale == 0.0f) return;
    for (int i = 0; i < 16; i++)
        code[i] = (int8_t)lrk_clamp(lrk_nearest(x[i] / scale), -half, half - 1);
}

/* Six bits of scale i of sixteen, as lrk_scale_16 reads them. */
static void put_scale_16(unsigned char *p, int i, int code)
{
    const int c = code + 32;
    p[i % 8] = (unsigned char)(p[i % 8] | (c & 15) << (i / 8 * 4));
    p[8 + i % 4] = (unsigned char)(p[8 + i % 4] | c >> 4 << (i / 4 * 2));
}

void lrk_encode_q3_k(const float *x, unsigned char *b)
{
    float scale[16];
    int8_t code[BLOCK];
    uint8_t stored[BLOCK];
    for (int g = 0; g < 16; g++) scale[g] = fit_moves(x + g * 16, code + g * 16);
    const float extreme = lrk_extreme(scale, 16);
    const float inverse = extreme != 0.0f ? -32.0f / extreme : 0.0f;
    memset(b, 0, 108);
    lrk_put_half(b + 108, extreme != 0.0f ? 1.0f / inverse : 0.0f);
    const float d = lrk_half_at(b + 108);
    for (int g = 0; g < 16; g++) {
        if (extreme != 0.0f)
            put_scale_16(b + 96, g, lrk_clamp(lrk_nearest(inverse * scale[g]), -32, 31));
        round_signed(x + g * 16, d * (float)lrk_scale_16(b + 96, g), 4, code + g * 16);
    }
    for (int i = 0; i < BLOCK; i++) {
        stored[i] = (uint8_t)(code[i] + 4);
        b[i % 32] = (unsigned char)(b[i % 32] | stored[i] >> 2 << (i / 32));
    }
    put_bits(stored, 0, b + 32);
}

void lrk_encode_q6_k(const float *x, unsigned char *b)
{
    float scale[16];
    int8_t code[BLOCK];
    uint8_t stored[BLOCK];
    for (int g = 0; g < 16; g++) scale[g] = fit_starts(x + g * 16, code + g * 16);
    const float extreme = lrk_extreme(scale, 16);
    memset(b, 0, 210);
    if (fabsf(extreme) < nothing) return;
    const float inverse = -128.0f / extreme;
    lrk_put_half(b + 208, 1.0f / inverse);
    const float d = lrk_half_at(b + 208);
    for (int g = 0; g < 16; g++) {
        const int c = lrk_nearest(inverse * scale[g]);
        b[192 + g] = (unsigned char)(signed char)(c < 127 ? c : 127);
        round_signed(x + g * 16, d * (float)(signed char)b[192 + g], 32, code + g * 16);
    }
    for (int i = 0; i < BLOCK; i++) stored[i] = (uint8_t)(code[i] + 32);
    put_bits(stored, 4, b + 128);
    for (int i = 0; i < BLOCK / 2; i++) {
        const uint8_t *c = stored + i / 64 * 128 + i % 64;
        b[i] = (unsigned char)((c[0] & 15) | (c[64] & 15) << 4);
    }
}
