/* checkpoint/gguf_config.c -- config.json from the metadata of a GGUF file.
 *
 * Keys: github.com/ggml-org/llama.cpp, gguf-py/gguf/constants.py. A key that changes the numbers of
 * the model and is not understood here is refused by name, never passed over. */
#include "checkpoint/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WIDTH = 65536, MAX_LAYERS = 1024, MAX_VOCAB = 1 << 20, MAX_CONTEXT = 1 << 30 };

/* Everything a conversion needs at hand. */
typedef struct source {
    const lrk_gguf *g;
    const char *arch;
    lrk_json *out;
    lrk_arena arena;
} source;

static const struct {
    const char *gguf, *hf;
    size_t max;
    bool required;
} sizes[] = {
    {"vocab_size", "vocab_size", MAX_VOCAB, false},
    {"embedding_length", "hidden_size", MAX_WIDTH, true},
    {"feed_forward_length", "intermediate_size", 16 * MAX_WIDTH, true},
    {"block_count", "num_hidden_layers", MAX_LAYERS, true},
    {"attention.head_count", "num_attention_heads", MAX_WIDTH, true},
    {"attention.head_count_kv", "num_key_value_heads", MAX_WIDTH, false},
    {"attention.key_length", "head_dim", MAX_WIDTH, false},
    {"context_length", "max_position_embeddings", MAX_CONTEXT, true},
    {"attention.sliding_window", "sliding_window", MAX_CONTEXT, false},
};

/* Keys below the architecture that say nothing new about the numbers, or are read below. */
static const char *const known[] = {
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scale_linear",
    "rope.scaling.original_context_length",
    "rope.scaling.attn_factor",
    "rope.scaling.yarn_log_multiplier",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.finetuned",
    "attention.causal",
    "use_parallel_residual",
    "tensor_data_layout",
    "expert_count",
    "expert_used_count",
};

static void full_key(const source *s, const char *key, char out[LRK_NAME_MAX])
{
    snprintf(out, LRK_NAME_MAX, "%s.%s", s->arch, key);
}

/* The shortest decimal that is this f32: 1e-05, not 9.999999747378752e-06. */
static double shortest(double v)
{
    char text[40];
    for (int digits = 6; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        const double d = strtod(text, NULL);
        if ((float)d == (float)v) return d;
    }
    return v;
}

static lrk_status check_known(const source *s, lrk_err *err)
{
    const size_t n = strlen(s->arch);
    for (size_t i = 0; i < s->g->n_kv; i++) {
        const char *key = s->g->kv[i].key;
        bool found = false;
        if (strncmp(key, s->arch, n) != 0 || key[n] != '.') continue;
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
            found = found || strcmp(key + n + 1, sizes[k].gguf) == 0;
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
            found = found || strcmp(key + n + 1, known[k]) == 0;
        LRK_REQUIRE(err, found, LRK_ESUPPORT, "%s: key '%s' is not supported", s->g->path, key);
    }
    return LRK_OK;
}

static lrk_status put_sizes(source *s, lrk_err *err)
{
    char key[LRK_NAME_MAX];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t v = 0;
        full_key(s, sizes[i].gguf, key);
        if (!lrk_gguf_find(s->g, key)) {
            LRK_REQUIRE(err, !sizes[i].required, LRK_EINPUT, "%s: key '%s' is missing", s->g->path,
                        key);
            continue;
        }
        LRK_TRY(lrk_gguf_opt_size(s->g, key, 1, sizes[i].max, &v, err));
        lrk_json_set(s->out, sizes[i].hf, lrk_json_new_integer((int64_t)v));
    }
    return LRK_OK;
}

