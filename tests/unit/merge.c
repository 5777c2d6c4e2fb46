/* tests/unit/merge.c -- merges against PEFT's, bit for bit; round trips; what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/quant.h"
#include "generate/merge_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GOLDEN LRK_SOURCE_DIR "/tests/golden/data/"
#define OUT "unit_merged"

static void empty_directory(void)
{
    lrk_arena a = lrk_arena_growing("test");
    char **names, path[400];
    size_t n = 0;
    if (lrk_is_dir(OUT) && lrk_dir_list(&a, OUT, &names, &n, NULL) == LRK_OK) {
        for (size_t i = 0; i < n; i++) {
            snprintf(path, sizeof path, OUT "/%s", names[i]);
            (void)lrk_remove(path, NULL);
        }
        (void)lrk_remove(OUT, NULL);
    }
    lrk_arena_free(&a);
}

static void empty_out(void)
{
    empty_directory();
    (void)lrk_remove("unit_merged.gguf", NULL);
    (void)lrk_remove("unit_merged2.gguf", NULL);
}

static lrk_status merge(const char *base, const char *adapter, lrk_merge_options o,
                        lrk_merge_report *report, lrk_err *err)
{
    lrk_weights *w = NULL;
    lrk_adapter a = {0};
    lrk_merge_report ignored;
    lrk_status status = lrk_weights_open(&w, base, err);
    if (status == LRK_OK && adapter) status = lrk_adapter_load(&a, adapter, err);
    if (status == LRK_OK)
        status = lrk_merge_model(w, adapter ? &a : NULL, &o, report ? report : &ignored, err);
    lrk_adapter_free(&a);
    lrk_weights_close(w);
    return status;
}

static void merge_ok(const char *base, const char *adapter, lrk_merge_options o)
{
    lrk_err err = {0};
    if (merge(base, adapter, o, NULL, &err) != LRK_OK) fail_msg("%s: %s", base, err.text);
}

/* Same names, types and bits; whatever the files. */
static void same_model(const char *x, const char *y)
{
    lrk_weights *a = NULL, *b = NULL;
    lrk_err err = {0};
    if (lrk_weights_open(&a, x, &err) != LRK_OK || lrk_weights_open(&b, y, &err) != LRK_OK)
        fail_msg("%s", err.text);
    assert_int_equal(lrk_weights_count(a), lrk_weights_count(b));
    for (size_t i = 0; i < lrk_weights_count(a); i++) {
        const lrk_tensor *t = lrk_weights_at(a, i), *u = lrk_weights_at(b, i);
        assert_string_equal(t->name, u->name);
        assert_int_equal(t->dtype, u->dtype);
        assert_int_equal(lrk_bytes(t), lrk_bytes(u));
        if (memcmp(t->data, u->data, lrk_bytes(t)) != 0) fail_msg("%s differs", t->name);
    }
    lrk_weights_close(a);
    lrk_weights_close(b);
}

static void same_file(const char *x, const char *y)
{
    lrk_map a = {0}, b = {0};
    assert_int_equal(lrk_map_open(&a, x, NULL), LRK_OK);
    assert_int_equal(lrk_map_open(&b, y, NULL), LRK_OK);
    if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0)
        fail_msg("%s differs from %s", x, y);
    lrk_map_close(&a);
    lrk_map_close(&b);
}

/* PEFT's merge_and_unload and save_pretrained: the same file. */
static void test_like_peft(void **state)
{
    (void)state;
    const char *const cases[] = {"llama",    "llama_tied",        "llama_bf16",
                                 "llama_qv", "llama_rope_llama3", "mistral"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char base[300], adapter[300], want[300], config[300];
        empty_out();
        snprintf(base, sizeof base, GOLDEN "%s", cases[i]);
        snprintf(adapter, sizeof adapter, GOLDEN "%s/adapter", cases[i]);
        snprintf(want, sizeof want, GOLDEN "%s/merged/model.safetensors", cases[i]);
        snprintf(config, sizeof config, GOLDEN "%s/config.json", cases[i]);
        merge_ok(base, adapter, (lrk_merge_options){.out = OUT});
        same_file(OUT "/model.safetensors", want);
        same_file(OUT "/config.json", config);
    }
    same_file(OUT "/tokenizer.json", GOLDEN "mistral/tokenizer.json");
    same_file(OUT "/generation_config.json", GOLDEN "mistral/generation_config.json");
}

