/* tests/golden/gguf.c -- each family as GGUF: the same logits as from its directory, and back again
 * the same weights. The golden models have features that GGUF has no place for; `usual` takes those
 * away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "generate/adapter_io.h"
#include "generate/base_model.h"
#include "generate/merge_model.h"
#include "kernels/segments.h"
#include "models/engine.h"
#include "scratch.h"

#include <fcntl.h>
#include <math.h>

#define GOLDEN LRK_SOURCE_DIR "/tests/golden/data/"

enum { TOKENS = 48 };

/* A model made from a golden one. */
typedef struct variant {
    const char *golden;
    const char *usual;   /* members of config.json that replace those there */
    const char *layers;  /* which layer of the golden model each is: "1 1"; NULL: as they are */
    const char *drop;    /* no tensors whose names end so */
    const char *refused; /* what the golden model itself is refused with; NULL: it is not */
    const char *warned;  /* llama.cpp does not follow this; NULL: it follows all */
} variant;

static const variant variants[] = {
    {.golden = "llama"},
    {.golden = "llama_tied"},
    {.golden = "llama_bf16"},
    {.golden = "llama_linear"},
    {.golden = "llama_rope_llama3"},
    {.golden = "llama_yarn", .warned = "beta_fast is 8"},
    {.golden = "llama_yarn",
     .usual = "{\"rope_parameters\": {\"rope_type\": \"yarn\", \"rope_theta\": 10000.0, "
              "\"factor\": 4.0, "
              "\"attention_factor\": 1.5, \"original_max_position_embeddings\": 32}}"},
    {.golden = "mistral", .warned = "sees 8 tokens back"},
    {.golden = "ministral3"},
    {.golden = "ministral3",
     .usual = "{\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 10000.0, "
              "\"llama_4_scaling_beta\": 0.5, \"original_max_position_embeddings\": 8}}"},
    /* as a GGUF of Mistral Small has it, of the same architecture */
    {.golden = "ministral3",
     .usual = "{\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 10000.0, "
              "\"llama_4_scaling_beta\": 0.0, \"original_max_position_embeddings\": 128}}"},
    {.golden = "mistral3_images", .warned = "tensors for images are left out"},
    {.golden = "gemma3_images", .warned = "tensors for images are left out"},
    {.golden = "qwen2_window", .warned = "sees 6 tokens back"},
    {.golden = "qwen2_window",
     .usual = "{\"layer_types\": null, \"max_window_layers\": 0}",
     .warned = "sees 6 tokens back"},
    {.golden = "qwen2_window", .usual = "{\"use_sliding_window\": false, \"layer_types\": null}"},
    {.golden = "qwen3_odd",
     .usual = "{\"attention_bias\": false}",
     .drop = "_proj.bias",
     .refused = "o_proj.bias' has no name"},
    {.golden = "gemma2_odd", .warned = "query_pre_attn_scalar is 20"},
    {.golden = "gemma2_odd",
     .usual = "{\"query_pre_attn_scalar\": 12, \"layer_types\": "
              "[\"full_attention\", \"sliding_attention\", \"full_attention\"]}"},
    {.golden = "gemma3", .warned = "query_pre_attn_scalar is 20"},
    {.golden = "gemma3", .usual = "{\"query_pre_attn_scalar\": 12}"},
    {.golden = "phi3", .warned = "takes long_factor for every document"},
    {.golden = "phi3_window", .warned = "sees 6 tokens back"},
    {.golden = "olmo2"},
    {.golden = "smollm3",
     .usual = "{\"num_hidden_layers\": 4, \"no_rope_layers\": [1, 1, 1, 0], \"layer_types\": null, "
              "\"use_sliding_window\": false, \"attention_bias\": false, \"mlp_bias\": false}",
     .layers = "0 1 2 1",
     .drop = "_proj.bias",
     .refused = "proj.bias' has no name"},
    {.golden = "smollm3",
     .usual = "{\"num_hidden_layers\": 4, \"no_rope_layers\": [1, 1, 1, 0], \"layer_types\": null, "
              "\"attention_bias\": false, \"mlp_bias\": false}",
     .layers = "0 1 2 1",
     .drop = "_proj.bias",
     .warned = "sees 6 tokens back"},
    {.golden = "glm4"},
    {.golden = "glm4", .usual = "{\"attention_bias\": false}", .drop = "_proj.bias"},
    {.golden = "granite"},
    {.golden = "starcoder2", .warned = "sees 6 tokens back"},
    {.golden = "neox", .warned = "GELU is exact"},
    {.golden = "neox", .usual = "{\"use_parallel_residual\": false}", .warned = "GELU is exact"},
    {.golden = "mixtral"},
    {.golden = "qwen3_moe",
     .usual = "{\"decoder_sparse_step\": 1}",
     .layers = "1 1",
     .refused = "decoder_sparse_step is not 1"},
    {.golden = "deepseek_v2", .warned = "topk_method is group_limited_greedy"},
    {.golden = "deepseek_v2", .usual = "{\"topk_method\": \"greedy\"}"},
    {.golden = "deepseek_v3",
     .usual =
         "{\"rope_parameters\": {\"rope_type\": \"yarn\", \"rope_theta\": 10000.0, \"factor\": "
         "4.0, "
         "\"mscale\": 0.8, \"mscale_all_dim\": 0.8, \"original_max_position_embeddings\": 32}}",
     .refused = "mscale is 1"},
};

