/* tests/unit/chat.c -- rows to text and trained bytes: masking options, marks of parts, rows
 * without a template, the templates that have a name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/chat.h"

#include <stdio.h>
#include <string.h>

static const char *const ends[] = {"<|im_end|>"};

static lrk_part part(lrk_role role, lrk_train train, const char *text)
{
    return (lrk_part){role, train, text, strlen(text)};
}

/* The text with its trained bytes in brackets. */
static void row_is(const lrk_chat_options *o, const lrk_part *parts, size_t n, const char *want)
{
    lrk_err err = {0};
    lrk_chat_text t;
    lrk_buf got = {0};
    size_t at = 0;
    if (lrk_chat_row(o, parts, n, &t, &err) != LRK_OK) fail_msg("%s", err.text);
    for (size_t i = 0; i < t.n_trained; i++) {
        lrk_buf_append(&got, t.text.data + at, t.trained[i].begin - at);
        lrk_buf_puts(&got, "[");
        lrk_buf_append(&got, t.text.data + t.trained[i].begin,
                       t.trained[i].end - t.trained[i].begin);
        lrk_buf_puts(&got, "]");
        at = t.trained[i].end;
    }
    lrk_buf_append(&got, t.text.data + at, t.text.n - at);
    assert_string_equal(got.data, want);
    lrk_buf_free(&got);
    lrk_chat_text_free(&t);
    lrk_chat_text_free(&t);
}

static lrk_template *named(const char *name)
{
    lrk_err err = {0};
    lrk_template *t;
    if (lrk_chat_template(&t, name, NULL, "here", &err) != LRK_OK) fail_msg("%s", err.text);
    return t;
}

#define U "<|im_start|>user\n"
#define A "<|im_start|>assistant\n"
#define E "<|im_end|>"

static void masking(void **state)
{
    (void)state;
    static const char *const everyone[] = {"user", "assistant"};
    const lrk_train by = LRK_TRAIN_BY_ROLE;
    lrk_part p[] = {part(LRK_ROLE_USER, by, "q"), part(LRK_ROLE_ASSISTANT, by, "a"),
                    part(LRK_ROLE_USER, by, "r"), part(LRK_ROLE_ASSISTANT, by, "b")};
    lrk_template *chatml = named("chatml");
    lrk_chat_options o = {.template = chatml, .end_tokens = ends, .n_end_tokens = 1};
    row_is(&o, p, 4, U "q" E "\n" A "[a" E "]\n" U "r" E "\n" A "[b" E "]\n");
    o.train_on_eos = LRK_TRAIN_EOS_NONE;
    row_is(&o, p, 4, U "q" E "\n" A "[a]" E "\n" U "r" E "\n" A "[b]" E "\n");
    o.train_on_eos = LRK_TRAIN_EOS_LAST;
    row_is(&o, p, 4, U "q" E "\n" A "[a]" E "\n" U "r" E "\n" A "[b" E "]\n");
    o.train_on_eos = LRK_TRAIN_EOS_ALL;
    row_is(&o, p, 4, U "q[" E "]\n" A "[a" E "]\n" U "r[" E "]\n" A "[b" E "]\n");
    o.train_on_eos = LRK_TRAIN_EOS_TURN;
    o.roles_to_train = everyone;
    o.n_roles_to_train = 2;
    row_is(&o, p, 2, U "[q" E "]\n" A "[a" E "]\n");
    o.n_roles_to_train = 1;
    row_is(&o, p, 2, U "[q" E "]\n" A "a" E "\n");
    o.roles_to_train = NULL;
    p[1].train = LRK_TRAIN_NO;
    p[2].train = LRK_TRAIN_YES;
    row_is(&o, p, 4, U "q" E "\n" A "a" E "\n" U "[r" E "]\n" A "[b" E "]\n");
    o.train_on_inputs = true;
    row_is(&o, p, 2, "[" U "q" E "\n" A "a" E "\n]");
    o.train_on_inputs = false;
    o.add_generation_prompt = true;
    row_is(&o, p, 1, U "q" E "\n" A);
    lrk_template_free(chatml);
}

/* Turns that are JSON objects, and variables of the row; marks count messages, not parts. */
static void objects(void **state)
{
    (void)state;
    const char source[] =
        "{{ tools[0] }}{% for m in messages %}{{ m.name }}:{{ m.content }}{{ eos_token }}"
        "{% endfor %}";
    const lrk_part p[] = {
        part(LRK_ROLE_VARIABLES, LRK_TRAIN_NO, "{\"tools\": [\"T\"]}"),
        part(LRK_ROLE_USER, LRK_TRAIN_BY_ROLE, "q"),
        part(LRK_ROLE_MESSAGE, LRK_TRAIN_BY_ROLE,
             "{\"role\": \"assistant\", \"name\": \"N\", \"content\": \"a\"}"),
        part(LRK_ROLE_MESSAGE, LRK_TRAIN_NO, "{\"role\": \"assistant\", \"content\": \"b\"}")};
    lrk_template *t;
    assert_int_equal(lrk_template_compile(&t, source, sizeof source - 1, "t", NULL), LRK_OK);
    const lrk_chat_options o = {.template = t, .eos = "</s>"};
    row_is(&o, p, 4, "T:q</s>N:[a</s>]:b</s>");
    lrk_template_free(t);
}

