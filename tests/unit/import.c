/* tests/unit/import.c -- JSON Lines of every shape, and what is wrong with those that are refused.
 */
#include "data/import.h"
#include "base/clock.h"
#include "base/file.h"
#include "scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

static lrk_status import(const char *text, lrk_import_options o, lrk_import_report *r, lrk_err *err)
{
    const lrk_import_input in = {"in.jsonl", NULL};
    scratch_text("in.jsonl", text);
    o.inputs = &in;
    o.n_inputs = 1;
    o.out = "out.h5";
    *err = (lrk_err){0};
    return lrk_import(&o, r, err);
}

/* Imports and compares the first row, written as role:train:text|... */
static void becomes(const char *text, lrk_import_options o, const char *kind, const char *expected)
{
    lrk_err err = {0};
    lrk_import_report report;
    lrk_dataset *d;
    lrk_record r;
    lrk_arena a = lrk_arena_growing("row");
    lrk_buf b = {0};
    const lrk_status s = import(text, o, &report, &err);
    if (s != LRK_OK) fail_msg("%s", err.text);
    assert_int_equal(lrk_dataset_open(&d, "out.h5", &err), LRK_OK);
    assert_string_equal(lrk_dataset_kind(d), kind);
    assert_int_equal(lrk_dataset_verify(d, &err), LRK_OK);
    assert_int_equal(lrk_dataset_read(d, 0, &a, &r, &err), LRK_OK);
    for (size_t i = 0; i < r.n_parts; i++)
        lrk_buf_printf(&b, "%s%s:%d:%s", i ? "|" : "", lrk_role_name(r.parts[i].role),
                       (int)r.parts[i].train, r.parts[i].text);
    assert_string_equal(b.data, expected);
    lrk_buf_free(&b);
    lrk_arena_free(&a);
    lrk_dataset_close(d);
}

static void each_shape_becomes_parts(void **state)
{
    (void)state;
    const lrk_import_options o = {0};
    becomes("{\"text\": \"a\\u00e9\\ud83d\\ude00\"}\r\n\n", o, "text", "raw:2:aé😀");
    becomes("\xef\xbb\xbf{\"prompt\": \"p\", \"completion\": \"c\"}", o, "prompt",
            "prompt:2:p|completion:2:c");
    becomes("{\"input\": \"p\", \"output\": \"c\"}", o, "prompt", "prompt:2:p|completion:2:c");
    becomes("{\"prompt\": \"p\", \"response\": \"c\"}", o, "prompt", "prompt:2:p|completion:2:c");
    becomes("{\"instruction\": \"i\", \"input\": \"x\", \"output\": \"y\"}", o, "chat",
            "user:2:i\n\nx|assistant:2:y");
    becomes("{\"instruction\": \"i\", \"input\": \"\", \"output\": \"y\", \"system\": \"s\"}", o,
            "chat", "system:2:s|user:2:i|assistant:2:y");
    becomes(
        "{\"instruction\": \"i\", \"context\": \"x\", \"response\": \"y\", \"category\": \"z\"}", o,
        "chat", "user:2:i\n\nx|assistant:2:y");
    becomes("{\"conversations\": [{\"from\": \"human\", \"value\": \"q\"}, {\"from\": \"gpt\", "
            "\"value\": "
            "\"a\"}], \"system\": \"s\", \"tools\": \"\"}",
            o, "chat", "system:2:s|user:2:q|assistant:2:a");
    becomes("{\"conversations\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"from\": null, "
            "\"content\": \"a\"}, {\"from\": \"human\", \"value\": \"r\"}], \"system\": \"s\"}",
            o, "chat",
            "system:2:s|user:2:q|message:2:{\"role\": \"assistant\", \"from\": null, \"content\": \"a\"}|user:2:r");
    becomes("{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
            "\"content\": \"a\", \"train\": false}, {\"content\": \"b\", \"role\": \"assistant\", "
            "\"weight\": "
            "1}]}",
            o, "chat", "user:2:q|assistant:0:a|assistant:1:b");
    becomes("{\"messages\": [{\"role\": \"user\", \"content\": \"q\", \"weight\": null, \"train\": null}, {\"role\": "
            "\"assistant\", \"content\": \"a\", \"training\": null, \"weight\": 0}, {\"role\": \"assistant\", "
            "\"content\": \"b\", \"train\": true, \"weight\": null}]}",
            o, "chat", "user:2:q|assistant:0:a|assistant:1:b");
    becomes(
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": "
        "\"q\"}]}, "
        "{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"a\": 1}], \"weight\": "
        "1}], "
        "\"tools\": [{\"name\": \"f\"}], \"chat_template_kwargs\": {\"k\": true}}",
        o, "chat",
        "variables:0:{\"tools\": [{\"name\": \"f\"}], \"k\": true}|message:2:{\"role\": \"user\", "
        "\"content\": [{\"type\": \"text\", \"text\": \"q\"}]}|message:1:{\"role\": \"assistant\", "
        "\"content\": null, \"tool_calls\": [{\"a\": 1}]}");
    becomes("{\"prompt\": [{\"role\": \"user\", \"content\": \"q\"}], \"completion\": [{\"role\": "
            "\"assistant\", \"content\": \"a\"}]}",
            o, "chat", "user:0:q|assistant:2:a");
}

