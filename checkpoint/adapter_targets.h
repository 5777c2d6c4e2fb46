/* checkpoint/adapter_targets.h -- the modules that adapter_config.json puts an adapter on.
 *
 * PEFT makes adapters where the configuration says, and passes over tensors of other modules with a word: numbers that
 * were trained would be missing. Source: peft, tuners/tuners_utils.py, check_target_module_exists.
 *
 * Inside checkpoint/ only. */
#ifndef LRK_CHECKPOINT_ADAPTER_TARGETS_H
#define LRK_CHECKPOINT_ADAPTER_TARGETS_H
#include "checkpoint/adapter.h"

/* Whether target_parameters names the parameter of this path, or its ending. */
bool lrk_adapter_names_parameter(const lrk_adapter *a, const char *path);

/* LRK_EINPUT where PEFT would pass over the tensors of this module: target_modules or target_parameters do not name
 * it, a list in exclude_modules does, or layers_to_transform has no number that is in its path. Patterns are Python's:
 * one that cannot be understood here, and one in exclude_modules, is left to PEFT. file: for the message. */
lrk_status lrk_adapter_check_targeted(const lrk_adapter *a, const char *file, const char *path, lrk_err *err);

#endif /* LRK_CHECKPOINT_ADAPTER_TARGETS_H */
