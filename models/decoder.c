/* models/decoder.c -- config.json to a decoder description. */
#include "models/family.h"

#include <math.h>
#include <string.h>

static const lrk_family families[] = {
#define X(architecture, model_type, ...) {architecture, model_type, __VA_ARGS__},
#include "models/families.def"
#undef X
};
enum { FAMILIES = sizeof families / sizeof *families };

static void known_families(char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < FAMILIES; i++) {
        const size_t n = strlen(families[i].architecture);
        if (used + n + 3 > size) return;
        if (i) memcpy(text + used, ", ", 3);
        used += i ? 2 : 0;
        memcpy(text + used, families[i].architecture, n + 1);
        used += n;
    }
}

static lrk_status find_family(const lrk_json *config, const char *where, const lrk_family **out,
                              lrk_err *err)
{
    const lrk_json *list = lrk_json_get(config, "architectures");
    const char *name = lrk_json_string(lrk_json_at(list, 0), NULL), *type = NULL;
    LRK_TRY(lrk_json_opt_string(config, "model_type", &type, where, err));
    LRK_REQUIRE(err,
                name || !lrk_json_is_set(list) || (lrk_json_is(list, LRK_JSON_ARRAY) && !lrk_json_size(list)),
                LRK_EINPUT, "%s: architectures: expected a list of names", where);
    LRK_REQUIRE(err, name || type, LRK_EINPUT, "%s: neither architectures nor model_type is there",
                where);
    *out = NULL;
    for (size_t i = 0; i < FAMILIES; i++) {
        if (name ? strcmp(name, families[i].architecture) == 0
                 : strcmp(type, families[i].model_type) == 0)
            *out = &families[i];
    }
    for (size_t i = 0; *out && type && i < FAMILIES; i++)
        LRK_REQUIRE(err, *out == &families[i] || strcmp(type, families[i].model_type) != 0, LRK_EINPUT,
                    "%s: architectures says %s, model_type %s, which is %s: they are not of the same "
                    "model",
                    where, (*out)->architecture, type, families[i].architecture);
    if (*out) return LRK_OK;
    char known[800];
    known_families(known, sizeof known);
    return lrk_fail(err, LRK_ESUPPORT, "%s: architecture %s is not supported; known: %s", where,
                    name ? name : type, known);
}

static lrk_status required(const lrk_source *s, const char *key, size_t max, size_t *out, lrk_err *err)
{
    *out = 0;
    LRK_TRY(lrk_json_opt_size(s->config, key, 1, max, out, s->where, err));
    LRK_REQUIRE(err, *out, LRK_EINPUT, "%s: %s is missing", s->where, key);
    return LRK_OK;
}

/* Heads of latent attention; every head has its own keys. */
static lrk_status read_latent(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    lrk_latent *l = &d->latent;
    LRK_TRY(required(s, "kv_lora_rank", 65536, &l->rank, err));
    LRK_TRY(required(s, "qk_nope_head_dim", 1024, &l->plain, err));
    LRK_TRY(required(s, "qk_rope_head_dim", 1024, &d->rotary, err));
    LRK_TRY(required(s, "v_head_dim", 1024, &l->value, err));
    LRK_TRY(lrk_json_opt_size(s->config, "q_lora_rank", 1, 65536, &l->query_rank, s->where, err));
    d->head_size = l->plain + d->rotary;
    LRK_REQUIRE(err, d->key_heads == d->heads, LRK_ESUPPORT,
                "%s: num_key_value_heads %zu is not num_attention_heads %zu: latent attention has a key "
                "for each query head",
                s->where, d->key_heads, d->heads);
    LRK_REQUIRE(err, d->rotary % 2 == 0 && l->value <= d->head_size, LRK_ESUPPORT,
                "%s: heads of %zu and %zu (query, key) and %zu (value) are not supported", s->where,
                l->plain, d->rotary, l->value);
    return LRK_OK;
}