static lrk_status row_of(const lrk_chat_options *o, const lrk_part *parts, size_t n, char *message)
{
    lrk_err err = {0};
    lrk_chat_text t;
    const lrk_status s = lrk_chat_row(o, parts, n, &t, &err);
    lrk_chat_text_free(&t);
    strcpy(message, err.text);
    return s;
}

/* A template that shows thinking in the last turn alone, as many do. */
static void thinking(void **state)
{
    (void)state;
    const char source[] =
        "{% for m in messages %}{{ m.role[0] }}:"
        "{% if loop.last and m.reasoning_content %}<think>{{ m.reasoning_content.strip() }}</think>"
        "{{ m.content }}{% elif loop.last %}{{ m.content }}"
        "{% else %}{{ m.content.split('</think>')[-1].lstrip('\n') }}{% endif %}</s>{% endfor %}"
        "{% if add_generation_prompt %}a:{% endif %}";
    char message[2000];
    lrk_template *t;
    assert_int_equal(lrk_template_compile(&t, source, sizeof source - 1, "t", NULL), LRK_OK);
    lrk_chat_options o = {.template = t, .eos = "</s>"};
    const lrk_train by = LRK_TRAIN_BY_ROLE;
    const lrk_part user = part(LRK_ROLE_USER, by, "q");
    const lrk_part apart = part(LRK_ROLE_MESSAGE, by,
                                "{\"role\": \"assistant\", \"content\": \"a\", "
                                "\"reasoning_content\": \"\\nhm\\n\"}");
    const lrk_part inside = part(LRK_ROLE_ASSISTANT, by, "<think>\nhm\n</think>\n\na");
    lrk_part last[] = {user, apart}, early[] = {user, apart, user, inside};

    row_is(&o, last, 2, "u:q</s>a:[<think>hm</think>a</s>]");
    last[1] = inside;
    row_is(&o, last, 2, "u:q</s>a:[<think>\nhm\n</think>\n\na</s>]");

    /* left out of a trained turn: said, or accepted, or made so everywhere; not in turns of others */
    assert_int_equal(row_of(&o, early, 4, message), LRK_EINPUT);
    assert_non_null(strstr(message, "messages[1]: the chat template leaves its thinking out"));
    early[1] = inside;
    assert_int_equal(row_of(&o, early, 4, message), LRK_EINPUT);
    o.thinking = LRK_THINKING_TEMPLATE;
    row_is(&o, early, 4, "u:q</s>a:[a</s>]u:q</s>a:[<think>\nhm\n</think>\n\na</s>]");
    o.thinking = LRK_THINKING_STRIP;
    row_is(&o, early, 4, "u:q</s>a:[a</s>]u:q</s>a:[a</s>]");
    early[1] = apart;
    row_is(&o, early, 4, "u:q</s>a:[a</s>]u:q</s>a:[a</s>]");
    o.thinking = LRK_THINKING_KEEP;
    early[1].train = LRK_TRAIN_NO;
    row_is(&o, early, 4, "u:q</s>a:a</s>u:q</s>a:[<think>\nhm\n</think>\n\na</s>]");

    o.thinking = LRK_THINKING_REFUSE;
    assert_int_equal(row_of(&o, last, 2, message), LRK_EINPUT);
    assert_non_null(strstr(message, "messages[1]: holds thinking"));
    last[1] = part(LRK_ROLE_ASSISTANT, by, "a");
    row_is(&o, last, 2, "u:q</s>a:[a</s>]");
    o.thinking = LRK_THINKING_STRIP;
    last[1] = part(LRK_ROLE_ASSISTANT, by, "<think>hm</think>\n");
    assert_int_equal(row_of(&o, last, 2, message), LRK_EINPUT);
    assert_non_null(strstr(message, "messages[1]: without its thinking nothing is left"));
    last[1] = part(LRK_ROLE_ASSISTANT, by, "hm</think>\na"); /* the prompt has opened it */
    row_is(&o, last, 2, "u:q</s>a:[a</s>]");
    lrk_template_free(t);
}

