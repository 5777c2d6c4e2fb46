/* kernels/gemm/impl.h -- inside the matrix product: what one instruction set provides, and the
 * blocking around it.
 *
 * A product is cut as in BLIS (Van Zee, van de Geijn 2015). The micro-kernel keeps a tile of C of
 * mr x nr in registers and walks k once:
 *   AVX2     6 x 16: 12 accumulators of 8 floats, 2 of B, 1 of A, of 16 registers
 *   AVX-512 14 x 32: 28 accumulators of 16 floats, 2 of B, 1 of A, of 32 registers; with a in bf16 on
 *           AVX512_BF16 each element of a panel is a pair of bf16, neighbours along k, in the 32 bits
 *           of a float, and VDPBF16PS takes the place of the multiply-add: half the steps and bytes
 * Operands come from packed panels: A as [k][rows] strips of mr rows, B as [k][columns] strips of
 * nr columns. k is cut into blocks of at most kc, so that a strip of B (kc x nr x 4 bytes: 18 and
 * 24 KiB) stays in a first-level cache of 32 KiB while strips of A (7 and 11 KiB) stream past it
 * from the second: 6 floats of A feed 12 multiply-adds of 8.
 *
 *   wide   A is packed once, shared, all rows or thousand of them, as deep as 8 MiB hold; each task
 *          owns a tile of columns, packs (dequantizes) its part of B block by block, and walks the
 *          rows, as many at a time as lie in a second level of 256 KiB beside that part. So each
 *          weight is decoded once. A shallow second pair lengthens the strips of the last block.
 *   few    few rows (decoding): dot products, see few.c
 *   thin   few columns (LoRA): all of B is packed once, shared; each task owns a range of rows and
 *          reads A where it lies, or packs its strips as it goes, in the first-level cache.
 *   flat   wide, with few rows (LoRA again), and bound by reading B: whole strips of plain f32 B are
 *          read where they lie, in blocks of few long rows, each strip asked for one ahead.
 *
 * Each C[i,j] is the sum over blocks in order of k, of a block that is the only one over pieces, and within
 * those over k in order, one multiply-add each, those of the second pair behind the others: no cut of rows
 * and columns into tasks changes a bit, so tasks may be cut to suit the number of threads. A shallow product
 * of f32 sums in f64 (micro_short.h: half a strip of columns at a time).
 */
#ifndef LRK_KERNELS_GEMM_IMPL_H
#define LRK_KERNELS_GEMM_IMPL_H
#include "base/cpu.h"
#include "kernels/gemm.h"

/* Depth of a shallow product, and of one with its second pair. */
enum { LRK_GEMM_SHALLOW = 64, LRK_GEMM_SHORT = 2 * LRK_GEMM_SHALLOW };

/* Elements of any type to f32: the bits of lrk_to_f32. */
typedef void (*lrk_to_f32_fn)(lrk_dtype t, const void *src, size_t n, float *dst);

typedef struct lrk_gemm_isa {
    size_t mr, nr, kc;
    size_t together; /* of k in an element of a panel: 1, or 2, a pair of bf16 */
    size_t lanes; /* columns are padded to a multiple of this in packed B; divides nr */
    lrk_to_f32_fn to_f32;
    /* with pairs: rows to bf16, tmp: n floats; and two rows to one of pairs, odd NULL: zeros */
    void (*to_bf16)(lrk_dtype t, const void *src, size_t n, uint16_t *dst, float *tmp);
    void (*pair)(const uint16_t *even, const uint16_t *odd, size_t n, float *dst);
    /* dst[c * dst_stride + r] = src[r * src_stride + c] */
    void (*transpose)(const float *src, size_t src_stride, size_t rows, size_t cols, float *dst,
                      size_t dst_stride);
    /* c[i,j] = (add ? c[i,j] : 0) + alpha * sum_k a[k * rows + i] * b[k * b_stride + j], rows <=
     * mr, cols <= nr, k in elements of panels; reads whole vectors of b, cols rounded up to lanes */
    void (*tile)(size_t k, const float *a, size_t rows, const float *b, size_t b_stride,
                 size_t cols, float *c, size_t stride, float alpha, bool add);
    /* the same with a[i * a_stride + k] */
    void (*tile_direct)(size_t k, const float *a, size_t a_stride, size_t rows, const float *b,
                        size_t b_stride, size_t cols, float *c, size_t stride, float alpha,
                        bool add);
    /* tile with sums in f64, rounded once, k <= LRK_GEMM_SHORT; NULL with pairs */
    void (*tile_short)(size_t k, const float *a, size_t rows, const float *b, size_t b_stride, size_t cols, float *c,
                       size_t stride, float alpha, bool add);
    /* sum_i w[i] x[i], w of any type; x_sums[i]: the sum of x[32 i .. 32 i + 31] */
    float (*dot)(lrk_dtype t, const void *w, const float *x, const float *x_sums, size_t k);
} lrk_gemm_isa;

