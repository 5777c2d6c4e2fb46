/* models/decoder_forward.c -- the forward pass of a decoder (Vaswani et al., 2017; Touvron et al., 2023):
 *
 *   h   = scale * embed(ids)
 *   for each layer:
 *     h = h + out_norm(O(attention(rope(norm(Q a)), rope(norm(K a)), V a))),   a = norm(h)
 *     h = h + out_norm(Down(act(Gate f) * Up f)),                              f = norm(h)
 *   norm(h)
 *
 * Each of Q, K, V, O, Gate, Up, Down is a frozen matrix, or rows of one that several share, with an
 * adapter beside it where there is one. Which of the norms are there, whether a layer turns its heads,
 * has a window or a gate, says the decoder description.
 */
#include "kernels/add/add.h"
#include "models/borders.h"

/* border: columns behind those of the result, for what adapters save beside it (models/borders.h). */
static lrk_var *norm(const lrk_pass *p, lrk_var *x, const lrk_norm_weights *n, size_t border)
{
    lrk_tape *t = p->tape;
    if (!n->weight.rank) return x;
    lrk_var *in[] = {x, lrk_constant(t, &n->weight), lrk_constant(t, n->bias.rank ? &n->bias : NULL)};
    return p->model->decoder.layer_norm ? lrk_apply_wide(t, &lrk_op_layernorm, in, 3, &p->model->layer_norm, border)
                                        : lrk_apply_wide(t, &lrk_op_rmsnorm, in, 2, &p->model->norm, border);
}

/* n rows of a matrix, or elements of a vector, from `first` on. */
static const lrk_tensor *part(const lrk_tensor *t, size_t first, size_t n, lrk_tensor *room)
{
    if (!t->rank) return NULL;
    *room = *t;
    room->dim[0] = n;
    if (t->rank == 1) room->stride = n;
    if (t->data)
        room->data = t->rank == 1 ? (char *)t->data + lrk_row_bytes(t->dtype, first) : lrk_row(t, first);
    return room;
}

/* -s B0 A0 x, those rows of it (models/principal.h). */
static lrk_var *taken_out(const lrk_pass *p, const lrk_projection *w, size_t first, size_t n, lrk_var *x)
{
    lrk_tape *t = p->tape;
    lrk_tensor b0;
    lrk_var *s = lrk_apply(t, &lrk_op_linear, (lrk_var *[]){x, lrk_constant(t, &w->a0)}, 2, &p->model->plain);
    s = lrk_apply(t, &lrk_op_scale, &s, 1, &w->fixed);
    lrk_var *in[] = {s, lrk_constant(t, part(&w->b0, first, n, &b0))};
    return lrk_apply(t, &lrk_op_linear, in, 2, &p->model->plain);
}

/* Rows first .. first + n - 1 of the projection's result. */
static lrk_var *project_rows(const lrk_pass *p, const lrk_projection *w, size_t first, size_t n,
                             lrk_var *x)
{
    lrk_tape *t = p->tape;
    lrk_tensor weight, bias, b, db, m, dm, norm;
    lrk_var *shift = lrk_constant(t, part(&w->bias, first, n, &bias));
    lrk_var *in[] = {x, lrk_constant(t, part(&w->weight, first, n, &weight)), w->m.rank ? NULL : shift,
                     lrk_parameter(t, w->adapted ? lrk_borders_a(w) : NULL, w->da.rank ? &w->da : NULL),
                     lrk_parameter(t, w->adapted ? part(lrk_borders_b(w), first, n, &b) : NULL,
                                   part(&w->db, first, n, &db))};
    if (w->a0.rank) {
        lrk_var *both[] = {lrk_apply(t, &lrk_op_linear, in, 5, &w->attr), taken_out(p, w, first, n, x)};
        return lrk_apply(t, &lrk_op_add, both, 2, NULL);
    }
    if (!w->m.rank) return lrk_apply(t, &lrk_op_linear, in, 5, &w->attr);
    const bool drops = w->attr.dropout > 0.0;
    if (drops) in[LRK_LINEAR_X] = lrk_apply(t, &lrk_op_dropout, &x, 1, &w->mask[0]);
    lrk_var *y = lrk_apply(t, &lrk_op_linear, in, 5, &w->whole);
    lrk_var *scaled[] = {y, lrk_parameter(t, part(&w->m, first, n, &m), part(&w->dm, first, n, &dm)),
                         lrk_constant(t, part(&w->norm, first, n, &norm)), shift};
    y = lrk_apply(t, &lrk_op_dora, scaled, 4, NULL);
    if (!drops) return y;
    lrk_var *rest[] = {lrk_apply(t, &lrk_op_dropout, &x, 1, &w->mask[1]), in[LRK_LINEAR_W]};
    rest[0] = lrk_apply(t, &lrk_op_linear, rest, 2, &p->model->plain);
    return lrk_apply(t, &lrk_op_add, (lrk_var *[]){y, rest[0]}, 2, NULL);
}

