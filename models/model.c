/* models/model.c -- builds a model from weights that it asks for by name. */
#include "models/attributes.h"
#include "models/borders.h"
#include "models/builder.h"
#include "models/places.h"

#include "base/size.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static lrk_status keep_name(const lrk_builder *b, const char *text, const char **out, lrk_err *err)
{
    *out = lrk_strdup(&b->m->own, text);
    LRK_REQUIRE(err, *out, LRK_ENOMEM, "memory: no room for the name %s", text);
    return LRK_OK;
}

/* A norm whose module is called `path`. */
static lrk_status norm(const lrk_builder *b, const char *path, size_t n, lrk_norm_weights *out, lrk_err *err)
{
    const lrk_decoder *d = &b->m->decoder;
    char name[160];
    snprintf(name, sizeof name, "%s.weight", path);
    LRK_TRY(lrk_build_vector(b, name, n, d->norm_plus_one ? 1.0f : 0.0f, LRK_F32, &out->weight, err));
    snprintf(name, sizeof name, "%s.bias", path);
    return d->layer_norm ? lrk_build_vector(b, name, n, 0.0f, LRK_F32, &out->bias, err) : LRK_OK;
}

/* The number of a projection among those that draw random numbers. The parts of a fused matrix draw as
 * their first one. */
static uint32_t site_of(size_t layer, int which)
{
    if (which == LRK_QKV) which = LRK_Q;
    if (which == LRK_GATE_UP) which = LRK_GATE;
    if (which > LRK_GATE_UP) return (uint32_t)(1u << 16 | (layer * LRK_PROJECTIONS + (size_t)which));
    return (uint32_t)(layer * LRK_QKV + (size_t)which);
}

static bool is_router(int which) { return which == LRK_ROUTER || which == LRK_SHARED_ROUTER; }

/* Whether it is of a shared expert that the op of experts computes. */
static bool in_experts(const lrk_decoder *d, int which)
{
    return d->gated_shared && which >= LRK_SHARED_GATE && which <= LRK_SHARED_DOWN;
}

/* Of a projection whose adapter begins as a part of its weight. */
static lrk_status begin_inside(const lrk_builder *b, lrk_projection *p, const char *name, bool experts, lrk_err *err)
{
    const size_t least = lrk_min(lrk_rows(&p->weight), lrk_cols(&p->weight));
    LRK_REQUIRE(err, !experts, LRK_ESUPPORT,
                "peft_init_lora_weights: adapters of experts (%s) begin with B = 0 only; say true, or leave experts "
                "out of lora_target_modules",
                p->path);
    LRK_REQUIRE(err, !p->m.rank, LRK_ESUPPORT,
                "peft_init_lora_weights: DoRA begins with B = 0 only; say true, or peft_use_dora: false");
    LRK_REQUIRE(err, p->rank <= least, LRK_EVALUE, "%s: a matrix with %zu directions has no part of rank %zu", p->path,
                least, p->rank);
    p->a0.rank = p->b0.rank = 2;
    p->fixed = (lrk_scale_attr){p->attr.scale};
    return b->find(b->ctx, name, &p->stored, err);
}

