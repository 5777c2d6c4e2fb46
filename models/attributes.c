/* models/attributes.c -- attributes of a decoder's ops. */
#include "models/attributes.h"

#include <math.h>

/* What embeddings are multiplied by: a number that the reference holds in the compute type. */
static double embedding_scale(const lrk_decoder *d, lrk_compute compute)
{
    if (!d->sqrt_embedding) return d->embedding_scale;
    const float root = (float)sqrt((double)d->width);
    return (double)(compute == LRK_C_BF16 ? lrk_bf16_to_f32(lrk_f32_to_bf16(root)) : root);
}

/* A head of queries and keys is put in the other order, what turns in front: a permutation that leaves
 * their products alone. Values are padded to its length, and cut again. */
static void set_latent(lrk_model *m)
{
    const lrk_decoder *d = &m->decoder;
    const lrk_latent *l = &d->latent;
    const size_t D = d->head_size, R = d->rotary, both = l->plain + l->value;
    m->latent_norm = (lrk_rmsnorm_attr){.eps = 1e-6}; /* whatever the configuration says */
    m->latent_q = (lrk_heads_attr){d->heads, D, {{D, l->plain, R}, {D, 0, l->plain}}};
    m->latent_k = (lrk_heads_attr){d->heads, D, {{0, 0, R}, {both, 0, l->plain}}};
    m->latent_v = (lrk_heads_attr){d->heads, D, {{both, l->plain, l->value}, {0, 0, 0}}};
    m->latent_o = (lrk_heads_attr){d->heads, l->value, {{D, 0, l->value}, {0, 0, 0}}};
}

void lrk_model_set_attributes(lrk_model *m, lrk_compute compute)
{
    const lrk_decoder *d = &m->decoder;
    const lrk_rope *const ropes[] = {&d->rope, &d->local_rope};
    m->norm = (lrk_rmsnorm_attr){.eps = d->norm_eps};
    m->layer_norm = (lrk_layernorm_attr){.eps = d->norm_eps};
    for (int i = 0; i < 2; i++) {
        m->rope_table[i] = (lrk_rope_table_attr){.attention_factor = ropes[i]->attention_factor,
                                                 .long_from = (size_t)ropes[i]->original};
        m->attention[i] = (lrk_attention_attr){.heads = d->heads,
                                               .kv_heads = d->key_heads,
                                               .head = d->head_size,
                                               .scale = d->attention_scale,
                                               .window = i ? d->window : 0,
                                               .softcap = d->attention_softcap};
    }
    m->query_table = m->rope_table[0];
    m->query_table.temperature = d->rope.temperature;
    m->query_table.step = d->rope.original;
    m->rope = (lrk_rope_attr){.head = d->head_size, .interleaved = d->interleaved || d->pairs_adjacent};
    if (d->latent.rank) set_latent(m);
    const size_t D = d->head_size;
    for (size_t i = 0; d->by_head && i < 3; i++)
        m->of_heads[i] = (lrk_heads_attr){d->heads, D, {{3 * D, i * D, D}, {0, 0, 0}}};
    m->embed = (lrk_embed_attr){.compute = compute, .scale = embedding_scale(d, compute), .padding = d->padding};
    m->token_rows = (lrk_token_rows_attr){.scale = m->embed.scale, .padding = m->embed.padding};
    m->gather = (lrk_embed_attr){.compute = compute, .scale = 1.0};
    m->swiglu = (lrk_swiglu_attr){.activation = d->activation};
    m->residual = (lrk_scale_attr){.scale = d->residual_scale};
    m->logit = (lrk_scale_attr){.scale = d->logit_scale};
    m->softcap = (lrk_softcap_attr){.cap = d->final_softcap};
    m->loss.softcap = d->final_softcap;
    m->plain = (lrk_linear_attr){.scale = 1.0};
}
