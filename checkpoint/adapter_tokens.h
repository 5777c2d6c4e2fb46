/* checkpoint/adapter_tokens.h -- rows of embedding and head that an adapter replaces: trainable_token_indices.
 *
 * In adapter_config.json a list, which is the embedding's, or an object of lists by module; in the tensors
 * "...token_adapter.trainable_tokens_delta" (N, C), the rows themselves, in the order of the list. Here they are
 * sorted by id. Where the base ties the head to the embedding and the head has no list, or the same one, the file
 * holds the embedding's rows alone and they are both's. Source: peft, utils/other.py, set_additional_trainable_modules.
 *
 * Inside checkpoint/ only. */
#ifndef LRK_CHECKPOINT_ADAPTER_TOKENS_H
#define LRK_CHECKPOINT_ADAPTER_TOKENS_H
#include "checkpoint/adapter.h"

#define LRK_ADAPTER_ROWS ".token_adapter.trainable_tokens_delta"

/* As lrk_adapter_role, of the module that PEFT finds by this name: its path ends in it. */
int lrk_adapter_role_named(const char *name);

/* A path of a file as lrk_adapter_whole has it. */
const char *lrk_adapter_role_path(const char *path);

/* Whether ensure_weight_tying did anything to modules_to_save: PEFT looks for two names there (tuners_utils.py,
 * EMBEDDING_LAYER_NAMES), puts others in their place as it saves, and writes the one copy under both keys. */
bool lrk_adapter_ties(const lrk_adapter *a, const lrk_safetensors *s);

/* The value of trainable_token_indices, not null, into a->tokens. */
lrk_status lrk_adapter_read_tokens(lrk_adapter *a, const lrk_json *v, const char *where, lrk_err *err);

/* The module whose base, resized before PEFT trained, is in this tensor of the file, which PEFT writes beside what is
 * trained, of both modules; -1: none. again: it is in another one too, of the same numbers or of those before
 * training. */
int lrk_adapter_resized_of(const lrk_adapter *a, const lrk_safetensors *s, const char *name, bool *again);

/* rows as the file has them, of the module of this path, become an entry of a->whole. */
lrk_status lrk_adapter_take_rows(lrk_adapter *a, const char *file, const char *path, const lrk_tensor *rows,
                                 lrk_err *err);

/* All that a->tokens names has been taken. */
lrk_status lrk_adapter_check_rows(const lrk_adapter *a, const char *file, lrk_err *err);

/* Sets the key where a->whole has rows. */
void lrk_adapter_put_tokens(const lrk_adapter *a, lrk_json *root);

/* The rows fit this base, and so does what goes on as one. */
lrk_status lrk_adapter_check_base_of_rows(const lrk_adapter *a, const lrk_weights *base, lrk_err *err);

#endif /* LRK_CHECKPOINT_ADAPTER_TOKENS_H */