/* A projection and its adapter, without the numbers of either. */
static lrk_status projection(const lrk_builder *b, size_t layer, int which, lrk_err *err)
{
    lrk_projection *p = &b->m->layers[layer].projection[which];
    const lrk_decoder *d = &b->m->decoder;
    const lrk_lora_options *lora = b->options->lora;
    lrk_module module;
    char path[LRK_MODULE_PATH];
    if (!lrk_module_of(d, layer, which, &module)) return LRK_OK;
    const size_t rows = module.rows, cols = module.cols;
    lrk_layer_path(d, layer, module.name, path);
    LRK_TRY(keep_name(b, path, &p->path, err));
    p->weight = lrk_mat(LRK_F32, rows, cols);
    p->layer = layer;
    p->which = which;
    p->dropout.site = site_of(layer, which) | LRK_SITE_DROPOUT;
    p->heads = which == LRK_QKV ? (d->reordered ? d->heads : 0)
               : !d->interleaved ? 0 : which == LRK_Q ? d->heads : which == LRK_K ? d->key_heads : 0;
    if (!lora) return LRK_OK;
    p->rank = lora->rank;
    p->alpha = lora->alpha;
    p->adapted = lora->select ? lora->select(lora->ctx, p->path, &p->rank, &p->alpha) : which != LRK_ROUTER;
    if (!p->adapted) return LRK_OK;
    p->m.rank = p->norm.rank = lora->dora;
    LRK_REQUIRE(err, p->rank > 0, LRK_EVALUE, "%s: a rank of 0", p->path);
    const bool shared = in_experts(d, which);
    LRK_REQUIRE(err, !shared || lora->dropout <= 0.0, LRK_ESUPPORT,
                "lora_dropout is %g, but %s is of experts, whose adapters have none; say lora_dropout: 0, or leave "
                "experts out of lora_target_modules",
                lora->dropout, p->path);
    LRK_REQUIRE(err, !shared || !lora->dora, LRK_ESUPPORT,
                "DoRA beside experts is not supported (%s), in PEFT neither; leave experts out of lora_target_modules",
                p->path);
    p->attr = (lrk_linear_attr){.scale = lrk_lora_scale(p->rank, p->alpha, lora->rslora),
                                .dropout = lora->dropout,
                                .rng = &p->dropout};
    if (shared) b->m->layers[layer].shared.scale[which - LRK_SHARED_GATE] = p->attr.scale;
    p->whole = (lrk_linear_attr){.scale = p->attr.scale};
    for (int rest = 0; rest < 2; rest++)
        p->mask[rest] = (lrk_dropout_attr){.p = lora->dropout, .rng = &p->dropout, .rest = rest};
    b->m->n_adapted++;
    return LRK_OK;
}

/* Places for adapters in the borders of weights, where the model is one of those (models/borders.h). */
static lrk_status borders(const lrk_builder *b, lrk_layer *layer, lrk_err *err)
{
    const lrk_lora_options *lora = b->options->lora;
    const lrk_projection *p = layer->projection;
    char name[160];
    if (b->memory.device == LRK_CPU || b->options->compute != LRK_C_BF16 || !b->options->train || !lora || lora->dora ||
        lora->begin.kind || lora->dropout > 0.0)
        return LRK_OK;
    lrk_borders_choose(layer);
    for (int first = 0, last; first < LRK_PROJECTIONS; first = last + 1) {
        bool inside = b->options->bits == LRK_AS_STORED;
        for (last = first; last + 1 < LRK_PROJECTIONS && p[last + 1].below;) last++;
        if (!p[first].border) continue;
        for (int i = first; i <= last; i++) {
            lrk_tensor stored;
            snprintf(name, sizeof name, "%s.weight", p[i].path);
            LRK_TRY(b->find(b->ctx, name, &stored, err));
            inside = inside && stored.dtype == LRK_BF16;
        }
        LRK_TRY(lrk_borders_place(b->m, layer, first, last, inside, b->memory.frozen, err));
    }
    return LRK_OK;
}

/* The weight of a projection, and what of it its adapter begins with. */
static lrk_status weight(const lrk_builder *b, size_t layer, int which, lrk_err *err)
{
    lrk_projection *p = &b->m->layers[layer].projection[which];
    const size_t rows = lrk_rows(&p->weight), cols = lrk_cols(&p->weight);
    char name[160];
    if (!p->weight.rank) return LRK_OK;
    snprintf(name, sizeof name, "%s.weight", p->path);
    if (p->weight.stride > cols) {
        lrk_tensor stored;
        LRK_TRY(b->find(b->ctx, name, &stored, err));
        LRK_TRY(lrk_build_expect(b, &stored, name, rows, cols, err));
        b->m->weight_bytes += lrk_bytes(&stored);
        p->weight.name = stored.name;
        return lrk_build_send(b, &p->weight, stored.data, err);
    }
    LRK_TRY((is_router(which) ? lrk_build_matrix : lrk_build_linear)(b, name, rows, cols, &p->weight, err));
    if (!p->adapted || !b->options->lora->begin.kind) return LRK_OK;
    return begin_inside(b, p, name, in_experts(&b->m->decoder, which), err);
}

