/* checkpoint/gguf_from_hf.c -- the keys of a GGUF model from config.json.
 *
 * What GGUF has no place for is refused by name, and so is what llama.cpp does not load
 * (gguf_loads.c). What it loads and does not follow for this architecture is written, as its own
 * converter does, with a warning: the file describes the model, and our reader takes it so.
 * Facts: github.com/ggml-org/llama.cpp, conversion/ and src/models/. */
#include "checkpoint/merge_tensor.h"

#include "base/file.h"
#include "base/log.h"
#include "checkpoint/gguf_keys.h"
#include "checkpoint/gguf_source.h"
#include "checkpoint/gguf_target.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* ---- rope ---- */

static const lrk_json *object(const lrk_json *parent, const char *key)
{
    const lrk_json *v = lrk_json_get(parent, key);
    return lrk_json_is(v, LRK_JSON_OBJECT) ? v : NULL;
}

const lrk_json *lrk_rope_object(const lrk_json *config)
{
    const lrk_json *v = object(config, "rope_parameters"), *scaling = object(config, "rope_scaling");
    const lrk_json *global = object(v, "full_attention");
    return lrk_json_size(scaling) ? scaling : global ? global : v;
}

const char *lrk_rope_type(const lrk_json *config)
{
    const lrk_json *rope = lrk_rope_object(config);
    const char *type = lrk_json_string(lrk_json_get(rope, "rope_type"), NULL);
    if (!type) type = lrk_json_string(lrk_json_get(rope, "type"), NULL);
    return type ? type : "default";
}

lrk_status lrk_rope_real(const lrk_json *config, const char *key, double *out, lrk_err *err)
{
    const lrk_json *rope = lrk_rope_object(config);
    const lrk_json *global = object(object(config, "rope_parameters"), "full_attention");
    LRK_TRY(lrk_json_opt_real(config, key, out, "config.json", err));
    if (global) LRK_TRY(lrk_json_opt_real(global, key, out, "config.json", err));
    return rope ? lrk_json_opt_real(rope, key, out, "config.json", err) : LRK_OK;
}

static lrk_status rope_theta(const lrk_json *config, double otherwise, double *theta, lrk_err *err)
{
    *theta = otherwise;
    LRK_TRY(lrk_rope_real(config, "rope_theta", theta, err));
    LRK_REQUIRE(err, *theta > 0, LRK_EINPUT, "config.json: rope_theta is missing or not positive");
    return LRK_OK;
}

lrk_status lrk_llama3_factors(const lrk_json *config, size_t head_dim, float *out, size_t *n,
                              lrk_err *err)
{
    const lrk_json *rope = lrk_rope_object(config);
    double theta, factor = 0, low = 1, high = 4, original = 0;
    *n = 0;
    if (strcmp(lrk_rope_type(config), "llama3") != 0) return LRK_OK;
    LRK_REQUIRE(err, head_dim / 2 <= LRK_MAX_HALF_HEAD, LRK_ESUPPORT,
                "config.json: heads of %zu are not supported", head_dim);
    LRK_TRY(rope_theta(config, 10000, &theta, err));
    LRK_TRY(lrk_json_opt_real(rope, "factor", &factor, "config.json", err));
    LRK_TRY(lrk_json_opt_real(rope, "low_freq_factor", &low, "config.json", err));
    LRK_TRY(lrk_json_opt_real(rope, "high_freq_factor", &high, "config.json", err));
    LRK_TRY(
        lrk_json_opt_real(rope, "original_max_position_embeddings", &original, "config.json", err));
    LRK_REQUIRE(
        err, factor > 0 && low > 0 && high > low && original > 0, LRK_EINPUT,
        "config.json: rope scaling llama3 needs factor, original_max_position_embeddings and "
        "low_freq_factor below high_freq_factor");
    for (size_t i = 0; i < head_dim / 2; i++) {
        const double freq = pow(theta, -2.0 * (double)i / (double)head_dim);
        const double length = 2 * pi / freq, s = (original / length - low) / (high - low);
        double divisor = 1 / ((1 - s) / factor + s);
        if (length < original / high) divisor = 1;
        if (length > original / low) divisor = factor;
        out[i] = (float)divisor;
    }
    *n = head_dim / 2;
    return LRK_OK;
}

