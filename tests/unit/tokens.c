/* tests/unit/tokens.c -- rows into ids and masks: what is trained, what is refused, and caches that
 * are used exactly when nothing has changed. */
#include "data/tokens.h"
#include "base/file.h"
#include "base/threads.h"
#include "data/import.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static lrk_tokenizer *tokenizer;
static lrk_template *chatml;

static int setup(void **state)
{
    lrk_err err = {0};
    const char *path = LRK_SOURCE_DIR "/tests/golden/data/llama/tokenizer.json";
    if (lrk_tokenizer_from_json(&tokenizer, path, &err) != LRK_OK ||
        lrk_chat_template(&chatml, "chatml", NULL, "test", &err) != LRK_OK) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    return scratch_enter(state);
}

static int teardown(void **state)
{
    lrk_tokenizer_free(tokenizer);
    lrk_template_free(chatml);
    return scratch_leave(state);
}

static lrk_token_options options(void)
{
    const int64_t eos = lrk_tokenizer_special(tokenizer, LRK_TOKEN_EOS);
    lrk_token_options o = {.chat = {.template = chatml, .train_on_eos = LRK_TRAIN_EOS_TURN}};
    o.chat.eos = eos == LRK_NO_ID ? NULL : lrk_token_text(tokenizer, (uint32_t)eos, NULL);
    o.chat.end_tokens = lrk_tokenizer_end_texts(tokenizer, &o.chat.n_end_tokens);
    return o;
}

static void import(const char *text)
{
    lrk_err err = {0};
    lrk_import_report r;
    const lrk_import_input in = {"in.jsonl", NULL};
    const lrk_import_options o = {.inputs = &in, .n_inputs = 1, .out = "d.h5"};
    scratch_text("in.jsonl", text);
    if (lrk_import(&o, &r, &err) != LRK_OK) fail_msg("%s", err.text);
}

static lrk_status open_tokens(lrk_tokens **t, const lrk_token_options *o, lrk_err *err)
{
    *err = (lrk_err){0};
    return lrk_tokens_open(t, "d.h5", NULL, tokenizer, o, err);
}

/* The text that the targets of an example spell, and that all ids spell. */
static void spell(lrk_tokens *t, size_t example, lrk_buf *trained, lrk_buf *all)
{
    uint32_t ids[4096];
    uint8_t mask[4096];
    const size_t n = lrk_tokens_length(t, example);
    size_t sum = 0;
    assert_true(n <= 4096);
    assert_int_equal(lrk_tokens_read(t, example, ids, mask, NULL), LRK_OK);
    trained->n = all->n = 0;
    for (size_t i = 0; i < n; i++) {
        if (mask[i]) lrk_token_bytes(tokenizer, ids[i], trained, NULL);
        lrk_token_bytes(tokenizer, ids[i], all, NULL);
        sum += mask[i];
    }
    assert_int_equal(sum, lrk_tokens_trained(t, example));
}

#define CHAT                                                                                       \
    "{\"messages\": [{\"role\": \"system\", \"content\": \"be brief\"}, {\"role\": \"user\", "     \
    "\"content\": "                                                                                \
    "\"one\"}, {\"role\": \"assistant\", \"content\": \"two\"}, {\"role\": \"user\", "             \
    "\"content\": "                                                                                \
    "\"three\"}, {\"role\": \"assistant\", \"content\": \"four\"}]}\n"

static void answers_and_their_ends_are_trained(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_tokens *t;
    lrk_buf trained = {0}, all = {0};
    lrk_token_options o = options();
    import(CHAT);
    if (open_tokens(&t, &o, &err) != LRK_OK) fail_msg("%s", err.text);
    spell(t, 0, &trained, &all);
    assert_string_equal(trained.data, "two<|im_end|>four<|im_end|>");
    assert_string_equal(all.data,
                        "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\none<|im_end|>\n"
                        "<|im_start|>assistant\ntwo<|im_end|>\n<|im_start|>user\nthree<|im_end|>\n"
                        "<|im_start|>assistant\nfour<|im_end|>\n");
    lrk_tokens_close(t);

    o.chat.train_on_eos = LRK_TRAIN_EOS_NONE;
    assert_int_equal(open_tokens(&t, &o, &err), LRK_OK);
    spell(t, 0, &trained, &all);
    assert_string_equal(trained.data, "twofour");
    lrk_tokens_close(t);
    lrk_buf_free(&trained);
    lrk_buf_free(&all);
}