/* In the type of the results that products on a GPU add it to; with DoRA an op of its own adds it, from f32. */
static lrk_status bias(const lrk_builder *b, size_t layer, int which, lrk_err *err)
{
    lrk_projection *p = &b->m->layers[layer].projection[which];
    const bool narrow = b->memory.device != LRK_CPU && b->options->compute == LRK_C_BF16 && !p->m.rank;
    lrk_module module;
    char name[160];
    if (!lrk_module_of(&b->m->decoder, layer, which, &module) || !module.bias) return LRK_OK;
    snprintf(name, sizeof name, "%s.bias", p->path);
    return lrk_build_vector(b, name, module.rows, 0.0f, narrow ? LRK_BF16 : LRK_F32, &p->bias, err);
}

/* Whether the matrices of all experts are chosen, by their names. */
static lrk_status choose_experts(const lrk_builder *b, lrk_projection *p, lrk_err *err)
{
    const lrk_decoder *d = &b->m->decoder;
    const lrk_lora_options *lora = b->options->lora;
    size_t chosen = 0;
    for (size_t e = 0; e < d->experts.experts; e++) {
        char path[LRK_MODULE_PATH];
        size_t rank = lora->rank;
        double alpha = lora->alpha;
        lrk_expert_path(d, p->layer, e, p->which, path);
        if (lora->select && !lora->select(lora->ctx, path, &rank, &alpha)) continue;
        LRK_REQUIRE(err, chosen == e && (e == 0 || (rank == p->rank && fabs(alpha - p->alpha) <= 0.0)),
                    LRK_ESUPPORT,
                    "%s has an adapter of rank %zu and alpha %g, other experts of its layer have none, or others: "
                    "experts are adapted all alike",
                    path, rank, alpha);
        p->rank = rank;
        p->alpha = alpha;
        chosen++;
    }
    LRK_REQUIRE(err, chosen == 0 || chosen == d->experts.experts, LRK_ESUPPORT,
                "%s: %zu of %zu experts have an adapter: experts are adapted all alike", p->path, chosen,
                d->experts.experts);
    p->adapted = chosen > 0;
    return LRK_OK;
}

/* Whether the parameter that holds the matrices of all experts is. */
static void choose_parameter(const lrk_builder *b, lrk_projection *p)
{
    const lrk_lora_options *lora = b->options->lora;
    p->rank = lora->rank;
    p->alpha = lora->alpha;
    p->adapted = p->parameter = lora->select && lora->select(lora->ctx, p->path, &p->rank, &p->alpha);
}

/* What the adapter beside a stack looks like once it is chosen. */
static lrk_status set_stack(const lrk_builder *b, lrk_projection *p, size_t rows, size_t cols, lrk_err *err)
{
    const lrk_lora_options *lora = b->options->lora;
    lrk_layer *layer = &b->m->layers[p->layer];
    p->stack = b->m->decoder.experts.experts;
    p->weight = lrk_mat(LRK_F32, p->stack * rows, cols);
    p->dropout.site = (uint32_t)(1u << 17 | (p->layer * 3 + (size_t)(p->which - LRK_GATE)));
    if (!p->adapted) return LRK_OK;
    LRK_REQUIRE(err, p->rank > 0, LRK_EVALUE, "%s: a rank of 0", p->path);
    LRK_REQUIRE(err, lora->dropout <= 0.0, LRK_ESUPPORT,
                "lora_dropout is %g, but %s is of experts, whose adapters have none; say lora_dropout: 0, or leave "
                "experts out of lora_target_modules",
                lora->dropout, p->path);
    LRK_REQUIRE(err, !lora->dora, LRK_ESUPPORT,
                "DoRA beside experts is not supported (%s), in PEFT neither; leave experts out of lora_target_modules",
                p->path);
    if (lora->begin.kind) LRK_TRY(begin_inside(b, p, NULL, true, err));
    p->attr = (lrk_linear_attr){.scale = lrk_lora_scale(p->rank, p->alpha, lora->rslora)};
    layer->experts.scale[p->which - LRK_GATE] = p->attr.scale;
    b->m->n_adapted++;
    return LRK_OK;
}