static bool tied(const char *path)
{
    lrk_weights *w = NULL;
    assert_int_equal(lrk_weights_open(&w, path, NULL), LRK_OK);
    const bool is = lrk_json_bool(lrk_json_get(lrk_weights_config(w), "tie_word_embeddings"));
    lrk_weights_close(w);
    return is;
}

static void same_ends(const char *x, const char *y)
{
    static const char *const names[] = {"model.embed_tokens.weight", "lm_head.weight"};
    lrk_weights *a = NULL, *b = NULL;
    assert_int_equal(lrk_weights_open(&a, x, NULL), LRK_OK);
    assert_int_equal(lrk_weights_open(&b, y, NULL), LRK_OK);
    for (size_t i = 0; i < 2; i++) {
        lrk_tensor t, u;
        assert_int_equal(lrk_weights_find(a, names[i], &t), lrk_weights_find(b, names[i], &u));
        if (!lrk_weights_find(a, names[i], &t)) continue;
        assert_int_equal(t.dtype, u.dtype);
        assert_memory_equal(t.data, u.data, lrk_bytes(&u));
    }
    lrk_weights_close(a);
    lrk_weights_close(b);
}

/* Embedding and head that an adapter replaces, or rows of them: PEFT's file, from a directory and over GGUF, and no
 * more tie. */
static void test_whole_like_peft(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool tied;
    } cases[] = {{"llama_bf16_save", false}, {"llama_save_embedding", false}, {"qwen2_save_head", false},
                 {"gemma2_save", true}, {"llama_tokens", false}, {"gemma2_tokens", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char base[300], adapter[300], want[300];
        lrk_weights *w = NULL;
        lrk_adapter a;
        lrk_merge_report report;
        lrk_err err = {0};
        lrk_merge_options gguf = {.out = "unit_merged.gguf", .gguf = true}, hf = {.out = OUT};
        empty_out();
        snprintf(base, sizeof base, GOLDEN "%s", cases[i].name);
        snprintf(adapter, sizeof adapter, GOLDEN "%s/adapter", cases[i].name);
        snprintf(want, sizeof want, GOLDEN "%s/merged/model.safetensors", cases[i].name);
        merge_ok(base, adapter, hf);
        same_file(OUT "/model.safetensors", want);
        assert_int_equal(tied(OUT), cases[i].tied);
        /* base to GGUF, adapter into that, and back */
        assert_int_equal(lrk_adapter_load(&a, adapter, &err), LRK_OK);
        assert_int_equal(lrk_weights_open(&w, base, &err), LRK_OK);
        if (lrk_merge(w, NULL, &gguf, &report, &err) != LRK_OK) fail_msg("%s", err.text);
        lrk_weights_close(w);
        empty_directory();
        assert_int_equal(lrk_weights_open(&w, "unit_merged.gguf", &err), LRK_OK);
        gguf.out = "unit_merged2.gguf";
        if (lrk_merge(w, &a, &gguf, &report, &err) != LRK_OK) fail_msg("%s", err.text);
        if (lrk_merge(w, &a, &hf, &report, &err) != LRK_OK) fail_msg("%s", err.text);
        lrk_weights_close(w);
        snprintf(want, sizeof want, GOLDEN "%s/merged", cases[i].name);
        same_ends(OUT, want);
        assert_int_equal(tied(OUT), cases[i].tied);
        assert_int_equal(tied("unit_merged2.gguf"), cases[i].tied);
        lrk_adapter_free(&a);
    }
}

/* PEFT sums the length of a row in another order: half a unit of the length and of each product. */
static void test_dora_like_peft(void **state)
{
    (void)state;
    lrk_weights *got = NULL, *want = NULL;
    lrk_tensor w;
    empty_out();
    merge_ok(GOLDEN "llama_dora", GOLDEN "llama_dora/adapter", (lrk_merge_options){.out = OUT});
    assert_int_equal(lrk_weights_open(&got, OUT, NULL), LRK_OK);
    assert_int_equal(lrk_weights_open(&want, GOLDEN "llama_dora/merged", NULL), LRK_OK);
    assert_int_equal(lrk_weights_count(got), lrk_weights_count(want));
    for (size_t i = 0; i < lrk_weights_count(want); i++) {
        const lrk_tensor *t = lrk_weights_at(want, i);
        assert_true(lrk_weights_find(got, t->name, &w) && lrk_same_shape(&w, t));
        const float *x = t->data, *y = w.data;
        for (size_t e = 0; e < lrk_count(t); e++)
            if (!(fabsf(x[e] - y[e]) <= 8 * 0x1p-24f * fabsf(x[e])))
                fail_msg("%s, element %zu: %.9g, PEFT has %.9g", t->name, e, (double)y[e], (double)x[e]);
    }
    lrk_weights_close(got);
    lrk_weights_close(want);
}

