/* train/pace.c -- times a step of one layer. */
#include "train/pace.h"

#include "base/clock.h"
#include "base/size.h"
#include "train/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double most_work = 4e10; /* FLOPs of a timed pass, about; keeps a plan below a second */

/* A model of one layer, which is one of the session's. */
typedef struct lrk_excerpt {
    const lrk_session *session;
    size_t layer;
} lrk_excerpt;

static void whole_name(const lrk_excerpt *x, const char *name, char *out, size_t size)
{
    const lrk_decoder *d = &x->session->base.decoder;
    char first[LRK_MODULE_PATH], there[LRK_MODULE_PATH];
    lrk_layer_path(d, 0, "", first);
    lrk_layer_path(d, x->layer, "", there);
    const size_t n = strlen(first);
    const bool below = strncmp(name, first, n) == 0;
    snprintf(out, size, "%s%s", below ? there : "", below ? name + n : name);
}

static lrk_status find(void *ctx, const char *name, lrk_tensor *out, lrk_err *err)
{
    const lrk_excerpt *x = ctx;
    const lrk_engine_options *o = &x->session->engine;
    char whole[256];
    whole_name(x, name, whole, sizeof whole);
    return o->find(o->ctx, whole, out, err);
}

static bool select_module(void *ctx, const char *path, size_t *rank, double *alpha)
{
    const lrk_excerpt *x = ctx;
    const lrk_lora_options *lora = &x->session->lora;
    char whole[256];
    whole_name(x, path, whole, sizeof whole);
    return lora->select(lora->ctx, whole, rank, alpha);
}

static bool chosen(const lrk_session *s, const char *path)
{
    size_t rank = s->lora.rank;
    double alpha = s->lora.alpha;
    return s->lora.select(s->lora.ctx, path, &rank, &alpha);
}

static bool has_adapter(const lrk_session *s, size_t layer)
{
    const lrk_decoder *d = &s->base.decoder;
    char path[LRK_MODULE_PATH];
    for (int which = 0; which < LRK_PROJECTIONS; which++) {
        lrk_module m;
        if (!lrk_module_of(d, layer, which, &m)) continue;
        lrk_layer_path(d, layer, m.name, path);
        if (chosen(s, path)) return true;
    }
    for (int which = LRK_GATE; which <= LRK_DOWN && (d->layer[layer] & LRK_LAYER_EXPERTS); which++) {
        lrk_expert_path(d, layer, 0, which, path);
        if (chosen(s, path)) return true;
        lrk_experts_path(layer, which == LRK_DOWN ? LRK_DOWN : LRK_GATE_UP, path);
        if (chosen(s, path)) return true;
    }
    return false;
}

/* The layer next to the middle that has an adapter; false: none has. */
static bool choose_layer(const lrk_session *s, size_t *layer)
{
    const size_t n = s->base.decoder.layers;
    for (size_t i = 0; i < n; i++) {
        *layer = (n / 2 + i) % n;
        if (!s->lora.select || has_adapter(s, *layer)) return true;
    }
    return false;
}

/* The mean micro-batch of the run, or as many whole rows of it as there is time for: `prefix` tokens that
 * all share, and `length` more of each row, of which `trained` are trained. */
typedef struct lrk_shape_of_run {
    size_t prefix, rows, length, trained;
    double longer; /* work of a token of the run over that of one here, where even one row is cut short */
} lrk_shape_of_run;

static size_t tokens_of(const lrk_shape_of_run *shape)
{
    return shape->prefix + shape->rows * shape->length;
}

/* As if rows shared one beginning: P + c tokens each make R c + P of them. */
static double own_tokens(const lrk_batch_limits *l, double micro)
{
    const double whole = (double)l->tokens / (double)l->rows, rows = micro * (double)l->rows / (double)l->computed;
    if (l->computed == l->tokens || rows < 1.5) return whole;
    const double own = (micro - whole) / (rows - 1.0);
    return own > 1.0 ? own : 1.0;
}

/* FLOPs of a token in a layer of so many numbers: two products forward and two back, and seven of attention over half
 * of a row. */
static double layer_work(const lrk_decoder *d, double numbers, double row)
{
    return 4.0 * numbers + 7.0 * row * (double)(d->heads * d->head_size);
}

static lrk_shape_of_run mean_shape(const lrk_session *s)
{
    const lrk_decoder *d = &s->base.decoder;
    const lrk_batch_limits *l = lrk_batches_limits(s->train);
    const double head = (double)d->vocabulary * (double)d->width, tokens = (double)l->computed;
    const double layer = ((double)lrk_decoder_matrix_parameters(d) - head) / (double)d->layers;
    const double share = (double)l->trained / tokens;
    const double per_token = 4.0 * (layer + share * head), per_step = tokens / (double)l->steps;
    const double micro = per_step < (double)l->micro_tokens ? per_step : (double)l->micro_tokens;
    const double most = micro < most_work / per_token ? micro : most_work / per_token;
    const double length = own_tokens(l, micro), prefix = (double)l->tokens / (double)l->rows - length;
    const double rows = (most - prefix) / length;
    lrk_shape_of_run shape = {.prefix = (size_t)(prefix + 0.5),
                              .rows = rows > 1.5 ? (size_t)(rows + 0.5) : 1, .length = (size_t)(length + 0.5),
                              .longer = 1.0};
    if (rows < 1.0) {
        shape.length = (size_t)lrk_max((size_t)most, 1);
        shape.longer = layer_work(d, layer, prefix + length) / layer_work(d, layer, prefix + (double)shape.length);
    }
    shape.trained = (size_t)(share * (double)tokens_of(&shape) / (double)shape.rows + 0.5);
    shape.trained = lrk_max(lrk_min(shape.trained, shape.length), 1);
    return shape;
}

