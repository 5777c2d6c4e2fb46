/* models/rope.c -- reads the parameters of rope and computes its frequencies. */
#include "models/rope.h"

#include <math.h>
#include <string.h>

static const double turn = 6.283185307179586;

double lrk_yarn_mscale(double s, double k)
{
    return s <= 1.0 ? 1.0 : 0.1 * k * log(s) + 1.0;
}

static lrk_status read_llama3(lrk_rope *r, const lrk_json *s, const lrk_rope_context *c, lrk_err *err)
{
    LRK_TRY(lrk_json_opt_real(s, "low_freq_factor", &r->low, c->where, err));
    LRK_TRY(lrk_json_opt_real(s, "high_freq_factor", &r->high, c->where, err));
    LRK_REQUIRE(err, r->low > 0 && r->high > r->low && r->original > 0, LRK_EINPUT,
                "%s: llama3 rope scaling needs low_freq_factor < high_freq_factor and "
                "original_max_position_embeddings",
                c->where);
    return LRK_OK;
}

static lrk_status read_yarn(lrk_rope *r, const lrk_json *s, const lrk_rope_context *c, lrk_err *err)
{
    r->beta_fast = 32.0;
    r->beta_slow = 1.0;
    r->truncate = true;
    LRK_TRY(lrk_json_opt_real(s, "beta_fast", &r->beta_fast, c->where, err));
    LRK_TRY(lrk_json_opt_real(s, "beta_slow", &r->beta_slow, c->where, err));
    LRK_TRY(lrk_json_opt_bool(s, "truncate", &r->truncate, c->where, err));
    LRK_TRY(lrk_json_opt_real(s, "mscale", &r->mscale, c->where, err));
    LRK_TRY(lrk_json_opt_real(s, "mscale_all_dim", &r->mscale_all_dim, c->where, err));
    LRK_REQUIRE(err, r->original > 0 && r->beta_slow > 0 && r->beta_fast > r->beta_slow && r->theta > 1,
                LRK_EINPUT, "%s: yarn rope scaling needs beta_slow < beta_fast", c->where);
    if (r->attention_factor > 0.0) return LRK_OK;
    r->attention_factor = r->mscale > 0.0 && r->mscale_all_dim > 0.0
                              ? lrk_yarn_mscale(r->factor, r->mscale) /
                                    lrk_yarn_mscale(r->factor, r->mscale_all_dim)
                              : lrk_yarn_mscale(r->factor, 1.0);
    return LRK_OK;
}

static lrk_status read_factors(lrk_rope *r, const lrk_json *s, const char *key, size_t which,
                               const lrk_rope_context *c, lrk_err *err)
{
    const lrk_json *list = lrk_json_get(s, key);
    LRK_REQUIRE(err, c->pairs <= LRK_MAX_PAIRS, LRK_ESUPPORT, "%s: %zu pairs of a head, at most %d",
                c->where, c->pairs, (int)LRK_MAX_PAIRS);
    LRK_REQUIRE(err, lrk_json_is(list, LRK_JSON_ARRAY) && lrk_json_size(list) == c->pairs, LRK_EINPUT,
                "%s: %s: expected a list of %zu numbers, one for each pair that turns", c->where, key,
                c->pairs);
    for (size_t i = 0; i < c->pairs; i++) {
        const double v = lrk_json_number(lrk_json_at(list, i));
        LRK_REQUIRE(err, v > 0.0, LRK_EINPUT, "%s: %s: element %zu is not above 0", c->where, key, i);
        r->divisor[which][i] = (float)v;
    }
    r->divisors = c->pairs;
    return LRK_OK;
}

static lrk_status read_longrope(lrk_rope *r, const lrk_json *s, const lrk_rope_context *c, lrk_err *err)
{
    LRK_REQUIRE(err, r->original > 1.0, LRK_EINPUT,
                "%s: longrope needs original_max_position_embeddings", c->where);
    double factor = 0.0;
    LRK_TRY(lrk_json_opt_real(s, "factor", &factor, c->where, err));
    if (factor <= 0.0) factor = (double)c->max_positions / r->original;
    LRK_TRY(read_factors(r, s, "short_factor", 0, c, err));
    LRK_TRY(read_factors(r, s, "long_factor", 1, c, err));
    if (r->attention_factor <= 0.0)
        r->attention_factor = factor <= 1.0 ? 1.0 : sqrt(1.0 + log(factor) / log(r->original));
    return LRK_OK;
}

