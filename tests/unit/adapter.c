/* tests/unit/adapter.c -- PEFT adapters: strict reading, writing, GGUF, the right base. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkpoint/adapter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN LRK_SOURCE_DIR "/tests/golden/data/"

static void load_ok(lrk_adapter *a, const char *path)
{
    lrk_err err = {0};
    if (lrk_adapter_load(a, path, &err) != LRK_OK) fail_msg("%s", err.text);
}

static void same_file(const char *x, const char *y)
{
    lrk_map a = {0}, b = {0};
    assert_int_equal(lrk_map_open(&a, x, NULL), LRK_OK);
    assert_int_equal(lrk_map_open(&b, y, NULL), LRK_OK);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    lrk_map_close(&a);
    lrk_map_close(&b);
}

static void clean(void)
{
    (void)lrk_remove("unit_a/adapter_config.json", NULL);
    (void)lrk_remove("unit_a/adapter_model.safetensors", NULL);
    (void)rmdir("unit_a");
}

/* What PEFT wrote, read and written again: the same tensor file, the same meaning. */
static void test_rewrite(void **state)
{
    (void)state;
    const char *const cases[] = {"llama/adapter", "llama_qv/adapter", "mistral/final",
                                 "llama_gguf_q8_0/init", "llama_dora/final"};
    for (size_t i = 0; i < 5; i++) {
        char path[300], tensors[400];
        lrk_adapter a, b;
        lrk_err err = {0};
        snprintf(path, sizeof path, GOLDEN "%s", cases[i]);
        snprintf(tensors, sizeof tensors, "%s/adapter_model.safetensors", path);
        load_ok(&a, path);
        assert_int_equal(a.rank, 4);
        assert_true(a.alpha == 8.0 && a.module[0].scale == 2.0);
        if (lrk_adapter_save(&a, "unit_a", &err) != LRK_OK) fail_msg("%s", err.text);
        same_file(tensors, "unit_a/adapter_model.safetensors");
        load_ok(&b, "unit_a");
        assert_int_equal(a.n, b.n);
        assert_int_equal(a.n_targets, b.n_targets);
        assert_string_equal(a.base_model, b.base_model);
        assert_true(lrk_json_is(lrk_json_get(b.config, "lora_alpha"), LRK_JSON_INTEGER));
        lrk_adapter_free(&a);
        lrk_adapter_free(&b);
        clean();
    }
}

/* An alpha with a fraction, of the whole and of one module, comes back as it was. */
static void test_alpha(void **state)
{
    (void)state;
    lrk_adapter a, b;
    lrk_err err = {0};
    load_ok(&a, GOLDEN "llama/adapter");
    a.alpha = a.module[1].alpha = 10.1;
    for (size_t i = 2; i < a.n; i++) a.module[i].alpha = a.alpha;
    a.module[0].alpha = 0.75;
    if (lrk_adapter_save(&a, "unit_a", &err) != LRK_OK) fail_msg("%s", err.text);
    load_ok(&b, "unit_a");
    assert_true(b.alpha == 10.1 && b.module[1].alpha == 10.1 && b.module[0].alpha == 0.75);
    assert_true(b.module[1].scale == 10.1 / 4.0);
    lrk_adapter_free(&b);
    clean();
    a.alpha = (double)NAN;
    assert_int_equal(lrk_adapter_save(&a, "unit_a", &err), LRK_EVALUE);
    lrk_adapter_free(&a);
}