/* head_dim, wherever it is said; every place must agree. */
static lrk_status put_head_dim(source *s, lrk_err *err)
{
    char key[LRK_NAME_MAX];
    const size_t heads = (size_t)lrk_json_integer(lrk_json_get(s->out, "num_attention_heads"));
    const size_t width = (size_t)lrk_json_integer(lrk_json_get(s->out, "hidden_size"));
    size_t dim = (size_t)lrk_json_integer(lrk_json_get(s->out, "head_dim"));
    LRK_REQUIRE(err, dim || width % heads == 0, LRK_EINPUT,
                "%s: %zu heads do not divide the width %zu, and no key says the size of a head",
                s->g->path, heads, width);
    if (!dim) dim = width / heads;
    size_t value = dim, rotary = dim, experts = 0;
    full_key(s, "attention.value_length", key);
    LRK_TRY(lrk_gguf_opt_size(s->g, key, 1, MAX_WIDTH, &value, err));
    full_key(s, "rope.dimension_count", key);
    LRK_TRY(lrk_gguf_opt_size(s->g, key, 1, MAX_WIDTH, &rotary, err));
    full_key(s, "expert_count", key);
    LRK_TRY(lrk_gguf_opt_size(s->g, key, 0, 4096, &experts, err));
    LRK_REQUIRE(
        err, value == dim && rotary == dim && dim % 2 == 0, LRK_ESUPPORT,
        "%s: heads of %zu (query, key), %zu (value) and %zu (rotary): only equal, even sizes "
        "are supported",
        s->g->path, dim, value, rotary);
    LRK_REQUIRE(err, experts == 0, LRK_ESUPPORT, "%s: mixtures of experts are not supported",
                s->g->path);
    lrk_json_set(s->out, "head_dim", lrk_json_new_integer((int64_t)dim));
    return LRK_OK;
}

static lrk_status put_real(source *s, const char *from, lrk_json *into, const char *to,
                           lrk_err *err)
{
    char key[LRK_NAME_MAX];
    double v = 0;
    full_key(s, from, key);
    if (!lrk_gguf_find(s->g, key)) return LRK_OK;
    LRK_TRY(lrk_gguf_opt_real(s->g, key, &v, err));
    lrk_json_set(into, to, lrk_json_new_real(shortest(v)));
    return LRK_OK;
}

static lrk_status put_rope(source *s, lrk_err *err)
{
    char key[LRK_NAME_MAX];
    const char *type = "none";
    double linear = 1;
    size_t original = 0;
    lrk_json_set(s->out, "rope_theta", lrk_json_new_real(10000.0)); /* llama.cpp's default */
    LRK_TRY(put_real(s, "rope.freq_base", s->out, "rope_theta", err));
    full_key(s, "rope.scale_linear", key);
    LRK_TRY(lrk_gguf_opt_real(s->g, key, &linear, err));
    full_key(s, "rope.scaling.type", key);
    LRK_TRY(lrk_gguf_opt_string(s->g, key, &s->arena, &type, err));
    if (strcmp(type, "none") == 0 && linear == 1) return LRK_OK;

    lrk_json *rope = lrk_json_object();
    lrk_json_set(s->out, "rope_scaling", rope);
    if (strcmp(type, "none") == 0) type = "linear";
    lrk_json_set(rope, "rope_type", lrk_json_new_string(type, strlen(type)));
    lrk_json_set(rope, "factor", lrk_json_new_real(shortest(linear)));
    LRK_TRY(put_real(s, "rope.scaling.factor", rope, "factor", err));
    LRK_TRY(put_real(s, "rope.scaling.attn_factor", rope, "attention_factor", err));
    LRK_TRY(put_real(s, "rope.scaling.yarn_beta_fast", rope, "beta_fast", err));
    LRK_TRY(put_real(s, "rope.scaling.yarn_beta_slow", rope, "beta_slow", err));
    full_key(s, "rope.scaling.original_context_length", key);
    LRK_TRY(lrk_gguf_opt_size(s->g, key, 1, MAX_CONTEXT, &original, err));
    if (original)
        lrk_json_set(rope, "original_max_position_embeddings",
                     lrk_json_new_integer((int64_t)original));
    return LRK_OK;
}