/* A GGUF base: q and k come back in Hugging Face's order, and the merge is the same. */
static void test_from_gguf(void **state)
{
    (void)state;
    lrk_merge_report report;
    lrk_err err = {0};
    empty_out();
    assert_int_equal(merge(GOLDEN "llama_gguf_f32/model.gguf", GOLDEN "llama_gguf_f32/adapter",
                           (lrk_merge_options){.out = OUT}, &report, &err),
                     LRK_OK);
    same_file(OUT "/model.safetensors", GOLDEN "llama_gguf_f32/merged/model.safetensors");
    assert_int_equal(report.merged, 14);
    assert_int_equal(report.carried, 7);
    assert_false(report.needs_tokenizer); /* made from the metadata */
    assert_true(lrk_is_file(OUT "/tokenizer.json") && lrk_is_file(OUT "/generation_config.json"));
    empty_out();
    /* with the tokenizer's files given */
    assert_int_equal(merge(GOLDEN "llama_gguf_f32/model.gguf", GOLDEN "llama_gguf_f32/adapter",
                           (lrk_merge_options){.out = OUT, .tokenizer = GOLDEN "llama_gguf_f32"},
                           &report, &err),
                     LRK_OK);
    assert_false(report.needs_tokenizer);
    same_file(OUT "/tokenizer.json", GOLDEN "llama_gguf_f32/tokenizer.json");
}

/* GGUF in, GGUF out: rows stay in GGUF's order and B follows; back to a directory it is PEFT's. */
static void test_gguf_to_gguf(void **state)
{
    (void)state;
    lrk_gguf a, b;
    empty_out();
    merge_ok(GOLDEN "llama_gguf_f32/model.gguf", GOLDEN "llama_gguf_f32/adapter",
             (lrk_merge_options){.out = "unit_merged.gguf", .gguf = true});
    merge_ok("unit_merged.gguf", NULL, (lrk_merge_options){.out = OUT});
    same_file(OUT "/model.safetensors", GOLDEN "llama_gguf_f32/merged/model.safetensors");
    /* quantized: what no adapter touches stays, byte for byte, keys too */
    merge_ok(GOLDEN "llama_gguf_q8_0/model.gguf", GOLDEN "llama_gguf_q8_0/adapter",
             (lrk_merge_options){.out = "unit_merged2.gguf", .gguf = true});
    assert_int_equal(lrk_gguf_open(&a, GOLDEN "llama_gguf_q8_0/model.gguf", NULL), LRK_OK);
    assert_int_equal(lrk_gguf_open(&b, "unit_merged2.gguf", NULL), LRK_OK);
    assert_int_equal(a.n_kv, b.n_kv);
    for (size_t i = 0; i < a.n_kv; i++) {
        const lrk_gguf_kv *kv = lrk_gguf_find(&b, a.kv[i].key);
        assert_non_null(kv);
        if (strcmp(kv->key, "general.file_type") == 0) continue;
        assert_int_equal(kv->raw_bytes, a.kv[i].raw_bytes);
        assert_memory_equal(kv->raw, a.kv[i].raw, kv->raw_bytes);
    }
    const lrk_tensor x = lrk_gguf_view(&a, lrk_gguf_tensor(&a, "token_embd.weight"));
    const lrk_tensor y = lrk_gguf_view(&b, lrk_gguf_tensor(&b, "token_embd.weight"));
    assert_int_equal(y.dtype, LRK_Q8_0);
    assert_memory_equal(x.data, y.data, lrk_bytes(&x));
    assert_int_equal(lrk_gguf_tensor(&b, "blk.0.attn_q.weight")->dtype, LRK_F16);
    lrk_gguf_close(&a);
    lrk_gguf_close(&b);
}

/* Directory to GGUF and back, in f32: every bit. This takes rope divisors, ties and rows there and
 * back; the metadata describes the same model. */
