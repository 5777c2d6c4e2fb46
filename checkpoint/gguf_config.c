/* checkpoint/gguf_config.c -- config.json from the metadata of a GGUF file.
 *
 * Keys: github.com/ggml-org/llama.cpp, gguf-py/gguf/constants.py; what holds where one is absent:
 * src/models/. A key that changes the numbers of the model and is not understood here is refused by
 * name, never passed over. */
#include "checkpoint/gguf_keys.h"
#include "checkpoint/gguf_source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SIZE = 1 << 24, MAX_WIDTH = 65536, MAX_LAYERS = 1024, MAX_VOCAB = 1 << 20 };

/* Keys below the architecture that say nothing new about the numbers, or are read below. */
static const char *const known[] = {
    "vocab_size",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.key_length_mla",
    "attention.value_length_mla",
    "attention.q_lora_rank",
    "attention.scale",
    "attention.temperature_scale",
    "attention.layer_norm_rms_epsilon",
    "attention.layer_norm_epsilon",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.causal",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scale_linear",
    "rope.scaling.original_context_length",
    "rope.scaling.attn_factor",
    "rope.scaling.yarn_log_multiplier",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.finetuned",
    "use_parallel_residual",
    "tensor_data_layout",
    "expert_count",
    "expert_used_count",
    "expert_weights_norm",
    "expert_gating_func",
    "expert_group_count",
    "expert_group_used_count",
};

static bool is_known(const lrk_gguf_source *s, const char *key)
{
    for (const lrk_size_key *k = NULL; (k = lrk_size_key_next(s->arch, k));)
        if (strcmp(key, k->gguf) == 0) return true;
    for (const lrk_real_key *k = NULL; (k = lrk_real_key_next(s->arch, k));)
        if (strcmp(key, k->gguf) == 0) return true;
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
        if (strcmp(key, known[k]) == 0) return true;
    return false;
}

static lrk_status check_known(const lrk_gguf_source *s, lrk_err *err)
{
    const size_t n = strlen(s->arch->gguf);
    for (size_t i = 0; i < s->g->n_kv; i++) {
        const char *key = s->g->kv[i].key;
        if (strncmp(key, s->arch->gguf, n) != 0 || key[n] != '.') continue;
        LRK_REQUIRE(err, is_known(s, key + n + 1), LRK_ESUPPORT, "%s: key '%s' is not supported",
                    s->g->path, key);
    }
    return LRK_OK;
}

static size_t size_of(const lrk_gguf_source *s, const char *key)
{
    return (size_t)lrk_json_integer(lrk_json_get(s->out, key));
}

static lrk_status needed(const lrk_gguf_source *s, const char *key, lrk_err *err)
{
    LRK_REQUIRE(err, lrk_gguf_has(s, key), LRK_EINPUT, "%s: key '%s.%s' is missing", s->g->path,
                s->arch->gguf, key);
    return LRK_OK;
}

static lrk_status put_numbers(lrk_gguf_source *s, lrk_err *err)
{
    for (const lrk_size_key *k = NULL; (k = lrk_size_key_next(s->arch, k));) {
        size_t v = 0;
        if (k->needed) LRK_TRY(needed(s, k->gguf, err));
        LRK_TRY(lrk_gguf_size(s, k->gguf, k->needed, LRK_GGUF_MAX_CONTEXT, &v, err));
        lrk_json_set_count(s->out, k->hf, v);
    }
    for (const lrk_real_key *k = NULL; (k = lrk_real_key_next(s->arch, k));) {
        double v = k->otherwise;
        LRK_TRY(lrk_gguf_real(s, k->gguf, &v, err));
        lrk_json_set(s->out, k->hf,
                     v > 0 ? lrk_json_new_real(lrk_gguf_shortest(v)) : lrk_json_new_null());
    }
    LRK_REQUIRE(err,
                size_of(s, "hidden_size") <= MAX_WIDTH &&
                    size_of(s, "num_hidden_layers") <= MAX_LAYERS &&
                    size_of(s, "num_attention_heads") <= MAX_WIDTH &&
                    size_of(s, "intermediate_size") <= MAX_SIZE,
                LRK_EINPUT, "%s: %zu layers of width %zu with %zu heads: no such model", s->g->path,
                size_of(s, "num_hidden_layers"), size_of(s, "hidden_size"),
                size_of(s, "num_attention_heads"));
    return LRK_OK;
}