/* Tokens from all over the vocabulary; the last ones of each row are trained. */
typedef struct lrk_sample_run {
    int32_t *ids, *none, *targets, *segments;
    lrk_flat_run run; /* with targets */
    lrk_arena arena;
} lrk_sample_run;

static lrk_status make_run(lrk_sample_run *r, const lrk_shape_of_run *shape, size_t vocabulary, lrk_err *err)
{
    const size_t n = tokens_of(shape), segments = shape->rows + (shape->prefix > 0);
    *r = (lrk_sample_run){.arena = lrk_arena_growing("sample")};
    LRK_TRY(lrk_alloc(&r->arena, n, sizeof *r->ids, "sample", &r->ids, err));
    LRK_TRY(lrk_alloc(&r->arena, n, sizeof *r->none, "sample", &r->none, err));
    LRK_TRY(lrk_alloc(&r->arena, n, sizeof *r->targets, "sample", &r->targets, err));
    LRK_TRY(lrk_alloc(&r->arena, segments, LRK_SEG_FIELDS * sizeof *r->segments, "sample", &r->segments, err));
    for (size_t i = 0; i < n; i++) {
        r->ids[i] = (int32_t)(i * 7919 % vocabulary);
        r->none[i] = -1;
        r->targets[i] = -1;
    }
    int32_t *segment = r->segments;
    if (shape->prefix) {
        lrk_segment_root(segment, 0, shape->prefix);
        segment += LRK_SEG_FIELDS;
    }
    for (size_t i = 0, at = shape->prefix; i < shape->rows; i++, segment += LRK_SEG_FIELDS) {
        lrk_segment_child(segment, at, shape->length, shape->prefix, shape->prefix ? 0 : -1);
        at += shape->length;
        for (size_t k = at - shape->trained; k < at; k++) r->targets[k] = r->ids[k];
    }
    r->run = (lrk_flat_run){r->ids, r->targets, r->segments, n, segments};
    return LRK_OK;
}

/* The shortest so far: others use the processor too, and the first pass touches its memory. */
static lrk_status time_pass(lrk_engine *e, const lrk_flat_run *run, double *best, lrk_err *err)
{
    double loss;
    const double start = lrk_seconds();
    LRK_TRY(lrk_engine_gradients(e, run, 1.0, &loss, err));
    const double seconds = lrk_seconds() - start;
    if (seconds < *best) *best = seconds;
    return LRK_OK;
}

static double time_update(lrk_engine *e)
{
    lrk_optimizer o = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .max_norm = 1.0};
    const double start = lrk_seconds();
    lrk_optimizer_step(&o, e, 0.0);
    return lrk_seconds() - start;
}

static lrk_status measure(lrk_engine *e, const lrk_session *s, const lrk_sample_run *r, size_t trainable, double longer,
                          double *seconds, lrk_err *err)
{
    const lrk_batch_limits *l = lrk_batches_limits(s->train);
    const size_t n = r->run.n_tokens, layers = s->base.decoder.layers;
    lrk_flat_run none = r->run;
    none.targets = r->none;
    double whole = HUGE_VAL, layer = HUGE_VAL;
    LRK_TRY(lrk_model_start(&e->model, s->recipe->seed, err));
    lrk_engine_begin(e);
    for (int i = 0; i < 4; i++) {
        LRK_TRY(time_pass(e, &r->run, &whole, err));
        LRK_TRY(time_pass(e, &none, &layer, err));
    }
    const double head = whole > layer ? whole - layer : 0.0, L = (double)layers;
    const double parts = (double)trainable / (double)lrk_count(&e->model.parameters);
    *seconds = (double)l->computed / (double)n * (L * layer * longer + head) +
               (double)l->steps * parts * time_update(e);
    return LRK_OK;
}

lrk_status lrk_pace_measure(double *seconds, const lrk_session *s, size_t trainable, lrk_err *err)
{
    lrk_excerpt x = {.session = s};
    *seconds = 0.0;
    if (!choose_layer(s, &x.layer)) return LRK_OK;
    lrk_lora_options lora = s->lora;
    if (lora.select) lora.select = select_module;
    lora.ctx = &x;
    if (lora.begin.kind == LRK_BEGIN_PISSA) lora.begin.rounds = 0; /* what is timed begins anywhere */
    const lrk_shape_of_run shape = mean_shape(s);
    lrk_engine_options o = s->engine;
    o.decoder.layers = 1;
    o.decoder.layer[0] = s->base.decoder.layer[x.layer];
    o.find = find;
    o.ctx = &x;
    o.lora = &lora;
    o.max_tokens = tokens_of(&shape);
    o.max_segments = shape.rows + 1;
    o.max_trained = shape.rows * shape.trained;
    lrk_sample_run r;
    lrk_engine e = {0};
    lrk_status status = make_run(&r, &shape, o.decoder.vocabulary, err);
    if (status == LRK_OK) status = lrk_engine_open(&e, &o, err);
    if (status == LRK_OK) status = measure(&e, s, &r, trainable, shape.longer, seconds, err);
    lrk_engine_close(&e);
    lrk_arena_free(&r.arena);
    return status;
}