static void a_system_prompt_stands_beside_messages(void **state)
{
    (void)state;
    static const char both[] = "{\"system\": \"s\", \"messages\": [{\"role\": \"system\", \"content\": \"t\"}, "
                               "{\"role\": \"assistant\", \"content\": \"a\"}]}";
    becomes("{\"system\": \"s\", \"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
            "\"content\": \"a\"}]}",
            (lrk_import_options){.out = NULL}, "chat", "system:2:s|user:2:q|assistant:2:a");
    lrk_err err = {0};
    lrk_import_report r;
    assert_int_equal(import(both, (lrk_import_options){.out = NULL}, &r, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "system: the first of messages is one too; keep one"));
}

static void templates_make_prompts_of_any_row(void **state)
{
    (void)state;
    becomes("{\"nl\": \"how {many}?\", \"target\": \"count()\", \"n\": 3, \"ok\": true}",
            (lrk_import_options){.prompt = "Question {n}: {nl}\\nPlume{{{ok}}}:\\n",
                                 .completion = "{target}"},
            "prompt", "prompt:2:Question 3: how {many}?\nPlume{true}:\n|completion:2:count()");
}

static void members_may_have_other_names(void **state)
{
    (void)state;
    const lrk_member_names chat = {.messages = "talk", .role = "from", .content = "value"};
    const lrk_member_names pair = {.instruction = "nl", .output = "target"};
    const lrk_member_names plain = {.text = "body"};
    becomes("{\"talk\": [{\"from\": \"human\", \"value\": \"q\"}, {\"from\": \"gpt\", \"value\": "
            "\"a\", \"name\": \"n\"}]}",
            (lrk_import_options){.names = chat}, "chat",
            "user:2:q|message:2:{\"role\": \"assistant\", \"content\": \"a\", \"name\": \"n\"}");
    becomes("{\"nl\": \"q\", \"target\": \"a\"}", (lrk_import_options){.names = pair}, "chat",
            "user:2:q|assistant:2:a");
    becomes("{\"nl\": \"q\", \"target\": \"a\"}",
            (lrk_import_options){.names = pair, .shape = LRK_SHAPE_PROMPT}, "prompt",
            "prompt:2:q|completion:2:a");
    becomes("{\"body\": \"t\"}", (lrk_import_options){.names = plain}, "text", "raw:2:t");
    lrk_err err = {0};
    lrk_import_report r;
    /* what has a name of ours and is not meant is left out */
    becomes("{\"body\": \"t\", \"text\": \"u\"}", (lrk_import_options){.names = plain}, "text", "raw:2:t");
    const lrk_member_names swapped = {.instruction = "output", .output = "instruction"};
    becomes("{\"output\": \"q\", \"instruction\": \"a\"}", (lrk_import_options){.names = swapped}, "chat",
            "user:2:q|assistant:2:a");
    assert_int_equal(import("{\"text\": \"u\"}", (lrk_import_options){.names = plain}, &r, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "in.jsonl:1: no member 'body' in this row: "));
    const lrk_member_names nowhere = {.text = "body", .system = "persona"};
    assert_int_equal(import("{\"body\": \"t\"}", (lrk_import_options){.names = nowhere}, &r, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "no row has a member 'persona'"));
}