/* What the attention scale is the inverse root of: a whole number, or nearly. */
static lrk_status put_scale(lrk_gguf_source *s, size_t of_width, size_t head, lrk_err *err)
{
    const bool from_width = size_of(s, "num_hidden_layers") == s->arch->scale_from_width;
    double scale = 0;
    LRK_TRY(lrk_gguf_real(s, "attention.scale", &scale, err));
    const double scalar = scale > 0 ? 1 / (scale * scale) : (double)(from_width ? of_width : head);
    if (scalar < 1e9 && fabs(scalar - round(scalar)) <= 1e-5 * scalar)
        lrk_json_set_count(s->out, "query_pre_attn_scalar", (size_t)round(scalar));
    else
        lrk_json_set(s->out, "query_pre_attn_scalar", lrk_json_new_real(scalar));
    return LRK_OK;
}

/* The size of a head, wherever it is said; every place must agree. */
static lrk_status put_heads(lrk_gguf_source *s, lrk_err *err)
{
    const size_t heads = size_of(s, "num_attention_heads"), width = size_of(s, "hidden_size");
    size_t key_heads = heads, dim = 0, value = 0, rotary = 0;
    LRK_TRY(lrk_gguf_size(s, "attention.head_count_kv", 1, MAX_WIDTH, &key_heads, err));
    LRK_TRY(lrk_gguf_size(s, "attention.key_length", 1, MAX_WIDTH, &dim, err));
    LRK_REQUIRE(err, dim || width % heads == 0, LRK_EINPUT,
                "%s: %zu heads do not divide the width %zu, and no key says the size of a head",
                s->g->path, heads, width);
    value = rotary = dim = dim ? dim : width / heads;
    LRK_TRY(lrk_gguf_size(s, "attention.value_length", 1, MAX_WIDTH, &value, err));
    LRK_TRY(lrk_gguf_size(s, "rope.dimension_count", 1, MAX_WIDTH, &rotary, err));
    const bool whole = rotary == dim || ((s->arch->partial_rotary || s->arch->rotary_key) && rotary < dim);
    LRK_REQUIRE(
        err, value == dim && whole && dim % 2 == 0 && rotary % 2 == 0, LRK_ESUPPORT,
        "%s: heads of %zu (query, key), %zu (value) and %zu (rotary): only equal, even sizes "
        "are supported",
        s->g->path, dim, value, rotary);
    lrk_json_set_count(s->out, "num_key_value_heads", key_heads);
    lrk_json_set_count(s->out, "head_dim", dim);
    s->rotary = rotary;
    if (s->arch->partial_rotary || s->arch->rotary_key)
        lrk_json_set(s->out, s->arch->rotary_key ? s->arch->rotary_key : "partial_rotary_factor",
                     lrk_json_new_real((double)rotary / (double)dim));
    return s->arch->scale_from_width ? put_scale(s, width / heads, dim, err) : LRK_OK;
}

/* Latent attention: newer files name the sizes of whole heads ..._mla, for the plain keys describe
 * the one head of what is stored; older ones have them under the plain keys. */
static lrk_status put_latent(lrk_gguf_source *s, lrk_err *err)
{
    const bool newer = lrk_gguf_has(s, "attention.key_length_mla");
    size_t key = 0, value = 0, query_rank = 0;
    LRK_TRY(needed(s, "rope.dimension_count", err));
    LRK_TRY(lrk_gguf_size(s, "rope.dimension_count", 2, MAX_WIDTH, &s->rotary, err));
    LRK_TRY(lrk_gguf_size(s, newer ? "attention.key_length_mla" : "attention.key_length", 1,
                          MAX_WIDTH, &key, err));
    LRK_TRY(lrk_gguf_size(s, newer ? "attention.value_length_mla" : "attention.value_length", 1,
                          MAX_WIDTH, &value, err));
    LRK_REQUIRE(err, key > s->rotary && value > 0, LRK_EINPUT,
                "%s: heads of %zu (query, key), %zu of them rotary, and %zu (value): no latent "
                "attention",
                s->g->path, key, s->rotary, value);
    LRK_TRY(lrk_gguf_size(s, "attention.q_lora_rank", 0, MAX_WIDTH, &query_rank, err));
    lrk_json_set_count(s->out, "qk_nope_head_dim", key - s->rotary);
    lrk_json_set_count(s->out, "qk_rope_head_dim", s->rotary);
    lrk_json_set_count(s->out, "v_head_dim", value);
    lrk_json_set_count(s->out, "num_key_value_heads", size_of(s, "num_attention_heads"));
    lrk_json_set(s->out, "q_lora_rank",
                 query_rank ? lrk_json_new_integer((int64_t)query_rank) : lrk_json_new_null());
    if (s->arch->sigmoid) lrk_json_set(s->out, "rope_interleave", lrk_json_new_bool(true));
    return LRK_OK;
}

