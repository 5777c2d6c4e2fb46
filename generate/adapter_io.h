/* generate/adapter_io.h -- between the adapters of a model in memory and those of a file.
 *
 * Files have the row order of Hugging Face. In memory the rows of B of q and k follow the rows of the
 * base weight, which llama GGUF files permute (checkpoint/names.h); A is the same on both sides. Experts lie in
 * memory one below the other; a file has a module for each, or all of them in one whose B has its columns by
 * number, then expert (checkpoint/adapter.h).
 */
#ifndef LRK_GENERATE_ADAPTER_IO_H
#define LRK_GENERATE_ADAPTER_IO_H
#include "checkpoint/adapter.h"
#include "generate/base_model.h"

/* The adapter is for this base (lrk_adapter_check_base), and becomes one for it as it is. What PEFT saved of a start
 * that is a part of the base (`begun`; models/principal.h) is for W - s B0 A0, which PEFT makes anew from W whenever it
 * loads it (peft, tuners/lora/layer.py, pissa_init, olora_init), with DoRA too. Here the part is found in the same way
 * and its pair put beside the other one: [A; A0], [B, -B0], of twice the rank, on the unchanged W. Against PEFT: the
 * roundings of W - s B0 A0 where it stores 16 bits, and what products in f32 blur. LRK_ESUPPORT where the base is
 * quantized: there PEFT takes nothing out, or rounds what is left to blocks again.
 * An adapter that has rows behind the base's last, all of them, and a tokenizer beside it makes the base grow
 * (lrk_weights_grow), as PEFT's AutoPeftModel does. */
lrk_status lrk_adapter_fit(lrk_adapter *a, lrk_weights *base, bool any_hash, lrk_err *err);

/* The same for a model whose description follows. */
lrk_status lrk_base_fit(lrk_base_model *b, lrk_adapter *a, bool any_hash, lrk_err *err);

/* An adapter of this base, which lrk_base_fit took, gets rows for tokens that neither has: the base grows to `rows`,
 * what the adapter has of embedding and head goes on in the base's new rows, and where it has nothing, or rows, those
 * of `added` are among them; in both of the two, but in the embedding alone where they are one, and not beside one of a
 * tied pair that is trained whole. */
lrk_status lrk_base_extend(lrk_base_model *b, lrk_adapter *a, size_t rows, lrk_row_list added, lrk_err *err);

/* [A; A0] and [B, B0] in place of A and B, in the arena. */
lrk_status lrk_adapter_join(lrk_arena *arena, const char *path, lrk_tensor *a, lrk_tensor *b, const lrk_tensor *a0,
                            const lrk_tensor *b0, lrk_err *err);

/* The lrk_lora_options that make a model with the adapters of this file: ctx is the adapter. */
lrk_lora_options lrk_adapter_options(const lrk_adapter *a);

/* Copies the weights into a model built with those options. A module that the model lacks, or the
 * other way round: LRK_EINPUT. */
lrk_status lrk_adapter_into_model(const lrk_adapter *a, lrk_model *m, lrk_err *err);

/* How many pairs a file has for p: 1, or one for each expert. */
size_t lrk_adapter_parts(const lrk_projection *p);

/* a, b and m, the A, B and M of p or their gradients on the device, become copies of a part in the arena, in the
 * order of a file. m of rank 0 stays. */
lrk_status lrk_adapter_copies(lrk_arena *arena, lrk_device device, const lrk_projection *p, size_t part,
                              lrk_tensor *a, lrk_tensor *b, lrk_tensor *m, lrk_err *err);

/* t, a copy of the view of what is trained whole or of its gradient, becomes a copy of the numbers in the arena. */
lrk_status lrk_adapter_whole_copy(lrk_arena *arena, const lrk_model *m, lrk_tensor *t, lrk_err *err);

/* A part in an adapter: its matrices, and the module that the keys of its file name. */
typedef struct lrk_adapter_pair_view {
    const lrk_tensor *a, *b, *m; /* m of rank 0: none */
    char module[LRK_NAME_MAX];
} lrk_adapter_pair_view;

/* False where the adapter has none. */
bool lrk_adapter_find_pair(const lrk_adapter *a, const lrk_model *m, const lrk_projection *p, size_t part,
                           lrk_adapter_pair_view *out);

/* Fills module[] and target[] with the model's adapters, in the arena of a. The other fields are the
 * caller's. Adapters that began as a part of their weights (models/principal.h) are of twice the rank here, for the
 * unchanged weights: rank, alpha and patterns of the file are those of lrk_adapter_doubled. */
lrk_status lrk_adapter_from_model(lrk_adapter *a, const lrk_model *m, lrk_err *err);

/* The alpha that keeps the scale at twice the rank. */
double lrk_adapter_doubled(double alpha, bool rslora);

#endif /* LRK_GENERATE_ADAPTER_IO_H */
