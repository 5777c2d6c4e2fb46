/* kernels/gemm/pack.c -- operands of the f32 product into strips. */
#include "kernels/gemm/impl.h"

#include "base/size.h"

/* Rows of memory that are read along before the next strip returns to them: less than the cache of
 * page addresses holds, enough to use the lines that strips share. */
enum { ALONG = 16 };

/* n floats of each row, n a constant wherever this is inlined: a move or two. */
static inline __attribute__((always_inline)) void
copy(const float *src, size_t src_stride, size_t n, size_t rows, float *dst, size_t dst_stride)
{
    for (; rows; rows--, src += src_stride, dst += dst_stride) memcpy(dst, src, n * sizeof *dst);
}

/* dst[r * n + i] = src[r * src_stride + i] */
static void copy_columns(const float *src, size_t src_stride, size_t n, size_t rows, float *dst)
{
    switch (n) {
    case 4:
        copy(src, src_stride, 4, rows, dst, 4);
        return;
    case 5:
        copy(src, src_stride, 5, rows, dst, 5);
        return;
    case 6:
        copy(src, src_stride, 6, rows, dst, 6);
        return;
    case 8:
        copy(src, src_stride, 8, rows, dst, 8);
        return;
    case 13:
        copy(src, src_stride, 13, rows, dst, 13);
        return;
    case 14:
        copy(src, src_stride, 14, rows, dst, 14);
        return;
    case 16:
        copy(src, src_stride, 16, rows, dst, 16);
        return;
    case 32:
        copy(src, src_stride, 32, rows, dst, 32);
        return;
    default:
        copy(src, src_stride, n, rows, dst, n);
        return;
    }
}

void lrk_cut(const float *src, size_t src_stride, size_t width, size_t n, size_t strip, lrk_strips to)
{
    for (size_t c = 0; c < width; c += strip) {
        const size_t w = lrk_min(width - c, strip);
        copy_columns(src + c, src_stride, w, n, to.first + c * to.depth + to.at * w);
    }
}

void lrk_pack_a(const lrk_gemm_isa *isa, const lrk_operand *a, size_t i, size_t rows, size_t k0,
                size_t kc, size_t mr, lrk_strips to, float *tmp)
{
    const bool f32 = a->dtype == LRK_F32;
    if (isa->together > 1) {
        lrk_pack_a_pairs(isa, a, i, rows, k0, kc, mr, to, tmp);
        return;
    }
    if (a->transposed) {
        for (size_t k = 0; k < kc && f32; k += ALONG)
            lrk_cut(lrk_operand_at(a, k0 + k, i), a->stride, rows, lrk_min(kc - k, ALONG), mr,
                    lrk_strips_at(to, k));
        for (size_t k = 0; k < kc && !f32; k++) {
            isa->to_f32(a->dtype, lrk_operand_at(a, k0 + k, i), rows, tmp);
            lrk_cut(tmp, 0, rows, 1, mr, lrk_strips_at(to, k));
        }
        return;
    }
    for (size_t r = 0; r < rows; r += mr) {
        const size_t n = lrk_min(rows - r, mr);
        for (size_t s = 0; s < n && !f32; s++)
            isa->to_f32(a->dtype, lrk_operand_at(a, i + r + s, k0), kc, tmp + s * kc);
        isa->transpose(f32 ? lrk_operand_at(a, i + r, k0) : tmp, f32 ? a->stride : kc, n, kc,
                       to.first + r * to.depth + to.at * n, n);
    }
}

/* Part of a row of B as f32, rounded to bf16 first where the product asks for it. */
static void decode(const lrk_gemm_isa *isa, const lrk_operand *b, bool round, size_t row,
                   size_t col, size_t n, float *dst)
{
    isa->to_f32(b->dtype, lrk_operand_at(b, row, col), n, dst);
    for (size_t i = 0; i < n && round; i++) dst[i] = lrk_bf16_to_f32(lrk_f32_to_bf16(dst[i]));
}

static void pack_b_rows(const lrk_gemm_isa *isa, const lrk_operand *b, bool round, size_t j,
                        size_t cols, size_t k0, size_t kc, lrk_strips to, float *tmp)
{
    const bool straight = b->dtype == LRK_F32 && !round;
    for (size_t at = 0; at < cols; at += isa->nr) {
        const size_t n = lrk_min(cols - at, isa->nr), width = lrk_gemm_padded(isa, n);
        float *dst = to.first + at * to.depth + to.at * width;
        if (n < width) memset(dst, 0, kc * width * sizeof *dst);
        for (size_t c = 0; c < n && !straight; c++)
            decode(isa, b, round, j + at + c, k0, kc, tmp + c * kc);
        isa->transpose(straight ? lrk_operand_at(b, j + at, k0) : tmp, straight ? b->stride : kc, n,
                       kc, dst, width);
    }
}

void lrk_pack_b(const lrk_gemm_isa *isa, const lrk_operand *b, bool round, size_t j, size_t cols,
                size_t k0, size_t kc, lrk_strips to, float *tmp)
{
    const bool straight = b->dtype == LRK_F32 && !round && cols % isa->lanes == 0;
    const size_t width = lrk_gemm_padded(isa, cols);
    if (isa->together > 1) {
        lrk_pack_b_pairs(isa, b, j, cols, k0, kc, to, tmp);
        return;
    }
    if (b->transposed) {
        pack_b_rows(isa, b, round, j, cols, k0, kc, to, tmp);
        return;
    }
    for (size_t k = 0; k < kc && straight; k += ALONG)
        lrk_cut(lrk_operand_at(b, k0 + k, j), b->stride, cols, lrk_min(kc - k, ALONG), isa->nr,
                lrk_strips_at(to, k));
    for (size_t k = 0; k < kc && !straight; k++) {
        decode(isa, b, round, k0 + k, j, cols, tmp);
        for (size_t c = cols; c < width; c++) tmp[c] = 0.0f;
        lrk_cut(tmp, 0, width, 1, isa->nr, lrk_strips_at(to, k));
    }
}
