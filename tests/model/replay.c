/* tests/model/replay.c -- steps on a GPU: from the second one on all of it is replayed, the passes of each micro-batch
 * and the optimizer's work, the zeros that gradients begin with too, nothing is allocated, the host waits for nothing
 * but its results, and the bits are those of kernels that were asked for one by one. With the argument CUDA on a GPU or
 * the emulator, which counts; on the CPU there is nothing to see. */
#include "model/toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "models/engine_device.h"
#include "train/optimizer.h"

#ifdef LRK_EMULATOR
enum { COUNTED = true };
uint64_t lrk_emulator_launched(void);
uint64_t lrk_emulator_allocations(void);
uint64_t lrk_emulator_waits(void);
uint64_t lrk_emulator_instantiated(void);
#else
enum { COUNTED = false };
static uint64_t lrk_emulator_launched(void) { return 0; }
static uint64_t lrk_emulator_allocations(void) { return 0; }
static uint64_t lrk_emulator_waits(void) { return 0; }
static uint64_t lrk_emulator_instantiated(void) { return 0; }
#endif

enum { STEPS = 3, MICRO = 2 };

static lrk_device device = LRK_CPU;

typedef struct fixture {
    lrk_toy toy;
    lrk_engine e;
} fixture;

static void must(lrk_status s, const lrk_err *err)
{
    if (s != LRK_OK) fail_msg("%s", err->text);
}

/* trained: of a run, at most; 0: not known. */
static void open_for(fixture *f, const lrk_lora_options *lora, lrk_compute compute, size_t tokens, size_t trained)
{
    lrk_err err = {0};
    f->toy = (lrk_toy){.arena = lrk_arena_growing("toy"), .type = compute == LRK_C_F32 ? LRK_F32 : LRK_BF16,
                       .decoder = lrk_toy_decoder(LRK_TOY_LLAMA)};
    const lrk_engine_options o = {.device = device, .decoder = f->toy.decoder, .find = lrk_toy_find, .ctx = &f->toy,
                                  .lora = lora, .train = true, .compute = compute, .max_tokens = tokens,
                                  .max_segments = 4, .max_trained = trained};
    must(lrk_engine_open(&f->e, &o, &err), &err);
    must(lrk_model_start(&f->e.model, 1, &err), &err);
}

static void open_one(fixture *f, const lrk_lora_options *lora, lrk_compute compute)
{
    open_for(f, lora, compute, 32, 0);
}

static void close_one(fixture *f)
{
    lrk_engine_close(&f->e);
    lrk_arena_free(&f->toy.arena);
}

/* Some steps; with `counted`, what is asked for one by one after the first is an error. */
static void take_steps(fixture *f, lrk_optimizer *o, bool counted, lrk_step_result *results)
{
    lrk_err err = {0};
    lrk_toy_batch t;
    uint64_t launched = 0, allocated = 0, waits = 0;
    for (int s = 0; s < STEPS; s++) {
        lrk_engine_begin(&f->e);
        for (size_t i = 0; i < MICRO; i++) {
            lrk_toy_rows(&t, (size_t[]){9, 17}, 2, 1, (size_t)s * MICRO + i, 50);
            must(lrk_engine_add(&f->e, &t.b, 1.0 / (2.0 * 20.0), &err), &err);
        }
        lrk_optimizer_step(o, &f->e, 0.01 / (1 + s));
        must(lrk_optimizer_result(o, &f->e, &results[s], &err), &err);
        if (s && counted) {
            assert_int_equal(lrk_emulator_launched(), launched);
            assert_int_equal(lrk_emulator_allocations(), allocated);
            assert_int_equal(lrk_emulator_waits(), waits);
        }
        launched = lrk_emulator_launched();
        allocated = lrk_emulator_allocations();
        waits = lrk_emulator_waits();
    }
}

static void assert_same(const lrk_tensor *a, const lrk_tensor *b)
{
    lrk_err err = {0};
    void *pa = malloc(lrk_bytes(a)), *pb = malloc(lrk_bytes(b));
    must(lrk_device_download(device, pa, a->data, lrk_bytes(a), &err), &err);
    must(lrk_device_download(device, pb, b->data, lrk_bytes(b), &err), &err);
    assert_memory_equal(pa, pb, lrk_bytes(a));
    free(pa);
    free(pb);
}

