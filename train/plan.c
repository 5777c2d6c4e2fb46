/* train/plan.c -- memory, work and time of a run. */
#include "train/plan.h"

#include "base/clock.h"
#include "base/size.h"
#include "kernels/gemm.h"

#include <string.h>

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
    return b->adapters / sizeof(float);
}

/* How many copies of the embedding are trained: rows are looked up, which is no product. */
static double whole(const lrk_session *s)
{
    const unsigned bits = s->lora.whole;
    if (s->base.decoder.tied && bits > LRK_WHOLE_AS_ONE) return 1.0;
    return (bits & LRK_WHOLE_EMBEDDING ? 1.0 : 0.0) + (bits & LRK_WHOLE_HEAD ? 1.0 : 0.0);
}

static bool trains_head(const lrk_session *s)
{
    const unsigned bits = s->lora.whole;
    return bits & LRK_WHOLE_HEAD || (s->base.decoder.tied && bits > LRK_WHOLE_AS_ONE);
}

static double count_flops(const lrk_session *s, size_t trainable)
{
    const lrk_decoder *d = &s->base.decoder;
    const lrk_batch_limits *l = lrk_batches_limits(s->train);
    const double head = (double)d->vocabulary * (double)d->width;
    const double N = (double)lrk_decoder_matrix_parameters(d) - head, P = (double)trainable - whole(s) * head;
    const double own = trains_head(s) ? 2.0 * head : 0.0;
    const double tokens = (double)l->tokens, length = l->rows ? tokens / (double)l->rows : 0.0;
    const double A = (double)d->layers * 2.0 * (double)(d->heads * d->head_size) * length;
    const double again = s->engine.recompute >= LRK_KEEP_LAYERS ? 2.0 * N + A + 2.0 * P : 0.0;
    return tokens * (4.0 * N + 3.5 * A + 6.0 * P + again) + (double)l->trained * (4.0 * head + own);
}

/* GFLOP/s of a product like those of the feed-forward part, f32 or bf16 as the run will compute. */
static lrk_status measure_speed(const lrk_session *s, double *gflops, lrk_err *err)
{
    const lrk_decoder *d = &s->base.decoder;
    const lrk_dtype t = lrk_compute_dtype(s->engine.compute);
    const size_t m = 256, n = lrk_min(d->feed_forward, 2048), k = lrk_min(d->width, 2048);
    lrk_arena a = lrk_arena_growing("measure");
    lrk_gemm g = {.m = m, .n = n, .k = k, .a = {.dtype = t, .stride = k},
                  .b = {.dtype = t, .stride = k, .transposed = true}, .c_dtype = t, .c_stride = n,
                  .alpha = 1.0};
    void *x, *w, *scratch;
    lrk_status status = lrk_alloc(&a, m, lrk_row_bytes(t, k), "measure", &x, err);
    if (status == LRK_OK) status = lrk_alloc(&a, n, lrk_row_bytes(t, k), "measure", &w, err);
    if (status == LRK_OK) status = lrk_alloc(&a, m, lrk_row_bytes(t, n), "measure", &g.c, err);
    if (status == LRK_OK)
        status = lrk_alloc(&a, lrk_gemm_scratch(&g), 1, "measure", &scratch, err);
    double best = 0.0;
    for (int i = 0; status == LRK_OK && i < 5; i++) {
        g.a.data = x;
        g.b.data = w;
        const double start = lrk_seconds();
        lrk_gemm_run(&g, scratch);
        const double rate = 2e-9 * (double)m * (double)n * (double)k / (lrk_seconds() - start);
        best = rate > best ? rate : best;
    }
    *gflops = best;
    lrk_arena_free(&a);
    return status;
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

lrk_status lrk_plan_make(lrk_plan *p, lrk_session *s, bool measure, lrk_err *err)
{
    /* norms, attention and memory traffic beside the products: the share of the rate of a bare
     * product that a whole step was measured to reach */
    const double share = 0.75;
    *p = (lrk_plan){0};
    p->bytes.process = process_bytes(s->base.weights);
    LRK_TRY(lrk_engine_plan(&s->engine, &p->bytes.engine, err));
    LRK_TRY(lrk_targets_check(&s->targets, &s->base.decoder, err));
    LRK_TRY(check_names(s, err));
    p->bytes.weights = weight_bytes(s->base.weights);
    p->bytes.total = lrk_engine_total(&p->bytes.engine);
    if (s->device == LRK_CPU) p->bytes.total += p->bytes.weights + p->bytes.process;
    p->trainable = count_trainable(&p->bytes.engine);
    p->flops = count_flops(s, p->trainable);
    if (!measure || s->device != LRK_CPU) return LRK_OK;
    LRK_TRY(measure_speed(s, &p->gflops, err));
    p->seconds = p->flops / (p->gflops * 1e9 * share);
    return LRK_OK;
}
