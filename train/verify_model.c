/* train/verify_model.c -- logits, losses, gradients, ten steps, merge and greedy ids of a model. */
#include "base/file.h"
#include "base/json.h"
#include "base/segments.h"
#include "checkpoint/safetensors.h"
#include "generate/adapter_io.h"
#include "generate/base_model.h"
#include "generate/generate.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/verify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ROWS = 64, MAX_TOKENS = 4096, CAPACITY = 256 };

typedef struct lrk_golden {
    const char *dir;
    lrk_report *report;
    lrk_arena *a;
    lrk_json *expected, *batch;
    lrk_safetensors numbers;
    bool *compared; /* of each of the numbers' tensors */
    lrk_base_model base;
    size_t n_rows, n_tokens, trained;
    size_t row_start[MAX_ROWS + 1];
    int32_t ids[MAX_TOKENS], targets[MAX_TOKENS], segments[MAX_ROWS * LRK_SEG_FIELDS];
} lrk_golden;

static const char *path_in(const lrk_golden *g, const char *name)
{
    const char *path = lrk_path_join(g->a, g->dir, name);
    return path ? path : "";
}

static lrk_status read_row(lrk_golden *g, const lrk_json *row, lrk_err *err)
{
    const lrk_json *ids = lrk_json_get(row, "input_ids"), *labels = lrk_json_get(row, "labels");
    const size_t n = lrk_json_size(ids), at = g->n_tokens;
    const int64_t vocabulary = (int64_t)g->base.decoder.vocabulary;
    LRK_REQUIRE(err, n && n == lrk_json_size(labels) && at + n <= MAX_TOKENS && g->n_rows < MAX_ROWS,
                LRK_EINPUT, "%s: row %zu does not have as many labels as ids, or is too long",
                path_in(g, "batch.json"), g->n_rows);
    lrk_segment_root(g->segments + g->n_rows * LRK_SEG_FIELDS, at, n);
    for (size_t i = 0; i < n; i++) {
        const int64_t id = lrk_json_integer(lrk_json_at(ids, i));
        /* label t is predicted from token t - 1 */
        const int64_t next = i + 1 < n ? lrk_json_integer(lrk_json_at(labels, i + 1)) : -1;
        LRK_REQUIRE(err, id >= 0 && id < vocabulary && next < vocabulary, LRK_EINPUT,
                    "%s: id %lld or label %lld is outside the vocabulary",
                    path_in(g, "batch.json"), (long long)id, (long long)next);
        g->ids[at + i] = (int32_t)id;
        g->targets[at + i] = next < 0 ? -1 : (int32_t)next;
        g->trained += next >= 0;
    }
    g->row_start[g->n_rows++] = at;
    g->n_tokens = g->row_start[g->n_rows] = at + n;
    return LRK_OK;
}

static lrk_status read_batch(lrk_golden *g, lrk_err *err)
{
    LRK_TRY(lrk_json_load(&g->batch, path_in(g, "batch.json"), 16 << 20, err));
    const lrk_json *rows = lrk_json_get(g->batch, "rows");
    for (size_t i = 0; i < lrk_json_size(rows); i++)
        LRK_TRY(read_row(g, lrk_json_at(rows, i), err));
    LRK_REQUIRE(err, g->n_rows && g->trained, LRK_EINPUT, "%s: no row is trained",
                path_in(g, "batch.json"));
    return LRK_OK;
}

static lrk_flat_run whole(const lrk_golden *g)
{
    return (lrk_flat_run){g->ids, g->targets, g->segments, g->n_tokens, g->n_rows};
}

static const lrk_beginning plain = {.kind = LRK_BEGIN_PLAIN};

static double number(const lrk_json *object, const char *key)
{
    return lrk_json_number(lrk_json_get(object, key));
}

/* How adapters begin in the recorded training: where they take a part of the weight, init/ and final/ are what PEFT
 * converted, of twice the rank. */