static lrk_status read_sizes(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    const lrk_json *c = s->config;
    const char *where = s->where;
    LRK_TRY(required(s, "num_hidden_layers", LRK_MAX_LAYERS, &d->layers, err));
    LRK_TRY(required(s, "hidden_size", 65536, &d->width, err));
    LRK_TRY(required(s, "num_attention_heads", 1024, &d->heads, err));
    LRK_TRY(required(s, "intermediate_size", 1u << 20, &d->feed_forward, err));
    LRK_TRY(required(s, "vocab_size", 1u << 20, &d->vocabulary, err));
    d->key_heads = s->family->key_heads && !lrk_json_get(c, "num_key_value_heads") ? s->family->key_heads : d->heads;
    LRK_TRY(lrk_json_opt_size(c, "num_key_value_heads", 1, d->heads, &d->key_heads, where, err));
    d->head_size = s->family->head_size ? s->family->head_size : d->width / d->heads;
    LRK_TRY(lrk_json_opt_size(c, "head_dim", 1, 1024, &d->head_size, where, err));
    d->max_positions = 2048;
    LRK_TRY(lrk_json_opt_size(c, "max_position_embeddings", 1, 1u << 30, &d->max_positions, where,
                              err));
    if (s->family->latent) return read_latent(d, s, err);
    LRK_REQUIRE(err, d->heads % d->key_heads == 0, LRK_EINPUT,
                "%s: %zu query heads cannot share %zu key heads evenly", where, d->heads,
                d->key_heads);
    LRK_REQUIRE(err, d->head_size % 2 == 0 && d->head_size > 0, LRK_EINPUT,
                "%s: head size %zu is odd, rope needs pairs", where, d->head_size);
    return LRK_OK;
}

/* ---- layers ---- */

/* no_rope_layers: 1 for a layer with rope, 0 for one without; else each n-th has none. */
static lrk_status read_no_rope(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    const lrk_json *list = lrk_json_get(s->config, "no_rope_layers");
    size_t each = 4;
    LRK_TRY(lrk_json_opt_size(s->config, "no_rope_layer_interval", 1, LRK_MAX_LAYERS, &each, s->where,
                              err));
    LRK_REQUIRE(err, !lrk_json_is_set(list) || (lrk_json_is(list, LRK_JSON_ARRAY) && lrk_json_size(list) == d->layers),
                LRK_EINPUT, "%s: no_rope_layers: expected a list of %zu numbers", s->where, d->layers);
    for (size_t i = 0; i < lrk_json_size(list); i++)
        LRK_REQUIRE(err, lrk_json_is(lrk_json_at(list, i), LRK_JSON_INTEGER), LRK_EINPUT,
                    "%s: no_rope_layers: element %zu is no integer", s->where, i);
    for (size_t i = 0; i < d->layers; i++) {
        const bool rope = lrk_json_is_set(list) ? lrk_json_number(lrk_json_at(list, i)) > 0.0 : (i + 1) % each != 0;
        if (!rope) d->layer[i] |= LRK_LAYER_NO_ROPE;
    }
    return LRK_OK;
}

/* Whether layer i has a window where layer_types does not say so. */
static lrk_status default_windows(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    const lrk_family *f = s->family;
    size_t from = 28, pattern = f->pattern;
    if (f->window == LRK_WINDOW_FROM_LAYER || f->window == LRK_WINDOW_BELOW_LAYER)
        LRK_TRY(lrk_json_opt_size(s->config, "max_window_layers", 0, 1u << 20, &from, s->where, err));
    if (f->local_rope)
        LRK_TRY(lrk_json_opt_size(s->config, "sliding_window_pattern", 1, LRK_MAX_LAYERS, &pattern,
                                  s->where, err));
    for (size_t i = 0; i < d->layers; i++) {
        const bool windowed = f->window == LRK_WINDOW_ALL ||
                              (f->window == LRK_WINDOW_FROM_LAYER && i >= from) ||
                              (f->window == LRK_WINDOW_BELOW_LAYER && i % 2 == 0 && i < from) ||
                              (f->window == LRK_WINDOW_PATTERN && (i + 1) % pattern != 0) ||
                              (f->window == LRK_WINDOW_NO_ROPE && (d->layer[i] & LRK_LAYER_NO_ROPE));
        if (windowed) d->layer[i] |= LRK_LAYER_WINDOW;
    }
    return LRK_OK;
}