/* Adapters beside the experts of a layer: by the names of their modules, else of their parameters. */
static lrk_status adapt_experts(const lrk_builder *b, size_t i, lrk_err *err)
{
    const lrk_decoder *d = &b->m->decoder;
    lrk_layer *layer = &b->m->layers[i];
    lrk_projection *const gate = &layer->expert[0], *const up = &layer->expert[1], *const down = &layer->expert[2];
    const size_t F = d->experts.feed_forward, C = d->width;
    char path[LRK_MODULE_PATH];
    if (!b->options->lora) return LRK_OK;
    for (int which = LRK_GATE; which <= LRK_DOWN; which++) {
        lrk_projection *p = &layer->expert[which - LRK_GATE];
        p->layer = i;
        p->which = which;
        lrk_experts_path(i, which == LRK_DOWN ? LRK_DOWN : LRK_GATE_UP, path);
        LRK_TRY(keep_name(b, path, &p->path, err));
        LRK_TRY(choose_experts(b, p, err));
    }
    if (!gate->adapted && !up->adapted) choose_parameter(b, gate);
    if (!down->adapted) choose_parameter(b, down);
    layer->experts.fused = gate->parameter;
    LRK_TRY(set_stack(b, gate, gate->parameter ? 2 * F : F, C, err));
    LRK_TRY(set_stack(b, up, F, C, err));
    return set_stack(b, down, C, F, err);
}

/* Views of the matrices of all experts. */
static lrk_status experts(const lrk_builder *b, size_t i, lrk_err *err)
{
    const lrk_decoder *d = &b->m->decoder;
    lrk_layer *layer = &b->m->layers[i];
    const size_t E = d->experts.experts, F = d->experts.feed_forward, C = d->width;
    lrk_tensor *view;
    char name[160], path[LRK_MODULE_PATH];
    layer->experts = d->experts;
    LRK_TRY(lrk_alloc(&b->m->own, 3 * E, sizeof *view, "experts", &view, err));
    layer->experts.gate = view;
    layer->experts.up = view + E;
    layer->experts.down = view + 2 * E;
    for (size_t e = 0; e < E; e++) {
        for (int which = LRK_GATE; which <= LRK_DOWN; which++) {
            const bool down = which == LRK_DOWN;
            lrk_expert_path(d, i, e, which, path);
            snprintf(name, sizeof name, "%s.weight", path);
            LRK_TRY(lrk_build_linear(b, name, down ? C : F, down ? F : C, &view[(size_t)(which - LRK_GATE) * E + e],
                                     err));
        }
    }
    LRK_TRY(adapt_experts(b, i, err));
    snprintf(name, sizeof name, "model.layers.%zu.%s.e_score_correction_bias", i, lrk_router_name(d));
    return d->correction ? lrk_build_vector(b, name, E, 0.0f, LRK_F32, &layer->correction, err) : LRK_OK;
}

