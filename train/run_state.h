/* train/run_state.h -- a run in a file, so that killed and resumed equals never killed, byte for byte.
 *
 * Tensors: adapters and both moments, f32, in the model's order. Facts: how many steps were taken,
 * where the data goes on, the best evaluation, and what must not have changed meanwhile: recipe, base
 * model, token sets, instruction set. Random numbers need no state: they are counted (base/rng.h).
 */
#ifndef LRK_TRAIN_RUN_STATE_H
#define LRK_TRAIN_RUN_STATE_H
#include "train/optimizer.h"
#include "train/run_dir.h"
#include "train/session.h"

typedef struct lrk_run_state {
    uint64_t step;        /* optimizer steps taken */
    lrk_batch_cursor cursor;
    bool evaluated;
    double best_loss;     /* of the evaluations so far */
    uint64_t best_step;
    uint64_t worse;       /* evaluations in a row without a better one */
    bool eval_pending;    /* a signal cut the evaluation of this step short: it is made again */
} lrk_run_state;

lrk_status lrk_run_state_save(const char *path, const lrk_run_state *state, const lrk_session *s,
                              const lrk_engine *e, lrk_err *err);

/* Into the engine's memory; the caller then moves the batches to the cursor. A file of another run:
 * LRK_EINPUT naming what differs. */
lrk_status lrk_run_state_load(const char *path, lrk_run_state *state, const lrk_session *s,
                              lrk_engine *e, lrk_err *err);

/* The newest whole checkpoint of a run directory; *found is false when there is none. */
lrk_status lrk_run_state_newest(lrk_run_dir *d, lrk_run_state *state, const lrk_session *s,
                                lrk_engine *e, bool *found, lrk_err *err);

#endif /* LRK_TRAIN_RUN_STATE_H */
