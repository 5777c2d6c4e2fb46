/* kernels/gemm/decode_x86.h -- rows of W to f32 with vectors, and their products with a vector;
 * included by decode_avx2.c and decode_avx512.c, which say before it how 16 codes become 16 floats:
 *
 *   scaled(codes, d, dst)         dst[i] = codes[i] * d
 *   shifted(codes, d, m, dst)     dst[i] = codes[i] * d + m, two roundings
 *   looked_up(table, codes, d, dst)   dst[i] = table[codes[i]] * d, codes 0 .. 15
 *   halves(src, dst), brains(src, dst)   16 f16 or bf16
 *   sums, none(), dot_32(s, y, x), total(s)   running sums of products of 32 elements at a time
 *   code_dot(s, low, high, d, x)  the same for 2 x 16 codes, times d: s += d * sum(codes * x)
 *   nibble_dot(s, q, d, x), byte_dot(s, q, d, x)  ... for 16 or 32 bytes in memory, d in lane 0
 *
 * codes: 16 signed bytes. The arithmetic is that of base/quant, so the bits are too.
 */
#ifndef LRK_KERNELS_GEMM_DECODE_X86_H
#define LRK_KERNELS_GEMM_DECODE_X86_H
#include "base/nf4.h"
#include "base/quant.h"

#include <immintrin.h>

typedef const unsigned char *bytes;

static inline __m128i load16(bytes p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

static inline float half_at(bytes p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _cvtsh_ss(h);
}

static inline __m128i low_nibbles(__m128i q) { return _mm_and_si128(q, _mm_set1_epi8(15)); }

static inline __m128i high_nibbles(__m128i q)
{
    return _mm_and_si128(_mm_srli_epi16(q, 4), _mm_set1_epi8(15));
}

/* Bit i of `bits` as 16 in byte i. */
static inline __m128i fifth_bits(uint16_t bits)
{
    const __m128i place = _mm_set1_epi64x((long long)0x8040201008040201ull);
    const __m128i spread = _mm_shuffle_epi8(
        _mm_set1_epi16((short)bits), _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
    return _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(spread, place), place), _mm_set1_epi8(16));
}

static inline void q4_0_block(bytes b, float *y)
{
    const float d = half_at(b);
    const __m128i q = load16(b + 2), eight = _mm_set1_epi8(8);
    scaled(_mm_sub_epi8(low_nibbles(q), eight), d, y);
    scaled(_mm_sub_epi8(high_nibbles(q), eight), d, y + 16);
}

static inline void q4_1_block(bytes b, float *y)
{
    const float d = half_at(b), m = half_at(b + 2);
    const __m128i q = load16(b + 4);
    shifted(low_nibbles(q), d, m, y);
    shifted(high_nibbles(q), d, m, y + 16);
}

static inline void five(bytes fifth, bytes nibbles, __m128i *low, __m128i *high)
{
    uint16_t bits[2];
    memcpy(bits, fifth, sizeof bits);
    const __m128i q = load16(nibbles);
    *low = _mm_or_si128(low_nibbles(q), fifth_bits(bits[0]));
    *high = _mm_or_si128(high_nibbles(q), fifth_bits(bits[1]));
}

static inline void q5_0_block(bytes b, float *y)
{
    const float d = half_at(b);
    const __m128i sixteen = _mm_set1_epi8(16);
    __m128i low, high;
    five(b + 2, b + 6, &low, &high);
    scaled(_mm_sub_epi8(low, sixteen), d, y);
    scaled(_mm_sub_epi8(high, sixteen), d, y + 16);
}

static inline void q5_1_block(bytes b, float *y)
{
    const float d = half_at(b), m = half_at(b + 2);
    __m128i low, high;
    five(b + 4, b + 8, &low, &high);
    shifted(low, d, m, y);
    shifted(high, d, m, y + 16);
}

