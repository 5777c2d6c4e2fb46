/* train/run.h -- a run from its recipe to its adapter. */
#ifndef LRK_TRAIN_RUN_H
#define LRK_TRAIN_RUN_H
#include "train/loop.h"
#include "train/plan.h"

/* told: called with the plan once the run directory is taken, before a weight is read; may be NULL. */
typedef void (*lrk_plan_fn)(const lrk_plan *plan, const lrk_session *session);

/* What a run came to. */
typedef struct lrk_run_summary {
    uint64_t steps, total, now; /* taken, planned, and of the former in this process */
    uint64_t tokens;            /* of the steps now */
    double seconds;             /* they took */
    bool trained, evaluated;    /* the following are known */
    double first_loss, last_loss, eval_loss, best_loss;
    uint64_t best_step;
} lrk_run_summary;

/* done: called when all outputs are there; may be NULL. */
typedef lrk_status (*lrk_done_fn)(const lrk_run_summary *summary, const lrk_session *session, lrk_err *err);

/* begins: called when all that a run needs is there, right before its first step; may be NULL. From
 * then on a stop is asked for (base/signals.h). */
lrk_status lrk_run_recipe(const lrk_recipe *recipe, bool resume, lrk_plan_fn told,
                          void (*begins)(void), lrk_done_fn done, lrk_err *err);

#endif /* LRK_TRAIN_RUN_H */
