/* tests/unit/score.c -- intervals, spreading, validators. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/process.h"
#include "train/exam.h"
#include "train/interval.h"
#include "train/validator.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("got %.9g, expected %.9g", got, want);
}

/* Newcombe, Statistics in Medicine 17 (1998), method 3. */
static void wilson_is_known(void **state)
{
    (void)state;
    static const struct {
        size_t k, n;
        double low, high;
    } known[] = {{81, 263, 0.2553, 0.3662},
                 {15, 148, 0.0624, 0.1605},
                 {0, 20, 0.0, 0.1611},
                 {1, 29, 0.0061, 0.1718},
                 {29, 29, 1.0 - 0.1170, 1.0}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const lrk_interval w = lrk_wilson(known[i].k, known[i].n);
        near(w.value, (double)known[i].k / (double)known[i].n, 1e-15);
        near(w.low, known[i].low, 5.1e-5);
        near(w.high, known[i].high, 5.1e-5);
    }
    const lrk_interval nothing = lrk_wilson(0, 0);
    near(nothing.low, 0.0, 0.0);
    near(nothing.high, 1.0, 0.0);
}

static void mcnemar_is_a_binomial(void **state)
{
    (void)state;
    near(lrk_mcnemar(0, 0), 1.0, 0.0);
    near(lrk_mcnemar(3, 3), 1.0, 0.0);
    near(lrk_mcnemar(1, 0), 1.0, 1e-12);
    near(lrk_mcnemar(5, 0), 2.0 / 32.0, 1e-12);
    near(lrk_mcnemar(0, 5), 2.0 / 32.0, 1e-12);
    near(lrk_mcnemar(9, 1), 2.0 * 11.0 / 1024.0, 1e-12);
    near(lrk_mcnemar(100, 0) / (2.0 * pow(0.5, 100.0)), 1.0, 1e-9);
}

static void ratio_of_sums(void **state)
{
    (void)state;
    double sum[20];
    size_t n[20];
    for (size_t i = 0; i < 20; i++) {
        n[i] = 10;
        sum[i] = i % 2 ? 12.0 : 8.0;
    }
    const lrk_interval few = lrk_ratio_mean(sum, n, 9), all = lrk_ratio_mean(sum, n, 20);
    near(few.low, few.high, 0.0);
    near(all.value, 1.0, 1e-12);
    /* sample deviation of means of 0.8 and 1.2 is 0.2 sqrt(20/19), divided by sqrt(20) */
    near(all.high - all.value, 1.959963985 * 0.2 / sqrt(19.0), 1e-9);
    near(all.value - all.low, all.high - all.value, 1e-12);
}

static void few_of_many_are_even(void **state)
{
    (void)state;
    for (size_t n = 1; n < 40; n++)
        for (size_t few = 1; few < 50; few++) {
            size_t count = 0, gap = 0, widest = 0;
            for (size_t i = 0; i < n; i++) {
                gap++;
                if (!lrk_evenly(i, n, few)) continue;
                count++;
                widest = gap > widest ? gap : widest;
                gap = 0;
            }
            assert_int_equal(count, few < n ? few : n);
            assert_true(widest <= (few < n ? (n + few - 1) / few : 1));
            assert_int_equal(gap, 0);
        }
    assert_true(lrk_evenly(3, 5, 0));
}

static void lines_longer_than_a_pipe(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    lrk_process *p;
    lrk_err err = {0};
    lrk_buf b = {0};
    char *answer;
    size_t n;
    for (int i = 0; i < SIZE; i++) lrk_buf_puts(&b, "x");
    /* cat answers while it still reads: who only writes first waits for ever */
    assert_int_equal(lrk_process_open(&p, "cat", &err), LRK_OK);
    for (int round = 0; round < 3; round++) {
        b.data[round] = 'y';
        if (lrk_process_exchange(p, b.data, b.n, 60.0, 2 * SIZE, &answer, &n, &err) != LRK_OK)
            fail_msg("%s", err.text);
        assert_int_equal(n, SIZE);
        assert_memory_equal(answer, b.data, n);
    }
    assert_int_equal(lrk_process_exchange(p, b.data, b.n, 60.0, SIZE / 2, &answer, &n, &err),
                     LRK_EINPUT);
    lrk_process_close(p);
    lrk_buf_free(&b);
}

