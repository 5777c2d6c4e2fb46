/* train/optimizer.c -- the step of the optimizer. */
#include "train/optimizer.h"

#include <math.h>

/* n elements from `first` on, on whichever device the model lies. */
static void step_part(const lrk_engine *e, const lrk_adamw *a, const lrk_adamw_values *there, size_t first,
                      size_t n)
{
    float *p = (float *)e->model.parameters.data + first, *g = (float *)e->model.gradients.data + first;
    float *m = (float *)e->moment[0].data + first, *v = (float *)e->moment[1].data + first;
    const size_t shadowed = e->model.shadow.rank ? lrk_count(&e->model.shadow) : 0;
    uint16_t *const shadow = first < shadowed ? (uint16_t *)e->model.shadow.data + first : NULL;
    if (shadow && n > shadowed - first) {
        step_part(e, a, there, first, shadowed - first);
        step_part(e, a, there, shadowed, first + n - shadowed);
    } else if (there) {
        lrk_adamw_step_cuda(a, there, p, g, m, v, shadow, n);
    } else {
        lrk_adamw_step(a, p, g, m, v, n);
    }
}

/* One side of every projection: A, or what follows it, B and M. What is trained whole learns as A does. */
static void step_side(const lrk_engine *e, const lrk_adamw *a, const lrk_adamw_values *there, bool second)
{
    const lrk_model *m = &e->model;
    const float *all = m->parameters.data;
    for (size_t i = 0; i < m->n_adapted; i++) {
        const lrk_projection *p = m->adapted[i];
        const size_t at = (size_t)((const float *)p->a.data - all), n = lrk_count(&p->a);
        const size_t rest = lrk_count(&p->b) + (p->m.rank ? lrk_count(&p->m) : 0);
        step_part(e, a, there, second ? at + n : at, second ? rest : n);
    }
    for (size_t i = 0; i < m->n_whole && !second; i++) {
        const lrk_tensor *w = &m->whole[i].weight;
        step_part(e, a, there, (size_t)((const float *)w->data - all), lrk_count(w));
    }
}

static bool one_rate(const lrk_optimizer *o) { return o->b_ratio <= 0.0 || o->b_ratio == 1.0; }

static lrk_adamw faster(const lrk_optimizer *o, const lrk_adamw *a)
{
    lrk_adamw b = *a;
    b.learning_rate *= o->b_ratio;
    return b;
}

static void step_on_cpu(const lrk_optimizer *o, const lrk_engine *e, lrk_adamw *a, lrk_adamw_values *v)
{
    const lrk_model *m = &e->model;
    const size_t n = lrk_count(&m->parameters);
    v->norm = lrk_norm(m->gradients.data, n);
    a->clip = 1.0;
    if (v->max_norm > 0.0 && v->norm + 1e-6 > v->max_norm) a->clip = v->max_norm / (v->norm + 1e-6);
    if (isfinite(v->norm) && one_rate(o)) {
        step_part(e, a, NULL, 0, n);
    } else if (isfinite(v->norm)) {
        const lrk_adamw b = faster(o, a);
        step_side(e, a, NULL, false);
        step_side(e, &b, NULL, true);
    }
    e->step_results.results->optimizer = *v;
}

static void step_on_gpu(const lrk_optimizer *o, lrk_engine *e, const lrk_adamw *a, const lrk_adamw_values *v)
{
    const lrk_model *m = &e->model;
    const size_t n = lrk_count(&m->parameters);
    lrk_adamw_values *there = &e->step_results.results->optimizer;
    lrk_device_upload(LRK_CUDA, there, v, sizeof *v);
    lrk_norm_cuda(m->gradients.data, n, e->norm_parts, there);
    if (one_rate(o)) {
        step_part(e, a, there, 0, n);
        return;
    }
    const lrk_adamw b = faster(o, a);
    const lrk_adamw_values second = lrk_adamw_values_of(&b, o->max_norm);
    step_side(e, a, there, false);
    /* what the norm pass wrote stays */
    lrk_device_upload(LRK_CUDA, &there->keep, &second.keep, sizeof second.keep);
    lrk_device_upload(LRK_CUDA, &there->rate, &second.rate, sizeof second.rate);
    step_side(e, &b, there, true);
}

void lrk_optimizer_step(lrk_optimizer *o, lrk_engine *e, double rate)
{
    lrk_adamw a = {.learning_rate = rate, .beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps,
                   .decay = o->decay, .step = o->steps + 1};
    lrk_adamw_values v = lrk_adamw_values_of(&a, o->max_norm);
    if (e->options.device == LRK_CPU)
        step_on_cpu(o, e, &a, &v);
    else
        step_on_gpu(o, e, &a, &v);
    lrk_model_settle(&e->model, true);
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
