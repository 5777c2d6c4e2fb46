/* models/modules.h -- the modules of a layer: their Hugging Face names and the shapes of their weights. */
#ifndef LRK_MODELS_MODULES_H
#define LRK_MODELS_MODULES_H
#include "models/decoder.h"

/* Linear layers. Q, K, V are rows of QKV where they are fused, GATE and UP
 * rows of GATE_UP. Latent attention has Q_A .. KV_B instead of K and V, and of Q where it has a query rank. */
enum {
    LRK_Q,
    LRK_K,
    LRK_V,
    LRK_O,
    LRK_GATE,
    LRK_UP,
    LRK_DOWN,
    LRK_QKV,
    LRK_GATE_UP,
    LRK_Q_A,
    LRK_Q_B,
    LRK_KV_A,
    LRK_KV_B,
    LRK_SHARED_GATE,
    LRK_SHARED_UP,
    LRK_SHARED_DOWN,
    LRK_ROUTER,
    LRK_SHARED_ROUTER, /* the gate of a shared expert */
    LRK_PROJECTIONS
};

typedef struct lrk_module {
    const char *name; /* below the layer: "self_attn.q_proj" */
    size_t rows, cols;
    bool bias;
} lrk_module;

/* Norms: before and after attention and feed-forward block, on queries and keys. */
enum {
    LRK_NORM_ATTENTION,
    LRK_NORM_ATTENTION_OUT,
    LRK_NORM_FEED_FORWARD,
    LRK_NORM_FEED_FORWARD_OUT,
    LRK_NORM_Q,
    LRK_NORM_K,
    LRK_NORM_Q_A,
    LRK_NORM_KV_A,
    LRK_NORMS
};

/* What is called otherwise in some checkpoints: weights beside the layers, the path above a layer's number, modules
 * and norms below it. */
typedef struct lrk_names {
    const char *embedding, *head, *final_norm, *layers; /* without ".weight" */
    const char *qkv, *o, *up, *down;
} lrk_names;
const lrk_names *lrk_names_of(const lrk_decoder *d);

enum { LRK_MODULE_PATH = 128 };
/* "model.layers.3.self_attn.q_proj", of the name below. */
void lrk_layer_path(const lrk_decoder *d, size_t layer, const char *below, char out[LRK_MODULE_PATH]);

/* False where the layer has no such module. */
bool lrk_module_of(const lrk_decoder *d, size_t layer, int which, lrk_module *out);
/* Name and length of a norm's weight, in every layer; false where there is none. A bias: always with
 * layer_norm, never without. */
bool lrk_norm_of(const lrk_decoder *d, int which, const char **name, size_t *n);

/* Path of an expert's matrix: which is LRK_GATE, LRK_UP or LRK_DOWN. */
void lrk_expert_path(const lrk_decoder *d, size_t layer, size_t expert, int which, char out[LRK_MODULE_PATH]);

/* Path of the parameter that holds those matrices of all experts in transformers 5, LRK_GATE_UP or LRK_DOWN: an
 * adapter beside it has a name of its own (checkpoint/adapter.h). */
void lrk_experts_path(size_t layer, int which, char out[LRK_MODULE_PATH]);

/* The router below the layer: "mlp.gate". */
const char *lrk_router_name(const lrk_decoder *d);

#endif /* LRK_MODELS_MODULES_H */