static lrk_status build_layer(const lrk_builder *b, size_t i, lrk_err *err)
{
    lrk_layer *layer = &b->m->layers[i];
    for (int which = 0; which < LRK_NORMS; which++) {
        const char *below;
        char path[LRK_MODULE_PATH];
        size_t n;
        if (!lrk_norm_of(&b->m->decoder, which, &below, &n)) continue;
        lrk_layer_path(&b->m->decoder, i, below, path);
        LRK_TRY(norm(b, path, n, &layer->norm[which], err));
    }
    layer->shared = (lrk_experts_attr){.experts = 1, .used = 1, .feed_forward = b->m->decoder.shared,
                                       .activation = b->m->decoder.activation, .sigmoid = true, .factor = 1.0};
    for (int which = 0; which < LRK_PROJECTIONS; which++) LRK_TRY(projection(b, i, which, err));
    LRK_TRY(borders(b, layer, err));
    for (int which = 0; which < LRK_PROJECTIONS; which++) LRK_TRY(weight(b, i, which, err));
    for (int which = 0; which < LRK_PROJECTIONS; which++) LRK_TRY(bias(b, i, which, err));
    return b->m->decoder.layer[i] & LRK_LAYER_EXPERTS ? experts(b, i, err) : LRK_OK;
}

static lrk_status take_norm(const lrk_builder *b, lrk_projection *p, lrk_err *err)
{
    if (!p->m.rank) return LRK_OK;
    p->norm = p->m;
    LRK_TRY(lrk_lora_norm_check(p, b->m->device, err));
    return lrk_alloc(b->memory.run, lrk_bytes(&p->norm), 1, p->path, &p->norm.data, err);
}

static lrk_status take_fixed(const lrk_builder *b, lrk_projection *p, lrk_err *err)
{
    if (!p->a0.rank) return LRK_OK;
    p->a0 = p->a;
    p->b0 = p->b;
    LRK_TRY(lrk_alloc(b->memory.frozen, lrk_bytes(&p->a0), 1, p->path, &p->a0.data, err));
    return lrk_alloc(b->memory.frozen, lrk_bytes(&p->b0), 1, p->path, &p->b0.data, err);
}

/* What is trained whole, at element `at` of the vectors. */
static void place_whole(lrk_model *m, size_t at)
{
    float *parameters = m->parameters.data, *gradients = m->gradients.data;
    for (size_t i = 0; i < m->n_whole; i++) {
        lrk_whole *w = &m->whole[i];
        const bool embedding = !w->head, rows = w->rows.n > 0;
        w->weight.data = parameters ? parameters + at : NULL;
        if (m->gradients.rank) {
            w->gradient = w->weight;
            w->gradient.data = gradients ? gradients + at : NULL;
        }
        if (rows && (embedding || m->as_one)) m->embedding_rows = w;
        if (rows && (!embedding || m->as_one)) m->head_rows = w;
        if (!rows && (embedding || m->as_one)) {
            m->embedding = w->weight;
            m->d_embedding = w->gradient;
        }
        if (!rows && (!embedding || m->as_one)) {
            m->head = w->weight;
            m->d_head = w->gradient;
            m->shadow_head = lrk_places_shadow(m, &w->weight, at);
        }
        at += lrk_count(&w->weight);
    }
    m->loss.train = m->d_head.rank > 0 || (m->head_rows && m->head_rows->gradient.rank > 0);
}

/* Whether passes read the shadow of some adapter: it is beside a matrix, and not in its border. */
static bool reads_shadow(const lrk_model *m)
{
    for (size_t i = 0; i < m->n_adapted; i++)
        if (!m->adapted[i]->stack && (!m->adapted[i]->border_a.rank || !m->adapted[i]->border_b.rank)) return true;
    return false;
}

