/* models/engine.c -- memory layout and passes of a model. */
#include "models/engine.h"

#include "base/size.h"
#include "kernels/segments.h"
#include "models/engine_device.h"

static lrk_tensor vector_of(const int32_t *data, size_t n, const char *name)
{
    lrk_tensor t = lrk_vec(LRK_I32, n);
    t.data = (void *)(uintptr_t)data; /* ops only read their inputs */
    t.name = name;
    return t;
}

static lrk_tensor segments_of(const lrk_flat_run *b)
{
    lrk_tensor t = lrk_mat(LRK_I32, b->n_segments, LRK_SEG_FIELDS);
    t.data = (void *)(uintptr_t)b->segments;
    t.name = "segments";
    return t;
}

lrk_status lrk_engine_pass(lrk_engine *e, const lrk_flat_run *b, bool gradients, double **loss,
                           lrk_err *err)
{
    const lrk_tensor ids = vector_of(b->ids, b->n_tokens, "ids"), segments = segments_of(b);
    const lrk_tensor targets = vector_of(b->targets, b->n_tokens, "targets");
    lrk_tape_begin(e->tape, gradients);
    const lrk_pass p = {.tape = e->tape, .model = &e->model, .ids = &ids, .segments = &segments,
                        .recompute = !gradients || e->options.recompute >= LRK_KEEP_LAYERS};
    lrk_var *sum = lrk_model_loss(&p, lrk_model_hidden(&p), &targets);
    LRK_TRY(lrk_tape_status(e->tape, err));
    *loss = sum->value.data;
    return gradients ? lrk_backward(e->tape, sum, &e->seed, err) : LRK_OK;
}

/* The head has room for the trained tokens that were planned. */
static lrk_status check_trained(const lrk_engine *e, const lrk_flat_run *b, lrk_err *err)
{
    const size_t most = e->options.max_trained;
    if (!most || lrk_arena_counting(&e->step)) return LRK_OK;
    const size_t n = lrk_engine_trained(b);
    LRK_REQUIRE(err, n <= most, LRK_EVALUE,
                "a micro-batch trains %zu tokens, at most %zu were said when memory was planned", n, most);
    return LRK_OK;
}

lrk_status lrk_engine_sum(lrk_engine *e, const lrk_flat_run *b, const double *seed, double **sum,
                          lrk_err *err)
{
    const bool on_cpu = e->options.device == LRK_CPU || lrk_arena_counting(&e->step);
    LRK_TRY(check_trained(e, b, err));
    if (seed) e->cleared = false;
    if (seed && e->seed.data)
        lrk_device_upload(e->options.device, e->seed.data, seed, sizeof *seed);
    return on_cpu ? lrk_engine_pass(e, b, seed != NULL, sum, err)
                  : lrk_engine_device_pass(e, b, seed != NULL, sum, err);
}

static lrk_status run(lrk_engine *e, const lrk_flat_run *b, const double *seed, double *loss,
                      lrk_err *err)
{
    double *sum;
    LRK_TRY(lrk_engine_sum(e, b, seed, &sum, err));
    return sum ? lrk_device_download(e->options.device, loss, sum, sizeof *loss, err) : LRK_OK;
}

lrk_status lrk_engine_loss(lrk_engine *e, const lrk_flat_run *b, double *loss, lrk_err *err)
{
    return run(e, b, NULL, loss, err);
}

lrk_status lrk_engine_gradients(lrk_engine *e, const lrk_flat_run *b, double seed, double *loss,
                                lrk_err *err)
{
    return run(e, b, &seed, loss, err);
}

/* The run, and the numbers of some of its rows, where kernels can read them. */
static lrk_flat_run on_device(lrk_engine *e, const lrk_flat_run *b, const int32_t **rows, size_t n_rows)
{
    if (e->options.device == LRK_CPU || lrk_arena_counting(&e->step)) return *b;
    return lrk_engine_device_rows(e, b, rows, n_rows);
}

lrk_status lrk_engine_logits(lrk_engine *e, const lrk_flat_run *b, bool use_cache,
                             const int32_t *rows, size_t n_rows, const lrk_tensor **logits,
                             lrk_err *err)
{
    const lrk_flat_run run = on_device(e, b, &rows, n_rows);
    const lrk_tensor ids = vector_of(run.ids, run.n_tokens, "ids"), segments = segments_of(&run);
    const lrk_tensor chosen = vector_of(rows, n_rows, "rows");
    lrk_tape_begin(e->tape, false);
    const lrk_pass p = {.tape = e->tape, .model = &e->model, .ids = &ids, .segments = &segments,
                        .cache = use_cache ? &e->cache : NULL, .recompute = true};
    lrk_var *hidden = lrk_model_hidden(&p);
    /* an embedding is a gather of rows, whatever the table */
    lrk_var *gathered = lrk_apply(e->tape, &lrk_op_embed,
                                  (lrk_var *[]){hidden, lrk_constant(e->tape, &chosen)}, 2,
                                  &e->model.gather);
    lrk_var *result = lrk_model_logits(&p, gathered);
    LRK_TRY(lrk_tape_status(e->tape, err));
    *logits = &result->value;
    if (e->options.device == LRK_CPU || lrk_arena_counting(&e->step)) return LRK_OK;
    return lrk_engine_device_logits(e, logits, err);
}

