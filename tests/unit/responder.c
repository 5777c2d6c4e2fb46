/* tests/unit/responder.c -- answers that a journal has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/prefix.h"
#include "generate/responder.h"
#include "models/choose.h"

#include <stdio.h>
#include <string.h>

#define MODEL LRK_SOURCE_DIR "/tests/golden/data/llama"

enum { QUESTIONS = 3, NEW = 4 };

static bool always(void)
{
    return true;
}

static lrk_journal *open_journal(void)
{
    lrk_err err = {0};
    lrk_journal *j;
    lrk_json *key = lrk_json_object();
    lrk_json_set_text(key, "test", "unit/responder");
    if (lrk_journal_open(&j, "unit_responder", key, &err) != LRK_OK) fail_msg("%s", err.text);
    return j;
}

/* With all answers in the journal the model is asked nothing, not even what the prompts begin with, and not prepared
 * for it: who would stop at the first run ends well. */
static void nothing_is_computed_where_all_is_known(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_responder r;
    lrk_answer answer[QUESTIONS] = {0};
    uint32_t first[QUESTIONS][NEW];
    lrk_responder_options o = {.model = MODEL};
    assert_int_equal(lrk_device_choose("cpu", &o.device, &err), LRK_OK);
    assert_int_equal(lrk_compute_choose("f32", o.device, &o.compute, &err), LRK_OK);
    if (lrk_responder_open(&r, &o, &err) != LRK_OK) fail_msg("%s", err.text);
    for (int i = 0; i < QUESTIONS; i++) {
        char text[160];
        const int n = snprintf(text, sizeof text,
                               "One beginning of many words, the same for each of the questions: %d", i);
        assert_int_equal(lrk_responder_text(&r, text, (size_t)n, &answer[i].prompt, &err), LRK_OK);
    }
    assert_true(lrk_common_tokens(answer[0].prompt.id, answer[0].prompt.n, answer[1].prompt.id, answer[1].prompt.n) >
                LRK_PREFIX_PIECE);
    lrk_journal *j = open_journal();
    lrk_answering how = {.max_tokens = NEW, .journal = j, .part = "answers"};
    if (lrk_responder_answer(&r, answer, QUESTIONS, &how, &err) != LRK_OK) fail_msg("%s", err.text);
    for (int i = 0; i < QUESTIONS; i++) memcpy(first[i], answer[i].ids, answer[i].n * sizeof *first[i]);
    lrk_journal_close(j, false);
    lrk_responder_close(&r);

    if (lrk_responder_open(&r, &o, &err) != LRK_OK) fail_msg("%s", err.text);
    how.journal = open_journal();
    how.stop = always;
    if (lrk_responder_answer(&r, answer, QUESTIONS, &how, &err) != LRK_OK) fail_msg("%s", err.text);
    for (int i = 0; i < QUESTIONS; i++) {
        assert_true(answer[i].known && answer[i].n > 0);
        assert_memory_equal(answer[i].ids, first[i], answer[i].n * sizeof *first[i]);
    }
    assert_false(r.engine_open);
    lrk_journal_close(how.journal, true);
    for (int i = 0; i < QUESTIONS; i++) lrk_answer_free(&answer[i]);
    lrk_responder_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_computed_where_all_is_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
