/* tests/unit/weights.c -- base models from directories and GGUF files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/quant.h"
#include "checkpoint/text_part.h"
#include "checkpoint/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN LRK_SOURCE_DIR "/tests/golden/data/"

static lrk_weights *open_ok(const char *path)
{
    lrk_weights *w = NULL;
    lrk_err err = {0};
    if (lrk_weights_open(&w, path, &err) != LRK_OK) fail_msg("%s", err.text);
    return w;
}

static void open_fails(const char *path, lrk_status status, const char *message)
{
    lrk_weights *w = NULL;
    lrk_err err = {0};
    const lrk_status got = lrk_weights_open(&w, path, &err);
    if (got != status || !strstr(err.text, message))
        fail_msg("status %d, expected '%s', message: %s", (int)got, message, err.text);
}

static void test_directory(void **state)
{
    (void)state;
    lrk_weights *w = open_ok(GOLDEN "llama");
    lrk_tensor t;
    char hex[65], other[65];
    assert_int_equal(lrk_weights_source(w), LRK_WEIGHTS_HF);
    assert_false(lrk_weights_permuted_qk(w));
    assert_null(lrk_weights_gguf(w));
    assert_int_equal(lrk_weights_head_dim(w), 16);
    assert_true(lrk_weights_find(w, "model.layers.1.mlp.down_proj.weight", &t));
    assert_int_equal(t.dim[0], 64);
    assert_int_equal(t.dim[1], 128);
    assert_false(lrk_weights_find(w, "model.layers.2.mlp.down_proj.weight", &t));
    assert_int_equal(lrk_weights_count(w), 21);
    for (size_t i = 1; i < 21; i++)
        assert_true(strcmp(lrk_weights_at(w, i - 1)->name, lrk_weights_at(w, i)->name) < 0);
    lrk_weights_sha256(w, hex);
    lrk_weights_close(w);
    w = open_ok(GOLDEN "llama/merged");
    lrk_weights_sha256(w, other);
    assert_string_not_equal(hex, other);
    lrk_weights_close(w);
}

/* merged/ differs from the F32 GGUF only in the projections: all else must be the same tensors. */
static void test_gguf(void **state)
{
    (void)state;
    lrk_weights *g = open_ok(GOLDEN "llama_gguf_f32/model.gguf");
    lrk_weights *m = open_ok(GOLDEN "llama_gguf_f32/merged");
    lrk_tensor a, b;
    assert_true(lrk_weights_permuted_qk(g));
    assert_non_null(lrk_weights_gguf(g));
    assert_int_equal(lrk_weights_count(g), lrk_weights_count(m));
    for (size_t i = 0; i < lrk_weights_count(m); i++) {
        const lrk_tensor *t = lrk_weights_at(m, i);
        assert_true(lrk_weights_find(g, t->name, &a));
        assert_true(lrk_same_shape(&a, t));
        if (!strstr(t->name, "_proj")) assert_memory_equal(a.data, t->data, lrk_bytes(t));
    }
    assert_true(lrk_weights_find(g, "lm_head.weight", &b));
    const char *const same[] = {
        "hidden_size",         "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "head_dim",          "vocab_size",        "tie_word_embeddings",
        "model_type",          "architectures",     "rms_norm_eps",      "max_position_embeddings"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        lrk_buf x = {0}, y = {0};
        assert_int_equal(lrk_json_dump(lrk_json_get(lrk_weights_config(g), same[i]), 0, &x, NULL),
                         0);
        assert_int_equal(lrk_json_dump(lrk_json_get(lrk_weights_config(m), same[i]), 0, &y, NULL),
                         0);
        if (strcmp(x.data, y.data) != 0) fail_msg("%s: %s and %s", same[i], x.data, y.data);
        lrk_buf_free(&x);
        lrk_buf_free(&y);
    }
    assert_true(lrk_json_number(lrk_json_get(lrk_weights_config(g), "rope_theta")) == 10000.0);
    assert_int_equal(lrk_json_integer(lrk_json_get(lrk_weights_config(g), "eos_token_id")), 316);
    lrk_weights_close(g);
    lrk_weights_close(m);
    g = open_ok(GOLDEN "llama_gguf_q8_0/model.gguf");
    assert_true(lrk_weights_find(g, "model.embed_tokens.weight", &a));
    assert_int_equal(a.dtype, LRK_Q8_0);
    lrk_weights_close(g);
}