lrk_status lrk_engine_hidden(lrk_engine *e, const lrk_flat_run *b, lrk_var **hidden, lrk_err *err)
{
    const lrk_flat_run run = on_device(e, b, NULL, 0);
    const lrk_tensor ids = vector_of(run.ids, run.n_tokens, "ids"), segments = segments_of(&run);
    lrk_tape_begin(e->tape, true);
    const lrk_pass p = {.tape = e->tape, .model = &e->model, .ids = &ids, .segments = &segments,
                        .hidden = hidden};
    lrk_model_hidden(&p);
    return lrk_tape_status(e->tape, err);
}

/* Every pass that the options allow, at its largest, on counting arenas. */
static lrk_status count_passes(lrk_engine *e, lrk_err *err)
{
    const lrk_engine_options *o = &e->options;
    double unused = 0.0;
    const lrk_tensor *logits;
    /* Kernels choose their blocking by the number of rows, so fewer rows may need more workspace. Of fewer segments
     * attention alone does, less than products in all that was tried (kernels/attention/splits.h). */
    const lrk_flat_run most = lrk_engine_largest(o);
    for (size_t tokens = most.n_tokens; tokens; tokens /= 2) {
        const lrk_flat_run b = {.n_tokens = tokens, .n_segments = lrk_min(tokens, most.n_segments)};
        if (o->train) LRK_TRY(lrk_engine_gradients(e, &b, 1.0, &unused, err));
        LRK_TRY(lrk_engine_loss(e, &b, &unused, err));
        if (o->max_logits)
            LRK_TRY(lrk_engine_logits(e, &b, o->cache_slots > 0, NULL,
                                      lrk_min(tokens, o->max_logits), &logits, err));
    }
    return LRK_OK;
}

static lrk_status take_moment(lrk_engine *e, lrk_tensor *moment, lrk_err *err)
{
    *moment = e->model.parameters;
    moment->name = "moments";
    LRK_TRY(lrk_alloc(&e->run, lrk_bytes(moment), 1, "moments", &moment->data, err));
    if (moment->data) lrk_device_zero(e->options.device, moment->data, lrk_bytes(moment));
    return LRK_OK;
}

static bool puts_aside(const lrk_engine_options *o)
{
    return o->recompute == LRK_KEEP_AWAY && o->device != LRK_CPU;
}

static lrk_status build(lrk_engine *e, lrk_weight_way way, lrk_err *err)
{
    const lrk_engine_options *o = &e->options;
    const lrk_model_options options = {.compute = o->compute, .lora = o->lora, .train = o->train,
                                       .bits = o->bits, .way = way};
    LRK_TRY(lrk_model_build(&e->model, &o->decoder, o->find, o->ctx, &options,
                            (lrk_model_memory){o->device, &e->frozen, &e->run}, err));
    e->model.loss.max_rows = lrk_engine_head_rows(o);
    e->bytes.weights = e->model.weight_bytes;
    const size_t before = lrk_arena_mark(&e->run);
    e->bytes.gradients = o->train ? lrk_bytes(&e->model.parameters) : 0;
    e->bytes.shadow = e->model.shadow.rank ? lrk_bytes(&e->model.shadow) : 0;
    e->bytes.adapters = before - e->bytes.gradients - e->bytes.shadow;
    e->bytes.shadow += e->model.border_bytes;
    for (int i = 0; o->train && i < 2; i++) LRK_TRY(take_moment(e, &e->moment[i], err));
    const size_t moments = lrk_arena_mark(&e->run);
    if (o->cache_slots)
        LRK_TRY(lrk_kv_cache_new(&e->cache, &o->decoder, lrk_compute_dtype(o->compute), o->cache_slots,
                                 o->cache_capacity, o->device, &e->run, &e->model.own, err));
    e->bytes.moments = moments - before;
    const size_t cache = lrk_arena_mark(&e->run);
    e->bytes.cache = cache - moments;
    e->seed = lrk_vec(LRK_F64, 1);
    LRK_TRY(lrk_alloc(&e->run, 1, sizeof(double), "scale of the loss", &e->seed.data, err));
    LRK_TRY(lrk_alloc(&e->run, 1, sizeof(lrk_engine_results), "results of a step",
                      &e->step_results.results, err));
    if (o->train && !lrk_arena_counting(&e->run))
        LRK_TRY(lrk_mailbox_new(o->device, sizeof(lrk_engine_results), &e->step_results.box, err));
    if (o->device != LRK_CPU) {
        LRK_TRY(lrk_alloc(&e->run, 1, lrk_norm_scratch(lrk_count(&e->model.parameters)),
                          "parts of the norm", &e->norm_parts, err));
        LRK_TRY(lrk_engine_device_open(e, err));
    }
    e->bytes.batch = lrk_arena_mark(&e->run) - cache;
    const lrk_tape_memory memory = {&e->step, &e->scratch, puts_aside(o) ? &e->host : NULL, o->device};
    LRK_TRY(lrk_tape_new(&e->tape, memory, err));
    lrk_tape_recompute_cheap(e->tape, o->recompute == LRK_KEEP_COSTLY);
    return LRK_OK;
}

