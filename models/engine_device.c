/* models/engine_device.c -- runs on a device: copied there, filled up to few shapes, recorded. */
#include "models/engine_device.h"

#include "base/size.h"
#include "kernels/gemm.h"
#include "kernels/segments.h"

#include <string.h>

/* Sizes grow by about a sixteenth: few shapes occur, and little is computed in vain. */
static size_t step_up(size_t n, size_t least)
{
    size_t step = least;
    while (step * 32 <= n) step *= 2;
    return lrk_ceil_div(n, step) * step;
}

static size_t fill_tokens(size_t n)
{
    return step_up(n, 16);
}

/* One more than there are, for the tokens that fill up; an empty segment costs next to nothing. */
static size_t fill_segments(size_t n)
{
    size_t room = 8;
    while (room < n + 1) room *= 2;
    return room;
}

static size_t step_of_trained(size_t tokens)
{
    return lrk_max(lrk_ceil_div(tokens, 8), 16);
}

/* The rows that the head is made for: what lies behind the trained ones costs its share of the products. Eighths of
 * the tokens, so that few shapes occur. They follow from the run alone, whatever was planned: a longer plan, as of
 * training that goes on, must not change the products of a run. */
static size_t fill_trained(size_t trained, size_t tokens)
{
    const size_t step = step_of_trained(tokens);
    return lrk_ceil_div(lrk_max(trained, 1), step) * step;
}

/* Of n ids or targets, so that what lies behind them begins on 64 bytes. */
static size_t room_for(size_t n)
{
    return lrk_aligned(n, 16);
}

lrk_flat_run lrk_engine_largest(const lrk_engine_options *o)
{
    lrk_flat_run b = {.n_tokens = o->max_tokens, .n_segments = o->max_segments};
    if (o->device == LRK_CPU) return b;
    b.n_tokens = fill_tokens(b.n_tokens);
    b.n_segments = fill_segments(b.n_segments);
    return b;
}

/* Runs of fewer tokens are filled up by less; none has more rows than tokens. */
size_t lrk_engine_head_rows(const lrk_engine_options *o)
{
    if (o->device == LRK_CPU || !o->max_trained) return o->max_trained;
    const size_t tokens = fill_tokens(o->max_tokens);
    return lrk_min(o->max_trained + step_of_trained(tokens) - 1, tokens);
}

static lrk_status take(lrk_engine *e, size_t n, const char *name, lrk_tensor *out, lrk_err *err)
{
    *out = lrk_vec(LRK_I32, n);
    out->name = name;
    return lrk_alloc(&e->run, n, sizeof(int32_t), name, &out->data, err);
}

lrk_status lrk_engine_device_open(lrk_engine *e, lrk_err *err)
{
    const lrk_engine_options *o = &e->options;
    const lrk_flat_run most = lrk_engine_largest(o);
    lrk_engine_batch *b = &e->batch;
    const size_t numbers = 2 * room_for(most.n_tokens) + most.n_segments * LRK_SEG_FIELDS;
    LRK_TRY(take(e, numbers, "run", &b->run, err));
    LRK_TRY(take(e, lrk_max(o->max_logits, 1), "rows", &b->rows, err));
    if (lrk_arena_counting(&e->run)) return LRK_OK;
    LRK_TRY(lrk_gemm_open(o->device, err));
    LRK_TRY(lrk_alloc(&e->model.own, numbers, sizeof *b->staging, "a run that is filled up", &b->staging, err));
    LRK_TRY(lrk_alloc(&e->model.own, LRK_MAX_SHAPES, sizeof *e->graphs, "recordings", &e->graphs, err));
    e->most_graphs = LRK_MAX_GRAPHS;
    if (!o->max_logits) return LRK_OK;
    b->logits = lrk_mat(lrk_compute_dtype(o->compute), o->max_logits, o->decoder.vocabulary);
    b->logits.name = "logits";
    return lrk_alloc(&e->model.own, lrk_bytes(&b->logits), 1, "logits", &b->logits.data, err);
}

void lrk_engine_device_close(lrk_engine *e)
{
    for (size_t i = 0; e->graphs && i < LRK_MAX_SHAPES; i++)
        lrk_device_forget(e->options.device, e->graphs[i].passes.recording);
    e->graphs = NULL;
    for (int i = 0; i < 2; i++) {
        lrk_device_forget(e->options.device, e->update[i].recording);
        e->update[i] = (lrk_repeated){0};
    }
}

/* n numbers, and `fill` behind them up to `all`. */
static void put(int32_t *to, const int32_t *from, size_t n, int32_t fill, size_t all)
{
    memcpy(to, from, n * sizeof *to);
    for (size_t i = n; i < all; i++) to[i] = fill;
}

/* Segments behind the last: one of the tokens that fill up, then empty ones. */
static void put_segments(int32_t *to, const lrk_flat_run *b, size_t tokens, size_t segments)
{
    memcpy(to, b->segments, b->n_segments * LRK_SEG_FIELDS * sizeof *to);
    for (size_t i = b->n_segments; i < segments; i++) {
        const bool filling = i == b->n_segments;
        lrk_segment_root(to + i * LRK_SEG_FIELDS, filling ? b->n_tokens : tokens,
                         filling ? tokens - b->n_tokens : 0);
    }
}