static lrk_var *project(const lrk_pass *p, const lrk_projection *w, lrk_var *x)
{
    return project_rows(p, w, 0, lrk_rows(&w->weight), x);
}

/* n rows of a matrix, from `first` on, and what is beside them. */
typedef struct lrk_slice {
    const lrk_projection *w;
    size_t first, n;
} lrk_slice;

/* Whether one op makes the results of all: they share an adapter, or their A lie one below the other. */
static bool as_one(const lrk_slice *s, int n)
{
    int adapted = 0, following = 0;
    if (s[0].w == s[n - 1].w) return s[0].w->adapted && !s[0].w->m.rank && !s[0].w->a0.rank;
    for (int i = 0; i < n; i++) {
        adapted += s[i].w->adapted;
        following += s[i].w->follows;
    }
    return following > 0 && following + 1 == adapted;
}

/* Results of up to three slices with the same input. */
static void project_all(const lrk_pass *p, const lrk_slice *s, int n, lrk_var *x, lrk_var **y)
{
    lrk_tape *t = p->tape;
    if (!as_one(s, n)) {
        for (int i = 0; i < n; i++) y[i] = project_rows(p, s[i].w, s[i].first, s[i].n, x);
        return;
    }
    lrk_var *in[LRK_LINEAR_INS] = {x};
    lrk_tensor room, a = {0}, da = {0};
    const lrk_projection *adapter = NULL, *last = NULL;
    for (int i = 0; i < n; i++) {
        const lrk_projection *w = s[i].w;
        in[lrk_linear_w(i)] = lrk_constant(t, part(&w->weight, s[i].first, s[i].n, &room));
        in[lrk_linear_bias(i)] = lrk_constant(t, part(&w->bias, s[i].first, s[i].n, &room));
        if (!w->adapted) continue;
        const lrk_tensor *b = part(lrk_borders_b(w), s[i].first, s[i].n, &room);
        lrk_tensor db;
        in[lrk_linear_b(i)] = lrk_parameter(t, b, part(&w->db, s[i].first, s[i].n, &db));
        if (!adapter) {
            adapter = w;
            a = *lrk_borders_a(w);
            da = w->da;
        } else if (w != last) {
            a.dim[0] += lrk_rows(&w->a);
            da.dim[0] = a.dim[0];
        }
        last = w;
    }
    in[LRK_LINEAR_A] = lrk_parameter(t, &a, da.rank ? &da : NULL);
    y[0] = lrk_apply(t, &lrk_op_linear, in, LRK_LINEAR_INS, &adapter->attr);
    for (int i = 1; i < n; i++) y[i] = lrk_result(t, y[0], i);
}

/* Angles of all tokens, for every layer: those of the model, and those of layers with a window where they
 * have others; and those of queries that grow with their position, else NULL. */
typedef struct lrk_angles {
    lrk_var *table[2], *queries;
} lrk_angles;