static bool is_longrope(const lrk_json *config, const lrk_arch *arch)
{
    const char *type = lrk_rope_type(config);
    const bool older = strcmp(type, "su") == 0 || strcmp(type, "yarn") == 0;
    return strcmp(type, "longrope") == 0 || (arch->partial_rotary && older);
}

lrk_status lrk_longrope_factors(const lrk_json *config, const lrk_arch *arch, const char *key,
                                float *out, size_t *n, lrk_err *err)
{
    const lrk_json *list = lrk_json_get(lrk_rope_object(config), key);
    *n = 0;
    if (!is_longrope(config, arch)) return LRK_OK;
    LRK_REQUIRE(err, lrk_json_is(list, LRK_JSON_ARRAY) && lrk_json_size(list) <= LRK_MAX_HALF_HEAD,
                LRK_EINPUT, "config.json: rope scaling longrope: %s: expected a list of numbers",
                key);
    *n = lrk_json_size(list);
    for (size_t i = 0; i < *n; i++) out[i] = (float)lrk_json_number(lrk_json_at(list, i));
    return LRK_OK;
}

static void full_key(const lrk_gguf_target *t, const char *key, char out[LRK_NAME_MAX])
{
    snprintf(out, LRK_NAME_MAX, "%s.%s", t->arch->gguf, key);
}

static void put_real(const lrk_gguf_target *t, const char *key, double v)
{
    char full[LRK_NAME_MAX];
    full_key(t, key, full);
    lrk_gguf_put_f32(t->w, full, (float)v);
}

static void put_size(const lrk_gguf_target *t, const char *key, size_t v)
{
    char full[LRK_NAME_MAX];
    full_key(t, key, full);
    lrk_gguf_put_u32(t->w, full, (uint32_t)v);
}

/* A number of config.json, or one made of such, that is to be whole. */
static lrk_status put_whole(const lrk_gguf_target *t, const char *key, double v, lrk_err *err)
{
    LRK_REQUIRE(err, v >= 1 && v <= INT32_MAX, LRK_EINPUT, "%s: config.json: %s would be %g", t->path, key, v);
    put_size(t, key, (size_t)v);
    return LRK_OK;
}

static void put_type(const lrk_gguf_target *t, const char *type)
{
    char full[LRK_NAME_MAX];
    full_key(t, "rope.scaling.type", full);
    lrk_gguf_put_string(t->w, full, type, strlen(type));
}

/* The file says what the model does, and this reader of it does something else. */
static void not_followed(const lrk_gguf_target *t, const char *key, double says, double computes)
{
    lrk_warn("%s: config.json: %s is %g, which the file says, but llama.cpp computes %s with %g: "
             "numbers come out differently there",
             t->path, key, says, t->arch->gguf, computes);
}

/* What config.json must say where GGUF has no key and llama.cpp assumes it. */
static lrk_status must_be(const lrk_gguf_target *t, const char *key, double value, double otherwise,
                          lrk_err *err)
{
    double v = otherwise;
    LRK_TRY(lrk_rope_real(t->config, key, &v, err));
    LRK_REQUIRE(
        err, v == value, LRK_ESUPPORT,
        "%s: config.json: %s is %g; GGUF has no place for it, and llama.cpp computes with %g",
        t->path, key, v, value);
    return LRK_OK;
}

/* A number of yarn that is `usual` nearly always, so much that llama.cpp reads no key. */
static lrk_status put_beta(const lrk_gguf_target *t, const char *key, const char *gguf, double usual,
                           lrk_err *err)
{
    double v = usual;
    LRK_TRY(lrk_rope_real(t->config, key, &v, err));
    if (v == usual) return LRK_OK;
    put_real(t, gguf, v);
    not_followed(t, key, v, usual);
    return LRK_OK;
}

