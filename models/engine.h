/* models/engine.h -- a model, its memory and its tape: what computes losses and gradients.
 *
 * Memory is laid out before a weight is read. lrk_engine_plan builds the model on counting arenas and
 * runs one forward and backward pass of the largest micro-batch on them; lrk_engine_open does the
 * same, takes the four arenas in one piece each, and builds again. After that nothing is allocated.
 *
 * On a GPU a run is copied to the device, and filled up with a segment of tokens that are not trained, so
 * that few shapes occur; the passes over a shape are recorded once (base/device.h) and replayed, and so is the
 * optimizer's work. What is added changes no result.
 */
#ifndef LRK_MODELS_ENGINE_H
#define LRK_MODELS_ENGINE_H
#include "kernels/adamw/adamw.h"
#include "models/model.h"

/* What is kept of a forward pass until backward: everything; all but the results of norms and of
 * SwiGLU, which are cheap to compute again; one result a layer, the layer computed again; or that, in this
 * process's memory, two layers' on a GPU (on the CPU the same as the one before). */
typedef enum lrk_recompute { LRK_KEEP_ALL, LRK_KEEP_COSTLY, LRK_KEEP_LAYERS, LRK_KEEP_AWAY } lrk_recompute;

/* Weights on their way to a device before the engine that will take them is opened: the frozen arena is
 * taken and filled by a thread (lrk_send_begin), and sizes of the run need not be known yet. */
typedef struct lrk_weights_ahead {
    lrk_arena frozen;
    lrk_weight_list list;
    lrk_sending *sending; /* NULL: nothing was begun, or it is over */
} lrk_weights_ahead;

typedef struct lrk_engine_options {
    lrk_device device;            /* open (base/device.h), but for plans */
    lrk_decoder decoder;
    lrk_weight_find find;
    void *ctx;
    const lrk_lora_options *lora; /* NULL: the base alone */
    bool train;                   /* gradients, and the optimizer's two moments */
    lrk_weight_bits bits;
    lrk_compute compute;
    lrk_recompute recompute;
    size_t max_tokens, max_segments; /* of a micro-batch */
    size_t max_trained;           /* trained tokens of a micro-batch; a run with more is LRK_EVALUE; 0: not known */
    size_t max_logits;            /* rows of which lrk_engine_logits may be asked; 0: never */
    size_t cache_slots, cache_capacity; /* key-value cache for generation; 0: none */
    lrk_weights_ahead *ahead;     /* begun with the same device, decoder, find, lora, train, bits and compute;
                                     lrk_engine_open takes what is there; NULL: nothing is */
} lrk_engine_options;

/* Bytes by class. */
typedef struct lrk_engine_bytes {
    size_t weights;   /* copied to the device, or made NF4; on the CPU others stay in the mapped file */
    size_t frozen;    /* derived from weights: norms in f32 */
    size_t adapters, shadow, gradients, moments; /* shadow: the adapters in bf16, in the
                                                    frozen arena too (models/borders.h) */
    size_t cache;
    size_t batch;     /* ids, targets, segments on the device */
    size_t step;      /* activations, saved results, gradients of activations */
    size_t scratch;   /* workspace of kernels */
    size_t host;      /* pinned memory of this process: results of layers that were put aside */
} lrk_engine_bytes;

/* A run of tokens on a device that is not the CPU: i32, for the largest run. */
typedef struct lrk_engine_batch {
    lrk_tensor run, rows; /* run: ids, targets, segments, one behind the other */
    lrk_tensor logits; /* their copy in this process's memory */
    int32_t *staging;  /* where a run is filled up */
} lrk_engine_batch;

/* What an optimizer step leaves to be read later, in one piece of memory where the engine lies. */
enum { LRK_MAX_LATE = 256 };
typedef struct lrk_engine_results {
    lrk_adamw_values optimizer;
    double loss[LRK_MAX_LATE]; /* of each micro-batch */
} lrk_engine_results;

/* The step under way and those posted. */
typedef struct lrk_engine_step {
    lrk_engine_results *results; /* on the device */
    lrk_mailbox *box;
    size_t n;      /* losses in results */
    double early;  /* the sum of losses that found no place there */
    struct {
        size_t n;
        double early;
    } posted[LRK_POSTS];
    size_t posts, takes;
} lrk_engine_step;

/* Work of lrk_engine_repeat. */
typedef struct lrk_repeated {
    size_t times;  /* it was asked for */
    bool refused;  /* there was no memory to record it: that is not tried again */
    lrk_recording *recording;
} lrk_repeated;

/* Shapes are remembered, and of those that come most often a recording. */
enum { LRK_MAX_SHAPES = 256, LRK_MAX_GRAPHS = 64 };

