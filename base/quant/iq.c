/* base/quant/iq.c -- types whose codes are points of a codebook (grids.c): 256 elements, each group
 * of 32 with one or two scales. The types of two and three bits store magnitudes and signs apart.
 */
#include "base/quant/blocks.h"

/* Seven signs are stored; the eighth makes their number even. */
static unsigned eight_signs(unsigned seven)
{
    unsigned parity = seven ^ seven >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return seven | (parity & 1) << 7;
}

/* The n low bits of byte >> shift. */
static unsigned bits_of(unsigned char byte, int shift, unsigned n)
{
    return ((unsigned)byte >> shift) & ((1u << n) - 1);
}

static unsigned u32_at(const unsigned char *p) { return lrk_u16_at(p) | lrk_u16_at(p + 2) << 16; }

static void eight_of_two_bits(unsigned point, unsigned signs, float scale, float *y)
{
    static const float magnitude[] = {8.0f, 25.0f, 43.0f};
    for (int i = 0; i < 8; i++) {
        const float v = scale * magnitude[(point >> (2 * i)) & 3];
        y[i] = (signs >> i) & 1 ? -v : v;
    }
}

static void four_of_three_bits(unsigned point, unsigned signs, const float magnitude[8],
                               float scale, float *y)
{
    for (int i = 0; i < 4; i++) {
        const float v = scale * magnitude[(point >> (3 * i)) & 7];
        y[i] = (signs >> i) & 1 ? -v : v;
    }
}

static float quarter_scale(float d, int code) { return d * (0.5f + (float)code) * 0.25f; }

/* A group: four indices of a byte, then four times seven signs and a scale in a word. */
void lrk_decode_iq2_xxs(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b);
    for (int g = 0; g < 8; g++) {
        const unsigned char *p = b + 2 + g * 8;
        const unsigned word = u32_at(p + 4);
        const float scale = quarter_scale(d, (int)(word >> 28));
        for (int i = 0; i < 4; i++, y += 8)
            eight_of_two_bits(lrk_grid_iq2xxs[p[i]], eight_signs((word >> (7 * i)) & 127), scale,
                              y);
    }
}

/* Index of nine bits and seven signs in two bytes. */
void lrk_decode_iq2_xs(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b);
    for (int i = 0; i < 32; i++, y += 8) {
        const unsigned word = lrk_u16_at(b + 2 + 2 * i);
        const int code = (b[66 + i / 4] >> (i / 2 % 2 * 4)) & 15;
        eight_of_two_bits(lrk_grid_iq2xs[word & 511], eight_signs(word >> 9),
                          quarter_scale(d, code), y);
    }
}

void lrk_decode_iq2_s(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b);
    for (int i = 0; i < 32; i++, y += 8) {
        const unsigned high = bits_of(b[66 + i / 4], i % 4 * 2, 2);
        const int code = (b[74 + i / 4] >> (i / 2 % 2 * 4)) & 15;
        eight_of_two_bits(lrk_grid_iq2s[b[2 + i] | high << 8], b[34 + i], quarter_scale(d, code),
                          y);
    }
}

void lrk_decode_iq3_xxs(const unsigned char *b, float *y)
{
    static const float magnitude[] = {4.0f, 12.0f, 20.0f, 28.0f, 36.0f, 44.0f, 52.0f, 62.0f};
    const float d = lrk_half_at(b);
    for (int g = 0; g < 8; g++) {
        const unsigned word = u32_at(b + 66 + g * 4);
        const float scale = d * (0.5f + (float)(word >> 28)) * 0.5f;
        for (int i = 0; i < 4; i++, y += 8) {
            const unsigned char *index = b + 2 + g * 8 + i * 2;
            const unsigned signs = eight_signs((word >> (7 * i)) & 127);
            four_of_three_bits(lrk_grid_iq3xxs[index[0]], signs, magnitude, scale, y);
            four_of_three_bits(lrk_grid_iq3xxs[index[1]], signs >> 4, magnitude, scale, y + 4);
        }
    }
}

void lrk_decode_iq3_s(const unsigned char *b, float *y)
{
    static const float magnitude[] = {1.0f, 3.0f, 5.0f, 7.0f, 9.0f, 11.0f, 13.0f, 15.0f};
    const float d = lrk_half_at(b);
    for (int i = 0; i < 64; i++, y += 4) {
        const unsigned high = bits_of(b[66 + i / 8], i % 8, 1);
        const int code = (b[106 + i / 16] >> (i / 8 % 2 * 4)) & 15;
        four_of_three_bits(lrk_grid_iq3s[b[2 + i] | high << 8],
                           bits_of(b[74 + i / 2], i % 2 * 4, 4), magnitude,
                           d * (float)(1 + 2 * code), y);
    }
}

/* Coordinates -1, 0, 1, moved by an eighth up or down. */
static void eight_around_zero(unsigned point, bool down, float scale, float *y)
{
    for (int i = 0; i < 8; i++)
        y[i] = scale * ((float)((int)((point >> (2 * i)) & 3) - 1) + (down ? -0.125f : 0.125f));
}

void lrk_decode_iq1_s(const unsigned char *b, float *y)
{
    const float d = lrk_half_at(b);
    for (int i = 0; i < 32; i++, y += 8) {
        const unsigned word = lrk_u16_at(b + 34 + i / 4 * 2), high = (word >> (i % 4 * 3)) & 7;
        const float scale = d * (float)(2 * ((word >> 12) & 7) + 1);
        eight_around_zero(lrk_grid_iq1s[b[2 + i] | high << 8], word >> 15, scale, y);
    }
}

/* d lies in the highest four bits of each of the four words of scales. */
void lrk_decode_iq1_m(const unsigned char *b, float *y)
{
    unsigned half = 0;
    for (int i = 0; i < 4; i++) half |= lrk_u16_at(b + 48 + 2 * i) >> 12 << (4 * i);
    const float d = lrk_f16_to_f32((uint16_t)half);
    for (int i = 0; i < 32; i++, y += 8) {
        const unsigned high = bits_of(b[32 + i / 2], i % 2 * 4, 4);
        const unsigned code = (lrk_u16_at(b + 48 + i / 8 * 2) >> (i / 2 % 4 * 3)) & 7;
        eight_around_zero(lrk_grid_iq1s[b[i] | (high & 7) << 8], high >> 3,
                          d * (float)(2 * code + 1), y);
    }
}