extern const lrk_gemm_isa lrk_gemm_scalar, lrk_gemm_avx2, lrk_gemm_avx512, lrk_gemm_avx512_bf16;

/* Elements of a panel that hold k of an operand. */
static inline size_t lrk_gemm_depth(const lrk_gemm_isa *isa, size_t k)
{
    return (k + isa->together - 1) / isa->together;
}

void lrk_transpose_avx512(const float *src, size_t src_stride, size_t rows, size_t cols, float *dst,
                          size_t dst_stride);

/* As lrk_to_f32 and lrk_f32_to_bf16, but subnormal values may become 0 (VDPBF16PS and the tiles take
 * them for 0 anyway). tmp: n floats. */
void lrk_to_bf16_avx512_bf16(lrk_dtype t, const void *src, size_t n, uint16_t *dst, float *tmp);

void lrk_to_f32_avx2(lrk_dtype t, const void *src, size_t n, float *dst);
void lrk_to_f32_avx512(lrk_dtype t, const void *src, size_t n, float *dst);
float lrk_dot_avx2(lrk_dtype t, const void *w, const float *x, const float *x_sums, size_t k);
float lrk_dot_avx512(lrk_dtype t, const void *w, const float *x, const float *x_sums, size_t k);

/* Whether the product takes the second pair along. */
bool lrk_gemm_packed_fuses(const lrk_gemm *g, const lrk_gemm_isa *isa);
size_t lrk_gemm_packed_scratch(const lrk_gemm *g, const lrk_gemm_isa *isa, size_t threads);
void lrk_gemm_packed(const lrk_gemm *g, const lrk_gemm_isa *isa, void *scratch);

/* Strips of a panel, one behind the other, each [depth][width]; what is packed goes to `at` and on. */
typedef struct lrk_strips {
    float *first;
    size_t depth, at;
} lrk_strips;

/* pack.c, and pack_pairs.c for pairs. Rows i .. i + rows of A at k0 .. k0 + kc, as strips of at most mr
 * rows. tmp: mr * kc or `rows` floats, whichever is more. */
void lrk_pack_a(const lrk_gemm_isa *isa, const lrk_operand *a, size_t i, size_t rows, size_t k0,
                size_t kc, size_t mr, lrk_strips to, float *tmp);

/* Columns j .. j + cols of B at k0 .. k0 + kc, as strips of nr columns, the last of padded width; round:
 * to bf16, as pairs always are. tmp: nr * kc floats or the padded width of cols, three times that for
 * pairs, whichever is more. */
void lrk_pack_b(const lrk_gemm_isa *isa, const lrk_operand *b, bool round, size_t j, size_t cols,
                size_t k0, size_t kc, lrk_strips to, float *tmp);

void lrk_pack_a_pairs(const lrk_gemm_isa *isa, const lrk_operand *a, size_t i, size_t rows, size_t k0,
                      size_t kc, size_t mr, lrk_strips to, float *tmp);
void lrk_pack_b_pairs(const lrk_gemm_isa *isa, const lrk_operand *b, size_t j, size_t cols, size_t k0,
                      size_t kc, lrk_strips to, float *tmp);

/* n rows of `width` elements to strips of at most `strip` columns. */
void lrk_cut(const float *src, size_t src_stride, size_t width, size_t n, size_t strip, lrk_strips to);

static inline lrk_strips lrk_strips_at(lrk_strips s, size_t k)
{
    s.at += k;
    return s;
}

/* The packed width of columns of B. */
static inline size_t lrk_gemm_padded(const lrk_gemm_isa *isa, size_t cols)
{
    return (cols + isa->lanes - 1) / isa->lanes * isa->lanes;
}

/* A few rows times W^T, as when decoding: a dot product for each row of W, read once. Bound by
 * memory. W is not rounded to bf16 here. */
bool lrk_gemm_is_few(const lrk_gemm *g);
size_t lrk_gemm_few_scratch(const lrk_gemm *g, size_t threads);
void lrk_gemm_few(const lrk_gemm *g, const lrk_gemm_isa *isa, void *scratch);

/* Element (row, col) of an operand as it lies in memory; col is a multiple of the block. */
static inline const void *lrk_operand_at(const lrk_operand *o, size_t row, size_t col)
{
    return (const char *)o->data + row * lrk_row_bytes(o->dtype, o->stride) +
           lrk_row_bytes(o->dtype, col);
}

#endif /* LRK_KERNELS_GEMM_IMPL_H */