static inline void q8_0_block(bytes b, float *y)
{
    const float d = half_at(b);
    scaled(load16(b + 2), d, y);
    scaled(load16(b + 18), d, y + 16);
}

/* Scale and minimum of the eight groups of q4_k and q5_k, times d and -dmin. */
static inline void k_scales(bytes b, float scale[8], float min[8])
{
    const float d = half_at(b), dmin = -half_at(b + 2);
    bytes s = b + 4;
    for (int i = 0; i < 4; i++) {
        scale[i] = d * (float)(s[i] & 63);
        min[i] = dmin * (float)(s[i + 4] & 63);
        scale[i + 4] = d * (float)((s[i + 8] & 15) | ((s[i] >> 6) << 4));
        min[i + 4] = dmin * (float)((s[i + 8] >> 4) | ((s[i + 4] >> 6) << 4));
    }
}

static inline void q4_k_block(bytes b, float *y)
{
    float scale[8], min[8];
    k_scales(b, scale, min);
    for (int i = 0; i < 8; i += 2) {
        for (int l = 0; l < 32; l += 16) {
            const __m128i q = load16(b + 16 + i * 16 + l);
            shifted(low_nibbles(q), scale[i], min[i], y + i * 32 + l);
            shifted(high_nibbles(q), scale[i + 1], min[i + 1], y + i * 32 + 32 + l);
        }
    }
}

static inline void q5_k_block(bytes b, float *y)
{
    const __m128i one = _mm_set1_epi8(1);
    float scale[8], min[8];
    k_scales(b, scale, min);
    for (int l = 0; l < 32; l += 16) {
        __m128i fifth = load16(b + 16 + l);
        for (int i = 0; i < 8; i += 2) {
            const __m128i q = load16(b + 48 + i * 16 + l);
            const __m128i a = _mm_slli_epi16(_mm_and_si128(fifth, one), 4);
            const __m128i c = _mm_slli_epi16(_mm_and_si128(_mm_srli_epi16(fifth, 1), one), 4);
            shifted(_mm_or_si128(low_nibbles(q), a), scale[i], min[i], y + i * 32 + l);
            shifted(_mm_or_si128(high_nibbles(q), c), scale[i + 1], min[i + 1],
                    y + i * 32 + 32 + l);
            fifth = _mm_srli_epi16(fifth, 2);
        }
    }
}

static inline void q6_k_block(bytes b, float *y)
{
    const float d = half_at(b + 208);
    const __m128i three = _mm_set1_epi8(3), middle = _mm_set1_epi8(32);
    for (int half = 0; half < 2; half++, y += 128) {
        const signed char *scale = (const signed char *)(b + 192 + half * 8);
        for (int l = 0; l < 32; l += 16) {
            const __m128i q[2] = {load16(b + half * 64 + l), load16(b + half * 64 + 32 + l)};
            __m128i high = load16(b + 128 + half * 32 + l);
            for (int quarter = 0; quarter < 4; quarter++) {
                const __m128i low =
                    quarter < 2 ? low_nibbles(q[quarter]) : high_nibbles(q[quarter - 2]);
                const __m128i code =
                    _mm_or_si128(low, _mm_slli_epi16(_mm_and_si128(high, three), 4));
                scaled(_mm_sub_epi8(code, middle), d * (float)scale[quarter * 2 + l / 16],
                       y + quarter * 32 + l);
                high = _mm_srli_epi16(high, 2);
            }
        }
    }
}

/* One code of two bits of each element; a scale and a minimum for each 16 elements. */
static inline void q2_k_block(bytes b, float *y)
{
    const float d = half_at(b + 80), dmin = -half_at(b + 82);
    const __m128i three = _mm_set1_epi8(3);
    for (int part = 0; part < 4; part++) {
        __m128i q = load16(b + 16 + part * 16);
        bytes scale = b + part / 2 * 8 + part % 2;
        for (int i = 0; i < 4; i++, scale += 2) {
            shifted(_mm_and_si128(q, three), d * (float)(*scale & 15), dmin * (float)(*scale >> 4),
                    y + part / 2 * 128 + i * 32 + part % 2 * 16);
            q = _mm_srli_epi16(q, 2);
        }
    }
}

