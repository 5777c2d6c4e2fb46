/* tests/model/metamorphic.c -- what must hold for a whole model, whatever its weights. With the argument
 * CUDA on a GPU, or on the emulator where that is linked. */
#include "base/threads.h"
#include "model/toy.h"
#include "train/optimizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static lrk_lora_options lora = {.rank = 4, .alpha = 8, .seed = 3};
static lrk_device device = LRK_CPU;
static int kind; /* of the toy */

typedef struct lrk_fixture {
    lrk_toy toy;
    lrk_engine e;
} lrk_fixture;

static void open_ahead(lrk_fixture *f, const lrk_lora_options *adapters, lrk_recompute recompute,
                       lrk_compute compute, lrk_weights_ahead *ahead)
{
    lrk_err err = {0};
    f->toy = (lrk_toy){.arena = lrk_arena_growing("toy"),
                       .type = compute == LRK_C_BF16 ? LRK_BF16 : LRK_F32,
                       .decoder = lrk_toy_decoder(kind)};
    lrk_engine_options o = {.device = device, .decoder = f->toy.decoder, .find = lrk_toy_find, .ctx = &f->toy,
                            .lora = adapters, .train = adapters != NULL, .compute = compute,
                            .recompute = recompute, .max_tokens = 128, .max_segments = 8,
                            .max_logits = 128};
    if (ahead && lrk_weights_ahead_begin(ahead, &o, &err) != LRK_OK) fail_msg("%s", err.text);
    o.ahead = ahead;
    if (lrk_engine_open(&f->e, &o, &err) != LRK_OK) fail_msg("%s", err.text);
    if (!adapters) return;
    if (adapters->begin.kind && lrk_model_start(&f->e.model, 1, &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_toy_adapters(&f->e.model);
}

static void open_with(lrk_fixture *f, const lrk_lora_options *adapters, lrk_recompute recompute,
                      lrk_compute compute)
{
    open_ahead(f, adapters, recompute, compute, NULL);
}

static void close_all(lrk_fixture *f)
{
    lrk_engine_close(&f->e);
    lrk_arena_free(&f->toy.arena);
}

static double gradients(lrk_fixture *f, const lrk_flat_run *b, double seed)
{
    lrk_err err = {0};
    double loss;
    if (lrk_engine_gradients(&f->e, b, seed, &loss, &err) != LRK_OK) fail_msg("%s", err.text);
    return loss;
}

static void clear(lrk_fixture *f)
{
    lrk_engine_begin(&f->e);
}

/* What a tensor holds, in memory of the caller's. */
static float *copy_of(const lrk_tensor *t)
{
    lrk_err err = {0};
    float *copy = malloc(lrk_bytes(t));
    if (lrk_device_download(device, copy, t->data, lrk_bytes(t), &err) != LRK_OK)
        fail_msg("%s", err.text);
    return copy;
}

static float *copy_gradients(const lrk_fixture *f)
{
    return copy_of(&f->e.model.gradients);
}

static void assert_gradients_equal(const lrk_fixture *f, const float *want)
{
    float *got = copy_gradients(f);
    assert_memory_equal(want, got, lrk_bytes(&f->e.model.gradients));
    free(got);
}

static void assert_gradients_close(const lrk_fixture *f, const float *want, double bound)
{
    float *got = copy_gradients(f);
    double worst = 0.0, largest = 0.0;
    for (size_t i = 0; i < lrk_count(&f->e.model.gradients); i++) {
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
    }
    free(got);
    if (worst > bound * largest) fail_msg("gradients differ by %g of %g", worst, largest);
    assert_true(largest > 0.0);
}

static void adapters_that_start_at_zero_change_no_logit(void **state)
{
    (void)state;
    lrk_fixture base, adapted;
    lrk_toy_batch t;
    lrk_err err = {0};
    const lrk_tensor *z;
    open_with(&base, NULL, LRK_KEEP_ALL, LRK_C_F32);
    open_with(&adapted, &lora, LRK_KEEP_ALL, LRK_C_F32);
    assert_int_equal(lrk_model_start(&adapted.e.model, 1, NULL), LRK_OK);
    lrk_toy_rows(&t, (size_t[]){9, 17}, 2, 1, 0, 50);
    int32_t rows[26];
    for (int32_t i = 0; i < 26; i++) rows[i] = i;
    assert_int_equal(lrk_engine_logits(&base.e, &t.b, false, rows, 26, &z, &err), LRK_OK);
    float *want = malloc(lrk_bytes(z));
    memcpy(want, z->data, lrk_bytes(z));
    assert_int_equal(lrk_engine_logits(&adapted.e, &t.b, false, rows, 26, &z, &err), LRK_OK);
    double largest = 0.0;
    for (size_t i = 0; i < lrk_count(z); i++) largest = fmax(largest, fabs((double)want[i]));
    /* what is taken out of the weight and added again is as large as the rest */
    for (size_t i = 0; i < lrk_count(z) && lora.begin.kind; i++)
        assert_true(fabs((double)((const float *)z->data)[i] - (double)want[i]) <= 2.0 * LRK_TOY_REORDERED * largest);
    if (!lora.begin.kind) assert_memory_equal(want, z->data, lrk_bytes(z));
    free(want);
    close_all(&base);
    close_all(&adapted);
}

/* A random step that no part of the gradient says is downhill, so that all they change adds up. */
static double uphill(const float *g, size_t i)
{
    return copysign(lrk_rng_normal((lrk_rng){4, LRK_SITE_TEST, 1}, i), (double)g[i]);
}

/* The gradient along that direction is what a small step along it changes, by a difference of fourth order. What that
 * leaves out grows with h^4: 5e-3 at h = 2e-3, so 1e-6 here. The losses are f32: 50 tokens, each good to
 * sqrt(20 products) * 2^-24, make 1.5 / h * 230 * 2^-24 * sqrt(20 / 50) = 0.052 in the quotient, 6.5e-5 of slopes of
 * 800 and more; twice that. Kernels are checked in f64 one by one. The direction is one along which no token changes
 * its experts, where the loss jumps. */
static void gradient_is_the_slope_of_the_loss(void **state)
{
    (void)state;
    static const double at[4] = {-2.0, -1.0, 1.0, 2.0}, weight[4] = {1.0, -8.0, 8.0, -1.0};
    const double h = 2.5e-4;
    lrk_fixture f;
    lrk_toy_batch t;
    open_with(&f, &lora, LRK_KEEP_ALL, LRK_C_F32);
    lrk_toy_rows(&t, (size_t[]){9, 17, 30}, 3, 1, 0, 50);
    clear(&f);
    gradients(&f, &t.b, 1.0);
    const size_t n = lrk_count(&f.e.model.parameters);
    float *start = copy_of(&f.e.model.parameters), *g = copy_gradients(&f);
    float *p = malloc(n * sizeof *p);
    double slope = 0.0, measured = 0.0;
    for (size_t i = 0; i < n; i++) slope += (double)g[i] * uphill(g, i);
    for (int k = 0; k < 4; k++) {
        lrk_err err = {0};
        double loss;
        for (size_t i = 0; i < n; i++)
            p[i] = (float)((double)start[i] + at[k] * h * uphill(g, i));
        lrk_device_upload(device, f.e.model.parameters.data, p, n * sizeof *p);
        assert_int_equal(lrk_engine_loss(&f.e, &t.b, &loss, &err), LRK_OK);
        measured += weight[k] * loss / (12.0 * h);
    }
    if (slope < 800.0 || fabs(measured - slope) > 1.3e-4 * slope) fail_msg("slope %g, measured %g", slope, measured);
    free(start);
    free(g);
    free(p);
    close_all(&f);
}

/* Matrices that read one input are one op, whose adapters are multiplied together: each alone, they give the same. */
static void one_op_for_one_input(void **state)
{
    (void)state;
    lrk_fixture f;
    lrk_toy_batch t;
    size_t following = 0;
    if (kind != LRK_TOY_LLAMA) skip(); /* the others have no other kinds of groups */
    open_with(&f, &lora, LRK_KEEP_ALL, LRK_C_F32);
    lrk_toy_rows(&t, (size_t[]){9, 17}, 2, 1, 0, 50);
    clear(&f);
    gradients(&f, &t.b, 1.0);
    float *want = copy_gradients(&f);
    for (size_t i = 0; i < f.e.model.n_adapted; i++) {
        following += f.e.model.adapted[i]->follows;
        f.e.model.adapted[i]->follows = false;
    }
    assert_int_equal(following, 2 * 3); /* k and v, up, of two layers */
    if (f.e.graphs) f.e.graphs[0] = (lrk_engine_graph){0}; /* products that are new are not asked for in a recording */
    clear(&f);
    gradients(&f, &t.b, 1.0);
    assert_gradients_close(&f, want, LRK_TOY_REORDERED);
    free(want);
    close_all(&f);
}

/* Experts have no dropout. */
static bool select_without_experts(void *ctx, const char *path, size_t *rank, double *alpha)
{
    (void)ctx, (void)rank, (void)alpha;
    return !strstr(path, ".experts.");
}

static void recomputing_changes_no_bit(void **state)
{
    (void)state;
    static const lrk_compute types[] = {LRK_C_F32, LRK_C_BF16};
    lrk_lora_options dropped = lora;
    dropped.dropout = 0.2;
    dropped.select = select_without_experts;
    for (size_t i = 0; i < 2; i++) {
        float *want = NULL;
        size_t step[3];
        for (int how = LRK_KEEP_ALL; how <= LRK_KEEP_LAYERS; how++) {
            lrk_fixture f;
            lrk_toy_batch t;
            open_with(&f, &dropped, (lrk_recompute)how, types[i]);
            lrk_toy_rows(&t, (size_t[]){40, 17, 60}, 3, 1, 0, 50);
            lrk_model_set_dropout(&f.e.model, 7, 0);
            clear(&f);
            gradients(&f, &t.b, 0.01);
            step[how] = f.e.bytes.step;
            if (!want)
                want = copy_gradients(&f);
            else
                assert_gradients_equal(&f, want);
            close_all(&f);
        }
        free(want);
        assert_true(step[1] < step[0]);
    }
}

static bool select_last_layer(void *ctx, const char *path, size_t *rank, double *alpha)
{
    (void)ctx, (void)rank, (void)alpha;
    return strstr(path, "layers.1.") && !strstr(path, ".gate.") && !strstr(path, ".experts.");
}

/* What lies below the lowest adapter is computed as in inference: nothing kept for a backward, and none run. */
static void backward_ends_at_the_lowest_adapter(void **state)
{
    (void)state;
    lrk_lora_options last = lora;
    lrk_fixture f, all;
    lrk_toy_batch t;
    lrk_err err = {0};
    lrk_var *hidden[3];
    last.select = select_last_layer;
    last.whole = 0;
    open_with(&f, &last, LRK_KEEP_ALL, LRK_C_F32);
    open_with(&all, &lora, LRK_KEEP_ALL, LRK_C_F32);
    lrk_toy_rows(&t, (size_t[]){9, 17}, 2, 1, 0, 50);
    assert_int_equal(lrk_engine_hidden(&f.e, &t.b, hidden, &err), LRK_OK);
    assert_false(hidden[0]->needs_grad);
    assert_false(hidden[1]->needs_grad);
    assert_true(hidden[2]->needs_grad);
    assert_int_equal(lrk_engine_hidden(&all.e, &t.b, hidden, &err), LRK_OK);
    assert_int_equal(hidden[0]->needs_grad, (lora.whole & LRK_WHOLE_EMBEDDING) != 0);
    assert_true(hidden[1]->needs_grad);
    assert_true(f.e.bytes.step < all.e.bytes.step);
    close_all(&f);
    close_all(&all);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    lrk_fixture f;
    lrk_toy_batch t;
    open_with(&f, &lora, LRK_KEEP_ALL, LRK_C_F32);
    lrk_toy_rows(&t, (size_t[]){40, 17, 60}, 3, 1, 0, 50);
    float *want = NULL;
    /* memory was planned for the threads of the machine: only fewer may follow */
    for (int threads = lrk_threads(); threads >= 1; threads--) {
        lrk_threads_set(threads);
        clear(&f);
        gradients(&f, &t.b, 0.01);
        if (!want) want = copy_gradients(&f);
        assert_gradients_equal(&f, want);
    }
    lrk_threads_set(0);
    free(want);
    close_all(&f);
}

static void packed_rows_equal_rows_alone(void **state)
{
    (void)state;
    static const size_t lengths[] = {9, 17, 30};
    lrk_fixture f;
    lrk_toy_batch t;
    open_with(&f, &lora, LRK_KEEP_ALL, LRK_C_F32);
    clear(&f);
    double alone = 0.0;
    for (size_t r = 0; r < 3; r++) {
        lrk_toy_rows(&t, &lengths[r], 1, 1, r, 50);
        alone += gradients(&f, &t.b, 0.02);
    }
    float *want = copy_gradients(&f);
    clear(&f);
    lrk_toy_rows(&t, lengths, 3, 1, 0, 50);
    const double packed = gradients(&f, &t.b, 0.02);
    assert_true(fabs(packed - alone) < LRK_TOY_REORDERED * alone);
    assert_gradients_close(&f, want, LRK_TOY_REORDERED);
    free(want);
    close_all(&f);
}

static void a_row_does_not_see_its_neighbours(void **state)
{
    (void)state;
    lrk_fixture f;
    lrk_toy_batch t;
    lrk_err err = {0};
    const lrk_tensor *z;
    float want[17 * 50];
    int32_t rows[17];
    open_with(&f, &lora, LRK_KEEP_ALL, LRK_C_F32);
    for (int32_t i = 0; i < 17; i++) rows[i] = 9 + i;
    lrk_toy_rows(&t, (size_t[]){9, 17}, 2, 1, 0, 50);
    assert_int_equal(lrk_engine_logits(&f.e, &t.b, false, rows, 17, &z, &err), LRK_OK);
    memcpy(want, z->data, sizeof want);
    for (size_t i = 0; i < 9; i++) t.ids[i] = (t.ids[i] + 13) % 50;
    assert_int_equal(lrk_engine_logits(&f.e, &t.b, false, rows, 17, &z, &err), LRK_OK);
    assert_memory_equal(want, z->data, sizeof want);
    close_all(&f);
}

/* A prefix that three rows share, computed once, against the three rows written out. */
static void a_shared_prefix_equals_whole_rows(void **state)
{
    (void)state;
    enum { PREFIX = 7, TAIL = 5, ROWS = 3 };
    lrk_fixture f;
    lrk_toy_batch whole, shared;
    open_with(&f, &lora, LRK_KEEP_ALL, LRK_C_F32);
    lrk_toy_rows(&whole, (size_t[]){PREFIX + TAIL, PREFIX + TAIL, PREFIX + TAIL}, ROWS, 1, 0, 50);
    lrk_toy_rows(&shared, (size_t[]){PREFIX, TAIL, TAIL, TAIL}, ROWS + 1, 1, 0, 50);
    for (size_t r = 0; r < ROWS; r++) {
        int32_t *row = whole.ids + r * (PREFIX + TAIL), *targets = whole.targets + r * (PREFIX + TAIL);
        memcpy(row, shared.ids, PREFIX * sizeof *row);
        for (size_t i = 0; i < PREFIX + TAIL; i++)
            targets[i] = i >= PREFIX && i + 1 < PREFIX + TAIL ? row[i + 1] : -1;
        const size_t at = PREFIX + r * TAIL;
        memcpy(shared.ids + at, row + PREFIX, TAIL * sizeof *row);
        memcpy(shared.targets + at, targets + PREFIX, TAIL * sizeof *row);
        int32_t *s = shared.segments + (r + 1) * LRK_SEG_FIELDS;
        s[LRK_SEG_POSITION] = PREFIX;
        s[LRK_SEG_PARENT] = 0;
    }
    for (size_t i = 0; i < PREFIX; i++) shared.targets[i] = -1;
    clear(&f);
    const double want_loss = gradients(&f, &whole.b, 0.02);
    float *want = copy_gradients(&f);
    clear(&f);
    const double got_loss = gradients(&f, &shared.b, 0.02);
    assert_true(fabs(want_loss - got_loss) < LRK_TOY_REORDERED * want_loss);
    assert_gradients_close(&f, want, LRK_TOY_REORDERED);
    free(want);
    close_all(&f);
}

/* How far the copy of a weight has gone from what is stored. */
static double moved(const lrk_whole *w)
{
    float *now = copy_of(&w->weight);
    const size_t cols = lrk_cols(&w->weight);
    double furthest = 0.0;
    for (size_t i = 0; i < lrk_count(&w->weight); i++) {
        const size_t row = w->rows.n ? (size_t)w->rows.id[i / cols] : i / cols;
        const float *stored = lrk_row(&w->stored, row);
        furthest = fmax(furthest, fabs((double)now[i] - (double)stored[i % cols]));
    }
    free(now);
    return furthest;
}

static void training_lowers_the_loss_and_moves_every_b(void **state)
{
    (void)state;
    lrk_fixture f;
    lrk_toy_batch t;
    lrk_err err = {0};
    open_with(&f, &lora, LRK_KEEP_ALL, LRK_C_F32);
    assert_int_equal(lrk_model_start(&f.e.model, 1, NULL), LRK_OK);
    lrk_optimizer adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .max_norm = 1.0};
    lrk_toy_rows(&t, (size_t[]){20, 20}, 2, 1, 0, 50);
    double first = 0.0, last = 0.0;
    lrk_step_result r;
    /* a GPU has proven it as soon as it is so: the steps to come are the CPU's, and an emulator is slow */
    for (int s = 0; s < 30 && !(device == LRK_CUDA && last < 0.5 * first); s++) {
        clear(&f);
        last = gradients(&f, &t.b, 1.0 / 34.0);
        if (s == 0) first = last;
        lrk_optimizer_step(&adamw, &f.e, 0.01);
        assert_int_equal(lrk_optimizer_result(&adamw, &f.e, &r, &err), LRK_OK);
    }
    assert_true(last < 0.5 * first);
    for (size_t i = 0; i < f.e.model.n_adapted; i++) {
        const lrk_tensor *b = &f.e.model.adapted[i]->b;
        float *numbers = copy_of(b);
        double sum = 0.0;
        for (size_t k = 0; k < lrk_count(b); k++) sum += fabs((double)numbers[k]);
        free(numbers);
        assert_true(sum > 0.0);
    }
    for (size_t i = 0; i < f.e.model.n_whole; i++) assert_true(moved(&f.e.model.whole[i]) > 0.01);
    close_all(&f);
}

/* LoRA+: A moves as it does at the rate, B as it does at the rate times the ratio. */
static void b_may_learn_faster(void **state)
{
    (void)state;
    static const double rate[3] = {0.01, 0.01, 0.16}, ratio[3] = {0.0, 16.0, 1.0};
    lrk_toy_batch t;
    lrk_fixture f[3];
    float *after[3];
    lrk_toy_rows(&t, (size_t[]){20, 20}, 2, 1, 0, 50);
    for (int i = 0; i < 3; i++) {
        lrk_optimizer adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.1, .b_ratio = ratio[i]};
        open_with(&f[i], &lora, LRK_KEEP_ALL, LRK_C_F32);
        clear(&f[i]);
        gradients(&f[i], &t.b, 1.0 / 34.0);
        lrk_optimizer_step(&adamw, &f[i].e, rate[i]);
        after[i] = copy_of(&f[i].e.model.parameters);
    }
    const lrk_model *m = &f[1].e.model;
    for (size_t i = 0; i < m->n_adapted; i++) {
        const lrk_projection *p = m->adapted[i];
        const size_t a = (size_t)((float *)p->a.data - (float *)m->parameters.data);
        const size_t b = (size_t)((float *)p->b.data - (float *)m->parameters.data);
        assert_memory_equal(after[1] + a, after[0] + a, lrk_bytes(&p->a));
        assert_memory_equal(after[1] + b, after[2] + b, lrk_bytes(&p->b));
        assert_memory_not_equal(after[1] + b, after[0] + b, lrk_bytes(&p->b));
    }
    for (size_t i = 0; i < m->n_whole; i++) {
        const lrk_tensor *w = &m->whole[i].weight;
        const size_t at = (size_t)((float *)w->data - (float *)m->parameters.data);
        assert_memory_equal(after[1] + at, after[0] + at, lrk_bytes(w));
    }
    for (int i = 0; i < 3; i++) {
        free(after[i]);
        close_all(&f[i]);
    }
}

