/* train/comm.h -- where a step is summed over ranks, and nowhere else.
 *
 * A rank holds the whole model and trains rows of its own. What a step lowers is one mean, over the trained
 * tokens of all ranks, so three sums meet here:
 *
 *   count     lrk_comm_share      before the first backward pass: each loss is multiplied by 1 / count
 *   gradient  lrk_comm_gradients  behind the last one, before clip
 *   loss      lrk_comm_mean       when the numbers of the step are read; of an evaluation too
 *
 * There is one rank, 0 of 1, and its own sums are the totals. A second one has to bring
 *
 *   - the same recipe, base model and start; from there on parameters and moments stay equal and are never sent, for
 *     every rank clips and steps with the same totals,
 *   - its rows of each step, by a rule of seed, epoch, position and number of ranks alone (data/batch.h), and as
 *     many steps as the others: one without rows left brings zeros,
 *   - dropout masks that no other rank draws: micro-batches are counted through all ranks (train/loop.c),
 *   - sums in the order of ranks, (r0 + r1) + r2, whoever is ready first: gradients element by element in f32,
 *     losses in f64. Then bits depend on how many ranks there are, and on nothing else,
 *   - the total before clip: the norm of a sum is not the sum of norms.
 *
 * Rank 0 alone writes the run directory.
 */
#ifndef LRK_TRAIN_COMM_H
#define LRK_TRAIN_COMM_H
#include "models/engine.h"

/* What the loss of each micro-batch of a step is multiplied by; trained: this rank's trained tokens of it, > 0. */
double lrk_comm_share(size_t trained);

/* The gradients that clip and the update read, where the engine lies. The optimizer asks for them in every step. */
const lrk_tensor *lrk_comm_gradients(const lrk_engine *e);

/* Mean loss, from this rank's sum and its trained tokens; 0 where there are none. */
double lrk_comm_mean(double loss, uint64_t trained);

#endif /* LRK_TRAIN_COMM_H */