static void must(lrk_status s, const lrk_err *err, const char *what)
{
    if (s != LRK_OK) fail_msg("%s: %s", what, err->text);
}

/* ---- a variant as a directory ---- */

/* The name in layer `to`, where the tensor is one of layer `from`; else as it is. */
static bool renamed(const char *name, const char *from, const char *to, char out[LRK_NAME_MAX])
{
    char prefix[32];
    snprintf(prefix, sizeof prefix, "model.layers.%s.", from);
    if (strncmp(name, prefix, strlen(prefix)) != 0) return false;
    snprintf(out, LRK_NAME_MAX, "model.layers.%s.%s", to, name + strlen(prefix));
    return true;
}

static bool dropped(const variant *v, const char *name)
{
    const size_t n = strlen(name), e = v->drop ? strlen(v->drop) : 0;
    return e && n > e && strcmp(name + n - e, v->drop) == 0;
}

typedef struct copied {
    char name[LRK_NAME_MAX];
    lrk_tensor t;
} copied;

static size_t choose(const variant *v, const lrk_safetensors *s, copied *list, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        lrk_tensor t;
        char layers[40], *rest = layers;
        assert_int_equal(lrk_st_view(s, &s->entry[i], &t, NULL), LRK_OK);
        if (dropped(v, s->entry[i].name)) continue;
        assert_true(n + 8 < most);
        snprintf(layers, sizeof layers, "%s", v->layers ? v->layers : "");
        if (!v->layers || strncmp(s->entry[i].name, "model.layers.", 13) != 0) {
            snprintf(list[n].name, LRK_NAME_MAX, "%s", s->entry[i].name);
            list[n++].t = t;
            continue;
        }
        int to = 0;
        for (const char *from; (from = strtok_r(rest, " ", &rest)); to++) {
            char number[12];
            snprintf(number, sizeof number, "%d", to);
            if (renamed(s->entry[i].name, from, number, list[n].name)) list[n++].t = t;
        }
    }
    return n;
}

static void write_weights(const variant *v, const char *out)
{
    char path[400];
    lrk_safetensors s;
    lrk_st_writer *w = NULL;
    lrk_err err = {0};
    copied *list = calloc(256, sizeof *list);
    snprintf(path, sizeof path, GOLDEN "%s/model.safetensors", v->golden);
    must(lrk_st_open(&s, path, &err), &err, path);
    const size_t n = choose(v, &s, list, 256);
    must(lrk_st_create(&w, &err), &err, out);
    for (size_t i = 0; i < n; i++)
        must(lrk_st_declare(w, list[i].name, &list[i].t, &err), &err, out);
    snprintf(path, sizeof path, "%s/model.safetensors", out);
    must(lrk_st_begin(w, path, &err), &err, path);
    for (const char *next; (next = lrk_st_next(w));) {
        size_t i = 0;
        while (strcmp(list[i].name, next) != 0) i++;
        must(lrk_st_write(w, list[i].t.data, lrk_bytes(&list[i].t), &err), &err, next);
    }
    must(lrk_st_commit(w, &err), &err, path);
    lrk_st_writer_close(w);
    lrk_st_close(&s);
    free(list);
}