static lrk_beginning beginning(const lrk_json *train)
{
    const char *word = lrk_json_string(lrk_json_get(train, "init_lora_weights"), NULL);
    if (word && strcmp(word, "pissa") == 0) return (lrk_beginning){LRK_BEGIN_PISSA, -1};
    return (lrk_beginning){.kind = word && strcmp(word, "olora") == 0 ? LRK_BEGIN_OLORA : LRK_BEGIN_PLAIN};
}

static bool select_half(void *ctx, const char *path, size_t *rank, double *alpha)
{
    const lrk_lora_options doubled = lrk_adapter_options(ctx);
    if (!doubled.select(doubled.ctx, path, rank, alpha)) return false;
    *rank /= 2;
    *alpha /= lrk_adapter_doubled(1.0, doubled.rslora);
    return true;
}

/* An engine with the adapter of a directory (NULL: the base alone), or, where its adapters begin otherwise, with what
 * they begin as. */
static lrk_status open_engine(lrk_golden *g, lrk_engine *e, const lrk_base_model *base,
                              const lrk_adapter *adapter, lrk_beginning begin, lrk_err *err)
{
    lrk_lora_options lora = adapter ? lrk_adapter_options(adapter) : (lrk_lora_options){0};
    lora.begin = begin;
    if (begin.kind) lora.select = select_half;
    const lrk_engine_options o = {.device = g->report->device, .decoder = base->decoder, .find = lrk_base_find,
                                  .ctx = (void *)(uintptr_t)base, .lora = adapter ? &lora : NULL,
                                  .train = adapter != NULL, .compute = LRK_C_F32,
                                  .max_tokens = g->n_tokens, .max_segments = g->n_rows,
                                  .max_logits = g->n_tokens, .cache_slots = 1,
                                  .cache_capacity = CAPACITY};
    LRK_TRY(lrk_engine_open(e, &o, err));
    lrk_status status = lrk_base_check_names(base, &e->model, err);
    if (status == LRK_OK && begin.kind) status = lrk_model_start(&e->model, 1, err);
    if (status == LRK_OK && adapter && !begin.kind) status = lrk_adapter_into_model(adapter, &e->model, err);
    if (status != LRK_OK) lrk_engine_close(e);
    return status;
}

/* A NaN is as far as it gets; fmax alone would pass over it. */
static double furthest(const float *want, const float *got, size_t n)
{
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double error = fabs((double)got[i] - (double)want[i]);
        worst = isnan(error) ? (double)INFINITY : fmax(worst, error);
    }
    return worst;
}

static lrk_status compare_tensor(const lrk_golden *g, const char *check, lrk_limit limit,
                                 const char *name, const float *got, size_t n, bool relative,
                                 lrk_err *err)
{
    lrk_tensor want;
    const lrk_st_entry *e = lrk_st_find(&g->numbers, name);
    LRK_REQUIRE(err, e, LRK_EINPUT, "%s: tensor '%s' is missing", g->numbers.path, name);
    g->compared[e - g->numbers.entry] = true;
    LRK_TRY(lrk_report_view(g->report, &g->numbers, e, &want, err));
    LRK_REQUIRE(err, want.dtype == LRK_F32 && lrk_count(&want) == n, LRK_EINPUT,
                "expected.safetensors: %s has %zu elements, computed %zu", name, lrk_count(&want), n);
    const float *w = want.data;
    double worst = furthest(w, got, n), largest = 0.0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)w[i]));
    if (relative && largest > 0.0)
        worst /= largest;
    else
        limit.floor *= largest;
    lrk_report_error(g->report, lrk_report_limit(g->report, check, limit), worst, name);
    return LRK_OK;
}

static void compare_number(const lrk_golden *g, const char *check, lrk_limit limit, double got,
                           double want, const char *note)
{
    lrk_report_error(g->report, lrk_report_limit(g->report, check, limit), fabs(got - want), note);
}

