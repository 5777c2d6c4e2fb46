/* train/optimizer.c -- the step of the optimizer. */
#include "train/optimizer.h"

#include "kernels/adamw/adamw.h"

#include <math.h>

void lrk_optimizer_clear(const lrk_engine *e)
{
    lrk_device_zero(e->options.device, e->model.gradients.data, lrk_bytes(&e->model.gradients));
}

lrk_status lrk_optimizer_step(lrk_optimizer *o, const lrk_engine *e, double rate, double *norm,
                              lrk_err *err)
{
    const lrk_model *m = &e->model;
    const size_t n = lrk_count(&m->parameters);
    *norm = lrk_norm(m->gradients.data, n);
    LRK_REQUIRE(err, isfinite(*norm), LRK_ENUMERIC,
                "step %llu: the gradient is not finite; lower learning_rate, or look for NaN in the "
                "data and the base model",
                (unsigned long long)o->steps + 1);
    double clip = 1.0;
    if (o->max_norm > 0.0 && *norm + 1e-6 > o->max_norm) clip = o->max_norm / (*norm + 1e-6);
    const lrk_adamw a = {.learning_rate = rate, .beta1 = o->beta1, .beta2 = o->beta2,
                         .eps = o->eps, .decay = o->decay, .clip = clip, .step = o->steps + 1};
    lrk_adamw_step(&a, m->parameters.data, m->gradients.data, e->moment[0].data, e->moment[1].data, n);
    o->steps++;
    return LRK_OK;
}
