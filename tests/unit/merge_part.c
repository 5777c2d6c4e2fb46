/* tests/unit/merge_part.c -- merging into the language model inside another (checkpoint/text_part.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "checkpoint/merge.h"

#define BARE "unit_bare"
#define OUT "unit_bare_merged"

/* A safetensors file of 2 x 2 numbers. */
static void two_by_two(lrk_buf *b, const char *const *name, size_t n)
{
    lrk_buf head = {0};
    for (size_t i = 0; i < n; i++)
        lrk_buf_printf(&head, "%s\"%s\": {\"dtype\": \"F32\", \"shape\": [2, 2], \"data_offsets\": [%zu, %zu]}",
                       i ? ", " : "{", name[i], 16 * i, 16 * i + 16);
    lrk_buf_puts(&head, "}");
    const uint64_t length = head.n;
    lrk_buf_append(b, &length, sizeof length);
    lrk_buf_append(b, head.data, head.n);
    for (size_t i = 0; i < 4 * n; i++) {
        const float x = (float)(i + 1);
        lrk_buf_append(b, &x, sizeof x);
    }
    lrk_buf_free(&head);
}

/* A configuration that leaves the language model to its class says of it what an adapter has changed. */
static void test_bare_wrapper(void **state)
{
    (void)state;
    static const char *const stored[] = {"language_model.model.layers.0.self_attn.q_proj.weight",
                                         "language_model.model.embed_tokens.weight"};
#define Q_PROJ "base_model.model.model.language_model.layers.0.self_attn.q_proj."
    static const char *const trained[] = {"base_model.model.lm_head.weight", Q_PROJ "lora_A.weight",
                                          Q_PROJ "lora_B.weight"};
    static const char config[] = "{\"model_type\": \"llava\", \"tie_word_embeddings\": true}",
                      lora[] = "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 2, \"target_modules\": "
                               "[\"q_proj\"], \"modules_to_save\": [\"lm_head\"]}";
    lrk_buf base = {0}, adapter = {0};
    lrk_weights *w = NULL;
    lrk_adapter a = {0};
    lrk_merge_report report;
    lrk_err err = {0};
    two_by_two(&base, stored, 2);
    two_by_two(&adapter, trained, 3);
    assert_int_equal(lrk_mkdir(BARE, NULL), LRK_OK);
    assert_int_equal(lrk_file_write(BARE "/config.json", config, sizeof config - 1, NULL), LRK_OK);
    assert_int_equal(lrk_file_write(BARE "/model.safetensors", base.data, base.n, NULL), LRK_OK);
    assert_int_equal(lrk_adapter_parse(&a, lora, sizeof lora - 1, adapter.data, adapter.n, "adapter", &err), LRK_OK);
    assert_int_equal(lrk_weights_open(&w, BARE, &err), LRK_OK);
    if (lrk_merge(w, &a, &(lrk_merge_options){.out = OUT}, &report, &err) != LRK_OK) fail_msg("%s", err.text);
    lrk_adapter_free(&a);
    lrk_weights_close(w);
    assert_int_equal(lrk_weights_open(&w, OUT, &err), LRK_OK);
    assert_false(lrk_json_bool(lrk_json_get(lrk_weights_config(w), "tie_word_embeddings")));
    lrk_weights_close(w);
    lrk_buf_free(&base);
    lrk_buf_free(&adapter);
    static const char *const made[] = {BARE "/config.json", BARE "/model.safetensors", BARE, OUT "/config.json",
                                       OUT "/model.safetensors", OUT};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) assert_int_equal(lrk_remove(made[i], NULL), LRK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bare_wrapper)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