static void a_cached_import_is_made_once(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_arena a = lrk_arena_growing("test");
    char *one, *two, *three, *self;
    const lrk_import_options o = {0}, other = {.shape = LRK_SHAPE_PROMPT};
    scratch_text("c.jsonl", "{\"prompt\": \"p\", \"completion\": \"c\"}\n");
    assert_int_equal(lrk_import_cached("c.jsonl", &o, NULL, &a, &one, &err), LRK_OK);
    assert_int_equal(lrk_import_cached("c.jsonl", &other, "cache/deep", &a, &two, &err), LRK_OK);
    assert_true(lrk_is_file(one) && lrk_is_file(two) && strstr(two, "cache/deep/c.jsonl-"));
    assert_string_not_equal(strrchr(one, '-'), strrchr(two, '-'));
    assert_int_equal(truncate(one, 100), 0); /* a damaged one is made anew */
    assert_int_equal(lrk_import_cached("c.jsonl", &o, NULL, &a, &two, &err), LRK_OK);
    assert_string_equal(one, two);
    lrk_dataset *d;
    assert_int_equal(lrk_dataset_open(&d, one, &err), LRK_OK);
    lrk_dataset_close(d);
    scratch_text("c.jsonl", "{\"prompt\": \"P\", \"completion\": \"c\"}\n");
    assert_int_equal(lrk_import_cached("c.jsonl", &o, NULL, &a, &three, &err), LRK_OK);
    assert_string_not_equal(one, three);
    assert_int_equal(lrk_import_cached(one, &o, NULL, &a, &self, &err), LRK_OK);
    assert_string_equal(one, self);
    assert_int_equal(lrk_import_cached(one, &other, NULL, &a, &self, &err), LRK_EUSAGE);
    lrk_arena_free(&a);
}

static void refused(const char *text, lrk_import_options o, lrk_status status, const char *message)
{
    lrk_err err = {0};
    lrk_import_report r;
    const lrk_status s = import(text, o, &r, &err);
    if (s != status || !strstr(err.text, message)) fail_msg("status %d, %s", (int)s, err.text);
    assert_int_equal(scratch_count("out.h5"), 0);
}

#define ROW "{\"prompt\": \"p\", \"completion\": \"c\"}\n"
#define TURN "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, "

