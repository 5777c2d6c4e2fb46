/* train/optimizer.c -- the step of the optimizer. */
#include "train/optimizer.h"

#include "kernels/adamw/adamw.h"

#include <math.h>
#include <string.h>

lrk_status lrk_optimizer_new(lrk_optimizer *o, const lrk_model *m, lrk_arena *run, lrk_err *err)
{
    o->m = o->v = m->parameters;
    o->m.name = "first moments";
    o->v.name = "second moments";
    o->steps = 0;
    const size_t n = lrk_count(&m->parameters);
    LRK_TRY(lrk_alloc(run, n, sizeof(float), o->m.name, &o->m.data, err));
    LRK_TRY(lrk_alloc(run, n, sizeof(float), o->v.name, &o->v.data, err));
    if (o->m.data) memset(o->m.data, 0, n * sizeof(float));
    if (o->v.data) memset(o->v.data, 0, n * sizeof(float));
    return LRK_OK;
}

void lrk_optimizer_clear(const lrk_model *m)
{
    memset(m->gradients.data, 0, lrk_bytes(&m->gradients));
}

lrk_status lrk_optimizer_step(lrk_optimizer *o, const lrk_model *m, double rate, double *norm,
                              lrk_err *err)
{
    const size_t n = lrk_count(&m->parameters);
    *norm = lrk_norm(m->gradients.data, n);
    LRK_REQUIRE(err, isfinite(*norm), LRK_ENUMERIC,
                "step %llu: the gradient is not finite; lower learning_rate, or look for NaN in the "
                "data and the base model",
                (unsigned long long)o->steps);
    double clip = 1.0;
    if (o->max_norm > 0.0 && *norm + 1e-6 > o->max_norm) clip = o->max_norm / (*norm + 1e-6);
    const lrk_adamw a = {.learning_rate = rate, .beta1 = o->beta1, .beta2 = o->beta2,
                         .eps = o->eps, .decay = o->decay, .clip = clip, .step = o->steps + 1};
    lrk_adamw_step(&a, m->parameters.data, m->gradients.data, o->m.data, o->v.data, n);
    o->steps++;
    return LRK_OK;
}