static lrk_status put_yarn(const lrk_gguf_target *t, double factor, double original, lrk_err *err)
{
    double scale = 0, all = 0;
    bool truncate = true;
    LRK_TRY(put_beta(t, "beta_fast", "rope.scaling.yarn_beta_fast", 32, err));
    LRK_TRY(put_beta(t, "beta_slow", "rope.scaling.yarn_beta_slow", 1, err));
    LRK_TRY(lrk_json_opt_bool(lrk_rope_object(t->config), "truncate", &truncate, "config.json", err));
    LRK_REQUIRE(err, truncate, LRK_ESUPPORT,
                "%s: config.json: truncate is false; GGUF has no place for it", t->path);
    LRK_TRY(lrk_rope_real(t->config, "attention_factor", &scale, err));
    LRK_TRY(lrk_rope_real(t->config, "mscale_all_dim", &all, err));
    put_type(t, "yarn");
    put_real(t, "rope.scaling.factor", factor);
    LRK_TRY(put_whole(t, "rope.scaling.original_context_length", original, err));
    if (t->arch->latent) {
        LRK_REQUIRE(err, all > 0 && scale == 0, LRK_ESUPPORT,
                    "%s: config.json: yarn of latent attention needs mscale_all_dim, and no "
                    "attention_factor, to be written as GGUF",
                    t->path);
        LRK_TRY(must_be(t, "mscale", all, 0, err));
        put_real(t, "rope.scaling.yarn_log_multiplier", 0.1 * all);
    } else {
        double m = 0;
        LRK_TRY(lrk_rope_real(t->config, "mscale", &m, err));
        if (scale <= 0 && m > 0 && all > 0) {
            if (t->arch->temperature && m == 1) { /* as its converter does, for versions that read no other key */
                put_real(t, "rope.scaling.yarn_log_multiplier", all);
                return LRK_OK;
            }
            scale = lrk_gguf_mscale(factor, m) / lrk_gguf_mscale(factor, all);
        }
    }
    if (scale > 0) put_real(t, "rope.scaling.attn_factor", scale / lrk_gguf_mscale(factor, 1));
    return LRK_OK;
}

static lrk_status put_scaling(const lrk_gguf_target *t, lrk_err *err)
{
    const char *type = lrk_rope_type(t->config);
    const double max = lrk_json_number(lrk_json_get(t->config, "max_position_embeddings"));
    double factor = 0, original = 0, scale = 0;
    LRK_TRY(lrk_rope_real(t->config, "factor", &factor, err));
    LRK_TRY(lrk_rope_real(t->config, "attention_factor", &scale, err));
    if (lrk_rope_object(t->config) && !t->arch->partial_rotary)
        LRK_TRY(lrk_json_opt_real(lrk_rope_object(t->config), "original_max_position_embeddings",
                                  &original, "config.json", err));
    LRK_TRY(lrk_json_opt_real(t->config, "original_max_position_embeddings", &original,
                              "config.json", err));
    if (original <= 0) original = t->arch->partial_rotary ? 4096 : max;
    if (is_longrope(t->config, t->arch)) {
        if (scale <= 0)
            scale = lrk_gguf_longrope_scale(factor > 0 ? factor * original : max, original);
        put_type(t, "longrope");
        put_real(t, "rope.scaling.attn_factor", scale);
        lrk_warn("%s: config.json: longrope: llama.cpp takes long_factor for every document once its context is "
                 "above %g tokens; the model itself takes it for documents beyond that alone",
                 t->path, original);
    }
    if (t->arch->partial_rotary)
        LRK_TRY(put_whole(t, "rope.scaling.original_context_length", original, err));
    /* llama3 is a tensor of divisors, not a key */
    if (strcmp(type, "default") == 0 || strcmp(type, "llama3") == 0) return LRK_OK;
    if (is_longrope(t->config, t->arch)) return LRK_OK;
    const bool yarn = strcmp(type, "yarn") == 0;
    LRK_REQUIRE(err, yarn || strcmp(type, "linear") == 0, LRK_ESUPPORT,
                "config.json: rope scaling '%.40s' cannot be written as GGUF here; known are "
                "default, linear, llama3, yarn and longrope",
                type);
    if (factor <= 0 && yarn) factor = max / original;
    LRK_REQUIRE(err, factor > 0, LRK_EINPUT, "config.json: factor of the rope scaling is missing");
    if (yarn) return put_yarn(t, factor, original, err);
    put_type(t, "linear");
    put_real(t, "rope.scaling.factor", factor);
    return LRK_OK;
}

