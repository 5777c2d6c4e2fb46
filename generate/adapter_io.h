/* generate/adapter_io.h -- between the adapters of a model in memory and those of a file.
 *
 * Files have the row order of Hugging Face. In memory the rows of B of q and k follow the rows of the
 * base weight, which llama GGUF files permute (checkpoint/names.h); A is the same on both sides.
 */
#ifndef LRK_GENERATE_ADAPTER_IO_H
#define LRK_GENERATE_ADAPTER_IO_H
#include "checkpoint/adapter.h"
#include "models/model.h"

/* Rows of p's B (width: its rank), its M (width 1) or their gradients, f32, from one order to the other;
 * `to` and `from` do not overlap. */
void lrk_rows_to_file(const lrk_projection *p, size_t width, const float *from, float *to);
void lrk_rows_to_memory(const lrk_projection *p, size_t width, const float *from, float *to);

/* The lrk_lora_options that make a model with the adapters of this file: ctx is the adapter. */
lrk_lora_options lrk_adapter_options(const lrk_adapter *a);

/* Copies the weights into a model built with those options. A module that the model lacks, or the
 * other way round: LRK_EINPUT. */
lrk_status lrk_adapter_into_model(const lrk_adapter *a, lrk_model *m, lrk_err *err);

/* a, b and m, the A, B and M of p or their gradients on the device, become copies in the arena, in the
 * order of a file. m of rank 0 stays. */
lrk_status lrk_adapter_copies(lrk_arena *arena, lrk_device device, const lrk_projection *p,
                              lrk_tensor *a, lrk_tensor *b, lrk_tensor *m, lrk_err *err);

/* Fills module[] and target[] with the model's adapters, in the arena of a. The other fields are the
 * caller's. */
lrk_status lrk_adapter_from_model(lrk_adapter *a, const lrk_model *m, lrk_err *err);

#endif /* LRK_GENERATE_ADAPTER_IO_H */
