/* train/session.h -- everything a recipe names, opened and checked, before a weight is read.
 *
 * `plan` prints it; `train` goes on from it. After open, all sizes of the run are known.
 */
#ifndef LRK_TRAIN_SESSION_H
#define LRK_TRAIN_SESSION_H
#include "data/batch.h"
#include "generate/base_model.h"
#include "models/engine.h"
#include "generate/adapter_io.h"
#include "train/corpus.h"
#include "train/new_tokens.h"
#include "train/saved.h"
#include "train/schedule.h"
#include "train/targets.h"

typedef struct lrk_session {
    const lrk_recipe *recipe;
    lrk_device device;
    lrk_base_model base;
    lrk_model_text text;
    lrk_corpus train_data, eval_data;
    lrk_batches *train, *eval; /* eval: NULL when there is nothing to evaluate on */
    lrk_targets targets, parameters, excluded;
    lrk_new_tokens new_tokens;
    lrk_saved saved;
    lrk_adapter start;         /* lora_model_dir, with rows for tokens that the recipe adds; n == 0: a fresh adapter */
    char start_sha256[65];     /* of it without them */
    lrk_lora_options lora;
    lrk_engine_options engine;
    lrk_weights_ahead ahead;   /* of a run on a GPU */
    lrk_device_info gpu;       /* as it was before them */
    lrk_schedule schedule;
    char recipe_sha256[65], steps_sha256[65], base_sha256[65]; /* the first two: recipes/recipe.h */
} lrk_session;

/* What the recipe says of its model, tried on it without data: whether it is one that can be trained, its modules, the
 * tokens that are added. Errors are those that lrk_session_open would give. */
lrk_status lrk_session_try_model(const lrk_recipe *recipe, lrk_err *err);

/* A session is not moved once it is open. runs: an engine will be opened with s->engine, so that weights
 * begin their way to a GPU at once; until then nobody else asks the GPU for anything. */
lrk_status lrk_session_open(lrk_session *s, const lrk_recipe *recipe, bool runs, lrk_err *err);
void lrk_session_close(lrk_session *s); /* may be called twice, and on a zeroed one */

/* How a recipe holds the frozen matrices that are stored in 16 or 32 bits. */
lrk_weight_bits lrk_recipe_bits(const lrk_recipe *r);

/* Steps between two evaluations, and between two checkpoints; 0: none but at the end. */
uint64_t lrk_session_eval_steps(const lrk_session *s);
uint64_t lrk_session_save_steps(const lrk_session *s);

#endif /* LRK_TRAIN_SESSION_H */
