/* kernels/rope/rope.h -- rotary position embedding of the heads in a row.
 *
 * The first R of a head's D numbers form R / 2 pairs; pair k of token t turns by the angle a whose
 * cosine and sine stand in the table (kernels/rope_table/), times the attention factor f:
 *   forward    y1 = f * (x1 * cos a - x2 * sin a)      y2 = f * (x1 * sin a + x2 * cos a)
 *   backward   dx1 += f * (dy1 * cos a + dy2 * sin a)  dx2 += f * (dy2 * cos a - dy1 * sin a)
 * Pair k is (k, k + R/2), "halves", as in transformers; interleaved: (2k, 2k + 1), as in GGUF files
 * of the Llama family, whose q and k rows are permuted for it. The numbers behind R stay as they
 * are. Queries and keys, which turn by the same angles, go through together.
 *
 * Su et al., "RoFormer", 2021.
 */
#ifndef LRK_KERNELS_ROPE_H
#define LRK_KERNELS_ROPE_H
#include "kernels/op.h"

/*   in[X]      (T, heads * D)  f32 | bf16 | f64
 *   in[TABLE]  (T, R)          f32, f64 beside f64: cosines, then sines; R even, 0 < R <= D
 *   in[X2]     (T, heads * D)  like X, with heads of its own; may be absent
 *   out[Y]     (T, heads * D)  like X; may share storage with X, and dX with dY
 *   out[Y2]    (T, heads * D)  likewise of X2
 */
enum { LRK_ROPE_X, LRK_ROPE_TABLE, LRK_ROPE_X2 };
enum { LRK_ROPE_Y, LRK_ROPE_Y2 };

typedef struct lrk_rope_attr {
    size_t head; /* D */
    bool interleaved;
} lrk_rope_attr;

/* infer: LRK_ESHAPE when widths, rows or the table's type do not fit, LRK_EVALUE when R is odd or
 * beyond D. No scratch memory. */
extern const lrk_op lrk_op_rope;

#endif /* LRK_KERNELS_ROPE_H */
