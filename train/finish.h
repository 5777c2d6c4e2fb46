/* train/finish.h -- what a run leaves behind: the adapter, and what `export` of the recipe asks for. */
#ifndef LRK_TRAIN_FINISH_H
#define LRK_TRAIN_FINISH_H
#include "train/loop.h"

/* With load_best_model_at_end the weights of the best checkpoint are loaded first. Writes adapter/,
 * and as the recipe says adapter.gguf, merged/, merged-TYPE.gguf, each whole or not at all, the
 * directories with manifest and model card (train/manifest.h); names each on standard error. An adapter whose every B is zero, or with a number that is not finite, is
 * not written: LRK_ENUMERIC. */
lrk_status lrk_training_finish(lrk_training *t, lrk_err *err);

#endif /* LRK_TRAIN_FINISH_H */
