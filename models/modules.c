/* models/modules.c -- which modules a layer has, and how many numbers they hold. */
#include "models/modules.h"

bool lrk_module_of(const lrk_decoder *d, size_t layer, int which, lrk_module *m)
{
    const size_t q = d->heads * d->head_size, k = d->key_heads * d->head_size;
    const size_t C = d->width, F = d->feed_forward;
    const bool gated = !d->plain_mlp;
    (void)layer;
    const lrk_module all[LRK_PROJECTIONS] = {
        [LRK_Q] = {"self_attn.q_proj", q, C, d->attention_bias},
        [LRK_K] = {"self_attn.k_proj", k, C, d->attention_bias},
        [LRK_V] = {"self_attn.v_proj", k, C, d->attention_bias},
        [LRK_QKV] = {"self_attn.qkv_proj", q + 2 * k, C, d->attention_bias},
        [LRK_O] = {"self_attn.o_proj", C, q, d->output_bias},
        [LRK_GATE] = {"mlp.gate_proj", F, C, d->mlp_bias},
        [LRK_UP] = {gated ? "mlp.up_proj" : "mlp.c_fc", F, C, d->mlp_bias},
        [LRK_GATE_UP] = {"mlp.gate_up_proj", 2 * F, C, d->mlp_bias},
        [LRK_DOWN] = {gated ? "mlp.down_proj" : "mlp.c_proj", C, F, d->mlp_bias},
    };
    const bool there[LRK_PROJECTIONS] = {
        [LRK_Q] = !d->fused,       [LRK_K] = !d->fused,           [LRK_V] = !d->fused,
        [LRK_QKV] = d->fused,      [LRK_O] = true,                [LRK_GATE] = gated && !d->fused,
        [LRK_UP] = !d->fused,      [LRK_GATE_UP] = d->fused,      [LRK_DOWN] = true,
    };
    *m = all[which];
    return there[which];
}

bool lrk_norm_of(const lrk_decoder *d, size_t layer, int which, const char **name, size_t *n)
{
    static const char *const names[3][LRK_NORM_Q] = {
        [LRK_NORM_BEFORE] = {"input_layernorm", NULL, "post_attention_layernorm", NULL},
        [LRK_NORM_AROUND] = {"input_layernorm", "post_attention_layernorm",
                             "pre_feedforward_layernorm", "post_feedforward_layernorm"},
        [LRK_NORM_AFTER] = {NULL, "post_attention_layernorm", NULL, "post_feedforward_layernorm"},
    };
    (void)layer;
    *n = d->width;
    if (which < LRK_NORM_Q) {
        *name = names[d->placement][which];
        return *name != NULL;
    }
    const size_t heads = which == LRK_NORM_Q ? d->heads : d->key_heads;
    *name = which == LRK_NORM_Q ? "self_attn.q_norm" : "self_attn.k_norm";
    *n = d->head_norm == LRK_NORM_WIDTH ? heads * d->head_size : d->head_size;
    return d->head_norm != LRK_NORM_NO_HEAD;
}

size_t lrk_decoder_matrix_parameters(const lrk_decoder *d)
{
    size_t n = d->vocabulary * d->width;
    for (size_t i = 0; i < d->layers; i++) {
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
        for (int which = 0; which < LRK_NORMS; which++) {
            const char *name;
            size_t length;
            if (lrk_norm_of(d, i, which, &name, &length)) n += vectors * length;
        }
        for (int which = 0; which < LRK_PROJECTIONS; which++) {
            lrk_module m;
            if (lrk_module_of(d, i, which, &m) && m.bias) n += m.rows;
        }
    }
    return n;
}