static lrk_status logits(lrk_golden *g, lrk_engine *e, const char *which, lrk_err *err)
{
    const lrk_tensor *z;
    const lrk_flat_run run = whole(g);
    int32_t rows[MAX_TOKENS];
    char check[64], name[64];
    snprintf(check, sizeof check, "logits.%s", which);
    for (size_t i = 0; i < g->n_tokens; i++) rows[i] = (int32_t)i;
    LRK_TRY(lrk_engine_logits(e, &run, false, rows, g->n_tokens, &z, err));
    for (size_t r = 0; r < g->n_rows; r++) {
        snprintf(name, sizeof name, "logits.%s.row%zu", which, r);
        const size_t n = (g->row_start[r + 1] - g->row_start[r]) * lrk_cols(z);
        LRK_TRY(compare_tensor(g, check, lrk_limit_logits, name, lrk_row(z, g->row_start[r]), n, false, err));
    }
    return LRK_OK;
}

static lrk_status losses(lrk_golden *g, lrk_engine *e, const char *which, lrk_err *err)
{
    const lrk_json *record = lrk_json_get(g->expected, which);
    if (!record) return LRK_OK;
    char check[64];
    double sum;
    const lrk_flat_run run = whole(g);
    snprintf(check, sizeof check, "loss.%s", which);
    LRK_TRY(lrk_engine_loss(e, &run, &sum, err));
    const lrk_limit limit = lrk_limit_loss(number(record, "loss"));
    compare_number(g, check, limit, sum / (double)g->trained, number(record, "loss"), "packed");
    const lrk_json *rows = lrk_json_get(record, "row_loss_sums");
    for (size_t r = 0; r < lrk_json_size(rows) && r < g->n_rows; r++) {
        int32_t segment[LRK_SEG_FIELDS];
        const size_t at = g->row_start[r], n = g->row_start[r + 1] - at;
        lrk_segment_root(segment, 0, n);
        const lrk_flat_run one = {g->ids + at, g->targets + at, segment, n, 1};
        LRK_TRY(lrk_engine_loss(e, &one, &sum, err));
        const double want = lrk_json_number(lrk_json_at(rows, r));
        compare_number(g, check, limit, (sum - want) / (double)g->trained, 0.0, "a row alone");
    }
    return LRK_OK;
}

/* The states between the layers, for one recorded row. */
static lrk_status hidden(lrk_golden *g, lrk_engine *e, lrk_err *err)
{
    enum { ROW = 1, MAX_LAYERS = 1024 };
    lrk_var *taps[MAX_LAYERS + 1];
    if (g->n_rows <= ROW || e->options.decoder.layers > MAX_LAYERS) return LRK_OK;
    const size_t at = g->row_start[ROW], n = g->row_start[ROW + 1] - at;
    const lrk_flat_run run = whole(g);
    float *state;
    LRK_TRY(lrk_alloc(g->a, n * e->options.decoder.width, sizeof *state, "states", &state, err));
    LRK_TRY(lrk_engine_hidden(e, &run, taps, err));
    for (size_t i = 0; i <= e->options.decoder.layers; i++) {
        const size_t count = n * lrk_cols(&taps[i]->value);
        char name[64];
        snprintf(name, sizeof name, "hidden.base.row%d.%zu", ROW, i);
        LRK_TRY(lrk_device_download(e->options.device, state, lrk_row(&taps[i]->value, at),
                                    count * sizeof *state, err));
        LRK_TRY(compare_tensor(g, "hidden", lrk_limit_hidden, name, state, count, false, err));
    }
    return LRK_OK;
}

typedef struct lrk_greedy {
    const lrk_json *want;
    size_t n;
    bool equal;
} lrk_greedy;

static bool take_greedy(void *ctx, size_t sequence, uint32_t id, bool done)
{
    lrk_greedy *t = ctx;
    (void)sequence;
    if (done) return true;
    t->equal &= lrk_json_integer(lrk_json_at(t->want, t->n)) == (int64_t)id;
    t->n++;
    return true;
}

