/* models/engine_ahead.c -- weights that go to the device before the engine is opened. */
#include "models/engine_device.h"

static lrk_status lay_out(const lrk_engine_options *o, lrk_arena *frozen, lrk_weight_list *list, lrk_err *err)
{
    const lrk_model_options options = {.compute = o->compute, .lora = o->lora, .train = o->train,
                                       .bits = o->bits, .way = LRK_WEIGHTS_LISTED, .list = list};
    lrk_arena run = lrk_arena_count("run");
    lrk_model m;
    const lrk_status status = lrk_model_build(&m, &o->decoder, o->find, o->ctx, &options,
                                              (lrk_model_memory){o->device, frozen, &run}, err);
    lrk_model_free(&m);
    return status;
}

static lrk_status begin(lrk_weights_ahead *w, const lrk_engine_options *o, lrk_err *err)
{
    lrk_arena counted = lrk_arena_count("frozen");
    LRK_TRY(lay_out(o, &counted, &w->list, err));
    LRK_TRY(lrk_arena_on(o->device, &w->frozen, "frozen", counted.peak, err));
    LRK_TRY(lay_out(o, &w->frozen, &w->list, err));
    return lrk_send_begin(o->device, w->list.parcel, w->list.n, &w->sending, err);
}

lrk_status lrk_weights_ahead_begin(lrk_weights_ahead *w, const lrk_engine_options *o, lrk_err *err)
{
    *w = (lrk_weights_ahead){0};
    const lrk_status status = begin(w, o, err);
    if (status != LRK_OK) lrk_weights_ahead_end(w);
    return status;
}

static void finish(lrk_weights_ahead *w, bool stop)
{
    lrk_send_end(w->sending, stop);
    w->sending = NULL;
    lrk_heap_free(w->list.parcel);
    w->list = (lrk_weight_list){0};
}

void lrk_weights_ahead_end(lrk_weights_ahead *w)
{
    finish(w, true);
    lrk_arena_free(&w->frozen);
}

bool lrk_engine_take_ahead(lrk_engine *e)
{
    lrk_weights_ahead *w = e->options.ahead;
    if (!w || !w->sending) return false;
    finish(w, false);
    e->frozen = w->frozen;
    lrk_arena_reset(&e->frozen, 0);
    w->frozen = (lrk_arena){0};
    return true;
}