static lrk_status read_layer_types(lrk_decoder *d, const lrk_source *s, const lrk_json *list, lrk_err *err)
{
    LRK_REQUIRE(err, lrk_json_is(list, LRK_JSON_ARRAY) && lrk_json_size(list) == d->layers, LRK_EINPUT,
                "%s: layer_types: expected a list of %zu names", s->where, d->layers);
    for (size_t i = 0; i < d->layers; i++) {
        const char *type = lrk_json_string(lrk_json_at(list, i), NULL);
        const bool sliding = type && strcmp(type, "sliding_attention") == 0;
        LRK_REQUIRE(err, sliding || (type && strcmp(type, "full_attention") == 0), LRK_ESUPPORT,
                    "%s: layer_types: '%.40s' is not supported; known: full_attention, "
                    "sliding_attention",
                    s->where, type ? type : "(no string)");
        if (sliding) d->layer[i] |= LRK_LAYER_WINDOW;
    }
    return LRK_OK;
}

static lrk_status read_layers(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    const lrk_family *f = s->family;
    const lrk_json *types = lrk_json_get(s->config, "layer_types");
    bool gate = !f->window_gate, any = false;
    if (f->no_rope_layers) LRK_TRY(read_no_rope(d, s, err));
    if (f->window_gate) LRK_TRY(lrk_json_opt_bool(s->config, f->window_gate, &gate, s->where, err));
    /* a number that no gate opens may be any */
    if (gate && !lrk_json_get(s->config, "sliding_window")) d->window = f->window_size;
    if (gate)
        LRK_TRY(lrk_json_opt_size(s->config, "sliding_window", 1, 1u << 30, &d->window, s->where, err));
    LRK_REQUIRE(err, f->window || !d->window, LRK_ESUPPORT, "%s: sliding_window is not supported for %s",
                s->where, f->architecture);
    const bool listed = lrk_json_is_set(types) && f->window != LRK_WINDOW_ALL;
    if (lrk_json_is_set(types)) LRK_TRY(read_layer_types(d, s, types, err));
    for (size_t i = 0; i < d->layers; i++) any = any || (d->layer[i] & LRK_LAYER_WINDOW);
    LRK_REQUIRE(err, !any || listed, LRK_ESUPPORT, "%s: layer_types is not supported for %s", s->where,
                f->architecture);
    LRK_REQUIRE(err, !any || (d->window && f->window) || f->local_rope, LRK_ESUPPORT,
                "%s: layer_types has windows, but there is no sliding_window", s->where);
    if (!listed) LRK_TRY(default_windows(d, s, err));
    if (f->local_rope)
        for (size_t i = 0; i < d->layers; i++)
            if (d->layer[i] & LRK_LAYER_WINDOW) d->layer[i] |= LRK_LAYER_LOCAL_ROPE;
    return LRK_OK;
}

/* ---- arithmetic ---- */

static lrk_status read_activation(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    static const struct {
        const char *name;
        lrk_activation activation;
    } known[] = {{"silu", LRK_SILU},           {"swish", LRK_SILU},
                 {"gelu_pytorch_tanh", LRK_GELU_TANH}, {"gelu_new", LRK_GELU_TANH},
                 {"gelu", LRK_GELU_ERF}};
    const char *key = s->family->activation_key ? s->family->activation_key : "hidden_act";
    const char *name = s->family->activation ? s->family->activation : "silu";
    LRK_TRY(lrk_json_opt_string(s->config, key, &name, s->where, err));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) != 0) continue;
        d->activation = known[i].activation;
        return LRK_OK;
    }
    return lrk_fail(err, LRK_ESUPPORT,
                    "%s: activation '%.40s' is not supported; known: silu, gelu, gelu_pytorch_tanh",
                    s->where, name);
}

static lrk_status read_bias(const lrk_source *s, const char *key, bool *out, lrk_err *err)
{
    *out = key && (strcmp(key, LRK_ALWAYS) == 0 || s->family->bias_default);
    return key && *key ? lrk_json_opt_bool(s->config, key, out, s->where, err) : LRK_OK;
}

static lrk_status positive(const lrk_source *s, const char *key, double *out, lrk_err *err)
{
    LRK_TRY(lrk_json_opt_real(s->config, key, out, s->where, err));
    LRK_REQUIRE(err, *out > 0.0, LRK_EINPUT, "%s: %s must be positive", s->where, key);
    return LRK_OK;
}

/* null: none */
static lrk_status read_cap(const lrk_source *s, const char *key, double otherwise, double *out, lrk_err *err)
{
    const lrk_json *v = lrk_json_get(s->config, key);
    *out = v ? 0.0 : otherwise;
    return lrk_json_is_set(v) ? positive(s, key, out, err) : LRK_OK;
}