/* Marks of turns in the rows, by each of their names, go before roles; the end goes with its turn. */
static void turns_say_whether_they_are_trained(void **state)
{
    (void)state;
    static const char *const marks[][2] = {{"\"weight\": 0", "\"weight\": 1"},
                                           {"\"weight\": 0.0", "\"weight\": 1.0"},
                                           {"\"training\": false", "\"training\": true"},
                                           {"\"train\": false", "\"train\": true"}};
    lrk_err err = {0};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        lrk_tokens *t;
        lrk_buf trained = {0}, all = {0}, row = {0};
        const lrk_token_options o = options();
        lrk_buf_printf(&row,
                       "{\"messages\": [{\"role\": \"user\", \"content\": \"a\", %s},"
                       "{\"role\": \"assistant\", \"content\": \"b\", %s},"
                       "{\"role\": \"user\", \"content\": \"c\", %s},"
                       "{\"role\": \"assistant\", \"content\": \"d\"}]}\n",
                       marks[i][0], marks[i][0], marks[i][1]);
        import(row.data);
        if (open_tokens(&t, &o, &err) != LRK_OK) fail_msg("%s", err.text);
        spell(t, 0, &trained, &all);
        assert_string_equal(trained.data, "c<|im_end|>d<|im_end|>");
        assert_null(strstr(all.data, "train"));
        assert_null(strstr(all.data, "weight"));
        lrk_tokens_close(t);
        lrk_buf_free(&row);
        lrk_buf_free(&trained);
        lrk_buf_free(&all);
    }
}

/* One bos in front, whoever writes it: the tokenizer, the template, or the row itself. */
static void bos_is_there_once(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\"prompt\": \"a\", \"completion\": \"b\"}\n",
        "{\"prompt\": \"<|begin_of_text|>a\", \"completion\": \"b\"}\n",
        "{\"text\": \"<|begin_of_text|>ab\"}\n", CHAT};
    lrk_template *llama3;
    lrk_err err = {0};
    assert_int_equal(lrk_chat_template(&llama3, "llama3", NULL, "test", &err), LRK_OK);
    const int64_t bos = lrk_tokenizer_special(tokenizer, LRK_TOKEN_BOS);
    assert_true(bos >= 0 && lrk_tokenizer_adds_bos(tokenizer));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t ids[256];
        uint8_t mask[256];
        lrk_tokens *t;
        lrk_token_options o = options();
        o.chat.template = llama3;
        o.chat.bos = lrk_token_text(tokenizer, (uint32_t)bos, NULL);
        import(rows[i]);
        if (open_tokens(&t, &o, &err) != LRK_OK) fail_msg("%s", err.text);
        const size_t n = lrk_tokens_length(t, 0);
        assert_true(n <= 256);
        assert_int_equal(lrk_tokens_read(t, 0, ids, mask, NULL), LRK_OK);
        for (size_t k = 0; k < n; k++) assert_true((ids[k] == bos) == (k == 0));
        assert_int_equal(mask[0], 0);
        lrk_tokens_close(t);
    }
    lrk_template_free(llama3);
}

static void completions_end_and_prompts_are_not_trained(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_tokens *t;
    lrk_buf trained = {0}, all = {0};
    lrk_buf expected = {0};
    lrk_token_options o = options();
    assert_non_null(o.chat.eos);
    import("{\"prompt\": \"Q: two two?\\nA:\", \"completion\": \" count()\"}\n{\"prompt\": \"\", "
           "\"completion\": \"abc\"}\n");
    assert_int_equal(open_tokens(&t, &o, &err), LRK_OK);
    spell(t, 0, &trained, &all);
    lrk_buf_printf(&expected, " count()%s", o.chat.eos);
    assert_string_equal(trained.data, expected.data);
    assert_int_equal(lrk_tokens_row(t, 1), 1);
    lrk_tokens_close(t);
    lrk_buf_free(&trained);
    lrk_buf_free(&all);
    lrk_buf_free(&expected);
}