static void check(const lrk_lora_options *lora, lrk_compute compute, double b_ratio, double max_norm)
{
    fixture f[2];
    lrk_step_result r[2][STEPS];
    for (int i = 0; i < 2; i++) {
        lrk_optimizer o = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .decay = 0.1, .max_norm = max_norm,
                           .b_ratio = b_ratio};
        open_one(&f[i], lora, compute);
        lrk_tape_profile(f[i].e.tape, i == 1);
        take_steps(&f[i], &o, i == 0, r[i]);
    }
    assert_memory_equal(r[0], r[1], sizeof r[0]);
    assert_true(max_norm <= 0.0 || r[0][1].grad_norm > max_norm); /* it clips */
    const lrk_model *a = &f[0].e.model, *b = &f[1].e.model;
    assert_same(&a->parameters, &b->parameters);
    assert_same(&f[0].e.moment[1], &f[1].e.moment[1]);
    if (a->shadow.rank) assert_same(&a->shadow, &b->shadow);
    for (size_t i = 0; i < a->n_adapted; i++)
        if (a->adapted[i]->norm.rank) assert_same(&a->adapted[i]->norm, &b->adapted[i]->norm);
    for (int i = 0; i < 2; i++) close_one(&f[i]);
}

static void steps_are_replayed(void **state)
{
    (void)state;
    if (device == LRK_CPU) skip();
    lrk_lora_options lora = {.rank = 8, .alpha = 8, .seed = 3, .dropout = 0.1};
    check(&lora, LRK_C_F32, 0.0, 0.05);
    check(&lora, LRK_C_BF16, 16.0, 0.05);
    lora.dora = true; /* norms follow from each step */
    check(&lora, LRK_C_F32, 16.0, 0.0);
    lora.dora = false;
    lora.whole = LRK_WHOLE_HEAD;
    check(&lora, LRK_C_BF16, 0.0, 0.05);
}

/* Both kinds of update on one engine, and other numbers for the same kind. */
static void each_step_has_its_own_numbers(void **state)
{
    (void)state;
    if (device == LRK_CPU) skip();
    static const lrk_lora_options lora = {.rank = 8, .alpha = 8, .seed = 3};
    static const double ratio[2] = {0.0, 16.0}, beta[2] = {0.9, 0.5};
    fixture f[2];
    lrk_step_result r[STEPS];
    for (int i = 0; i < 2; i++) {
        open_one(&f[i], &lora, LRK_C_F32);
        lrk_tape_profile(f[i].e.tape, i == 1);
        for (int k = 0; k < 4; k++) {
            lrk_optimizer o = {.beta1 = beta[k / 2], .beta2 = 0.99, .eps = k ? 1e-8 : 1e-3, .b_ratio = ratio[k % 2]};
            take_steps(&f[i], &o, false, r);
        }
    }
    assert_same(&f[0].e.model.parameters, &f[1].e.model.parameters);
    for (int i = 0; i < 2; i++) close_one(&f[i]);
}

/* Where there is no memory to record the passes, they are done one by one, and it is not tried again. */
static void a_recording_is_refused_once(void **state)
{
    (void)state;
    static const lrk_lora_options lora = {.rank = 8, .alpha = 8, .seed = 3};
    const uint64_t before = lrk_emulator_instantiated();
    fixture f[2];
    lrk_step_result r[2][STEPS];
    char first[32];
    if (device == LRK_CPU) skip();
    snprintf(first, sizeof first, "instantiate:%llu", (unsigned long long)before + 1);
    setenv("LRK_EMULATOR_FAIL", first, 1);
    for (int i = 0; i < 2; i++) {
        lrk_optimizer o = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8};
        open_one(&f[i], &lora, LRK_C_F32);
        lrk_tape_profile(f[i].e.tape, i == 1);
        take_steps(&f[i], &o, false, r[i]);
    }
    unsetenv("LRK_EMULATOR_FAIL");
    if (COUNTED) assert_int_equal(lrk_emulator_instantiated(), before + 2); /* the optimizer's work is the other */
    assert_memory_equal(r[0], r[1], sizeof r[0]);
    assert_same(&f[0].e.model.parameters, &f[1].e.model.parameters);
    for (int i = 0; i < 2; i++) close_one(&f[i]);
}

static size_t recordings(const lrk_engine *e)
{
    size_t n = 0;
    for (size_t i = 0; i < LRK_MAX_SHAPES; i++) n += e->graphs[i].passes.recording != NULL;
    return n;
}

/* A run of so many tokens, of which the first ones are not trained, so that `trained` are. */
static void one_row(lrk_toy_batch *t, size_t tokens, size_t trained)
{
    lrk_toy_rows(t, &tokens, 1, 1, tokens, 50);
    for (size_t i = 0; lrk_engine_trained(&t->b) > trained; i++) t->targets[i] = -1;
}