static void put(const char *path, const char *text)
{
    lrk_err err = {0};
    if (lrk_file_write(path, text, strlen(text), &err) != LRK_OK) fail_msg("%s", err.text);
}

/* A file with f32 tensors of these shapes, elements counting up from `first`. */
static void put_tensors(const char *path, const char *const *names, size_t n, size_t rows,
                        float first, const char *padding)
{
    lrk_buf b = {0};
    unsigned char prefix[8] = {0};
    lrk_buf_puts(&b, "{");
    for (size_t i = 0; i < n; i++)
        lrk_buf_printf(&b,
                       "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%zu,2],\"data_offsets\":[%zu,%zu]}",
                       i ? "," : "", names[i], rows, i * rows * 8, (i + 1) * rows * 8);
    lrk_buf_printf(&b, "}%s", padding);
    prefix[0] = (unsigned char)b.n;
    prefix[1] = (unsigned char)(b.n >> 8);
    lrk_writer *w = NULL;
    assert_int_equal(lrk_writer_open(&w, path, NULL), LRK_OK);
    assert_int_equal(lrk_write(w, prefix, 8, NULL), LRK_OK);
    assert_int_equal(lrk_write(w, b.data, b.n, NULL), LRK_OK);
    for (size_t i = 0; i < n * rows * 2; i++) {
        const float v = first + (float)i;
        assert_int_equal(lrk_write(w, &v, 4, NULL), LRK_OK);
    }
    assert_int_equal(lrk_writer_commit(w, NULL), LRK_OK);
    lrk_writer_close(w);
    lrk_buf_free(&b);
}

#define INDEX "unit_w/model.safetensors.index.json"

static void test_shards(void **state)
{
    (void)state;
    const char *const one[] = {"a", "b"}, *const two[] = {"c"};
    assert_int_equal(lrk_mkdir("unit_w/blobs", NULL), LRK_OK);
    open_fails("unit_w", LRK_EINPUT, "config.json is missing");
    put("unit_w/config.json", "{\"architectures\": [\"X\"]}");
    open_fails("unit_w", LRK_EINPUT, "neither model.safetensors nor");
    put_tensors("unit_w/m-1.safetensors", one, 2, 1, 0, "");
    /* as in the cache of the hub: the name is a symlink to a blob */
    put_tensors("unit_w/blobs/0123", two, 1, 1, 9, "");
    assert_int_equal(symlink("blobs/0123", "unit_w/m-2.safetensors"), 0);
    put(INDEX, "{\"metadata\":{\"total_size\":24,\"total_parameters\":6},\"weight_map\":{"
               "\"a\":\"m-1.safetensors\",\"b\":\"m-1.safetensors\",\"c\":\"m-2.safetensors\"}}");
    lrk_weights *w = open_ok("unit_w");
    lrk_tensor t;
    assert_true(lrk_weights_find(w, "c", &t));
    assert_true(((const float *)t.data)[1] == 10.0f);
    assert_int_equal(lrk_weights_count(w), 3);
    lrk_weights_close(w);

    put(INDEX, "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"c\":\"m-2.safetensors\"}}");
    open_fails("unit_w", LRK_EINPUT, "tensor 'b' is not what");
    put(INDEX, "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-1.safetensors\","
               "\"c\":\"m-2.safetensors\",\"d\":\"m-2.safetensors\"}}");
    open_fails("unit_w", LRK_EINPUT, "tensor 'd' is missing from m-2.safetensors");
    put(INDEX, "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\","
               "\"c\":\"m-2.safetensors\"}}");
    open_fails("unit_w", LRK_EINPUT, "tensor 'b' is not what");
    put(INDEX, "{\"weight_map\":{\"a\":\"m-3.safetensors\"}}");
    open_fails("unit_w", LRK_EINPUT, "m-3.safetensors: cannot open");
    const char *const evil[] = {"../x.safetensors",
                                "/x.safetensors",
                                "a/b.safetensors",
                                ".safetensors",
                                "x.bin",
                                "x.safetensors ",
                                ""};
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"weight_map\":{\"a\":\"%s\"}}", evil[i]);
        put(INDEX, text);
        open_fails("unit_w", LRK_EINPUT, "no name of a .safetensors file");
    }
    put(INDEX, "{\"weight_map\":{\"a\":1}}");
    open_fails("unit_w", LRK_EINPUT, "(not a string)");
    put(INDEX, "{\"weight_map\":{}}");
    open_fails("unit_w", LRK_EINPUT, "names 0 files");
    put(INDEX, "{}");
    open_fails("unit_w", LRK_EINPUT, "weight_map is missing");
}