static lrk_var *rope_table(const lrk_pass *p, const lrk_tensor *frequencies, const lrk_rope_table_attr *attr)
{
    lrk_tape *t = p->tape;
    lrk_var *in[] = {lrk_constant(t, p->segments), lrk_constant(t, frequencies), lrk_constant(t, p->ids)};
    return lrk_apply(t, &lrk_op_rope_table, in, 3, attr);
}

static lrk_angles rope_tables(const lrk_pass *p)
{
    const lrk_model *m = p->model;
    lrk_angles a = {{NULL}, NULL};
    for (int i = 0; i < 2; i++)
        if (m->frequencies[i].rank) a.table[i] = rope_table(p, &m->frequencies[i], &m->rope_table[i]);
    if (m->decoder.rope.temperature != 0.0) a.queries = rope_table(p, &m->frequencies[0], &m->query_table);
    lrk_tape_hold(p->tape);
    return a;
}

/* Queries and keys, where the layer turns them. */
static void rotate(const lrk_pass *p, const lrk_angles *a, size_t layer, lrk_var **q, lrk_var **k)
{
    const unsigned char kind = p->model->decoder.layer[layer];
    if (kind & LRK_LAYER_NO_ROPE) return;
    lrk_var *in[] = {*q, a->table[kind & LRK_LAYER_LOCAL_ROPE ? 1 : 0], *k};
    if (a->queries) {
        *q = lrk_apply(p->tape, &lrk_op_rope, (lrk_var *[]){*q, a->queries}, 2, &p->model->rope);
        *k = lrk_apply(p->tape, &lrk_op_rope, (lrk_var *[]){*k, in[LRK_ROPE_TABLE]}, 2, &p->model->rope);
        return;
    }
    *q = lrk_apply(p->tape, &lrk_op_rope, in, 3, &p->model->rope);
    *k = lrk_result(p->tape, *q, LRK_ROPE_Y2);
}

static lrk_var *attend(const lrk_pass *p, size_t layer, lrk_var *q, lrk_var *k, lrk_var *v, size_t border)
{
    lrk_tape *t = p->tape;
    const lrk_model *m = p->model;
    if (p->cache && q && k && v) {
        lrk_kv_cache_append(p->cache, layer, &k->value, &v->value, p->segments);
        k = lrk_constant(t, &p->cache->k[layer]);
        v = lrk_constant(t, &p->cache->v[layer]);
    }
    lrk_var *in[] = {q, k, v, lrk_constant(t, p->segments)};
    const bool window = m->decoder.layer[layer] & LRK_LAYER_WINDOW;
    return lrk_apply_wide(t, &lrk_op_attention, in, 4, &m->attention[window], border);
}

/* h + r * delta; where a norm comes next, its kernel adds too. */
static lrk_var *add(const lrk_pass *p, lrk_var *h, lrk_var *delta)
{
    const lrk_model *m = p->model;
    if (m->residual.scale < 1.0 || m->residual.scale > 1.0)
        delta = lrk_apply(p->tape, &lrk_op_scale, (lrk_var *[]){delta}, 1, &m->residual);
    return lrk_apply_late(p->tape, &lrk_op_add, (lrk_var *[]){h, delta}, 2, NULL);
}

/* Queries, keys and values of the normed input: matrices of their own, or rows of a fused one; by head they are
 * taken out of the product with all of it. */
static void heads(const lrk_pass *p, size_t i, lrk_var *x, lrk_var **y)
{
    const lrk_decoder *d = &p->model->decoder;
    const lrk_projection *w = p->model->layers[i].projection, *all = &w[LRK_QKV];
    const size_t q = d->heads * d->head_size, k = d->key_heads * d->head_size;
    if (d->by_head) {
        x = project(p, all, x);
        for (int j = 0; j < 3; j++)
            y[j] = lrk_apply(p->tape, &lrk_op_heads, (lrk_var *[]){x, NULL}, 2, &p->model->of_heads[j]);
        return;
    }
    const lrk_slice fused[] = {{all, 0, q}, {all, q, k}, {all, q + k, k}};
    const lrk_slice own[] = {{&w[LRK_Q], 0, q}, {&w[LRK_K], 0, k}, {&w[LRK_V], 0, k}};
    project_all(p, d->fused_heads ? fused : own, 3, x, y);
}