static void one_exchange(const char *command, double seconds, const char *message)
{
    lrk_process *p;
    lrk_err err = {0};
    char *answer, text[70000];
    size_t n;
    memset(text, 'x', sizeof text);
    assert_int_equal(lrk_process_open(&p, command, &err), LRK_OK);
    assert_int_equal(lrk_process_exchange(p, text, sizeof text, seconds, 100, &answer, &n, &err),
                     LRK_EINPUT);
    if (!strstr(err.text, message)) fail_msg("\"%s\" lacks \"%s\"", err.text, message);
    lrk_process_close(p);
}

static void programs_that_fail(void **state)
{
    (void)state;
    one_exchange("exit 3", 30.0, "ended with status 3");
    one_exchange("no-such-program-here", 30.0, "ended with status 127");
    one_exchange("kill -9 $$", 30.0, "ended by signal 9");
    one_exchange("exec <&-; exec >&-; sleep 1", 30.0, "closed its output");
    const double start = lrk_seconds();
    one_exchange("sleep 600 | sleep 600", 0.2, "no answer within 0.2 s");
    assert_true(lrk_seconds() - start < 60.0); /* neither waited for nor left behind */
}

static void verdict_of(const char *answer, lrk_status want, const char *message)
{
    char command[400];
    lrk_validator *v;
    lrk_verdict verdict;
    lrk_err err = {0};
    snprintf(command, sizeof command, "while read -r line; do echo '%s'; done", answer);
    assert_int_equal(lrk_validator_open(&v, command, &err), LRK_OK);
    const lrk_status s = lrk_validator_ask(v, "7", "a \"b\"\n", "c", &verdict, &err);
    if (s != want || !strstr(err.text, message)) fail_msg("%s: %d, %s", answer, (int)s, err.text);
    lrk_validator_close(v);
}

static void verdicts(void **state)
{
    (void)state;
    lrk_validator *v;
    lrk_verdict d;
    lrk_err err = {0};
    const char *command = "while read -r l; do echo '{\"id\": \"x\", \"parse\": true, \"equal\": "
                          "false, \"class\": \"wrong\", \"more\": [1]}'; done";
    assert_int_equal(lrk_validator_open(&v, command, &err), LRK_OK);
    assert_int_equal(lrk_validator_ask(v, "\"x\"", "p", "g", &d, &err), LRK_OK);
    assert_int_equal(d.parse, 1);
    assert_int_equal(d.equal, 0);
    assert_int_equal(d.valid, -1);
    assert_string_equal(d.class, "wrong");
    assert_string_equal(d.note, "");
    lrk_validator_close(v);

    verdict_of("{\"id\": 7}", LRK_OK, "");
    verdict_of("{\"id\": 8}", LRK_EINPUT, "id is 8");
    verdict_of("{\"parse\": true}", LRK_EINPUT, "no id");
    verdict_of("{\"id\": 7, \"equal\": \"yes\"}", LRK_EINPUT, "equal: expected true or false");
    verdict_of("{\"id\": 7, \"note\": 1}", LRK_EINPUT, "note: expected a string");
    verdict_of("[7]", LRK_EINPUT, "expected one JSON object");
    verdict_of("fine", LRK_EINPUT, "expected one JSON object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_is_known),      cmocka_unit_test(mcnemar_is_a_binomial),
        cmocka_unit_test(ratio_of_sums),        cmocka_unit_test(few_of_many_are_even),
        cmocka_unit_test(lines_longer_than_a_pipe), cmocka_unit_test(programs_that_fail),
        cmocka_unit_test(verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
