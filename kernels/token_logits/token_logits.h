/* kernels/token_logits/token_logits.h -- logits of some tokens in place of those of the frozen head.
 *
 *   forward    y[t,v] = r[t,k]   where v = index[k], else x[t,v]
 *
 * T: rows.   V: vocabulary.   N: rows of the head that are trained; r = h ROWS^T is a product of its own. Nobody
 * differentiates it: the loss takes the trained rows itself (kernels/linear_xent/).
 */
#ifndef LRK_KERNELS_TOKEN_LOGITS_H
#define LRK_KERNELS_TOKEN_LOGITS_H
#include "kernels/op.h"

/*   in[X]      (T, V)  f32 | bf16 | f64
 *   in[R]      (T, N)  like x
 *   in[INDEX]  (N)     i32 in [0, V), none twice: the caller has checked them
 *   out[Y]     (T, V)  like x; may share storage with x
 */
enum { LRK_TOKEN_LOGITS_X, LRK_TOKEN_LOGITS_R, LRK_TOKEN_LOGITS_INDEX };
enum { LRK_TOKEN_LOGITS_Y };

/* No attributes. infer: LRK_ESHAPE where r has not x's rows or type, or there is not one i32 for each of its
 * columns. */
extern const lrk_op lrk_op_token_logits;

#endif /* LRK_KERNELS_TOKEN_LOGITS_H */