static void bad_rows_are_named(void **state)
{
    (void)state;
    const lrk_import_options o = {0};
    lrk_remove("out.h5", NULL);
    refused("", o, LRK_EINPUT, "in.jsonl: there is no row");
    refused(ROW "{\"prompt\": \"p\", \"completion\": \"\xff\"}", o, LRK_EINPUT,
            "in.jsonl:2: byte 32 is not UTF-8 (0xff)");
    refused(ROW "\n{\"prompt\": \"p\", }", o, LRK_EINPUT, "in.jsonl:3:17: not valid JSON");
    refused(ROW "{\"prompt\": \"p\", \"prompt\": \"c\"}", o, LRK_EINPUT, "in.jsonl:2:");
    refused("{\"text\": \"\\ud800\"}", o, LRK_EINPUT, "in.jsonl:1:");
    refused("{\"text\": \"\\u0000\"}", o, LRK_EINPUT, "in.jsonl:1:");
    refused(ROW "3", o, LRK_EINPUT,
            "in.jsonl:2: as a row of shape prompt_completion, like the first: expected an object");
    refused(ROW "{\"text\": \"t\"}", o, LRK_EINPUT,
            "in.jsonl:2: as a row of shape prompt_completion");
    refused(ROW "{\"prompt\": 3, \"completion\": \"c\"}", o, LRK_EINPUT,
            "prompt: expected a string, got an integer");
    refused(ROW "{\"prompt\": \"p\", \"completion\": \" \\n\"}", o, LRK_EINPUT,
            "completion: is empty");
    refused("[" ROW "]", o, LRK_EINPUT, "in.jsonl:1: a JSON list");
    refused("{\"nl\": \"a\", \"target\": \"b\"}", o, LRK_EINPUT,
            "the row has members nl, target; expected");
    refused("{\"text\": \"a\", \"messages\": []}", o, LRK_EINPUT,
            "shape messages or text; choose one: on the command line --shape");
    refused("{\"chosen\": \"a\", \"rejected\": \"b\", \"prompt\": \"c\"}", o, LRK_ESUPPORT,
            "preference");
    refused("{\"messages\": []}", o, LRK_EINPUT, "no turn of an assistant");
    refused(TURN "{\"role\": \"assistant\", \"content\": \"\"}]}", o, LRK_EINPUT,
            "in.jsonl:1: messages[1]: content: the assistant's answer is empty");
    refused(TURN "{\"role\": \"assistant\", \"content\": null}]}", o, LRK_EINPUT,
            "messages[1]: content: is null");
    refused(TURN "{\"role\": \"robot\", \"content\": \"a\"}]}", o, LRK_EINPUT,
            "role: 'robot' is unknown");
    refused(TURN "{\"role\": \"assistant\", \"content\": \"a\", \"weight\": 0.5}]}", o, LRK_EINPUT,
            "weight: expected 0 or 1");
    refused(TURN "{\"role\": \"assistant\", \"content\": \"a\", \"train\": false}]}", o, LRK_EINPUT,
            "every assistant's turn is marked");
    refused(TURN "{\"role\": \"assistant\", \"content\": [{\"type\": \"image\"}]}]}", o,
            LRK_ESUPPORT, "'image' is not supported");
    refused("{\"conversations\": [{\"from\": \"alien\", \"value\": \"q\"}]}", o, LRK_EINPUT,
            "'alien' is unknown");
    refused("{\"conversations\": [{\"role\": \"user\", \"content\": 7}]}", o, LRK_EINPUT,
            "conversations[0]: content: expected a string");
    refused("{\"instruction\": \"i\", \"output\": null}", o, LRK_EINPUT, "output: is null");
    refused(ROW, (lrk_import_options){.prompt = "{prompt}"}, LRK_EUSAGE, "belong together");
    refused(ROW, (lrk_import_options){.prompt = "{", .completion = "x"}, LRK_EUSAGE,
            "--prompt: '{'");
    refused(ROW, (lrk_import_options){.prompt = "\\q", .completion = "x"}, LRK_EUSAGE,
            "a backslash");
    refused(ROW ROW, (lrk_import_options){.prompt = "{x}", .completion = "{completion}"},
            LRK_EINPUT, "in.jsonl:1: no member 'x' in this row, which has prompt, completion");
    refused(ROW, (lrk_import_options){.shape = LRK_SHAPE_TEXT}, LRK_EINPUT, "text: is missing");
    refused(ROW, (lrk_import_options){.val_fraction = 1.0}, LRK_EUSAGE, "val fraction 1");
}

static void other_files_are_not_overwritten(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_import_report r;
    scratch_text("out.h5", "my diary");
    assert_int_equal(import(ROW, (lrk_import_options){0}, &r, &err), LRK_EUSAGE);
    assert_non_null(strstr(err.text, "exists and is no data set"));
    assert_int_equal(unlink("out.h5"), 0);
    assert_int_equal(import(ROW, (lrk_import_options){0}, &r, &err), LRK_OK);
    assert_int_equal(import(ROW ROW, (lrk_import_options){0}, &r, &err), LRK_OK);
    assert_int_equal(import(ROW "x", (lrk_import_options){0}, &r, &err), LRK_EINPUT);
    lrk_dataset *d; /* the failed import left the file of the one before it */
    assert_int_equal(lrk_dataset_open(&d, "out.h5", &err), LRK_OK);
    assert_int_equal(lrk_dataset_rows(d), 2);
    lrk_dataset_close(d);
    assert_int_equal(scratch_count("out.h5"), 1);
}

