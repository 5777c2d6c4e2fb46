/* train/curve.h -- the loss curve of a run as a picture: SVG, self-contained, light. */
#ifndef LRK_TRAIN_CURVE_H
#define LRK_TRAIN_CURVE_H
#include "train/metrics.h"

/* Training loss as it was and smoothed (exponential mean over an eightieth of the run), evaluation
 * loss as points. title is plain text; it is escaped. Long runs are thinned to what a screen shows.
 */
lrk_status lrk_curve_svg(const lrk_curve *c, const char *title, lrk_buf *b, lrk_err *err);

/* From metrics.jsonl to loss.svg, written whole or not at all. */
lrk_status lrk_curve_write(const char *metrics, const char *svg, const char *title, lrk_err *err);

/* A step of 1, 2 or 5 times a power of ten that cuts `span` into about n pieces; span > 0. */
double lrk_nice_step(double span, int n);

#endif /* LRK_TRAIN_CURVE_H */