/* Places for all parameters. Rows of an embedding are looked up: of that alone no shadow is taken. */
static lrk_status take_vectors(const lrk_builder *b, size_t adapters, lrk_err *err)
{
    lrk_model *m = b->m;
    size_t total = adapters;
    bool head = false;
    for (size_t i = 0; i < m->n_whole; i++) {
        total += lrk_count(&m->whole[i].weight);
        if (!m->whole[i].rows.n) head = head || m->as_one || m->whole[i].head;
    }
    m->parameters = lrk_vec(LRK_F32, total);
    m->parameters.name = "adapters";
    LRK_TRY(lrk_alloc(b->memory.run, total, sizeof(float), "adapters", &m->parameters.data, err));
    if (!b->options->train) return LRK_OK;
    m->gradients = m->parameters;
    LRK_TRY(lrk_alloc(b->memory.run, total, sizeof(float), "adapter gradients", &m->gradients.data, err));
    if (m->device == LRK_CPU || b->options->compute != LRK_C_BF16 || !(head || reads_shadow(m))) return LRK_OK;
    m->shadow = lrk_vec(LRK_BF16, head ? total : adapters);
    m->shadow.name = "adapters in bf16";
    return lrk_alloc(b->memory.run, lrk_bytes(&m->shadow), 1, m->shadow.name, &m->shadow.data, err);
}

static lrk_status build_adapters(const lrk_builder *b, lrk_err *err)
{
    lrk_model *m = b->m;
    size_t n = 0;
    LRK_REQUIRE(err, m->n_adapted, LRK_EUSAGE,
                "lora_target_modules selects no layer of this model; try all-linear");
    LRK_TRY(lrk_alloc(&m->own, m->n_adapted, sizeof *m->adapted, "adapter table", &m->adapted, err));
    for (size_t i = 0; i < m->decoder.layers; i++) {
        for (int which = 0; which < LRK_PROJECTIONS + 3; which++) {
            lrk_layer *layer = &m->layers[i];
            lrk_projection *p = which < LRK_PROJECTIONS ? &layer->projection[which]
                                                        : &layer->expert[which - LRK_PROJECTIONS];
            if (p->adapted) m->adapted[n++] = p;
        }
    }
    const size_t total = lrk_places_count(m);
    LRK_TRY(take_vectors(b, total, err));
    lrk_places_take(m);
    for (size_t i = 0; i < m->n_adapted; i++) {
        LRK_TRY(take_norm(b, m->adapted[i], err));
        LRK_TRY(take_fixed(b, m->adapted[i], err));
    }
    place_whole(m, total);
    return lrk_borders_list(m, b->memory.frozen, err);
}

static lrk_status frequencies(const lrk_builder *b, const lrk_rope *rope, lrk_tensor *out, lrk_err *err)
{
    const size_t R = b->m->decoder.rotary;
    float *numbers;
    *out = rope->kind == LRK_ROPE_LONGROPE ? lrk_mat(LRK_F32, 2, R / 2) : lrk_vec(LRK_F32, R / 2);
    out->name = "rope frequencies";
    LRK_TRY(lrk_alloc(&b->m->own, lrk_count(out), sizeof *numbers, out->name, &numbers, err));
    lrk_rope_frequencies(rope, R, false, numbers);
    if (out->rank == 2) lrk_rope_frequencies(rope, R, true, numbers + R / 2);
    return lrk_build_put(b, numbers, out, err);
}

/* The numbers of the rows that are trained: the model's own, and on the device. */
static lrk_status list_rows(const lrk_builder *b, const lrk_row_list *rows, lrk_whole *w, lrk_err *err)
{
    int32_t *id;
    for (size_t i = 0; i < rows->n; i++)
        LRK_REQUIRE(err, rows->id[i] >= 0 && (size_t)rows->id[i] < b->m->decoder.vocabulary, LRK_EVALUE,
                    "row %d of %s is to be trained, but it has %zu: tokens beyond them need a model that was resized",
                    rows->id[i], w->path, b->m->decoder.vocabulary);
    LRK_TRY(lrk_alloc(&b->m->own, rows->n, sizeof *id, "rows that are trained", &id, err));
    memcpy(id, rows->id, rows->n * sizeof *id);
    w->rows = (lrk_row_list){id, rows->n};
    w->weight.dim[0] = rows->n;
    w->index = lrk_vec(LRK_I32, rows->n);
    w->index.name = w->path;
    return lrk_build_put(b, id, &w->index, err);
}