static void splits_are_given_or_follow_the_hash(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_import_report r;
    lrk_dataset *d;
    lrk_buf text = {0};
    uint64_t small[64], n_small;
    for (int i = 0; i < 400; i++)
        lrk_buf_printf(&text, "{\"text\": \"row %d\", \"id\": %d}\n", i / 2, i);
    /* 200 rows, each twice: doubles stay together, whatever side they go to */
    assert_int_equal(import(text.data, (lrk_import_options){.val_fraction = 0.1}, &r, &err),
                     LRK_OK);
    assert_int_equal(r.n_unused, 1);
    assert_string_equal(r.unused[0], "id");
    assert_int_equal(lrk_dataset_open(&d, "out.h5", &err), LRK_OK);
    const int val = lrk_dataset_split(d, "val");
    assert_true(val >= 0);
    n_small = lrk_dataset_split_rows(d, (size_t)val);
    assert_true(n_small >= 16 && n_small <= 64 && n_small % 2 == 0);
    assert_int_equal(lrk_dataset_split_read(d, (size_t)val, 0, (size_t)n_small, small, &err),
                     LRK_OK);
    for (size_t i = 0; i < n_small; i += 2)
        assert_true(small[i] % 2 == 0 && small[i + 1] == small[i] + 1);
    lrk_dataset_close(d);
    lrk_buf_free(&text);

    scratch_text("a.jsonl", ROW);
    scratch_text("b.jsonl", ROW "{\"prompt\": \"q\", \"completion\": \"d\"}\n");
    const lrk_import_input in[] = {{"a.jsonl", "test"}, {"b.jsonl", NULL}};
    const lrk_import_options o = {.inputs = in, .n_inputs = 2, .out = "two.h5"};
    assert_int_equal(lrk_import(&o, &r, &err), LRK_OK);
    assert_int_equal(lrk_dataset_open(&d, "two.h5", &err), LRK_OK);
    assert_int_equal(lrk_dataset_split_rows(d, (size_t)lrk_dataset_split(d, "test")), 1);
    assert_int_equal(lrk_dataset_split_rows(d, (size_t)lrk_dataset_split(d, "train")), 2);
    lrk_dataset_close(d);
}

/* 20,000 rows of 1 KB: 20 MB of text in a few MB of memory. */
static void memory_does_not_grow_with_the_rows(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_import_report r;
    FILE *f = fopen("big.jsonl", "w");
    char filler[1001];
    memset(filler, 'x', 1000);
    filler[1000] = '\0';
    for (int i = 0; i < 20000; i++)
        fprintf(f, "{\"prompt\": \"%d %s\", \"completion\": \"c%d\"}\n", i, filler, i);
    fclose(f);
    const lrk_import_input in = {"big.jsonl", NULL};
    const lrk_import_options o = {.inputs = &in, .n_inputs = 1, .out = "big.h5"};
    const size_t before = lrk_memory_anonymous();
    assert_int_equal(lrk_import(&o, &r, &err), LRK_OK);
    const size_t after = lrk_memory_anonymous();
    assert_int_equal(r.rows, 20000);
#ifdef __SANITIZE_ADDRESS__
    const size_t limit = 300u << 20; /* the sanitizer keeps what is freed in quarantine */
#else
    const size_t limit = 12u << 20;
#endif
    assert_true(after < before + limit);
}

static void a_killed_import_leaves_no_file(void **state)
{
    (void)state;
    int pipe_fd[2];
    assert_int_equal(pipe(pipe_fd), 0);
    const pid_t child = fork();
    if (child == 0) { /* reads rows from a pipe that stays open until it is killed */
        lrk_import_report r;
        const lrk_import_input in = {"-", NULL};
        const lrk_import_options o = {.inputs = &in, .n_inputs = 1, .out = "killed.h5"};
        if (dup2(pipe_fd[0], STDIN_FILENO) < 0) _exit(1);
        close(pipe_fd[0]);
        close(pipe_fd[1]);
        lrk_import(&o, &r, NULL);
        _exit(0);
    }
    for (int i = 0; i < 3000; i++)
        if (write(pipe_fd[1], ROW, sizeof ROW - 1) != sizeof ROW - 1) abort();
    for (int i = 0; i < 200 && scratch_count("killed.h5.tmp-") == 0; i++) usleep(10000);
    assert_int_equal(scratch_count("killed.h5.tmp-"), 1);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(lrk_is_file("killed.h5"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shape_becomes_parts),
        cmocka_unit_test(a_system_prompt_stands_beside_messages),
        cmocka_unit_test(templates_make_prompts_of_any_row),
        cmocka_unit_test(members_may_have_other_names),
        cmocka_unit_test(a_cached_import_is_made_once),
        cmocka_unit_test(bad_rows_are_named),
        cmocka_unit_test(other_files_are_not_overwritten),
        cmocka_unit_test(splits_are_given_or_follow_the_hash),
        cmocka_unit_test(memory_does_not_grow_with_the_rows),
        cmocka_unit_test(a_killed_import_leaves_no_file),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
