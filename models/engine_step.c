/* models/engine_step.c -- an optimizer step whose numbers are read later. */
#include "models/engine.h"
#include "models/engine_device.h"

void lrk_engine_begin(lrk_engine *e)
{
    const lrk_tensor *g = &e->model.gradients;
    if (!e->cleared) lrk_device_zero(e->options.device, g->data, lrk_bytes(g));
    e->cleared = true;
    e->step_results.n = 0;
    e->step_results.early = 0.0;
}

/* Waits for the losses so far: there is no place for more. */
static lrk_status make_room(lrk_engine *e, lrk_err *err)
{
    lrk_engine_step *s = &e->step_results;
    double loss[LRK_MAX_LATE];
    LRK_TRY(lrk_device_download(e->options.device, loss, s->results->loss, sizeof loss, err));
    for (size_t i = 0; i < s->n; i++) s->early += loss[i];
    s->n = 0;
    return LRK_OK;
}

lrk_status lrk_engine_add(lrk_engine *e, const lrk_flat_run *b, double seed, lrk_err *err)
{
    lrk_engine_step *s = &e->step_results;
    double *sum;
    if (s->n == LRK_MAX_LATE) LRK_TRY(make_room(e, err));
    LRK_TRY(lrk_engine_sum(e, b, &seed, &sum, err));
    lrk_device_copy(e->options.device, &s->results->loss[s->n++], sum, sizeof *sum);
    return LRK_OK;
}

void lrk_engine_post(lrk_engine *e)
{
    lrk_engine_step *s = &e->step_results;
    s->posted[s->posts % LRK_POSTS].n = s->n;
    s->posted[s->posts++ % LRK_POSTS].early = s->early;
    lrk_mailbox_post(s->box, s->results);
}

lrk_status lrk_engine_take(lrk_engine *e, lrk_adamw_values *values, double *loss, lrk_err *err)
{
    lrk_engine_step *s = &e->step_results;
    const size_t slot = s->takes++ % LRK_POSTS;
    lrk_engine_results r;
    LRK_TRY(lrk_mailbox_take(s->box, &r, err));
    *values = r.optimizer;
    *loss = s->posted[slot].early;
    for (size_t i = 0; i < s->posted[slot].n; i++) *loss += r.loss[i];
    return LRK_OK;
}
