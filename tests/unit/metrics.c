/* tests/unit/metrics.c -- metrics.jsonl and the loss curve. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "train/curve.h"
#include "train/metrics.h"

#include <math.h>
#include <string.h>

static const char *const path = "unit_metrics.jsonl", *const svg = "unit_metrics.svg";

static lrk_step_record step_record(uint64_t step, double loss)
{
    return (lrk_step_record){.step = step,
                             .epoch = (double)step / 100.0,
                             .loss = loss,
                             .learning_rate = 1e-3,
                             .grad_norm = 0.5,
                             .tokens = 512,
                             .trained_tokens = 200,
                             .seconds = 2.0,
                             .elapsed = 2.0 * (double)step,
                             .peak_bytes = 123456789};
}

static void write_step(uint64_t step, double loss)
{
    lrk_err err = {0};
    const lrk_step_record r = step_record(step, loss);
    if (lrk_metrics_step(path, &r, &err) != LRK_OK) fail_msg("%s", err.text);
}

static void write_eval(uint64_t step, double loss)
{
    lrk_err err = {0};
    const lrk_eval_record r = {.step = step, .epoch = 0.5, .loss = loss, .trained_tokens = 90};
    if (lrk_metrics_eval(path, &r, &err) != LRK_OK) fail_msg("%s", err.text);
}

static lrk_curve read_back(lrk_arena *a)
{
    lrk_curve c;
    lrk_err err = {0};
    if (lrk_metrics_read(&c, a, path, &err) != LRK_OK) fail_msg("%s", err.text);
    return c;
}

static int fresh(void **state)
{
    (void)state;
    return lrk_remove(path, NULL) == LRK_OK && lrk_remove(svg, NULL) == LRK_OK ? 0 : 1;
}

static void lines_read_back(void **state)
{
    (void)state;
    lrk_arena a = lrk_arena_growing("test");
    write_step(1, 2.5);
    write_step(2, (double)NAN); /* null in the file, left out of the curve */
    write_step(3, 1.25);
    write_eval(3, 1.5);
    const lrk_curve c = read_back(&a);
    assert_int_equal(c.n_train, 2);
    assert_true(c.train[1].step == 3.0 && c.train[1].loss == 1.25);
    assert_int_equal(c.n_eval, 1);
    assert_true(c.eval[0].loss == 1.5);

    char *text;
    size_t n;
    assert_int_equal(lrk_file_read(&a, path, 1 << 20, &text, &n, NULL), LRK_OK);
    assert_non_null(strstr(text, "\"loss\": null"));
    assert_non_null(
        strstr(text, "\"tokens_per_second\": 256, \"trained_tokens_per_second\": 100,"));
    lrk_arena_free(&a);
}

static void rewinding_drops_what_came_later(void **state)
{
    (void)state;
    lrk_arena a = lrk_arena_growing("test");
    assert_int_equal(lrk_metrics_rewind(path, 3, false, NULL), LRK_OK); /* no file yet */
    for (uint64_t s = 1; s <= 6; s++) write_step(s, 1.0 / (double)s);
    write_eval(2, 0.5);
    write_eval(5, 0.25);
    assert_int_equal(lrk_file_append(path, "{\"kind\": \"st", 12, NULL), LRK_OK);
    assert_int_equal(lrk_metrics_rewind(path, 4, false, NULL), LRK_OK);
    write_step(5, 9.0);
    lrk_curve c = read_back(&a);
    assert_int_equal(c.n_train, 5);
    assert_true(c.train[4].loss == 9.0);
    assert_int_equal(c.n_eval, 1);
    assert_int_equal(lrk_metrics_rewind(path, 2, false, NULL), LRK_OK);
    c = read_back(&a);
    assert_int_equal(c.n_eval, 1);
    assert_int_equal(lrk_metrics_rewind(path, 2, true, NULL), LRK_OK); /* it is made again */
    c = read_back(&a);
    assert_int_equal(c.n_train, 2);
    assert_int_equal(c.n_eval, 0);
    lrk_arena_free(&a);
}

/* Every coordinate of the picture lies inside it. */
static void check_svg(const char *text)
{
    assert_non_null(strstr(text, "<svg xmlns"));
    assert_non_null(strstr(text, "</svg>"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    size_t open = 0, closed = 0;
    for (const char *p = text; (p = strchr(p, '<')); p++) {
        open += p[1] != '/';
        closed += p[1] == '/';
    }
    for (const char *p = text; (p = strstr(p, "/>")); p++) closed++;
    assert_int_equal(open, closed);
}

static void curves_of_all_lengths(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 2, 7, 400, 5000};
    lrk_arena a = lrk_arena_growing("test");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const lrk_rng rng = {.seed = 3, .site = LRK_SITE_TEST};
        lrk_curve c = {.n_train = lengths[i], .n_eval = lengths[i] / 50};
        assert_int_equal(lrk_alloc(&a, c.n_train + 1, sizeof *c.train, "points", &c.train, NULL),
                         LRK_OK);
        assert_int_equal(lrk_alloc(&a, c.n_eval + 1, sizeof *c.eval, "points", &c.eval, NULL),
                         LRK_OK);
        for (size_t s = 0; s < c.n_train; s++) {
            const double x = (double)(s + 1);
            c.train[s] = (lrk_curve_point){x, (0.12 + 2.6 * exp(-x / 40.0)) *
                                                  (1.0 + 0.12 * lrk_rng_normal(rng, s))};
        }
        for (size_t s = 0; s < c.n_eval; s++) {
            const double x = 50.0 * (double)(s + 1);
            c.eval[s] = (lrk_curve_point){x, 0.16 + 2.4 * exp(-x / 42.0) + x * 1e-5};
        }
        lrk_buf b = {0};
        assert_int_equal(lrk_curve_svg(&c, "plume <r16> & more", &b, NULL), LRK_OK);
        check_svg(b.data);
        assert_true(b.n < 120000);
        assert_non_null(strstr(b.data, "plume &lt;r16> &amp; more"));
        if (lengths[i] == 400) assert_int_equal(lrk_file_write(svg, b.data, b.n, NULL), LRK_OK);
        lrk_buf_free(&b);
    }
    lrk_arena_free(&a);
}

static void equal_losses_have_a_range(void **state)
{
    (void)state;
    lrk_curve_point same[] = {{1, 2.0}, {2, 2.0}, {3, 2.0}};
    const lrk_curve c = {.train = same, .n_train = 3};
    lrk_buf b = {0};
    assert_int_equal(lrk_curve_svg(&c, "flat", &b, NULL), LRK_OK);
    check_svg(b.data);
    lrk_buf_free(&b);
}

static void nice_steps(void **state)
{
    (void)state;
    assert_true(fabs(lrk_nice_step(1.0, 5) - 0.2) < 1e-12);
    assert_true(fabs(lrk_nice_step(3.0, 5) - 0.5) < 1e-12);
    assert_true(fabs(lrk_nice_step(3750.0, 8) - 500.0) < 1e-9);
    assert_true(fabs(lrk_nice_step(0.0004, 5) - 0.0001) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lines_read_back, fresh),
        cmocka_unit_test_setup(rewinding_drops_what_came_later, fresh),
        cmocka_unit_test_setup(curves_of_all_lengths, fresh),
        cmocka_unit_test(equal_losses_have_a_range),
        cmocka_unit_test(nice_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