static lrk_status greedy(lrk_golden *g, lrk_engine *e, const char *which, lrk_err *err)
{
    const lrk_json *record = lrk_json_get(g->expected, "greedy");
    lrk_greedy t = {.want = lrk_json_get(record, which), .equal = true};
    const lrk_json *first = lrk_json_get(record, "prompt");
    uint32_t prompt[CAPACITY];
    const size_t n = lrk_json_size(first);
    if (!t.want) return LRK_OK;
    LRK_REQUIRE(err, n && n + lrk_json_size(t.want) <= CAPACITY, LRK_EINPUT,
                "%s: greedy: expected a prompt and ids, %d together at most", path_in(g, "expected.json"),
                CAPACITY);
    for (size_t i = 0; i < n; i++) {
        const int64_t id = lrk_json_integer(lrk_json_at(first, i));
        LRK_REQUIRE(err, id >= 0 && id < (int64_t)g->base.decoder.vocabulary, LRK_EINPUT,
                    "%s: greedy: id %lld is outside the vocabulary", path_in(g, "expected.json"),
                    (long long)id);
        prompt[i] = (uint32_t)id;
    }
    const lrk_prompt p = {prompt, n};
    const lrk_generation how = {.max_tokens = lrk_json_size(t.want), .token = take_greedy, .ctx = &t};
    LRK_TRY(lrk_generate(e, &p, 1, &how, err));
    char check[64];
    snprintf(check, sizeof check, "greedy.%s", which);
    lrk_report_error(g->report, lrk_report_check(g->report, check, 0.0),
                     t.equal && t.n == lrk_json_size(t.want) ? 0.0 : 1.0, "ids differ");
    return LRK_OK;
}

/* The gradients of one module in the order of the file. */
static lrk_status compare_module(lrk_golden *g, const lrk_engine *e, const lrk_adapter *adapter,
                                 const lrk_projection *p, size_t part, lrk_err *err)
{
    lrk_adapter_pair_view file;
    char name[LRK_NAME_MAX + 64], path[LRK_NAME_MAX];
    lrk_tensor a = p->da, b = p->db, m = p->dm;
    LRK_TRY(lrk_adapter_copies(g->a, e->options.device, p, part, &a, &b, &m, err));
    if (!lrk_adapter_find_pair(adapter, &e->model, p, part, &file)) return LRK_OK;
    lrk_adapter_stored_path(adapter, file.module, path);
    snprintf(name, sizeof name, "grad.base_model.model.%s.lora_A.weight", path);
    LRK_TRY(compare_tensor(g, "gradients", lrk_limit_gradients, name, a.data, lrk_count(&a), true, err));
    snprintf(name, sizeof name, "grad.base_model.model.%s.lora_B.weight", path);
    LRK_TRY(compare_tensor(g, "gradients", lrk_limit_gradients, name, b.data, lrk_count(&b), true, err));
    if (!m.rank) return LRK_OK;
    snprintf(name, sizeof name, "grad.base_model.model.%s.lora_magnitude_vector", path);
    return compare_tensor(g, "gradients", lrk_limit_gradients, name, m.data, lrk_count(&m), true, err);
}

/* What is trained whole, or rows of it, which a file holds in the order of trainable_token_indices. */
static lrk_status compare_own(lrk_golden *g, const lrk_engine *e, const lrk_adapter *adapter, const lrk_whole *w,
                              lrk_err *err)
{
    char name[LRK_NAME_MAX + 64], path[LRK_NAME_MAX];
    lrk_tensor gradient = w->gradient;
    const lrk_adapter_tokens *t = &adapter->tokens[w->head ? LRK_ADAPTER_HEAD : LRK_ADAPTER_EMBEDDING];
    LRK_TRY(lrk_adapter_whole_copy(g->a, &e->model, &gradient, err));
    lrk_tensor file = gradient;
    if (w->rows.n) LRK_TRY(lrk_alloc(g->a, lrk_bytes(&file), 1, "gradient", &file.data, err));
    for (size_t i = 0; i < w->rows.n; i++)
        memcpy(lrk_row(&file, t->place[i]), lrk_row(&gradient, i), lrk_cols(&file) * sizeof(float));
    lrk_adapter_stored_path(adapter, w->path, path);
    snprintf(name, sizeof name, "grad.base_model.model.%s.%s", path,
             w->rows.n ? "token_adapter.trainable_tokens_delta" : "weight");
    return compare_tensor(g, "gradients", lrk_limit_gradients, name, file.data, lrk_count(&file), true, err);
}