static inline void q3_k_block(bytes b, float *y)
{
    const float d = half_at(b + 108);
    const __m128i three = _mm_set1_epi8(3), four = _mm_set1_epi8(4);
    for (int part = 0; part < 4; part++) {
        __m128i q = load16(b + 32 + part * 16), high = load16(b + part % 2 * 16);
        high = part < 2 ? _mm_slli_epi16(high, 2) : _mm_srli_epi16(high, 2);
        for (int i = 0; i < 4; i++) {
            const int g = part / 2 * 8 + i * 2 + part % 2;
            const int low = (b[96 + g % 8] >> (g / 8 * 4)) & 15;
            const int scale = (low | ((b[104 + g % 4] >> (g / 4 * 2)) & 3) << 4) - 32;
            const __m128i code = _mm_or_si128(_mm_and_si128(q, three), _mm_and_si128(high, four));
            scaled(_mm_sub_epi8(code, four), d * (float)scale,
                   y + part / 2 * 128 + i * 32 + part % 2 * 16);
            q = _mm_srli_epi16(q, 2);
            high = _mm_srli_epi16(high, 1);
        }
    }
}

static inline void table_32(__m128i table, bytes nibbles, float d, float *y)
{
    const __m128i q = load16(nibbles);
    scaled(_mm_shuffle_epi8(table, low_nibbles(q)), d, y);
    scaled(_mm_shuffle_epi8(table, high_nibbles(q)), d, y + 16);
}

static inline __m128i iq4_table(void)
{
    return _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
}

static inline void iq4_nl_block(bytes b, float *y) { table_32(iq4_table(), b + 2, half_at(b), y); }

static inline void iq4_xs_block(bytes b, float *y)
{
    const float d = half_at(b);
    for (int g = 0; g < 8; g++) {
        const int low = (b[4 + g / 2] >> (g % 2 * 4)) & 15,
                  high = (b[2 + g / 4] >> (g % 4 * 2)) & 3;
        table_32(iq4_table(), b + 8 + g * 16, d * (float)((low | high << 4) - 32), y + g * 32);
    }
}

static inline void mxfp4_block(bytes b, float *y)
{
    const __m128i table = _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
    const uint32_t bits = b[0] < 2 ? 0x200000u << b[0] : (b[0] - 1u) << 23;
    float d;
    memcpy(&d, &bits, sizeof d);
    table_32(table, b + 1, d, y);
}

static inline void nf4_64(bytes q, float m, float *y)
{
    for (int i = 0; i < 2; i++, q += 16, y += 32) {
        looked_up(lrk_nf4_table, low_nibbles(load16(q)), m, y);
        looked_up(lrk_nf4_table, high_nibbles(load16(q)), m, y + 16);
    }
}

static inline void nf4_block(bytes b, float *y)
{
    float m;
    memcpy(&m, b, sizeof m);
    nf4_64(b + 4, m, y);
}

static inline void nf4_double_block(bytes b, float *y)
{
    float m[4];
    lrk_nf4_scales(b, m);
    for (int i = 0; i < 4; i++) nf4_64(b + 12 + i * 32, m[i], y + i * 64);
}

#define EACH_BLOCK(decode, elements, size)                                                         \
    for (size_t i = 0; i < n; i += (elements), b += (size)) decode(b, dst + i)

