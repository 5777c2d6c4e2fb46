/* train/optimizer.h -- AdamW over a model's adapters, with clipping by the global norm. */
#ifndef LRK_TRAIN_OPTIMIZER_H
#define LRK_TRAIN_OPTIMIZER_H
#include "models/engine.h"

typedef struct lrk_optimizer {
    double beta1, beta2, eps, decay;
    double max_norm; /* 0: no clipping */
    uint64_t steps;  /* taken so far */
} lrk_optimizer;

void lrk_optimizer_clear(const lrk_engine *e); /* gradients to zero, before the micro-batches */

/* One step at this rate; the moments are the engine's. Gradients are multiplied by
 * min(1, max_norm / (norm + 1e-6)); *norm is the one before. A norm that is not finite is
 * LRK_ENUMERIC, and nothing is changed. */
lrk_status lrk_optimizer_step(lrk_optimizer *o, const lrk_engine *e, double rate, double *norm,
                              lrk_err *err);

#endif /* LRK_TRAIN_OPTIMIZER_H */
