/* tests/unit/options.c -- options of commands, commands below commands, words and numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "cli/command.h"

#include <string.h>

typedef struct parsed {
    bool json;
    const char *model;
    size_t threads, batch;
    double temperature, top_p;
} parsed;

static lrk_status parse(parsed *p, int *argc, char **argv, lrk_err *err)
{
    const lrk_option options[] = {
        {"json", LRK_OPTION_FLAG, &p->json, false, NULL},
        {"model", LRK_OPTION_STRING, &p->model, true, NULL},
        {"threads", LRK_OPTION_SIZE, &p->threads, false, NULL},
        {"temperature", LRK_OPTION_REAL, &p->temperature, false, NULL},
        {"batch", LRK_OPTION_SIZE, &p->batch, false, "[1,256]"},
        {"top-p", LRK_OPTION_REAL, &p->top_p, false, "(0,1]"},
    };
    *err = (lrk_err){0};
    return lrk_options_parse(options, 6, argc, argv, err);
}

static void options_stand_anywhere(void **state)
{
    (void)state;
    char *argv[] = {"in",  "--model", "m",  "--threads=4", "-", "--temperature",
                    "-.5", "--json",  "--", "--odd"};
    int argc = 10;
    parsed p = {0};
    lrk_err err;
    assert_int_equal(parse(&p, &argc, argv, &err), LRK_OK);
    assert_int_equal(argc, 3);
    assert_string_equal(argv[0], "in");
    assert_string_equal(argv[1], "-");
    assert_string_equal(argv[2], "--odd");
    assert_true(p.json);
    assert_string_equal(p.model, "m");
    assert_int_equal(p.threads, 4);
    assert_true(p.temperature == -.5);
}

static void bad_options_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *args[4];
        const char *text;
    } rows[] = {
        {{"--modle", "m"}, "--modle: unknown option, did you mean --model?"},
        {{"--model"}, "--model: a value is missing"},
        {{"--model=m", "--model=n"}, "--model: given twice"},
        {{"--model=m", "--json=yes"}, "--json: takes no value"},
        {{"--model=m", "--threads=0x10"}, "--threads: expected a whole number, got \"0x10\""},
        {{"--model=m", "--threads", "-1"}, "--threads: expected a whole number, got \"-1\""},
        {{"--model=m", "--temperature", "nan"}, "--temperature: expected a number"},
        {{"--model=m", "--batch=0"}, "--batch: expected a whole number of at least 1 and at most 256, got \"0\""},
        {{"--model=m", "--batch", "257"}, "at most 256, got \"257\""},
        {{"--model=m", "--batch", "x"}, "--batch: expected a whole number of at least 1 and at most 256, got \"x\""},
        {{"--model=m", "--top-p", "0"}, "--top-p: expected a number above 0 and at most 1, got \"0\""},
        {{"--model=m", "--top-p=1.001"}, "got \"1.001\""},
        {{"--model=m", "-t"}, "-t: unknown option"},
        {{"--json"}, "--model is missing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *argv[4];
        int argc = 0;
        for (; argc < 4 && rows[i].args[argc]; argc++) argv[argc] = (char *)rows[i].args[argc];
        parsed p = {0};
        lrk_err err;
        assert_int_equal(parse(&p, &argc, argv, &err), LRK_EUSAGE);
        if (!strstr(err.text, rows[i].text))
            fail_msg("\"%s\" lacks \"%s\"", err.text, rows[i].text);
    }
}

static lrk_status count_args(int argc, char **argv, lrk_err *err)
{
    (void)argv;
    return argc == 2 ? LRK_OK : lrk_fail(err, LRK_EINPUT, "%d arguments", argc);
}

static void subcommands_are_found(void **state)
{
    (void)state;
    static const lrk_command table[] = {{.name = "import", .help = "", .run = count_args},
                                        {.name = "show", .help = "", .run = count_args}};
    char *good[] = {"import", "a", "b"}, *near[] = {"imprt"}, *far[] = {"zzzzz"};
    lrk_err err = {0};
    assert_int_equal(lrk_subcommand(table, 2, "data", 3, good, &err), LRK_OK);
    assert_int_equal(lrk_subcommand(table, 2, "data", 1, near, &err), LRK_EUSAGE);
    assert_non_null(strstr(err.text, "did you mean data import?"));
    err = (lrk_err){0};
    assert_int_equal(lrk_subcommand(table, 2, "data", 1, far, &err), LRK_EUSAGE);
    assert_non_null(strstr(err.text, "there are: import, show"));
    err = (lrk_err){0};
    assert_int_equal(lrk_subcommand(table, 2, "data", 0, NULL, &err), LRK_EUSAGE);
}

static void numbers_are_strict(void **state)
{
    (void)state;
    size_t n = 7;
    int64_t k = 7;
    double d = 7;
    assert_true(lrk_text_size("18446744073709551615", &n) && n == SIZE_MAX);
    assert_true(lrk_text_integer("-12", &k) && k == -12);
    assert_true(lrk_text_real("2e-4", &d) && d == 2e-4);
    assert_true(lrk_text_real(".5", &d) && d == .5);
    assert_true(lrk_text_real("1.", &d) && d == 1.);
    n = 7, k = 7, d = 7;
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "0x1",
                                      "1e999",
                                      "inf",
                                      "nan",
                                      ".",
                                      "1e",
                                      "--1",
                                      "1_0",
                                      "+",
                                      "99999999999999999999e"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(lrk_text_size(bad[i], &n));
        assert_false(lrk_text_integer(bad[i], &k));
        assert_false(lrk_text_real(bad[i], &d));
    }
    assert_false(lrk_text_size("18446744073709551616", &n));
    assert_false(lrk_text_integer("9223372036854775808", &k));
    assert_true(n == 7 && k == 7 && d == 7);
}

/* Over windows, whose ends do not hide what lies across them. */
static void bytes_are_found(void **state)
{
    (void)state;
    static char text[100000];
    memset(text, 'a', sizeof text);
    assert_ptr_equal(lrk_find_bytes(text, 10, "", 0), text);
    assert_null(lrk_find_bytes(text, 0, "a", 1));
    assert_null(lrk_find_bytes(text, 2, "aaa", 3));
    assert_null(lrk_find_bytes(text, sizeof text, "ab", 2));
    for (size_t i = 16000; i < 17000; i++) {
        memcpy(text + i, "xyz", 3);
        assert_ptr_equal(lrk_find_bytes(text, sizeof text, "xyz", 3), text + i);
        assert_ptr_equal(lrk_find_bytes(text, i + 3, "xyz", 3), text + i);
        assert_null(lrk_find_bytes(text, i + 2, "xyz", 3));
        memcpy(text + i, "aaa", 3);
    }
}

static void near_names(void **state)
{
    (void)state;
    assert_int_equal(lrk_edit_distance("lora_rnak", "lora_rank"), 1);
    assert_int_equal(lrk_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(lrk_edit_distance("Max-Steps", "max_steps"), 0);
    assert_int_equal(lrk_edit_distance("", "abc"), 3);

    lrk_nearest near = {.word = "lora_ran"};
    lrk_nearest_offer(&near, "lora_alpha");
    lrk_nearest_offer(&near, "lora_rank");
    assert_string_equal(near.best, "lora_rank");
    near = (lrk_nearest){.word = "xyz"};
    lrk_nearest_offer(&near, "seed");
    assert_null(near.best);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(bad_options_are_named),
        cmocka_unit_test(subcommands_are_found),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(bytes_are_found),
        cmocka_unit_test(near_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