/* The cache's name tells which key it has; a hit says so in the report. */
static bool hit(const lrk_token_options *o)
{
    lrk_err err;
    lrk_tokens *t;
    if (open_tokens(&t, o, &err) != LRK_OK) fail_msg("%s", err.text);
    const bool cached = lrk_tokens_report(t)->cached;
    lrk_tokens_close(t);
    return cached;
}

static void a_stale_cache_is_never_used(void **state)
{
    (void)state;
    lrk_token_options o = options(), p;
    lrk_err err;
    lrk_tokens *t;
    import(CHAT CHAT);
    assert_false(hit(&o));
    assert_true(hit(&o));
    o.sequence_len = 100; /* each of these decides what the ids or the masks are */
    assert_false(hit(&o));
    o.long_rows = LRK_LONG_DROP;
    assert_false(hit(&o));
    o.chat.train_on_inputs = true;
    assert_false(hit(&o));
    o.chat.train_on_eos = LRK_TRAIN_EOS_ALL;
    assert_false(hit(&o));
    const char *roles[] = {"assistant", "user"};
    o.chat.roles_to_train = roles;
    o.chat.n_roles_to_train = 2;
    assert_false(hit(&o));
    p = o;
    lrk_template *other;
    const char *source = "{% for m in messages %}{{ m.content }}{% endfor %}";
    assert_int_equal(lrk_template_compile(&other, source, strlen(source), "other", NULL), LRK_OK);
    p.chat.template = other;
    assert_false(hit(&p));
    assert_true(hit(&p));
    assert_true(hit(&o)); /* the older one is still good */
    lrk_template_free(other);
    import(CHAT CHAT CHAT);
    assert_false(hit(&o));
    import(CHAT CHAT);
    assert_true(hit(&o)); /* the same bytes again */

    /* a cache under the right name, but of something else, or damaged */
    assert_int_equal(open_tokens(&t, &o, &err), LRK_OK);
    char *name = strdup(lrk_tokens_path(t));
    lrk_tokens_close(t);
    lrk_map m;
    assert_int_equal(lrk_map_open(&m, name, NULL), LRK_OK);
    unsigned char *bytes = malloc(m.size);
    memcpy(bytes, m.data, m.size);
    for (size_t cut = 0; cut < 3; cut++) {
        const size_t n = m.size;
        scratch_write(name, bytes, cut == 0 ? 0 : cut == 1 ? n / 2 : n - 100);
        assert_false(hit(&o));
        assert_true(hit(&o));
    }
    lrk_map_close(&m);
    p = options();
    assert_int_equal(open_tokens(&t, &p, &err), LRK_OK);
    assert_int_equal(rename(lrk_tokens_path(t), name), 0); /* another key under this name */
    lrk_tokens_close(t);
    assert_false(hit(&o));
    free(bytes);
    free(name);
}

