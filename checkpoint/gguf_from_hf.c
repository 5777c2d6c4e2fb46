/* checkpoint/gguf_from_hf.c -- the keys of a GGUF model from config.json.
 *
 * Facts: github.com/ggml-org/llama.cpp, conversion/base.py and conversion/llama.py. */
#include "checkpoint/merge_tensor.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

static const struct {
    const char *hf, *gguf;
    bool required;
} sizes[] = {
    {"max_position_embeddings", "context_length", true},
    {"hidden_size", "embedding_length", true},
    {"num_hidden_layers", "block_count", true},
    {"intermediate_size", "feed_forward_length", true},
    {"num_attention_heads", "attention.head_count", true},
    {"num_key_value_heads", "attention.head_count_kv", false},
    {"sliding_window", "attention.sliding_window", false},
};

/* Both spellings of rope parameters: one object, or theta beside a scaling object. */
static const lrk_json *rope_object(const lrk_json *config)
{
    const lrk_json *v = lrk_json_get(config, "rope_parameters");
    return lrk_json_is(v, LRK_JSON_OBJECT) ? v : lrk_json_get(config, "rope_scaling");
}

static const char *rope_type(const lrk_json *config)
{
    const lrk_json *rope = rope_object(config);
    const char *type = lrk_json_string(lrk_json_get(rope, "rope_type"), NULL);
    if (!type) type = lrk_json_string(lrk_json_get(rope, "type"), NULL);
    return type ? type : "default";
}

static lrk_status rope_theta(const lrk_json *config, double *theta, lrk_err *err)
{
    const lrk_json *rope = rope_object(config);
    *theta = 0;
    LRK_TRY(lrk_json_opt_real(config, "rope_theta", theta, "config.json", err));
    if (lrk_json_is(rope, LRK_JSON_OBJECT))
        LRK_TRY(lrk_json_opt_real(rope, "rope_theta", theta, "config.json", err));
    LRK_REQUIRE(err, *theta > 0, LRK_EINPUT, "config.json: rope_theta is missing or not positive");
    return LRK_OK;
}

lrk_status lrk_llama3_factors(const lrk_json *config, size_t head_dim, float *out, size_t *n,
                              lrk_err *err)
{
    const lrk_json *rope = rope_object(config);
    double theta, factor = 0, low = 1, high = 4, original = 0;
    *n = 0;
    if (strcmp(rope_type(config), "llama3") != 0) return LRK_OK;
    LRK_REQUIRE(err, head_dim / 2 <= LRK_MAX_HALF_HEAD, LRK_ESUPPORT,
                "config.json: heads of %zu are not supported", head_dim);
    LRK_TRY(rope_theta(config, &theta, err));
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

static void put_key_real(lrk_gguf_writer *w, const char *arch, const char *key, double v)
{
    char full[LRK_NAME_MAX];
    snprintf(full, sizeof full, "%s.%s", arch, key);
    lrk_gguf_put_f32(w, full, (float)v);
}

static void put_key_size(lrk_gguf_writer *w, const char *arch, const char *key, size_t v)
{
    char full[LRK_NAME_MAX];
    snprintf(full, sizeof full, "%s.%s", arch, key);
    lrk_gguf_put_u32(w, full, (uint32_t)v);
}

static lrk_status put_scaling(lrk_gguf_writer *w, const char *arch, const lrk_json *config,
                              lrk_err *err)
{
    char full[LRK_NAME_MAX];
    const lrk_json *rope = rope_object(config);
    const char *type = rope_type(config);
    double factor = 0;
    /* llama3 is a tensor of divisors, not a key */
    if (strcmp(type, "default") == 0 || strcmp(type, "llama3") == 0) return LRK_OK;
    LRK_REQUIRE(err, strcmp(type, "linear") == 0, LRK_ESUPPORT,
                "config.json: rope scaling '%.40s' cannot be written as GGUF here; known are "
                "default, linear and llama3",
                type);
    LRK_TRY(lrk_json_opt_real(rope, "factor", &factor, "config.json", err));
    LRK_REQUIRE(err, factor > 0, LRK_EINPUT, "config.json: factor of the rope scaling is missing");
    snprintf(full, sizeof full, "%s.rope.scaling.type", arch);
    lrk_gguf_put_string(w, full, "linear", 6);
    put_key_real(w, arch, "rope.scaling.factor", factor);
    return LRK_OK;
}

lrk_status lrk_gguf_put_config(lrk_gguf_writer *w, const lrk_weights *base, lrk_err *err)
{
    char known[200];
    const lrk_json *config = lrk_weights_config(base);
    const char *path = lrk_weights_path(base), *slash = strrchr(path, '/');
    const char *name = slash && slash[1] ? slash + 1 : path;
    const char *class =
        lrk_json_string(lrk_json_at(lrk_json_get(config, "architectures"), 0), NULL);
    const lrk_arch *arch = class ? lrk_arch_from_hf(class) : NULL;
    const size_t head_dim = lrk_weights_head_dim(base);
    double theta, eps = 0;
    lrk_tensor embedding;
    lrk_arch_list(known, sizeof known, false);
    LRK_REQUIRE(err, arch, LRK_ESUPPORT,
                "%s: architecture '%.60s' cannot be written as GGUF here; known are %s", path,
                class ? class : "(none)", known);
    lrk_gguf_put_string(w, "general.architecture", arch->gguf, strlen(arch->gguf));
    lrk_gguf_put_string(w, "general.type", "model", 5);
    lrk_gguf_put_string(w, "general.name", name, strlen(name));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t v = 0;
        LRK_TRY(lrk_json_opt_size(config, sizes[i].hf, 1, INT32_MAX, &v, path, err));
        LRK_REQUIRE(err, v || !sizes[i].required, LRK_EINPUT, "%s: config.json: %s is missing",
                    path, sizes[i].hf);
        if (v) put_key_size(w, arch->gguf, sizes[i].gguf, v);
    }
    LRK_TRY(rope_theta(config, &theta, err));
    LRK_TRY(lrk_json_opt_real(config, "rms_norm_eps", &eps, path, err));
    LRK_REQUIRE(err, eps > 0 && head_dim > 0, LRK_EINPUT,
                "%s: config.json: rms_norm_eps or the size of a head is missing", path);
    put_key_real(w, arch->gguf, "attention.layer_norm_rms_epsilon", eps);
    put_key_real(w, arch->gguf, "rope.freq_base", theta);
    put_key_size(w, arch->gguf, "rope.dimension_count", head_dim);
    put_key_size(w, arch->gguf, "attention.key_length", head_dim);
    put_key_size(w, arch->gguf, "attention.value_length", head_dim);
    if (lrk_weights_find(base, "model.embed_tokens.weight", &embedding))
        put_key_size(w, arch->gguf, "vocab_size", lrk_rows(&embedding));
    return put_scaling(w, arch->gguf, config, err);
}
