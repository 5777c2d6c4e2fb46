/* tests/model/principal.c -- adapters that begin as a part of the weight: which part, and what is written of them. */
#include "base/factor.h"
#include "generate/adapter_io.h"
#include "model/toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct fixture {
    lrk_toy toy;
    lrk_engine e;
} fixture;

static void open_with(fixture *f, const lrk_lora_options *lora)
{
    lrk_err err = {0};
    f->toy = (lrk_toy){.arena = lrk_arena_growing("toy"), .type = LRK_F32, .decoder = lrk_toy_decoder(LRK_TOY_FUSED)};
    const lrk_engine_options o = {.decoder = f->toy.decoder, .find = lrk_toy_find, .ctx = &f->toy, .lora = lora,
                                  .compute = LRK_C_F32, .max_tokens = 64, .max_segments = 4, .max_logits = 64};
    if (lrk_engine_open(&f->e, &o, &err) != LRK_OK) fail_msg("%s", err.text);
}

static void close_all(fixture *f)
{
    lrk_engine_close(&f->e);
    lrk_arena_free(&f->toy.arena);
}

static double product(const lrk_projection *p, size_t row, size_t column)
{
    double sum = 0.0;
    for (size_t r = 0; r < p->rank; r++)
        sum += (double)((const float *)lrk_row(&p->b, row))[r] * (double)((const float *)lrk_row(&p->a, r))[column];
    return sum;
}

/* s B A is the sum of the r largest triplets, which Jacobi finds in the whole matrix, and A0 and -B0 are the same. The
 * products with W are in f32: some 2 sqrt(40) roundings of the largest value, and an angle of 1e-5 is allowed. */
static void check_triplets(const lrk_projection *p)
{
    const size_t in = lrk_cols(&p->stored), out = lrk_rows(&p->stored), r = p->rank;
    lrk_columns u = {.rows = out, .cols = in}, v = {.rows = in, .cols = in};
    double *length = calloc(in, sizeof *length);
    size_t index[8];
    u.at = calloc(out * in, sizeof *u.at);
    v.at = calloc(in * in, sizeof *v.at);
    for (size_t i = 0; i < out; i++)
        for (size_t k = 0; k < in; k++) lrk_column(&u, k)[i] = (double)((const float *)lrk_row(&p->stored, i))[k];
    lrk_decompose(&u, &v);
    lrk_longest(&u, length, index, r);
    const double *first = lrk_column(&u, index[0]), largest = sqrt(lrk_dot(first, first, out));
    for (size_t i = 0; i < out; i++)
        for (size_t k = 0; k < in; k++) {
            double want = 0.0;
            for (size_t j = 0; j < r; j++) want += lrk_column(&u, index[j])[i] * lrk_column(&v, index[j])[k];
            assert_true(fabs(p->attr.scale * product(p, i, k) - want) <= largest * (2.0 * 6.4 * 0x1p-24 + 2e-5));
        }
    assert_memory_equal(p->a.data, p->a0.data, lrk_bytes(&p->a));
    for (size_t i = 0; i < lrk_count(&p->b); i++)
        assert_true(((float *)p->b.data)[i] + ((float *)p->b0.data)[i] == 0.0f);
    free(length);
    free(u.at);
    free(v.at);
}

static void pissa_is_the_largest_part(void **state)
{
    (void)state;
    const lrk_lora_options lora = {.rank = 3, .alpha = 7, .begin = {LRK_BEGIN_PISSA, -1}};
    fixture f;
    open_with(&f, &lora);
    assert_int_equal(lrk_model_start(&f.e.model, 1, NULL), LRK_OK);
    for (size_t i = 0; i < f.e.model.n_adapted; i++) check_triplets(f.e.model.adapted[i]);
    close_all(&f);
}