/* Queries that grow with their position: llama.cpp counts in steps of the original length. */
static lrk_status put_temperature(const lrk_gguf_target *t, lrk_err *err)
{
    double beta = 0, original = 0;
    if (!t->arch->temperature) return LRK_OK;
    LRK_TRY(lrk_rope_real(t->config, "llama_4_scaling_beta", &beta, err));
    LRK_TRY(lrk_rope_real(t->config, "original_max_position_embeddings", &original, err));
    if (beta == 0) return LRK_OK;
    put_real(t, "attention.temperature_scale", beta);
    if (strcmp(lrk_rope_type(t->config), "yarn") != 0)
        LRK_TRY(put_whole(t, "rope.scaling.original_context_length", original, err));
    return LRK_OK;
}

static lrk_status put_rope(const lrk_gguf_target *t, lrk_err *err)
{
    double theta, local = 10000, otherwise = t->arch->theta > 0 ? t->arch->theta : 10000;
    if (t->arch->theta_key)
        LRK_TRY(lrk_json_opt_real(t->config, t->arch->theta_key, &otherwise, t->path, err));
    LRK_TRY(rope_theta(t->config, otherwise, &theta, err));
    put_real(t, "rope.freq_base", theta);
    if (t->arch->local_rope) {
        const lrk_json *sliding = object(object(t->config, "rope_parameters"), "sliding_attention");
        LRK_TRY(lrk_json_opt_real(t->config, "rope_local_base_freq", &local, t->path, err));
        if (sliding) LRK_TRY(lrk_json_opt_real(sliding, "rope_theta", &local, t->path, err));
        put_real(t, "rope.freq_base_swa", local);
    }
    LRK_TRY(put_temperature(t, err));
    return put_scaling(t, err);
}

/* ---- sizes and numbers ---- */

static lrk_status need_size(const lrk_gguf_target *t, const char *key, size_t *out, lrk_err *err)
{
    *out = 0;
    LRK_TRY(lrk_json_opt_size(t->config, key, 1, INT32_MAX, out, t->path, err));
    LRK_REQUIRE(err, *out, LRK_EINPUT, "%s: config.json: %s is missing", t->path, key);
    return LRK_OK;
}

static lrk_status put_numbers(const lrk_gguf_target *t, lrk_err *err)
{
    for (const lrk_size_key *k = NULL; (k = lrk_size_key_next(t->arch, k));) {
        size_t v = 0;
        if (k->needed) LRK_TRY(need_size(t, k->hf, &v, err));
        LRK_TRY(lrk_json_opt_size(t->config, k->hf, 0, INT32_MAX, &v, t->path, err));
        put_size(t, k->gguf, v);
    }
    for (const lrk_real_key *k = NULL; (k = lrk_real_key_next(t->arch, k));) {
        const lrk_json *v = lrk_json_get(t->config, k->hf);
        double value = lrk_json_is(v, LRK_JSON_NULL) ? 0 : k->otherwise;
        LRK_TRY(lrk_json_opt_real(t->config, k->hf, &value, t->path, err));
        if (value > 0 || k->otherwise > 0) put_real(t, k->gguf, value);
    }
    return LRK_OK;
}

