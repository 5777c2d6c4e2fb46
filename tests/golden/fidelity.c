/* tests/golden/fidelity.c -- how far two models are apart, against the logits that transformers and PEFT
 * recorded for base and base + adapter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkpoint/safetensors.h"
#include "train/certificate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CASE LRK_SOURCE_DIR "/tests/golden/data/llama"

enum { ROWS = 3 };

static lrk_err err;

static void good(lrk_status s)
{
    if (s != LRK_OK) fail_msg("%s", err.text);
}

/* The rows of batch.json, as an exam. */
static void open_rows(lrk_exam *x)
{
    lrk_json *batch;
    *x = (lrk_exam){.arena = lrk_arena_growing("exam"), .n = ROWS};
    good(lrk_json_load(&batch, CASE "/batch.json", 1 << 20, &err));
    const lrk_json *rows = lrk_json_get(batch, "rows");
    assert_int_equal(lrk_json_size(rows), ROWS);
    good(lrk_alloc(&x->arena, ROWS, sizeof *x->row, "rows", &x->row, &err));
    for (size_t i = 0; i < ROWS; i++) {
        const lrk_json *from = lrk_json_get(lrk_json_at(rows, i), "input_ids"),
                       *labels = lrk_json_get(lrk_json_at(rows, i), "labels");
        const size_t n = lrk_json_size(from);
        uint32_t *ids;
        uint8_t *mask;
        good(lrk_alloc(&x->arena, n, sizeof *ids, "ids", &ids, &err));
        good(lrk_alloc(&x->arena, n, sizeof *mask, "mask", &mask, &err));
        x->row[i] = (lrk_exam_row){.ids = ids, .mask = mask, .n = n};
        for (size_t t = 0; t < n; t++) {
            ids[t] = (uint32_t)lrk_json_integer(lrk_json_at(from, t));
            mask[t] = lrk_json_integer(lrk_json_at(labels, t)) >= 0;
            x->row[i].n_trained += mask[t];
        }
        x->longest_row = n > x->longest_row ? n : x->longest_row;
    }
    lrk_json_free(batch);
}

static double log_sum(const float *z, size_t n)
{
    long double sum = 0.0L;
    for (size_t v = 0; v < n; v++) sum += expl((long double)z[v]);
    return (double)logl(sum);
}

typedef struct truth {
    double kl, largest, reference_loss, loss;
    size_t tokens, same;
} truth;

static void add_position(truth *w, const float *p, const float *q, size_t n, size_t target)
{
    const double log_p = log_sum(p, n), log_q = log_sum(q, n);
    double kl = 0.0;
    size_t top_p = 0, top_q = 0;
    for (size_t v = 0; v < n; v++) {
        kl += exp((double)p[v] - log_p) * ((double)p[v] - log_p - (double)q[v] + log_q);
        if (p[v] > p[top_p]) top_p = v;
        if (q[v] > q[top_q]) top_q = v;
    }
    w->kl += kl;
    w->largest = fmax(w->largest, kl);
    w->reference_loss += log_p - (double)p[target];
    w->loss += log_q - (double)q[target];
    w->same += top_p == top_q;
    w->tokens++;
}

static truth recorded(const lrk_exam *x)
{
    truth w = {0};
    lrk_safetensors s;
    good(lrk_st_open(&s, CASE "/expected.safetensors", &err));
    for (size_t i = 0; i < ROWS; i++) {
        lrk_tensor base, adapter;
        char name[64];
        snprintf(name, sizeof name, "logits.base.row%zu", i);
        good(lrk_st_view(&s, lrk_st_find(&s, name), &base, &err));
        snprintf(name, sizeof name, "logits.adapter.row%zu", i);
        good(lrk_st_view(&s, lrk_st_find(&s, name), &adapter, &err));
        for (size_t t = 0; t + 1 < x->row[i].n; t++)
            if (x->row[i].mask[t + 1])
                add_position(&w, lrk_row(&adapter, t), lrk_row(&base, t), lrk_cols(&base), x->row[i].ids[t + 1]);
    }
    lrk_st_close(&s);
    return w;
}

/* Our logits are within 2e-4 of those recorded (golden/verify.sh). A loss moves by at most twice that; a divergence
 * by twice that for Q, and for P by sum p |ln p/q - KL| times as much, which is below 2 here. */
static void near(double got, double want)
{
    if (!(fabs(got - want) <= 8e-4)) fail_msg("got %.9g, expected %.9g", got, want);
}