static const struct {
    const char *text;
    lrk_status status;
    const char *message;
} configs[] = {
    {"\"r\":4", LRK_OK, ""},
    {"\"r\":4,\"use_dora\":false,\"loftq_config\":{},\"modules_to_save\":null", LRK_OK, ""},
    {"\"r\":4,\"use_dora\":true", LRK_OK, ""},
    {"\"r\":4,\"use_dora\":1", LRK_EINPUT, "use_dora"},
    {"\"r\":4,\"modules_to_save\":[\"lm_head\"],\"ensure_weight_tying\":true", LRK_OK, ""},
    {"\"r\":4,\"modules_to_save\":[1]", LRK_EINPUT, "modules_to_save: entry 0"},
    {"\"r\":4,\"lora_bias\":true", LRK_ESUPPORT, "lora_bias: not supported (expected false); PEFT's merge_and_unload"},
    {"\"r\":4,\"fan_in_fan_out\":true", LRK_ESUPPORT, "fan_in_fan_out: not supported"},
    {"\"r\":4,\"bias\":\"all\"", LRK_ESUPPORT, "bias: 'all' is not supported, only none; PEFT's merge_and_unload"},
    {"\"r\":4,\"init_lora_weights\":\"pissa\"", LRK_OK, ""},
    {"\"r\":4,\"init_lora_weights\":\"pissa_niter_4\"", LRK_ESUPPORT, "path_initial_model_for_weight_conversion"},
    {"\"r\":4,\"init_lora_weights\":\"corda\"", LRK_ESUPPORT, "changes the base model"},
    {"\"r\":4,\"init_lora_weights\":\"gaussian\"", LRK_OK, ""},
    {"\"r\":4,\"use_rslorra\":true", LRK_EINPUT, "unknown key, did you mean use_rslora"},
    {"\"r\":4,\"frobnicate\":1", LRK_EINPUT, "frobnicate: unknown key"},
    {"\"r\":4,\"frobnicate\":null", LRK_OK, ""},
    {"\"lora_dropout\":0.1", LRK_EINPUT, "r is missing"},
    {"\"r\":0", LRK_EINPUT, "r"},
    {"\"r\":-1", LRK_EINPUT, "r"},
    {"\"r\":4,\"r\":4", LRK_EINPUT, "duplicate"},
    {"\"r\":\"4\"", LRK_EINPUT, "r"},
    {"\"r\":4,\"lora_dropout\":1.0", LRK_EINPUT, "lora_dropout is 1"},
    {"\"r\":4,\"target_modules\":[1]", LRK_EINPUT, "target_modules: entry 0"},
    {"\"r\":4,\"target_modules\":{}", LRK_EINPUT, "target_modules: expected"},
    {"\"r\":4,\"target_modules\":\"all-linear\"", LRK_OK, ""},
    {"\"r\":4,\"rank_pattern\":{\"(a|b)\":8}", LRK_OK, ""},
    {"\"r\":4,\"rank_pattern\":{\"(a|b\":8}", LRK_EINPUT, "rank_pattern: pattern '(.*\\.)?((a|b)': at"},
    {"\"r\":4,\"rank_pattern\":{\"q_proj\":\"8\"}", LRK_EINPUT, "expected a number"},
    {"\"r\":4,\"alpha_pattern\":{\"q_proj\":-8}", LRK_EINPUT, "expected a positive number"},
    {"\"r\":4,\"alpha_pattern\":[]", LRK_EINPUT, "expected an object"},
    {"\"r\":4,\"task_type\":\"SEQ_CLS\"", LRK_ESUPPORT, "task_type"},
};

static void test_configs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        char text[400];
        lrk_adapter a;
        lrk_err err = {0};
        snprintf(text, sizeof text, "{\"peft_type\":\"LORA\",\"lora_alpha\":16,%s}",
                 configs[i].text);
        const lrk_status got = lrk_adapter_parse_config(&a, text, strlen(text), "case", &err);
        if (got != configs[i].status || !strstr(err.text, configs[i].message))
            fail_msg("%s: status %d, message: %s", text, (int)got, err.text);
        lrk_adapter_free(&a);
    }
}

/* Answers of Python's re.match(rf"(.*\.)?({key})$", path), first key wins. */
static void test_patterns(void **state)
{
    (void)state;
    static const char text[] =
        "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":16,\"use_rslora\":true,\"rank_pattern\":{"
        "\"^model.layers.0.self_attn.q_proj\":2,\"layers.1.self_attn\\\\.q_proj\":16,\"q_proj\":8,"
        "\"_proj\":32},\"alpha_pattern\":{\"v_proj$\":4}}";
    const struct {
        const char *path;
        size_t rank;
        double alpha;
    } cases[] = {
        {"model.layers.0.self_attn.q_proj", 2, 16},  {"model.layers.1.self_attn.q_proj", 16, 16},
        {"model.layers.11.self_attn.q_proj", 8, 16}, {"x.model.layers.0.self_attn.q_proj", 8, 16},
        {"model.layers.0.self_attn.v_proj", 4, 4},   {"q_proj", 8, 16},
    };
    lrk_adapter a;
    lrk_err err = {0};
    assert_int_equal(lrk_adapter_parse_config(&a, text, sizeof text - 1, "case", &err), LRK_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t rank;
        double alpha;
        assert_int_equal(lrk_adapter_of_module(&a, cases[i].path, &rank, &alpha, &err), LRK_OK);
        assert_int_equal(rank, cases[i].rank);
        assert_true(alpha == cases[i].alpha);
    }
    assert_true(fabs(lrk_adapter_scale(&a, 16, 8) - 2.0) < 1e-15);
    lrk_adapter_free(&a);
}