static lrk_status put_heads(lrk_gguf_target *t, lrk_err *err)
{
    const bool absent = !lrk_json_get(t->config, "num_key_value_heads");
    size_t key_heads = absent && t->arch->key_heads ? t->arch->key_heads : t->heads;
    double share = t->arch->rotary_key ? t->arch->rotary : 1, scalar = (double)t->arch->head_size;
    LRK_TRY(lrk_json_opt_size(t->config, "num_key_value_heads", 1, INT32_MAX, &key_heads, t->path,
                              err));
    if (t->arch->rotary_key)
        LRK_TRY(lrk_json_opt_real(t->config, t->arch->rotary_key, &share, t->path, err));
    LRK_TRY(lrk_rope_real(t->config, "partial_rotary_factor", &share, err));
    put_size(t, "attention.head_count_kv", key_heads);
    put_size(t, "attention.key_length", t->head_dim);
    put_size(t, "attention.value_length", t->head_dim);
    LRK_REQUIRE(err, share == 1 || t->arch->partial_rotary || t->arch->rotary_key, LRK_ESUPPORT,
                "%s: config.json: partial_rotary_factor %g is not supported for %s", t->path, share,
                t->arch->hf);
    LRK_TRY(put_whole(t, "rope.dimension_count", (double)t->head_dim * share, err));
    if (!t->arch->scale_from_width) return LRK_OK;
    const bool from_width = t->layers == t->arch->scale_from_width;
    const size_t usual = from_width ? t->width / t->heads : t->head_dim;
    LRK_TRY(lrk_json_opt_real(t->config, "query_pre_attn_scalar", &scalar, t->path, err));
    LRK_REQUIRE(err, scalar > 0, LRK_EINPUT,
                "%s: config.json: query_pre_attn_scalar is not positive", t->path);
    if (scalar == (double)usual) return LRK_OK;
    put_real(t, "attention.scale", 1 / sqrt(scalar));
    not_followed(t, "query_pre_attn_scalar", scalar, (double)usual);
    return LRK_OK;
}

/* The stored matrices make one wide head; the sizes of whole heads have names of their own. */
static lrk_status put_latent(const lrk_gguf_target *t, lrk_err *err)
{
    size_t plain, rotary, value, rank, query_rank = 0;
    bool interleave = true;
    LRK_TRY(need_size(t, "qk_nope_head_dim", &plain, err));
    LRK_TRY(need_size(t, "qk_rope_head_dim", &rotary, err));
    LRK_TRY(need_size(t, "v_head_dim", &value, err));
    LRK_TRY(need_size(t, "kv_lora_rank", &rank, err));
    LRK_TRY(lrk_json_opt_size(t->config, "q_lora_rank", 0, INT32_MAX, &query_rank, t->path, err));
    LRK_TRY(lrk_json_opt_bool(t->config, "rope_interleave", &interleave, t->path, err));
    LRK_REQUIRE(err, interleave, LRK_ESUPPORT,
                "%s: config.json: rope_interleave is false; GGUF has no place for it", t->path);
    put_size(t, "attention.head_count_kv", 1);
    put_size(t, "attention.key_length", rank + rotary);
    put_size(t, "attention.value_length", rank);
    put_size(t, "attention.key_length_mla", plain + rotary);
    put_size(t, "attention.value_length_mla", value);
    put_size(t, "attention.q_lora_rank", query_rank); /* 0: none; llama.cpp wants the key */
    put_size(t, "rope.dimension_count", rotary);
    return LRK_OK;
}

