/* kernels/embed/embed.h -- rows of a table by number: token ids to vectors.
 *
 *   forward    y[t,c]       = scale * table[ids[t],c]
 *   backward   dtable[v,c] += scale * sum_{t: ids[t] = v} dy[t,c]       but nothing where v is padding
 *
 * T: tokens.   V: vocabulary.   C: model width.   Source: Vaswani et al., "Attention is all you need", 2017,
 * section 3.4, where scale = sqrt(C).
 */
#ifndef LRK_KERNELS_EMBED_H
#define LRK_KERNELS_EMBED_H
#include "kernels/op.h"

/*   in[TABLE]  (V, C)  any stored type, quantized too; a row is decoded when it is asked for
 *   in[IDS]    (T)     i32 in [0, V): the caller has checked them
 *   out[Y]     (T, C)  compute type
 * A table that is f64 gives f64. A gradient of the table exists where it is of the compute type, or f32: sums
 * of a bf16 model's are f32 then, for a table that is trained.
 */
enum { LRK_EMBED_TABLE, LRK_EMBED_IDS };
enum { LRK_EMBED_Y };

/* scale: 0 counts as 1 (Gemma multiplies by sqrt(C)). compute: type of the result, unless
 * like_table says that it is the table's own. padding: 1 + the row whose gradient stays what it is
 * (padding_idx of torch.nn.Embedding); 0: none. */
typedef struct lrk_embed_attr {
    double scale;
    lrk_compute compute;
    bool like_table;
    size_t padding;
} lrk_embed_attr;

/* infer: LRK_ESHAPE when the table is not a matrix, ids are not i32, or a row is not a whole number
 * of blocks; LRK_ESUPPORT for types that hold no numbers and for a gradient that has no place. Scratch
 * memory: a bf16 result of another type takes T rows of f32 on the CPU. */
extern const lrk_op lrk_op_embed;

#endif /* LRK_KERNELS_EMBED_H */
