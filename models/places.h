/* models/places.h -- where adapters lie in the vectors of a model, parameters, gradients and shadow: in the order of
 * `adapted`, A, then B and M. Of those that read one input, q, k and v, or gate and up, all A come first: together
 * they are the A of one op (kernels/linear/linear.h). That takes equal scales, no dropout, whose masks differ, and
 * neither DoRA nor a start inside the weight; and it is how runs are saved. For the model's own files.
 */
#ifndef LRK_MODELS_PLACES_H
#define LRK_MODELS_PLACES_H
#include "models/model.h"

/* Whether p and q, the adapter before it, are parts of one op. */
bool lrk_places_share(const lrk_projection *q, const lrk_projection *p);

/* Elements of all adapters. */
size_t lrk_places_count(const lrk_model *m);

/* Gives every adapter its tensors, and says which follow. */
void lrk_places_take(lrk_model *m);

/* The shadow of a matrix at element `at` of the parameters; rank 0 where there is none. */
lrk_tensor lrk_places_shadow(const lrk_model *m, const lrk_tensor *t, size_t at);

#endif /* LRK_MODELS_PLACES_H */
