/* train/targets.h -- which modules get an adapter: lora_target_modules of a recipe.
 *
 *   a list     names; a module is chosen when its path equals one or ends in ".name"
 *   a pattern  a regular expression that matches the whole path
 *   all-linear every linear layer but the head and the routers of experts, which are trained when named (PEFT 0.21
 *              adapts them where transformers 5 holds experts in one parameter, in Mixtral, Qwen3-MoE and DeepSeek,
 *              and leaves router and experts out in Qwen2-MoE: here all families are alike)
 * lora_target_parameters adds parameters that hold all experts of a layer (models/modules.h); all-linear leaves the
 * experts to it. exclude_modules takes modules away again, by the same rules. layers_to_transform keeps those of some
 * layers, whose number stands behind a name that layers_pattern gives ("layers" where it gives none); rank_pattern and
 * alpha_pattern give some of what is left another rank or alpha (base/module_key.h). The rules are PEFT's (peft,
 * tuners/tuners_utils.py).
 */
#ifndef LRK_TRAIN_TARGETS_H
#define LRK_TRAIN_TARGETS_H
#include "base/pattern.h"
#include "models/lora.h"
#include "models/modules.h"
#include "recipes/recipe.h"

typedef struct lrk_targets {
    const char *const *name; /* not owned */
    size_t n;
    lrk_pattern *pattern; /* owned; NULL when names are given */
    bool all;
    const char *key;       /* of the recipe, for messages */
    struct lrk_targets *exclude, *parameters; /* not owned; NULL: nothing */
    const lrk_patterns *ranks, *alphas; /* not owned; NULL: none */
    const lrk_sizes *layers;
    const lrk_strings *layer_names;
    bool matched;          /* the pattern, some path */
    bool *used; /* which names matched something; NULL: not kept */
    bool *used_ranks, *used_alphas; /* the same of those keys */
    lrk_err err; /* the first failure of a match, looked at after the model is built */
} lrk_targets;

/* scalar: the one word is "all-linear" or a pattern; otherwise a list of names. */
lrk_status lrk_targets_open(lrk_targets *t, const char *key, const char *const *words, size_t n,
                            bool scalar, lrk_err *err);
void lrk_targets_close(lrk_targets *t);

/* Takes layers_to_transform and the patterns of r, which outlives t, into it. */
lrk_status lrk_targets_refine(lrk_targets *t, const lrk_recipe *r, lrk_err *err);

/* An lrk_lora_select; ctx is the lrk_targets. */
bool lrk_targets_select(void *ctx, const char *path, size_t *rank, double *alpha);

/* After the build: a name that chose nothing is a mistake, LRK_EUSAGE; the message lists those of d. */
lrk_status lrk_targets_check(const lrk_targets *t, const lrk_decoder *d, lrk_err *err);

#endif /* LRK_TRAIN_TARGETS_H */
