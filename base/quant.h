/* base/quant.h -- rows of any element type to f32 and back: the plain, exact reference.
 *
 * Layouts: ggml-common.h of the ggml project. The fast versions inside matrix products live in
 * kernels/gemm and must give the same bits.
 */
#ifndef LRK_BASE_QUANT_H
#define LRK_BASE_QUANT_H
#include "base/dtype.h"

/* n elements, a multiple of the block. Every type but i32, i64, u8. */
void lrk_to_f32(lrk_dtype t, const void *src, size_t n, float *dst);

/* Types that can be written: f32, f64, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1; false for the
 * others. Rounding as ggml's reference quantizers. */
bool lrk_from_f32(lrk_dtype t, const float *src, size_t n, void *dst);
bool lrk_can_quantize(lrk_dtype t);

#endif /* LRK_BASE_QUANT_H */
