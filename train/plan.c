/* train/plan.c -- memory, work and time of a run. */
#include "train/plan.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/size.h"
#include "checkpoint/merge.h"
#include "train/pace.h"
#include "train/recompute.h"

/* The bytes of weights that a pass touches: all of them; a tied embedding counts once. */
static size_t weight_bytes(const lrk_weights *w)
{
    size_t bytes = 0;
    for (size_t i = 0; i < lrk_weights_count(w); i++) bytes += lrk_bytes(lrk_weights_at(w, i));
    return bytes;
}

/* What is resident now but the weights: program, libraries, tokenizer, data set. */
static size_t process_bytes(const lrk_weights *w)
{
    const size_t now = lrk_memory_now();
    size_t mapped = 0;
    for (size_t i = 0; i < lrk_weights_count(w); i++) {
        const lrk_tensor *t = lrk_weights_at(w, i);
        mapped += lrk_memory_resident(t->data, lrk_bytes(t));
    }
    return now > mapped ? now - mapped : 0;
}

static size_t count_trainable(const lrk_engine_bytes *b)
{
    return b->gradients / sizeof(float); /* adapters hold DoRA's norms too */
}

/* Rows of embedding (which 0) or head that are trained. */
static double rows(const lrk_session *s, int which)
{
    const lrk_lora_options *o = &s->lora;
    const bool as_one = lrk_whole_as_one(o->whole, s->base.decoder.tied);
    const unsigned bit = as_one || which == 0 ? LRK_WHOLE_EMBEDDING : LRK_WHOLE_HEAD;
    const size_t n = o->rows[as_one ? 0 : which].n;
    if (!(o->whole & bit) && !as_one) return 0.0;
    return (double)(n ? n : s->base.decoder.vocabulary);
}

/* Numbers of the embedding and of the head that are trained: the former are looked up, which is no product. */
static double whole(const lrk_session *s)
{
    const bool as_one = lrk_whole_as_one(s->lora.whole, s->base.decoder.tied);
    return (rows(s, 0) + (as_one ? 0.0 : rows(s, 1))) * (double)s->base.decoder.width;
}

static double count_flops(const lrk_session *s, size_t trainable)
{
    const lrk_decoder *d = &s->base.decoder;
    const lrk_batch_limits *l = lrk_batches_limits(s->train);
    const double head = (double)d->vocabulary * (double)d->width;
    const double N = (double)lrk_decoder_matrix_parameters(d) - head, P = (double)trainable - whole(s);
    const bool some = s->lora.rows[0].n || s->lora.rows[1].n; /* beside the frozen head, which has its products too */
    const double own = (some ? 6.0 : 2.0) * rows(s, 1) * (double)d->width;
    const double tokens = (double)l->computed, length = l->rows ? (double)l->tokens / (double)l->rows : 0.0;
    const double A = (double)d->layers * 2.0 * (double)(d->heads * d->head_size) * length;
    const double again = s->engine.recompute >= LRK_KEEP_LAYERS ? 2.0 * N + A + 2.0 * P : 0.0;
    const double fixed = s->lora.begin.kind ? 4.0 * P : 0.0; /* a second pair that is not trained */
    return tokens * (4.0 * N + 3.5 * A + 6.0 * P + fixed + again) + (double)l->trained * (4.0 * head + own);
}

/* The file holds the weights of the model, and no others. */
static lrk_status check_names(const lrk_session *s, lrk_err *err)
{
    const lrk_engine_options *o = &s->engine;
    const lrk_model_options options = {.compute = o->compute, .bits = o->bits};
    lrk_arena frozen = lrk_arena_count("frozen"), run = lrk_arena_count("run");
    lrk_model m;
    lrk_status status = lrk_model_build(&m, &o->decoder, o->find, o->ctx, &options,
                                        (lrk_model_memory){LRK_CPU, &frozen, &run}, err);
    if (status == LRK_OK) status = lrk_base_check_names(&s->base, &m, err);
    lrk_model_free(&m);
    return status;
}

/* What a model has beside its tensors: the keys of a GGUF base, else the tokenizer, which goes into a file or beside
 * it. */
static uint64_t text_bytes(const lrk_weights *w)
{
    const lrk_gguf *g = lrk_weights_gguf(w);
    uint64_t bytes = 0;
    if (g) return (uint64_t)(g->data - g->bytes);
    lrk_arena a = lrk_arena_growing("path");
    const char *tokenizer = lrk_path_join(&a, lrk_weights_path(w), "tokenizer.json");
    lrk_map map = {0};
    if (tokenizer && lrk_map_open(&map, tokenizer, NULL) == LRK_OK) bytes = map.size;
    lrk_map_close(&map);
    lrk_arena_free(&a);
    return bytes;
}

/* type NULL: a directory. */
static lrk_status add_merged(const lrk_session *s, const char *type, size_t *bytes, lrk_err *err)
{
    const lrk_merge_options o = {.gguf = type != NULL, .type = type ? lrk_file_type_find(type) : NULL};
    const bool whole = s->lora.whole & (LRK_WHOLE_EMBEDDING | LRK_WHOLE_HEAD);
    const bool as_one = lrk_whole_as_one(s->lora.whole, s->base.decoder.tied);
    uint64_t tensors;
    LRK_TRY(lrk_merge_bytes(s->base.weights, whole && !as_one, &o, &tensors, err));
    *bytes += (size_t)(tensors + text_bytes(s->base.weights));
    return LRK_OK;
}

static lrk_status count_disk(lrk_plan_disk *d, const lrk_session *s, size_t trainable, lrk_err *err)
{
    const lrk_recipe *r = s->recipe;
    const size_t parameters = trainable * sizeof(float);
    const uint64_t steps = s->schedule.total, every = lrk_session_save_steps(s);
    const uint64_t written = (every ? steps / every : 0) + 1 + (s->eval ? 1 : 0);
    const size_t kept = lrk_max(r->save_total_limit, 2) + 1 + (s->eval ? 1 : 0);
    const lrk_strings *const lists[] = {&r->export_gguf, &r->export_ollama};
    *d = (lrk_plan_disk){.checkpoints = 3 * parameters * (written < kept ? (size_t)written : kept),
                         .adapter = parameters * (r->export_adapter_gguf ? 2 : 1) * (s->lora.begin.kind ? 2 : 1)};
    if (r->export_merged) LRK_TRY(add_merged(s, NULL, &d->merged, err));
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k]->n; i++) LRK_TRY(add_merged(s, lists[k]->item[i], &d->merged, err));
    return LRK_OK;
}

size_t lrk_plan_disk_total(const lrk_plan_disk *d)
{
    return d->checkpoints + d->adapter + d->merged;
}

lrk_status lrk_plan_make(lrk_plan *p, lrk_session *s, bool measure, lrk_err *err)
{
    *p = (lrk_plan){0};
    p->bytes.process = process_bytes(s->base.weights);
    LRK_TRY(lrk_session_bytes(s, &p->bytes.engine, err));
    LRK_TRY(check_names(s, err));
    p->bytes.weights = weight_bytes(s->base.weights);
    p->bytes.total = lrk_engine_total(&p->bytes.engine);
    if (s->device == LRK_CPU) p->bytes.total += p->bytes.weights + p->bytes.process;
    p->trainable = count_trainable(&p->bytes.engine);
    LRK_TRY(count_disk(&p->disk, s, p->trainable, err));
    p->flops = count_flops(s, p->trainable);
    return measure && s->device == LRK_CPU ? lrk_pace_measure(&p->seconds, s, p->trainable, err) : LRK_OK;
}
