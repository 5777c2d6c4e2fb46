/* tests/unit/check.c -- duplicates, leaks and rows that can never be trained are found and counted.
 */
#include "data/check.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static lrk_dataset_writer *w;

static void add(const char *split, const char *prompt, const char *completion, lrk_train train)
{
    lrk_err err = {0};
    static uint64_t line;
    const lrk_part parts[] = {{LRK_ROLE_PROMPT, LRK_TRAIN_BY_ROLE, prompt, strlen(prompt)},
                              {LRK_ROLE_COMPLETION, train, completion, strlen(completion)}};
    if (lrk_dataset_add(w, split, 0, ++line, parts, 2, &err) != LRK_OK) fail_msg("%s", err.text);
}

static void everything_is_counted(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_dataset *d;
    lrk_tokenizer *t;
    lrk_check_report r;
    assert_int_equal(
        lrk_tokenizer_from_json(&t, LRK_SOURCE_DIR "/tests/golden/data/llama/tokenizer.json", &err),
        LRK_OK);
    assert_int_equal(lrk_dataset_create(&w, "d.h5", &err), LRK_OK);
    add("train", "a", "x", LRK_TRAIN_BY_ROLE);
    add("train", "b", "x", LRK_TRAIN_BY_ROLE);
    add("train", "a", "x", LRK_TRAIN_BY_ROLE); /* repeats the first */
    add("train", "a", "y", LRK_TRAIN_BY_ROLE);
    add("test", "a", "x", LRK_TRAIN_BY_ROLE); /* leaks */
    add("test", "b", "z", LRK_TRAIN_BY_ROLE); /* its prompt leaks */
    add("test", "c", " ", LRK_TRAIN_BY_ROLE); /* no answer */
    add("test", "d", "x", LRK_TRAIN_NO);      /* none either */
    add("test", "e", "<|eot_id|> and a long, long answer", LRK_TRAIN_BY_ROLE);
    assert_int_equal(lrk_dataset_commit(w, "[]", 2, &err), LRK_OK);
    assert_int_equal(lrk_dataset_open(&d, "d.h5", &err), LRK_OK);
    const size_t train = (size_t)lrk_dataset_split(d, "train"),
                 test = (size_t)lrk_dataset_split(d, "test");

    lrk_check_options o = {.tokenizer = t, .sequence_len = 10};
    o.chat.eos = "<|eot_id|>";
    if (lrk_data_check(d, &o, &r, &err) != LRK_OK) fail_msg("%s", err.text);
    assert_int_equal(r.rows, 9);
    assert_int_equal(r.equal_rows[train][train], 1);
    assert_int_equal(r.equal_rows[test][test], 0);
    assert_int_equal(r.equal_rows[train][test], 1);
    assert_int_equal(r.equal_rows[test][train], 2);
    assert_int_equal(r.equal_prompts[train][test], 2);
    assert_int_equal(r.no_answer, 2);
    assert_int_equal(r.too_long, 1);
    assert_int_equal(r.special_text, 1);
    assert_int_equal(r.counted, 7);
    assert_true(r.shortest > 0 && r.median == r.shortest && r.longest > 10);
    uint64_t sum = 0;
    for (size_t i = 0; i < LRK_CHECK_BUCKETS; i++) sum += r.bucket[i];
    assert_int_equal(sum, 7);
    assert_false(lrk_check_passed(&r));
    assert_non_null(strstr(r.list.data, "d.h5: row 6: there is no answer to learn from\n"));
    lrk_check_free(&r);

    o.sequence_len = 0;
    o.tokenizer = NULL;
    assert_int_equal(lrk_data_check(d, &o, &r, &err), LRK_OK);
    assert_true(r.counted == 0 && r.no_answer == 2 && !lrk_check_passed(&r));
    lrk_check_free(&r);
    lrk_dataset_close(d);
    lrk_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_is_counted)};
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
