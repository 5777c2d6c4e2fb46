/* base/dtype.c -- the table of element types and the half-precision conversions. */
#include "base/dtype.h"

#include <strings.h>

static const struct {
    const char *name;
    int gguf;
} table[LRK_DTYPE_COUNT] = {
#define X(NAME, text, elements, bytes, gguf) {text, gguf},
#include "base/dtype.def"
#undef X
};

const lrk_dtype_size lrk_dtype_sizes[LRK_DTYPE_COUNT] = {
#define X(NAME, text, elements, bytes, gguf) {elements, bytes},
#include "base/dtype.def"
#undef X
};

const char *lrk_dtype_name(lrk_dtype t)
{
    return table[t].name;
}

int lrk_dtype_gguf(lrk_dtype t)
{
    return table[t].gguf;
}

bool lrk_dtype_quantized(lrk_dtype t)
{
    return lrk_dtype_sizes[t].elements > 1;
}

bool lrk_dtype_from_gguf(uint32_t id, lrk_dtype *out)
{
    for (int t = 0; t < LRK_DTYPE_COUNT; t++) {
        if (table[t].gguf >= 0 && (uint32_t)table[t].gguf == id) {
            *out = (lrk_dtype)t;
            return true;
        }
    }
    return false;
}

const char *lrk_dtype_usual(const char *word)
{
    static const char *const names[][4] = {{"f32", "float32", "fp32", "float"},
                                           {"f16", "float16", "fp16", "half"},
                                           {"bf16", "bfloat16"}};
    const char *bare = strncmp(word, "torch.", 6) == 0 ? word + 6 : word;
    for (size_t t = 0; t < sizeof names / sizeof *names; t++)
        for (size_t i = 0; i < 4 && names[t][i]; i++)
            if (strcasecmp(names[t][i], bare) == 0) return names[t][0];
    return word;
}

float lrk_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t exponent = (h >> 10) & 0x1fu, mantissa = h & 0x3ffu;
    uint32_t u;
    if (exponent == 0x1fu) {
        u = sign | 0x7f800000u | (mantissa << 13);
    } else if (exponent) {
        u = sign | ((exponent + 112u) << 23) | (mantissa << 13);
    } else {
        /* subnormal: mantissa * 2^-24 is exact in f32 */
        const float f = (float)mantissa * 0x1p-24f;
        memcpy(&u, &f, sizeof u);
        u |= sign;
    }
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

uint16_t lrk_f32_to_f16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    const uint32_t sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((a >> 13) & 0x3ffu));
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds to 65536 or more */
    if (a < 0x38800000u) {
        /* result is subnormal: adding 0.5 shifts the mantissa so that the FPU rounds it */
        float g;
        memcpy(&g, &a, sizeof g);
        g += 0.5f;
        memcpy(&u, &g, sizeof u);
        return (uint16_t)(sign | (u - 0x3f000000u));
    }
    return (uint16_t)(sign | ((a - 0x38000000u + 0xfffu + ((a >> 13) & 1u)) >> 13));
}
