/* tests/unit/combine.c -- adapters as one: sums that are exact, what is left at random, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/quant.h"
#include "base/rng.h"
#include "checkpoint/combine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CASE LRK_SOURCE_DIR "/tests/golden/data/llama"

static lrk_err err;

static void good(lrk_status s)
{
    if (s != LRK_OK) fail_msg("%s", err.text);
}

static const lrk_combine_options cat = {.method = LRK_COMBINE_CAT, .density = 1.0};

/* Element (o, i) of scale * B * A. */
static double delta(const lrk_adapter_module *m, size_t o, size_t i)
{
    double sum = 0.0;
    for (size_t r = 0; r < m->b.dim[1]; r++)
        sum += (double)((const float *)lrk_row(&m->b, o))[r] * (double)((const float *)lrk_row(&m->a, r))[i];
    return m->scale * sum;
}

static void load_two(lrk_adapter a[2])
{
    good(lrk_adapter_load(&a[0], CASE "/adapter", &err));
    good(lrk_adapter_load(&a[1], CASE "/final", &err));
}

/* The largest distance from the weighted sum, over its largest element, in the first module. */
static double distance(const lrk_adapter *out, const lrk_adapter a[2], const double weight[2])
{
    const lrk_adapter_module *m = &out->module[0], *x = lrk_adapter_find(&a[0], m->path),
                             *y = lrk_adapter_find(&a[1], m->path);
    double worst = 0.0, largest = 0.0;
    for (size_t o = 0; o < m->b.dim[0]; o++)
        for (size_t i = 0; i < m->a.dim[1]; i++) {
            const double want = weight[0] * delta(x, o, i) + weight[1] * delta(y, o, i);
            worst = fmax(worst, fabs(delta(m, o, i) - want));
            largest = fmax(largest, fabs(want));
        }
    return worst / largest;
}

/* |W - B A| and |W| of a module, in the Frobenius norm, squared. */
static void squares(const lrk_adapter_module *m, const lrk_adapter a[2], const double weight[2], double out[2])
{
    const lrk_adapter_module *x = lrk_adapter_find(&a[0], m->path), *y = lrk_adapter_find(&a[1], m->path);
    out[0] = out[1] = 0.0;
    for (size_t o = 0; o < m->b.dim[0]; o++)
        for (size_t i = 0; i < m->a.dim[1]; i++) {
            const double w = weight[0] * delta(x, o, i) + weight[1] * delta(y, o, i), d = w - delta(m, o, i);
            out[0] += d * d;
            out[1] += w * w;
        }
}

/* What is said to be cut off is what is missing. */
static void residual_is_the_distance(void **state)
{
    (void)state;
    lrk_adapter a[2], out;
    lrk_combine_residual said = {0};
    const double weight[] = {0.7, -0.4};
    const lrk_combine_options svd = {.method = LRK_COMBINE_SVD, .rank = 3, .density = 1.0};
    double all[2] = {0}, worst = 0.0;
    const char *module = NULL;
    load_two(a);
    good(lrk_combine(&out, a, weight, 2, &svd, &said, &err));
    for (size_t i = 0; i < out.n; i++) {
        double of[2];
        squares(&out.module[i], a, weight, of);
        all[0] += of[0];
        all[1] += of[1];
        if (of[0] / of[1] <= worst) continue;
        worst = of[0] / of[1];
        module = out.module[i].path;
    }
    /* A and B of the result are rounded to f32, which is orthogonal to nothing: of a share of some tenths 1e-7 at
     * most */
    assert_true(fabs(said.overall - sqrt(all[0] / all[1])) < 2e-7);
    assert_true(fabs(said.worst - sqrt(worst)) < 2e-7);
    assert_true(said.overall > 0.01 && said.overall < said.worst);
    assert_string_equal(said.module, module);
    lrk_adapter_free(&out);
    /* nothing is cut where there is room for all; nothing is no share of nothing */
    const lrk_combine_options whole = {.method = LRK_COMBINE_SVD, .rank = 8, .density = 1.0};
    good(lrk_combine(&out, a, weight, 2, &whole, &said, &err));
    assert_true(said.overall <= 0.0 && said.worst <= 0.0 && said.module);
    lrk_adapter_free(&out);
    const double none[] = {0.0, 0.0};
    good(lrk_combine(&out, a, none, 2, &svd, &said, &err));
    assert_true(said.overall <= 0.0 && said.worst <= 0.0 && !said.module);
    lrk_adapter_free(&out);
    lrk_adapter_free(&a[0]);
    lrk_adapter_free(&a[1]);
}

