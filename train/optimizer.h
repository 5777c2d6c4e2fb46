/* train/optimizer.h -- AdamW over a model's adapters, with clipping by the global norm.
 *
 *   lrk_engine_begin(e);  lrk_engine_add(e, ...) for each micro-batch
 *   lrk_optimizer_step(&o, e, rate);
 *   lrk_optimizer_result(&o, e, &r, err);
 *
 * A GPU is not waited for until the result is asked for, and LRK_POSTS steps may be under way. Norm, clip, update,
 * what follows from it and the zeros that the next step begins with are recorded there when they come a second time,
 * and replayed with the values of each step.
 */
#ifndef LRK_TRAIN_OPTIMIZER_H
#define LRK_TRAIN_OPTIMIZER_H
#include "models/engine.h"

typedef struct lrk_optimizer {
    double beta1, beta2, eps, decay;
    double max_norm; /* 0: no clipping */
    double b_ratio;  /* B and M of each projection learn at rate times this (LoRA+, Hayou et al., 2024); 0: 1 */
    uint64_t steps;  /* taken so far */
} lrk_optimizer;

typedef struct lrk_step_result {
    double loss;      /* the sum over the step's trained tokens, before the update */
    double grad_norm; /* before clipping */
} lrk_step_result;

/* One step at this rate; the moments are the engine's. Gradients are multiplied by
 * min(1, max_norm / (norm + 1e-6)). A norm that is not finite changes nothing. */
void lrk_optimizer_step(lrk_optimizer *o, lrk_engine *e, double rate);

/* Of the oldest step whose result was not asked for. LRK_ENUMERIC when loss or norm are not finite. */
lrk_status lrk_optimizer_result(const lrk_optimizer *o, lrk_engine *e, lrk_step_result *r,
                                lrk_err *err);

#endif /* LRK_TRAIN_OPTIMIZER_H */