static lrk_var *rearrange(const lrk_pass *p, const lrk_heads_attr *a, lrk_var *x, lrk_var *y)
{
    return lrk_apply(p->tape, &lrk_op_heads, (lrk_var *[]){x, y}, 2, a);
}

static lrk_var *latent_norm(const lrk_pass *p, lrk_var *x, const lrk_norm_weights *n)
{
    lrk_var *in[] = {x, lrk_constant(p->tape, &n->weight)};
    return lrk_apply(p->tape, &lrk_op_rmsnorm, in, 2, &p->model->latent_norm);
}

/* Latent attention: q = Qb norm(Qa x), c = norm(KVa x), k = (rope of the rest of KVa x, part of KVb c),
 * v = the other part of KVb c. */
static lrk_var *latent_attention(const lrk_pass *p, size_t i, const lrk_angles *angles, lrk_var *x)
{
    const lrk_model *m = p->model;
    const lrk_latent *l = &m->decoder.latent;
    const lrk_layer *layer = &m->layers[i];
    const lrk_projection *w = layer->projection;
    lrk_var *q = l->query_rank ? project(p, &w[LRK_Q_B],
                                         latent_norm(p, project(p, &w[LRK_Q_A], x), &layer->norm[LRK_NORM_Q_A]))
                               : project(p, &w[LRK_Q], x);
    q = rearrange(p, &m->latent_q, q, q);
    lrk_var *c = latent_norm(p, project_rows(p, &w[LRK_KV_A], 0, l->rank, x), &layer->norm[LRK_NORM_KV_A]);
    lrk_var *turning = project_rows(p, &w[LRK_KV_A], l->rank, m->decoder.rotary, x);
    lrk_var *kv = project(p, &w[LRK_KV_B], c);
    lrk_var *k = rearrange(p, &m->latent_k, turning, kv);
    lrk_var *v = rearrange(p, &m->latent_v, kv, NULL);
    rotate(p, angles, i, &q, &k);
    lrk_var *o = attend(p, i, q, k, v, 0);
    return project(p, &w[LRK_O], rearrange(p, &m->latent_o, o, NULL));
}

static lrk_var *attention(const lrk_pass *p, size_t i, const lrk_angles *angles, lrk_var *x)
{
    const lrk_layer *layer = &p->model->layers[i];
    if (p->model->decoder.latent.rank) return latent_attention(p, i, angles, x);
    lrk_var *y[3];
    heads(p, i, x, y);
    for (int j = 0; j < 2; j++) y[j] = norm(p, y[j], &layer->norm[LRK_NORM_Q + j], 0);
    rotate(p, angles, i, &y[0], &y[1]);
    const lrk_projection *o = &layer->projection[LRK_O];
    return project(p, o, attend(p, i, y[0], y[1], y[2], o->border));
}

/* What stands beside matrices, as inputs of the experts' op. */
static void beside(lrk_tape *t, const lrk_projection *three, lrk_var **in)
{
    for (int k = 0; k < 3; k++) {
        const lrk_projection *a = &three[k];
        in[LRK_EXPERTS_GATE_A + 2 * k] = lrk_parameter(t, a->adapted ? &a->a : NULL, a->da.rank ? &a->da : NULL);
        in[LRK_EXPERTS_GATE_B + 2 * k] = lrk_parameter(t, a->adapted ? &a->b : NULL, a->db.rank ? &a->db : NULL);
    }
}

/* The shared expert behind a gate: the one expert of one, whose score is a sigmoid. */
static lrk_var *gated_shared(const lrk_pass *p, size_t i, lrk_var *x)
{
    const lrk_layer *layer = &p->model->layers[i];
    const lrk_projection *w = layer->projection;
    lrk_var *in[LRK_EXPERTS_DOWN_B + 1] = {x, project(p, &w[LRK_SHARED_ROUTER], x)};
    for (int k = 0; k < 3; k++) in[LRK_EXPERTS_GATE + k] = lrk_constant(p->tape, &w[LRK_SHARED_GATE + k].weight);
    beside(p->tape, &w[LRK_SHARED_GATE], in);
    return lrk_apply(p->tape, &lrk_op_experts, in, LRK_EXPERTS_DOWN_B + 1, &layer->shared);
}

