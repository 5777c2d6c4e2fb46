/* train/metrics.h -- what a run says about itself: one JSON object a line in metrics.jsonl.
 *
 *   {"kind": "step", "step": 12, "epoch": 0.25, "loss": 1.5, "learning_rate": 1e-3, ...}
 *   {"kind": "eval", "step": 12, "epoch": 0.25, "eval_loss": 1.4, "trained_tokens": 9000}
 *
 * step counts finished optimizer steps, so the first one is 1. Numbers that are not finite are
 * null.
 */
#ifndef LRK_TRAIN_METRICS_H
#define LRK_TRAIN_METRICS_H
#include "base/arena.h"

#include <stdint.h>

typedef struct lrk_step_record {
    uint64_t step;
    double epoch; /* passes over the data so far */
    double loss;  /* mean over the trained tokens of the step, before its update */
    double learning_rate;
    double grad_norm;                /* before clipping */
    uint64_t tokens, trained_tokens; /* of the rows of this step */
    uint64_t computed_tokens;        /* fewer where rows share a beginning */
    double seconds;                  /* this step took */
    double elapsed;                  /* since training began, in this process */
    size_t peak_bytes;               /* most resident memory so far */
} lrk_step_record;

typedef struct lrk_eval_record {
    uint64_t step;
    double epoch;
    double loss;
    uint64_t trained_tokens;
    double seconds;
} lrk_eval_record;

lrk_status lrk_metrics_step(const char *path, const lrk_step_record *r, lrk_err *err);
lrk_status lrk_metrics_eval(const char *path, const lrk_eval_record *r, lrk_err *err);

/* Before a run goes on from `step`: drops what was written beyond it, the evaluation of that step if
 * it is made again, and a last line that a crash cut short. A missing file is fine. */
lrk_status lrk_metrics_rewind(const char *path, uint64_t step, bool evaluates_again, lrk_err *err);

typedef struct lrk_curve_point {
    double step, loss;
} lrk_curve_point;

typedef struct lrk_curve {
    lrk_curve_point *train, *eval;
    size_t n_train, n_eval;
} lrk_curve;

/* The losses of a file, in order, in a (growing). Lines without a finite loss are left out. */
lrk_status lrk_metrics_read(lrk_curve *c, lrk_arena *a, const char *path, lrk_err *err);

#endif /* LRK_TRAIN_METRICS_H */