/* B has orthonormal columns and A = B^T W, so that B A has the first r columns of W. */
static void olora_is_the_first_columns(void **state)
{
    (void)state;
    const lrk_lora_options lora = {.rank = 3, .alpha = 7, .begin = {LRK_BEGIN_OLORA, 0}};
    fixture f;
    open_with(&f, &lora);
    assert_int_equal(lrk_model_start(&f.e.model, 1, NULL), LRK_OK);
    for (size_t n = 0; n < f.e.model.n_adapted; n++) {
        const lrk_projection *p = f.e.model.adapted[n];
        for (size_t x = 0; x < 3; x++)
            for (size_t y = 0; y < 3; y++) {
                double dot = 0.0;
                for (size_t i = 0; i < lrk_rows(&p->b); i++)
                    dot += (double)((const float *)lrk_row(&p->b, i))[x] *
                           (double)((const float *)lrk_row(&p->b, i))[y];
                assert_true(fabs(dot - (x == y)) < 1e-6);
            }
        for (size_t i = 0; i < lrk_rows(&p->b); i++)
            for (size_t k = 0; k < 3; k++)
                assert_true(fabs(product(p, i, k) - (double)((const float *)lrk_row(&p->stored, i))[k]) < 1e-5);
    }
    close_all(&f);
}

static void logits_of(fixture *f, float *out)
{
    lrk_toy_batch t;
    lrk_err err = {0};
    const lrk_tensor *z;
    int32_t rows[26];
    for (int32_t i = 0; i < 26; i++) rows[i] = i;
    lrk_toy_rows(&t, (size_t[]){9, 17}, 2, 1, 0, 50);
    assert_int_equal(lrk_engine_logits(&f->e, &t.b, false, rows, 26, &z, &err), LRK_OK);
    memcpy(out, z->data, lrk_bytes(z));
}

/* What is written is of twice the rank and means the same on the unchanged weights. */
static void what_is_written_is_a_plain_adapter(void **state)
{
    (void)state;
    for (int rslora = 0; rslora < 2; rslora++) {
        const lrk_lora_options lora = {.rank = 3, .alpha = 7, .rslora = rslora, .begin = {LRK_BEGIN_PISSA, 2}};
        static float want[26 * 50], got[26 * 50];
        lrk_adapter a = {.rank = 6, .alpha = lrk_adapter_doubled(7, rslora), .rslora = rslora,
                         .arena = lrk_arena_growing("adapter")};
        fixture f, plain;
        lrk_err err = {0};
        open_with(&f, &lora);
        assert_int_equal(lrk_model_start(&f.e.model, 1, NULL), LRK_OK);
        for (size_t i = 0; i < f.e.model.n_adapted; i++)
            lrk_toy_fill(LRK_CPU, &f.e.model.adapted[i]->b, 5 + i, 0.3);
        logits_of(&f, want);
        if (lrk_adapter_from_model(&a, &f.e.model, &err) != LRK_OK) fail_msg("%s", err.text);
        for (size_t i = 0; i < a.n; i++)
            assert_true(lrk_rows(&a.module[i].a) == 6 &&
                        fabs(lrk_adapter_scale(&a, 6, a.module[i].alpha) - a.module[i].scale) < 1e-12);
        const lrk_lora_options again = lrk_adapter_options(&a);
        open_with(&plain, &again);
        if (lrk_adapter_into_model(&a, &plain.e.model, &err) != LRK_OK) fail_msg("%s", err.text);
        logits_of(&plain, got);
        /* some 20 products in a row with up to 56 terms each, in another order, as in metamorphic.c */
        double largest = 0.0, furthest = 0.0;
        for (size_t i = 0; i < 26 * 50; i++) {
            largest = fmax(largest, fabs((double)want[i]));
            furthest = fmax(furthest, fabs((double)want[i] - (double)got[i]));
        }
        assert_true(furthest <= 2.0 * 33.5 * 0x1p-24 * largest);
        close_all(&f);
        close_all(&plain);
        lrk_adapter_free(&a);
    }
}

/* A and B of what PEFT converted, as it has them before: for weights that lack the part. */
static void unconvert(lrk_adapter *a, const char *init)
{
    for (size_t i = 0; i < a->n; i++) {
        lrk_adapter_module *m = &a->module[i];
        lrk_tensor b = lrk_mat(LRK_F32, lrk_rows(&m->b), lrk_cols(&m->b) / 2);
        assert_int_equal(lrk_alloc(&a->arena, lrk_count(&b), sizeof(float), "B", &b.data, NULL), LRK_OK);
        for (size_t row = 0; row < lrk_rows(&b); row++)
            memcpy(lrk_row(&b, row), lrk_row(&m->b, row), lrk_cols(&b) * sizeof(float));
        m->b = b;
        m->a.dim[0] /= 2;
        m->alpha /= a->rslora ? sqrt(2.0) : 2.0;
    }
    a->rank /= 2;
    a->alpha /= a->rslora ? sqrt(2.0) : 2.0;
    a->begun = init;
}

