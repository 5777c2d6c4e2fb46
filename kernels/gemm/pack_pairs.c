/* kernels/gemm/pack_pairs.c -- operands of the bf16 product into strips of pairs: the 32 bits of a
 * float hold two bf16, neighbours along k; a k that is odd ends with a zero. */
#include "kernels/gemm/impl.h"

#include "base/size.h"

/* A run along k: pairs as they lie in memory, once in bf16. */
static void along_k(const lrk_gemm_isa *isa, const lrk_operand *o, size_t row, size_t k0, size_t kc,
                    float *dst, float *tmp)
{
    uint16_t *pairs = (uint16_t *)(void *)dst;
    isa->to_bf16(o->dtype, lrk_operand_at(o, row, k0), kc, pairs, tmp);
    if (kc % 2) pairs[kc] = 0;
}

static bool pairs_in_place(const lrk_operand *o, size_t kc)
{
    return o->dtype == LRK_BF16 && o->stride % 2 == 0 && kc % 2 == 0;
}

/* n rows of memory, each a run along k, to one strip [depth][width]. */
static void turn(const lrk_gemm_isa *isa, const lrk_operand *o, size_t row, size_t n, size_t k0,
                 size_t kc, size_t width, float *dst, float *tmp)
{
    const size_t depth = lrk_gemm_depth(isa, kc);
    if (pairs_in_place(o, kc)) {
        isa->transpose(lrk_operand_at(o, row, k0), o->stride / 2, n, depth, dst, width);
        return;
    }
    for (size_t i = 0; i < n; i++) along_k(isa, o, row + i, k0, kc, tmp + i * depth, tmp + n * depth);
    isa->transpose(tmp, depth, n, depth, dst, width);
}

void lrk_pack_a_pairs(const lrk_gemm_isa *isa, const lrk_operand *a, size_t i, size_t rows, size_t k0,
                      size_t kc, size_t mr, lrk_strips to, float *tmp)
{
    for (size_t k = 0; k < kc && a->transposed; k += 2) {
        isa->pair(lrk_operand_at(a, k0 + k, i), k + 1 < kc ? lrk_operand_at(a, k0 + k + 1, i) : NULL, rows,
                  tmp);
        lrk_cut(tmp, 0, rows, 1, mr, lrk_strips_at(to, k / 2));
    }
    for (size_t r = 0; r < rows && !a->transposed; r += mr) {
        const size_t n = lrk_min(rows - r, mr);
        turn(isa, a, i + r, n, k0, kc, n, to.first + r * to.depth + to.at * n, tmp);
    }
}

static void pack_b_rows(const lrk_gemm_isa *isa, const lrk_operand *b, size_t j, size_t cols, size_t k0,
                        size_t kc, lrk_strips to, float *tmp)
{
    for (size_t at = 0; at < cols; at += isa->nr) {
        const size_t n = lrk_min(cols - at, isa->nr), width = lrk_gemm_padded(isa, n);
        float *dst = to.first + at * to.depth + to.at * width;
        if (n < width) memset(dst, 0, lrk_gemm_depth(isa, kc) * width * sizeof *dst);
        turn(isa, b, j + at, n, k0, kc, width, dst, tmp);
    }
}

/* Part of a row of B as bf16: where it lies, or in dst. */
static const uint16_t *bf16_of(const lrk_gemm_isa *isa, const lrk_operand *b, size_t row, size_t col,
                               size_t n, float *dst, float *tmp)
{
    if (b->dtype == LRK_BF16) return lrk_operand_at(b, row, col);
    isa->to_bf16(b->dtype, lrk_operand_at(b, row, col), n, (uint16_t *)(void *)dst, tmp);
    return (const uint16_t *)(const void *)dst;
}

void lrk_pack_b_pairs(const lrk_gemm_isa *isa, const lrk_operand *b, size_t j, size_t cols, size_t k0,
                      size_t kc, lrk_strips to, float *tmp)
{
    const size_t width = lrk_gemm_padded(isa, cols);
    float *const rows = tmp + width, *const decoded = rows + width; /* two rows of bf16: width floats */
    if (b->transposed) {
        pack_b_rows(isa, b, j, cols, k0, kc, to, tmp);
        return;
    }
    for (size_t k = 0; k < kc; k += 2) {
        const uint16_t *even = bf16_of(isa, b, k0 + k, j, cols, rows, decoded), *odd = NULL;
        if (k + 1 < kc) odd = bf16_of(isa, b, k0 + k + 1, j, cols, rows + width / 2, decoded);
        isa->pair(even, odd, cols, tmp);
        for (size_t c = cols; c < width; c++) tmp[c] = 0.0f;
        lrk_cut(tmp, 0, width, 1, isa->nr, lrk_strips_at(to, k / 2));
    }
}