static void cat_and_svd_are_the_sum(void **state)
{
    (void)state;
    lrk_adapter a[2], out;
    const double weight[] = {0.7, -0.4};
    lrk_combine_options svd = {.method = LRK_COMBINE_SVD, .rank = 8, .density = 1.0};
    load_two(a);
    good(lrk_combine(&out, a, weight, 2, &cat, NULL, &err));
    assert_int_equal(out.n, 14);
    assert_int_equal(out.rank, 8);
    /* A is rounded once, with its weight in it: half an ulp of each of the terms */
    assert_true(distance(&out, a, weight) < 1.2e-7 * 4);
    lrk_adapter_free(&out);
    /* all of the sum's ranks: nothing is cut away, and A and B are rounded once each */
    good(lrk_combine(&out, a, weight, 2, &svd, NULL, &err));
    assert_true(distance(&out, a, weight) < 1.2e-7 * 8);
    lrk_adapter_free(&out);
    svd.rank = 3;
    good(lrk_combine(&out, a, weight, 2, &svd, NULL, &err));
    assert_int_equal(out.module[0].a.dim[0], 3);
    assert_true(distance(&out, a, weight) > 1e-3);
    lrk_adapter_free(&out);
    /* the same adapter twice has rank 4, whatever is asked for */
    const lrk_adapter twice[] = {a[0], a[0]};
    const double half[] = {0.5, 0.5};
    svd.rank = 8;
    good(lrk_combine(&out, twice, half, 2, &svd, NULL, &err));
    assert_true(distance(&out, twice, half) < 1.2e-7 * 8);
    const float *b = out.module[0].b.data;
    for (size_t o = 0; o < out.module[0].b.dim[0]; o++)
        for (size_t r = 4; r < 8; r++) assert_true(fabsf(b[o * 8 + r]) < 1e-6f);
    lrk_adapter_free(&out);
    lrk_adapter_free(&a[0]);
    lrk_adapter_free(&a[1]);
}

/* Four adapters' element by hand: Yadav et al. 2023, figure 1, is the idea. */
static void ties_by_hand(void **state)
{
    (void)state;
    float x[] = {4.0f, -1.0f, 0.5f, 2.0f}, y[] = {-1.0f, -3.0f, 0.25f, -2.0f}, sum[4];
    lrk_tensor tensor[] = {lrk_vec(LRK_F32, 4), lrk_vec(LRK_F32, 4)}, out = lrk_vec(LRK_F32, 4);
    tensor[0].data = x;
    tensor[1].data = y;
    out.data = sum;
    const lrk_tensor *const both[] = {&tensor[0], &tensor[1]};
    const double factor[] = {1.0, 3.0};
    const lrk_combine_side side = {both, factor, 2, 0};
    lrk_combine_options o = {.method = LRK_COMBINE_TIES, .density = 0.5};
    good(lrk_combine_elements(&side, &o, &out, &err));
    /* kept: 4, 2 and -3, -2; the signs that win: +, -, + (of nothing), + (of a draw) */
    const float ties[] = {4.0f, -9.0f, 0.0f, 2.0f}, pruned[] = {4.0f, -9.0f, 0.0f, -4.0f};
    assert_memory_equal(sum, ties, sizeof ties);
    o.method = LRK_COMBINE_PRUNE;
    good(lrk_combine_elements(&side, &o, &out, &err));
    assert_memory_equal(sum, pruned, sizeof pruned);
}

static void dare_keeps_its_share(void **state)
{
    (void)state;
    enum { N = 40000 };
    static float x[N], sum[N], again[N];
    for (size_t i = 0; i < N; i++) x[i] = 1.0f;
    lrk_tensor tensor = lrk_vec(LRK_F32, N), out = lrk_vec(LRK_F32, N);
    tensor.data = x;
    out.data = sum;
    const lrk_tensor *const one[] = {&tensor};
    const double factor[] = {1.0};
    const lrk_combine_side side = {one, factor, 1, 7};
    lrk_combine_options o = {.method = LRK_COMBINE_DARE_LINEAR, .density = 0.25, .seed = 1};
    good(lrk_combine_elements(&side, &o, &out, &err));
    size_t kept = 0;
    for (size_t i = 0; i < N; i++) {
        assert_true(fabsf(sum[i]) <= 0.0f || fabsf(sum[i] - 4.0f) <= 0.0f);
        kept += sum[i] > 0.0f;
    }
    assert_true(fabs((double)kept - 0.25 * N) < 5.0 * sqrt(N * 0.25 * 0.75)); /* five standard deviations */
    out.data = again;
    good(lrk_combine_elements(&side, &o, &out, &err));
    assert_memory_equal(sum, again, sizeof sum);
    o.seed = 2;
    good(lrk_combine_elements(&side, &o, &out, &err));
    assert_memory_not_equal(sum, again, sizeof sum);
}

