/* train/optimizer.c -- the step of the optimizer. */
#include "train/optimizer.h"

#include <math.h>

static void step_on_cpu(const lrk_engine *e, lrk_adamw *a, lrk_adamw_values *v)
{
    const lrk_model *m = &e->model;
    const size_t n = lrk_count(&m->parameters);
    v->norm = lrk_norm(m->gradients.data, n);
    a->clip = 1.0;
    if (v->max_norm > 0.0 && v->norm + 1e-6 > v->max_norm) a->clip = v->max_norm / (v->norm + 1e-6);
    if (isfinite(v->norm))
        lrk_adamw_step(a, m->parameters.data, m->gradients.data, e->moment[0].data,
                       e->moment[1].data, n);
    e->step_results.results->optimizer = *v;
}

static void step_on_gpu(lrk_engine *e, const lrk_adamw *a, const lrk_adamw_values *v)
{
    const lrk_model *m = &e->model;
    const size_t n = lrk_count(&m->parameters);
    lrk_adamw_values *there = &e->step_results.results->optimizer;
    lrk_device_upload(LRK_CUDA, there, v, sizeof *v);
    lrk_norm_cuda(m->gradients.data, n, e->norm_parts, there);
    lrk_adamw_step_cuda(a, there, m->parameters.data, m->gradients.data, e->moment[0].data,
                        e->moment[1].data, NULL, n);
}

void lrk_optimizer_step(lrk_optimizer *o, lrk_engine *e, double rate)
{
    lrk_adamw a = {.learning_rate = rate, .beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps,
                   .decay = o->decay, .step = o->steps + 1};
    lrk_adamw_values v = lrk_adamw_values_of(&a, o->max_norm);
    if (e->options.device == LRK_CPU)
        step_on_cpu(e, &a, &v);
    else
        step_on_gpu(e, &a, &v);
    lrk_model_settle(&e->model);
    lrk_engine_post(e);
    o->steps++;
}

lrk_status lrk_optimizer_result(const lrk_optimizer *o, lrk_engine *e, lrk_step_result *r,
                                lrk_err *err)
{
    lrk_adamw_values v;
    LRK_TRY(lrk_engine_take(e, &v, &r->loss, err));
    const unsigned long long step =
        (unsigned long long)(o->steps - lrk_mailbox_waiting(e->step_results.box));
    r->grad_norm = v.norm;
    LRK_REQUIRE(err, isfinite(r->loss), LRK_ENUMERIC,
                "step %llu: the loss is not finite; lower learning_rate, or look for NaN in the base "
                "model",
                step);
    LRK_REQUIRE(err, isfinite(v.norm), LRK_ENUMERIC,
                "step %llu: the gradient is not finite; lower learning_rate, or look for NaN in the "
                "data and the base model",
                step);
    return LRK_OK;
}