/* The numbers of a step may be read when the next one is done already. */
static void results_can_be_read_late(void **state)
{
    (void)state;
    lrk_fixture f[2];
    lrk_toy_batch t;
    lrk_err err = {0};
    lrk_step_result at_once[2], late[2];
    lrk_toy_rows(&t, (size_t[]){20, 20}, 2, 1, 0, 50);
    for (int i = 0; i < 2; i++) {
        open_with(&f[i], &lora, LRK_KEEP_ALL, LRK_C_F32);
        lrk_optimizer adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .max_norm = 1.0};
        for (int s = 0; s < 2; s++) {
            lrk_engine_begin(&f[i].e);
            assert_int_equal(lrk_engine_add(&f[i].e, &t.b, 1.0 / 34.0, &err), LRK_OK);
            lrk_optimizer_step(&adamw, &f[i].e, 0.01);
            if (i == 0) assert_int_equal(lrk_optimizer_result(&adamw, &f[0].e, &at_once[s], &err), LRK_OK);
        }
        for (int s = 0; i == 1 && s < 2; s++)
            assert_int_equal(lrk_optimizer_result(&adamw, &f[1].e, &late[s], &err), LRK_OK);
    }
    assert_memory_equal(at_once, late, sizeof late);
    assert_true(late[0].loss != late[1].loss);
    close_all(&f[0]);
    close_all(&f[1]);
}