static void test_round_trip(void **state)
{
    (void)state;
    empty_out();
    merge_ok(GOLDEN "llama", NULL, (lrk_merge_options){.out = "unit_merged.gguf", .gguf = true});
    merge_ok("unit_merged.gguf", NULL, (lrk_merge_options){.out = OUT});
    same_model(OUT, GOLDEN "llama");
    lrk_weights *a = NULL, *b = NULL;
    assert_int_equal(lrk_weights_open(&a, OUT, NULL), LRK_OK);
    assert_int_equal(lrk_weights_open(&b, GOLDEN "llama", NULL), LRK_OK);
    const char *const keys[] = {"hidden_size",  "num_key_value_heads", "head_dim",
                                "vocab_size",   "rms_norm_eps",        "bos_token_id",
                                "eos_token_id", "pad_token_id",        "tie_word_embeddings",
                                "architectures"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        lrk_buf x = {0}, y = {0};
        assert_int_equal(lrk_json_dump(lrk_json_get(lrk_weights_config(a), keys[i]), 0, &x, NULL),
                         0);
        assert_int_equal(lrk_json_dump(lrk_json_get(lrk_weights_config(b), keys[i]), 0, &y, NULL),
                         0);
        if (strcmp(x.data, y.data) != 0) fail_msg("%s: %s and %s", keys[i], x.data, y.data);
        lrk_buf_free(&x);
        lrk_buf_free(&y);
    }
    lrk_weights_close(a);
    lrk_weights_close(b);
    empty_out();
    merge_ok(GOLDEN "llama_tied", NULL,
             (lrk_merge_options){
                 .out = "unit_merged.gguf", .gguf = true, .tokenizer = GOLDEN "llama_gguf_f32"});
    merge_ok("unit_merged.gguf", NULL, (lrk_merge_options){.out = OUT});
    same_model(OUT, GOLDEN "llama_tied");
}

/* Llama 3's divisors; the tokenizer of the GGUF case, whose keys gguf-py wrote. */
static void test_metadata(void **state)
{
    (void)state;
    lrk_gguf g, want;
    const lrk_gguf_kv *x, *y;
    empty_out();
    merge_ok(GOLDEN "llama_rope_llama3", GOLDEN "llama_rope_llama3/adapter",
             (lrk_merge_options){
                 .out = "unit_merged.gguf", .gguf = true, .tokenizer = GOLDEN "llama_gguf_f32"});
    assert_int_equal(lrk_gguf_open(&g, "unit_merged.gguf", NULL), LRK_OK);
    assert_int_equal(lrk_gguf_open(&want, GOLDEN "llama_gguf_f32/model.gguf", NULL), LRK_OK);
    const lrk_tensor freqs = lrk_gguf_view(&g, lrk_gguf_tensor(&g, "rope_freqs.weight"));
    /* from transformers' ROPE_INIT_FUNCTIONS["llama3"] in f32: default frequency / scaled one */
    const float divisors[8] = {1, 1.29397595f, 7.6673851f, 8, 8, 8, 8, 8};
    for (size_t i = 0; i < 8; i++)
        assert_true(fabsf(((const float *)freqs.data)[i] / divisors[i] - 1) < 1e-6f);
    const char *const same[] = {"tokenizer.ggml.model", "tokenizer.ggml.pre",
                                "tokenizer.ggml.tokens", "tokenizer.ggml.token_type",
                                "tokenizer.ggml.merges"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        x = lrk_gguf_find(&g, same[i]);
        y = lrk_gguf_find(&want, same[i]);
        if (!x || x->raw_bytes != y->raw_bytes || memcmp(x->raw, y->raw, x->raw_bytes) != 0)
            fail_msg("%s differs", same[i]);
    }
    lrk_gguf_close(&g);
    lrk_gguf_close(&want);

    /* special tokens by their text, the beginning from the post-processor, the template as it is */
    lrk_arena a = lrk_arena_growing("test");
    size_t bos = 0, eos = 0, pad = 0;
    bool adds = false;
    const char *text = NULL;
    empty_out();
    merge_ok(GOLDEN "llama", NULL, (lrk_merge_options){.out = "unit_merged.gguf", .gguf = true});
    assert_int_equal(lrk_gguf_open(&g, "unit_merged.gguf", NULL), LRK_OK);
    assert_int_equal(lrk_gguf_opt_size(&g, "tokenizer.ggml.bos_token_id", 0, 999, &bos, NULL), 0);
    assert_int_equal(lrk_gguf_opt_size(&g, "tokenizer.ggml.eos_token_id", 0, 999, &eos, NULL), 0);
    assert_int_equal(lrk_gguf_opt_size(&g, "tokenizer.ggml.padding_token_id", 0, 999, &pad, NULL),
                     0);
    assert_int_equal(lrk_gguf_opt_bool(&g, "tokenizer.ggml.add_bos_token", &adds, NULL), LRK_OK);
    assert_int_equal(lrk_gguf_opt_string(&g, "tokenizer.chat_template", &a, &text, NULL), LRK_OK);
    assert_true(bos == 376 && eos == 380 && pad == 381 && adds);
    assert_non_null(strstr(text, "<|start_header_id|>assistant<|end_header_id|>\n\n"));
    lrk_gguf_close(&g);
    lrk_arena_free(&a);
}

