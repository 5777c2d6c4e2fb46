/* tests/model/toy.h -- a tiny random decoder that needs no file. */
#ifndef LRK_TESTS_MODEL_TOY_H
#define LRK_TESTS_MODEL_TOY_H
#include "base/rng.h"
#include "kernels/segments.h"
#include "models/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The device that the first argument names: CUDA, or the CPU where there is none. False, with the reason on
 * standard error, where it does not open. */
static inline bool lrk_toy_device(int argc, char **argv, lrk_device *device)
{
    lrk_err err = {0};
    if (argc < 2 || strcmp(argv[1], "CUDA") != 0) return true;
    *device = LRK_CUDA;
    if (lrk_device_open(*device, NULL, &err) == LRK_OK) return true;
    fprintf(stderr, "%s\n", err.text);
    return false;
}

typedef struct lrk_toy {
    lrk_arena arena;
    lrk_dtype type;
    lrk_decoder decoder;
} lrk_toy;

/* Toys of several kinds: as Llama; with all that Gemma 2 and 3 have; with fused matrices, norms behind
 * the blocks and heads that turn in part; with latent attention and experts; with blocks side by side. */
enum { LRK_TOY_LLAMA, LRK_TOY_GEMMA, LRK_TOY_FUSED, LRK_TOY_EXPERTS, LRK_TOY_PARALLEL, LRK_TOYS };

/* What another order of sums may change of the largest number: some 20 products in a row with up to 56 terms
 * each, a rounding of 2^-24 a term as a random walk of sqrt(20 * 56) = 33.5 steps, on both sides. */
#define LRK_TOY_REORDERED (2.0 * 33.5 * 0x1p-24)

static inline lrk_decoder lrk_toy_decoder(int kind)
{
    lrk_decoder d = {.family = "LlamaForCausalLM", .layers = 2, .width = 24, .heads = 4,
                     .key_heads = 2, .head_size = 8, .feed_forward = 40, .vocabulary = 50,
                     .max_positions = 64, .norm_eps = 1e-5, .rotary = 8,
                     .rope = {.theta = 10000.0, .factor = 1.0}, .tied = true,
                     .embedding_scale = 1.0, .residual_scale = 1.0, .logit_scale = 1.0,
                     .attention_scale = 0.35355339059327373};
    if (kind == LRK_TOY_GEMMA) {
        d.placement = LRK_NORM_AROUND;
        d.head_norm = LRK_NORM_HEAD;
        d.activation = LRK_GELU_TANH;
        d.attention_softcap = 3.0;
        d.final_softcap = 5.0;
        d.residual_scale = 0.7;
        d.window = 6;
        d.local_rope = (lrk_rope){.theta = 100.0, .factor = 1.0};
        d.layer[0] = LRK_LAYER_WINDOW | LRK_LAYER_LOCAL_ROPE;
    }
    if (kind == LRK_TOY_FUSED) {
        d.fused_heads = d.fused_gate = true;
        d.placement = LRK_NORM_AFTER;
        d.head_norm = LRK_NORM_WIDTH;
        d.rotary = 4;
        d.logit_scale = 0.5;
        d.layer[1] = LRK_LAYER_NO_ROPE;
    }
    if (kind == LRK_TOY_EXPERTS) {
        d.key_heads = 4;
        d.rotary = 4;
        d.latent = (lrk_latent){.rank = 10, .query_rank = 12, .plain = 4, .value = 6};
        d.pairs_adjacent = true;
        d.experts = (lrk_experts_attr){.experts = 6, .used = 2, .feed_forward = 14, .normalize = true,
                                       .factor = 1.5};
        d.shared = 14;
        d.layer[1] = LRK_LAYER_EXPERTS;
    }
    if (kind == LRK_TOY_PARALLEL) {
        d.key_heads = 4;
        d.rotary = 2;
        d.fused_heads = d.by_head = d.parallel = d.plain_mlp = d.layer_norm = true;
        d.activation = LRK_GELU_ERF;
    }
    return d;
}

/* The shape of a weight of a layer; false where the name is none of them. */
static inline bool lrk_toy_shape(const lrk_decoder *d, const char *name, size_t *rows, size_t *cols)
{
    for (size_t i = 0; i < d->layers; i++) {
        char start[64];
        snprintf(start, sizeof start, "model.layers.%zu.", i);
        if (strncmp(name, start, strlen(start)) != 0) continue;
        for (int which = 0; which < LRK_PROJECTIONS; which++) {
            lrk_module m;
            if (!lrk_module_of(d, i, which, &m) || strncmp(name + strlen(start), m.name, strlen(m.name)) != 0)
                continue;
            *rows = m.rows;
            *cols = m.cols;
            return true;
        }
        for (int which = 0; which < LRK_NORMS; which++) {
            const char *norm;
            if (!lrk_norm_of(d, which, &norm, cols) || strncmp(name + strlen(start), norm, strlen(norm)) != 0)
                continue;
            *rows = 1;
            return true;
        }
        const bool down = strstr(name, "down_proj");
        const bool router = !strstr(name, ".experts.");
        *rows = router ? d->experts.experts : down ? d->width : d->experts.feed_forward;
        *cols = !router && down ? d->experts.feed_forward : d->width;
        return true;
    }
    return false;
}

