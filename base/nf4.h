/* base/nf4.h -- weights of 16 or 32 bits to 4-bit NormalFloat, as QLoRA does when it loads a model.
 *
 *   m[b]    = max |w| over block b: 64 elements of the matrix, row after row
 *   code[i] = the index of the value of the NF4 table nearest to w[i] * (1 / m[b])
 *   w'[i]   = table[code[i]] * m[b]
 *
 * Double quantization stores m in 8 bits, in groups of 256 blocks:
 *   offset  = mean of all m;   n[g] = max |m - offset| over group g
 *   c[b]    = the index of the value of the dynamic map nearest to (m[b] - offset) * (1 / n[g])
 *   m'[b]   = map[c[b]] * n[g] + offset, which then stands in for m in w'
 *
 * Source: Dettmers et al., QLoRA, 2023 (arXiv 2305.14314), and 8-bit Approximations for Parallelism
 * in Deep Learning, 2015 (arXiv 1511.04561) for the map. The values are those of bitsandbytes
 * (bnb_4bit_quant_type nf4, block 64), whose offset is a sum in f32 in an order of its own: here it
 * is the exact mean, rounded. Layouts in memory are ours; nothing writes them to a file:
 *
 *   nf4         f32 m; 4 x 16 bytes: codes of elements i (low half) and i + 16 of each 32
 *   nf4_double  256 elements: f32 n, f32 offset, u8 c[4], the codes. All of a block lies in one
 *               group, for 256 elements at a multiple of 256 do
 *
 * A row whose length is no multiple of 256 holds nf4 blocks, with m' in place of m: the values of
 * double quantization, in 4.5 bits an element where nf4_double takes 4.375.
 */
#ifndef LRK_BASE_NF4_H
#define LRK_BASE_NF4_H
#include "base/status.h"
#include "base/tensor.h"

extern const float lrk_nf4_table[16];

/* m' of the four 64s of an nf4_double block. */
void lrk_nf4_scales(const unsigned char *b, float m[4]);

/* The type for rows of this length; false where no whole number of blocks fits. */
bool lrk_nf4_type(size_t cols, bool twice, lrk_dtype *type);

/* src: (rows, cols), contiguous, f32, f16 or bf16, finite. out: its shape, the type of
 * lrk_nf4_type, contiguous memory. Uses all threads. LRK_ENOMEM. */
lrk_status lrk_nf4_quantize(const lrk_tensor *src, bool twice, lrk_tensor *out, lrk_err *err);

#endif /* LRK_BASE_NF4_H */
