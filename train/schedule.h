/* train/schedule.h -- the learning rate as a pure function of the optimizer step.
 *
 * Steps s count from 0. Warm-up of w steps, n steps in all:
 *   s < w     peak * s / w                               so the very first rate is 0
 *   constant  peak
 *   linear    peak * (n - s) / (n - w)
 *   cosine    peak * (min + (1 - min) * (1 + cos(pi * (s - w) / (n - w))) / 2)
 * Source: transformers, optimization.py.
 */
#ifndef LRK_TRAIN_SCHEDULE_H
#define LRK_TRAIN_SCHEDULE_H
#include <stdint.h>

typedef enum lrk_schedule_kind {
    LRK_SCHEDULE_CONSTANT,
    LRK_SCHEDULE_LINEAR,
    LRK_SCHEDULE_COSINE
} lrk_schedule_kind;

typedef struct lrk_schedule {
    lrk_schedule_kind kind;
    double peak, min_ratio;
    uint64_t warmup, total;
} lrk_schedule;

double lrk_schedule_rate(const lrk_schedule *s, uint64_t step);

#endif /* LRK_TRAIN_SCHEDULE_H */
