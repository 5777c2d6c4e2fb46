/* train/finish.h -- what a run leaves behind: the adapter, and what `export` of the recipe asks for. */
#ifndef LRK_TRAIN_FINISH_H
#define LRK_TRAIN_FINISH_H
#include "train/loop.h"

/* With load_best_model_at_end the weights of the best checkpoint are loaded first. Writes adapter/,
 * and as the recipe says adapter.gguf, merged/, merged-TYPE.gguf, ollama-TYPE/, each whole or not at all, the
 * directories with manifest and model card (train/manifest.h); names each on standard error. What was
 * merged is held against base + adapter on held-out rows (train/certificate.h): certificate.json, a
 * table, and LRK_ENUMERIC where an output is past export.max_kl or export.min_top1; that output is
 * removed. An adapter whose every B is zero, or with a number that is not finite, is not written:
 * LRK_ENUMERIC. The engine is closed where anything was merged. */
lrk_status lrk_training_finish(lrk_training *t, lrk_err *err);

/* Whether all of that is there already, and not that of a shorter run, which this one goes on from. */
lrk_status lrk_training_is_finished(lrk_training *t, bool *there, lrk_err *err);

#endif /* LRK_TRAIN_FINISH_H */