/* The experts that the router chooses, and those that every token goes through. */
static lrk_var *mixture(const lrk_pass *p, size_t i, lrk_var *x)
{
    lrk_tape *t = p->tape;
    const lrk_layer *layer = &p->model->layers[i];
    const lrk_projection *w = layer->projection;
    lrk_var *in[LRK_EXPERTS_DOWN_B + 1] = {x, project(p, &w[LRK_ROUTER], x)};
    in[LRK_EXPERTS_BIAS] = lrk_constant(t, layer->correction.rank ? &layer->correction : NULL);
    beside(t, layer->expert, in);
    lrk_var *y = lrk_apply(t, &lrk_op_experts, in, LRK_EXPERTS_DOWN_B + 1, &layer->experts);
    if (!p->model->decoder.shared) return y;
    if (p->model->decoder.gated_shared)
        return lrk_apply(t, &lrk_op_add, (lrk_var *[]){y, gated_shared(p, i, x)}, 2, NULL);
    lrk_var *gate = project(p, &w[LRK_SHARED_GATE], x), *up = project(p, &w[LRK_SHARED_UP], x);
    lrk_var *g = lrk_apply(t, &lrk_op_swiglu, (lrk_var *[]){gate, up}, 2, &p->model->swiglu);
    return lrk_apply(t, &lrk_op_add, (lrk_var *[]){y, project(p, &w[LRK_SHARED_DOWN], g)}, 2, NULL);
}

static lrk_var *feed_forward(const lrk_pass *p, size_t i, lrk_var *x)
{
    const lrk_decoder *d = &p->model->decoder;
    const lrk_projection *w = p->model->layers[i].projection;
    if (d->layer[i] & LRK_LAYER_EXPERTS) return mixture(p, i, x);
    const size_t F = d->feed_forward;
    const lrk_slice fused[] = {{&w[LRK_GATE_UP], 0, F}, {&w[LRK_GATE_UP], F, F}};
    const lrk_slice own[] = {{&w[LRK_GATE], 0, F}, {&w[LRK_UP], 0, F}};
    lrk_var *y[2] = {NULL, NULL}; /* gate and up; or what goes through the activation alone */
    if (d->plain_mlp)
        y[0] = project(p, &w[LRK_UP], x);
    else
        project_all(p, d->fused_gate ? fused : own, 2, x, y);
    lrk_var *g = lrk_apply_wide(p->tape, &lrk_op_swiglu, y, 2, &p->model->swiglu, w[LRK_DOWN].border);
    return project(p, &w[LRK_DOWN], g);
}

/* These read one input, or one that is fused does: what makes it leaves the border of the first with an adapter. */
static size_t border(const lrk_projection *w, int first, int last, int fused)
{
    if (w[fused].border) return w[fused].border;
    while (first < last && !w[first].border) first++;
    return w[first].border;
}

static lrk_var *layer_forward(const lrk_pass *p, size_t i, const lrk_angles *angles, lrk_var *h)
{
    const lrk_norm_weights *n = p->model->layers[i].norm;
    const lrk_projection *w = p->model->layers[i].projection;
    const size_t heads = border(w, LRK_Q, LRK_V, LRK_QKV), gates = border(w, LRK_GATE, LRK_UP, LRK_GATE_UP);
    lrk_var *a = attention(p, i, angles, norm(p, h, &n[LRK_NORM_ATTENTION], heads));
    if (p->model->decoder.parallel) { /* one after the other: compilers differ in which argument comes first */
        lrk_var *f = feed_forward(p, i, norm(p, h, &n[LRK_NORM_FEED_FORWARD], gates));
        return add(p, add(p, h, a), f);
    }
    h = add(p, h, norm(p, a, &n[LRK_NORM_ATTENTION_OUT], 0));
    lrk_var *f = feed_forward(p, i, norm(p, h, &n[LRK_NORM_FEED_FORWARD], gates));
    return add(p, h, norm(p, f, &n[LRK_NORM_FEED_FORWARD_OUT], 0));
}

