/* tests/unit/sampler.c -- the choice of the next token. */
#include "generate/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { N = 5, DRAWS = 20000 };

static const lrk_sampler greedy = {.temperature = 0.0, .top_p = 1.0}, warm = {.temperature = 0.5, .top_p = 1.0};

static uint32_t choose(const lrk_sampler *s, const float *z, uint64_t position)
{
    lrk_candidate work[N];
    uint32_t id = N;
    lrk_err err = {0};
    if (lrk_sample_token(s, LRK_F32, z, N, 0, position, work, &id, &err) != LRK_OK)
        fail_msg("%s", err.text);
    return id;
}

static void greedy_takes_the_largest_and_the_lower_of_equals(void **state)
{
    (void)state;
    assert_int_equal(choose(&greedy, (float[N]){0, 3, -1, 3, 2}, 0), 1);
    assert_int_equal(choose(&greedy, (float[N]){-INFINITY, -INFINITY, -7, -INFINITY, -8}, 0), 2);
}

/* Counts against softmax(z / 0.5): four standard deviations of a count. */
static void tokens_come_as_often_as_they_are_likely(void **state)
{
    (void)state;
    const float z[N] = {0.0f, 1.0f, -0.5f, 0.5f, -INFINITY};
    double p[N], sum = 0.0;
    size_t count[N] = {0};
    for (size_t i = 0; i < N; i++) sum += p[i] = exp((double)z[i] / 0.5);
    for (uint64_t k = 0; k < DRAWS; k++) count[choose(&warm, z, k)]++;
    for (size_t i = 0; i < N; i++) {
        p[i] /= sum;
        const double off = (double)count[i] - DRAWS * p[i];
        if (fabs(off) > 4.0 * sqrt(DRAWS * p[i] * (1.0 - p[i])))
            fail_msg("token %zu: %zu times, expected %g", i, count[i], DRAWS * p[i]);
    }
}

static void top_k_and_top_p_leave_the_likeliest(void **state)
{
    (void)state;
    const float z[N] = {0.0f, 1.0f, -0.5f, 0.5f, -3.0f}; /* shares 0.09, 0.64, 0.03, 0.24, 0.00 */
    lrk_sampler two = warm, share = warm;
    two.top_k = 2;
    share.top_p = 0.6;
    for (uint64_t k = 0; k < 1000; k++) {
        const uint32_t id = choose(&two, z, k);
        assert_true(id == 1 || id == 3);
        assert_int_equal(choose(&share, z, k), 1);
    }
}

static void a_number_that_is_none_is_refused(void **state)
{
    (void)state;
    const float bad[2] = {NAN, INFINITY};
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2; k++) {
            const float z[N] = {1, 2, bad[i], 4, 5};
            lrk_candidate work[N];
            uint32_t id;
            lrk_err err = {0};
            assert_int_equal(lrk_sample_token(k ? &warm : &greedy, LRK_F32, z, N, 0, 0, work, &id, &err),
                             LRK_ENUMERIC);
            assert_non_null(strstr(err.text, i ? "logit 2 is infinite" : "logit 2 is not a number"));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_largest_and_the_lower_of_equals),
        cmocka_unit_test(tokens_come_as_often_as_they_are_likely),
        cmocka_unit_test(top_k_and_top_p_leave_the_likeliest),
        cmocka_unit_test(a_number_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
