/* tests/model/toy.h -- a tiny random decoder that needs no file. */
#ifndef LRK_TESTS_MODEL_TOY_H
#define LRK_TESTS_MODEL_TOY_H
#include "base/rng.h"
#include "kernels/segments.h"
#include "models/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct lrk_toy {
    lrk_arena arena;
    lrk_dtype type;
    lrk_decoder decoder;
} lrk_toy;

static inline lrk_decoder lrk_toy_decoder(void)
{
    return (lrk_decoder){.family = "LlamaForCausalLM", .layers = 2, .width = 24, .heads = 4,
                         .key_heads = 2, .head_size = 8, .feed_forward = 40, .vocabulary = 50,
                         .max_positions = 64, .norm_eps = 1e-5, .rotary = 8,
                         .rope = {.theta = 10000.0, .factor = 1.0}, .tied = true,
                         .embedding_scale = 1.0, .residual_scale = 1.0, .logit_scale = 1.0,
                         .attention_scale = 0.35355339059327373};
}

/* Weights by name: the same name always gives the same numbers. */
static inline lrk_status lrk_toy_find(void *ctx, const char *name, lrk_tensor *out, lrk_err *err)
{
    lrk_toy *toy = ctx;
    const lrk_decoder *d = &toy->decoder;
    size_t rows = 1, cols = d->width;
    if (strstr(name, "embed_tokens") || strstr(name, "lm_head")) rows = d->vocabulary;
    if (strstr(name, "q_proj")) rows = d->heads * d->head_size;
    if (strstr(name, "k_proj") || strstr(name, "v_proj")) rows = d->key_heads * d->head_size;
    if (strstr(name, "o_proj")) rows = d->width, cols = d->heads * d->head_size;
    if (strstr(name, "gate") || strstr(name, "up_proj")) rows = d->feed_forward;
    if (strstr(name, "down")) rows = d->width, cols = d->feed_forward;
    *out = rows == 1 ? lrk_vec(toy->type, cols) : lrk_mat(toy->type, rows, cols);
    out->name = lrk_strdup(&toy->arena, name);
    uint64_t seed = 5381;
    for (const char *p = name; *p; p++) seed = seed * 33 + (unsigned char)*p;
    LRK_TRY(lrk_alloc(&toy->arena, rows * cols, lrk_dtype_block_bytes(toy->type), name, &out->data,
                      err));
    for (size_t i = 0; i < rows * cols; i++) {
        const double x = lrk_rng_normal((lrk_rng){seed, LRK_SITE_TEST, 0}, i);
        const double value = rows == 1 ? 1.0 + 0.2 * x : 0.3 * x;
        if (toy->type == LRK_BF16)
            ((uint16_t *)out->data)[i] = lrk_f32_to_bf16((float)value);
        else
            ((float *)out->data)[i] = (float)value;
    }
    return LRK_OK;
}

/* Numbers for a tensor that lies on that device. */
static inline void lrk_toy_fill(lrk_device device, const lrk_tensor *t, uint64_t seed, double scale)
{
    float *p = malloc(lrk_bytes(t));
    for (size_t i = 0; i < lrk_count(t); i++)
        p[i] = (float)(scale * lrk_rng_normal((lrk_rng){seed, LRK_SITE_TEST, 1}, i));
    lrk_device_upload(device, t->data, p, lrk_bytes(t));
    free(p);
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
        int32_t *s = t->segments + r * LRK_SEG_FIELDS;
        s[LRK_SEG_START] = s[LRK_SEG_KV] = (int32_t)at;
        s[LRK_SEG_LENGTH] = s[LRK_SEG_KEYS] = (int32_t)lengths[r];
        s[LRK_SEG_POSITION] = 0;
        s[LRK_SEG_PARENT] = -1;
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