static void base_against_tuned(void **state)
{
    (void)state;
    lrk_exam x;
    lrk_fidelity f;
    lrk_fidelity_model *tuned, *base;
    open_rows(&x);
    const truth want = recorded(&x);
    const double n = (double)want.tokens;
    good(lrk_fidelity_open(&tuned, CASE, CASE "/adapter", LRK_AS_STORED, LRK_CPU, &x, &err));
    good(lrk_fidelity_open(&base, CASE, NULL, LRK_AS_STORED, LRK_CPU, &x, &err));
    good(lrk_fidelity_measure(&f, tuned, base, &x, NULL, &err));
    assert_int_equal(f.rows, ROWS);
    assert_int_equal(f.tokens, want.tokens);
    assert_int_equal(f.same_top, want.same);
    assert_true(want.kl / n > 0.01 && want.same < want.tokens); /* or the test could not tell */
    near(f.kl_mean, want.kl / n);
    near(f.kl_max, want.largest);
    near(f.loss, want.loss / n);
    near(f.reference_loss, want.reference_loss / n);
    assert_true(f.kl_high <= f.kl_max && f.kl_high >= f.kl_mean);

    good(lrk_fidelity_measure(&f, base, base, &x, NULL, &err));
    assert_int_equal(f.same_top, f.tokens);
    assert_true(f.kl_max <= 0.0);
    lrk_fidelity_close(tuned);
    lrk_fidelity_close(base);
    lrk_arena_free(&x.arena);
}

/* What PEFT merged, against base + adapter: rounding alone. */
static void merged_against_tuned(void **state)
{
    (void)state;
    lrk_exam x;
    open_rows(&x);
    lrk_output outputs[] = {{.name = "merged", .path = CASE "/merged"}, {.name = "base", .path = CASE}};
    lrk_certificate c = {.model = CASE, .adapter = CASE "/adapter", .exam = &x, .max_kl = 1e-6,
                         .output = outputs, .n = 1};
    good(lrk_certify(&c, &err));
    assert_true(outputs[0].measured && !outputs[0].past_limit);
    assert_int_equal(outputs[0].fidelity.same_top, outputs[0].fidelity.tokens);
    good(lrk_certificate_check(&c, &err));
    c.n = 2;
    good(lrk_certify(&c, &err));
    assert_true(!outputs[0].past_limit && outputs[1].past_limit);
    assert_int_equal(lrk_certificate_check(&c, &err), LRK_ENUMERIC);
    assert_non_null(strstr(err.text, "base is "));
    c.max_kl = 0.0;
    c.min_top1 = 0.999;
    err = (lrk_err){0};
    good(lrk_certify(&c, &err));
    assert_int_equal(lrk_certificate_check(&c, &err), LRK_ENUMERIC);
    assert_non_null(strstr(err.text, "same top-1"));
    lrk_arena_free(&x.arena);
}

static bool at_once(void) { return true; }

static void refusals(void **state)
{
    (void)state;
    lrk_exam x;
    lrk_fidelity f;
    lrk_fidelity_model *llama, *mistral;
    open_rows(&x);
    err = (lrk_err){0};
    good(lrk_fidelity_open(&llama, CASE, NULL, LRK_AS_STORED, LRK_CPU, &x, &err));
    good(lrk_fidelity_open(&mistral, LRK_SOURCE_DIR "/tests/golden/data/mistral", NULL, LRK_AS_STORED, LRK_CPU, &x,
                           &err));
    assert_int_equal(lrk_fidelity_measure(&f, llama, mistral, &x, NULL, &err), LRK_ESHAPE);
    assert_non_null(strstr(err.text, "tokens in its vocabulary"));
    assert_int_equal(lrk_fidelity_measure(&f, llama, llama, &x, at_once, NULL), LRK_STOPPED);
    for (size_t i = 0; i < ROWS; i++)
        memset((uint8_t *)(uintptr_t)x.row[i].mask, 0, x.row[i].n), x.row[i].n_trained = 0;
    assert_int_equal(lrk_fidelity_measure(&f, llama, llama, &x, NULL, NULL), LRK_EINPUT);
    lrk_fidelity_close(llama);
    lrk_fidelity_close(mistral);
    lrk_arena_free(&x.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_against_tuned),
        cmocka_unit_test(merged_against_tuned),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests_name("fidelity", tests, NULL, NULL);
}