/* scale * B A (row, column) */
static double change(const lrk_adapter_module *m, size_t row, size_t column)
{
    double sum = 0.0;
    for (size_t r = 0; r < lrk_rows(&m->a); r++)
        sum += (double)((const float *)lrk_row(&m->b, row))[r] * (double)((const float *)lrk_row(&m->a, r))[column];
    return m->scale * sum;
}

/* PEFT's part is found again: the adapters of its golden cases, cut to what it saves without converting. The allowance
 * is that of the triplets, of numbers that are at most the largest value. */
static void what_peft_saves_unconverted(void **state)
{
    static const char *const cases[][2] = {{"llama_pissa", "pissa"}, {"phi3_olora", "olora"}};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        char base[256], dir[264];
        lrk_err err = {0};
        lrk_weights *w = NULL;
        lrk_adapter want, got;
        snprintf(base, sizeof base, "%s/tests/golden/data/%s", LRK_SOURCE_DIR, cases[k][0]);
        snprintf(dir, sizeof dir, "%s/adapter", base);
        if (lrk_weights_open(&w, base, &err) != LRK_OK || lrk_adapter_load(&want, dir, &err) != LRK_OK ||
            lrk_adapter_load(&got, dir, &err) != LRK_OK)
            fail_msg("%s", err.text);
        unconvert(&got, cases[k][1]);
        assert_int_equal(lrk_adapter_check_plain(&got, &err), LRK_ESUPPORT);
        assert_int_equal(lrk_adapter_save(&got, "principal_no", &err), LRK_ESUPPORT);
        if (lrk_adapter_fit(&got, w, false, &err) != LRK_OK) fail_msg("%s", err.text);
        assert_int_equal(lrk_adapter_check_plain(&got, &err), LRK_OK);
        assert_true(got.rank == want.rank && fabs(got.alpha - want.alpha) < 1e-9);
        for (size_t i = 0; i < want.n; i++) {
            const lrk_adapter_module *x = &want.module[i], *y = &got.module[i];
            double largest = 0.0, furthest = 0.0;
            assert_true(fabs(lrk_adapter_scale(&got, lrk_rows(&y->a), y->alpha) - x->scale) < 1e-9);
            for (size_t row = 0; row < lrk_rows(&x->b); row++)
                for (size_t column = 0; column < lrk_cols(&x->a); column++) {
                    largest = fmax(largest, fabs(change(x, row, column)));
                    furthest = fmax(furthest, fabs(change(x, row, column) - change(y, row, column)));
                }
            assert_true(largest > 0.01 && furthest <= 2e-5);
        }
        lrk_adapter_free(&want);
        lrk_adapter_free(&got);
        lrk_weights_close(w);
    }
}

static void refused(void **state)
{
    (void)state;
    const lrk_lora_options dora = {.rank = 3, .alpha = 7, .dora = true, .begin = {LRK_BEGIN_OLORA, 0}};
    const lrk_lora_options experts = {.rank = 3, .alpha = 7, .begin = {LRK_BEGIN_OLORA, 0}};
    for (int i = 0; i < 2; i++) {
        lrk_engine_bytes bytes;
        lrk_err err = {0};
        lrk_toy toy = {.arena = lrk_arena_growing("toy"),
                       .decoder = lrk_toy_decoder(i ? LRK_TOY_EXPERTS : LRK_TOY_LLAMA)};
        const lrk_engine_options o = {.decoder = toy.decoder, .find = lrk_toy_find, .ctx = &toy, .max_tokens = 8,
                                      .max_segments = 1, .lora = i ? &experts : &dora};
        assert_int_equal(lrk_engine_plan(&o, &bytes, &err), LRK_ESUPPORT);
        assert_non_null(strstr(err.text, i ? "adapters of experts" : "DoRA begins with B = 0 only"));
        lrk_arena_free(&toy.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pissa_is_the_largest_part),
        cmocka_unit_test(olora_is_the_first_columns),
        cmocka_unit_test(what_is_written_is_a_plain_adapter),
        cmocka_unit_test(what_peft_saves_unconverted),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