/* On a GPU: the same bits as those of an engine that copies its weights itself. */
static void weights_sent_ahead_are_the_weights(void **state)
{
    (void)state;
    lrk_fixture f;
    lrk_toy_batch t;
    lrk_weights_ahead ahead;
    float *want = NULL;
    if (device == LRK_CPU) skip();
    lrk_toy_rows(&t, (size_t[]){9, 17}, 2, 1, 0, 50);
    for (int i = 0; i < 2; i++) {
        open_ahead(&f, &lora, LRK_KEEP_ALL, LRK_C_BF16, i ? &ahead : NULL);
        clear(&f);
        gradients(&f, &t.b, 1.0);
        if (i)
            assert_gradients_equal(&f, want);
        else
            want = copy_gradients(&f);
        close_all(&f);
    }
    lrk_weights_ahead_end(&ahead);
    free(want);
}

/* The head has no room for more: an error, and not a loss that is no number. */
static void more_trained_tokens_than_planned_are_refused(void **state)
{
    (void)state;
    lrk_fixture f;
    lrk_toy_batch t;
    lrk_err err = {0};
    double loss;
    open_with(&f, &lora, LRK_KEEP_ALL, LRK_C_F32);
    f.e.options.max_trained = 20;
    clear(&f);
    lrk_toy_rows(&t, (size_t[]){9, 17}, 2, 1, 0, 50); /* all but three tokens of a row: 6 and 14 */
    assert_int_equal(lrk_engine_gradients(&f.e, &t.b, 1.0, &loss, &err), LRK_OK);
    assert_true(isfinite(loss));
    lrk_toy_rows(&t, (size_t[]){9, 18}, 2, 1, 0, 50);
    assert_int_equal(lrk_engine_gradients(&f.e, &t.b, 1.0, &loss, &err), LRK_EVALUE);
    assert_non_null(strstr(err.text, "trains 21 tokens, at most 20"));
    close_all(&f);
}