static void test_types(void **state)
{
    (void)state;
    const lrk_dtype types[] = {LRK_F32, LRK_F16, LRK_BF16, LRK_Q8_0};
    for (size_t i = 0; i < 4; i++) {
        lrk_gguf g;
        lrk_safetensors s;
        lrk_err err = {0};
        empty_out();
        merge_ok(GOLDEN "llama", GOLDEN "llama/adapter",
                 (lrk_merge_options){
                     .out = "unit_merged.gguf", .gguf = true, .type = lrk_file_type_of(types[i])});
        assert_int_equal(lrk_gguf_open(&g, "unit_merged.gguf", NULL), LRK_OK);
        assert_int_equal(lrk_gguf_tensor(&g, "blk.1.ffn_up.weight")->dtype, types[i]);
        assert_int_equal(lrk_gguf_tensor(&g, "output_norm.weight")->dtype, LRK_F32);
        lrk_gguf_close(&g);
        const lrk_merge_options o = {.out = OUT, .type = lrk_file_type_of(types[i])};
        if (types[i] == LRK_Q8_0) {
            assert_int_equal(merge(GOLDEN "llama", NULL, o, NULL, &err), LRK_EUSAGE);
            continue;
        }
        merge_ok(GOLDEN "llama", GOLDEN "llama/adapter", o);
        assert_int_equal(lrk_st_open(&s, OUT "/model.safetensors", &err), LRK_OK);
        for (size_t k = 0; k < s.n; k++) assert_int_equal(s.entry[k].dtype, types[i]);
        lrk_st_close(&s);
        lrk_json *config = NULL;
        assert_int_equal(lrk_json_load(&config, OUT "/config.json", 1 << 20, &err), LRK_OK);
        assert_string_equal(lrk_json_string(lrk_json_get(config, "dtype"), NULL),
                            types[i] == LRK_F32   ? "float32"
                            : types[i] == LRK_F16 ? "float16"
                                                  : "bfloat16");
        lrk_json_free(config);
    }
}

