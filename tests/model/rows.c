/* tests/model/rows.c -- some rows of embedding and head trained alone, beside all of them. */
#include "model/toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* As in metamorphic.c: some 20 products in a row with up to 56 terms each, in another order. */
static const double reordered = 2.0 * 33.5 * 0x1p-24;

typedef struct fixture {
    lrk_toy toy;
    lrk_engine e;
    double loss;
} fixture;

/* A model at its start, and the gradients of a run. */
static void run(fixture *f, int kind, const lrk_lora_options *lora)
{
    lrk_err err = {0};
    lrk_toy_batch t;
    f->toy = (lrk_toy){.arena = lrk_arena_growing("toy"), .type = LRK_F32, .decoder = lrk_toy_decoder(kind)};
    const lrk_engine_options o = {.decoder = f->toy.decoder, .find = lrk_toy_find, .ctx = &f->toy, .lora = lora,
                                  .train = true, .compute = LRK_C_F32, .max_tokens = 64, .max_segments = 4};
    if (lrk_engine_open(&f->e, &o, &err) != LRK_OK) fail_msg("%s", err.text);
    assert_int_equal(lrk_model_start(&f->e.model, 1, NULL), LRK_OK);
    lrk_toy_rows(&t, (size_t[]){20, 20}, 2, 1, 0, 50);
    lrk_engine_begin(&f->e);
    assert_int_equal(lrk_engine_gradients(&f->e, &t.b, 1.0 / 34.0, &f->loss, &err), LRK_OK);
}

/* Row k of some is row id[k] of all. */
static void compare(const lrk_whole *some, const lrk_whole *all)
{
    const size_t cols = lrk_cols(&some->weight);
    double largest = 0.0, furthest = 0.0;
    assert_int_equal(lrk_rows(&some->weight), some->rows.n);
    for (size_t k = 0; k < some->rows.n; k++) {
        const size_t row = (size_t)some->rows.id[k];
        const float *got = lrk_row(&some->gradient, k), *want = lrk_row(&all->gradient, row);
        assert_memory_equal(lrk_row(&some->weight, k), lrk_row(&all->weight, row), cols * sizeof(float));
        for (size_t i = 0; i < cols; i++) {
            largest = fmax(largest, fabs((double)want[i]));
            furthest = fmax(furthest, fabs((double)got[i] - (double)want[i]));
        }
    }
    assert_true(largest > 0.0 && furthest <= reordered * largest);
}

/* Some rows alone have the gradients that they have where all are trained, and the loss is the same. */
static void rows_learn_as_in_the_whole(void **state)
{
    (void)state;
    static const int32_t some[] = {0, 3, 7, 20, 21, 33, 49}, others[] = {1, 7, 8, 40};
    static const struct {
        int kind;
        unsigned whole;
        lrk_row_list rows[2];
    } cases[] = {{LRK_TOY_LLAMA, LRK_WHOLE_EMBEDDING | LRK_WHOLE_AS_ONE, {{some, 7}, {NULL, 0}}},
                 {LRK_TOY_GEMMA, LRK_WHOLE_EMBEDDING | LRK_WHOLE_AS_ONE, {{others, 4}, {NULL, 0}}},
                 {LRK_TOY_FUSED, LRK_WHOLE_EMBEDDING | LRK_WHOLE_HEAD, {{others, 4}, {some, 7}}},
                 {LRK_TOY_EXPERTS, LRK_WHOLE_HEAD, {{NULL, 0}, {some, 7}}}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const lrk_lora_options all = {.rank = 4, .alpha = 8, .whole = cases[c].whole};
        lrk_lora_options rows = all;
        fixture f, g;
        memcpy(rows.rows, cases[c].rows, sizeof rows.rows);
        run(&f, cases[c].kind, &rows);
        run(&g, cases[c].kind, &all);
        assert_true(fabs(f.loss - g.loss) <= reordered * fabs(g.loss));
        assert_int_equal(f.e.model.n_whole, g.e.model.n_whole);
        for (size_t i = 0; i < f.e.model.n_whole; i++) compare(&f.e.model.whole[i], &g.e.model.whole[i]);
        lrk_engine_close(&f.e);
        lrk_engine_close(&g.e);
        lrk_arena_free(&f.toy.arena);
        lrk_arena_free(&g.toy.arena);
    }
}

static void a_row_that_is_not_there_is_refused(void **state)
{
    (void)state;
    static const int32_t beyond[] = {3, 50};
    lrk_toy toy = {.arena = lrk_arena_growing("toy"), .type = LRK_F32, .decoder = lrk_toy_decoder(LRK_TOY_LLAMA)};
    const lrk_lora_options lora = {.rank = 4, .alpha = 8, .whole = LRK_WHOLE_EMBEDDING, .rows = {{beyond, 2}}};
    const lrk_engine_options o = {.decoder = toy.decoder, .find = lrk_toy_find, .ctx = &toy, .lora = &lora,
                                  .max_tokens = 8, .max_segments = 1};
    lrk_engine_bytes bytes;
    lrk_err err = {0};
    assert_int_equal(lrk_engine_plan(&o, &bytes, &err), LRK_EVALUE);
    assert_non_null(strstr(err.text, "row 50 of model.embed_tokens is to be trained, but it has 50"));
    lrk_arena_free(&toy.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_learn_as_in_the_whole),
        cmocka_unit_test(a_row_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
