/* tests/model/shadow.c -- the bf16 copy of the adapters that passes multiply with: it is what rounding the
 * parameters gives, whoever changed them, and passes give the bits that they give without it (on a GPU what another
 * order of sums gives: the copies lie elsewhere). With the argument CUDA on a GPU or the emulator; on the CPU there is
 * none. */
#include "exact.h"
#include "model/toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train/optimizer.h"

enum { ROWS = 2, TOKENS = 26 };

static lrk_device device = LRK_CPU;

typedef struct fixture {
    lrk_toy toy;
    lrk_engine e;
} fixture;

static void open_with(fixture *f, const lrk_lora_options *lora, bool train, lrk_compute compute)
{
    lrk_err err = {0};
    f->toy = (lrk_toy){.arena = lrk_arena_growing("toy"), .type = LRK_BF16, .decoder = lrk_toy_decoder(LRK_TOY_LLAMA)};
    const lrk_engine_options o = {.device = device, .decoder = f->toy.decoder, .find = lrk_toy_find, .ctx = &f->toy,
                                  .lora = lora, .train = train, .compute = compute, .max_tokens = 32,
                                  .max_segments = 4};
    if (lrk_engine_open(&f->e, &o, &err) != LRK_OK) fail_msg("%s", err.text);
}

static void close_all(fixture *f)
{
    lrk_engine_close(&f->e);
    lrk_arena_free(&f->toy.arena);
}

static void *copy_of(const lrk_tensor *t)
{
    lrk_err err = {0};
    void *copy = malloc(lrk_bytes(t));
    if (lrk_device_download(device, copy, t->data, lrk_bytes(t), &err) != LRK_OK) fail_msg("%s", err.text);
    return copy;
}

static void expect_rounded(const lrk_model *m)
{
    float *p = copy_of(&m->parameters);
    uint16_t *shadow = copy_of(&m->shadow);
    for (size_t i = 0; i < lrk_count(&m->shadow); i++)
        if (shadow[i] != lrk_f32_to_bf16(p[i]))
            fail_msg("number %zu is %g, its shadow %04x", i, (double)p[i], shadow[i]);
    free(p);
    free(shadow);
}

static float *gradients(fixture *f, const lrk_flat_run *b)
{
    lrk_err err = {0};
    double loss;
    lrk_engine_begin(&f->e);
    if (lrk_engine_gradients(&f->e, b, 0.05, &loss, &err) != LRK_OK) fail_msg("%s", err.text);
    return copy_of(&f->e.model.gradients);
}

/* From now on passes read the parameters. */
static void forget(lrk_model *m)
{
    for (size_t i = 0; i < m->n_adapted; i++) m->adapted[i]->shadow_a.rank = m->adapted[i]->shadow_b.rank = 0;
    m->shadow_head.rank = 0;
}

static void expect_same(const float *a, const float *b, size_t n)
{
    double largest = 0.0;
    if (lrk_test_exact(device)) assert_memory_equal(a, b, n * sizeof *a);
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)b[i]));
    for (size_t i = 0; i < n; i++) assert_true(lrk_test_close((double)a[i], (double)b[i], LRK_BF16, largest));
}

/* A start, two steps and numbers from elsewhere, then the gradients both ways. */
static void check(const lrk_lora_options *lora, double b_ratio, size_t views)
{
    fixture f;
    lrk_toy_batch t;
    lrk_err err = {0};
    open_with(&f, lora, true, LRK_C_BF16);
    lrk_model *m = &f.e.model;
    size_t there = 0;
    for (size_t i = 0; i < m->n_adapted; i++)
        there += (m->adapted[i]->shadow_a.rank ? 1u : 0u) + (m->adapted[i]->shadow_b.rank ? 1u : 0u);
    assert_int_equal(there + (m->shadow_head.rank ? 1u : 0u), views);
    assert_int_equal(f.e.bytes.shadow, lrk_bytes(&m->shadow));
    lrk_toy_rows(&t, (size_t[ROWS]){9, TOKENS - 9}, ROWS, 1, 0, 50);
    assert_int_equal(lrk_model_start(m, 1, &err), LRK_OK);
    expect_rounded(m);
    lrk_optimizer adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .b_ratio = b_ratio};
    for (int step = 0; step < 2; step++) {
        lrk_step_result r;
        free(gradients(&f, &t.b));
        lrk_optimizer_step(&adamw, &f.e, 0.01);
        assert_int_equal(lrk_optimizer_result(&adamw, &f.e, &r, &err), LRK_OK);
        expect_rounded(m);
    }
    lrk_toy_adapters(m);
    expect_rounded(m);
    lrk_toy_rows(&t, (size_t[ROWS]){7, TOKENS - 9}, ROWS, 1, 0, 50); /* a shape that was not recorded yet */
    float *with = gradients(&f, &t.b);
    forget(m);
    float *without = gradients(&f, &t.b);
    expect_same(with, without, lrk_count(&m->gradients));
    free(with);
    free(without);
    close_all(&f);
}

static void a_shadow_is_what_rounding_gives(void **state)
{
    (void)state;
    if (device == LRK_CPU) skip();
    const size_t all = 2 * 2 * 7; /* of two layers */
    lrk_lora_options lora = {.rank = 8, .alpha = 8, .dropout = 0.1, .seed = 3}; /* no borders (models/borders.h) */
    check(&lora, 0.0, all);
    check(&lora, 16.0, all);
    lora.whole = LRK_WHOLE_EMBEDDING; /* which is looked up, not multiplied with */
    check(&lora, 0.0, all);
    lora.whole = LRK_WHOLE_HEAD;
    check(&lora, 16.0, all + 1);
    lora.whole = LRK_WHOLE_EMBEDDING | LRK_WHOLE_AS_ONE;
    check(&lora, 0.0, all + 1);
    static const int32_t some[] = {3, 7, 41};
    lora.rows[0] = lora.rows[1] = (lrk_row_list){some, 3}; /* of few rows there is none */
    check(&lora, 0.0, all);
    lora.rows[0] = lora.rows[1] = (lrk_row_list){0};
    lora.whole = 0;
    lora.dora = true;
    check(&lora, 0.0, all);
    lora.dora = false;
    lora.rank = 4; /* rows of B do not begin on 16 bytes; those of A do */
    check(&lora, 0.0, all / 2);
}

static void none_where_nothing_would_be_rounded(void **state)
{
    (void)state;
    const lrk_lora_options lora = {.rank = 8, .alpha = 8, .seed = 3};
    fixture f;
    open_with(&f, &lora, true, LRK_C_F32);
    assert_true(!f.e.model.shadow.rank && !f.e.bytes.shadow);
    close_all(&f);
    open_with(&f, &lora, device == LRK_CPU, LRK_C_BF16);
    assert_true(!f.e.model.shadow.rank && !f.e.bytes.shadow);
    close_all(&f);
}

int main(int argc, char **argv)
{
    if (!lrk_toy_device(argc, argv, &device)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_shadow_is_what_rounding_gives),
                                       cmocka_unit_test(none_where_nothing_would_be_rounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