/* Two modules of different rank and alpha: the patterns that are written bring both back. */
static void test_mixed_ranks(void **state)
{
    (void)state;
    float x[64];
    const char *const targets[] = {"q_proj", "k_proj"};
    lrk_adapter_module modules[2] = {{.path = "model.layers.0.self_attn.q_proj",
                                      .a = lrk_mat(LRK_F32, 2, 8),
                                      .b = lrk_mat(LRK_F32, 4, 2),
                                      .alpha = 4,
                                      .scale = 2},
                                     {.path = "model.layers.0.self_attn.k_proj",
                                      .a = lrk_mat(LRK_F32, 3, 8),
                                      .b = lrk_mat(LRK_F32, 4, 3),
                                      .alpha = 9,
                                      .scale = 3}};
    lrk_adapter a = {.rank = 2,
                     .alpha = 4,
                     .target = targets,
                     .n_targets = 2,
                     .module = modules,
                     .n = 2,
                     .notes = lrk_json_object()},
                b;
    lrk_err err = {0};
    for (size_t i = 0; i < 64; i++) x[i] = (float)i;
    for (size_t i = 0; i < 2; i++) modules[i].a.data = modules[i].b.data = x;
    lrk_json_set(a.notes, LRK_NOTE_BASE, lrk_json_new_string("abc", 3));
    assert_int_equal(lrk_adapter_save(&a, "unit_a", &err), LRK_OK);
    load_ok(&b, "unit_a");
    const lrk_adapter_module *k = lrk_adapter_find(&b, "model.layers.0.self_attn.k_proj");
    assert_non_null(k);
    assert_int_equal(k->a.dim[0], 3);
    assert_true(k->scale == 3.0);
    assert_string_equal(lrk_json_string(lrk_json_get(b.notes, LRK_NOTE_BASE), NULL), "abc");
    assert_string_equal(
        lrk_json_string(lrk_json_at(lrk_json_get(b.config, "target_modules"), 0), NULL), "k_proj");
    lrk_adapter_free(&b);
    modules[0].b.data = (float[8]){0, 0, NAN};
    assert_int_equal(lrk_adapter_save(&a, "unit_a", &err), LRK_OK);
    assert_int_equal(lrk_adapter_load(&b, "unit_a", &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "element 2 is not finite"));
    err = (lrk_err){0};
    a.alpha = -2.5;
    assert_int_equal(lrk_adapter_save(&a, "unit_a", &err), LRK_EVALUE);
    lrk_json_free(a.notes);
    clean();
}

/* The configuration of one golden case beside the tensors of another, in unit_a. */
static void mix(const char *config, const char *tensors)
{
    char from[512];
    lrk_err err = {0};
    snprintf(from, sizeof from, GOLDEN "%s/adapter/adapter_config.json", config);
    assert_int_equal(lrk_file_copy(from, "unit_a/adapter_config.json", &err), LRK_OK);
    snprintf(from, sizeof from, GOLDEN "%s/adapter/adapter_model.safetensors", tensors);
    assert_int_equal(lrk_file_copy(from, "unit_a/adapter_model.safetensors", &err), LRK_OK);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *config, *tensors;
        lrk_status status;
        const char *says;
    } mixed[] = {{"llama_qv", "llama", LRK_EINPUT, "is not among target_modules"},
                 {"llama", "llama_dora", LRK_ESUPPORT, "neither lora_A nor lora_B"},
                 {"llama_dora", "llama", LRK_EINPUT, "lora_magnitude_vector' is missing"}};
    lrk_adapter a;
    lrk_err err = {0};
    assert_int_equal(lrk_adapter_load(&a, GOLDEN "llama", &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "adapter_config.json is missing"));
    assert_int_equal(lrk_mkdir("unit_a", NULL), LRK_OK);
    for (size_t i = 0; i < sizeof mixed / sizeof *mixed; i++) {
        err = (lrk_err){0};
        mix(mixed[i].config, mixed[i].tensors);
        assert_int_equal(lrk_adapter_load(&a, "unit_a", &err), mixed[i].status);
        assert_non_null(strstr(err.text, mixed[i].says));
    }
    clean();
}