static inline void decode_row(lrk_dtype t, const void *src, size_t n, float *dst)
{
    bytes b = src;
    switch (t) {
    case LRK_Q4_0:
        EACH_BLOCK(q4_0_block, 32, 18);
        return;
    case LRK_Q4_1:
        EACH_BLOCK(q4_1_block, 32, 20);
        return;
    case LRK_Q5_0:
        EACH_BLOCK(q5_0_block, 32, 22);
        return;
    case LRK_Q5_1:
        EACH_BLOCK(q5_1_block, 32, 24);
        return;
    case LRK_Q8_0:
        EACH_BLOCK(q8_0_block, 32, 34);
        return;
    case LRK_Q4_K:
        EACH_BLOCK(q4_k_block, 256, 144);
        return;
    case LRK_Q5_K:
        EACH_BLOCK(q5_k_block, 256, 176);
        return;
    case LRK_Q6_K:
        EACH_BLOCK(q6_k_block, 256, 210);
        return;
    case LRK_Q2_K:
        EACH_BLOCK(q2_k_block, 256, 84);
        return;
    case LRK_Q3_K:
        EACH_BLOCK(q3_k_block, 256, 110);
        return;
    case LRK_IQ4_NL:
        EACH_BLOCK(iq4_nl_block, 32, 18);
        return;
    case LRK_IQ4_XS:
        EACH_BLOCK(iq4_xs_block, 256, 136);
        return;
    case LRK_MXFP4:
        EACH_BLOCK(mxfp4_block, 32, 17);
        return;
    case LRK_NF4:
        EACH_BLOCK(nf4_block, 64, 36);
        return;
    case LRK_NF4_DOUBLE:
        EACH_BLOCK(nf4_double_block, 256, 140);
        return;
    case LRK_F16:
    case LRK_BF16: {
        const size_t whole = n & ~(size_t)15;
        for (size_t i = 0; i < whole; i += 16) {
            if (t == LRK_F16)
                halves(b + 2 * i, dst + i);
            else
                brains(b + 2 * i, dst + i);
        }
        lrk_to_f32(t, b + 2 * whole, n - whole, dst + whole);
        return;
    }
    default:
        lrk_to_f32(t, src, n, dst);
    }
}

/* ---- products with a vector ----
 * The types of most files: the codes themselves are multiplied, the scale and the minimum of a
 * block come in once, sum_i (d q_i + m) x_i = d sum_i q_i x_i + m sum_i x_i. x_sums: of 32 elements
 * each. */

/* The first two f16 of a block: d in lane 0, m or nothing in particular in lane 1. Converting both
 * at once, and a whole word, keeps the one port for shuffles free. */
static inline __m128 scales(bytes b)
{
    int word;
    memcpy(&word, b, sizeof word);
    return _mm_cvtph_ps(_mm_set1_epi32(word));
}

/* Codes are 0 .. 15, meant as -8 .. 7. */
static inline float dot_q4_0(bytes b, const float *x, const float *x_sums, size_t k)
{
    sums s = none();
    __m128 rest = _mm_setzero_ps();
    for (size_t i = 0; i < k; i += 32, b += 18) {
        const __m128 d = scales(b);
        s = nibble_dot(s, b + 2, d, x + i);
        rest = _mm_fmadd_ps(d, _mm_set1_ps(x_sums[i / 32]), rest);
    }
    return total(s) - 8.0f * _mm_cvtss_f32(rest);
}

static inline float dot_q4_1(bytes b, const float *x, const float *x_sums, size_t k)
{
    sums s = none();
    __m128 rest = _mm_setzero_ps();
    for (size_t i = 0; i < k; i += 32, b += 20) {
        const __m128 d = scales(b);
        s = nibble_dot(s, b + 4, d, x + i);
        rest = _mm_fmadd_ps(d, _mm_set1_ps(x_sums[i / 32]), rest);
    }
    return total(s) + _mm_cvtss_f32(_mm_movehdup_ps(rest));
}

static inline float dot_q8_0(bytes b, const float *x, size_t k)
{
    sums s = none();
    for (size_t i = 0; i < k; i += 32, b += 34) s = byte_dot(s, b + 2, scales(b), x + i);
    return total(s);
}

