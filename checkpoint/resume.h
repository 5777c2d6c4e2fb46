/* checkpoint/resume.h -- the state of a training run in one file, from which it goes on as if it
 * had never stopped.
 *
 * A safetensors file: named tensors (adapter, moments) and a JSON object of facts (step, epoch,
 * cursor, seeds, hashes of recipe, base, data, tokenizer) in the metadata, with the SHA-256 of all
 * of it. The file appears whole or not at all; a file in which one bit is wrong is refused at load.
 */
#ifndef LRK_CHECKPOINT_RESUME_H
#define LRK_CHECKPOINT_RESUME_H
#include "checkpoint/safetensors.h"

typedef struct lrk_state {
    lrk_safetensors file;
    lrk_json *facts;
} lrk_state;

/* Writes n tensors, each by its own name, contiguous, of a type that safetensors has. */
lrk_status lrk_state_save(const char *path, const lrk_tensor *const *tensors, size_t n,
                          const lrk_json *facts, lrk_err *err);

/* Maps the file and checks the hash over everything: LRK_EINPUT where it is not whole. */
lrk_status lrk_state_load(lrk_state *s, const char *path, lrk_err *err);
/* The same for n bytes in memory, which must outlive s. */
lrk_status lrk_state_parse(lrk_state *s, const void *data, size_t n, const char *path,
                           lrk_err *err);
void lrk_state_close(lrk_state *s); /* may be called twice, and on a zeroed one */

/* Copies the tensor named into->name to into->data. Missing, or another type or shape: LRK_EINPUT.
 */
lrk_status lrk_state_read(const lrk_state *s, const lrk_tensor *into, lrk_err *err);

#endif /* LRK_CHECKPOINT_RESUME_H */