/* Groups of experts. A file of DeepSeek V2 that has them means the best of each, as the model does.
 */
static lrk_status put_groups(lrk_gguf_source *s, lrk_err *err)
{
    size_t groups = 1, used = 1;
    LRK_TRY(lrk_gguf_size(s, "expert_group_count", 0, MAX_WIDTH, &groups, err));
    LRK_TRY(lrk_gguf_size(s, "expert_group_used_count", 0, MAX_WIDTH, &used, err));
    lrk_json_set_count(s->out, "n_group", groups ? groups : 1);
    lrk_json_set_count(s->out, "topk_group", used ? used : 1);
    if (!s->arch->sigmoid)
        lrk_json_set_text(s->out, "topk_method", groups > 1 ? "group_limited_greedy" : "greedy");
    return LRK_OK;
}

static lrk_status put_experts(lrk_gguf_source *s, lrk_err *err)
{
    const bool width = s->arch->keys & LRK_KEYS_EXPERT_WIDTH;
    size_t n = 0, used = 0, gating = s->arch->sigmoid ? 2 : 1;
    bool normalized = !s->arch->latent;
    LRK_TRY(lrk_gguf_size(s, "expert_count", 0, 4096, &n, err));
    if (!s->arch->experts) {
        LRK_REQUIRE(err, n == 0, LRK_ESUPPORT,
                    "%s: architecture '%s' with experts is not supported", s->g->path,
                    s->arch->gguf);
        return LRK_OK;
    }
    LRK_TRY(needed(s, "expert_count", err));
    LRK_TRY(needed(s, "expert_used_count", err));
    LRK_TRY(lrk_gguf_size(s, "expert_used_count", 1, 4096, &used, err));
    LRK_TRY(lrk_gguf_size(s, "expert_gating_func", 0, 100, &gating, err));
    LRK_TRY(lrk_gguf_flag(s, "expert_weights_norm", &normalized, err));
    LRK_REQUIRE(err, gating == (s->arch->sigmoid ? 2 : 1) || gating == 0, LRK_ESUPPORT,
                "%s: key '%s.expert_gating_func' is %zu, which is not supported", s->g->path,
                s->arch->gguf, gating);
    lrk_json_set_count(s->out, s->arch->experts, n);
    lrk_json_set_count(s->out, "num_experts_per_tok", used);
    if (width && (s->arch->sigmoid || !s->arch->latent))
        lrk_json_set(s->out, "norm_topk_prob", lrk_json_new_bool(normalized));
    LRK_REQUIRE(err, !s->arch->latent || s->arch->sigmoid || !normalized, LRK_ESUPPORT,
                "%s: key '%s.expert_weights_norm' is not supported with softmax", s->g->path,
                s->arch->gguf);
    if (width && !s->arch->latent) lrk_json_set_count(s->out, "decoder_sparse_step", 1);
    return s->arch->latent ? put_groups(s, err) : LRK_OK;
}

static bool windowed(const lrk_gguf_kv *each, size_t pattern, size_t i)
{
    if (each) return lrk_gguf_number(each, i) != 0.0;
    return pattern > 1 && i % pattern < pattern - 1;
}