static lrk_status put_groups(const lrk_gguf_target *t, lrk_err *err)
{
    const char *method = "greedy";
    size_t groups, used;
    LRK_TRY(lrk_json_opt_string(t->config, "topk_method", &method, t->path, err));
    put_size(t, "expert_gating_func", t->arch->sigmoid ? 2 : 1);
    if (!t->arch->sigmoid && strcmp(method, "greedy") == 0) return LRK_OK;
    LRK_REQUIRE(err, !t->arch->sigmoid || lrk_json_get(t->config, "routed_scaling_factor"),
                LRK_EINPUT, "%s: config.json: routed_scaling_factor is missing", t->path);
    LRK_TRY(need_size(t, "n_group", &groups, err));
    LRK_TRY(need_size(t, "topk_group", &used, err));
    if (used == groups) return LRK_OK; /* no choice of groups, and llama.cpp ends at such keys */
    put_size(t, "expert_group_count", groups);
    put_size(t, "expert_group_used_count", used);
    if (!t->arch->sigmoid)
        lrk_warn(
            "%s: config.json: topk_method is %.40s; llama.cpp chooses groups of experts by the "
            "sum of their best two, this model by the best one: numbers come out differently "
            "there",
            t->path, method);
    return LRK_OK;
}

static lrk_status put_experts(const lrk_gguf_target *t, lrk_err *err)
{
    const lrk_arch *a = t->arch;
    const lrk_json *dense = lrk_json_get(t->config, "mlp_only_layers");
    size_t n, used, step = 1;
    bool normalized = a->sigmoid;
    if (!a->experts) return LRK_OK;
    const char *key = lrk_json_get(t->config, a->experts) ? a->experts : "num_local_experts";
    LRK_TRY(need_size(t, key, &n, err));
    used = a->experts_used;
    if (!used || lrk_json_get(t->config, "num_experts_per_tok"))
        LRK_TRY(need_size(t, "num_experts_per_tok", &used, err));
    put_size(t, "expert_count", n);
    put_size(t, "expert_used_count", used);
    if (!(a->keys & LRK_KEYS_EXPERT_WIDTH)) return LRK_OK;
    LRK_TRY(lrk_json_opt_bool(t->config, "norm_topk_prob", &normalized, t->path, err));
    if (a->sigmoid) {
        char full[LRK_NAME_MAX];
        full_key(t, "expert_weights_norm", full);
        lrk_gguf_put_bool(t->w, full, normalized);
    }
    if (a->latent) return put_groups(t, err);
    LRK_TRY(lrk_json_opt_size(t->config, "decoder_sparse_step", 1, INT32_MAX, &step, t->path, err));
    LRK_REQUIRE(
        err, normalized && step == 1 && lrk_json_size(dense) == 0, LRK_ESUPPORT,
        "%s: config.json: %s; llama.cpp computes %s with experts in every layer, their shares "
        "normalized",
        t->path,
        step != 1     ? "decoder_sparse_step is not 1"
        : !normalized ? "norm_topk_prob is not true"
                      : "mlp_only_layers is not empty",
        a->gguf);
    return LRK_OK;
}

/* ---- windows ---- */

/* Whether layer i has a window: as layer_types says, else by the family's rule. */
static bool windowed(const lrk_gguf_target *t, size_t pattern, size_t from, size_t i)
{
    const lrk_json *types = lrk_json_get(t->config, "layer_types");
    const bool listed = lrk_json_is(types, LRK_JSON_ARRAY);
    if (!listed && t->arch->no_rope_step) return (i + 1) % t->arch->no_rope_step == 0;
    if (!listed) return t->arch->pattern ? (i + 1) % pattern != 0 : i >= from;
    const char *type = lrk_json_string(lrk_json_at(types, i), NULL);
    return type && strcmp(type, "sliding_attention") == 0;
}

