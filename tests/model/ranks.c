/* tests/model/ranks.c -- what train/comm.h asks of a second rank is enough: two engines with the rows of one
 * step between them, their sums made by this test where ranks would make them, take the step of one engine that has
 * all rows. With the argument CUDA on a GPU or the emulator. */
#include "model/toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train/comm.h"
#include "train/optimizer.h"

enum { ALL, RANK, RANKS = 2, ENGINES = RANK + RANKS, STEPS = 3 };

/* tests/model/metamorphic.c, which says why */
static const double reordered = 2.0 * 33.5 * 0x1p-24;

static lrk_device device = LRK_CPU;

typedef struct fixture {
    lrk_toy toy;
    lrk_engine e;
    lrk_optimizer o;
} fixture;

static void must(lrk_status s, const lrk_err *err)
{
    if (s != LRK_OK) fail_msg("%s", err->text);
}

static void open_one(fixture *f)
{
    static const lrk_lora_options lora = {.rank = 4, .alpha = 8, .seed = 3};
    lrk_err err = {0};
    *f = (fixture){.toy = {.arena = lrk_arena_growing("toy"), .type = LRK_F32,
                           .decoder = lrk_toy_decoder(LRK_TOY_LLAMA)},
                   .o = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .max_norm = 0.5}};
    const lrk_engine_options o = {.device = device, .decoder = f->toy.decoder, .find = lrk_toy_find, .ctx = &f->toy,
                                  .lora = &lora, .train = true, .compute = LRK_C_F32, .max_tokens = 64,
                                  .max_segments = 4};
    must(lrk_engine_open(&f->e, &o, &err), &err);
    lrk_toy_adapters(&f->e.model);
}

static float *copy_of(const lrk_tensor *t)
{
    lrk_err err = {0};
    float *copy = malloc(lrk_bytes(t));
    must(lrk_device_download(device, copy, t->data, lrk_bytes(t), &err), &err);
    return copy;
}

/* Gradients of the rows, as part of a step with so many trained tokens. */
static void pass(fixture *f, const lrk_flat_run *b, size_t trained)
{
    lrk_err err = {0};
    lrk_engine_begin(&f->e);
    must(lrk_engine_add(&f->e, b, lrk_comm_share(trained), &err), &err);
}

/* The sum of the ranks' gradients, in the order of ranks, goes to each of them. */
static void sum_gradients(const fixture *f)
{
    float *total = copy_of(lrk_comm_gradients(&f[RANK].e));
    const size_t bytes = lrk_bytes(lrk_comm_gradients(&f[RANK].e));
    for (int r = 1; r < RANKS; r++) {
        float *part = copy_of(lrk_comm_gradients(&f[RANK + r].e));
        for (size_t i = 0; i < bytes / sizeof *part; i++) total[i] += part[i];
        free(part);
    }
    for (int r = 0; r < RANKS; r++)
        lrk_device_upload(device, lrk_comm_gradients(&f[RANK + r].e)->data, total, bytes);
    free(total);
}

static void expect_close(const fixture *f)
{
    const lrk_tensor *g = lrk_comm_gradients(&f[ALL].e);
    float *want = copy_of(g), *got = copy_of(lrk_comm_gradients(&f[RANK].e));
    double worst = 0.0, largest = 0.0;
    for (size_t i = 0; i < lrk_count(g); i++) {
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
    }
    free(want);
    free(got);
    if (!(worst <= reordered * largest)) fail_msg("gradients differ by %g of %g", worst, largest);
    assert_true(largest > 0.0);
}

static void two_ranks_take_the_step_of_one(void **state)
{
    (void)state;
    static const size_t length[] = {9, 20, 14};
    lrk_toy_batch rows[ENGINES];
    fixture f[ENGINES];
    lrk_err err = {0};
    lrk_toy_rows(&rows[ALL], length, 3, 1, 0, 50);
    lrk_toy_rows(&rows[RANK], length, 1, 1, 0, 50);
    lrk_toy_rows(&rows[RANK + 1], length + 1, 2, 1, 1, 50);
    const size_t trained = 9 + 20 + 14 - 3 * 3;
    for (int i = 0; i < ENGINES; i++) open_one(&f[i]);
    for (int step = 0; step < STEPS; step++) {
        lrk_step_result r[ENGINES];
        for (int i = 0; i < ENGINES; i++) pass(&f[i], &rows[i].b, trained);
        sum_gradients(f);
        if (step == 0) expect_close(f); /* later ones are those of other parameters: AdamW divides by them */
        for (int i = 0; i < ENGINES; i++) {
            lrk_optimizer_step(&f[i].o, &f[i].e, 0.01);
            must(lrk_optimizer_result(&f[i].o, &f[i].e, &r[i], &err), &err);
        }
        const double sum = r[RANK].loss + r[RANK + 1].loss;
        assert_true(r[RANK].grad_norm == r[RANK + 1].grad_norm);
        if (step == 0) {
            assert_true(fabs(r[RANK].grad_norm - r[ALL].grad_norm) <= reordered * r[ALL].grad_norm);
            assert_true(fabs(lrk_comm_mean(sum, trained) - lrk_comm_mean(r[ALL].loss, trained)) <=
                        reordered * lrk_comm_mean(r[ALL].loss, trained));
            assert_true(r[ALL].grad_norm > f[ALL].o.max_norm); /* it clips */
        }
    }
    float *first = copy_of(&f[RANK].e.model.parameters), *second = copy_of(&f[RANK + 1].e.model.parameters);
    assert_memory_equal(first, second, lrk_bytes(&f[RANK].e.model.parameters));
    free(first);
    free(second);
    for (int i = 0; i < ENGINES; i++) {
        lrk_engine_close(&f[i].e);
        lrk_arena_free(&f[i].toy.arena);
    }
}

static void every_trained_token_counts_alike(void **state)
{
    (void)state;
    assert_true(lrk_comm_share(4) == 0.25);
    assert_true(lrk_comm_mean(0.0, 0) == 0.0);
    assert_true(lrk_comm_mean(6.0, 4) == 1.5);
}

int main(int argc, char **argv)
{
    if (!lrk_toy_device(argc, argv, &device)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(two_ranks_take_the_step_of_one),
                                       cmocka_unit_test(every_trained_token_counts_alike)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
