/* checkpoint/file_type.h -- the types that a written model file can have, and which element type
 * each tensor gets.
 *
 * A file type of GGUF has a number (general.file_type) and a rule. For plain and simple types the
 * rule is: every matrix the same, but the head, or the embedding where it is the head too, gets
 * q6_k unless the type is q8_0 or not quantized. The K types exist as mixes: small, medium and
 * large give tensors that matter more a wider type: values of attention, the down projection, the
 * first and last layers. Where a row is no whole number of blocks a type of 32 elements stands in.
 * The rules are those of llama-quantize without an importance matrix
 * (github.com/ggml-org/llama.cpp, src/llama-quant.cpp).
 */
#ifndef LRK_CHECKPOINT_FILE_TYPE_H
#define LRK_CHECKPOINT_FILE_TYPE_H
#include "base/dtype.h"

typedef struct lrk_file_type {
    const char *name; /* "q4_k_m" */
    uint32_t id;      /* general.file_type */
    lrk_dtype dtype;  /* of most matrices */
} lrk_file_type;

/* Case is ignored; q3_k, q4_k and q5_k are other names of the medium mixes. NULL: unknown. */
const lrk_file_type *lrk_file_type_find(const char *name);
/* The name that is nearly this one, or NULL. */
const char *lrk_file_type_nearest(const char *name);
/* "f32, f16, ...", for messages. */
void lrk_file_type_list(char *out, size_t size);
/* The file type whose matrices have mostly this type; NULL where there is none. */
const lrk_file_type *lrk_file_type_of(lrk_dtype dtype);

/* What the rules ask of a model. */
typedef struct lrk_file_facts {
    size_t layers, heads, key_heads, experts;
    size_t values; /* tensors of attention values */
    bool tied;     /* the embedding is the head too */
} lrk_file_facts;

/* Whether a matrix of this GGUF name is one of `values`. */
bool lrk_file_type_values(const char *name);

/* The type of the matrix `name` (GGUF) with rows of cols elements in a file of type f. value: where
 * lrk_file_type_values, its place among them. */
lrk_dtype lrk_file_type_choose(const lrk_file_type *f, const lrk_file_facts *m, const char *name,
                               size_t value, size_t cols);

#endif /* LRK_CHECKPOINT_FILE_TYPE_H */