static inline float dot_q4_k(bytes b, const float *x, const float *x_sums, size_t k)
{
    sums s = none();
    float rest = 0.0f, scale[8], min[8];
    for (size_t i = 0; i < k; i += 256, b += 144, x += 256, x_sums += 8) {
        k_scales(b, scale, min);
        for (int g = 0; g < 8; g += 2) {
            const __m128i q = load16(b + 16 + g * 16), r = load16(b + 32 + g * 16);
            s = code_dot(s, low_nibbles(q), low_nibbles(r), scale[g], x + g * 32);
            s = code_dot(s, high_nibbles(q), high_nibbles(r), scale[g + 1], x + g * 32 + 32);
            rest += min[g] * x_sums[g] + min[g + 1] * x_sums[g + 1];
        }
    }
    return total(s) + rest;
}

/* The others are decoded into a few lines of the first-level cache and used from there at once. */
#define DOT_BLOCKS(decode, elements, size)                                                         \
    for (size_t i = 0; i < k; i += (elements), b += (size)) {                                      \
        float y[elements];                                                                         \
        decode(b, y);                                                                              \
        for (size_t j = 0; j < (elements); j += 32) s = dot_32(s, y + j, x + i + j);               \
    }                                                                                              \
    return total(s)

static inline void halves_block(bytes b, float *y)
{
    halves(b, y);
    halves(b + 32, y + 16);
}

static inline void brains_block(bytes b, float *y)
{
    brains(b, y);
    brains(b + 32, y + 16);
}

/* Any type, 256 elements at a time: every block goes into that. */
static inline float dot_any(lrk_dtype t, bytes b, const float *x, size_t k)
{
    sums s = none();
    for (size_t i = 0; i < k; i += 256) {
        const size_t n = k - i < 256 ? k - i : 256;
        float y[256];
        decode_row(t, b + lrk_row_bytes(t, i), n, y);
        for (size_t j = 0; j < n; j += 32) s = dot_32(s, y + j, x + i + j);
    }
    return total(s);
}

/* k is a multiple of 32. */
static inline float dot_blocks(lrk_dtype t, const void *w, const float *x, const float *x_sums,
                               size_t k)
{
    bytes b = w;
    sums s = none();
    switch (t) {
    case LRK_Q4_0:
        return dot_q4_0(b, x, x_sums, k);
    case LRK_Q4_1:
        return dot_q4_1(b, x, x_sums, k);
    case LRK_Q8_0:
        return dot_q8_0(b, x, k);
    case LRK_Q4_K:
        return dot_q4_k(b, x, x_sums, k);
    case LRK_Q5_0:
        DOT_BLOCKS(q5_0_block, 32, 22);
    case LRK_Q5_1:
        DOT_BLOCKS(q5_1_block, 32, 24);
    case LRK_Q5_K:
        DOT_BLOCKS(q5_k_block, 256, 176);
    case LRK_Q6_K:
        DOT_BLOCKS(q6_k_block, 256, 210);
    case LRK_F16:
        DOT_BLOCKS(halves_block, 32, 64);
    case LRK_BF16:
        DOT_BLOCKS(brains_block, 32, 64);
    case LRK_F32:
        for (size_t i = 0; i < k; i += 32) s = dot_32(s, (const float *)w + i, x + i);
        return total(s);
    default:
        return dot_any(t, b, x, k);
    }
}

static inline float dot_row(lrk_dtype t, const void *w, const float *x, const float *x_sums,
                            size_t k)
{
    const size_t whole = k & ~(size_t)31;
    float sum = dot_blocks(t, w, x, x_sums, whole), y[32];
    if (whole == k) return sum;
    lrk_to_f32(t, (bytes)w + lrk_row_bytes(t, whole), k - whole, y);
    for (size_t i = whole; i < k; i++) sum += y[i - whole] * x[i];
    return sum;
}

#endif /* LRK_KERNELS_GEMM_DECODE_X86_H */