/* Embedding or head, which is trained, or some of its rows: its stored type stays where it is. */
static lrk_status whole(const lrk_builder *b, bool head, const char *name, lrk_row_list rows, lrk_err *err)
{
    const lrk_decoder *d = &b->m->decoder;
    lrk_whole *w = &b->m->whole[b->m->n_whole++];
    *w = (lrk_whole){.path = head ? LRK_HEAD_PATH : lrk_names_of(d)->embedding, .head = head,
                     .weight = lrk_mat(LRK_F32, d->vocabulary, d->width)};
    w->weight.name = w->path;
    LRK_TRY(b->find(b->ctx, name, &w->stored, err));
    LRK_TRY(lrk_build_expect(b, &w->stored, name, d->vocabulary, d->width, err));
    return rows.n ? list_rows(b, &rows, w, err) : LRK_OK;
}

static lrk_status embedding_and_head(const lrk_builder *b, lrk_err *err)
{
    char rows[LRK_MODULE_PATH], head[LRK_MODULE_PATH];
    lrk_model *m = b->m;
    const lrk_decoder *d = &m->decoder;
    const lrk_lora_options none = {0}, *lora = b->options->lora ? b->options->lora : &none;
    const unsigned bits = lora->whole;
    const lrk_row_list *in = &lora->rows[0], *out = &lora->rows[1];
    snprintf(rows, sizeof rows, "%s.weight", lrk_names_of(d)->embedding);
    snprintf(head, sizeof head, "%s.weight", lrk_names_of(d)->head);
    m->as_one = lrk_whole_as_one(bits, d->tied);
    if (m->as_one || bits & LRK_WHOLE_EMBEDDING) LRK_TRY(whole(b, false, rows, *in, err));
    const bool held = !m->n_whole || in->n, as_one = m->as_one; /* the matrix of the embedding is needed */
    if (held) LRK_TRY(lrk_build_matrix(b, rows, d->vocabulary, d->width, &m->embedding, err));
    if (!as_one && bits & LRK_WHOLE_HEAD) LRK_TRY(whole(b, true, d->tied ? rows : head, *out, err));
    if (as_one ? !in->n : bits & LRK_WHOLE_HEAD && !out->n) return LRK_OK;
    m->head = m->embedding;
    if (d->tied && held) return LRK_OK;
    return lrk_build_matrix(b, d->tied ? rows : head, d->vocabulary, d->width, &m->head, err);
}

static lrk_status build(const lrk_builder *b, lrk_err *err)
{
    lrk_model *m = b->m;
    const lrk_decoder *d = &m->decoder;
    LRK_TRY(lrk_alloc(&m->own, d->layers, sizeof *m->layers, "layers", &m->layers, err));
    LRK_TRY(embedding_and_head(b, err));
    LRK_TRY(norm(b, lrk_names_of(d)->final_norm, d->width, &m->final_norm, err));
    for (size_t i = 0; i < d->layers; i++) LRK_TRY(build_layer(b, i, err));
    LRK_TRY(frequencies(b, &d->rope, &m->frequencies[0], err));
    if (d->local_rope.theta > 0.0)
        LRK_TRY(frequencies(b, &d->local_rope, &m->frequencies[1], err));
    return b->options->lora ? build_adapters(b, err) : LRK_OK;
}

lrk_status lrk_model_build(lrk_model *m, const lrk_decoder *d, lrk_weight_find find, void *ctx,
                           const lrk_model_options *options, lrk_model_memory memory, lrk_err *err)
{
    *m = (lrk_model){.decoder = *d, .device = memory.device, .own = lrk_arena_growing("model")};
    if (options->lora) m->begin = options->lora->begin;
    lrk_model_set_attributes(m, options->compute);
    const lrk_builder b = {m, find, ctx, options, memory};
    const lrk_status status = build(&b, err);
    if (status != LRK_OK) lrk_model_free(m);
    return status;
}

void lrk_model_free(lrk_model *m)
{
    lrk_arena_free(&m->own);
    *m = (lrk_model){.own = m->own};
}
