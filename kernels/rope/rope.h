/* kernels/rope/rope.h -- rotary position embedding of the heads in a row.
 *
 * The first R of a head's D numbers form R / 2 pairs; pair k of token t turns by the angle
 * a = position(t) * freq[k]:
 *   forward    y1 = f * (x1 * cos a - x2 * sin a)      y2 = f * (x1 * sin a + x2 * cos a)
 *   backward   dx1 += f * (dy1 * cos a + dy2 * sin a)  dx2 += f * (dy2 * cos a - dy1 * sin a)
 * f is the attention factor of YaRN and LongRoPE, else 1. Pair k is (k, k + R/2), "halves", as in
 * transformers; interleaved: (2k, 2k + 1), as in GGUF files of the Llama family, whose q and k rows
 * are permuted for it. The numbers behind R stay as they are.
 *
 * Positions come from the segment table: POSITION + index in the segment. Angles are computed in
 * f64 whatever the compute type: at position 30000 an f32 angle is off by 1e-3.
 *
 * Su et al., "RoFormer", 2021. freq[k] = theta^(-2k/R), changed by the model's scaling rule, is the
 * caller's business.
 */
#ifndef LRK_KERNELS_ROPE_H
#define LRK_KERNELS_ROPE_H
#include "kernels/op.h"

/*   in[X]         (T, heads * D)  f32 | bf16 | f64
 *   in[SEGMENTS]  (S, 6)          i32, kernels/segments.h
 *   in[FREQ]      (R / 2)         f32 or f64
 *   out[Y]        (T, heads * D)  like X; may share storage with X, and dX with dY
 */
enum { LRK_ROPE_X, LRK_ROPE_SEGMENTS, LRK_ROPE_FREQ };
enum { LRK_ROPE_Y };

typedef struct lrk_rope_attr {
    size_t head;             /* D */
    size_t rotary;           /* R: even, 0 < R <= D */
    double attention_factor; /* f; 0 counts as 1 */
    bool interleaved;
} lrk_rope_attr;

/* infer: LRK_ESHAPE when widths do not fit, LRK_EVALUE when R is odd or beyond D. Scratch memory:
 * cos and sin for T x R / 2, computed once for all heads. */
extern const lrk_op lrk_op_rope;

#endif /* LRK_KERNELS_ROPE_H */