static void write_config(const variant *v, const char *out)
{
    char path[400];
    lrk_json *config, *usual;
    lrk_buf b = {0};
    lrk_err err = {0};
    snprintf(path, sizeof path, GOLDEN "%s/config.json", v->golden);
    must(lrk_json_load(&config, path, 1 << 20, &err), &err, path);
    const char *text = v->usual ? v->usual : "{}";
    must(lrk_json_parse(&usual, text, strlen(text), "usual", &err), &err, text);
    for (void *i = lrk_json_begin(usual); i; i = lrk_json_next(usual, i))
        lrk_json_set(config, lrk_json_key(i, NULL), lrk_json_ref(lrk_json_value(i)));
    must(lrk_json_dump(config, 0, &b, &err), &err, path);
    snprintf(path, sizeof path, "%s/config.json", out);
    must(lrk_file_write(path, b.data, b.n, &err), &err, path);
    lrk_buf_free(&b);
    lrk_json_free(usual);
    lrk_json_free(config);
}

/* A tokenizer of 95 characters, as small as the models: their rows beyond it get no text. */
static void write_tokenizer(void)
{
    lrk_buf b = {0};
    lrk_buf_puts(&b, "{\"added_tokens\": [], \"pre_tokenizer\": {\"type\": \"ByteLevel\", "
                     "\"add_prefix_space\": false, \"use_regex\": true}, \"decoder\": {\"type\": "
                     "\"ByteLevel\"}, \"model\": {\"type\": \"BPE\", \"merges\": [], \"vocab\": {");
    for (int c = '!'; c <= '~'; c++)
        lrk_buf_printf(&b, "\"%s%c\": %d, ", c == '"' || c == '\\' ? "\\" : "", c, c - '!');
    lrk_buf_puts(&b, "\"\xc4\xa0\": 94}}}");
    must(lrk_mkdir("tiny", NULL), &(lrk_err){0}, "tiny");
    must(lrk_file_write("tiny/tokenizer.json", b.data, b.n, NULL), &(lrk_err){0}, "tiny");
    lrk_buf_free(&b);
}

/* ---- what a model computes ---- */

/* Logits of the last row's tokens, in two segments, with an adapter of Hugging Face's order or without; the caller
 * frees them. */
static float *logits_of(const char *path, const char *adapter, size_t *n)
{
    lrk_base_model base;
    lrk_adapter a = {0};
    lrk_engine e = {0};
    lrk_err err = {0};
    int32_t ids[TOKENS], rows[TOKENS], segments[2 * LRK_SEG_FIELDS];
    const lrk_tensor *logits;
    must(lrk_base_open(&base, path, &err), &err, path);
    for (int i = 0; i < TOKENS; i++) {
        ids[i] = (i * 37 + 11) % 96;
        rows[i] = i;
    }
    lrk_segment_root(segments, 0, 12);
    lrk_segment_root(segments + LRK_SEG_FIELDS, 12, TOKENS - 12);
    if (adapter) must(lrk_adapter_load(&a, adapter, &err), &err, adapter);
    const lrk_lora_options lora = lrk_adapter_options(&a);
    const lrk_engine_options o = {.device = LRK_CPU,
                                  .decoder = base.decoder,
                                  .find = lrk_base_find,
                                  .ctx = &base,
                                  .lora = adapter ? &lora : NULL,
                                  .compute = LRK_C_F32,
                                  .max_tokens = TOKENS,
                                  .max_segments = 2,
                                  .max_logits = TOKENS};
    must(lrk_engine_open(&e, &o, &err), &err, path);
    must(lrk_base_check_names(&base, &e.model, &err), &err, path);
    if (adapter) must(lrk_adapter_into_model(&a, &e.model, &err), &err, adapter);
    const lrk_flat_run run = {ids, ids, segments, TOKENS, 2};
    must(lrk_engine_logits(&e, &run, false, rows, TOKENS, &logits, &err), &err, path);
    *n = lrk_count(logits);
    float *copy = malloc(*n * sizeof *copy);
    memcpy(copy, logits->data, *n * sizeof *copy);
    lrk_engine_close(&e);
    lrk_adapter_free(&a);
    lrk_base_close(&base);
    return copy;
}

