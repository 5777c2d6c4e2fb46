/* train/fidelity.c -- two models on the same rows, position by position. */
#include "train/fidelity.h"

#include "base/size.h"
#include "base/threads.h"
#include "generate/adapter_io.h"
#include "generate/base_model.h"
#include "kernels/segments.h"
#include "models/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct lrk_fidelity_model {
    lrk_base_model base;
    lrk_adapter adapter;
    lrk_engine engine;
};

static size_t looked_at(const lrk_exam_row *r)
{
    return lrk_min(r->n_trained, LRK_FIDELITY_POSITIONS);
}

/* Rows that were made by another tokenizer may have ids that the model lacks. */
static lrk_status check_ids(const lrk_fidelity_model *m, const char *model, const lrk_exam *x, lrk_err *err)
{
    const size_t rows = m->base.decoder.vocabulary;
    for (size_t i = 0; i < x->n; i++)
        for (size_t k = 0; k < x->row[i].n; k++)
            LRK_REQUIRE(err, x->row[i].ids[k] < rows, LRK_EINPUT,
                        "%s: has token %u, and the embedding of %s %zu rows: tokenizer and model do not belong "
                        "together", x->row[i].where, x->row[i].ids[k], model, rows);
    return LRK_OK;
}

static lrk_status open_model(lrk_fidelity_model *m, const char *model, const char *adapter,
                             lrk_weight_bits bits, lrk_device device, const lrk_exam *x, lrk_err *err)
{
    lrk_lora_options lora;
    LRK_TRY(lrk_base_open(&m->base, model, err));
    LRK_REQUIRE(err, x->longest_row <= m->base.decoder.max_positions, LRK_EINPUT,
                "%s: the longest row has %zu tokens, the model %zu positions", model, x->longest_row,
                m->base.decoder.max_positions);
    if (adapter) LRK_TRY(lrk_adapter_load(&m->adapter, adapter, err));
    if (adapter) LRK_TRY(lrk_base_fit(&m->base, &m->adapter, false, err));
    LRK_TRY(check_ids(m, model, x, err));
    if (adapter) lora = lrk_adapter_options(&m->adapter);
    const lrk_engine_options o = {.device = device, .decoder = m->base.decoder, .find = lrk_base_find,
                                  .ctx = &m->base, .lora = adapter ? &lora : NULL,
                                  .bits = bits, .compute = LRK_C_F32, .max_tokens = x->longest_row,
                                  .max_segments = 1, .max_logits = LRK_FIDELITY_POSITIONS};
    LRK_TRY(lrk_engine_open(&m->engine, &o, err));
    LRK_TRY(lrk_base_check_names(&m->base, &m->engine.model, err));
    return adapter ? lrk_adapter_into_model(&m->adapter, &m->engine.model, err) : LRK_OK;
}

lrk_status lrk_fidelity_open(lrk_fidelity_model **out, const char *model, const char *adapter,
                             lrk_weight_bits bits, lrk_device device, const lrk_exam *x, lrk_err *err)
{
    lrk_fidelity_model *m = lrk_heap_alloc(1, sizeof *m);
    LRK_REQUIRE(err, m, LRK_ENOMEM, "memory: no room to open %s", model);
    const lrk_status status = open_model(m, model, adapter, bits, device, x, err);
    if (status == LRK_OK)
        *out = m;
    else
        lrk_fidelity_close(m);
    return status;
}

void lrk_fidelity_close(lrk_fidelity_model *m)
{
    if (!m) return;
    lrk_engine_close(&m->engine);
    lrk_adapter_free(&m->adapter);
    lrk_base_close(&m->base);
    lrk_heap_free(m);
}

/* ---- one position ---- */

typedef struct distribution {
    const float *logit;
    double log_sum; /* ln of the sum of exp(logit) */
    size_t top;
} distribution;

static distribution distribution_of(const float *logit, size_t n)
{
    distribution d = {.logit = logit};
    double sum = 0.0;
    for (size_t v = 1; v < n; v++)
        if (logit[v] > logit[d.top]) d.top = v;
    for (size_t v = 0; v < n; v++) sum += exp((double)logit[v] - (double)logit[d.top]);
    d.log_sum = (double)logit[d.top] + log(sum);
    return d;
}

typedef struct position {
    double kl, reference_loss, loss;
    bool same_top;
} position;

typedef struct comparison {
    const lrk_tensor *reference, *model; /* logits of a row's positions */
    const int32_t *target;
    position *at;
} comparison;

static void compare(void *ctx, size_t task, int worker)
{
    const comparison *c = ctx;
    const size_t n = lrk_cols(c->reference), target = (size_t)c->target[task];
    const distribution p = distribution_of(lrk_row(c->reference, task), n),
                       q = distribution_of(lrk_row(c->model, task), n);
    double kl = 0.0;
    (void)worker;
    for (size_t v = 0; v < n; v++) {
        const double log_p = (double)p.logit[v] - p.log_sum, log_q = (double)q.logit[v] - q.log_sum;
        kl += exp(log_p) * (log_p - log_q);
    }
    /* rounding alone may make a sum of nothing negative; what is not a number stays so */
    c->at[task] = (position){.kl = kl < 0.0 ? 0.0 : kl,
                             .reference_loss = p.log_sum - (double)p.logit[target],
                             .loss = q.log_sum - (double)q.logit[target],
                             .same_top = p.top == q.top};
}

