/* models/family_rope.c -- the rope of config.json. */
#include "models/family.h"

#include <math.h>
#include <string.h>

static lrk_status find_object(const lrk_json *config, const char *key, const lrk_json **out,
                              const char *where, lrk_err *err)
{
    const lrk_json *v = lrk_json_get(config, key);
    *out = NULL;
    if (!lrk_json_is_set(v)) return LRK_OK;
    LRK_REQUIRE(err, lrk_json_is(v, LRK_JSON_OBJECT), LRK_EINPUT, "%s: %s: expected an object", where, key);
    *out = v;
    return LRK_OK;
}

/* A number that has a name of the family's own: where the common one is there too, the reference's versions differ in
 * which they take. */
static lrk_status read_named(const lrk_source *s, const char *own, const char *common, double *out, lrk_err *err)
{
    double other;
    if (own) LRK_TRY(lrk_json_opt_real(s->config, own, out, s->where, err));
    other = *out;
    LRK_TRY(lrk_json_opt_real(s->config, common, &other, s->where, err));
    LRK_REQUIRE(err, !own || fabs(other - *out) <= 0.0, LRK_EINPUT, "%s: %s is %g, but %s %g: which holds?", s->where,
                common, other, own, *out);
    *out = other;
    return LRK_OK;
}

/* The share of a head that turns. */
static lrk_status read_rotary(lrk_decoder *d, const lrk_source *s, const lrk_json *parameters,
                              lrk_err *err)
{
    double share = s->family->rotary > 0.0 ? s->family->rotary : 1.0;
    if (s->family->latent) return LRK_OK;
    LRK_TRY(read_named(s, s->family->rotary_key, "partial_rotary_factor", &share, err));
    if (parameters)
        LRK_TRY(lrk_json_opt_real(parameters, "partial_rotary_factor", &share, s->where, err));
    const size_t rotary = share > 0.0 && share <= 1.0 ? (size_t)((double)d->head_size * share) : 0;
    LRK_REQUIRE(err, rotary == d->head_size || s->family->partial_rotary, LRK_ESUPPORT,
                "%s: partial_rotary_factor %g is not supported for %s", s->where, share,
                s->family->architecture);
    LRK_REQUIRE(err, rotary > 0 && rotary % 2 == 0, LRK_EINPUT,
                "%s: partial_rotary_factor %g of heads of %zu is no number of pairs", s->where, share,
                d->head_size);
    d->rotary = rotary;
    return LRK_OK;
}

/* Two sets of parameters, for layers with a window and for the others. */
static lrk_status read_two_ropes(lrk_decoder *d, const lrk_source *s, const lrk_json *parameters,
                                 const lrk_rope_context *c, lrk_err *err)
{
    const lrk_json *global = NULL, *local = NULL, *scaling = NULL;
    d->local_rope = (lrk_rope){.theta = 10000.0, .factor = 1.0};
    LRK_TRY(lrk_json_opt_real(s->config, "rope_local_base_freq", &d->local_rope.theta, s->where, err));
    if (parameters) {
        LRK_TRY(find_object(parameters, "full_attention", &global, s->where, err));
        LRK_TRY(find_object(parameters, "sliding_attention", &local, s->where, err));
        LRK_REQUIRE(err, global || local || lrk_json_size(parameters) == 0, LRK_ESUPPORT,
                    "%s: rope_parameters: expected full_attention and sliding_attention", s->where);
    }
    LRK_TRY(find_object(s->config, "rope_scaling", &scaling, s->where, err));
    const char *older = lrk_json_get(scaling, "rope_type") ? "default" : lrk_json_word(scaling, "type");
    LRK_REQUIRE(err, !lrk_json_size(scaling) || (older && strcmp(older, "default") == 0), LRK_ESUPPORT,
                "%s: rope_scaling without rope_type, which transformers 5 does not heed and 4 did", s->where);
    if (local) LRK_TRY(lrk_rope_read(&d->local_rope, local, c, err));
    if (global) LRK_TRY(lrk_rope_read(&d->rope, global, c, err));
    return lrk_json_get(scaling, "rope_type") ? lrk_rope_read(&d->rope, scaling, c, err) : LRK_OK;
}

/* Whether queries grow with their position: both numbers must be there, as in the reference. */
static lrk_status read_temperature(lrk_decoder *d, const lrk_source *s, const lrk_json *parameters, lrk_err *err)
{
    static const char beta[] = "llama_4_scaling_beta", original[] = "original_max_position_embeddings";
    LRK_REQUIRE(err, s->family->temperature || !lrk_json_is_set(lrk_json_get(parameters, beta)), LRK_ESUPPORT,
                "%s: rope_parameters: %s is not supported for %s", s->where, beta, s->family->architecture);
    if (!s->family->temperature) return LRK_OK;
    const bool both = lrk_json_is_set(lrk_json_get(parameters, beta)) &&
                      lrk_json_is_set(lrk_json_get(parameters, original));
    LRK_REQUIRE(err, both, LRK_EINPUT, "%s: rope_parameters: %s and %s must be there for %s", s->where, beta, original,
                s->family->architecture);
    LRK_TRY(lrk_json_opt_real(parameters, beta, &d->rope.temperature, s->where, err));
    LRK_TRY(lrk_json_opt_real(parameters, original, &d->rope.original, s->where, err));
    LRK_REQUIRE(err, d->rope.original >= 1.0, LRK_EINPUT, "%s: rope_parameters: %s is below 1", s->where, original);
    return LRK_OK;
}

/* transformers 5 writes rope_parameters, 4 wrote rope_theta and rope_scaling; where both are there, as in a file of 5
 * into which a user has put the scaling that a model card tells of, rope_scaling holds alone. */
lrk_status lrk_family_rope(lrk_decoder *d, const lrk_source *s, lrk_err *err)
{
    const lrk_family *f = s->family;
    const lrk_json *parameters, *scaling;
    size_t original = f->original;
    d->rope = (lrk_rope){.theta = f->theta > 0.0 ? f->theta : 10000.0, .factor = 1.0};
    LRK_TRY(read_named(s, f->theta_key, "rope_theta", &d->rope.theta, err));
    LRK_TRY(find_object(s->config, "rope_parameters", &parameters, s->where, err));
    LRK_TRY(find_object(s->config, "rope_scaling", &scaling, s->where, err));
    if (!f->local_rope && lrk_json_size(scaling)) parameters = scaling;
    LRK_TRY(read_rotary(d, s, parameters, err));
    LRK_TRY(lrk_json_opt_size(s->config, "original_max_position_embeddings", 1, 1u << 30, &original, s->where, err));
    const lrk_rope_context c = {.where = s->where, .pairs = d->rotary / 2,
                                .max_positions = d->max_positions, .original = (double)original,
                                .su_is_longrope = f->fused_heads && f->fused_gate};
    if (f->local_rope) LRK_TRY(read_two_ropes(d, s, parameters, &c, err));
    if (!f->local_rope && parameters) LRK_TRY(lrk_rope_read(&d->rope, parameters, &c, err));
    LRK_TRY(read_temperature(d, s, parameters, err));
    LRK_REQUIRE(err, d->rope.theta > 0.0, LRK_EINPUT, "%s: rope_theta must be positive", s->where);
    LRK_REQUIRE(err, d->local_rope.theta > 0.0 || !f->local_rope, LRK_EINPUT,
                "%s: rope_local_base_freq, or rope_theta of sliding_attention, must be positive", s->where);
    return LRK_OK;
}
