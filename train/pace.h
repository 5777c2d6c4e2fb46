/* train/pace.h -- how long the steps of a run will take on this machine.
 *
 * One layer of the model, the middle one or the next that has an adapter, with embedding, adapters and head,
 * makes a micro-batch of the run's mean shape: forward and backward are timed, without trained tokens and with
 * as many as the data have, the best of four each. So
 *
 *   seconds = micro-batches * (layers * layer + head) + steps * update
 *
 * where update is that of the parameters of one layer, scaled to all of them.
 *
 * Large micro-batches are timed in part. Reads the weights of that layer and of the head. Evaluations,
 * checkpoints and exports come on top.
 */
#ifndef LRK_TRAIN_PACE_H
#define LRK_TRAIN_PACE_H
#include "train/session.h"

/* On the CPU. 0.0 where no layer has an adapter. trainable: parameters of the whole model. */
lrk_status lrk_pace_measure(double *seconds, const lrk_session *s, size_t trainable, lrk_err *err);

#endif /* LRK_TRAIN_PACE_H */