static lrk_status plan(lrk_engine *e, const lrk_engine_options *o, lrk_err *err)
{
    *e = (lrk_engine){.options = *o};
    e->frozen = lrk_arena_count("frozen");
    e->run = lrk_arena_count("run");
    e->step = lrk_arena_count("step");
    e->scratch = lrk_arena_count("scratch");
    e->host = lrk_arena_count("host");
    LRK_TRY(build(e, LRK_WEIGHTS_COPIED, err));
    LRK_TRY(count_passes(e, err));
    e->bytes.frozen = e->frozen.peak - e->bytes.weights - e->model.border_bytes;
    e->bytes.step = e->step.peak;
    e->bytes.scratch = e->scratch.peak;
    e->bytes.host = e->host.peak;
    return LRK_OK;
}

lrk_status lrk_engine_plan(const lrk_engine_options *o, lrk_engine_bytes *bytes, lrk_err *err)
{
    lrk_engine e;
    const lrk_status status = plan(&e, o, err);
    *bytes = e.bytes;
    lrk_engine_close(&e);
    return status;
}

static lrk_status take_memory(lrk_engine *e, size_t frozen, size_t run, bool ahead, lrk_err *err)
{
    const lrk_device device = e->options.device;
    if (!ahead)
        LRK_TRY(lrk_arena_on(device, &e->frozen, "frozen", frozen, err));
    LRK_TRY(lrk_arena_on(device, &e->run, "run", run, err));
    LRK_TRY(lrk_arena_on(device, &e->step, "step", e->bytes.step, err));
    if (puts_aside(&e->options))
        LRK_TRY(lrk_arena_pinned(device, &e->host, "results put aside", e->bytes.host, err));
    /* A number of rows between those that were counted may need some more workspace than both; room
     * that is never touched costs nothing. */
    const size_t spare = e->bytes.scratch / 4 + (4u << 20);
    return lrk_arena_on(device, &e->scratch, "scratch", e->bytes.scratch + spare, err);
}

lrk_status lrk_engine_open(lrk_engine *e, const lrk_engine_options *o, lrk_err *err)
{
    lrk_engine counted;
    lrk_status status = plan(&counted, o, err);
    const size_t run = counted.run.peak, frozen = counted.frozen.peak;
    *e = (lrk_engine){.options = *o, .bytes = counted.bytes};
    lrk_engine_close(&counted);
    const bool ahead = status == LRK_OK && lrk_engine_take_ahead(e);
    if (status == LRK_OK) status = take_memory(e, frozen, run, ahead, err);
    if (status == LRK_OK) status = build(e, ahead ? LRK_WEIGHTS_THERE : LRK_WEIGHTS_COPIED, err);
    if (status != LRK_OK) lrk_engine_close(e);
    return status;
}

void lrk_engine_close(lrk_engine *e)
{
    lrk_engine_device_close(e);
    lrk_mailbox_free(e->step_results.box);
    e->step_results.box = NULL;
    lrk_tape_free(e->tape);
    e->tape = NULL;
    lrk_model_free(&e->model);
    lrk_arena_free(&e->frozen);
    lrk_arena_free(&e->run);
    lrk_arena_free(&e->step);
    lrk_arena_free(&e->scratch);
    lrk_arena_free(&e->host);
}

size_t lrk_engine_total(const lrk_engine_bytes *b)
{
    return b->weights + b->frozen + b->adapters + b->shadow + b->gradients + b->moments + b->cache + b->batch +
           b->step + b->scratch;
}
