/* models/builder.h -- weights on their way into a model that is built: looked up by name, compared with the shape that
 * the configuration says, and taken to where the model lies, into its frozen arena. For the model's own files.
 */
#ifndef LRK_MODELS_BUILDER_H
#define LRK_MODELS_BUILDER_H
#include "models/model.h"

typedef struct lrk_builder {
    lrk_model *m;
    lrk_weight_find find;
    void *ctx;
    const lrk_model_options *options;
    lrk_model_memory memory;
} lrk_builder;

/* LRK_ESHAPE, LRK_ESUPPORT: a weight is not what the configuration says, or holds no numbers. */
lrk_status lrk_build_expect(const lrk_builder *b, const lrk_tensor *t, const char *name, size_t rows, size_t cols,
                            lrk_err *err);

/* The numbers of *out, which are this process's, to the device. */
lrk_status lrk_build_put(const lrk_builder *b, const void *numbers, lrk_tensor *out, lrk_err *err);

/* A vector of the model plus a number, as f32 or bf16; where the arena only counts, nothing is read. */
lrk_status lrk_build_vector(const lrk_builder *b, const char *name, size_t n, float more, lrk_dtype type,
                            lrk_tensor *out, lrk_err *err);

/* A matrix as it is stored: on the CPU where it lies, else a copy. */
lrk_status lrk_build_matrix(const lrk_builder *b, const char *name, size_t rows, size_t cols, lrk_tensor *out,
                            lrk_err *err);

/* The matrix of a linear layer, or of an expert: in the bits that the options ask for. */
lrk_status lrk_build_linear(const lrk_builder *b, const char *name, size_t rows, size_t cols, lrk_tensor *out,
                            lrk_err *err);

/* What is stored of a matrix to its place on the device, now or later. */
lrk_status lrk_build_send(const lrk_builder *b, const lrk_tensor *to, const void *stored, lrk_err *err);

#endif /* LRK_MODELS_BUILDER_H */
