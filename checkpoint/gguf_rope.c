/* checkpoint/gguf_rope.c -- rope parameters of config.json from a GGUF file, and access to its
 * keys.
 *
 * llama.cpp multiplies cosines and sines of yarn by attn_factor times what yarn says; config.json
 * has the product. Longrope factors are two tensors. DeepSeek's mscale and mscale_all_dim are
 * equal, for GGUF has one number: 0.1 of it, as rope.scaling.yarn_log_multiplier. Facts:
 * github.com/ggml-org/llama.cpp, conversion/base.py, phi.py, deepseek.py, src/llama-context.cpp. */
#include "checkpoint/gguf_source.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void full_key(const lrk_gguf_source *s, const char *key, char out[LRK_NAME_MAX])
{
    snprintf(out, LRK_NAME_MAX, "%s.%s", s->arch->gguf, key);
}

bool lrk_gguf_has(const lrk_gguf_source *s, const char *key)
{
    char full[LRK_NAME_MAX];
    full_key(s, key, full);
    return lrk_gguf_find(s->g, full) != NULL;
}

lrk_status lrk_gguf_size(const lrk_gguf_source *s, const char *key, size_t min, size_t max,
                         size_t *out, lrk_err *err)
{
    char full[LRK_NAME_MAX];
    full_key(s, key, full);
    return lrk_gguf_opt_size(s->g, full, min, max, out, err);
}

lrk_status lrk_gguf_real(const lrk_gguf_source *s, const char *key, double *out, lrk_err *err)
{
    char full[LRK_NAME_MAX];
    full_key(s, key, full);
    return lrk_gguf_opt_real(s->g, full, out, err);
}

lrk_status lrk_gguf_flag(const lrk_gguf_source *s, const char *key, bool *out, lrk_err *err)
{
    char full[LRK_NAME_MAX];
    full_key(s, key, full);
    return lrk_gguf_opt_bool(s->g, full, out, err);
}

double lrk_gguf_shortest(double v)
{
    char text[40];
    for (int digits = 6; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        const double d = strtod(text, NULL);
        if ((float)d == (float)v) return d;
    }
    return v;
}

double lrk_gguf_mscale(double s, double k) { return s <= 1 ? 1 : 0.1 * k * log(s) + 1; }

double lrk_gguf_longrope_scale(double max, double original)
{
    return max <= original || original <= 1 ? 1 : sqrt(1 + log(max / original) / log(original));
}

static void set_real(lrk_json *object, const char *key, double v)
{
    lrk_json_set(object, key, lrk_json_new_real(lrk_gguf_shortest(v)));
}

static lrk_json *scaling(lrk_gguf_source *s, const char *type)
{
    lrk_json *rope = lrk_json_object();
    lrk_json_set(s->out, "rope_scaling", rope);
    lrk_json_set(rope, "rope_type", lrk_json_c_string(type));
    return rope;
}

static lrk_status put_factors(lrk_gguf_source *s, lrk_json *rope, const char *tensor,
                              const char *key, lrk_err *err)
{
    const lrk_gguf_info *info = lrk_gguf_tensor(s->g, tensor);
    LRK_REQUIRE(err,
                info && info->dtype == LRK_F32 && info->rank == 1 &&
                    info->dim[0] == s->rotary / 2 && info->dim[0] <= LRK_MAX_HALF_HEAD,
                LRK_EINPUT, "%s: tensor '%s': expected %zu numbers of type f32", s->g->path, tensor,
                s->rotary / 2);
    const lrk_tensor view = lrk_gguf_view(s->g, info);
    const float *factor = view.data;
    lrk_json *list = lrk_json_array();
    lrk_json_set(rope, key, list);
    for (size_t i = 0; i < info->dim[0]; i++) {
        LRK_REQUIRE(err, isfinite(factor[i]), LRK_EINPUT,
                    "%s: tensor '%s': element %zu is no number", s->g->path, tensor, i);
        lrk_json_add(list, lrk_json_new_real(lrk_gguf_shortest((double)factor[i])));
    }
    return LRK_OK;
}

static lrk_status put_longrope(lrk_gguf_source *s, size_t original, lrk_err *err)
{
    lrk_json *rope = scaling(s, "longrope");
    double scale = 1;
    LRK_REQUIRE(err, original, LRK_EINPUT, "%s: longrope needs rope.scaling.original_context_length", s->g->path);
    const double max = lrk_json_number(lrk_json_get(s->out, "max_position_embeddings"));
    LRK_TRY(put_factors(s, rope, "rope_factors_short.weight", "short_factor", err));
    LRK_TRY(put_factors(s, rope, "rope_factors_long.weight", "long_factor", err));
    LRK_TRY(lrk_gguf_real(s, "rope.scaling.attn_factor", &scale, err));
    if ((float)scale != (float)lrk_gguf_longrope_scale(max, (double)original))
        set_real(rope, "attention_factor", scale);
    return LRK_OK;
}