/* An odd header puts the numbers at an odd address: they stay in the file until they are to be read in place. */
static void test_unaligned_and_tied(void **state)
{
    (void)state;
    const char *const names[] = {"model.embed_tokens.weight", "lm_head.weight",
                                 "model.layers.0.self_attn.rotary_emb.inv_freq",
                                 "gpt_neox.layers.0.attention.masked_bias"};
    lrk_tensor t;
    bool some_askew = false;
    assert_int_equal(lrk_mkdir("unit_w", NULL), LRK_OK);
    put("unit_w/config.json", "{\"tie_word_embeddings\": false}");
    for (int pad = 0; pad < 8; pad++) {
        char blanks[9] = "        ";
        blanks[pad] = '\0';
        put_tensors("unit_w/model.safetensors", names, 4, 4, 0, blanks);
        lrk_weights *w = open_ok("unit_w");
        assert_int_equal(lrk_weights_count(w), 2);
        assert_true(lrk_weights_find(w, "lm_head.weight", &t));
        const bool askew = !lrk_st_aligned(&t);
        const void *there = t.data;
        some_askew |= askew;
        assert_int_equal(lrk_weights_align(w, NULL), LRK_OK);
        assert_true(lrk_weights_find(w, "lm_head.weight", &t));
        assert_int_equal(t.data != there, askew);
        assert_int_equal((uintptr_t)t.data % 4, 0);
        for (size_t i = 0; i < 8; i++) assert_true(((const float *)t.data)[i] == (float)(8 + i));
        lrk_weights_close(w);
    }
    assert_true(some_askew);
    put("unit_w/config.json", "{\"tie_word_embeddings\": true}");
    lrk_weights *w = open_ok("unit_w"); /* they differ: not tied, as transformers has it */
    assert_true(lrk_weights_find(w, "lm_head.weight", &t));
    assert_false(lrk_json_bool(lrk_json_get(lrk_weights_config(w), "tie_word_embeddings")));
    lrk_weights_close(w);
    put_tensors("unit_w/model.safetensors", names, 2, 0, 0, "");
    w = open_ok("unit_w");
    assert_false(lrk_weights_find(w, "lm_head.weight", &t));
    assert_int_equal(lrk_weights_count(w), 1);
    lrk_weights_close(w);
}

static void test_refused(void **state)
{
    (void)state;
    lrk_gguf g;
    lrk_gguf_writer *w = NULL;
    lrk_err err = {0};
    const char *path = LRK_SOURCE_DIR "/tests/golden/data/llama_gguf_q8_0/model.gguf";
    open_fails("unit_absent", LRK_EINPUT, "unit_absent: cannot open");
    open_fails(GOLDEN "llama/config.json", LRK_EINPUT, "not a GGUF file");
    const struct {
        const char *replaced, *key, *message;
    } cases[] = {
        {"general.architecture", "gemma9",
         "architecture 'gemma9' is not supported; known are llama"},
        {"llama.vocab_size", "llama.new_trick", "key 'llama.new_trick' is not supported"},
        {"llama.block_count", NULL, "key 'llama.block_count' is missing"},
        {"llama.attention.layer_norm_rms_epsilon", NULL, "epsilon' is missing"},
    };
    assert_int_equal(lrk_gguf_open(&g, path, &err), LRK_OK);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        assert_int_equal(lrk_gguf_create(&w, &err), LRK_OK);
        for (size_t i = 0; i < g.n_kv; i++) {
            if (strcmp(g.kv[i].key, cases[c].replaced) != 0)
                lrk_gguf_put_copy(w, &g.kv[i]);
            else if (c == 0)
                lrk_gguf_put_string(w, cases[c].replaced, cases[c].key, strlen(cases[c].key));
            else if (cases[c].key)
                lrk_gguf_put_u32(w, cases[c].key, 1);
        }
        assert_int_equal(lrk_gguf_begin(w, "unit_w.gguf", &err), LRK_OK);
        assert_int_equal(lrk_gguf_commit(w, &err), LRK_OK);
        lrk_gguf_writer_close(w);
        open_fails("unit_w.gguf", cases[c].key ? LRK_ESUPPORT : LRK_EINPUT, cases[c].message);
    }
    lrk_gguf_close(&g);
    assert_int_equal(lrk_remove("unit_w.gguf", NULL), LRK_OK);
}

