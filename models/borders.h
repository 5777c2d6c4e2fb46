/* models/borders.h -- adapters that lie in the borders of frozen weights, on a GPU (kernels/linear/linear.h): where a
 * model is trained in bf16 without dropout, beside plain LoRA whose ranks are multiples of 8.
 *
 *   [ W B ]   of a matrix that is stored in bf16, in one piece of the frozen arena: A is below the rows of W, B behind
 *   [ A   ]   them. Of several that read one input, and are one op, the W lie one below the other, and so do the A
 *             below the last; the B are blocks on the diagonal of the border.
 *
 * Beside a matrix of another type A and B stay in the vectors of the model (models/places.h), but for the B of several
 * that are one op, which are the blocks of a matrix of their own. For the model's own files.
 */
#ifndef LRK_MODELS_BORDERS_H
#define LRK_MODELS_BORDERS_H
#include "models/model.h"

/* Columns of the border of every projection of the layer, whose adapters are chosen. */
void lrk_borders_choose(lrk_layer *layer);

/* Places for the weights first .. last of a layer that are stored in bf16, and for the adapters in their borders;
 * inside: whether all of them are. weight of the projections says their shapes, and afterwards where they lie. */
lrk_status lrk_borders_place(lrk_model *m, lrk_layer *layer, int first, int last, bool inside, lrk_arena *frozen,
                             lrk_err *err);

/* The table that lrk_borders_write reads, once every adapter has its place. */
lrk_status lrk_borders_list(lrk_model *m, lrk_arena *frozen, lrk_err *err);

/* To be called after each change of the parameters. */
void lrk_borders_write(const lrk_model *m);

/* What passes read of an adapter: in the border, else its shadow, else itself. */
const lrk_tensor *lrk_borders_a(const lrk_projection *p);
const lrk_tensor *lrk_borders_b(const lrk_projection *p);

#endif /* LRK_MODELS_BORDERS_H */