static lrk_status gradients(lrk_golden *g, lrk_engine *e, const lrk_adapter *adapter, lrk_err *err)
{
    lrk_step_result r;
    const lrk_flat_run run = whole(g);
    lrk_engine_begin(e);
    LRK_TRY(lrk_engine_add(e, &run, 1.0 / (double)g->trained, err));
    for (size_t i = 0; i < e->model.n_adapted; i++)
        for (size_t part = 0; part < lrk_adapter_parts(e->model.adapted[i]); part++)
            LRK_TRY(compare_module(g, e, adapter, e->model.adapted[i], part, err));
    for (size_t i = 0; i < e->model.n_whole; i++)
        LRK_TRY(compare_own(g, e, adapter, &e->model.whole[i], err));
    lrk_optimizer frozen = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    lrk_optimizer_step(&frozen, e, 0.0);
    LRK_TRY(lrk_optimizer_result(&frozen, e, &r, err));
    const double want = number(lrk_json_get(g->expected, "adapter"), "grad_norm");
    if (want > 0.0)
        compare_number(g, "gradient_norm", lrk_limit_norm(g->report), (r.grad_norm - want) / want, 0.0, "adapter");
    return LRK_OK;
}

static lrk_status ten_steps(lrk_golden *g, lrk_engine *e, const lrk_json *train, lrk_err *err)
{
    const lrk_json *steps = lrk_json_get(train, "steps"), *betas = lrk_json_get(train, "betas");
    const lrk_schedule schedule = {.kind = LRK_SCHEDULE_COSINE, .peak = number(train, "lr"),
                                   .warmup = (uint64_t)number(train, "warmup_steps"),
                                   .total = (uint64_t)number(train, "total_steps")};
    lrk_optimizer adamw = {.beta1 = lrk_json_number(lrk_json_at(betas, 0)),
                           .beta2 = lrk_json_number(lrk_json_at(betas, 1)),
                           .eps = number(train, "eps"), .decay = number(train, "weight_decay"),
                           .max_norm = number(train, "max_grad_norm")};
    const lrk_flat_run run = whole(g);
    lrk_step_result r;
    double sum;
    char note[32];
    for (size_t s = 0; s < lrk_json_size(steps); s++) {
        const lrk_json *want = lrk_json_at(steps, s);
        const double rate = lrk_schedule_rate(&schedule, s);
        snprintf(note, sizeof note, "step %zu", s);
        lrk_engine_begin(e);
        LRK_TRY(lrk_engine_add(e, &run, 1.0 / (double)g->trained, err));
        lrk_optimizer_step(&adamw, e, rate);
        LRK_TRY(lrk_optimizer_result(&adamw, e, &r, err));
        compare_number(g, "train.rate", (lrk_limit){1e-12, NULL, 0.0}, rate, number(want, "lr"), note);
        compare_number(g, "train.loss", lrk_limit_train_loss(g->report, want), r.loss / (double)g->trained,
                       number(want, "loss"), note);
        const double recorded = number(want, "grad_norm");
        compare_number(g, "train.gradient_norm", lrk_limit_train_norm(g->report), (r.grad_norm - recorded) / recorded,
                       0.0, note);
    }
    LRK_TRY(lrk_engine_loss(e, &run, &sum, err));
    compare_number(g, "train.loss", lrk_limit_train_loss(g->report, lrk_json_at(steps, 0)), sum / (double)g->trained,
                   number(train, "final_loss"), "after the last step");
    return LRK_OK;
}