/* Of passes over runs of several shapes: where few recordings are kept, they are those of the shapes that come most
 * often; none is given up while kernels are timed, for nothing is recorded then. The bits are always the same. */
static void some_recordings_are_kept(void **state)
{
    (void)state;
    static const lrk_lora_options lora = {.rank = 8, .alpha = 8, .seed = 3};
    enum { TIMED = 10 }; /* the pass that all engines time */
    static const size_t kept[] = {LRK_MAX_GRAPHS, 2, 1}, tokens[] = {15, 31, 47};
    static const struct {
        size_t shape;
        uint64_t recorded[3]; /* by each engine; the last one asks for kernels one by one */
    } pass[] = {{0, {0}}, {1, {0}}, {2, {0}}, {0, {1, 1}}, {1, {1, 1}}, {2, {1, 0}}, {2, {0}}, {2, {0}}, {2, {0}},
                {2, {0}}, {2, {0}}, {2, {0, 1}}, {0, {0}}, {1, {0}}, {2, {0}}};
    fixture f[3];
    lrk_toy_batch t;
    lrk_err err = {0};
    double loss;
    if (device == LRK_CPU) skip();
    for (int i = 0; i < 3; i++) {
        open_for(&f[i], &lora, LRK_C_F32, 48, 0);
        f[i].e.most_graphs = kept[i];
    }
    for (size_t p = 0; p < sizeof pass / sizeof *pass; p++) {
        one_row(&t, tokens[pass[p].shape], 12);
        for (int i = 0; i < 3; i++) {
            const uint64_t before = lrk_emulator_instantiated();
            const size_t had = recordings(&f[i].e);
            lrk_tape_profile(f[i].e.tape, i == 2 || p == TIMED);
            lrk_engine_begin(&f[i].e);
            must(lrk_engine_gradients(&f[i].e, &t.b, 1.0, &loss, &err), &err);
            assert_in_range(recordings(&f[i].e), had, kept[i]);
            if (COUNTED) assert_int_equal(lrk_emulator_instantiated() - before, pass[p].recorded[i]);
        }
        for (int i = 1; i < 3; i++) assert_same(&f[0].e.model.gradients, &f[i].e.model.gradients);
    }
    for (int i = 0; i < 3; i++) close_one(&f[i]);
}

/* Runs that differ in their trained tokens alone: eight. */
static void few_shapes_occur(void **state)
{
    (void)state;
    static const lrk_lora_options lora = {.rank = 8, .alpha = 8, .seed = 3};
    fixture f;
    lrk_toy_batch t;
    lrk_err err = {0};
    double loss;
    size_t shapes = 0;
    if (device == LRK_CPU) skip();
    open_for(&f, &lora, LRK_C_F32, 256, 0);
    for (size_t trained = 0; trained <= 247; trained += 19) {
        one_row(&t, 250, trained);
        must(lrk_engine_loss(&f.e, &t.b, &loss, &err), &err);
    }
    for (size_t i = 0; i < LRK_MAX_SHAPES; i++) shapes += f.e.graphs[i].passes.times > 0;
    assert_int_equal(shapes, 8);
    close_one(&f);
}

/* A run's shape follows from it alone: what a longer plan has room for must not choose other products. */
static void a_longer_plan_changes_no_shape(void **state)
{
    (void)state;
    static const lrk_lora_options lora = {.rank = 8, .alpha = 8, .seed = 3};
    static const size_t planned[][2] = {{250, 100}, {250, 230}, {500, 0}};
    double loss[3];
    if (device == LRK_CPU) skip();
    for (int i = 0; i < 3; i++) {
        fixture f;
        lrk_toy_batch t;
        lrk_err err = {0};
        open_for(&f, &lora, LRK_C_F32, planned[i][0], planned[i][1]);
        one_row(&t, 250, 100);
        must(lrk_engine_loss(&f.e, &t.b, &loss[i], &err), &err);
        assert_int_equal(f.e.graphs[0].tokens, 256);
        assert_int_equal(f.e.graphs[0].trained, 128);
        assert_memory_equal(&loss[i], &loss[0], sizeof *loss);
        close_one(&f);
    }
}

int main(int argc, char **argv)
{
    if (!lrk_toy_device(argc, argv, &device)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_are_replayed),
                                       cmocka_unit_test(each_step_has_its_own_numbers),
                                       cmocka_unit_test(a_recording_is_refused_once),
                                       cmocka_unit_test(some_recordings_are_kept),
                                       cmocka_unit_test(few_shapes_occur),
                                       cmocka_unit_test(a_longer_plan_changes_no_shape)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
