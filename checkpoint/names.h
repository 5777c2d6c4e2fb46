/* checkpoint/names.h -- tensor names of Hugging Face and of GGUF, and the order of rows.
 *
 * Both sides describe the same weights; the pairs are a table. Files of architecture "llama" hold
 * the rows of the query and key projections in another order: the two halves of a head that rotary
 * embedding turns against each other are interleaved, so that pairs are adjacent. Per head of D
 * rows:
 *
 *   gguf row 2i + j = Hugging Face row j * D/2 + i,   j in {0, 1}, i < D/2
 *
 * Facts: github.com/ggml-org/llama.cpp, gguf-py/gguf/tensor_mapping.py and conversion/llama.py.
 */
#ifndef LRK_CHECKPOINT_NAMES_H
#define LRK_CHECKPOINT_NAMES_H
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { LRK_NAME_MAX = 300 };

/* An architecture that exists on both sides. */
typedef struct lrk_arch {
    const char *gguf;       /* general.architecture: "llama" */
    const char *hf;         /* architectures[0]: "LlamaForCausalLM" */
    const char *model_type; /* "llama" */
    bool permuted_qk;
} lrk_arch;

/* NULL for an unknown one. Several Hugging Face classes may share a GGUF architecture: the first
 * one is the answer. */
const lrk_arch *lrk_arch_from_gguf(const char *gguf);
const lrk_arch *lrk_arch_from_hf(const char *hf);
/* "LlamaForCausalLM, MistralForCausalLM, ...", for messages. */
void lrk_arch_list(char *out, size_t size, bool gguf);

/* The other side's name in out; false where the table has none. */
bool lrk_name_to_gguf(const char *hf, char out[LRK_NAME_MAX]);
bool lrk_name_to_hf(const char *gguf, char out[LRK_NAME_MAX]);

/* The weight or bias of a query (*query = true) or key projection, by Hugging Face name. */
bool lrk_name_is_qk(const char *hf, bool *query);

/* Row of the Hugging Face tensor that row `row` of the GGUF tensor holds, and the inverse.
 * head_dim is even. */
size_t lrk_qk_hf_row(size_t row, size_t head_dim);
size_t lrk_qk_gguf_row(size_t row, size_t head_dim);

#endif /* LRK_CHECKPOINT_NAMES_H */