static lrk_status compare_part(lrk_golden *g, const lrk_engine *e, const lrk_adapter *want, lrk_check *check,
                               const lrk_projection *p, size_t part, lrk_err *err)
{
    lrk_adapter_pair_view file;
    lrk_tensor a = p->a, b = p->b, m = p->m;
    LRK_REQUIRE(err, lrk_adapter_find_pair(want, &e->model, p, part, &file), LRK_EINPUT, "%s: %s is missing",
                path_in(g, "final"), p->path);
    LRK_TRY(lrk_adapter_copies(g->a, e->options.device, p, part, &a, &b, &m, err));
    LRK_REQUIRE(err, lrk_count(file.a) == lrk_count(&a) && lrk_count(file.b) == lrk_count(&b) &&
                         file.m->rank == m.rank && (!m.rank || lrk_count(file.m) == lrk_count(&m)), LRK_EINPUT,
                "%s: %s has other shapes than in init", path_in(g, "final"), p->path);
    lrk_report_error(g->report, check, fmax(furthest(file.a->data, a.data, lrk_count(&a)),
                                            furthest(file.b->data, b.data, lrk_count(&b))), p->path);
    if (m.rank) lrk_report_error(g->report, check, furthest(file.m->data, m.data, lrk_count(&m)), p->path);
    return LRK_OK;
}

static lrk_status compare_whole(lrk_golden *g, const lrk_engine *e, const lrk_adapter *want, lrk_check *check,
                                const lrk_whole *w, lrk_err *err)
{
    lrk_tensor got = w->weight;
    const lrk_adapter_whole *file = lrk_adapter_find_whole(want, w->path);
    LRK_REQUIRE(err, file && lrk_same_shape(&file->weight, &got), LRK_EINPUT, "%s: %s is missing, or of another shape",
                path_in(g, "final"), w->path);
    LRK_TRY(lrk_adapter_whole_copy(g->a, &e->model, &got, err));
    lrk_report_error(g->report, check, furthest(file->weight.data, got.data, lrk_count(&got)), w->path);
    return LRK_OK;
}

static double signed_gap(const float *want, const float *got, size_t stride, size_t n, float sign)
{
    double worst = 0.0;
    for (size_t i = 0; i < n * stride; i += stride)
        worst = fmax(worst, fabs((double)(sign * got[i]) - (double)want[i]));
    return worst;
}

/* Of adapters that began as a part of the weight, as they are written: pair by pair, whose signs are arbitrary. */
static lrk_status compare_pairs(lrk_golden *g, const lrk_engine *e, const char *dir, const char *name,
                                lrk_err *err)
{
    lrk_adapter want = {0};
    LRK_TRY(lrk_adapter_load(&want, path_in(g, dir), err));
    lrk_check *check = lrk_report_limit(g->report, name, strcmp(dir, "init") == 0
                                                             ? lrk_limit_start
                                                             : lrk_limit_final(g->report, g->expected, &want));
    lrk_adapter got = {.rslora = want.rslora, .arena = lrk_arena_growing("adapter")};
    lrk_status status = lrk_adapter_from_model(&got, &e->model, err);
    for (size_t m = 0; status == LRK_OK && m < want.n; m++) {
        const lrk_adapter_module *x = &want.module[m], *y = lrk_adapter_find(&got, x->path);
        const size_t R = lrk_rows(&x->a), in = lrk_cols(&x->a), out = lrk_rows(&x->b);
        if (!y || !lrk_same_shape(&x->a, &y->a) || !lrk_same_shape(&x->b, &y->b))
            status = lrk_fail(err, LRK_EINPUT, "%s: %s has another shape", path_in(g, dir), x->path);
        for (size_t r = 0; status == LRK_OK && r < R; r++) {
            const float *fixed = lrk_row(&x->a, r % (R / 2) + R / 2), *ours = lrk_row(&y->a, r % (R / 2) + R / 2);
            double dot = 0.0;
            for (size_t i = 0; i < in; i++) dot += (double)fixed[i] * (double)ours[i];
            const float sign = dot < 0.0 ? -1.0f : 1.0f;
            lrk_report_error(g->report, check,
                             fmax(signed_gap(lrk_row(&x->a, r), lrk_row(&y->a, r), 1, in, sign),
                                  signed_gap((float *)x->b.data + r, (float *)y->b.data + r, R, out, sign)), x->path);
        }
    }
    lrk_adapter_free(&got);
    lrk_adapter_free(&want);
    return status;
}