static lrk_status put_token_ids(source *s, lrk_err *err)
{
    static const char *const ids[][2] = {{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                                         {"tokenizer.ggml.eos_token_id", "eos_token_id"},
                                         {"tokenizer.ggml.padding_token_id", "pad_token_id"}};
    const lrk_gguf_info *rows = lrk_gguf_tensor(s->g, "token_embd.weight");
    const lrk_gguf_kv *tokens = NULL;
    size_t vocab = (size_t)lrk_json_integer(lrk_json_get(s->out, "vocab_size"));
    LRK_TRY(lrk_gguf_opt_array(s->g, "tokenizer.ggml.tokens", LRK_GGUF_STRING, &tokens, err));
    if (!vocab && rows) vocab = rows->dim[0];
    if (!vocab && tokens) vocab = tokens->n;
    LRK_REQUIRE(err, vocab > 0 && vocab <= MAX_VOCAB, LRK_EINPUT,
                "%s: no key, tensor or token list says a valid size of the vocabulary", s->g->path);
    LRK_REQUIRE(err, !tokens || tokens->n == vocab, LRK_EINPUT,
                "%s: %zu tokens, but the vocabulary has %zu", s->g->path, tokens ? tokens->n : 0,
                vocab);
    lrk_json_set(s->out, "vocab_size", lrk_json_new_integer((int64_t)vocab));
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        size_t id = 0;
        if (!lrk_gguf_find(s->g, ids[i][0])) continue;
        LRK_TRY(lrk_gguf_opt_size(s->g, ids[i][0], 0, vocab - 1, &id, err));
        lrk_json_set(s->out, ids[i][1], lrk_json_new_integer((int64_t)id));
    }
    return LRK_OK;
}

static bool has_bias(const lrk_gguf *g, const char *name)
{
    return lrk_gguf_tensor(g, name) != NULL;
}

static lrk_status convert(source *s, lrk_err *err)
{
    char text[200], key[LRK_NAME_MAX];
    LRK_TRY(lrk_gguf_opt_string(s->g, "general.architecture", &s->arena, &s->arch, err));
    LRK_REQUIRE(err, s->arch, LRK_EINPUT, "%s: key 'general.architecture' is missing", s->g->path);
    const lrk_arch *arch = lrk_arch_from_gguf(s->arch);
    lrk_arch_list(text, sizeof text, true);
    LRK_REQUIRE(err, arch, LRK_ESUPPORT, "%s: architecture '%.40s' is not supported; known are %s",
                s->g->path, s->arch, text);
    LRK_TRY(check_known(s, err));
    full_key(s, "attention.sliding_window", key);
    /* only Mistral among those called "llama" has a window */
    if (arch->permuted_qk && lrk_gguf_find(s->g, key))
        arch = lrk_arch_from_hf("MistralForCausalLM");
    lrk_json *classes = lrk_json_array();
    lrk_json_add(classes, lrk_json_new_string(arch->hf, strlen(arch->hf)));
    lrk_json_set(s->out, "architectures", classes);
    lrk_json_set(s->out, "model_type",
                 lrk_json_new_string(arch->model_type, strlen(arch->model_type)));
    lrk_json_set(s->out, "hidden_act", lrk_json_new_string("silu", 4));
    LRK_TRY(put_sizes(s, err));
    if (!lrk_json_get(s->out, "num_key_value_heads"))
        lrk_json_set(s->out, "num_key_value_heads",
                     lrk_json_ref(lrk_json_get(s->out, "num_attention_heads")));
    LRK_TRY(put_head_dim(s, err));
    full_key(s, "attention.layer_norm_rms_epsilon", key);
    LRK_REQUIRE(err, lrk_gguf_find(s->g, key), LRK_EINPUT, "%s: key '%s' is missing", s->g->path,
                key);
    LRK_TRY(put_real(s, "attention.layer_norm_rms_epsilon", s->out, "rms_norm_eps", err));
    LRK_TRY(put_rope(s, err));
    LRK_TRY(put_token_ids(s, err));
    lrk_json_set(s->out, "tie_word_embeddings",
                 lrk_json_new_bool(!lrk_gguf_tensor(s->g, "output.weight")));
    if (arch->permuted_qk) {
        lrk_json_set(s->out, "attention_bias",
                     lrk_json_new_bool(has_bias(s->g, "blk.0.attn_q.bias")));
        lrk_json_set(s->out, "mlp_bias", lrk_json_new_bool(has_bias(s->g, "blk.0.ffn_up.bias")));
    }
    return LRK_OK;
}

lrk_status lrk_gguf_config(const lrk_gguf *g, lrk_json **config, lrk_err *err)
{
    source s = {.g = g, .out = lrk_json_object(), .arena = lrk_arena_growing("gguf config")};
    lrk_status status =
        s.out ? convert(&s, err) : lrk_fail(err, LRK_ENOMEM, "memory: no room for a configuration");
    lrk_arena_free(&s.arena);
    if (status == LRK_OK) {
        *config = s.out;
    } else {
        lrk_json_free(s.out);
    }
    return status;
}
