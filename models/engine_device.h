/* models/engine_device.h -- an engine's passes, and its runs on a device that is not the CPU. For the
 * engine's own files. */
#ifndef LRK_MODELS_ENGINE_DEVICE_H
#define LRK_MODELS_ENGINE_DEVICE_H
#include "models/engine.h"

/* The forward pass of a run that lies on the device, and the backward pass when gradients are wanted;
 * *loss points there. */
lrk_status lrk_engine_pass(lrk_engine *e, const lrk_flat_run *b, bool gradients, double **loss,
                           lrk_err *err);

/* The loss of a run in this process's memory, *sum pointing to where it lies or will lie on the device
 * (NULL while only counting), and d(seed * loss) added to the gradients unless seed is NULL. */
lrk_status lrk_engine_sum(lrk_engine *e, const lrk_flat_run *b, const double *seed, double **sum,
                          lrk_err *err);

/* The same on a device that is not the CPU, recorded and replayed. */
lrk_status lrk_engine_device_pass(lrk_engine *e, const lrk_flat_run *b, bool gradients, double **loss,
                                  lrk_err *err);

/* The frozen arena with the weights that were sent ahead, if any were; waits until they are read. */
bool lrk_engine_take_ahead(lrk_engine *e);

/* Trained tokens of a run in this process's memory. */
size_t lrk_engine_trained(const lrk_flat_run *b);

/* The largest run: what the options say, filled up. */
lrk_flat_run lrk_engine_largest(const lrk_engine_options *o);

/* Rows of the head at most, filled up; 0: not known. */
size_t lrk_engine_head_rows(const lrk_engine_options *o);

lrk_status lrk_engine_device_open(lrk_engine *e, lrk_err *err);
void lrk_engine_device_close(lrk_engine *e);

/* The run and, unless rows is NULL, the numbers of some of its rows, on the device. */
lrk_flat_run lrk_engine_device_rows(lrk_engine *e, const lrk_flat_run *b, const int32_t **rows,
                                    size_t n_rows);

/* *logits becomes its copy in this process's memory. */
lrk_status lrk_engine_device_logits(lrk_engine *e, const lrk_tensor **logits, lrk_err *err);

#endif /* LRK_MODELS_ENGINE_DEVICE_H */
