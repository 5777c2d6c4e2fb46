/* models/decoder.c -- config.json to a decoder description. */
#include "models/decoder.h"

#include <math.h>
#include <string.h>

typedef struct lrk_family {
    const char *architecture, *model_type;
    int bias, window;
} lrk_family;

static const lrk_family families[] = {
#define X(architecture, model_type, bias, window) {architecture, model_type, bias, window},
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
    LRK_REQUIRE(err, name || type, LRK_EINPUT, "%s: neither architectures nor model_type is there",
                where);
    for (size_t i = 0; i < FAMILIES; i++) {
        if (name ? strcmp(name, families[i].architecture) == 0
                 : strcmp(type, families[i].model_type) == 0) {
            *out = &families[i];
            return LRK_OK;
        }
    }
    char known[400];
    known_families(known, sizeof known);
    return lrk_fail(err, LRK_ESUPPORT, "%s: architecture %s is not supported; known: %s", where,
                    name ? name : type, known);
}

static lrk_status required(const lrk_json *config, const char *key, size_t max, size_t *out,
                           const char *where, lrk_err *err)
{
    *out = 0;
    LRK_TRY(lrk_json_opt_size(config, key, 1, max, out, where, err));
    LRK_REQUIRE(err, *out, LRK_EINPUT, "%s: %s is missing", where, key);
    return LRK_OK;
}

static lrk_status read_sizes(lrk_decoder *d, const lrk_json *c, const char *where, lrk_err *err)
{
    LRK_TRY(required(c, "num_hidden_layers", 1024, &d->layers, where, err));
    LRK_TRY(required(c, "hidden_size", 65536, &d->width, where, err));
    LRK_TRY(required(c, "num_attention_heads", 1024, &d->heads, where, err));
    LRK_TRY(required(c, "intermediate_size", 1u << 20, &d->feed_forward, where, err));
    LRK_TRY(required(c, "vocab_size", 1u << 20, &d->vocabulary, where, err));
    d->key_heads = d->heads;
    LRK_TRY(lrk_json_opt_size(c, "num_key_value_heads", 1, d->heads, &d->key_heads, where, err));
    d->head_size = d->width / d->heads;
    LRK_TRY(lrk_json_opt_size(c, "head_dim", 1, 1024, &d->head_size, where, err));
    d->max_positions = 2048;
    LRK_TRY(lrk_json_opt_size(c, "max_position_embeddings", 1, 1u << 30, &d->max_positions, where,
                              err));
    LRK_REQUIRE(err, d->heads % d->key_heads == 0, LRK_EINPUT,
                "%s: %zu query heads cannot share %zu key heads evenly", where, d->heads,
                d->key_heads);
    LRK_REQUIRE(err, d->head_size % 2 == 0 && d->head_size > 0, LRK_EINPUT,
                "%s: head size %zu is odd, rope needs pairs", where, d->head_size);
    return LRK_OK;
}

static lrk_status read_scaling(lrk_rope *r, const lrk_json *s, const char *where, lrk_err *err)
{
    const char *kind = NULL;
    LRK_TRY(lrk_json_opt_string(s, "type", &kind, where, err));
    LRK_TRY(lrk_json_opt_string(s, "rope_type", &kind, where, err));
    LRK_TRY(lrk_json_opt_real(s, "rope_theta", &r->theta, where, err));
    double rotary = 1.0;
    LRK_TRY(lrk_json_opt_real(s, "partial_rotary_factor", &rotary, where, err));
    LRK_REQUIRE(err, rotary >= 1.0 && rotary <= 1.0, LRK_ESUPPORT,
                "%s: partial_rotary_factor %g is not supported", where, rotary);
    if (!kind || strcmp(kind, "default") == 0) return LRK_OK;
    if (strcmp(kind, "linear") == 0) {
        r->kind = LRK_ROPE_LINEAR;
    } else if (strcmp(kind, "llama3") == 0) {
        r->kind = LRK_ROPE_LLAMA3;
        LRK_TRY(lrk_json_opt_real(s, "low_freq_factor", &r->low, where, err));
        LRK_TRY(lrk_json_opt_real(s, "high_freq_factor", &r->high, where, err));
        LRK_TRY(lrk_json_opt_real(s, "original_max_position_embeddings", &r->original, where, err));
        LRK_REQUIRE(err, r->low > 0 && r->high > r->low && r->original > 0, LRK_EINPUT,
                    "%s: llama3 rope scaling needs low_freq_factor < high_freq_factor and "
                    "original_max_position_embeddings",
                    where);
    } else {
        return lrk_fail(err, LRK_ESUPPORT,
                        "%s: rope scaling '%s' is not supported; known: default, linear, llama3",
                        where, kind);
    }
    LRK_TRY(lrk_json_opt_real(s, "factor", &r->factor, where, err));
    LRK_REQUIRE(err, r->factor >= 1.0, LRK_EINPUT, "%s: rope scaling factor %g is below 1", where,
                r->factor);
    return LRK_OK;
}