/* Embedding and head that stand for the base's. */
static void test_whole(void **state)
{
    (void)state;
    static const struct {
        const char *name, *file;
        size_t whole, saved;
    } cases[] = {{"llama_bf16_save", "adapter", 2, 2}, {"llama_save_embedding", "final", 1, 1},
                 {"qwen2_save_head", "init", 1, 1}, {"gemma2_save", "adapter", 2, 2},
                 {"neox_save", "adapter", 2, 2}};
    lrk_adapter a, b;
    lrk_weights *base = NULL;
    lrk_err err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[300], tensors[400];
        snprintf(path, sizeof path, GOLDEN "%s/%s", cases[i].name, cases[i].file);
        snprintf(tensors, sizeof tensors, "%s/adapter_model.safetensors", path);
        load_ok(&a, path);
        assert_int_equal(a.n_whole, cases[i].whole);
        assert_int_equal(a.n_save, cases[i].saved);
        assert_int_equal(a.tied, strcmp(cases[i].name, "gemma2_save") == 0);
        if (lrk_adapter_save(&a, "unit_a", &err) != LRK_OK) fail_msg("%s", err.text);
        same_file(tensors, "unit_a/adapter_model.safetensors");
        load_ok(&b, "unit_a");
        assert_int_equal(b.n_save, a.n_save);
        assert_int_equal(b.tied, a.tied);
        snprintf(path, sizeof path, GOLDEN "%s", cases[i].name);
        assert_int_equal(lrk_weights_open(&base, path, &err), LRK_OK);
        assert_int_equal(lrk_adapter_check_base(&b, base, false, &err), LRK_OK);
        err = (lrk_err){0};
        assert_int_equal(lrk_adapter_save_gguf(&b, base, NULL, "unit_a.gguf", &err), LRK_ESUPPORT);
        assert_non_null(strstr(err.text, "merge the adapter instead"));
        for (size_t k = 0; k < b.n_whole; k++) b.whole[k].weight.dim[0]--;
        err = (lrk_err){0};
        assert_int_equal(lrk_adapter_check_base(&b, base, true, &err), LRK_ESHAPE);
        lrk_weights_close(base);
        lrk_adapter_free(&a);
        lrk_adapter_free(&b);
    }
    clean();
}

/* Of GPT-NeoX: under the name that transformers before 5 had for its head; what PEFT writes where it ties the two; and
 * what it trained alone, for it was not told by a name that it knows. */