static void long_rows_are_refused_dropped_or_cut(void **state)
{
    (void)state;
    lrk_err err;
    lrk_tokens *t;
    lrk_token_options o = options();
    lrk_buf text = {0};
    for (int i = 0; i < 12; i++) {
        lrk_buf_printf(&text, "{\"text\": \"");
        for (int k = 0; k < (i < 2 ? 5 : 60); k++) lrk_buf_puts(&text, "qzx ");
        lrk_buf_puts(&text, "\"}\n");
    }
    import(text.data);
    lrk_buf_free(&text);
    o.sequence_len = 50;
    assert_int_equal(open_tokens(&t, &o, &err), LRK_EINPUT);
    assert_non_null(
        strstr(err.text, "d.h5: 10 of 12 rows are longer than sequence_len 50: in.jsonl:3 ("));
    assert_non_null(strstr(err.text, ", ...; set sequence_len: "));
    assert_int_equal(scratch_count("d.h5.tokens"), scratch_count(".h5.tokens"));
    o.long_rows = LRK_LONG_DROP;
    assert_int_equal(open_tokens(&t, &o, &err), LRK_OK);
    const lrk_token_report drop = *lrk_tokens_report(t);
    assert_true(drop.rows == 12 && drop.kept == 2 && drop.dropped == 10 && drop.cut == 0);
    assert_true(drop.cut_tokens == 10 * drop.longest && drop.longest > 50);
    lrk_tokens_close(t);
    o.long_rows = LRK_LONG_TRUNCATE;
    for (int round = 0; round < 2; round++) { /* written, then read from the cache */
        assert_int_equal(open_tokens(&t, &o, &err), LRK_OK);
        const lrk_token_report cut = *lrk_tokens_report(t);
        assert_true(cut.kept == 12 && cut.cut == 10 && cut.dropped == 0 && cut.cached == round);
        assert_true(cut.cut_tokens == 10 * (drop.longest - 50));
        assert_int_equal(lrk_tokens_length(t, 5), 50);
        lrk_tokens_close(t);
    }
    o.sequence_len = 1;
    assert_int_equal(open_tokens(&t, &o, &err), LRK_EINPUT);
    assert_non_null(strstr(
        err.text, "12 of 12 rows have no trained token (perhaps after the cut): in.jsonl:1"));
}

static void rows_without_a_trained_token_are_refused(void **state)
{
    (void)state;
    lrk_err err;
    lrk_tokens *t;
    lrk_token_options o = options();
    const char *roles[] = {"tool"};
    import(CHAT);
    o.chat.roles_to_train = roles;
    o.chat.n_roles_to_train = 1;
    assert_int_equal(open_tokens(&t, &o, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "1 of 1 rows have no trained token: in.jsonl:1"));
    o = options();
    assert_int_equal(lrk_tokens_open(&t, "d.h5", "test", tokenizer, &o, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "no trained token")); /* the first message stays */
    err = (lrk_err){0};
    assert_int_equal(lrk_tokens_open(&t, "d.h5", "test", tokenizer, &o, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "no split 'test'; there are: train"));
    o.chat.template = NULL;
    assert_int_not_equal(open_tokens(&t, &o, &err), LRK_OK);
}

/* Blocks and threads leave no trace. */
static void the_cache_does_not_depend_on_threads(void **state)
{
    (void)state;
    lrk_err err;
    lrk_token_options o = options();
    lrk_tokens *t;
    lrk_map m[2];
    lrk_buf text = {0};
    const char *dirs[] = {"one", "four"};
    for (int i = 0; i < 1000; i++)
        lrk_buf_printf(&text, "{\"prompt\": \"row %d\", \"completion\": \" %d\"}\n", i, i * i);
    import(text.data);
    lrk_buf_free(&text);
    for (int k = 0; k < 2; k++) {
        lrk_threads_set(k ? 4 : 1);
        o.cache_dir = dirs[k];
        assert_int_equal(open_tokens(&t, &o, &err), LRK_OK);
        assert_int_equal(lrk_tokens_count(t), 1000);
        assert_int_equal(lrk_map_open(&m[k], lrk_tokens_path(t), &err), LRK_OK);
        m[k].path = NULL;
        lrk_tokens_close(t);
    }
    lrk_threads_set(0);
    assert_int_equal(m[0].size, m[1].size);
    assert_memory_equal(m[0].data, m[1].data, m[0].size);
    lrk_map_close(&m[0]);
    lrk_map_close(&m[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_and_their_ends_are_trained),
        cmocka_unit_test(turns_say_whether_they_are_trained),
        cmocka_unit_test(bos_is_there_once),
        cmocka_unit_test(completions_end_and_prompts_are_not_trained),
        cmocka_unit_test(a_stale_cache_is_never_used),
        cmocka_unit_test(long_rows_are_refused_dropped_or_cut),
        cmocka_unit_test(rows_without_a_trained_token_are_refused),
        cmocka_unit_test(the_cache_does_not_depend_on_threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