/* The adapter after the ten steps against final/. */
static lrk_status compare_final(lrk_golden *g, const lrk_engine *e, lrk_err *err)
{
    lrk_adapter want = {0};
    LRK_TRY(lrk_adapter_load(&want, path_in(g, "final"), err));
    lrk_check *check = lrk_report_limit(g->report, "train.final", lrk_limit_final(g->report, g->expected, &want));
    size_t n = 0, there = want.n_stacks;
    lrk_status status = LRK_OK;
    for (size_t i = 0; i < e->model.n_adapted; i++) n += lrk_adapter_parts(e->model.adapted[i]);
    for (size_t i = 0; i < want.n; i++) there += !want.module[i].stacked;
    if (there != n)
        status = lrk_fail(err, LRK_EINPUT, "%s: %zu modules, %zu in init", path_in(g, "final"), there, n);
    for (size_t i = 0; i < e->model.n_adapted; i++)
        for (size_t part = 0; status == LRK_OK && part < lrk_adapter_parts(e->model.adapted[i]); part++)
            status = compare_part(g, e, &want, check, e->model.adapted[i], part, err);
    for (size_t i = 0; status == LRK_OK && i < e->model.n_whole; i++)
        status = compare_whole(g, e, &want, check, &e->model.whole[i], err);
    lrk_adapter_free(&want);
    return status;
}

static lrk_status check_base(lrk_golden *g, lrk_err *err)
{
    lrk_engine e = {0};
    LRK_TRY(open_engine(g, &e, &g->base, NULL, plain, err));
    lrk_status status = logits(g, &e, "base", err);
    if (status == LRK_OK) status = losses(g, &e, "base", err);
    if (status == LRK_OK) status = greedy(g, &e, "base", err);
    lrk_engine_close(&e);
    return status;
}

static lrk_status check_adapter(lrk_golden *g, lrk_err *err)
{
    lrk_adapter adapter = {0};
    lrk_engine e = {0};
    if (!lrk_is_dir(path_in(g, "adapter"))) return LRK_OK;
    lrk_status status = lrk_adapter_load(&adapter, path_in(g, "adapter"), err);
    if (status == LRK_OK) status = open_engine(g, &e, &g->base, &adapter, plain, err);
    if (status == LRK_OK) status = logits(g, &e, "adapter", err);
    if (status == LRK_OK) status = losses(g, &e, "adapter", err);
    if (status == LRK_OK) status = greedy(g, &e, "adapter", err);
    if (status == LRK_OK) status = gradients(g, &e, &adapter, err);
    lrk_engine_close(&e);
    lrk_adapter_free(&adapter);
    return status;
}

static lrk_status check_training(lrk_golden *g, lrk_err *err)
{
    lrk_adapter adapter = {0};
    lrk_engine e = {0};
    const lrk_json *train = lrk_json_get(g->expected, "train");
    if (!train || !lrk_is_dir(path_in(g, "init"))) return LRK_OK;
    lrk_status status = lrk_adapter_load(&adapter, path_in(g, "init"), err);
    const lrk_beginning begin = beginning(train);
    if (status == LRK_OK) status = open_engine(g, &e, &g->base, &adapter, begin, err);
    if (status == LRK_OK && begin.kind) status = compare_pairs(g, &e, "init", "train.start", err);
    /* B is zero, or what was taken out, so the states are those of the base; the taps need a pass that keeps them */
    if (status == LRK_OK) status = hidden(g, &e, err);
    if (status == LRK_OK) status = ten_steps(g, &e, train, err);
    if (status == LRK_OK && lrk_is_dir(path_in(g, "final")))
        status = begin.kind ? compare_pairs(g, &e, "final", "train.final", err) : compare_final(g, &e, err);
    lrk_engine_close(&e);
    lrk_adapter_free(&adapter);
    return status;
}

/* The loss of the model that the reference merged. */
static lrk_status merged_loss(lrk_golden *g, const char *dir, double want, lrk_err *err)
{
    lrk_base_model merged;
    lrk_engine e = {0};
    double sum;
    const lrk_flat_run run = whole(g);
    LRK_TRY(lrk_base_open(&merged, dir, err));
    lrk_status status = open_engine(g, &e, &merged, NULL, plain, err);
    if (status == LRK_OK) status = lrk_engine_loss(&e, &run, &sum, err);
    if (status == LRK_OK)
        compare_number(g, "loss.merged", lrk_limit_loss(want), sum / (double)g->trained, want, "merged/");
    lrk_engine_close(&e);
    lrk_base_close(&merged);
    return status;
}

