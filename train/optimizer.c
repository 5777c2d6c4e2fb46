/* train/optimizer.c -- the step of the optimizer. */
#include "train/optimizer.h"

#include "train/comm.h"

#include <math.h>

/* One step: the model, its gradients, and what is done with them. */
typedef struct lrk_update {
    const lrk_engine *e;
    const lrk_tensor *gradients;
    bool one_rate;
    lrk_adamw at[2];         /* on the CPU; the second: what B and M learn at, where they have a rate of their own */
    lrk_adamw_values *there; /* the same on a GPU; NULL on the CPU */
} lrk_update;

/* n elements from `first` on, on whichever device the model lies. */
static void step_part(const lrk_update *u, bool second, size_t first, size_t n)
{
    const lrk_engine *e = u->e;
    float *p = (float *)e->model.parameters.data + first;
    const float *g = (const float *)u->gradients->data + first;
    float *m = (float *)e->moment[0].data + first, *v = (float *)e->moment[1].data + first;
    const size_t shadowed = e->model.shadow.rank ? lrk_count(&e->model.shadow) : 0;
    uint16_t *const shadow = first < shadowed ? (uint16_t *)e->model.shadow.data + first : NULL;
    if (shadow && n > shadowed - first) {
        step_part(u, second, first, shadowed - first);
        step_part(u, second, shadowed, first + n - shadowed);
    } else if (u->there) {
        lrk_adamw_step_cuda(u->there, second, p, g, m, v, shadow, n);
    } else {
        lrk_adamw_step(&u->at[second], p, g, m, v, n);
    }
}

/* One side of every projection: A, or what follows it, B and M. What is trained whole learns as A does. */
static void step_side(const lrk_update *u, bool second)
{
    const lrk_model *m = &u->e->model;
    const float *all = m->parameters.data;
    for (size_t i = 0; i < m->n_adapted; i++) {
        const lrk_projection *p = m->adapted[i];
        const float *side = second ? p->b.data : p->a.data;
        const size_t rest = lrk_count(&p->b) + (p->m.rank ? lrk_count(&p->m) : 0);
        step_part(u, second, (size_t)(side - all), second ? rest : lrk_count(&p->a));
    }
    for (size_t i = 0; i < m->n_whole && !second; i++) {
        const lrk_tensor *w = &m->whole[i].weight;
        step_part(u, second, (size_t)((const float *)w->data - all), lrk_count(w));
    }
}

static void step_all(const lrk_update *u)
{
    if (u->one_rate) {
        step_part(u, false, 0, lrk_count(u->gradients));
    } else {
        step_side(u, false);
        step_side(u, true);
    }
    lrk_model_settle(&u->e->model, true);
}

static void step_on_cpu(lrk_update *u, lrk_adamw_values *v)
{
    v->norm = lrk_norm(u->gradients->data, lrk_count(u->gradients));
    const bool clips = v->max_norm > 0.0 && v->norm + 1e-6 > v->max_norm;
    u->at[0].clip = u->at[1].clip = clips ? v->max_norm / (v->norm + 1e-6) : 1.0;
    if (isfinite(v->norm)) step_all(u);
    u->e->step_results.results->optimizer = *v;
}

/* The same kernels at the same addresses in every step: what differs lies in u->there. The next step begins with
 * gradients of zero, and nothing but its own copies and recordings is asked for then. */
static lrk_status ask_gpu(void *ctx, lrk_err *err)
{
    (void)err;
    const lrk_update *u = ctx;
    lrk_norm_cuda(u->gradients->data, lrk_count(u->gradients), u->e->norm_parts, u->there);
    step_all(u);
    lrk_device_zero(LRK_CUDA, u->gradients->data, lrk_bytes(u->gradients));
    return LRK_OK;
}

static void step_on_gpu(lrk_engine *e, lrk_update *u, const lrk_adamw_values *v)
{
    u->there = &e->step_results.results->optimizer;
    lrk_device_upload(LRK_CUDA, u->there, v, sizeof *v);
    (void)lrk_engine_repeat(e, &e->update[u->one_rate], ask_gpu, u, NULL);
    e->cleared = u->gradients == &e->model.gradients;
}

void lrk_optimizer_step(lrk_optimizer *o, lrk_engine *e, double rate)
{
    const lrk_adamw a = {.learning_rate = rate, .beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps,
                         .decay = o->decay, .step = o->steps + 1};
    lrk_update u = {.e = e, .gradients = lrk_comm_gradients(e), .at = {a, a},
                    .one_rate = o->b_ratio <= 0.0 || o->b_ratio == 1.0};
    lrk_adamw_values v = lrk_adamw_values_of(&a, o->b_ratio, o->max_norm);
    u.at[1].learning_rate *= o->b_ratio;
    if (e->options.device == LRK_CPU)
        step_on_cpu(&u, &v);
    else
        step_on_gpu(e, &u, &v);
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
