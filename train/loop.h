/* train/loop.h -- training, from the first step to the last. */
#ifndef LRK_TRAIN_LOOP_H
#define LRK_TRAIN_LOOP_H
#include "train/progress.h"
#include "train/run_dir.h"
#include "train/run_state.h"
#include "train/session.h"

typedef struct lrk_training {
    lrk_session *session;
    lrk_engine *engine;
    lrk_run_dir *dir;
    lrk_run_state state;
    lrk_optimizer optimizer;
    lrk_progress progress;
    lrk_step_record under_way[LRK_POSTS]; /* begun, oldest first; their losses are not known yet */
    size_t n_under_way;
    double started, last_elapsed; /* lrk_seconds(), and seconds since then when the last step ended */
} lrk_training;

/* Goes on from state.step until the schedule ends, saving and evaluating as the recipe says.
 * LRK_STOPPED after a signal: the state is saved. LRK_ENUMERIC when loss or gradient are not finite:
 * the last checkpoint stands. */
lrk_status lrk_training_run(lrk_training *t, lrk_err *err);

/* Mean loss of the evaluation rows; dropout is off meanwhile. */
lrk_status lrk_evaluate(lrk_training *t, double *loss, uint64_t *trained, lrk_err *err);

#endif /* LRK_TRAIN_LOOP_H */
