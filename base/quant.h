/* base/quant.h -- rows of any element type to f32 and back: the plain, exact reference.
 *
 * Layouts: ggml-common.h of the ggml project. The fast versions inside matrix products live in
 * kernels/gemm and must give the same bits.
 */
#ifndef LRK_BASE_QUANT_H
#define LRK_BASE_QUANT_H
#include "base/dtype.h"

/* n elements, a multiple of the block. Every type but i32, i64, u8. Any bytes are allowed: a code
 * that a format does not use gives some number, a scale that is not finite gives such values. */
void lrk_to_f32(lrk_dtype t, const void *src, size_t n, float *dst);

/* Types that can be written: f32, f64, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k to q6_k,
 * iq4_nl, iq4_xs, mxfp4, tq1_0, tq2_0; false for the others. The bytes are those of ggml's
 * quantizers without an importance matrix, compiled without fused multiply-add, as its builds for
 * x86-64 are; compilers for ARM fuse, and differ in a few blocks. src must be finite and fit the f16
 * scales. (NF4: base/nf4.h.) */
bool lrk_from_f32(lrk_dtype t, const float *src, size_t n, void *dst);
bool lrk_can_quantize(lrk_dtype t);

#endif /* LRK_BASE_QUANT_H */