/* Which layers have a window, as a list. */
static lrk_status put_layer_types(lrk_gguf_source *s, lrk_err *err)
{
    char key[LRK_NAME_MAX];
    const size_t layers = size_of(s, "num_hidden_layers");
    size_t pattern = s->arch->pattern;
    snprintf(key, sizeof key, "%s.attention.sliding_window_pattern", s->arch->gguf);
    const lrk_gguf_kv *each = lrk_gguf_find(s->g, key);
    if (each && !each->array) {
        each = NULL;
        LRK_TRY(lrk_gguf_size(s, "attention.sliding_window_pattern", 1, MAX_LAYERS, &pattern, err));
    }
    LRK_REQUIRE(err, !each || (each->n == layers && each->type != LRK_GGUF_STRING), LRK_EINPUT,
                "%s: key '%s': expected %zu numbers, one for each layer", s->g->path, key, layers);
    lrk_json *list = lrk_json_array();
    for (size_t i = 0; i < layers; i++) {
        const char *type = windowed(each, pattern, i) ? "sliding_attention" : "full_attention";
        lrk_json_add(list, lrk_json_c_string(type));
    }
    lrk_json_set(s->out, "layer_types", list);
    return LRK_OK;
}

static lrk_status put_windows(lrk_gguf_source *s, lrk_err *err)
{
    size_t window = s->arch->pattern ? s->arch->window_size : 0;
    LRK_TRY(lrk_gguf_size(s, "attention.sliding_window", 0, LRK_GGUF_MAX_CONTEXT, &window, err));
    lrk_json_set(s->out, "sliding_window",
                 window ? lrk_json_new_integer((int64_t)window) : lrk_json_new_null());
    if (s->arch->no_rope_step) {
        lrk_json *list = lrk_json_array();
        for (size_t i = 0; i < size_of(s, "num_hidden_layers"); i++)
            lrk_json_add(list, lrk_json_new_integer((i + 1) % s->arch->no_rope_step != 0));
        lrk_json_set(s->out, "no_rope_layers", list);
        lrk_json_set_count(s->out, "no_rope_layer_interval", s->arch->no_rope_step);
    }
    const bool flags = lrk_gguf_has(s, "attention.sliding_window_pattern") && !s->arch->experts;
    if (s->arch->window_gate) lrk_json_set(s->out, s->arch->window_gate, lrk_json_new_bool(flags));
    return s->arch->pattern || (s->arch->window_gate && flags) ? put_layer_types(s, err) : LRK_OK;
}

static lrk_status put_token_ids(lrk_gguf_source *s, lrk_err *err)
{
    static const char *const ids[][2] = {{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                                         {"tokenizer.ggml.eos_token_id", "eos_token_id"},
                                         {"tokenizer.ggml.padding_token_id", "pad_token_id"}};
    const lrk_gguf_info *rows = lrk_gguf_tensor(s->g, "token_embd.weight");
    const lrk_gguf_kv *tokens = NULL;
    size_t vocab = 0;
    LRK_TRY(lrk_gguf_size(s, "vocab_size", 1, MAX_VOCAB, &vocab, err));
    LRK_TRY(lrk_gguf_opt_array(s->g, "tokenizer.ggml.tokens", LRK_GGUF_STRING, &tokens, err));
    if (!vocab && rows) vocab = rows->dim[0];
    if (!vocab && tokens) vocab = tokens->n;
    LRK_REQUIRE(err, vocab > 0 && vocab <= MAX_VOCAB, LRK_EINPUT,
                "%s: no key, tensor or token list says a valid size of the vocabulary", s->g->path);
    LRK_REQUIRE(err, !tokens || tokens->n == vocab, LRK_EINPUT,
                "%s: %zu tokens, but the vocabulary has %zu", s->g->path, tokens ? tokens->n : 0,
                vocab);
    lrk_json_set_count(s->out, "vocab_size", vocab);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        size_t id = 0;
        /* the reference has one of its own in mind where the key is absent */
        lrk_json_set(s->out, ids[i][1], lrk_json_new_null());
        if (!lrk_gguf_find(s->g, ids[i][0])) continue;
        LRK_TRY(lrk_gguf_opt_size(s->g, ids[i][0], 0, vocab - 1, &id, err));
        lrk_json_set_count(s->out, ids[i][1], id);
    }
    return LRK_OK;
}

static void put_bias(lrk_gguf_source *s, const char *key, const char *tensor)
{
    if (key) lrk_json_set(s->out, key, lrk_json_new_bool(lrk_gguf_tensor(s->g, tensor)));
}