/* A shape that comes again is replayed on a GPU, with other numbers in the same places. */
static void a_shape_that_comes_again_gives_the_same(void **state)
{
    (void)state;
    lrk_fixture f;
    lrk_toy_batch t, other;
    open_with(&f, &lora, LRK_KEEP_ALL, LRK_C_F32);
    lrk_toy_rows(&t, (size_t[]){9, 17}, 2, 1, 0, 50);
    lrk_toy_rows(&other, (size_t[]){12, 14}, 2, 1, 5, 50);
    float *want = NULL;
    double first = 0.0;
    for (int i = 0; i < 4; i++) {
        clear(&f);
        const double loss = gradients(&f, i == 2 ? &other.b : &t.b, 0.02);
        if (i == 0) {
            want = copy_gradients(&f);
            first = loss;
        } else if (i == 2) {
            assert_true(loss != first);
        } else {
            assert_true(loss == first);
            assert_gradients_equal(&f, want);
        }
    }
    free(want);
    close_all(&f);
}

int main(int argc, char **argv)
{
    if (!lrk_toy_device(argc, argv, &device)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapters_that_start_at_zero_change_no_logit),
        cmocka_unit_test(gradient_is_the_slope_of_the_loss),
        cmocka_unit_test(one_op_for_one_input),
        cmocka_unit_test(recomputing_changes_no_bit),
        cmocka_unit_test(backward_ends_at_the_lowest_adapter),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(packed_rows_equal_rows_alone),
        cmocka_unit_test(a_row_does_not_see_its_neighbours),
        cmocka_unit_test(a_shared_prefix_equals_whole_rows),
        cmocka_unit_test(training_lowers_the_loss_and_moves_every_b),
        cmocka_unit_test(b_may_learn_faster),
        cmocka_unit_test(results_can_be_read_late),
        cmocka_unit_test(a_shape_that_comes_again_gives_the_same),
        cmocka_unit_test(weights_sent_ahead_are_the_weights),
        cmocka_unit_test(more_trained_tokens_than_planned_are_refused),
    };
    int failed = 0;
    /* what is trained beside adapters: embedding and head, as one and apart; some of their rows, of the head's alone */
    static const int32_t some[] = {0, 3, 7, 20, 21, 33, 49}, others[] = {1, 7, 8, 40};
    static const struct {
        int kind;
        unsigned whole;
        lrk_row_list rows[2];
        lrk_beginning begin;
    } runs[] = {{LRK_TOY_LLAMA, LRK_WHOLE_EMBEDDING | LRK_WHOLE_AS_ONE, {{some, 7}, {NULL, 0}}, {0}},
                {LRK_TOY_GEMMA, LRK_WHOLE_EMBEDDING | LRK_WHOLE_AS_ONE, {{NULL, 0}, {NULL, 0}}, {0}},
                {LRK_TOY_FUSED, LRK_WHOLE_EMBEDDING | LRK_WHOLE_HEAD, {{NULL, 0}, {NULL, 0}}, {0}},
                {LRK_TOY_FUSED, LRK_WHOLE_EMBEDDING | LRK_WHOLE_HEAD, {{others, 4}, {some, 7}}, {0}},
                {LRK_TOY_EXPERTS, LRK_WHOLE_HEAD, {{NULL, 0}, {some, 7}}, {0}},
                {LRK_TOY_FUSED, 0, {{NULL, 0}, {NULL, 0}}, {LRK_BEGIN_PISSA, 2}}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        if (runs[i].begin.kind && device == LRK_CUDA) continue; /* no op of its own; emulator/golden.sh trains one */
        /* its kernels are those of the others, and an emulator is slow */
        if (runs[i].kind == LRK_TOY_FUSED && device == LRK_CUDA && !getenv("LRK_ALL_CASES")) continue;
        kind = runs[i].kind;
        lora.whole = runs[i].whole;
        memcpy(lora.rows, runs[i].rows, sizeof lora.rows);
        lora.begin = runs[i].begin;
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
