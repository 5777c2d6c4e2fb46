/* The tokenizer of a GGUF file: the same ids as from tokenizer.json; SmolLM2's probe text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/sha256.h"
#include "generate/model_text.h"

#include <string.h>

#define GGUF_CASE LRK_SOURCE_DIR "/tests/golden/data/llama_gguf_f32"

static void gguf_equals_json(void **state)
{
    (void)state;
    lrk_model_text gguf = {.tokenizer = NULL}, json = {.tokenizer = NULL};
    lrk_err err = {.status = LRK_OK};
    if (lrk_text_open(&gguf, GGUF_CASE "/model.gguf", &err) != LRK_OK) fail_msg("%s", err.text);
    if (lrk_text_open(&json, GGUF_CASE, &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_json *cases = NULL;
    assert_int_equal(lrk_json_load(&cases, GGUF_CASE "/text_cases.json", 1 << 24, &err), LRK_OK);
    lrk_ids a = {.n = 0}, b = {.n = 0};
    for (size_t i = 0; i < lrk_json_size(cases); i++) {
        size_t n;
        const char *text = lrk_json_string(lrk_json_get(lrk_json_at(cases, i), "text"), &n);
        assert_int_equal(lrk_encode(gguf.tokenizer, text, n, true, &a, NULL), LRK_OK);
        assert_int_equal(lrk_encode(json.tokenizer, text, n, true, &b, NULL), LRK_OK);
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.id, b.id, a.n * sizeof *a.id);
        assert_memory_equal(a.begin, b.begin, a.n * sizeof *a.begin);
    }
    lrk_ids_free(&a);
    lrk_ids_free(&b);
    lrk_json_free(cases);
    lrk_text_close(&gguf);
    lrk_text_close(&json);
    lrk_text_close(&json);
}

static void variables(void **state)
{
    (void)state;
    lrk_model_text m;
    lrk_err err = {.status = LRK_OK};
    if (lrk_text_open(&m, GGUF_CASE "/model.gguf", &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_json *v = lrk_json_object();
    lrk_json_set(v, "bos_token", lrk_json_new_string("mine", 4));
    lrk_text_variables(&m, v);
    assert_string_equal(lrk_json_string(lrk_json_get(v, "bos_token"), NULL), "mine");
    assert_string_equal(lrk_json_string(lrk_json_get(v, "eos_token"), NULL), "<|eot_id|>");
    assert_null(lrk_json_get(v, "unk_token"));
    assert_int_equal(lrk_text_check_rows(&m, 320, "m", NULL), LRK_OK);
    assert_int_equal(lrk_text_check_rows(&m, 319, "m", NULL), LRK_EINPUT);
    lrk_json_free(v);
    lrk_text_close(&m);
}

/* The text by which converters know a tokenizer: SHA-256 of its ids, written as Python does. */
static void smollm2(void **state)
{
    (void)state;
    static const char folder[] = LRK_SOURCE_DIR "/models";
    static const char probe[] =
        "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple "
        "emojis "
        "concatenated) ✅ 🦙🦙 3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 "
        "កាន់តែពិសេសអាច😁 ?我想在apple工作1314151天～ ------======= нещо на Български "
        "''''''```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you sure? 'M not "
        "sure "
        "I'll make it, 'D you like some tea? We'Ve a'lL";
    char hex[65];
    lrk_sha256_hex(probe, sizeof probe - 1, hex);
    assert_string_equal(hex, "a36179c1e2b1cfcfbfad1dc779addad2ffc778201e4cf0d538bddeafa2c526da");

    lrk_arena a = lrk_arena_growing("test");
    lrk_err err = {.status = LRK_OK};
    char **names = NULL;
    size_t n = 0, tried = 0;
    if (lrk_is_dir(folder)) assert_int_equal(lrk_dir_list(&a, folder, &names, &n, &err), LRK_OK);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(names[i], "SmolLM2", 7) != 0 || !strstr(names[i], ".gguf")) continue;
        lrk_model_text m;
        lrk_ids ids = {.n = 0};
        lrk_buf list = {.n = 0};
        if (lrk_text_open(&m, lrk_path_join(&a, folder, names[i]), &err) != LRK_OK)
            fail_msg("%s", err.text);
        assert_int_equal(lrk_tokenizer_size(m.tokenizer), 49152);
        assert_int_equal(lrk_encode(m.tokenizer, probe, sizeof probe - 1, true, &ids, NULL),
                         LRK_OK);
        lrk_buf_puts(&list, "[");
        for (size_t k = 0; k < ids.n; k++)
            lrk_buf_printf(&list, "%s%u", k ? ", " : "", (unsigned)ids.id[k]);
        lrk_buf_puts(&list, "]");
        lrk_sha256_hex(list.data, list.n, hex);
        assert_string_equal(hex,
                            "855059429035d75a914d1eda9f10a876752e281a054a7a3d421ef0533e5b6249");
        size_t ends;
        lrk_tokenizer_ends(m.tokenizer, &ends);
        assert_int_equal(ends, 2);
        lrk_buf_free(&list);
        lrk_ids_free(&ids);
        lrk_text_close(&m);
        tried++;
    }
    lrk_arena_free(&a);
    if (!tried) skip();
}

static void refused(void **state)
{
    (void)state;
    lrk_model_text m;
    lrk_err err = {.status = LRK_OK};
    assert_int_equal(lrk_text_open(&m, LRK_SOURCE_DIR "/tests/golden/data", &err), LRK_ESUPPORT);
    assert_non_null(strstr(err.text, "no tokenizer.json in it"));
    err = (lrk_err){.status = LRK_OK};
    assert_int_not_equal(lrk_text_open(&m, "/nowhere", &err), LRK_OK);
    assert_non_null(strstr(err.text, "/nowhere"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_equals_json),
        cmocka_unit_test(variables),
        cmocka_unit_test(smollm2),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