static lrk_status read_scales(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    const lrk_family *f = s->family;
    double scalar = (double)(f->head_size ? f->head_size : d->head_size);
    d->sqrt_embedding = f->scaled_embedding;
    d->embedding_scale = d->residual_scale = d->logit_scale = 1.0;
    d->attention_scale = 1.0 / sqrt((double)d->head_size);
    if (f->query_scalar) {
        LRK_TRY(positive(s, "query_pre_attn_scalar", &scalar, err));
        d->attention_scale = 1.0 / sqrt(scalar);
    }
    if (f->softcaps) LRK_TRY(read_cap(s, "attn_logit_softcapping", 50.0, &d->attention_softcap, err));
    if (f->softcaps || f->final_softcap)
        LRK_TRY(read_cap(s, "final_logit_softcapping", f->softcaps ? 30.0 : 0.0, &d->final_softcap, err));
    if (!f->multipliers) return LRK_OK;
    double scaling = 1.0;
    d->attention_scale = 1.0;
    LRK_TRY(positive(s, "embedding_multiplier", &d->embedding_scale, err));
    LRK_TRY(positive(s, "residual_multiplier", &d->residual_scale, err));
    LRK_TRY(positive(s, "attention_multiplier", &d->attention_scale, err));
    LRK_TRY(positive(s, "logits_scaling", &scaling, err));
    d->logit_scale = 1.0 / scaling;
    return LRK_OK;
}

lrk_status lrk_decoder_refuse_quantized(const lrk_json *config, const char *where, lrk_err *err)
{
    const lrk_json *v = lrk_json_get(config, "quantization_config");
    const char *method = lrk_json_word(v, "quant_method");
    LRK_REQUIRE(err, !lrk_json_is_set(v), LRK_ESUPPORT,
                "%s: quantization_config: weights of %.40s are not supported; take a directory of the model's 16-bit "
                "weights, or a GGUF file",
                where, method ? method : "that form");
    return LRK_OK;
}

/* Keys of some family that would change what another one computes. */
static lrk_status refuse_others(const lrk_source *s, lrk_err *err)
{
    const lrk_family *f = s->family;
    const struct {
        const char *key;
        bool read;
        double neutral;
    } keys[] = {
        {"attn_logit_softcapping", f->softcaps, 0},
        {"final_logit_softcapping", f->softcaps || f->final_softcap, 0},
        {"query_pre_attn_scalar", f->query_scalar, 0},
        {"embedding_multiplier", f->multipliers, 1},
        {"residual_multiplier", f->multipliers, 1},
        {"attention_multiplier", f->multipliers, 1},
        {"logits_scaling", f->multipliers, 1},
        {"logit_scale", false, 1},
        {"rope_local_base_freq", f->local_rope, 0},
        {"use_bidirectional_attention", false, 0},
        {"num_local_experts", f->experts_key != NULL, 0},
        {"num_experts", f->experts_key != NULL, 0},
        {"n_routed_experts", f->experts_key != NULL, 0},
        {"kv_lora_rank", f->latent, 0},
        {"clip_qkv", false, 0},
        {"qk_layernorm", false, 0},
        {"use_qk_norm", false, 0},
        {"alibi", false, 0},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const lrk_json *v = lrk_json_get(s->config, keys[i].key);
        if (keys[i].read || !lrk_json_is_set(v)) continue;
        const bool number = lrk_json_is(v, LRK_JSON_INTEGER) || lrk_json_is(v, LRK_JSON_REAL);
        const bool neutral = number ? fabs(lrk_json_number(v) - keys[i].neutral) <= 0.0
                                    : lrk_json_is(v, LRK_JSON_BOOL) && !lrk_json_bool(v);
        LRK_REQUIRE(err, neutral, LRK_ESUPPORT, "%s: %s is not supported for %s", s->where, keys[i].key,
                    f->architecture);
    }
    return LRK_OK;
}

/* torch.nn.Embedding keeps the gradient of padding_idx at zero; it may count from the end. */
static size_t padding_of(const lrk_source *s, size_t vocabulary)
{
    const lrk_json *v = lrk_json_get(s->config, "pad_token_id");
    const int64_t id = lrk_json_is(v, LRK_JSON_INTEGER) ? lrk_json_integer(v) : -1, n = (int64_t)vocabulary;
    if (!v) return s->family->padding <= vocabulary ? s->family->padding : 0;
    if (!lrk_json_is(v, LRK_JSON_INTEGER) || id < -n || id >= n) return 0;
    return (size_t)(id < 0 ? n + id : id) + 1;
}

