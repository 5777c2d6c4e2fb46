/* kernels/heads/heads.h -- heads put together from pieces of other heads.
 *
 *   forward    Y[t,h,:] = A[t, h * step + first ..][n of it], then B likewise, then zeros up to D
 *   backward   dA, dB   += the pieces of dY where they came from; a piece with step 0 is that of every
 *                          head, its gradient the sum over them
 *
 * The heads of multi-head latent attention: a part that turns and one that does not, keys and values
 * side by side in one matrix, one turning key for all heads. DeepSeek-AI, "DeepSeek-V2", 2024.
 *
 * T: tokens.   H: heads.   D: numbers of a head of Y.
 */
#ifndef LRK_KERNELS_HEADS_H
#define LRK_KERNELS_HEADS_H
#include "kernels/op.h"

/*   in[A], in[B]  (T, ...)    f32 | bf16 | f64, both alike; B may be absent
 *   out[Y]        (T, H * D)  like A
 */
enum { LRK_HEADS_A, LRK_HEADS_B };
enum { LRK_HEADS_Y };

/* n numbers of each head, from `first` on in heads that are `step` apart. */
typedef struct lrk_heads_piece {
    size_t step, first, n;
} lrk_heads_piece;

typedef struct lrk_heads_attr {
    size_t heads, head;       /* H, D */
    lrk_heads_piece piece[2]; /* of A, of B */
} lrk_heads_attr;

/* infer: LRK_ESHAPE when a piece lies outside its input or the pieces are longer than a head. */
extern const lrk_op lrk_op_heads;

#endif /* LRK_KERNELS_HEADS_H */