/* Rows of the embedding that are trained alone. */
static lrk_var *own_rows(const lrk_pass *p, lrk_var *h)
{
    const lrk_whole *w = p->model->embedding_rows;
    if (!w) return h;
    lrk_var *in[] = {h, lrk_constant(p->tape, p->ids),
                     lrk_parameter(p->tape, &w->weight, w->gradient.rank ? &w->gradient : NULL),
                     lrk_constant(p->tape, &w->index)};
    return lrk_apply(p->tape, &lrk_op_token_rows, in, 4, &p->model->token_rows);
}

lrk_var *lrk_model_hidden(const lrk_pass *p)
{
    const lrk_model *m = p->model;
    const lrk_angles angles = rope_tables(p);
    lrk_var *in[] = {lrk_parameter(p->tape, &m->embedding, m->d_embedding.rank ? &m->d_embedding : NULL),
                     lrk_constant(p->tape, p->ids)};
    lrk_var *h = own_rows(p, lrk_apply(p->tape, &lrk_op_embed, in, 2, &m->embed));
    for (size_t i = 0; i < m->decoder.layers; i++) {
        if (p->hidden) p->hidden[i] = h;
        if (p->recompute) lrk_tape_segment_begin(p->tape);
        h = layer_forward(p, i, &angles, h);
        if (p->recompute) h = lrk_tape_segment_end(p->tape, h);
    }
    h = norm(p, h, &m->final_norm, 0);
    if (p->hidden) p->hidden[m->decoder.layers] = h;
    return h;
}

/* The last hidden state as the head takes it. */
static lrk_var *scaled(const lrk_pass *p, lrk_var *hidden)
{
    const lrk_scale_attr *a = &p->model->logit;
    if (a->scale >= 1.0 && a->scale <= 1.0) return hidden;
    return lrk_apply(p->tape, &lrk_op_scale, (lrk_var *[]){hidden}, 1, a);
}

/* As the products of a pass read it. */
static const lrk_tensor *head(const lrk_model *m) { return m->shadow_head.rank ? &m->shadow_head : &m->head; }

lrk_var *lrk_model_loss(const lrk_pass *p, lrk_var *hidden, const lrk_tensor *targets)
{
    const lrk_model *m = p->model;
    const lrk_whole *w = m->head_rows;
    lrk_var *in[] = {scaled(p, hidden), lrk_parameter(p->tape, head(m), m->d_head.rank ? &m->d_head : NULL),
                     lrk_constant(p->tape, targets),
                     lrk_parameter(p->tape, w ? &w->weight : NULL, w && w->gradient.rank ? &w->gradient : NULL),
                     lrk_constant(p->tape, w ? &w->index : NULL)};
    return lrk_apply(p->tape, &lrk_op_linear_xent, in, 5, &m->loss);
}

lrk_var *lrk_model_logits(const lrk_pass *p, lrk_var *hidden)
{
    lrk_var *in[] = {scaled(p, hidden), lrk_constant(p->tape, head(p->model))};
    lrk_var *z = lrk_apply(p->tape, &lrk_op_linear, in, 2, &p->model->plain);
    const lrk_whole *w = p->model->head_rows;
    if (w) {
        lrk_var *own[] = {in[0], lrk_constant(p->tape, &w->weight)}, *r;
        r = lrk_apply(p->tape, &lrk_op_linear, own, 2, &p->model->plain);
        z = lrk_apply(p->tape, &lrk_op_token_logits, (lrk_var *[]){z, r, lrk_constant(p->tape, &w->index)}, 3, NULL);
    }
    if (p->model->softcap.cap <= 0.0) return z;
    return lrk_apply(p->tape, &lrk_op_softcap, (lrk_var *[]){z}, 1, &p->model->softcap);
}