static lrk_status read_family(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    const lrk_family *f = s->family;
    const char *eps = f->eps_key ? f->eps_key : "rms_norm_eps";
    d->norm_eps = f->eps > 0.0 ? f->eps : 1e-6;
    LRK_TRY(positive(s, eps, &d->norm_eps, err));
    LRK_TRY(read_bias(s, f->bias, &d->attention_bias, err));
    LRK_TRY(read_bias(s, f->output_bias, &d->output_bias, err));
    LRK_TRY(read_bias(s, f->mlp_bias, &d->mlp_bias, err));
    d->tied = f->tied;
    LRK_TRY(lrk_json_opt_bool(s->config, "tie_word_embeddings", &d->tied, s->where, err));
    d->pairs_adjacent = f->interleave;
    if (f->interleave && *f->interleave)
        LRK_TRY(lrk_json_opt_bool(s->config, f->interleave, &d->pairs_adjacent, s->where, err));
    d->placement = f->placement;
    d->head_norm = f->head_norm;
    d->layer_norm = f->layer_norm;
    d->norm_plus_one = f->norm_plus_one;
    d->fused_heads = f->fused_heads;
    d->fused_gate = f->fused_gate;
    d->by_head = f->by_head;
    d->parallel = f->parallel;
    if (f->parallel) LRK_TRY(lrk_json_opt_bool(s->config, f->parallel, &d->parallel, s->where, err));
    d->plain_mlp = f->plain_mlp;
    d->padding = padding_of(s, d->vocabulary);
    return LRK_OK;
}

/* Groups of experts, of which a token sees the best. */
static lrk_status read_groups(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    lrk_experts_attr *e = &d->experts;
    const lrk_family *f = s->family;
    const char *method = f->topk_method;
    size_t groups = f->groups, used = f->groups_used;
    LRK_TRY(lrk_json_opt_string(s->config, "topk_method", &method, s->where, err));
    LRK_TRY(lrk_json_opt_size(s->config, "n_group", 1, LRK_EXPERTS_MAX, &groups, s->where, err));
    LRK_TRY(lrk_json_opt_size(s->config, "topk_group", 1, LRK_EXPERTS_MAX, &used, s->where, err));
    const bool grouped = strcmp(method, f->topk_grouped) == 0;
    LRK_REQUIRE(err, grouped || strcmp(method, f->topk_method) == 0, LRK_ESUPPORT,
                "%s: topk_method '%.40s' is not supported for %s", s->where, method, f->architecture);
    if (!grouped) return LRK_OK;
    e->groups = groups;
    e->groups_used = used;
    e->group_by_two = f->group_by_two;
    LRK_REQUIRE(err, groups && used && used <= groups && e->experts % groups == 0 &&
                         used * (e->experts / groups) >= e->used &&
                         (!e->group_by_two || e->experts / groups >= 2),
                LRK_EINPUT, "%s: n_group %zu and topk_group %zu do not fit %zu experts", s->where, groups,
                used, e->experts);
    return LRK_OK;
}

static lrk_status read_sparse_layers(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    const lrk_json *dense = lrk_json_get(s->config, "mlp_only_layers");
    size_t step = 1, first = s->family->dense_layers;
    LRK_REQUIRE(err, !lrk_json_is_set(dense) || lrk_json_is(dense, LRK_JSON_ARRAY), LRK_EINPUT,
                "%s: mlp_only_layers: expected a list of layers", s->where);
    for (size_t i = 0; i < lrk_json_size(dense); i++)
        LRK_REQUIRE(err, lrk_json_is(lrk_json_at(dense, i), LRK_JSON_INTEGER), LRK_EINPUT,
                    "%s: mlp_only_layers: element %zu is no integer", s->where, i);
    if (s->family->sparse_step)
        LRK_TRY(lrk_json_opt_size(s->config, "decoder_sparse_step", 1, LRK_MAX_LAYERS, &step, s->where, err));
    if (s->family->dense_first)
        LRK_TRY(lrk_json_opt_size(s->config, "first_k_dense_replace", 0, LRK_MAX_LAYERS, &first, s->where, err));
    for (size_t i = first; i < d->layers; i++) {
        bool sparse = (i + 1) % step == 0;
        for (size_t k = 0; s->family->sparse_step && k < lrk_json_size(dense); k++)
            sparse = sparse && lrk_json_integer(lrk_json_at(dense, k)) != (int64_t)i;
        if (sparse) d->layer[i] |= LRK_LAYER_EXPERTS;
    }
    return LRK_OK;
}

