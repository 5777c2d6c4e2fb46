/* models/modules.c -- which modules a layer has, and how many numbers they hold. */
#include "models/modules.h"

#include <stdio.h>

static const lrk_names names[] = {
    [LRK_NAMED_LLAMA] = {"model.embed_tokens", "lm_head", "model.norm", "model.layers", "self_attn.qkv_proj",
                         "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"},
    [LRK_NAMED_STARCODER] = {"model.embed_tokens", "lm_head", "model.norm", "model.layers", "self_attn.qkv_proj",
                             "self_attn.o_proj", "mlp.c_fc", "mlp.c_proj"},
    [LRK_NAMED_NEOX] = {"gpt_neox.embed_in", "embed_out", "gpt_neox.final_layer_norm", "gpt_neox.layers",
                        "attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"},
};

const lrk_names *lrk_names_of(const lrk_decoder *d)
{
    return &names[d->naming];
}

void lrk_layer_path(const lrk_decoder *d, size_t layer, const char *below, char out[LRK_MODULE_PATH])
{
    snprintf(out, LRK_MODULE_PATH, "%s.%zu.%s", names[d->naming].layers, layer, below);
}

static bool exists(const lrk_decoder *d, size_t layer, int which)
{
    const bool latent = d->latent.rank, dense = !(d->layer[layer] & LRK_LAYER_EXPERTS);
    switch (which) {
    case LRK_Q: return latent ? !d->latent.query_rank : !d->fused_heads;
    case LRK_K:
    case LRK_V: return !latent && !d->fused_heads;
    case LRK_QKV: return d->fused_heads;
    case LRK_Q_A:
    case LRK_Q_B: return d->latent.query_rank;
    case LRK_KV_A:
    case LRK_KV_B: return latent;
    case LRK_GATE: return dense && !d->plain_mlp && !d->fused_gate;
    case LRK_UP: return dense && (d->plain_mlp || !d->fused_gate);
    case LRK_GATE_UP: return dense && d->fused_gate;
    case LRK_DOWN: return dense;
    case LRK_ROUTER: return !dense;
    case LRK_SHARED_ROUTER: return !dense && d->gated_shared;
    case LRK_SHARED_GATE:
    case LRK_SHARED_UP:
    case LRK_SHARED_DOWN: return !dense && d->shared;
    default: return true;
    }
}

bool lrk_module_of(const lrk_decoder *d, size_t layer, int which, lrk_module *m)
{
    const lrk_latent *l = &d->latent;
    const size_t q = d->heads * d->head_size, k = d->key_heads * d->head_size;
    const size_t o = l->rank ? d->heads * l->value : q;
    const size_t C = d->width, F = d->feed_forward, S = d->shared;
    const bool bias = d->attention_bias, one = d->gated_shared;
    const lrk_names *const named = lrk_names_of(d);
    const lrk_module all[LRK_PROJECTIONS] = {
        [LRK_Q] = {"self_attn.q_proj", q, C, bias && !l->rank},
        [LRK_K] = {"self_attn.k_proj", k, C, bias},
        [LRK_V] = {"self_attn.v_proj", k, C, bias},
        [LRK_QKV] = {named->qkv, q + 2 * k, C, bias},
        [LRK_Q_A] = {"self_attn.q_a_proj", l->query_rank, C, bias},
        [LRK_Q_B] = {"self_attn.q_b_proj", q, l->query_rank, false},
        [LRK_KV_A] = {"self_attn.kv_a_proj_with_mqa", l->rank + d->rotary, C, bias},
        [LRK_KV_B] = {"self_attn.kv_b_proj", d->heads * (l->plain + l->value), l->rank, false},
        [LRK_O] = {named->o, C, o, d->output_bias},
        [LRK_GATE] = {"mlp.gate_proj", F, C, d->mlp_bias},
        [LRK_UP] = {named->up, F, C, d->mlp_bias},
        [LRK_GATE_UP] = {"mlp.gate_up_proj", 2 * F, C, d->mlp_bias},
        [LRK_DOWN] = {named->down, C, F, d->mlp_bias},
        [LRK_SHARED_GATE] = {one ? "mlp.shared_expert.gate_proj" : "mlp.shared_experts.gate_proj", S, C, d->mlp_bias},
        [LRK_SHARED_UP] = {one ? "mlp.shared_expert.up_proj" : "mlp.shared_experts.up_proj", S, C, d->mlp_bias},
        [LRK_SHARED_DOWN] = {one ? "mlp.shared_expert.down_proj" : "mlp.shared_experts.down_proj", C, S, d->mlp_bias},
        [LRK_SHARED_ROUTER] = {"mlp.shared_expert_gate", 1, C, false},
        [LRK_ROUTER] = {lrk_router_name(d), d->experts.experts, C, false},
    };
    *m = all[which];
    return exists(d, layer, which);
}