/* ---- rows ---- */

typedef struct measuring {
    lrk_fidelity_model *reference, *model;
    int32_t *ids, *targets;
    int32_t rows[LRK_FIDELITY_POSITIONS], expected[LRK_FIDELITY_POSITIONS];
    position *at; /* of all rows */
    size_t n;
} measuring;

static lrk_status measure_row(measuring *m, const lrk_exam_row *r, lrk_err *err)
{
    int32_t segment[LRK_SEG_FIELDS] = {0};
    comparison c = {.target = m->expected, .at = m->at + m->n};
    size_t n = 0;
    segment[LRK_SEG_LENGTH] = segment[LRK_SEG_KEYS] = (int32_t)r->n;
    segment[LRK_SEG_PARENT] = -1;
    for (size_t i = 0; i < r->n; i++) {
        m->ids[i] = (int32_t)r->ids[i];
        m->targets[i] = -1;
        if (i + 1 == r->n || !r->mask[i + 1] || n == looked_at(r)) continue;
        m->rows[n] = (int32_t)i;
        m->expected[n++] = (int32_t)r->ids[i + 1];
    }
    const lrk_flat_run run = {m->ids, m->targets, segment, r->n, 1};
    if (n == 0) return LRK_OK;
    LRK_TRY(lrk_engine_logits(&m->reference->engine, &run, false, m->rows, n, &c.reference, err));
    LRK_TRY(lrk_engine_logits(&m->model->engine, &run, false, m->rows, n, &c.model, err));
    lrk_parallel(n, compare, &c);
    m->n += n;
    return LRK_OK;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static lrk_status sum_up(lrk_fidelity *f, const measuring *m, lrk_arena *a, lrk_err *err)
{
    double *kl;
    LRK_REQUIRE(err, m->n, LRK_EINPUT, "the rows have no trained token to compare models at");
    LRK_TRY(lrk_alloc(a, m->n, sizeof *kl, "divergences", &kl, err));
    for (size_t i = 0; i < m->n; i++) {
        const bool reference = isfinite(m->at[i].reference_loss);
        LRK_REQUIRE(err, reference && isfinite(m->at[i].kl) && isfinite(m->at[i].loss), LRK_ENUMERIC,
                    "%s: its logits are not finite", (reference ? m->model : m->reference)->base.path);
        kl[i] = m->at[i].kl;
        f->kl_mean += kl[i] / (double)m->n;
        f->loss += m->at[i].loss / (double)m->n;
        f->reference_loss += m->at[i].reference_loss / (double)m->n;
        f->same_top += m->at[i].same_top;
    }
    qsort(kl, m->n, sizeof *kl, by_size);
    f->kl_high = kl[lrk_ceil_div(99 * m->n, 100) - 1];
    f->kl_max = kl[m->n - 1];
    f->tokens = m->n;
    f->top1 = lrk_wilson(f->same_top, f->tokens);
    return LRK_OK;
}

static lrk_status measure(lrk_fidelity *f, measuring *m, const lrk_exam *x, bool (*stop)(void),
                          lrk_arena *a, lrk_err *err)
{
    size_t positions = 0;
    for (size_t i = 0; i < x->n; i++) positions += looked_at(&x->row[i]);
    LRK_TRY(lrk_alloc(a, x->longest_row, sizeof *m->ids, "ids", &m->ids, err));
    LRK_TRY(lrk_alloc(a, x->longest_row, sizeof *m->targets, "targets", &m->targets, err));
    LRK_TRY(lrk_alloc(a, positions, sizeof *m->at, "positions", &m->at, err));
    for (size_t i = 0; i < x->n; i++) {
        if (stop && stop()) return lrk_fail(err, LRK_STOPPED, "stopped");
        LRK_TRY(measure_row(m, &x->row[i], err));
        f->rows++;
    }
    return sum_up(f, m, a, err);
}

lrk_status lrk_fidelity_measure(lrk_fidelity *f, lrk_fidelity_model *reference,
                                lrk_fidelity_model *model, const lrk_exam *x, bool (*stop)(void),
                                lrk_err *err)
{
    const size_t V = reference->base.decoder.vocabulary, W = model->base.decoder.vocabulary;
    measuring m = {.reference = reference, .model = model};
    lrk_arena a = lrk_arena_growing("fidelity");
    *f = (lrk_fidelity){0};
    LRK_REQUIRE(err, V == W, LRK_ESHAPE, "%s has %zu tokens in its vocabulary, %s has %zu",
                model->base.path, W, reference->base.path, V);
    const lrk_status status = measure(f, &m, x, stop, &a, err);
    lrk_arena_free(&a);
    return status;
}