static lrk_status read_experts(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    const lrk_family *f = s->family;
    lrk_experts_attr *e = &d->experts;
    bool norm = f->normalize && (strcmp(f->normalize, LRK_ALWAYS) == 0 || f->normalize_default);
    size_t shared = f->shared_experts;
    *e = (lrk_experts_attr){.activation = d->activation, .sigmoid = f->sigmoid,
                            .factor = f->routed_scale > 0.0 ? f->routed_scale : 1.0,
                            .feed_forward = d->feed_forward};
    const char *key = lrk_json_get(s->config, f->experts_key) ? f->experts_key : "num_local_experts";
    LRK_TRY(required(s, key, LRK_EXPERTS_MAX, &e->experts, err));
    e->used = f->experts_used;
    if (!e->used || lrk_json_get(s->config, "num_experts_per_tok"))
        LRK_TRY(required(s, "num_experts_per_tok", LRK_EXPERTS_MAX_USED, &e->used, err));
    LRK_REQUIRE(err, e->used <= e->experts, LRK_EINPUT, "%s: %zu of %zu experts for a token", s->where,
                e->used, e->experts);
    if (f->experts_width) LRK_TRY(required(s, f->experts_width, 1u << 20, &e->feed_forward, err));
    d->gated_shared = f->shared_width != NULL;
    if (f->shared_width) LRK_TRY(required(s, f->shared_width, 1u << 20, &d->shared, err));
    if (f->normalize && *f->normalize)
        LRK_TRY(lrk_json_opt_bool(s->config, f->normalize, &norm, s->where, err));
    e->normalize = norm;
    d->block_sparse = f->block_sparse;
    d->correction = f->sigmoid;
    LRK_TRY(read_sparse_layers(d, s, err));
    if (!f->dense_first) return LRK_OK;
    LRK_TRY(lrk_json_opt_size(s->config, "n_shared_experts", 1, 64, &shared, s->where, err));
    d->shared = shared * e->feed_forward;
    LRK_TRY(lrk_json_opt_real(s->config, "routed_scaling_factor", &e->factor, s->where, err));
    return read_groups(d, s, err);
}

static lrk_status read_dropout(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    static const char *const keys[] = {"attention_dropout", "hidden_dropout", "residual_dropout", "resid_pdrop"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        double p = 0.0;
        LRK_TRY(lrk_json_opt_real(s->config, keys[i], &p, s->where, err));
        d->dropout = fmax(d->dropout, p);
    }
    return LRK_OK;
}

lrk_status lrk_decoder_read(lrk_decoder *d, const lrk_json *config, const char *where, lrk_err *err)
{
    lrk_source s = {.where = where};
    *d = (lrk_decoder){.where = where};
    LRK_REQUIRE(err, lrk_json_is(config, LRK_JSON_OBJECT), LRK_EINPUT, "%s: expected an object", where);
    LRK_TRY(find_family(config, where, &s.family, err));
    s.config = config;
    d->family = s.family->architecture;
    d->naming = s.family->naming;
    LRK_TRY(lrk_decoder_refuse_quantized(config, where, err));
    LRK_TRY(refuse_others(&s, err));
    LRK_TRY(read_sizes(d, &s, err));
    LRK_TRY(read_activation(d, &s, err));
    LRK_TRY(read_family(d, &s, err));
    LRK_TRY(read_scales(d, &s, err));
    LRK_TRY(read_dropout(d, &s, err));
    LRK_TRY(lrk_family_rope(d, &s, err));
    LRK_TRY(read_layers(d, &s, err));
    if (d->latent.rank && d->rope.kind != LRK_ROPE_DEFAULT && d->rope.mscale_all_dim > 0.0) {
        const double m = lrk_yarn_mscale(d->rope.factor, d->rope.mscale_all_dim);
        d->attention_scale *= m * m;
    }
    return s.family->experts_key ? read_experts(d, &s, err) : LRK_OK;
}
