/* generate/base_model.h -- the frozen model that a path names: weights and decoder description. */
#ifndef LRK_GENERATE_BASE_MODEL_H
#define LRK_GENERATE_BASE_MODEL_H
#include "checkpoint/weights.h"
#include "models/model.h"

typedef struct lrk_base_model {
    lrk_weights *weights;
    lrk_decoder decoder;
    const char *path; /* the caller's */
} lrk_base_model;

/* path: a Hugging Face directory or a GGUF file. */
lrk_status lrk_base_open(lrk_base_model *b, const char *path, lrk_err *err);
void lrk_base_close(lrk_base_model *b); /* may be called twice, and on a zeroed one */

/* Embedding and head have at least these rows (lrk_weights_grow), and the decoder says how many. */
lrk_status lrk_base_grow(lrk_base_model *b, size_t rows, lrk_err *err);

/* An lrk_weight_find; ctx is the lrk_base_model. */
lrk_status lrk_base_find(void *ctx, const char *name, lrk_tensor *out, lrk_err *err);

/* After the model is built: the files hold no weight that the model does not know. */
lrk_status lrk_base_check_names(const lrk_base_model *b, const lrk_model *m, lrk_err *err);

/* Of a model that is merged or converted and never computed: each weight that config.json describes is there and has
 * its shape. Where a directory becomes GGUF, which says what config.json does in words of its own, what is not known
 * here is refused, and weights that are not described are too; else what is not known passes. Reads no numbers. */
lrk_status lrk_base_check_weights(lrk_weights *w, bool gguf, lrk_err *err);

/* Every number of every weight is finite. Reads all of the file. */
lrk_status lrk_base_check_finite(const lrk_base_model *b, lrk_err *err);

#endif /* LRK_GENERATE_BASE_MODEL_H */