/* The tags and fields that chat templates in use write, one content each. */
static void thinking_tags(void **state)
{
    (void)state;
    const char source[] =
        "{% for m in messages %}{{ m.role[0] }}:{% if m.content is string %}{{ m.content }}{% else %}"
        "{% for p in m.content %}{{ p if p is string else p.text }}{% endfor %}{% endif %}</s>{% endfor %}"
        "{% if add_generation_prompt %}a:{% endif %}";
    static const char *const blocks[] = {
        "<think>hm</think>\n\n", "[THINK]hm[/THINK]", "hm[/THINK]", "<|START_THINKING|>hm<|END_THINKING|>",
        "<thinking>hm</thinking>\n", "<seed:think>hm</seed:think>", "<mm:think>hm</mm:think>\n",
        "<|inner_prefix|>hm<|inner_suffix|>", "<|channel>thought\nhm\n<channel|>",
        "<thinking>a</thinking><thinking>b</thinking>",
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>",
        "<|think|>hm<|end|><|begin|>assistant<|content|>"};
    static const char *const whole[] = {
        "{\"role\": \"assistant\", \"content\": \"a\", \"reasoning\": \"hm\"}",
        "{\"role\": \"assistant\", \"content\": \"a\", \"thinking\": \"hm\"}",
        "{\"role\": \"assistant\", \"content\": \"a\", \"thought\": \"hm\"}",
        "{\"role\": \"assistant\", \"content\": \"a\", \"tool_plan\": \"hm\"}",
        ("{\"role\": \"assistant\", \"content\": [{\"type\": \"text\", \"text\": \"[THINK]hm[/THINK]\"}, "
         "{\"type\": \"text\", \"text\": \"a\"}]}"),
        "{\"role\": \"assistant\", \"content\": [{\"type\": \"text\", \"text\": \"[THINK]hm[/THINK]\"}, \"a\"]}"};
    enum { BLOCKS = sizeof blocks / sizeof *blocks, WHOLE = sizeof whole / sizeof *whole };
    char message[2000];
    lrk_template *t;
    assert_int_equal(lrk_template_compile(&t, source, sizeof source - 1, "t", NULL), LRK_OK);
    lrk_chat_options o = {.template = t, .eos = "</s>"};
    for (size_t i = 0; i < BLOCKS + WHOLE; i++) {
        char text[200];
        snprintf(text, sizeof text, "%sa", i < BLOCKS ? blocks[i] : "");
        const lrk_part said = i < BLOCKS ? part(LRK_ROLE_ASSISTANT, LRK_TRAIN_BY_ROLE, text)
                                         : part(LRK_ROLE_MESSAGE, LRK_TRAIN_BY_ROLE, whole[i - BLOCKS]);
        const lrk_part row[] = {part(LRK_ROLE_USER, LRK_TRAIN_BY_ROLE, "<think>q</think>"), said};
        o.thinking = LRK_THINKING_STRIP; /* of those who answer alone */
        row_is(&o, row, 2, "u:<think>q</think></s>a:[a</s>]");
        o.thinking = LRK_THINKING_REFUSE;
        assert_int_equal(row_of(&o, row, 2, message), LRK_EINPUT);
        assert_non_null(strstr(message, "messages[1]: holds thinking"));
        o.thinking = LRK_THINKING_KEEP; /* the template shows contents, and no other field */
        assert_int_equal(row_of(&o, row, 2, message), i < BLOCKS || i >= BLOCKS + WHOLE - 2 ? LRK_OK : LRK_EINPUT);
    }
    static const char *const none[] = {"a <channel|> b", "a<|end|>", "</thinking>", "<think>", "[THINK]"};
    o.thinking = LRK_THINKING_REFUSE;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        const lrk_part row[] = {part(LRK_ROLE_USER, LRK_TRAIN_BY_ROLE, "q"),
                                part(LRK_ROLE_ASSISTANT, LRK_TRAIN_BY_ROLE, none[i])};
        assert_int_equal(row_of(&o, row, 2, message), LRK_OK);
    }
    lrk_template_free(t);
}

/* A model that is trained on turns without their end would never stop. */
static void turns_end(void **state)
{
    (void)state;
    const char source[] = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    char message[2000];
    lrk_template *t;
    assert_int_equal(lrk_template_compile(&t, source, sizeof source - 1, "t", NULL), LRK_OK);
    lrk_chat_options o = {.template = t, .eos = "</s>"};
    const lrk_part p[] = {part(LRK_ROLE_USER, LRK_TRAIN_BY_ROLE, "q"),
                          part(LRK_ROLE_ASSISTANT, LRK_TRAIN_BY_ROLE, "a")};
    assert_int_equal(row_of(&o, p, 2, message), LRK_EINPUT);
    assert_non_null(strstr(message, "writes no end token behind the trained turns"));
    o.train_on_eos = LRK_TRAIN_EOS_NONE;
    row_is(&o, p, 2, "user: q\nassistant: [a]\n");
    lrk_template_free(t);
}