/* Numbers 0 .. n - 1 of the sequence of a seed, good until the next call. Models of one shape are made over and over:
 * what was drawn is kept. */
static inline const double *lrk_toy_normals(uint64_t seed, size_t n)
{
    static struct {
        uint64_t seed;
        size_t n;
        double *v;
    } kept[256], *k;
    k = &kept[seed % 256];
    if (k->seed == seed && k->n >= n) return k->v;
    free(k->v);
    k->seed = seed;
    k->n = n;
    k->v = malloc(n * sizeof *k->v);
    lrk_rng_normals((lrk_rng){seed, LRK_SITE_TEST, 0}, 0, n, k->v);
    return k->v;
}

/* Weights by name: the same name always gives the same numbers. */
static inline lrk_status lrk_toy_find(void *ctx, const char *name, lrk_tensor *out, lrk_err *err)
{
    lrk_toy *toy = ctx;
    const lrk_decoder *d = &toy->decoder;
    size_t rows = 1, cols = d->width;
    if (strstr(name, "embed_tokens") || strstr(name, "lm_head")) rows = d->vocabulary;
    (void)lrk_toy_shape(d, name, &rows, &cols);
    *out = rows == 1 ? lrk_vec(toy->type, cols) : lrk_mat(toy->type, rows, cols);
    out->name = lrk_strdup(&toy->arena, name);
    uint64_t seed = 5381;
    for (const char *p = name; *p; p++) seed = seed * 33 + (unsigned char)*p;
    LRK_TRY(lrk_alloc(&toy->arena, rows * cols, lrk_dtype_block_bytes(toy->type), name, &out->data,
                      err));
    const double *drawn = lrk_toy_normals(seed, rows * cols);
    for (size_t i = 0; i < rows * cols; i++) {
        const double x = drawn[i];
        const double value = rows == 1 ? 1.0 + 0.2 * x : 0.3 * x;
        if (toy->type == LRK_BF16)
            ((uint16_t *)out->data)[i] = lrk_f32_to_bf16((float)value);
        else
            ((float *)out->data)[i] = (float)value;
    }
    return LRK_OK;
}

/* Numbers `first` and on of a sequence, for a tensor that lies on that device; what comes behind them. */
static inline size_t lrk_toy_draw(lrk_device device, const lrk_tensor *t, uint64_t seed, double scale, size_t first)
{
    float *p = malloc(lrk_bytes(t));
    for (size_t i = 0; i < lrk_count(t); i++)
        p[i] = (float)(scale * lrk_rng_normal((lrk_rng){seed, LRK_SITE_TEST, 1}, first + i));
    lrk_device_upload(device, t->data, p, lrk_bytes(t));
    free(p);
    return first + lrk_count(t);
}

static inline void lrk_toy_fill(lrk_device device, const lrk_tensor *t, uint64_t seed, double scale)
{
    lrk_toy_draw(device, t, seed, scale, 0);
}

/* Adapters, and what is trained whole, that are not at their start: the same ones wherever they lie. */
static inline void lrk_toy_adapters(const lrk_model *m)
{
    size_t at = 0;
    for (size_t i = 0; i < m->n_adapted; i++) {
        const lrk_projection *p = m->adapted[i];
        const lrk_tensor *const parts[] = {&p->a, &p->b, &p->m};
        for (int k = 0; k < 3; k++)
            if (parts[k]->rank) at = lrk_toy_draw(m->device, parts[k], 9, 0.1, at);
    }
    for (size_t i = 0; i < m->n_whole; i++) at = lrk_toy_draw(m->device, &m->whole[i].weight, 9, 0.1, at);
    lrk_model_settle(m, false);
}

typedef struct lrk_toy_batch {
    int32_t ids[256], targets[256], segments[32 * LRK_SEG_FIELDS];
    lrk_flat_run b;
} lrk_toy_batch;

/* Rows of the given lengths, one behind the other; row r is always the same row. Each trains its
 * tokens from the fourth on. */
static inline void lrk_toy_rows(lrk_toy_batch *t, const size_t *lengths, size_t n, uint64_t seed,
                                size_t first_row, size_t vocabulary)
{
    size_t at = 0;
    for (size_t r = 0; r < n; r++) {
        lrk_segment_root(t->segments + r * LRK_SEG_FIELDS, at, lengths[r]);
        for (size_t i = 0; i < lengths[r]; i++)
            t->ids[at + i] = (int32_t)lrk_rng_below(
                (lrk_rng){seed, LRK_SITE_TEST, (uint32_t)(first_row + r)}, i, vocabulary);
        for (size_t i = 0; i < lengths[r]; i++)
            t->targets[at + i] = i + 1 < lengths[r] && i > 1 ? t->ids[at + i + 1] : -1;
        at += lengths[r];
    }
    t->b = (lrk_flat_run){t->ids, t->targets, t->segments, at, n};
}

#endif /* LRK_TESTS_MODEL_TOY_H */
