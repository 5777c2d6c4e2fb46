/* models/engine.h -- a model, its memory and its tape: what computes losses and gradients.
 *
 * Memory is laid out before a weight is read. lrk_engine_plan builds the model on counting arenas and
 * runs one forward and backward pass of the largest micro-batch on them; lrk_engine_open does the
 * same, takes the four arenas in one piece each, and builds again. After that nothing is allocated.
 */
#ifndef LRK_MODELS_ENGINE_H
#define LRK_MODELS_ENGINE_H
#include "models/model.h"

/* What is kept of a forward pass until backward: everything; all but the results of norms and of
 * SwiGLU, which are cheap to compute again; or one result a layer, the layer computed again. */
typedef enum lrk_recompute { LRK_KEEP_ALL, LRK_KEEP_COSTLY, LRK_KEEP_LAYERS } lrk_recompute;

typedef struct lrk_engine_options {
    lrk_decoder decoder;
    lrk_weight_find find;
    void *ctx;
    const lrk_lora_options *lora; /* NULL: the base alone */
    bool train;                   /* gradients, and the optimizer's two moments */
    lrk_compute compute;
    lrk_recompute recompute;
    size_t max_tokens, max_segments; /* of a micro-batch */
    size_t max_trained;           /* trained tokens of a micro-batch; 0: not known */
    size_t max_logits;            /* rows of which lrk_engine_logits may be asked; 0: never */
    size_t cache_slots, cache_capacity; /* key-value cache for generation; 0: none */
} lrk_engine_options;

/* Bytes by class. */
typedef struct lrk_engine_bytes {
    size_t frozen;    /* derived from weights: norms in f32, copies */
    size_t adapters, gradients, moments;
    size_t cache;
    size_t step;      /* activations, saved results, gradients of activations */
    size_t scratch;   /* workspace of kernels */
} lrk_engine_bytes;

typedef struct lrk_engine {
    lrk_engine_options options;
    lrk_arena frozen, run, step, scratch;
    lrk_model model;
    lrk_tensor moment[2]; /* f32, as long as the parameters, zero at first; rank 0 in inference */
    lrk_kv_cache cache;
    lrk_tape *tape;
    lrk_engine_bytes bytes;
} lrk_engine;

/* One flat run of tokens; all i32. targets are shifted: targets[t] is the token after t, or -1. */
typedef struct lrk_flat_run {
    const int32_t *ids, *targets, *segments;
    size_t n_tokens, n_segments;
} lrk_flat_run;

lrk_status lrk_engine_plan(const lrk_engine_options *o, lrk_engine_bytes *bytes, lrk_err *err);

/* An engine is not moved once it is open: kernels keep pointers to its attributes. */
lrk_status lrk_engine_open(lrk_engine *e, const lrk_engine_options *o, lrk_err *err);
void lrk_engine_close(lrk_engine *e); /* may be called twice, and on a zeroed engine */

/* Sum of the losses of the trained tokens; no gradients. */
lrk_status lrk_engine_loss(lrk_engine *e, const lrk_flat_run *b, double *loss, lrk_err *err);

/* The same, and adds d(seed * loss) to the model's gradients. */
lrk_status lrk_engine_gradients(lrk_engine *e, const lrk_flat_run *b, double seed, double *loss,
                                lrk_err *err);

/* Logits of the given rows of the run (ascending), (n_rows, V) in the compute type, valid until the
 * next call. With use_cache, keys and values go to the cache and come from it. */
lrk_status lrk_engine_logits(lrk_engine *e, const lrk_flat_run *b, bool use_cache,
                             const int32_t *rows, size_t n_rows, const lrk_tensor **logits,
                             lrk_err *err);

size_t lrk_engine_total(const lrk_engine_bytes *b);

#endif /* LRK_MODELS_ENGINE_H */
