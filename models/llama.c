/* models/llama.c -- the forward pass of the Llama family (Touvron et al., 2023):
 *
 *   h   = embed(ids)
 *   for each layer:
 *     a = rmsnorm(h)
 *     h = h + O(attention(rope(Q a), rope(K a), V a))
 *     f = rmsnorm(h)
 *     h = h + Down(silu(Gate f) * Up f)
 *   rmsnorm(h)
 *
 * Each of Q, K, V, O, Gate, Up, Down is a frozen matrix, with an adapter beside it where there is one.
 */
#include "kernels/add/add.h"
#include "models/model.h"

static lrk_var *norm(const lrk_pass *p, lrk_var *x, const lrk_tensor *weight)
{
    lrk_var *in[] = {x, lrk_constant(p->tape, weight)};
    return lrk_apply(p->tape, &lrk_op_rmsnorm, in, 2, &p->model->norm);
}

static lrk_var *project(const lrk_pass *p, const lrk_projection *w, lrk_var *x)
{
    lrk_tape *t = p->tape;
    lrk_var *in[] = {x, lrk_constant(t, &w->weight), lrk_constant(t, w->bias.rank ? &w->bias : NULL),
                     lrk_parameter(t, w->adapted ? &w->a : NULL, w->da.rank ? &w->da : NULL),
                     lrk_parameter(t, w->adapted ? &w->b : NULL, w->db.rank ? &w->db : NULL)};
    return lrk_apply(t, &lrk_op_linear, in, 5, &w->attr);
}

/* Angles of all tokens, for every layer. */
static lrk_var *rope_table(const lrk_pass *p)
{
    lrk_tape *t = p->tape;
    lrk_var *in[] = {lrk_constant(t, p->segments), lrk_constant(t, &p->model->frequencies),
                     lrk_constant(t, p->ids)};
    lrk_var *table = lrk_apply(t, &lrk_op_rope_table, in, 3, &p->model->rope_table);
    lrk_tape_hold(t);
    return table;
}

static lrk_var *rotate(const lrk_pass *p, lrk_var *table, lrk_var *x)
{
    return lrk_apply(p->tape, &lrk_op_rope, (lrk_var *[]){x, table}, 2, &p->model->rope);
}

static lrk_var *attend(const lrk_pass *p, size_t layer, lrk_var *q, lrk_var *k, lrk_var *v)
{
    lrk_tape *t = p->tape;
    if (p->cache && q && k && v) {
        lrk_kv_cache_append(p->cache, layer, &k->value, &v->value, p->segments);
        k = lrk_constant(t, &p->cache->k[layer]);
        v = lrk_constant(t, &p->cache->v[layer]);
    }
    lrk_var *in[] = {q, k, v, lrk_constant(t, p->segments)};
    return lrk_apply(t, &lrk_op_attention, in, 4, &p->model->attention);
}

static lrk_var *add(const lrk_pass *p, lrk_var *x, lrk_var *delta)
{
    return lrk_apply(p->tape, &lrk_op_add, (lrk_var *[]){x, delta}, 2, NULL);
}

static lrk_var *layer_forward(const lrk_pass *p, size_t i, lrk_var *table, lrk_var *h)
{
    const lrk_layer *layer = &p->model->layers[i];
    const lrk_projection *w = layer->projection;

    lrk_var *a = norm(p, h, &layer->attention_norm);
    lrk_var *q = rotate(p, table, project(p, &w[LRK_Q], a));
    lrk_var *k = rotate(p, table, project(p, &w[LRK_K], a));
    lrk_var *v = project(p, &w[LRK_V], a);
    h = add(p, h, project(p, &w[LRK_O], attend(p, i, q, k, v)));

    lrk_var *f = norm(p, h, &layer->feed_forward_norm);
    lrk_var *gate = project(p, &w[LRK_GATE], f), *up = project(p, &w[LRK_UP], f);
    lrk_var *g = lrk_apply(p->tape, &lrk_op_swiglu, (lrk_var *[]){gate, up}, 2, &p->model->swiglu);
    return add(p, h, project(p, &w[LRK_DOWN], g));
}

lrk_var *lrk_model_hidden(const lrk_pass *p)
{
    const lrk_model *m = p->model;
    lrk_var *table = rope_table(p);
    lrk_var *in[] = {lrk_constant(p->tape, &m->embedding), lrk_constant(p->tape, p->ids)};
    lrk_var *h = lrk_apply(p->tape, &lrk_op_embed, in, 2, &m->embed);
    for (size_t i = 0; i < m->decoder.layers; i++) {
        if (p->hidden) p->hidden[i] = h;
        if (p->recompute) lrk_tape_segment_begin(p->tape);
        h = layer_forward(p, i, table, h);
        if (p->recompute) h = lrk_tape_segment_end(p->tape, h);
    }
    h = norm(p, h, &m->final_norm);
    if (p->hidden) p->hidden[m->decoder.layers] = h;
    return h;
}

lrk_var *lrk_model_loss(const lrk_pass *p, lrk_var *hidden, const lrk_tensor *targets)
{
    lrk_var *in[] = {hidden, lrk_constant(p->tape, &p->model->head),
                     lrk_constant(p->tape, targets)};
    return lrk_apply(p->tape, &lrk_op_linear_xent, in, 3, &p->model->loss);
}

lrk_var *lrk_model_logits(const lrk_pass *p, lrk_var *hidden)
{
    lrk_var *in[] = {hidden, lrk_constant(p->tape, &p->model->head)};
    return lrk_apply(p->tape, &lrk_op_linear, in, 2, &p->model->plain);
}