/* Quantizing while merging is quantizing what was merged in f32; the file says its type. */
static void test_quantized(void **state)
{
    (void)state;
    static const char *const base = GOLDEN "llama_gguf_q4_k/model.gguf";
    lrk_gguf plain, g, stored;
    size_t id = 0, carried = 0;
    empty_out();
    merge_ok(base, GOLDEN "llama_gguf_q4_k/adapter",
             (lrk_merge_options){
                 .out = "unit_merged2.gguf", .gguf = true, .type = lrk_file_type_of(LRK_F32)});
    merge_ok(base, GOLDEN "llama_gguf_q4_k/adapter",
             (lrk_merge_options){
                 .out = "unit_merged.gguf", .gguf = true, .type = lrk_file_type_of(LRK_Q4_K)});
    assert_int_equal(lrk_gguf_open(&plain, "unit_merged2.gguf", NULL), LRK_OK);
    assert_int_equal(lrk_gguf_open(&g, "unit_merged.gguf", NULL), LRK_OK);
    assert_int_equal(lrk_gguf_open(&stored, base, NULL), LRK_OK);
    assert_int_equal(lrk_gguf_opt_size(&g, "general.file_type", 0, 99, &id, NULL), LRK_OK);
    assert_int_equal(id, 15);
    assert_int_equal(lrk_gguf_opt_size(&g, "general.quantization_version", 0, 9, &id, NULL),
                     LRK_OK);
    assert_int_equal(id, 2);
    assert_int_equal(lrk_gguf_tensor(&g, "blk.0.ffn_down.weight")->dtype, LRK_Q4_K);
    assert_int_equal(lrk_gguf_tensor(&g, "blk.1.ffn_down.weight")->dtype, LRK_Q6_K);
    assert_int_equal(lrk_gguf_tensor(&g, "blk.1.ffn_norm.weight")->dtype, LRK_F32);
    assert_int_equal(plain.n_tensors, g.n_tensors);
    for (size_t i = 0; i < g.n_tensors; i++) {
        const lrk_tensor got = lrk_gguf_view(&g, &g.tensor[i]);
        const lrk_tensor from = lrk_gguf_view(&plain, lrk_gguf_tensor(&plain, got.name));
        const lrk_tensor old = lrk_gguf_view(&stored, lrk_gguf_tensor(&stored, got.name));
        if (old.dtype == got.dtype && memcmp(old.data, got.data, lrk_bytes(&got)) == 0) {
            carried++;
            continue;
        }
        unsigned char *want = lrk_heap_alloc(lrk_bytes(&got), 1);
        assert_true(lrk_from_f32(got.dtype, from.data, lrk_count(&from), want));
        assert_memory_equal(got.data, want, lrk_bytes(&got));
        lrk_heap_free(want);
    }
    assert_int_equal(carried, 7); /* five norms, embedding and head, of these types there too */
    lrk_gguf_close(&plain);
    lrk_gguf_close(&g);
    lrk_gguf_close(&stored);
}

static void test_shards(void **state)
{
    (void)state;
    lrk_merge_report report;
    lrk_err err = {0};
    empty_out();
    assert_int_equal(merge(GOLDEN "llama", GOLDEN "llama/adapter",
                           (lrk_merge_options){.out = OUT, .shard_bytes = 100000}, &report, &err),
                     0);
    assert_true(report.files > 3);
    assert_true(lrk_is_file(OUT "/model.safetensors.index.json"));
    same_model(OUT, GOLDEN "llama/merged");
}

static void refused(lrk_status want, const char *message, const char *base, const char *adapter,
                    lrk_merge_options o)
{
    lrk_err err = {0};
    const lrk_status got = merge(base, adapter, o, NULL, &err);
    if (got != want || !strstr(err.text, message))
        fail_msg("status %d, expected '%s', message: %s", (int)got, message, err.text);
}

static void test_refused(void **state)
{
    (void)state;
    lrk_err err = {0};
    const lrk_merge_options hf = {.out = OUT}, gguf = {.out = "unit_merged.gguf", .gguf = true};
    empty_out();
    refused(LRK_ENUMERIC, "merging changed nothing", GOLDEN "llama", GOLDEN "llama/init", hf);
    assert_false(lrk_is_dir(OUT));
    refused(LRK_ENUMERIC, "merging changed nothing", GOLDEN "llama", GOLDEN "llama/init", gguf);
    assert_false(lrk_is_file("unit_merged.gguf"));
    refused(LRK_EINPUT, "an adapter for another base", GOLDEN "llama", GOLDEN "mistral/adapter",
            hf);
    refused(LRK_ESUPPORT, "its merges are not those that scores give", GOLDEN "mistral", GOLDEN "mistral/adapter",
            gguf);
    assert_false(lrk_is_file("unit_merged.gguf"));
    refused(LRK_EINPUT, "tokenizer.json: missing", GOLDEN "llama_bf16", NULL, gguf);
    assert_int_equal(lrk_mkdir(OUT, &err), LRK_OK);
    assert_int_equal(lrk_file_write(OUT "/x", "x", 1, &err), LRK_OK);
    refused(LRK_EUSAGE, "output directory not empty", GOLDEN "llama", GOLDEN "llama/adapter", hf);
    assert_true(lrk_is_file(OUT "/x"));
    assert_int_equal(lrk_file_write("unit_merged.gguf", "x", 1, &err), LRK_OK);
    refused(LRK_EUSAGE, "exists already", GOLDEN "llama", GOLDEN "llama/adapter", gguf);
    empty_out();
}