#define GOLDEN LRK_SOURCE_DIR "/tests/golden/data/"

/* All of the embedding or the head that an adapter makes of the base's, whose numbers they are where it has none. */
static void make_whole(const lrk_adapter *a, const char *path, const lrk_tensor *stored, float *out)
{
    const lrk_adapter_whole *w = lrk_adapter_find_whole(a, path);
    const size_t V = lrk_rows(stored), C = lrk_cols(stored);
    for (size_t v = 0; v < V; v++) lrk_to_f32(stored->dtype, lrk_row(stored, v), C, out + v * C);
    for (size_t i = 0; w && i < lrk_rows(&w->weight); i++)
        memcpy(out + (w->rows.n ? (size_t)w->rows.id[i] : i) * C, lrk_row(&w->weight, i), C * sizeof *out);
}

/* Base + 0.7 (x - base) - 0.4 (y - base), rounded once; rows that nobody has are no rows of the result. */
static void check_whole(const lrk_adapter *out, const lrk_adapter a[2], const lrk_weights *base, const char *path,
                        const char *weight, size_t rows)
{
    lrk_tensor stored;
    const lrk_adapter_whole *w = lrk_adapter_find_whole(out, path);
    assert_non_null(w);
    assert_int_equal(lrk_rows(&w->weight), rows);
    assert_true(lrk_weights_find(base, weight, &stored));
    enum { MOST = 128 * 64 };
    static float from[MOST], x[MOST], y[MOST], got[MOST];
    const lrk_adapter nothing = {0};
    assert_true(lrk_count(&stored) <= MOST);
    make_whole(&nothing, path, &stored, from);
    make_whole(&a[0], path, &stored, x);
    make_whole(&a[1], path, &stored, y);
    make_whole(out, path, &stored, got);
    size_t differ = 0;
    for (size_t i = 0; i < lrk_count(&stored); i++) {
        const double b = (double)from[i], want = b + 0.7 * ((double)x[i] - b) - 0.4 * ((double)y[i] - b);
        assert_true(fabs((double)got[i] - want) <= fabs(want) / 8388608.0);
        differ += fabs(want - b) > 1e-3;
    }
    assert_true(differ > lrk_cols(&stored));
}

/* Embedding and head, whole and by rows, of tied models and others. */
static void whole_is_the_sum(void **state)
{
    (void)state;
    static const struct {
        const char *base, *one, *two, *head;
        size_t rows, head_rows; /* 0: none of its own */
        bool tied;
    } cases[] = {
        {"llama_tokens", "llama_tokens/adapter", "llama_tokens/final", "lm_head.weight", 10, 5, false},
        {"llama_tokens", "llama_tokens/adapter", "llama_bf16_save/adapter", "lm_head.weight", 96, 96, false},
        {"gemma2_tokens", "gemma2_tokens/adapter", "gemma2_tokens/final", NULL, 10, 0, false},
        {"gemma2_save", "gemma2_save/adapter", "gemma2_save/final", "model.embed_tokens.weight", 96, 96, true},
        {"qwen2_tokens", "qwen2_tokens/adapter", "qwen2_save_head/adapter", "model.embed_tokens.weight", 7, 96, false},
        {"neox_save", "neox_save/adapter", "neox_save/final", "embed_out.weight", 96, 96, false},
    };
    const double weight[] = {0.7, -0.4};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lrk_adapter a[2], out;
        lrk_weights *base;
        char path[3][400];
        snprintf(path[0], sizeof path[0], GOLDEN "%s", cases[i].base);
        snprintf(path[1], sizeof path[1], GOLDEN "%s", cases[i].one);
        snprintf(path[2], sizeof path[2], GOLDEN "%s", cases[i].two);
        good(lrk_weights_open(&base, path[0], &err));
        for (int k = 0; k < 2; k++) good(lrk_adapter_load(&a[k], path[k + 1], &err));
        lrk_combine_options o = cat;
        o.any_base = true;
        assert_int_equal(lrk_combine(&out, a, weight, 2, &o, NULL, NULL), LRK_EUSAGE);
        o.base = base;
        if (i == 4) { /* what a file of a tied model cannot hold */
            assert_int_equal(lrk_combine(&out, a, weight, 2, &o, NULL, &err), LRK_ESUPPORT);
            assert_non_null(strstr(err.text, "modules_to_save beside trainable_token_indices"));
        } else {
            good(lrk_combine(&out, a, weight, 2, &o, NULL, &err));
            const bool neox = strcmp(cases[i].base, "neox_save") == 0;
            check_whole(&out, a, base, neox ? "gpt_neox.embed_in" : "model.embed_tokens",
                        neox ? "gpt_neox.embed_in.weight" : "model.embed_tokens.weight", cases[i].rows);
            if (cases[i].head_rows) check_whole(&out, a, base, "lm_head", cases[i].head, cases[i].head_rows);
            assert_int_equal(out.n_whole, cases[i].head_rows ? 2 : 1);
            assert_int_equal(out.tied, cases[i].tied);
            lrk_adapter_free(&out);
        }
        for (int k = 0; k < 2; k++) lrk_adapter_free(&a[k]);
        lrk_weights_close(base);
    }
}