static void test_names_of_whole(void **state)
{
    (void)state;
    static const char *const old[] = {"embed_in", "embed_out"}, *const path[] = {"gpt_neox.embed_in"};
    static const struct {
        const char *head;
        const char *const *save;
        size_t n_save, n_whole;
        bool tied, read_tied;
    } cases[] = {{"embed_out", old, 2, 2, false, false}, {"lm_head", path, 1, 2, true, true},
                 {NULL, path, 1, 1, true, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lrk_adapter a, b;
        lrk_weights *base = NULL;
        lrk_err err = {0};
        load_ok(&a, GOLDEN "neox_save/adapter");
        const int head = lrk_adapter_role(a.whole[0].path) == LRK_ADAPTER_HEAD ? 0 : 1;
        if (cases[i].head) a.whole[head].path = cases[i].head;
        else a.whole[0] = a.whole[1 - head];
        a.n_whole = cases[i].n_whole;
        a.save = cases[i].save;
        a.n_save = cases[i].n_save;
        a.tied = cases[i].tied;
        if (lrk_adapter_save(&a, "unit_a", &err) != LRK_OK) fail_msg("%s", err.text);
        load_ok(&b, "unit_a");
        assert_int_equal(b.n_whole, cases[i].n_whole);
        assert_int_equal(b.tied, cases[i].read_tied);
        assert_true(!cases[i].head || lrk_adapter_find_whole(&b, "lm_head"));
        assert_int_equal(lrk_weights_open(&base, GOLDEN "neox_save", &err), LRK_OK);
        if (lrk_adapter_check_base(&b, base, true, &err) != LRK_OK) fail_msg("%s", err.text);
        lrk_weights_close(base);
        lrk_adapter_free(&a);
        lrk_adapter_free(&b);
        clean();
    }
}

/* modules_to_save and the tensors contradict each other, or the base. */
static void test_whole_refused(void **state)
{
    (void)state;
    lrk_adapter a;
    lrk_weights *base = NULL;
    lrk_err err = {0};
    assert_int_equal(lrk_mkdir("unit_a", NULL), LRK_OK);
    mix("llama_bf16_save", "llama_save_embedding");
    assert_int_equal(lrk_adapter_load(&a, "unit_a", &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "modules_to_save: no tensor of 'lm_head' is inside"));
    err = (lrk_err){0};
    mix("llama_save_embedding", "llama_bf16_save");
    assert_int_equal(lrk_adapter_load(&a, "unit_a", &err), LRK_ESUPPORT);
    assert_non_null(strstr(err.text, "lm_head.weight' is neither lora_A nor lora_B"));
    mix("gemma2_save", "llama_bf16_save");
    load_ok(&a, "unit_a");
    err = (lrk_err){0};
    assert_int_equal(lrk_weights_open(&base, GOLDEN "llama_save_embedding", &err), LRK_OK);
    assert_int_equal(lrk_adapter_check_base(&a, base, true, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "embedding and head of the adapter differ"));
    lrk_weights_close(base);
    lrk_adapter_free(&a);
    clean();
}

/* Rows of embedding and head: sorted here, whatever order the file has; what is written reads back. */
static void test_rows(void **state)
{
    (void)state;
    static const int32_t in[] = {4, 8, 17, 33, 34, 50, 51, 70, 80, 95}, out[] = {3, 20, 50, 61, 95};
    static const size_t place[] = {1, 7, 2, 8, 9, 3, 4, 6, 5, 0}; /* in the golden's list */
    lrk_adapter a, b;
    lrk_safetensors s;
    lrk_tensor rows;
    lrk_weights *base = NULL;
    lrk_err err = {0};
    load_ok(&a, GOLDEN "llama_tokens/adapter");
    const lrk_adapter_whole *w = lrk_adapter_find_whole(&a, "model.embed_tokens");
    assert_true(a.n_whole == 2 && !lrk_adapter_as_one(&a));
    assert_true(lrk_row_lists_equal(w->rows, (lrk_row_list){in, 10}));
    assert_true(lrk_row_lists_equal(lrk_adapter_find_whole(&a, "lm_head")->rows, (lrk_row_list){out, 5}));
    assert_int_equal(lrk_st_open(&s, GOLDEN "llama_tokens/adapter/adapter_model.safetensors", &err), LRK_OK);
    const char *key = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta";
    assert_int_equal(lrk_st_view(&s, lrk_st_find(&s, key), &rows, &err), LRK_OK);
    for (size_t i = 0; i < 10; i++)
        assert_memory_equal(lrk_row(&w->weight, i), lrk_row(&rows, place[i]), lrk_cols(&rows) * sizeof(float));
    lrk_st_close(&s);
    if (lrk_adapter_save(&a, "unit_a", &err) != LRK_OK) fail_msg("%s", err.text);
    load_ok(&b, "unit_a");
    for (size_t i = 0; i < 2; i++) {
        const lrk_adapter_whole *again = lrk_adapter_find_whole(&b, a.whole[i].path);
        assert_true(lrk_row_lists_equal(again->rows, a.whole[i].rows));
        assert_memory_equal(again->weight.data, a.whole[i].weight.data, lrk_bytes(&again->weight));
    }
    assert_int_equal(lrk_weights_open(&base, GOLDEN "llama_tokens", &err), LRK_OK);
    assert_int_equal(lrk_adapter_check_base(&b, base, true, &err), LRK_OK);
    assert_int_equal(lrk_adapter_save_gguf(&b, base, NULL, "unit_a.gguf", &err), LRK_ESUPPORT);
    assert_non_null(strstr(err.text, "(trainable_token_indices); merge the adapter instead"));
    ((int32_t *)(uintptr_t)lrk_adapter_find_whole(&b, "lm_head")->rows.id)[4] = 96;
    err = (lrk_err){0};
    assert_int_equal(lrk_adapter_check_base(&b, base, true, &err), LRK_ESHAPE);
    assert_non_null(strstr(err.text, "it replaces row 96 of 'lm_head'"));
    assert_non_null(strstr(err.text, "the tokenizer with the new tokens lies beside the adapter"));
    lrk_weights_close(base);
    lrk_adapter_free(&a);
    lrk_adapter_free(&b);
    clean();
}

/* The configuration of a case, edited, beside the tensors of a case. */
static void edit_config(const char *name, const char *from, const char *to, const char *tensors)
{
    char path[300];
    lrk_arena text = lrk_arena_growing("test");
    lrk_buf b = {0};
    char *whole;
    size_t n;
    mix(name, tensors);
    snprintf(path, sizeof path, GOLDEN "%s/adapter/adapter_config.json", name);
    assert_int_equal(lrk_file_read(&text, path, 1 << 20, &whole, &n, NULL), LRK_OK);
    const char *at = strstr(whole, from);
    assert_non_null(at);
    lrk_buf_printf(&b, "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
    assert_int_equal(lrk_file_write("unit_a/adapter_config.json", b.data, b.n, NULL), LRK_OK);
    lrk_buf_free(&b);
    lrk_arena_free(&text);
}

/* trainable_token_indices and the tensors contradict each other, or the base. */
static void test_rows_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *from, *to, *tensors;
        lrk_status status;
        const char *says;
    } cases[] = {
        {"llama_tokens", "[3, 50, 95, 20, 61]", "[3, 50, 95, 20]", "llama_tokens", LRK_ESHAPE,
         "'lm_head' has 5 rows inside"},
        {"llama_tokens", "\"lm_head\"", "\"norm\"", "llama_tokens", LRK_ESUPPORT, "'norm' is not supported, only"},
        {"llama_tokens", "\"lm_head\"", "\"model.embed_tokens\"", "llama_tokens", LRK_EINPUT, "is named twice"},
        {"gemma2_tokens", "70, 71, 30", "70, 71, 71", "gemma2_tokens", LRK_EINPUT, "71 stands there twice"},
        {"gemma2_tokens", "70, 71, 30", "70, 71, -1", "gemma2_tokens", LRK_EINPUT, "entry 9 is not the id of a token"},
        {"gemma2_tokens", "70, 71, 30", "70, 71, 2147483647", "gemma2_tokens", LRK_EINPUT, "entry 9 is not the id"},
        {"gemma2_tokens", "\"modules_to_save\": null", "\"modules_to_save\": [\"embed_tokens\"]", "gemma2_tokens",
         LRK_EINPUT, "modules_to_save: no tensor of 'embed_tokens'"},
        {"llama_bf16_save", "\"trainable_token_indices\": null", "\"trainable_token_indices\": [1]", "llama_bf16_save",
         LRK_EINPUT, "no rows of the embedding are inside"},
        {"llama_bf16_save", "\"modules_to_save\"", "\"modules_to_save\"", "llama_tokens", LRK_EINPUT,
         "which trainable_token_indices of adapter_config.json does not name"},
    };
    lrk_adapter a;
    lrk_weights *base = NULL;
    assert_int_equal(lrk_mkdir("unit_a", NULL), LRK_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lrk_err err = {0};
        edit_config(cases[i].name, cases[i].from, cases[i].to, cases[i].tensors);
        if (lrk_adapter_load(&a, "unit_a", &err) != cases[i].status || !strstr(err.text, cases[i].says))
            fail_msg("%zu: %s", i, err.text);
    }
    /* the head's rows are not there: the embedding's, of a base that ties them */
    lrk_err err = {0};
    static const char list[] = "[0, 95, 12, 13, 40, 41, 42, 70, 71, 30]";
    char both[200];
    snprintf(both, sizeof both, "{\"embed_tokens\": %s, \"lm_head\": %s}", list, list);
    edit_config("gemma2_tokens", list, both, "gemma2_tokens");
    load_ok(&a, "unit_a");
    assert_true(lrk_adapter_as_one(&a) && a.n_whole == 1);
    assert_int_equal(lrk_weights_open(&base, GOLDEN "gemma2_tokens", &err), LRK_OK);
    assert_int_equal(lrk_adapter_check_base(&a, base, true, &err), LRK_OK);
    lrk_weights_close(base);
    lrk_adapter_free(&a);
    clean();
}

