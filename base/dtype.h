/* base/dtype.h -- element types: plain numbers and GGUF's quantized blocks.
 *
 * A quantized row is a whole number of blocks; an element of it has no address of its own.
 */
#ifndef LRK_BASE_DTYPE_H
#define LRK_BASE_DTYPE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum lrk_dtype {
#define X(NAME, text, elements, bytes, gguf) LRK_##NAME,
#include "base/dtype.def"
#undef X
    LRK_DTYPE_COUNT
} lrk_dtype;

/* A block of a type: of one element for plain types. */
typedef struct lrk_dtype_size {
    size_t elements, bytes;
} lrk_dtype_size;
extern const lrk_dtype_size lrk_dtype_sizes[LRK_DTYPE_COUNT];

static inline size_t lrk_dtype_block(lrk_dtype t)
{
    return lrk_dtype_sizes[t].elements;
}

static inline size_t lrk_dtype_block_bytes(lrk_dtype t)
{
    return lrk_dtype_sizes[t].bytes;
}

const char *lrk_dtype_name(lrk_dtype t);
int lrk_dtype_gguf(lrk_dtype t);           /* type id in a GGUF file, or -1 */
bool lrk_dtype_quantized(lrk_dtype t);
bool lrk_dtype_from_gguf(uint32_t id, lrk_dtype *out);

/* f32, f16 or bf16 for what people call them (float32, fp32, torch.bfloat16, half, in any case); else the word. */
const char *lrk_dtype_usual(const char *word);

/* Bytes of a row of n elements; n must be a multiple of the block. */
static inline size_t lrk_row_bytes(lrk_dtype t, size_t n)
{
    const lrk_dtype_size s = lrk_dtype_sizes[t];
    return s.elements == 1 ? n * s.bytes : n / s.elements * s.bytes;
}

/* The accumulator of a compute type: f64 for f64, else f32. */
static inline lrk_dtype lrk_acc(lrk_dtype t)
{
    return t == LRK_F64 ? LRK_F64 : LRK_F32;
}

/* bf16 is the upper half of an f32; rounding is to nearest, ties to even; NaN stays NaN. */
static inline float lrk_bf16_to_f32(uint16_t h)
{
    const uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint16_t lrk_f32_to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((u >> 16) | 0x40u);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

/* IEEE half precision, software, to nearest even; overflow gives infinity. */
float lrk_f16_to_f32(uint16_t h);
uint16_t lrk_f32_to_f16(float f);

#endif /* LRK_BASE_DTYPE_H */
