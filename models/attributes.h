/* models/attributes.h -- what the ops of a model are told, from its description. For models/model.c alone. */
#ifndef LRK_MODELS_ATTRIBUTES_H
#define LRK_MODELS_ATTRIBUTES_H
#include "models/model.h"

/* All attribute structs of m, from m->decoder. */
void lrk_model_set_attributes(lrk_model *m, lrk_compute compute);

#endif /* LRK_MODELS_ATTRIBUTES_H */
