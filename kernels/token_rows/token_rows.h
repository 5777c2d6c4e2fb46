/* kernels/token_rows/token_rows.h -- vectors of some tokens in place of those that were looked up.
 *
 *   forward    y[t,c]        = scale * rows[k,c]   where ids[t] = index[k], else x[t,c]
 *   backward   drows[k,c]   += scale * sum_{t: ids[t] = index[k]} dy[t,c]     but nothing where that is padding
 *              dx[t,c]      += dy[t,c]             where ids[t] is no index
 *
 * T: tokens.   N: rows that are trained.   C: model width.   So an embedding (kernels/embed/) stays frozen, in
 * whatever type it is stored, while a few rows of it learn. Source: huggingface/peft, tuners/trainable_tokens.
 */
#ifndef LRK_KERNELS_TOKEN_ROWS_H
#define LRK_KERNELS_TOKEN_ROWS_H
#include "kernels/op.h"

/*   in[X]      (T, C)  compute type: the rows of the frozen table, scaled already
 *   in[IDS]    (T)     i32
 *   in[ROWS]   (N, C)  f32 (f64 in f64)
 *   in[INDEX]  (N)     i32, ascending, none twice: the caller has checked them
 *   out[Y]     (T, C)  like x; may share storage with x, and dX with dY
 */
enum { LRK_TOKEN_ROWS_X, LRK_TOKEN_ROWS_IDS, LRK_TOKEN_ROWS_ROWS, LRK_TOKEN_ROWS_INDEX };
enum { LRK_TOKEN_ROWS_Y };

/* scale and padding: as in lrk_embed_attr. */
typedef struct lrk_token_rows_attr {
    double scale;
    size_t padding;
} lrk_token_rows_attr;

/* infer: LRK_ESHAPE where the rows are not as wide as x or ids and index are not one i32 for each; LRK_ESUPPORT for
 * rows of another type. No scratch memory. */
extern const lrk_op lrk_op_token_rows;

#endif /* LRK_KERNELS_TOKEN_ROWS_H */
