/* tests/golden/chat.c -- conversations through the chat templates of the golden cases: text equal
 * to transformers', and spans that hold each answer with its end token and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/chat.h"

#include <stdio.h>
#include <string.h>

static const char *member(const lrk_json *object, const char *name)
{
    return lrk_json_string(lrk_json_get(object, name), NULL);
}

static lrk_json *load(const char *folder, const char *name)
{
    char path[512];
    lrk_err err = {0};
    lrk_json *v;
    snprintf(path, sizeof path, LRK_SOURCE_DIR "/tests/golden/data/%s/%s", folder, name);
    if (lrk_json_load(&v, path, 1 << 26, &err) != LRK_OK) fail_msg("%s", err.text);
    return v;
}

/* What is left of a content after the blanks around it are gone. */
static size_t trimmed(const char **s)
{
    while (**s == ' ' || **s == '\n') ++*s;
    size_t n = strlen(*s);
    while (n && ((*s)[n - 1] == ' ' || (*s)[n - 1] == '\n')) n--;
    return n;
}

/* Trained ranges in order are the assistant's contents, blanks apart, each with `end` after it. */
static void check_ranges(const lrk_chat_text *t, const lrk_json *messages, const char *end)
{
    size_t k = 0;
    for (size_t m = 0; m < lrk_json_size(messages); m++) {
        const lrk_json *message = lrk_json_at(messages, m);
        if (strcmp(member(message, "role"), "assistant") != 0) continue;
        assert_true(k < t->n_trained);
        const char *content = member(message, "content");
        const char *text = t->text.data + t->trained[k].begin;
        size_t n = t->trained[k].end - t->trained[k].begin;
        const size_t n_end = strlen(end);
        assert_true(n >= n_end);
        assert_memory_equal(text + n - n_end, end, n_end);
        n -= n_end;
        const size_t wanted = trimmed(&content);
        while (n > wanted && (*text == ' ' || *text == '\n')) {
            text++;
            n--;
        }
        assert_true(n >= wanted);
        assert_memory_equal(text, content, wanted);
        for (size_t i = wanted; i < n; i++) assert_true(text[i] == ' ' || text[i] == '\n');
        k++;
    }
    assert_int_equal(k, t->n_trained);
}

static void run(const char *folder, const char *end)
{
    lrk_err err = {0};
    lrk_template *template;
    lrk_json *config = load(folder, "tokenizer_config.json"),
             *cases = load(folder, "chat_cases.json");
    if (lrk_chat_template(&template, "tokenizer_default", member(config, "chat_template"), folder,
                          &err) != LRK_OK)
        fail_msg("%s", err.text);
    lrk_chat_options o = {.template = template,
                          .bos = member(config, "bos_token"),
                          .eos = member(config, "eos_token"),
                          .pad = member(config, "pad_token"),
                          .unk = member(config, "unk_token")};
    assert_true(lrk_json_size(cases) > 3);
    for (size_t i = 0; i < lrk_json_size(cases); i++) {
        const lrk_json *one = lrk_json_at(cases, i);
        lrk_json *messages = lrk_json_get(one, "messages");
        lrk_chat_text t;
        o.add_generation_prompt = lrk_json_bool(lrk_json_get(one, "add_generation_prompt"));
        if (lrk_chat_messages(&o, messages, NULL, &t, &err) != LRK_OK) fail_msg("%s", err.text);
        assert_string_equal(t.text.data, member(one, "text"));
        check_ranges(&t, messages, end);
        lrk_chat_text_free(&t);
    }
    lrk_template_free(template);
    lrk_json_free(config);
    lrk_json_free(cases);
}

#define CASE(folder, end)                                                                          \
    static void folder(void **state)                                                               \
    {                                                                                              \
        (void)state;                                                                               \
        run(#folder, end);                                                                         \
    }
CASE(llama, "<|eot_id|>")
CASE(mistral, "</s>")
CASE(qwen2, "<|im_end|>")
CASE(qwen3, "<|im_end|>")
CASE(gemma2, "<end_of_turn>")

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(llama), cmocka_unit_test(mistral),
                                       cmocka_unit_test(qwen2), cmocka_unit_test(qwen3),
                                       cmocka_unit_test(gemma2)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