static void test_base(void **state)
{
    (void)state;
    lrk_adapter a;
    lrk_weights *base = NULL;
    lrk_err err = {0};
    char hex[65];
    load_ok(&a, GOLDEN "llama/adapter");
    assert_int_equal(lrk_weights_open(&base, GOLDEN "llama", &err), LRK_OK);
    assert_int_equal(lrk_adapter_check_base(&a, base, false, &err), LRK_OK);
    lrk_weights_sha256(base, hex);
    lrk_json_free(a.notes);
    a.notes = lrk_json_object();
    lrk_json_set(a.notes, LRK_NOTE_BASE, lrk_json_new_string(hex, 64));
    assert_int_equal(lrk_adapter_check_base(&a, base, false, &err), LRK_OK);
    hex[0] = hex[0] == '0' ? '1' : '0';
    lrk_json_set(a.notes, LRK_NOTE_BASE, lrk_json_new_string(hex, 64));
    assert_int_equal(lrk_adapter_check_base(&a, base, true, &err), LRK_OK);
    assert_int_equal(lrk_adapter_check_base(&a, base, false, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "an adapter for another base: it was trained on weights"));
    lrk_weights_close(base);
    err = (lrk_err){0};
    assert_int_equal(lrk_weights_open(&base, GOLDEN "mistral", &err), LRK_OK);
    a.module[0].b.dim[0]++;
    assert_int_equal(lrk_adapter_check_base(&a, base, true, &err), LRK_ESHAPE);
    assert_non_null(strstr(err.text, "another base"));
    lrk_weights_close(base);
    lrk_adapter_free(&a);
}