static lrk_status put_yarn(lrk_gguf_source *s, double factor, size_t original, lrk_err *err)
{
    static const char *const keys[][2] = {{"rope.scaling.yarn_beta_fast", "beta_fast"},
                                          {"rope.scaling.yarn_beta_slow", "beta_slow"},
                                          {"rope.scaling.yarn_attn_factor", "attention_factor"}};
    lrk_json *rope = scaling(s, "yarn");
    char key[LRK_NAME_MAX];
    double scale = 1, logarithm = 0;
    set_real(rope, "factor", factor);
    if (original) lrk_json_set_count(rope, "original_max_position_embeddings", original);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        double v = 0;
        if (!lrk_gguf_has(s, keys[i][0])) continue;
        LRK_TRY(lrk_gguf_real(s, keys[i][0], &v, err));
        set_real(rope, keys[i][1], v);
    }
    LRK_TRY(lrk_gguf_real(s, "rope.scaling.attn_factor", &scale, err));
    if (scale != 1)
        lrk_json_set(rope, "attention_factor",
                     lrk_json_new_real(scale * lrk_gguf_mscale(factor, 1)));
    LRK_TRY(lrk_gguf_real(s, "rope.scaling.yarn_log_multiplier", &logarithm, err));
    if (logarithm != 0 && s->arch->temperature) { /* all of it, and the other is 1 */
        LRK_REQUIRE(err, scale == 1, LRK_ESUPPORT,
                    "%s: rope.scaling.attn_factor beside yarn_log_multiplier is not supported", s->g->path);
        set_real(rope, "mscale", 1);
        set_real(rope, "mscale_all_dim", logarithm);
    } else if (logarithm != 0) {
        snprintf(key, sizeof key, "%.6g", logarithm * 10); /* a tenth of it was rounded */
        set_real(rope, "mscale", strtod(key, NULL));
        set_real(rope, "mscale_all_dim", strtod(key, NULL));
    }
    return LRK_OK;
}

static lrk_status put_scaling(lrk_gguf_source *s, lrk_err *err)
{
    const char *type = "linear"; /* where a factor stands alone */
    char key[LRK_NAME_MAX];
    double factor = 1;
    size_t original = 0;
    full_key(s, "rope.scaling.type", key);
    LRK_TRY(lrk_gguf_opt_string(s->g, key, &s->arena, &type, err));
    LRK_TRY(lrk_gguf_real(s, "rope.scale_linear", &factor, err));
    LRK_TRY(lrk_gguf_real(s, "rope.scaling.factor", &factor, err));
    LRK_TRY(lrk_gguf_size(s, "rope.scaling.original_context_length", 1, LRK_GGUF_MAX_CONTEXT,
                          &original, err));
    if (original && s->arch->partial_rotary)
        lrk_json_set_count(s->out, "original_max_position_embeddings", original);
    if (lrk_gguf_tensor(s->g, "rope_factors_long.weight")) return put_longrope(s, original, err);
    if (strcmp(type, "none") == 0 || strcmp(type, "longrope") == 0) return LRK_OK;
    if (strcmp(type, "yarn") == 0) return put_yarn(s, factor, original, err);
    LRK_REQUIRE(err, strcmp(type, "linear") == 0, LRK_ESUPPORT,
                "%s: key '%s': '%.40s' is not supported; known are none, linear, yarn, longrope",
                s->g->path, key, type);
    if (factor == 1 || factor == 0) return LRK_OK;
    set_real(scaling(s, "linear"), "factor", factor);
    return LRK_OK;
}

/* Files of Mistral Small, which has no such thing, have this architecture too. */
static lrk_status put_temperature(lrk_gguf_source *s, lrk_err *err)
{
    double beta = 0;
    size_t original = (size_t)lrk_json_integer(lrk_json_get(s->out, "max_position_embeddings"));
    LRK_TRY(lrk_gguf_real(s, "attention.temperature_scale", &beta, err));
    LRK_REQUIRE(err, s->arch->temperature || beta == 0, LRK_ESUPPORT,
                "%s: key '%s.attention.temperature_scale' is not supported", s->g->path, s->arch->gguf);
    if (!s->arch->temperature) return LRK_OK;
    LRK_TRY(lrk_gguf_size(s, "rope.scaling.original_context_length", 1, LRK_GGUF_MAX_CONTEXT, &original, err));
    lrk_json *rope = lrk_json_get(s->out, "rope_scaling");
    if (!rope) rope = scaling(s, "default");
    set_real(rope, "rope_theta", lrk_json_number(lrk_json_get(s->out, "rope_theta")));
    set_real(rope, "llama_4_scaling_beta", beta);
    lrk_json_set_count(rope, "original_max_position_embeddings", original);
    return LRK_OK;
}

lrk_status lrk_gguf_put_rope(lrk_gguf_source *s, lrk_err *err)
{
    double theta = 10000, local = 10000; /* llama.cpp's defaults */
    LRK_TRY(lrk_gguf_real(s, "rope.freq_base", &theta, err));
    set_real(s->out, s->arch->theta_key ? s->arch->theta_key : "rope_theta", theta);
    LRK_TRY(lrk_gguf_real(s, "rope.freq_base_swa", &local, err));
    if (s->arch->local_rope) set_real(s->out, "rope_local_base_freq", local);
    LRK_TRY(put_scaling(s, err));
    return put_temperature(s, err);
}
