/* models/modules.h -- the modules of a layer: their Hugging Face names and the shapes of their weights. */
#ifndef LRK_MODELS_MODULES_H
#define LRK_MODELS_MODULES_H
#include "models/decoder.h"

/* Linear layers. Q, K, V are rows of QKV where the decoder is fused, GATE and UP rows of GATE_UP. */
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
    LRK_NORMS
};

/* False where the layer has no such module. */
bool lrk_module_of(const lrk_decoder *d, size_t layer, int which, lrk_module *out);
/* name and length of a norm's weight; bias: always with layer_norm, never without. */
bool lrk_norm_of(const lrk_decoder *d, size_t layer, int which, const char **name, size_t *n);

#endif /* LRK_MODELS_MODULES_H */