/* Undo what the GGUF writer did: rows of q and k in their order, alpha / R times B*A the same. */
static void test_gguf(void **state)
{
    (void)state;
    lrk_adapter a;
    lrk_weights *base = NULL;
    lrk_gguf g;
    lrk_err err = {0};
    size_t rank;
    double alpha;
    load_ok(&a, GOLDEN "llama/adapter");
    a.module[3].scale = 5; /* as from alpha_pattern */
    assert_int_equal(lrk_weights_open(&base, GOLDEN "llama", &err), LRK_OK);
    if (lrk_adapter_save_gguf(&a, base, NULL, "unit_a.gguf", &err) != LRK_OK) fail_msg("%s", err.text);
    assert_int_equal(lrk_gguf_open(&g, "unit_a.gguf", &err), LRK_OK);
    assert_int_equal(g.n_tensors, 2 * a.n);
    assert_int_equal(lrk_gguf_opt_real(&g, "adapter.lora.alpha", &alpha, &err), LRK_OK);
    assert_true(alpha == 8.0);
    for (size_t i = 0; i < a.n; i++) {
        char hf[LRK_NAME_MAX], name[LRK_NAME_MAX], full[LRK_NAME_MAX + 8];
        const lrk_adapter_module *m = &a.module[i];
        int expert;
        snprintf(hf, sizeof hf, "%s.weight", m->path);
        assert_true(lrk_name_to_gguf(lrk_weights_arch(base), hf, name, &expert));
        snprintf(full, sizeof full, "%s.lora_a", name);
        const lrk_tensor ga = lrk_gguf_view(&g, lrk_gguf_tensor(&g, full));
        assert_memory_equal(ga.data, m->a.data, lrk_bytes(&m->a));
        snprintf(full, sizeof full, "%s.lora_b", name);
        const lrk_tensor gb = lrk_gguf_view(&g, lrk_gguf_tensor(&g, full));
        rank = gb.dim[1];
        const lrk_order order = lrk_order_of(lrk_weights_arch(base), hf, 16, m->b.dim[0]);
        for (size_t r = 0; r < m->b.dim[0]; r++) {
            const size_t from = lrk_order_hf_row(&order, r);
            for (size_t k = 0; k < rank; k++) {
                const double got = alpha / (double)rank * (double)((float *)lrk_row(&gb, r))[k];
                const double want = m->scale * (double)((float *)lrk_row(&m->b, from))[k];
                assert_true(fabs(got - want) <= 1e-7 * fabs(want));
            }
        }
    }
    lrk_gguf_close(&g);
    a.module[0].path = "model.embed_tokens";
    assert_int_equal(lrk_adapter_save_gguf(&a, base, NULL, "unit_a.gguf", &err), LRK_ESUPPORT);
    lrk_weights_close(base);
    lrk_adapter_free(&a);
    assert_int_equal(lrk_remove("unit_a.gguf", NULL), LRK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewrite), cmocka_unit_test(test_alpha),    cmocka_unit_test(test_configs),
        cmocka_unit_test(test_patterns), cmocka_unit_test(test_mixed_ranks),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_base),
        cmocka_unit_test(test_whole),    cmocka_unit_test(test_names_of_whole), cmocka_unit_test(test_whole_refused),
        cmocka_unit_test(test_rows),     cmocka_unit_test(test_rows_refused),
        cmocka_unit_test(test_gguf)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
