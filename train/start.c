/* train/start.c -- a recipe and the adapter it starts from say the same. */
#include "train/start.h"

#include <string.h>

static lrk_status number(const lrk_recipe *r, const char *key, double said, double is, lrk_err *err)
{
    LRK_REQUIRE(err, !lrk_recipe_gives(r, key) || said == is, LRK_EUSAGE,
                "%s is %g, but the adapter of lora_model_dir, %s, has %g; leave the key out, or start from a fresh "
                "adapter",
                key, said, r->lora_model_dir, is);
    return LRK_OK;
}

static lrk_status truth(const lrk_recipe *r, const char *key, bool said, bool is, lrk_err *err)
{
    LRK_REQUIRE(err, !lrk_recipe_gives(r, key) || said == is, LRK_EUSAGE,
                "%s is %s, but the adapter of lora_model_dir, %s, says %s; leave the key out, or start from a fresh "
                "adapter",
                key, said ? "true" : "false", r->lora_model_dir, is ? "true" : "false");
    return LRK_OK;
}

static lrk_status module(const lrk_adapter *a, const lrk_recipe *r, lrk_targets *t, const char *path, lrk_err *err)
{
    size_t rank = a->rank;
    double alpha = a->alpha;
    const bool has = lrk_adapter_find(a, path) != NULL, chosen = lrk_targets_select(t, path, &rank, &alpha);
    LRK_REQUIRE(err, has == chosen, LRK_EUSAGE,
                "lora_target_modules %s %s, which the adapter of lora_model_dir, %s, %s; leave the key out, or start "
                "from a fresh adapter",
                chosen ? "takes" : "leaves out", path, r->lora_model_dir, has ? "has" : "has not");
    return LRK_OK;
}

/* Modules of experts are left to the adapter: they have two spellings. */
static lrk_status modules(const lrk_adapter *a, const lrk_recipe *r, lrk_targets *t, const lrk_decoder *d, lrk_err *err)
{
    for (size_t i = 0; i < d->layers; i++)
        for (int which = 0; which < LRK_PROJECTIONS; which++) {
            lrk_module m;
            char path[LRK_MODULE_PATH];
            if (!lrk_module_of(d, i, which, &m)) continue;
            lrk_layer_path(d, i, m.name, path);
            LRK_TRY(module(a, r, t, path, err));
        }
    return LRK_OK;
}

lrk_status lrk_start_check(const lrk_adapter *a, const lrk_recipe *r, lrk_targets *targets, const lrk_decoder *d,
                           lrk_err *err)
{
    LRK_TRY(number(r, "lora_r", (double)r->lora_r, (double)a->rank, err));
    LRK_TRY(number(r, "lora_alpha", r->lora_alpha, a->alpha, err));
    LRK_TRY(truth(r, "peft_use_rslora", r->peft_use_rslora, a->rslora, err));
    LRK_TRY(truth(r, "peft_use_dora", r->peft_use_dora, a->dora, err));
    return targets ? modules(a, r, targets, d, err) : LRK_OK;
}
