/* tests/unit/api.c -- the public interface, as a stranger's program would use it. */
#include "lorikeet.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MODEL LRK_SOURCE_DIR "/tests/golden/data/llama"
#define GGUF LRK_SOURCE_DIR "/tests/golden/data/llama_gguf_f32"

static void a_model_answers(void **state)
{
    (void)state;
    lorikeet_error error = {0};
    lorikeet_model *m;
    char *first, *second;
    const lorikeet_sampling eight = {.max_tokens = 8};
    assert_int_equal(lorikeet_open(&m, MODEL, NULL, &error), 0);
    assert_int_equal(lorikeet_answer(m, "a prompt", 0, &eight, &first, &error), 0);
    assert_int_equal(lorikeet_answer(m, "a prompt", 0, &eight, &second, &error), 0);
    assert_string_equal(first, second);
    lorikeet_free(first);
    lorikeet_free(second);
    assert_int_equal(lorikeet_answer(m, "a question", 1, &eight, &first, &error), 0);
    lorikeet_free(first);
    lorikeet_close(m);
}

static void errors_carry_code_and_text(void **state)
{
    (void)state;
    lorikeet_error error = {0};
    lorikeet_model *m;
    lorikeet_plan plan;
    assert_int_equal(lorikeet_open(&m, "/no/such/model", NULL, &error), 3);
    assert_int_equal(error.code, 3);
    assert_non_null(strstr(error.text, "/no/such/model"));
    error = (lorikeet_error){0};
    assert_int_not_equal(lorikeet_plan_recipe("/no/such/recipe.yaml", NULL, 0, &plan, &error), 0);
    assert_non_null(strstr(error.text, "/no/such/recipe.yaml"));
    error = (lorikeet_error){0};
    assert_int_equal(lorikeet_merge(MODEL, MODEL "/adapter", "x.gguf", "q9_9", &error), 2);
    lorikeet_close(NULL);
    assert_string_equal(lorikeet_version(), LRK_VERSION);
}

/* What is written says what it is, from a program as from the command. */
static void a_merge_has_its_manifest(void **state)
{
    (void)state;
    lorikeet_error error = {0};
    char text[4096] = "";
    (void)remove("unit_api.gguf");
    if (lorikeet_merge(MODEL, MODEL "/adapter", "unit_api.gguf", "f16", &error) != 0) fail_msg("%s", error.text);
    FILE *f = fopen("unit_api.gguf", "rb");
    assert_non_null(f);
    bool there = false;
    for (size_t n, held = 0; (n = fread(text + held, 1, sizeof text - held, f)) > 0; held = 64) {
        there = there || memmem(text, held + n, "lorikeet-manifest", 17);
        memmove(text, text + sizeof text - 64, 64);
    }
    fclose(f);
    assert_true(there);
    (void)remove("unit_api.gguf");
}

/* Whether a file has this text somewhere. */
static bool has_text(const char *path, const char *wanted)
{
    char text[4096];
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is not there", path);
    const size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    return memmem(text, n, wanted, strlen(wanted)) != NULL;
}

/* What was trained with a template is asked with it: the one beside the adapter goes along, as with the command. */
static void a_merge_takes_the_adapters_template(void **state)
{
    (void)state;
    static const char template[] = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}";
    static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors"};
    lorikeet_error error = {0};
    assert_int_equal(system("rm -rf unit_api_adapter unit_api_merged"), 0);
    assert_int_equal(mkdir("unit_api_adapter", 0777), 0);
    for (size_t i = 0; i < 2; i++) {
        char from[1024], to[64];
        snprintf(from, sizeof from, MODEL "/adapter/%s", files[i]);
        snprintf(to, sizeof to, "unit_api_adapter/%s", files[i]);
        assert_int_equal(symlink(from, to), 0);
    }
    FILE *f = fopen("unit_api_adapter/chat_template.jinja", "w");
    assert_non_null(f);
    assert_true(fputs(template, f) >= 0);
    fclose(f);
    if (lorikeet_merge(MODEL, "unit_api_adapter", "unit_api_merged", NULL, &error) != 0) fail_msg("%s", error.text);
    assert_true(has_text("unit_api_merged/chat_template.jinja", template));
    assert_int_equal(system("rm -rf unit_api_adapter unit_api_merged"), 0);
}

/* What the program says of an output that is not whole yet is said here too. */
static void a_merge_says_that_the_tokenizer_is_missing(void **state)
{
    (void)state;
    lorikeet_error error = {0};
    char said[4096] = "";
    assert_int_equal(system("rm -rf unit_api_merged; sed '0,/gpt2/s//gpt9/' " GGUF "/model.gguf >unit_api.gguf"), 0);
    fflush(stderr);
    const int kept = dup(2), to = open("unit_api.txt", O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(kept >= 0 && to >= 0 && dup2(to, 2) == 2);
    const int status = lorikeet_merge("unit_api.gguf", GGUF "/adapter", "unit_api_merged", NULL, &error);
    assert_int_equal(dup2(kept, 2), 2);
    if (status != 0) fail_msg("%s", error.text);
    assert_true(pread(to, said, sizeof said - 1, 0) > 0);
    close(kept);
    close(to);
    if (!strstr(said, "so put the files of the original model beside them")) fail_msg("%s", said);
    assert_int_equal(system("rm -rf unit_api_merged unit_api.gguf unit_api.txt"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_answers),
        cmocka_unit_test(errors_carry_code_and_text),
        cmocka_unit_test(a_merge_has_its_manifest),
        cmocka_unit_test(a_merge_takes_the_adapters_template),
        cmocka_unit_test(a_merge_says_that_the_tokenizer_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
