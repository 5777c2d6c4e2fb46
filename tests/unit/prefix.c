/* tests/unit/prefix.c -- what rows share, against a comparison token by token. */
#include "data/prefix.h"

#include "base/rng.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROWS = 200, LONGEST = 150 };
static uint32_t ids[ROWS][LONGEST];
static size_t sharable[ROWS];

/* Each row follows an earlier one for a while. */
static void make_rows(void)
{
    const lrk_rng r = {7, LRK_SITE_TEST, 0};
    uint64_t at = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const size_t from = i ? lrk_rng_below(r, at++, i) : 0, n = lrk_rng_below(r, at++, LONGEST);
        memcpy(ids[i], ids[from], sizeof ids[i]);
        for (size_t k = n; k < LONGEST; k++) ids[i][k] = (uint32_t)lrk_rng_below(r, at++, 3);
        sharable[i] = lrk_rng_below(r, at++, LONGEST + 1);
    }
}

static size_t compare(size_t a, size_t b)
{
    size_t n = 0;
    const size_t most = lrk_min(sharable[a], sharable[b]);
    while (n < most && ids[a][n] == ids[b][n]) n++;
    return n / LRK_PREFIX_PIECE * LRK_PREFIX_PIECE;
}

static lrk_prefixes *open_all(void)
{
    lrk_prefixes *p;
    assert_int_equal(lrk_prefixes_open(&p, ROWS + 1, NULL), LRK_OK);
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(lrk_prefixes_add(p, i, ids[i], sharable[i], NULL), LRK_OK);
    lrk_prefixes_finish(p);
    return p;
}

static void two_rows_share_what_they_begin_with(void **state)
{
    (void)state;
    lrk_prefixes *p = open_all();
    size_t some = 0;
    for (size_t a = 0; a < ROWS; a++) {
        for (size_t b = 0; b < ROWS; b++) {
            if (a == b) continue;
            assert_int_equal(lrk_prefixes_common(p, a, b), compare(a, b));
            some += compare(a, b) > 0;
        }
        assert_int_equal(lrk_prefixes_common(p, a, ROWS), 0); /* never added */
    }
    assert_true(some > ROWS);
    lrk_prefixes_close(p);
}

static const lrk_prefixes *sorting;

static int by_order(const void *x, const void *y)
{
    const uint32_t a = lrk_prefixes_order(sorting, *(const size_t *)x);
    const uint32_t b = lrk_prefixes_order(sorting, *(const size_t *)y);
    return (a > b) - (a < b);
}

static void sorted_rows_share_the_least_between_neighbours(void **state)
{
    (void)state;
    lrk_prefixes *p = open_all();
    size_t row[ROWS];
    for (size_t i = 0; i < ROWS; i++) row[i] = i;
    sorting = p;
    qsort(row, ROWS, sizeof *row, by_order);
    for (size_t i = 0; i < ROWS; i++) {
        size_t least = SIZE_MAX;
        for (size_t j = i + 1; j < ROWS; j++) {
            least = lrk_min(least, lrk_prefixes_common(p, row[j - 1], row[j]));
            assert_int_equal(lrk_prefixes_common(p, row[i], row[j]), least);
        }
    }
    lrk_prefixes_close(p);
}

static void all_begin_as_their_pairs_do(void **state)
{
    (void)state;
    uint32_t a[40], b[40], c[40];
    for (uint32_t i = 0; i < 40; i++) a[i] = b[i] = c[i] = i;
    b[30] = c[LRK_PREFIX_PIECE] = 99;
    lrk_shared all = {0};
    assert_int_equal(lrk_shared_tokens(&all), 0);
    lrk_shared_add(&all, a, 39);
    assert_int_equal(lrk_shared_tokens(&all), 0);
    lrk_shared_add(&all, b, 39);
    assert_int_equal(lrk_shared_tokens(&all), 30);
    lrk_shared_add(&all, a, 20);
    assert_int_equal(lrk_shared_tokens(&all), 20);
    lrk_shared_add(&all, c, 39);
    assert_int_equal(lrk_shared_tokens(&all), LRK_PREFIX_PIECE);
    lrk_shared_add(&all, a, LRK_PREFIX_PIECE - 1);
    assert_int_equal(lrk_shared_tokens(&all), 0);
    lrk_shared_add(&all, a, 39);
    assert_int_equal(lrk_shared_tokens(&all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_rows_share_what_they_begin_with),
        cmocka_unit_test(sorted_rows_share_the_least_between_neighbours),
        cmocka_unit_test(all_begin_as_their_pairs_do),
    };
    make_rows();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