/* Flags of layers, where they are not what llama.cpp takes them to be. */
static lrk_status put_pattern(const lrk_gguf_target *t, lrk_err *err)
{
    size_t pattern = t->arch->pattern, from = 28;
    int32_t flag[1024];
    bool usual = t->arch->pattern, any = false;
    char full[LRK_NAME_MAX];
    LRK_TRY(lrk_json_opt_size(t->config, "sliding_window_pattern", 1, INT32_MAX, &pattern, t->path,
                              err));
    LRK_TRY(lrk_json_opt_size(t->config, "max_window_layers", 0, INT32_MAX, &from, t->path, err));
    LRK_REQUIRE(err, t->layers <= 1024, LRK_ESUPPORT, "%s: %zu layers", t->path, t->layers);
    for (size_t i = 0; i < t->layers; i++) {
        flag[i] = windowed(t, pattern, from, i);
        any = any || flag[i];
        usual = usual && flag[i] == ((i + 1) % t->arch->pattern != 0);
    }
    LRK_REQUIRE(err, any || !t->arch->pattern, LRK_ESUPPORT,
                "%s: config.json: no layer has a window; llama.cpp loads %s with some only", t->path, t->arch->gguf);
    full_key(t, "attention.sliding_window_pattern", full);
    if (!usual) lrk_gguf_put_i32s(t->w, full, flag, t->layers);
    return LRK_OK;
}

/* Layers without rope have no key: each n-th has none. */
static lrk_status check_no_rope(const lrk_gguf_target *t, lrk_err *err)
{
    const lrk_json *list = lrk_json_get(t->config, "no_rope_layers");
    size_t step = t->arch->no_rope_step;
    if (!step) return LRK_OK;
    if (!lrk_json_is(list, LRK_JSON_ARRAY))
        LRK_TRY(lrk_json_opt_size(t->config, "no_rope_layer_interval", 1, INT32_MAX, &step, t->path,
                                  err));
    for (size_t i = 0; i < t->layers; i++) {
        const bool rope = lrk_json_is(list, LRK_JSON_ARRAY)
                              ? lrk_json_number(lrk_json_at(list, i)) > 0
                              : (i + 1) % step != 0;
        LRK_REQUIRE(
            err, rope == ((i + 1) % t->arch->no_rope_step != 0), LRK_ESUPPORT,
            "%s: config.json: no_rope_layers: layer %zu; llama.cpp computes each layer with "
            "rope but every %zuth",
            t->path, i, t->arch->no_rope_step);
    }
    return LRK_OK;
}

static lrk_status put_windows(const lrk_gguf_target *t, lrk_err *err)
{
    size_t window = t->arch->pattern ? t->arch->window_size : 0;
    bool gate = false;
    if (t->arch->window_gate) {
        LRK_TRY(lrk_json_opt_bool(t->config, t->arch->window_gate, &gate, t->path, err));
        LRK_REQUIRE(err, !gate || !t->arch->experts, LRK_ESUPPORT,
                    "%s: config.json: %s; GGUF has no place for it with %s", t->path,
                    t->arch->window_gate, t->arch->gguf);
        if (!gate) return LRK_OK;
    }
    if (lrk_json_is(lrk_json_get(t->config, "sliding_window"), LRK_JSON_NULL)) window = 0;
    LRK_TRY(lrk_json_opt_size(t->config, "sliding_window", 1, INT32_MAX, &window, t->path, err));
    if (window || t->arch->partial_rotary) put_size(t, "attention.sliding_window", window);
    if (!window) return LRK_OK;
    if (t->arch->pattern || gate) LRK_TRY(put_pattern(t, err));
    if (t->arch->pattern) return LRK_OK;
    const double max = lrk_json_number(lrk_json_get(t->config, "max_position_embeddings"));
    if ((double)window < max)
        lrk_warn(
            "%s: the model sees %zu tokens back, llama.cpp computes %s with all of them: texts "
            "beyond that length come out differently there",
            t->path, window, t->arch->gguf);
    return LRK_OK;
}

/* ---- all ---- */

static lrk_status put_parallel(const lrk_gguf_target *t, lrk_err *err)
{
    bool parallel = true;
    char full[LRK_NAME_MAX];
    if (!t->arch->parallel) return LRK_OK;
    LRK_TRY(lrk_json_opt_bool(t->config, t->arch->parallel, &parallel, t->path, err));
    full_key(t, "use_parallel_residual", full);
    lrk_gguf_put_bool(t->w, full, parallel);
    return LRK_OK;
}