/* One goes on with a tied pair as one, the other parts it. */
static void ties_differ(void **state)
{
    (void)state;
    const double weight[] = {1.0, 1.0};
    lrk_adapter a[2], out;
    lrk_weights *base;
    lrk_combine_options o = cat;
    err = (lrk_err){0};
    good(lrk_weights_open(&base, GOLDEN "qwen2_tokens", &err));
    for (int k = 0; k < 2; k++) good(lrk_adapter_load(&a[k], GOLDEN "qwen2_tokens/adapter", &err));
    for (size_t i = 0; i < a[1].n_whole; i++)
        if (strcmp(a[1].whole[i].path, "lm_head") == 0) a[1].whole[i] = a[1].whole[--a[1].n_whole];
    a[1].tokens[LRK_ADAPTER_HEAD] = (lrk_adapter_tokens){.place = NULL};
    o.base = base;
    assert_int_equal(lrk_combine(&out, a, weight, 2, &o, NULL, &err), LRK_ESUPPORT);
    assert_non_null(strstr(err.text, "1 of the adapters that train them go on with the two as one, and 1 part them"));
    for (int k = 0; k < 2; k++) lrk_adapter_free(&a[k]);
    lrk_weights_close(base);
}

static void refusals(void **state)
{
    (void)state;
    lrk_adapter a[2], out;
    const double weight[] = {1.0, 1.0};
    const lrk_combine_options linear = {.method = LRK_COMBINE_LINEAR, .density = 1.0},
                              none = {.method = LRK_COMBINE_TIES};
    good(lrk_adapter_load(&a[0], CASE "/adapter", &err));
    good(lrk_adapter_load(&a[1], LRK_SOURCE_DIR "/tests/golden/data/llama_dora/adapter", &err));
    assert_int_equal(lrk_combine(&out, a, weight, 2, &cat, NULL, NULL), LRK_ESUPPORT);
    lrk_adapter_free(&a[1]);
    good(lrk_adapter_load(&a[1], CASE "/final", &err));
    assert_int_equal(lrk_combine(&out, a, weight, 2, &none, NULL, NULL), LRK_EUSAGE);
    a[1].module[0].a.dim[0] = a[1].module[0].b.dim[1] = 2;
    assert_int_equal(lrk_combine(&out, a, weight, 2, &linear, NULL, NULL), LRK_EVALUE);
    a[1].module[0].b.dim[0] = 2;
    assert_int_equal(lrk_combine(&out, a, weight, 2, &cat, NULL, NULL), LRK_ESHAPE);
    lrk_adapter_free(&a[0]);
    lrk_adapter_free(&a[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cat_and_svd_are_the_sum),
        cmocka_unit_test(residual_is_the_distance),
        cmocka_unit_test(ties_by_hand),
        cmocka_unit_test(dare_keeps_its_share),
        cmocka_unit_test(whole_is_the_sum),
        cmocka_unit_test(ties_differ),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests_name("combine", tests, NULL, NULL);
}
