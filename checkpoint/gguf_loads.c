/* checkpoint/gguf_loads.c -- what GGUF can say and llama.cpp does not load, or computes wrong without a word, for an
 * architecture: such a file is not written.
 *
 * Each was seen there; facts: github.com/ggml-org/llama.cpp, src/llama-model.cpp, src/models/. */
#include "checkpoint/gguf_target.h"

#include <string.h>

lrk_status lrk_gguf_check_head(const lrk_arch *a, bool own, const char *path, lrk_err *err)
{
    LRK_REQUIRE(err, !a || a->head == LRK_HEAD_ANY || own == (a->head == LRK_HEAD_OWN), LRK_ESUPPORT,
                "%s: %s; llama.cpp loads %s with %s only", path,
                own ? "the head has weights of its own" : "the head is tied to the embedding", a->gguf,
                own ? "a tied head" : "a head of its own");
    return LRK_OK;
}

static lrk_status check_sizes(const lrk_gguf_target *t, lrk_err *err)
{
    LRK_REQUIRE(err, !t->arch->heads_fill_width || t->heads * t->head_dim == t->width, LRK_ESUPPORT,
                "%s: config.json: head_dim is %zu; llama.cpp loads %s with hidden_size / num_attention_heads only, "
                "%zu / %zu",
                t->path, t->head_dim, t->arch->gguf, t->width, t->heads);
    return LRK_OK;
}

static lrk_status check_biases(const lrk_gguf_target *t, lrk_err *err)
{
    bool bias = true;
    if (!t->arch->needs_bias) return LRK_OK;
    LRK_TRY(lrk_json_opt_bool(t->config, t->arch->bias, &bias, t->path, err));
    LRK_REQUIRE(err, bias, LRK_ESUPPORT, "%s: config.json: %s is false; llama.cpp loads %s with biases only",
                t->path, t->arch->bias, t->arch->gguf);
    return LRK_OK;
}

static lrk_status check_softcaps(const lrk_gguf_target *t, lrk_err *err)
{
    static const char *const keys[] = {"attn_logit_softcapping", "final_logit_softcapping"};
    for (size_t i = 0; t->arch->keys & LRK_KEYS_SOFTCAPS && i < 2; i++)
        LRK_REQUIRE(err, !lrk_json_is(lrk_json_get(t->config, keys[i]), LRK_JSON_NULL), LRK_ESUPPORT,
                    "%s: config.json: %s is null; llama.cpp computes %s with one", t->path, keys[i],
                    t->arch->gguf);
    return LRK_OK;
}

static lrk_status check_rope(const lrk_gguf_target *t, lrk_err *err)
{
    const char *type = lrk_rope_type(t->config);
    const bool scaled = strcmp(type, "llama3") == 0, linear = strcmp(type, "linear") == 0;
    double factor = 0;
    LRK_REQUIRE(err, !(scaled && !t->arch->rope_divisors) && !(linear && t->arch->latent), LRK_ESUPPORT,
                "%s: config.json: rope scaling %s; llama.cpp %s %s", t->path, type,
                scaled ? "does not load it for" : "computes another attention with it for", t->arch->gguf);
    LRK_TRY(lrk_rope_real(t->config, "attention_factor", &factor, err));
    LRK_REQUIRE(err, !(factor > 0 && t->arch->local_rope), LRK_ESUPPORT,
                "%s: config.json: attention_factor is %g; llama.cpp computes %s with it in layers that have a window "
                "too", t->path, factor, t->arch->gguf);
    return LRK_OK;
}

lrk_status lrk_gguf_loads(const lrk_gguf_target *t, lrk_err *err)
{
    LRK_TRY(check_sizes(t, err));
    LRK_TRY(check_biases(t, err));
    LRK_TRY(check_softcaps(t, err));
    return check_rope(t, err);
}