/* Sums run in another order where rows stand in another: a few rounding errors of numbers of
 * size 1. */
static void same_logits(const char *x, const char *y, const char *adapter)
{
    size_t n, m;
    float *a = logits_of(x, adapter, &n), *b = logits_of(y, adapter, &m);
    double worst = 0;
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        worst = isnan(d) ? HUGE_VAL : fmax(worst, d);
    }
    if (worst > 1e-4) fail_msg("%s and %s: logits differ by %g", x, y, worst);
    free(a);
    free(b);
}

/* The same bits; norms of 1 + w in f32 lose what is below the last bit of 1. */
static void same_weights(const char *x, const char *y)
{
    lrk_weights *a = NULL, *b = NULL;
    lrk_err err = {0};
    must(lrk_weights_open(&a, x, &err), &err, x);
    must(lrk_weights_open(&b, y, &err), &err, y);
    assert_int_equal(lrk_weights_count(a), lrk_weights_count(b));
    for (size_t i = 0; i < lrk_weights_count(a); i++) {
        const lrk_tensor *t = lrk_weights_at(a, i), *u = lrk_weights_at(b, i);
        assert_string_equal(t->name, u->name);
        assert_int_equal(t->dtype, u->dtype);
        assert_int_equal(lrk_bytes(t), lrk_bytes(u));
        if (lrk_weights_arch(a)->norm_plus_one && lrk_name_is_norm(t->name)) {
            for (size_t k = 0; k < lrk_count(t); k++)
                assert_true(fabsf(((float *)t->data)[k] - ((float *)u->data)[k]) <= 0x1p-23f);
        } else if (memcmp(t->data, u->data, lrk_bytes(t)) != 0) {
            fail_msg("%s: %s differs", x, t->name);
        }
    }
    lrk_weights_close(a);
    lrk_weights_close(b);
}

static lrk_status convert(const char *from, lrk_merge_options o, lrk_err *err)
{
    lrk_weights *w = NULL;
    lrk_merge_report report;
    lrk_status s = lrk_weights_open(&w, from, err);
    if (s == LRK_OK) s = lrk_merge_model(w, NULL, &o, &report, err);
    lrk_weights_close(w);
    return s;
}

/* What is said on standard error meanwhile. */
static lrk_status convert_heard(const char *from, lrk_merge_options o, char heard[1000],
                                lrk_err *err)
{
    fflush(stderr);
    const int kept = dup(2), file = open("heard", O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(kept >= 0 && file >= 0 && dup2(file, 2) == 2);
    const lrk_status s = convert(from, o, err);
    fflush(stderr);
    const ssize_t n = pread(file, heard, 999, 0);
    heard[n > 0 ? n : 0] = '\0';
    assert_true(dup2(kept, 2) == 2);
    close(kept);
    close(file);
    return s;
}

static void test_families(void **state)
{
    (void)state;
    write_tokenizer();
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const variant *v = &variants[i];
        char golden[300], hf[40], gguf[40], back[40], again[40], heard[1000];
        lrk_err err = {0};
        snprintf(golden, sizeof golden, GOLDEN "%s", v->golden);
        snprintf(hf, sizeof hf, "hf%zu", i);
        snprintf(gguf, sizeof gguf, "a%zu.gguf", i);
        snprintf(back, sizeof back, "back%zu", i);
        snprintf(again, sizeof again, "b%zu.gguf", i);
        const lrk_merge_options to = {.out = gguf, .gguf = true, .tokenizer = "tiny"};
        if (v->refused) {
            assert_int_not_equal(convert(golden, to, &err), LRK_OK);
            if (!strstr(err.text, v->refused)) fail_msg("%s: %s", v->golden, err.text);
            err = (lrk_err){0};
        }
        must(lrk_mkdir(hf, &err), &err, hf);
        write_weights(v, hf);
        write_config(v, hf);
        must(convert_heard(hf, to, heard, &err), &err, v->golden);
        if (v->warned ? !strstr(heard, v->warned) : heard[0] != '\0')
            fail_msg("%s: warned of '%s'", v->golden, heard);
        same_logits(hf, gguf, NULL);
        must(convert(gguf, (lrk_merge_options){.out = back}, &err), &err, gguf);
        snprintf(golden, sizeof golden, "%s/tokenizer.json", back);
        assert_true(lrk_is_file(golden)); /* made from the metadata */
        same_weights(hf, back);
        same_logits(hf, back, NULL);
        /* GGUF to GGUF: what no adapter touches stays */
        must(convert(gguf, (lrk_merge_options){.out = again, .gguf = true}, &err), &err, gguf);
        same_logits(gguf, again, NULL);
    }
}