static lrk_status find_kind(lrk_rope *r, const char *kind, const lrk_rope_context *c, lrk_err *err)
{
    static const char *const names[] = {"default", "linear", "llama3", "yarn", "longrope"};
    if (c->su_is_longrope && (strcmp(kind, "su") == 0 || strcmp(kind, "yarn") == 0)) kind = "longrope";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(kind, names[i]) != 0) continue;
        r->kind = (lrk_rope_kind)i;
        return LRK_OK;
    }
    return lrk_fail(err, LRK_ESUPPORT,
                    "%s: rope scaling '%s' is not supported; known: default, linear, llama3, yarn, "
                    "longrope",
                    c->where, kind);
}

lrk_status lrk_rope_read(lrk_rope *r, const lrk_json *s, const lrk_rope_context *c, lrk_err *err)
{
    const char *kind = NULL;
    LRK_TRY(lrk_json_opt_string(s, "type", &kind, c->where, err));
    LRK_TRY(lrk_json_opt_string(s, "rope_type", &kind, c->where, err));
    LRK_TRY(lrk_json_opt_real(s, "rope_theta", &r->theta, c->where, err));
    LRK_REQUIRE(err, r->theta > 0.0, LRK_EINPUT, "%s: rope_theta is missing, or not positive", c->where);
    if (!kind) return LRK_OK;
    LRK_TRY(find_kind(r, kind, c, err));
    if (r->kind == LRK_ROPE_DEFAULT) return LRK_OK;
    LRK_TRY(lrk_json_opt_real(s, "attention_factor", &r->attention_factor, c->where, err));
    LRK_TRY(lrk_json_opt_real(s, "original_max_position_embeddings", &r->original, c->where, err));
    if (c->original > 0.0) r->original = c->original;
    if (r->kind == LRK_ROPE_LONGROPE) return read_longrope(r, s, c, err);
    if (r->original <= 0.0) r->original = (double)c->max_positions;
    r->factor = 0.0;
    LRK_TRY(lrk_json_opt_real(s, "factor", &r->factor, c->where, err));
    if (r->factor <= 0.0 && r->kind == LRK_ROPE_YARN)
        r->factor = (double)c->max_positions / r->original;
    LRK_REQUIRE(err, r->factor >= 1.0, LRK_EINPUT, "%s: rope scaling factor %g is below 1", c->where,
                r->factor);
    if (r->kind == LRK_ROPE_YARN) return read_yarn(r, s, c, err);
    r->attention_factor = 0.0; /* the other rules do not know it */
    return r->kind == LRK_ROPE_LLAMA3 ? read_llama3(r, s, c, err) : LRK_OK;
}

/* theta^(2i/R) and 1 over it, rounded where transformers rounds: the exponent alone moves the result by up to
 * ln(theta) half units. Models were trained with these, and an angle grows with the position. */
static float power(const lrk_rope *r, size_t i, size_t rotary)
{
    const float exponent = (float)(2 * i) / (float)rotary;
    return (float)pow((double)(float)r->theta, (double)exponent);
}

static float llama3(const lrk_rope *r, float f)
{
    const float wavelength = (float)turn / f;
    float s = ((float)r->original / wavelength - (float)r->low) / (float)(r->high - r->low);
    s = s < 0.0f ? 0.0f : s > 1.0f ? 1.0f : s;
    return (1.0f - s) * f / (float)r->factor + s * f;
}

/* The pair that turns n times within the original length. */
static double pair_of(const lrk_rope *r, double rotary, double n)
{
    return rotary * log(r->original / (n * turn)) / (2.0 * log(r->theta));
}

static float yarn(const lrk_rope *r, float p, size_t i, size_t rotary)
{
    double a = pair_of(r, (double)rotary, r->beta_fast), b = pair_of(r, (double)rotary, r->beta_slow);
    if (r->truncate) {
        a = floor(a);
        b = ceil(b);
    }
    a = a < 0.0 ? 0.0 : a;
    b = b > (double)rotary - 1.0 ? (double)rotary - 1.0 : b;
    if (b - a == 0.0) b += 0.001;
    float s = ((float)i - (float)a) / (float)(b - a);
    s = s < 0.0f ? 0.0f : s > 1.0f ? 1.0f : s;
    const float kept = 1.0f - s;
    return 1.0f / ((float)r->factor * p) * (1.0f - kept) + 1.0f / p * kept;
}

void lrk_rope_frequencies(const lrk_rope *r, size_t rotary, bool long_documents, float *out)
{
    for (size_t i = 0; i < rotary / 2; i++) {
        float p = power(r, i, rotary);
        if (r->divisors) p *= r->divisor[long_documents][i];
        float f = 1.0f / p;
        if (r->kind == LRK_ROPE_LINEAR) f /= (float)r->factor;
        if (r->kind == LRK_ROPE_LLAMA3) f = llama3(r, f);
        if (r->kind == LRK_ROPE_YARN) f = yarn(r, p, i, rotary);
        out[i] = f;
    }
}