static lrk_status put_family(lrk_gguf_target *t, lrk_err *err)
{
    const lrk_arch *a = t->arch;
    const char *activation = a->activation ? a->activation : "silu", *stated = activation;
    double eps = a->eps > 0 ? a->eps : 1e-6;
    LRK_TRY(need_size(t, "num_hidden_layers", &t->layers, err));
    LRK_TRY(need_size(t, "num_attention_heads", &t->heads, err));
    LRK_TRY(need_size(t, "hidden_size", &t->width, err));
    t->head_dim = a->head_size ? a->head_size : t->width / t->heads;
    LRK_TRY(lrk_json_opt_size(t->config, "head_dim", 1, INT32_MAX, &t->head_dim, t->path, err));
    const char *key = a->activation_key ? a->activation_key : "hidden_act";
    LRK_TRY(lrk_json_opt_string(t->config, key, &stated, t->path, err));
    LRK_REQUIRE(err, strcmp(stated, activation) == 0, LRK_ESUPPORT,
                "%s: config.json: %s is '%.40s'; llama.cpp computes %s with %s", t->path, key,
                stated, a->gguf, activation);
    LRK_TRY(lrk_json_opt_real(t->config, a->eps_key ? a->eps_key : "rms_norm_eps", &eps, t->path, err));
    LRK_REQUIRE(err, eps > 0, LRK_EINPUT, "%s: config.json: epsilon of the norms is not positive",
                t->path);
    put_real(t, a->eps_key ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
             eps);
    if (strcmp(activation, "gelu") == 0)
        lrk_warn("%s: the model's GELU is exact, llama.cpp computes %s with its approximation by tanh", t->path,
                 a->gguf);
    return put_parallel(t, err);
}

/* As the model is called, else as its directory is. */
static void put_origin(lrk_gguf_writer *w, const lrk_gguf_origin *origin, const char *path)
{
    size_t n;
    const char *name = lrk_path_name(path, &n);
    if (origin) lrk_gguf_put_origin(w, origin);
    if (!origin || !origin->model.name) lrk_gguf_put_string(w, "general.name", name, n);
}

lrk_status lrk_gguf_put_config(lrk_gguf_writer *w, const lrk_weights *base, const lrk_gguf_origin *origin, lrk_err *err)
{
    char known[LRK_ARCH_LIST];
    const char *path = lrk_weights_path(base);
    lrk_gguf_target t = {
        .w = w, .config = lrk_weights_config(base), .arch = lrk_weights_arch(base), .path = path};
    lrk_tensor embedding;
    lrk_arch_list(known, false);
    const char *class =
        lrk_json_string(lrk_json_at(lrk_json_get(t.config, "architectures"), 0), NULL);
    LRK_REQUIRE(err, t.arch, LRK_ESUPPORT,
                "%s: architecture '%.60s' cannot be written as GGUF here; known are %s", path,
                class ? class : "(none)", known);
    lrk_gguf_put_string(w, "general.architecture", t.arch->gguf, strlen(t.arch->gguf));
    lrk_gguf_put_string(w, "general.type", "model", 5);
    put_origin(w, origin, path);
    LRK_TRY(put_family(&t, err));
    LRK_TRY(lrk_gguf_loads(&t, err));
    LRK_TRY(put_numbers(&t, err));
    LRK_TRY(t.arch->latent ? put_latent(&t, err) : put_heads(&t, err));
    LRK_TRY(put_experts(&t, err));
    LRK_TRY(put_windows(&t, err));
    LRK_TRY(check_no_rope(&t, err));
    if (lrk_weights_find(base, lrk_name_of_embedding(t.arch), &embedding))
        put_size(&t, "vocab_size", lrk_rows(&embedding));
    return put_rope(&t, err);
}