void lrk_expert_path(const lrk_decoder *d, size_t layer, size_t expert, int which, char out[LRK_MODULE_PATH])
{
    static const char *const called[2][3] = {{"gate_proj", "up_proj", "down_proj"}, {"w1", "w3", "w2"}};
    snprintf(out, LRK_MODULE_PATH, "model.layers.%zu.%s.experts.%zu.%s", layer,
             d->block_sparse ? "block_sparse_moe" : "mlp", expert, called[d->block_sparse][which - LRK_GATE]);
}

void lrk_experts_path(size_t layer, int which, char out[LRK_MODULE_PATH])
{
    snprintf(out, LRK_MODULE_PATH, "model.layers.%zu.mlp.experts.%s", layer,
             which == LRK_DOWN ? "down_proj" : "gate_up_proj");
}

const char *lrk_router_name(const lrk_decoder *d)
{
    return d->block_sparse ? "block_sparse_moe.gate" : "mlp.gate";
}

bool lrk_norm_of(const lrk_decoder *d, int which, const char **name, size_t *n)
{
    static const char *const called[][LRK_NORM_Q] = {
        [LRK_NORM_BEFORE] = {"input_layernorm", NULL, "post_attention_layernorm", NULL},
        [LRK_NORM_AROUND] = {"input_layernorm", "post_attention_layernorm",
                             "pre_feedforward_layernorm", "post_feedforward_layernorm"},
        [LRK_NORM_AROUND_GLM4] = {"input_layernorm", "post_self_attn_layernorm",
                                  "post_attention_layernorm", "post_mlp_layernorm"},
        [LRK_NORM_AFTER] = {NULL, "post_attention_layernorm", NULL, "post_feedforward_layernorm"},
    };
    *n = d->width;
    if (which < LRK_NORM_Q) {
        *name = called[d->placement][which];
        return *name != NULL;
    }
    if (which >= LRK_NORM_Q_A) {
        *name = which == LRK_NORM_Q_A ? "self_attn.q_a_layernorm" : "self_attn.kv_a_layernorm";
        *n = which == LRK_NORM_Q_A ? d->latent.query_rank : d->latent.rank;
        return *n > 0;
    }
    const size_t heads = which == LRK_NORM_Q ? d->heads : d->key_heads;
    *name = which == LRK_NORM_Q ? "self_attn.q_norm" : "self_attn.k_norm";
    *n = d->head_norm == LRK_NORM_WIDTH ? heads * d->head_size : d->head_size;
    return d->head_norm != LRK_NORM_NO_HEAD;
}

/* Numbers of the experts of a layer of which a token sees `seen`. */
static size_t expert_parameters(const lrk_decoder *d, size_t layer, size_t seen)
{
    if (!(d->layer[layer] & LRK_LAYER_EXPERTS)) return 0;
    return seen * 3 * d->width * d->experts.feed_forward;
}

size_t lrk_decoder_matrix_parameters(const lrk_decoder *d)
{
    size_t n = d->vocabulary * d->width;
    for (size_t i = 0; i < d->layers; i++) {
        n += expert_parameters(d, i, d->experts.used);
        for (int which = 0; which < LRK_PROJECTIONS; which++) {
            lrk_module m;
            if (lrk_module_of(d, i, which, &m)) n += m.rows * m.cols;
        }
    }
    return n;
}

size_t lrk_decoder_parameters(const lrk_decoder *d)
{
    const size_t vectors = d->layer_norm ? 2 : 1; /* of a norm */
    size_t n = lrk_decoder_matrix_parameters(d) + vectors * d->width;
    if (!d->tied) n += d->vocabulary * d->width;
    for (size_t i = 0; i < d->layers; i++) {
        const bool correction = d->correction && (d->layer[i] & LRK_LAYER_EXPERTS);
        n += expert_parameters(d, i, d->experts.experts) - expert_parameters(d, i, d->experts.used);
        n += correction ? d->experts.experts : 0;
        for (int which = 0; which < LRK_NORMS; which++) {
            const char *name;
            size_t length;
            if (lrk_norm_of(d, which, &name, &length)) n += vectors * length;
        }
        for (int which = 0; which < LRK_PROJECTIONS; which++) {
            lrk_module m;
            if (lrk_module_of(d, i, which, &m) && m.bias) n += m.rows;
        }
    }
    return n;
}