/* The run, filled up to so many tokens and segments, to the device in one piece. */
static lrk_flat_run send(lrk_engine *e, const lrk_flat_run *b, size_t tokens, size_t segments)
{
    const size_t targets = room_for(tokens), table = 2 * targets, all = table + segments * LRK_SEG_FIELDS;
    int32_t *here = e->batch.staging;
    const int32_t *there = e->batch.run.data;
    put(here, b->ids, b->n_tokens, 0, targets);
    if (b->targets) put(here + targets, b->targets, b->n_tokens, -1, targets);
    put_segments(here + table, b, tokens, segments);
    lrk_device_upload(e->options.device, e->batch.run.data, here, all * sizeof *here);
    return (lrk_flat_run){there, there + targets, there + table, tokens, segments};
}

lrk_flat_run lrk_engine_device_rows(lrk_engine *e, const lrk_flat_run *b, const int32_t **rows,
                                    size_t n_rows)
{
    if (rows) {
        lrk_device_upload(e->options.device, e->batch.rows.data, *rows, n_rows * sizeof **rows);
        *rows = e->batch.rows.data;
    }
    return send(e, b, b->n_tokens, b->n_segments);
}

lrk_status lrk_engine_device_logits(lrk_engine *e, const lrk_tensor **logits, lrk_err *err)
{
    lrk_tensor *here = &e->batch.logits;
    here->dim[0] = lrk_rows(*logits);
    LRK_TRY(lrk_device_download(e->options.device, here->data, (*logits)->data, lrk_bytes(*logits),
                                err));
    *logits = here;
    return LRK_OK;
}

size_t lrk_engine_trained(const lrk_flat_run *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n_tokens; i++) n += b->targets[i] >= 0;
    return n;
}

static void give_up(const lrk_engine *e, lrk_engine_graph *g)
{
    lrk_device_forget(e->options.device, g->passes.recording);
    g->passes.recording = NULL;
}

/* The place of this shape; where all are taken, the one that came least often is forgotten. */
static lrk_engine_graph *graph_of(lrk_engine *e, const lrk_engine_graph *shape)
{
    lrk_engine_graph *rarest = e->graphs;
    for (size_t i = 0; i < LRK_MAX_SHAPES; i++) {
        lrk_engine_graph *g = &e->graphs[i];
        if (g->passes.times && g->tokens == shape->tokens && g->segments == shape->segments &&
            g->trained == shape->trained && g->gradients == shape->gradients)
            return g;
        if (g->passes.times < rarest->passes.times) rarest = g;
    }
    give_up(e, rarest);
    *rarest = *shape;
    return rarest;
}

/* Whether g may be recorded. Of as many recordings as may be the one that came least often is given up, but only if g
 * has come clearly more often: shapes that take turns, or pass each other, would be recorded without end. */
static bool has_room(lrk_engine *e, const lrk_engine_graph *g)
{
    enum { AHEAD = 4 };
    lrk_engine_graph *rarest = NULL;
    size_t n = 0;
    if (g->passes.recording || !g->passes.times || lrk_tape_profiled(e->tape)) return true;
    for (size_t i = 0; i < LRK_MAX_SHAPES; i++) {
        lrk_engine_graph *other = &e->graphs[i];
        if (!other->passes.recording) continue;
        n++;
        if (!rarest || other->passes.times < rarest->passes.times) rarest = other;
    }
    if (n < e->most_graphs) return true;
    if (g->passes.times < rarest->passes.times + AHEAD || g->passes.refused) return false;
    give_up(e, rarest);
    return true;
}

lrk_status lrk_engine_repeat(lrk_engine *e, lrk_repeated *r, lrk_engine_work work, void *ctx, lrk_err *err)
{
    const lrk_device device = e->options.device;
    if (r->times++ == 0 || r->refused || lrk_tape_profiled(e->tape)) return work(ctx, err);
    if (!r->recording) {
        lrk_device_record_begin(device);
        const lrk_status status = work(ctx, err);
        lrk_recording *const recording = lrk_device_record_end(device);
        if (status != LRK_OK) lrk_device_forget(device, recording);
        LRK_TRY(status);
        r->recording = recording;
        r->refused = !recording; /* there was no memory for it; or the device failed */
        if (!recording) return work(ctx, err);
    }
    lrk_device_replay(device, r->recording);
    return LRK_OK;
}

typedef struct lrk_device_passes {
    lrk_engine *e;
    lrk_flat_run run;
    bool gradients;
    double **loss;
} lrk_device_passes;

static lrk_status pass(void *ctx, lrk_err *err)
{
    const lrk_device_passes *p = ctx;
    return lrk_engine_pass(p->e, &p->run, p->gradients, p->loss, err);
}

lrk_status lrk_engine_device_pass(lrk_engine *e, const lrk_flat_run *b, bool gradients, double **loss,
                                  lrk_err *err)
{
    const lrk_flat_run run = send(e, b, fill_tokens(b->n_tokens), fill_segments(b->n_segments));
    const lrk_engine_graph shape = {
        .tokens = run.n_tokens, .segments = run.n_segments, .gradients = gradients,
        .trained = fill_trained(lrk_engine_trained(b), run.n_tokens)};
    lrk_engine_graph *g = graph_of(e, &shape);
    lrk_device_passes p = {e, run, gradients, &g->loss};
    e->model.loss.max_rows = g->trained;
    if (has_room(e, g)) {
        LRK_TRY(lrk_engine_repeat(e, &g->passes, pass, &p, err));
    } else {
        g->passes.times++;
        LRK_TRY(pass(&p, err));
    }
    *loss = g->loss;
    return LRK_OK;
}