static lrk_status put_parallel(lrk_gguf_source *s, lrk_err *err)
{
    bool parallel = true;
    LRK_TRY(lrk_gguf_flag(s, "use_parallel_residual", &parallel, err));
    if (s->arch->parallel) lrk_json_set(s->out, s->arch->parallel, lrk_json_new_bool(parallel));
    return LRK_OK;
}

static lrk_status put_family(lrk_gguf_source *s, lrk_err *err)
{
    const lrk_arch *a = s->arch;
    const char *eps =
        a->eps_key ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";
    double v = 0;
    lrk_json *classes = lrk_json_array();
    lrk_json_add(classes, lrk_json_c_string(a->hf));
    lrk_json_set(s->out, "architectures", classes);
    lrk_json_set_text(s->out, "model_type", a->model_type);
    lrk_json_set_text(s->out, a->activation_key ? a->activation_key : "hidden_act",
                      a->activation ? a->activation : "silu");
    LRK_TRY(needed(s, eps, err));
    LRK_TRY(lrk_gguf_real(s, eps, &v, err));
    lrk_json_set(s->out, a->eps_key ? a->eps_key : "rms_norm_eps", lrk_json_new_real(lrk_gguf_shortest(v)));
    lrk_json_set(s->out, "tie_word_embeddings",
                 lrk_json_new_bool(!lrk_gguf_tensor(s->g, "output.weight")));
    put_bias(s, a->bias, a->by_head ? "blk.0.attn_qkv.bias" : "blk.0.attn_q.bias");
    put_bias(s, a->mlp_bias, "blk.0.ffn_up.bias");
    return put_parallel(s, err);
}

/* What a file is whose architecture several families share. */
static lrk_status choose_family(lrk_gguf_source *s, lrk_err *err)
{
    size_t experts = 0, gating = 1;
    LRK_TRY(lrk_gguf_size(s, "expert_count", 0, 4096, &experts, err));
    LRK_TRY(lrk_gguf_size(s, "expert_gating_func", 0, 100, &gating, err));
    if (strcmp(s->arch->gguf, "llama") == 0) {
        if (experts)
            s->arch = lrk_arch_from_hf("MixtralForCausalLM");
        else if (lrk_gguf_has(s, "attention.sliding_window"))
            s->arch = lrk_arch_from_hf("MistralForCausalLM");
    }
    if (s->arch->latent && gating == 2) s->arch = lrk_arch_from_hf("DeepseekV3ForCausalLM");
    return LRK_OK;
}

static lrk_status convert(lrk_gguf_source *s, lrk_err *err)
{
    char text[LRK_ARCH_LIST];
    const char *name = NULL;
    LRK_TRY(lrk_gguf_opt_string(s->g, "general.architecture", &s->arena, &name, err));
    LRK_REQUIRE(err, name, LRK_EINPUT, "%s: key 'general.architecture' is missing", s->g->path);
    const char *type = NULL;
    LRK_TRY(lrk_gguf_opt_string(s->g, "general.type", &s->arena, &type, err));
    LRK_REQUIRE(err, !type || strcmp(type, "adapter") != 0, LRK_EINPUT,
                "%s: is an adapter, expected a model; lorikeet convert --adapter makes a PEFT directory of it",
                s->g->path);
    s->arch = lrk_arch_from_gguf(name);
    lrk_arch_list(text, true);
    LRK_REQUIRE(err, s->arch, LRK_ESUPPORT,
                "%s: architecture '%.40s' is not supported; known are %s", s->g->path, name, text);
    LRK_TRY(choose_family(s, err));
    LRK_TRY(check_known(s, err));
    LRK_TRY(put_family(s, err));
    LRK_TRY(put_numbers(s, err));
    LRK_TRY(s->arch->latent ? put_latent(s, err) : put_heads(s, err));
    LRK_TRY(put_experts(s, err));
    LRK_TRY(put_windows(s, err));
    LRK_TRY(lrk_gguf_put_rope(s, err));
    return put_token_ids(s, err);
}

lrk_status lrk_gguf_config(const lrk_gguf *g, lrk_json **config, lrk_err *err)
{
    lrk_gguf_source s = {
        .g = g, .out = lrk_json_object(), .arena = lrk_arena_growing("gguf config")};
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
