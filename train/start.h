/* train/start.h -- the adapter that training starts from, lora_model_dir, beside what the recipe says. */
#ifndef LRK_TRAIN_START_H
#define LRK_TRAIN_START_H
#include "checkpoint/adapter.h"
#include "models/decoder.h"
#include "recipes/recipe.h"
#include "train/targets.h"

/* LRK_EUSAGE where a key that the recipe gives says another rank, scale, kind or choice of modules than
 * the adapter has; names both. targets: those of the recipe; NULL: none are given. */
lrk_status lrk_start_check(const lrk_adapter *a, const lrk_recipe *r, lrk_targets *targets, const lrk_decoder *d,
                           lrk_err *err);

#endif /* LRK_TRAIN_START_H */