/* One weight of 60,000 and an adapter that lifts it beyond what f16 holds. */
static void test_overflow(void **state)
{
    (void)state;
    lrk_weights *w = NULL;
    lrk_adapter a;
    lrk_merge_report report;
    lrk_err err = {0};
    empty_out();
    assert_int_equal(lrk_weights_open(&w, GOLDEN "llama", &err), LRK_OK);
    assert_int_equal(lrk_adapter_load(&a, GOLDEN "llama/adapter", &err), LRK_OK);
    for (size_t i = 0; i < lrk_count(&a.module[2].b); i++) ((float *)a.module[2].b.data)[i] *= 1e7f;
    lrk_merge_options o = {.out = OUT, .type = lrk_file_type_of(LRK_F16)};
    assert_int_equal(lrk_merge_model(w, &a, &o, &report, &err), LRK_ENUMERIC);
    assert_non_null(strstr(err.text, "does not fit f16"));
    assert_false(lrk_is_dir(OUT));
    err = (lrk_err){0};
    o.type = lrk_file_type_of(LRK_BF16);
    assert_int_equal(lrk_merge_model(w, &a, &o, &report, &err), LRK_OK);
    empty_out();
    ((float *)a.module[2].b.data)[0] = NAN;
    assert_int_equal(lrk_merge_model(w, &a, &o, &report, &err), LRK_ENUMERIC);
    lrk_adapter_free(&a);
    lrk_weights_close(w);
}

static int clean(void **state)
{
    (void)state;
    empty_out();
    return 0;
}

/* What is said before is what is written, types that stand in for others too. */
static void test_bytes(void **state)
{
    (void)state;
    static const char *const types[] = {"f32",    "f16",    "bf16",   "q8_0",   "q4_0",   "q4_1",   "q5_0",   "q5_1",
                                        "q2_k",   "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m",
                                        "q6_k",   "iq4_nl", "iq4_xs"};
    static const char *const bases[] = {"llama", "llama_gguf_q4_k/model.gguf", "mixtral", "gemma3"};
    for (size_t b = 0; b < sizeof bases / sizeof *bases; b++) {
        char path[300];
        lrk_weights *w = NULL;
        lrk_merge_report report;
        lrk_err err = {0};
        uint64_t bytes;
        snprintf(path, sizeof path, GOLDEN "%s", bases[b]);
        if (lrk_weights_open(&w, path, &err) != LRK_OK) fail_msg("%s", err.text);
        for (size_t i = 0; i <= sizeof types / sizeof *types; i++) {
            const bool gguf = i < sizeof types / sizeof *types;
            const lrk_merge_options o = {.out = gguf ? "unit_merged.gguf" : OUT, .gguf = gguf,
                                         .type = gguf ? lrk_file_type_find(types[i]) : NULL};
            empty_out();
            if (lrk_merge_bytes(w, false, &o, &bytes, &err) != LRK_OK) fail_msg("%s: %s", path, err.text);
            assert_false(lrk_is_file("unit_merged.gguf") || lrk_is_dir(OUT));
            if (lrk_merge(w, NULL, &o, &report, &err) != LRK_OK) fail_msg("%s: %s", path, err.text);
            assert_int_equal(bytes, report.bytes);
        }
        lrk_weights_close(w);
    }
    empty_out();
}

/* The head that an adapter parts from the embedding counts. */
static void test_bytes_of_own_head(void **state)
{
    (void)state;
    lrk_weights *w = NULL;
    lrk_merge_report report;
    lrk_err err = {0};
    uint64_t bytes;
    const lrk_merge_options o = {.out = OUT};
    empty_out();
    if (merge(GOLDEN "qwen2_save_head", GOLDEN "qwen2_save_head/adapter", o, &report, &err) != LRK_OK)
        fail_msg("%s", err.text);
    assert_int_equal(lrk_weights_open(&w, GOLDEN "qwen2_save_head", &err), LRK_OK);
    assert_int_equal(lrk_merge_bytes(w, true, &o, &bytes, &err), LRK_OK);
    assert_int_equal(bytes, report.bytes);
    lrk_weights_close(w);
    empty_out();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_peft), cmocka_unit_test(test_whole_like_peft),
        cmocka_unit_test(test_dora_like_peft),    cmocka_unit_test(test_from_gguf),
        cmocka_unit_test(test_gguf_to_gguf), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_metadata),     cmocka_unit_test(test_types),
        cmocka_unit_test(test_quantized),    cmocka_unit_test(test_shards),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_bytes),        cmocka_unit_test(test_bytes_of_own_head)};
    return cmocka_run_group_tests(tests, NULL, clean);
}