/* What is read of the configuration of a model of images and text. */
static void test_wrappers(void **state)
{
    enum { NO, YES, UNSAID };
    static const struct {
        const char *outer, *class;
        int ties;
        double width, vocabulary;
    } cases[] = {
        {"{'architectures': ['LlavaForConditionalGeneration'], 'text_config': {'vocab_size': 32064}}",
         "LlamaForCausalLM", UNSAID, 4096, 32064},
        {"{'model_type': 'llava', 'tie_word_embeddings': false,"
         " 'text_config': {'model_type': 'qwen2', 'hidden_size': 96, 'tie_word_embeddings': true}}",
         "Qwen2ForCausalLM", YES, 96, 151936},
        {"{'model_type': 'llava', 'tie_word_embeddings': true, 'text_config': {'tie_word_embeddings': false}}",
         "LlamaForCausalLM", YES, 4096, 32000},
        {"{'model_type': 'mistral3', 'text_config': {'tie_word_embeddings': false}}", "MistralForCausalLM", YES, 4096,
         32000},
        {"{'model_type': 'mistral3', 'tie_word_embeddings': false, 'text_config': {'tie_word_embeddings': true}}",
         "MistralForCausalLM", NO, 4096, 32000},
        {"{'model_type': 'llava', 'tie_word_embeddings': null, 'text_config': {'tie_word_embeddings': true}}",
         "LlamaForCausalLM", YES, 4096, 32000},
        {"{'model_type': 'mistral3', 'tie_word_embeddings': null, 'text_config': null}",
         "MistralForCausalLM", YES, 4096, 32000},
        {"{'model_type': 'gemma3'}", "Gemma3ForCausalLM", YES, 2304, 262208},
        {"{'model_type': 'llava', 'text_config': {'model_type': 'phi', 'vocab_size': 5}}", "none", UNSAID, 0, 5},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lrk_json *outer = NULL, *text = NULL;
        lrk_err err = {0};
        char json[300];
        size_t n = 0;
        for (; cases[i].outer[n]; n++) json[n] = cases[i].outer[n] == '\'' ? '"' : cases[i].outer[n];
        assert_int_equal(lrk_json_parse(&outer, json, n, "outer", &err), LRK_OK);
        assert_int_equal(lrk_text_part_config(outer, "outer", &text, &err), LRK_OK);
        const lrk_json *tie = lrk_json_get(text, "tie_word_embeddings");
        const char *class = lrk_json_string(lrk_json_at(lrk_json_get(text, "architectures"), 0), NULL);
        assert_string_equal(class ? class : "none", cases[i].class);
        assert_int_equal(tie ? lrk_json_bool(tie) : UNSAID, cases[i].ties);
        assert_true(lrk_json_number(lrk_json_get(text, "hidden_size")) == cases[i].width);
        assert_true(lrk_json_number(lrk_json_get(text, "vocab_size")) == cases[i].vocabulary);
        lrk_json_free(text);
        lrk_json_free(outer);
    }
}

static void test_finite(void **state)
{
    (void)state;
    static float x[3 * 10000];
    lrk_tensor t = lrk_mat(LRK_F32, 3, 10000);
    lrk_err err = {0};
    t.name = "weights";
    t.data = x;
    assert_int_equal(lrk_weights_check_finite(&t, &err), LRK_OK);
    x[19999] = NAN;
    x[25000] = INFINITY;
    assert_int_equal(lrk_weights_check_finite(&t, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "tensor 'weights': element 19999 is not finite"));
}

static int clean(void **state)
{
    (void)state;
    const char *const files[] = {
        "config.json",     "model.safetensors", "model.safetensors.index.json",
        "m-1.safetensors", "m-2.safetensors",   "blobs/0123"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[100];
        snprintf(path, sizeof path, "unit_w/%s", files[i]);
        (void)lrk_remove(path, NULL);
    }
    (void)rmdir("unit_w/blobs");
    (void)rmdir("unit_w");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_directory),
                                       cmocka_unit_test(test_gguf),
                                       cmocka_unit_test_teardown(test_shards, clean),
                                       cmocka_unit_test_teardown(test_unaligned_and_tied, clean),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_wrappers),
                                       cmocka_unit_test(test_finite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
