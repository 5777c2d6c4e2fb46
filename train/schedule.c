/* train/schedule.c -- learning rate schedules. */
#include "train/schedule.h"

#include <math.h>

double lrk_schedule_rate(const lrk_schedule *s, uint64_t step)
{
    if (step < s->warmup) return s->peak * (double)step / (double)s->warmup;
    if (s->kind == LRK_SCHEDULE_CONSTANT || s->total <= s->warmup) return s->peak;
    if (step >= s->total) step = s->total;
    const double done = (double)(step - s->warmup) / (double)(s->total - s->warmup);
    if (s->kind == LRK_SCHEDULE_LINEAR) return s->peak * (1.0 - done);
    const double cosine = 0.5 * (1.0 + cos(3.14159265358979323846 * done));
    return s->peak * (s->min_ratio + (1.0 - s->min_ratio) * cosine);
}