/* transformers 5 writes rope_parameters, 4 wrote rope_theta and rope_scaling. */
static lrk_status read_rope(lrk_decoder *d, const lrk_json *c, const char *where, lrk_err *err)
{
    static const char *const keys[] = {"rope_scaling", "rope_parameters"};
    d->rope = (lrk_rope){.factor = 1.0};
    LRK_TRY(lrk_json_opt_real(c, "rope_theta", &d->rope.theta, where, err));
    for (size_t i = 0; i < 2; i++) {
        const lrk_json *s = lrk_json_get(c, keys[i]);
        if (!s || lrk_json_is(s, LRK_JSON_NULL)) continue;
        LRK_REQUIRE(err, lrk_json_is(s, LRK_JSON_OBJECT), LRK_EINPUT, "%s: %s: expected an object",
                    where, keys[i]);
        LRK_TRY(read_scaling(&d->rope, s, where, err));
    }
    LRK_REQUIRE(err, d->rope.theta > 0.0, LRK_EINPUT, "%s: rope_theta is missing", where);
    return LRK_OK;
}

static lrk_status read_family(lrk_decoder *d, const lrk_family *f, const lrk_json *c,
                              const char *where, lrk_err *err)
{
    bool bias = false;
    size_t window = 0;
    LRK_TRY(lrk_json_opt_bool(c, "attention_bias", &bias, where, err));
    LRK_TRY(lrk_json_opt_bool(c, "mlp_bias", &d->mlp_bias, where, err));
    LRK_TRY(lrk_json_opt_bool(c, "tie_word_embeddings", &d->tied, where, err));
    LRK_TRY(lrk_json_opt_size(c, "sliding_window", 1, 1u << 30, &window, where, err));
    d->attention_bias = f->bias == 1 || (f->bias == 2 && bias);
    d->output_bias = f->bias == 2 && bias;
    LRK_REQUIRE(err, f->window || !window, LRK_ESUPPORT,
                "%s: sliding_window is not supported for %s", where, f->architecture);
    d->window = window;
    return LRK_OK;
}

lrk_status lrk_decoder_read(lrk_decoder *d, const lrk_json *config, const char *where, lrk_err *err)
{
    const lrk_family *family;
    const char *activation = "silu";
    *d = (lrk_decoder){.norm_eps = 1e-6};
    LRK_REQUIRE(err, lrk_json_is(config, LRK_JSON_OBJECT), LRK_EINPUT, "%s: expected an object",
                where);
    LRK_TRY(find_family(config, where, &family, err));
    d->family = family->architecture;
    d->where = where;
    LRK_TRY(read_sizes(d, config, where, err));
    LRK_TRY(lrk_json_opt_real(config, "rms_norm_eps", &d->norm_eps, where, err));
    LRK_REQUIRE(err, d->norm_eps > 0.0, LRK_EINPUT, "%s: rms_norm_eps must be positive", where);
    LRK_TRY(lrk_json_opt_string(config, "hidden_act", &activation, where, err));
    LRK_REQUIRE(err, strcmp(activation, "silu") == 0 || strcmp(activation, "swish") == 0,
                LRK_ESUPPORT, "%s: activation '%s' is not supported; known: silu", where, activation);
    LRK_TRY(read_rope(d, config, where, err));
    return read_family(d, family, config, where, err);
}

void lrk_rope_frequencies(const lrk_rope *rope, size_t head_size, float *out)
{
    const double turn = 6.283185307179586;
    for (size_t i = 0; i < head_size / 2; i++) {
        double f = pow(rope->theta, -2.0 * (double)i / (double)head_size);
        if (rope->kind == LRK_ROPE_LINEAR) f /= rope->factor;
        if (rope->kind == LRK_ROPE_LLAMA3) {
            const double length = turn / f;
            double s = (rope->original / length - rope->low) / (rope->high - rope->low);
            s = s < 0.0 ? 0.0 : s > 1.0 ? 1.0 : s;
            f = (1.0 - s) * f / rope->factor + s * f;
        }
        if (rope->divisors) f /= (double)rope->divisors[i];
        out[i] = (float)f;
    }
}

size_t lrk_decoder_matrix_parameters(const lrk_decoder *d)
{
    const size_t q = d->heads * d->head_size, k = d->key_heads * d->head_size;
    const size_t layer = d->width * (q + 2 * k) + q * d->width + 3 * d->width * d->feed_forward;
    return d->layers * layer + d->vocabulary * d->width;
}

size_t lrk_decoder_parameters(const lrk_decoder *d)
{
    const size_t embedding = d->tied ? 0 : d->vocabulary * d->width;
    return lrk_decoder_matrix_parameters(d) + embedding + (2 * d->layers + 1) * d->width;
}