static void plain(void **state)
{
    (void)state;
    const lrk_train by = LRK_TRAIN_BY_ROLE;
    const lrk_part p[] = {part(LRK_ROLE_PROMPT, by, "2+2="), part(LRK_ROLE_COMPLETION, by, "4"),
                          part(LRK_ROLE_RAW, by, "all of it")};
    lrk_chat_options o = {.eos = "</s>"};
    row_is(&o, p, 2, "2+2=[4</s>]");
    row_is(&o, p + 2, 1, "[all of it</s>]");
    o.train_on_eos = LRK_TRAIN_EOS_NONE;
    row_is(&o, p, 2, "2+2=[4]</s>");
    o.train_on_inputs = true;
    row_is(&o, p, 2, "[2+2=4</s>]");
    o = (lrk_chat_options){.eos = NULL};
    row_is(&o, p, 2, "2+2=[4]");

    lrk_chat_text t;
    assert_int_equal(lrk_chat_row(&o, p, 2, &t, NULL), LRK_OK);
    assert_true(t.add_bos);
    lrk_chat_text_free(&t);
}

static void choices(void **state)
{
    (void)state;
    const lrk_part p[] = {part(LRK_ROLE_USER, LRK_TRAIN_BY_ROLE, "Say hi."),
                          part(LRK_ROLE_ASSISTANT, LRK_TRAIN_BY_ROLE, "hi")};
    lrk_template *alpaca = named("alpaca"), *llama3 = named("llama3");
    lrk_chat_options o = {.template = alpaca, .bos = "<s>", .eos = "</s>"};
    row_is(&o, p, 2,
           "<s>Below is an instruction that describes a task. Write a response that appropriately "
           "completes the request.\n\n### Instruction:\nSay hi.\n\n### Response:\n[hi</s>]");
    lrk_template_free(alpaca);
    o.template = llama3;
    row_is(&o, p, 2,
           "<s><|start_header_id|>user<|end_header_id|>\n\nSay hi.<|eot_id|>"
           "<|start_header_id|>assistant<|end_header_id|>\n\n[hi<|eot_id|>]");
    lrk_template_free(llama3);

    static const struct {
        const char *choice, *own, *message;
        lrk_status status;
    } bad[] = {
        {"tokenizer_default", NULL, "here: no chat template in this model", LRK_EINPUT},
        {"tokenizer_default", "{% include 'x' %}", "here: chat_template:1:4: not supported",
         LRK_ESUPPORT},
        {"chatlm", NULL, "did you mean chatml?", LRK_EUSAGE},
        {"xyzzy", NULL, "expected tokenizer_default, chatml", LRK_EUSAGE},
        {"/nowhere/x.jinja", NULL, "/nowhere/x.jinja", LRK_EINPUT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lrk_err err = {0};
        lrk_template *t;
        assert_int_equal(lrk_chat_template(&t, bad[i].choice, bad[i].own, "here", &err),
                         bad[i].status);
        assert_null(t);
        if (!strstr(err.text, bad[i].message))
            fail_msg("\"%s\" lacks \"%s\"", err.text, bad[i].message);
    }
}

static void failures(void **state)
{
    (void)state;
    const lrk_part chat[] = {part(LRK_ROLE_USER, LRK_TRAIN_BY_ROLE, "q"),
                             part(LRK_ROLE_ASSISTANT, LRK_TRAIN_BY_ROLE, "a")};
    const lrk_part broken[] = {part(LRK_ROLE_MESSAGE, LRK_TRAIN_BY_ROLE, "[1]"), chat[1]};
    const lrk_part mixed[] = {part(LRK_ROLE_RAW, LRK_TRAIN_BY_ROLE, "x"), chat[1]};
    lrk_chat_options o = {.eos = "</s>"};
    lrk_chat_text t;
    lrk_err err = {0};
    lrk_template *chatml = named("chatml");
    assert_int_equal(lrk_chat_row(&o, chat, 2, &t, &err), LRK_EUSAGE);
    assert_non_null(strstr(err.text, "needs a chat template"));
    assert_int_equal(lrk_chat_row(&o, mixed, 2, &t, NULL), LRK_EINPUT);
    o.template = chatml;
    assert_int_equal(lrk_chat_row(&o, broken, 2, &t, NULL), LRK_EINPUT);
    assert_null(t.text.data);
    lrk_template_free(chatml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(masking), cmocka_unit_test(objects),
                                       cmocka_unit_test(thinking), cmocka_unit_test(thinking_tags),
                                       cmocka_unit_test(turns_end),
                                       cmocka_unit_test(plain), cmocka_unit_test(choices),
                                       cmocka_unit_test(failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