/* The passes over runs of one shape. */
typedef struct lrk_engine_graph {
    size_t tokens, segments, trained;
    bool gradients;
    double *loss; /* on the device */
    lrk_repeated passes; /* 0 times: a free place */
} lrk_engine_graph;

typedef struct lrk_engine {
    lrk_engine_options options;
    lrk_arena frozen, run, step, scratch, host;
    lrk_model model;
    lrk_tensor moment[2]; /* f32, as long as the parameters, zero at first; rank 0 in inference */
    lrk_kv_cache cache;
    lrk_tensor seed;      /* f64, one element: what a micro-batch's loss is multiplied by */
    bool cleared;         /* the gradients are zeros */
    lrk_engine_step step_results;
    void *norm_parts;     /* workspace of lrk_norm_cuda */
    lrk_engine_batch batch;
    lrk_engine_graph *graphs; /* LRK_MAX_SHAPES of them, where the device records */
    size_t most_graphs;       /* recordings among them; LRK_MAX_GRAPHS, but for tests */
    lrk_repeated update[2];   /* the optimizer's: where B learns at a rate of its own, where it does not */
    lrk_tape *tape;
    lrk_engine_bytes bytes;
} lrk_engine;

/* One flat run of tokens; all i32. targets are shifted: targets[t] is the token after t, or -1. */
typedef struct lrk_flat_run {
    const int32_t *ids, *targets, *segments;
    size_t n_tokens, n_segments;
} lrk_flat_run;

/* Begins with the weights of the model that will be opened with these options. Until lrk_engine_open or
 * lrk_weights_ahead_end nobody may ask the device for anything. An error leaves nothing begun; not on the
 * CPU, which reads weights where they lie. */
lrk_status lrk_weights_ahead_begin(lrk_weights_ahead *w, const lrk_engine_options *o, lrk_err *err);
void lrk_weights_ahead_end(lrk_weights_ahead *w); /* also when nothing was begun; stops what is under way */

lrk_status lrk_engine_plan(const lrk_engine_options *o, lrk_engine_bytes *bytes, lrk_err *err);

/* An engine is not moved once it is open: kernels keep pointers to its attributes. */
lrk_status lrk_engine_open(lrk_engine *e, const lrk_engine_options *o, lrk_err *err);
void lrk_engine_close(lrk_engine *e); /* may be called twice, and on a zeroed engine */

/* Sum of the losses of the trained tokens; no gradients. */
lrk_status lrk_engine_loss(lrk_engine *e, const lrk_flat_run *b, double *loss, lrk_err *err);

/* The same, and adds d(seed * loss) to the model's gradients. */
lrk_status lrk_engine_gradients(lrk_engine *e, const lrk_flat_run *b, double seed, double *loss,
                                lrk_err *err);

/* ---- an optimizer step, whose numbers are read when they are there ----
 *
 *   lrk_engine_begin(e);
 *   lrk_engine_add(e, &run, share, err);      for each micro-batch; nobody waits for the device
 *   ... the optimizer, which puts its values into e->step_results.results->optimizer
 *   lrk_engine_post(e);
 *   lrk_engine_take(e, &values, &loss, err);  waits for the oldest step that was posted
 */
void lrk_engine_begin(lrk_engine *e); /* gradients are zero; made so unless the last step's optimizer left them so */
lrk_status lrk_engine_add(lrk_engine *e, const lrk_flat_run *b, double seed, lrk_err *err);
void lrk_engine_post(lrk_engine *e);

lrk_status lrk_engine_take(lrk_engine *e, lrk_adamw_values *values, double *loss, lrk_err *err);

/* Work of a GPU that asks for the same each time: done as it is the first time, for kernels and libraries make
 * themselves ready in it, and while kernels are timed (lrk_tape_profile); else recorded, once, and replayed, or, where
 * no memory is left for a recording, done as it is each time. Where `work` fails, nothing of it is done or recorded. */
typedef lrk_status (*lrk_engine_work)(void *ctx, lrk_err *err);
lrk_status lrk_engine_repeat(lrk_engine *e, lrk_repeated *r, lrk_engine_work work, void *ctx, lrk_err *err);

/* Logits of the given rows of the run (ascending), (n_rows, V) in the compute type, valid until the
 * next call. With use_cache, keys and values go to the cache and come from it. */
lrk_status lrk_engine_logits(lrk_engine *e, const lrk_flat_run *b, bool use_cache,
                             const int32_t *rows, size_t n_rows, const lrk_tensor **logits,
                             lrk_err *err);

/* The states between the layers (lrk_pass.hidden) of a run, on the device, valid until the next call.
 * For engines that train: they keep them. */
lrk_status lrk_engine_hidden(lrk_engine *e, const lrk_flat_run *b, lrk_var **hidden, lrk_err *err);

size_t lrk_engine_total(const lrk_engine_bytes *b);

#endif /* LRK_MODELS_ENGINE_H */