static lrk_status check_merged(lrk_golden *g, lrk_err *err)
{
    lrk_adapter adapter = {0};
    const lrk_json *record = lrk_json_get(g->expected, "merged");
    const char *dir = path_in(g, "merged");
    if (!record && !lrk_is_dir(dir)) return LRK_OK;
    LRK_TRY(merged_loss(g, dir, number(record, "loss_f32"), err));
    lrk_status status = lrk_adapter_load(&adapter, path_in(g, "adapter"), err);
    if (status == LRK_OK) status = lrk_verify_merge(g->base.weights, &adapter, dir, g->report, err);
    lrk_adapter_free(&adapter);
    return status;
}

/* A base whose vocabulary grew before the adapter was made. */
static lrk_status grow_base(lrk_golden *g, lrk_err *err)
{
    lrk_adapter adapter = {0};
    if (!lrk_is_dir(path_in(g, "adapter"))) return LRK_OK;
    lrk_status status = lrk_adapter_load(&adapter, path_in(g, "adapter"), err);
    if (status == LRK_OK && adapter.resized[0].rank) status = lrk_base_fit(&g->base, &adapter, false, err);
    lrk_adapter_free(&adapter);
    return status;
}

/* What every golden directory records; of the rest, what is not there is not checked. */
static lrk_status check_recorded(lrk_golden *g, lrk_err *err)
{
    LRK_REQUIRE(err, lrk_json_is(lrk_json_get(g->expected, "base"), LRK_JSON_OBJECT), LRK_EINPUT,
                "%s: base: is missing, or not an object", path_in(g, "expected.json"));
    LRK_REQUIRE(err, lrk_st_find(&g->numbers, "logits.base.row0"), LRK_EINPUT,
                "%s: tensor 'logits.base.row0' is missing", g->numbers.path);
    return lrk_alloc(g->a, g->numbers.n, sizeof *g->compared, "ledger", &g->compared, err);
}

/* A tensor that nothing was compared with is beyond this version: the first one is named. */
static void check_all_compared(const lrk_golden *g)
{
    for (size_t i = 0; i < g->numbers.n; i++) {
        char why[160];
        if (g->compared[i]) continue;
        snprintf(why, sizeof why, "tensor '%.100s' is compared with nothing", g->numbers.entry[i].name);
        lrk_report_unsupported(g->report, "expected.safetensors", why);
        return;
    }
}

lrk_status lrk_verify_model(const char *dir, lrk_report *report, lrk_err *err)
{
    lrk_golden *g;
    LRK_TRY(lrk_alloc(&report->arena, 1, sizeof *g, "golden directory", &g, err));
    *g = (lrk_golden){.dir = dir, .report = report, .a = &report->arena};
    const char *gguf = path_in(g, "model.gguf");
    LRK_TRY(lrk_base_open(&g->base, lrk_is_file(gguf) ? gguf : dir, err));
    lrk_status status = lrk_json_load(&g->expected, path_in(g, "expected.json"), 16 << 20, err);
    if (status == LRK_OK)
        status = lrk_st_open(&g->numbers, path_in(g, "expected.safetensors"), err);
    report->f32_error = lrk_json_get(g->expected, "f32_error");
    if (status == LRK_OK) status = check_recorded(g, err);
    if (status == LRK_OK) status = grow_base(g, err);
    if (status == LRK_OK) status = read_batch(g, err);
    if (status == LRK_OK) status = check_base(g, err);
    if (status == LRK_OK) status = check_adapter(g, err);
    if (status == LRK_OK) status = check_training(g, err);
    if (status == LRK_OK) status = check_merged(g, err);
    if (status == LRK_OK) check_all_compared(g);
    report->f32_error = NULL;
    lrk_st_close(&g->numbers);
    lrk_json_free(g->expected);
    lrk_json_free(g->batch);
    lrk_base_close(&g->base);
    return status;
}