/* What llama.cpp would compute otherwise; nothing is left of the file. */
/* Rows of an adapter follow those of a base whose order is another one. */
static void test_adapters(void **state)
{
    static const char *const cases[] = {"llama_linear", "neox"};
    (void)state;
    write_tokenizer();
    for (size_t i = 0; i < 2; i++) {
        char golden[300], adapter[320], gguf[40];
        lrk_err err = {0};
        snprintf(golden, sizeof golden, GOLDEN "%s", cases[i]);
        snprintf(adapter, sizeof adapter, "%s/adapter", golden);
        snprintf(gguf, sizeof gguf, "adapted%zu.gguf", i);
        const lrk_merge_options to = {.out = gguf, .gguf = true, .tokenizer = "tiny"};
        must(convert(golden, to, &err), &err, golden);
        same_logits(golden, gguf, adapter);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const variant wrong[] = {
        {.golden = "llama",
         .usual = "{\"hidden_act\": \"gelu\"}",
         .refused = "hidden_act is 'gelu'"},
        {.golden = "llama",
         .usual = "{\"rope_parameters\": {\"rope_type\": \"dynamic\", \"factor\": 2.0}}",
         .refused = "rope scaling 'dynamic'"},
        {.golden = "llama_yarn",
         .usual = "{\"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 4.0, "
                  "\"truncate\": false, \"original_max_position_embeddings\": 32}}",
         .refused = "truncate is false"},
        {.golden = "gemma2_odd",
         .usual = "{\"query_pre_attn_scalar\": 12, \"attn_logit_softcapping\": null}",
         .refused = "attn_logit_softcapping is null"},
        {.golden = "smollm3",
         .usual = "{\"use_sliding_window\": false}",
         .drop = "_proj.bias",
         .refused = "no_rope_layers: layer 2"},
        {.golden = "qwen3_moe",
         .usual = "{\"decoder_sparse_step\": 1, \"norm_topk_prob\": false}",
         .layers = "1 1",
         .refused = "norm_topk_prob is not true"},
        {.golden = "deepseek_v3",
         .usual =
             "{\"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 4.0, \"mscale\": 1.0, "
             "\"mscale_all_dim\": 0.8, \"original_max_position_embeddings\": 32}}",
         .refused = "mscale is 1"},
        {.golden = "deepseek_v3",
         .usual = "{\"rope_parameters\": null, \"rope_interleave\": false}",
         .refused = "rope_interleave is false"},
        {.golden = "mixtral", .drop = "experts.3.w2.weight", .refused = "other experts"},
        {.golden = "neox_sequential", .usual = "{\"hidden_act\": \"gelu\"}",
         .refused = "the head is tied to the embedding"},
        {.golden = "neox", .usual = "{\"attention_bias\": false}", .refused = "attention_bias is false"},
        {.golden = "neox", .usual = "{\"hidden_act\": \"silu\"}", .refused = "hidden_act is 'silu'"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char hf[40];
        lrk_err err = {0};
        snprintf(hf, sizeof hf, "wrong%zu", i);
        must(lrk_mkdir(hf, &err), &err, hf);
        write_weights(&wrong[i], hf);
        write_config(&wrong[i], hf);
        const lrk_merge_options to = {.out = "wrong.gguf", .gguf = true, .tokenizer = "tiny"};
        assert_int_not_equal(convert(hf, to, &err), LRK_OK);
        if (!strstr(err.text, wrong[i].refused)) fail_msg("%s: %s", wrong[i].golden, err.text);
        assert_int_equal(scratch_count("wrong.gguf"), 0);
    }
}

/* kv_b_proj with rows of 256 and heads of 64: the half that is turned has rows of 64, which are no
 * whole block of a K type. Both halves come back within what q4_k_m rounds. */
static void test_quantized_halves(void **state)
{
    (void)state;
    enum { HEADS = 4, RANK = 256, PLAIN = 64, BOTH = 128 };
    static const variant v = {
        .golden = "deepseek_v3",
        .usual = "{\"rope_parameters\": null, \"kv_lora_rank\": 256, \"qk_nope_head_dim\": 64, "
                 "\"v_head_dim\": 64}"};
    static const char name[] = "model.layers.0.self_attn.kv_b_proj.weight";
    lrk_tensor t[2] = {lrk_mat(LRK_F32, 96, 48), lrk_mat(LRK_F32, HEADS * BOTH, RANK)};
    lrk_st_writer *w = NULL;
    lrk_weights *back = NULL;
    lrk_gguf g;
    lrk_tensor view;
    lrk_err err = {0};
    float *number = calloc(HEADS * BOTH * RANK, sizeof *number);
    for (size_t i = 0; i < (size_t)HEADS * BOTH * RANK; i++)
        number[i] = (float)((i * 2654435761u) % 2001) / 1000.0f - 1.0f;
    must(lrk_mkdir("halves", &err), &err, "halves");
    must(lrk_st_create(&w, &err), &err, "halves");
    must(lrk_st_declare(w, "model.embed_tokens.weight", &t[0], &err), &err, "halves");
    must(lrk_st_declare(w, name, &t[1], &err), &err, "halves");
    must(lrk_st_begin(w, "halves/model.safetensors", &err), &err, "halves");
    for (const char *next; (next = lrk_st_next(w));)
        must(lrk_st_write(w, number, lrk_bytes(&t[strcmp(next, name) == 0]), &err), &err, next);
    must(lrk_st_commit(w, &err), &err, "halves");
    lrk_st_writer_close(w);
    write_config(&v, "halves");
    const lrk_merge_options to = {.out = "halves.gguf",
                                  .gguf = true,
                                  .tokenizer = "tiny",
                                  .type = lrk_file_type_find("q4_k_m")};
    must(convert("halves", to, &err), &err, "halves");
    must(lrk_gguf_open(&g, "halves.gguf", &err), &err, "halves.gguf");
    const lrk_gguf_info *k = lrk_gguf_tensor(&g, "blk.0.attn_k_b.weight");
    assert_true(k->dim[0] == HEADS && k->dim[1] == RANK && k->dim[2] == PLAIN);
    assert_int_equal(k->dtype, LRK_Q5_0); /* what stands in for rows that no K type fits */
    assert_int_equal(lrk_gguf_tensor(&g, "blk.0.attn_v_b.weight")->dtype, LRK_Q4_K);
    lrk_gguf_close(&g);
    must(lrk_weights_open(&back, "halves.gguf", &err), &err, "halves.gguf");
    assert_true(lrk_weights_find(back, name, &view) && view.dtype == LRK_F32);
    for (size_t i = 0; i < (size_t)HEADS * BOTH * RANK; i++) /* a step of 4 bits over -1 .. 1 */
        assert_true(fabsf(((float *)view.data)[i] - number[i]) <= 2.0f / 15);
    lrk_weights_close(back);
    free(number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_families),
                                       cmocka_unit_test(test_adapters),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_quantized_halves)};
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
