/* models/model.h -- a frozen decoder with its adapters, and its forward pass.
 *
 * Weights stay in the type they are stored in; a model asks for them by Hugging Face name through a
 * callback, so it never knows the file format. On the CPU they stay where they are, in a mapped file; on
 * another device they are copied there. Norm weights, which are small, are converted to f32. All adapter
 * weights lie in one vector, their gradients in another, in the order of models/places.h; then what is
 * trained whole. The optimizer sees two vectors. On a GPU, where passes compute in bf16, they multiply
 * with a copy of the first in that type, its shadow, which the optimizer writes: rounded once a step,
 * not by a launch in front of every product. An A or B whose rows do not begin on 16 bytes there is
 * read from the parameters all the same, and so is all in inference and on the CPU, whose products
 * round what they pack.
 *
 * On counting arenas the same build counts the same bytes and touches no weight.
 */
#ifndef LRK_MODELS_MODEL_H
#define LRK_MODELS_MODEL_H
#include "autograd/tape.h"
#include "kernels/attention/attention.h"
#include "kernels/dora/dora.h"
#include "kernels/embed/embed.h"
#include "kernels/experts/experts.h"
#include "kernels/heads/heads.h"
#include "kernels/layernorm/layernorm.h"
#include "kernels/linear_xent/linear_xent.h"
#include "kernels/rmsnorm/rmsnorm.h"
#include "kernels/rope/rope.h"
#include "kernels/rope_table/rope_table.h"
#include "kernels/softcap/softcap.h"
#include "kernels/swiglu/swiglu.h"
#include "kernels/token_logits/token_logits.h"
#include "kernels/token_rows/token_rows.h"
#include "models/cache.h"
#include "models/decoder.h"
#include "models/lora.h"
#include "models/modules.h"

/* Puts the view of a weight into *out; fails with LRK_EINPUT when there is none of this name. */
typedef lrk_status (*lrk_weight_find)(void *ctx, const char *name, lrk_tensor *out, lrk_err *err);

typedef struct lrk_norm_weights {
    lrk_tensor weight, bias; /* f32; rank 0: none */
} lrk_norm_weights;

typedef struct lrk_layer {
    lrk_norm_weights norm[LRK_NORMS];
    lrk_projection projection[LRK_PROJECTIONS]; /* weight of rank 0: the layer has no such module */
    lrk_tensor correction;                      /* of the router; f32 (E), rank 0: none */
    lrk_experts_attr experts;
    lrk_experts_attr shared;                    /* the shared expert behind a gate, as the one of one */
    lrk_projection expert[3];                   /* adapters beside experts' gate, up and down; of gate and up both
                                                   where it is experts.fused */
} lrk_layer;

typedef struct lrk_model {
    lrk_decoder decoder;
    lrk_device device;          /* where all of the following lies */
    lrk_tensor embedding, head; /* (V, C), stored type; the same view when tied; f32 where all of it is trained */
    lrk_tensor d_embedding, d_head;     /* their gradients, the same view when trained as one; rank 0: none */
    const lrk_whole *embedding_rows, *head_rows; /* rows that stand for some of theirs, or NULL; of `whole` */
    lrk_tensor shadow_head;             /* of a head that is trained; rank 0: none */
    lrk_norm_weights final_norm;        /* C */
    lrk_tensor frequencies[2];  /* f32 (R / 2), or (2, R / 2): short and long documents; [1]: local */
    lrk_layer *layers;

    lrk_projection **adapted;
    size_t n_adapted;
    lrk_whole whole[2];
    size_t n_whole;
    bool as_one;                      /* whole[0] is embedding and head */
    lrk_beginning begin;
    lrk_tensor parameters, gradients; /* f32 (n); no gradients in inference */
    lrk_tensor shadow;                /* bf16: of the adapters, and where the head is trained of all; rank 0: none */
    void *borders;                    /* of n_borders, on the device, what models/borders.h writes after each change */
    size_t n_borders, border_bytes;   /* bytes: in the frozen arena, of the borders themselves */
    size_t weight_bytes;              /* of weights in the frozen arena: copied to the device, NF4 */

    lrk_rmsnorm_attr norm, latent_norm;
    lrk_heads_attr of_heads[3]; /* queries, keys, values of a fused matrix by heads */
    lrk_heads_attr latent_q, latent_k, latent_v, latent_o; /* heads of latent attention */
    lrk_layernorm_attr layer_norm;
    lrk_rope_table_attr rope_table[2], query_table; /* the last: where queries have one of their own */
    lrk_rope_attr rope;
    lrk_attention_attr attention[2]; /* [1]: with a window */
    lrk_embed_attr embed, gather;    /* gather: rows as they are */
    lrk_token_rows_attr token_rows;
    lrk_swiglu_attr swiglu;
    lrk_scale_attr residual, logit;
    lrk_softcap_attr softcap;
    lrk_linear_xent_attr loss;
    lrk_linear_attr plain;
    lrk_arena own; /* names and tables */
} lrk_model;

/* How the matrices of linear layers are held: as they are stored; or those of 16 and 32 bits as NF4
 * (base/nf4.h), made while the model is built, in the frozen arena, each expert's by themselves. Embedding, head,
 * routers and quantized matrices stay, and so do rows that are no whole number of blocks. */
typedef enum lrk_weight_bits { LRK_AS_STORED, LRK_AS_NF4, LRK_AS_NF4_TWICE } lrk_weight_bits;

/* How matrices that are stored as they are get to a device that is not the CPU: while the model is built;
 * by somebody else, who gets a list of them, and then nothing at all is copied; or they are there, from
 * such a list of the same model in the same frozen arena. */
typedef enum lrk_weight_way { LRK_WEIGHTS_COPIED, LRK_WEIGHTS_LISTED, LRK_WEIGHTS_THERE } lrk_weight_way;
typedef struct lrk_weight_list {
    lrk_parcel *parcel; /* from the heap: the caller's to free, after errors too */
    size_t n, capacity;
} lrk_weight_list;

typedef struct lrk_model_options {
    lrk_compute compute;
    const lrk_lora_options *lora; /* NULL: the base alone */
    bool train;                   /* gradients are wanted */
    lrk_weight_bits bits;
    lrk_weight_way way;
    lrk_weight_list *list;        /* with LRK_WEIGHTS_LISTED */
} lrk_model_options;

typedef struct lrk_model_memory {
    lrk_device device;
    lrk_arena *frozen; /* what is derived from weights; copies of them, but on the CPU */
    lrk_arena *run;    /* adapters and gradients */
} lrk_model_memory;

lrk_status lrk_model_build(lrk_model *m, const lrk_decoder *d, lrk_weight_find find, void *ctx,
                           const lrk_model_options *options, lrk_model_memory memory, lrk_err *err);
void lrk_model_free(lrk_model *m); /* may be called on a zeroed model */

/* Whether a weight of this name belongs to the model: for the check that a file holds nothing else.
 * "lm_head.weight" of a tied model and "...rotary_emb.inv_freq" are known and not used. */
bool lrk_model_knows(const lrk_model *m, const char *name);

/* Start values of all adapters, and of what is trained whole. */
lrk_status lrk_model_start(lrk_model *m, uint64_t seed, lrk_err *err);

/* To be called after each change of the parameters: what passes take as constants follows from them, the
 * norms of DoRA, and the shadow, unless whoever changed them wrote it. lrk_model_start does it itself. */
void lrk_model_settle(const lrk_model *m, bool shadow_is_written);

/* Dropout masks of the next micro-batch, a function of the two numbers: a resumed run draws what it
 * would have drawn. count: the step; seed tells its micro-batches apart. */
void lrk_model_set_dropout(lrk_model *m, uint64_t seed, uint32_t count);
void lrk_model_enable_dropout(lrk_model *m, double p); /* 0 in evaluation */

/* One forward pass over a flat run of tokens. */
typedef struct lrk_pass {
    lrk_tape *tape;
    const lrk_model *model;
    const lrk_tensor *ids;      /* i32 (T) */
    const lrk_tensor *segments; /* i32 (S, LRK_SEG_FIELDS) */
    lrk_kv_cache *cache;        /* NULL: keys and values are those of this run */
    bool recompute;             /* keep one result a layer, compute the others again in backward */
    lrk_var **hidden;           /* NULL, or layers + 1 places: input of each layer, then the last,
                                   after the final norm; for comparisons, with recompute off */
} lrk_pass;

/* (T, C), after the final norm. NULL after an error, which stays in the tape. */
lrk_var *lrk_model_hidden(const lrk_pass *p);

/* Sum of the cross-entropy over targets >= 0; targets: i32 (T), already shifted. */
lrk_var *lrk_model_loss(const lrk_pass *p, lrk_var *hidden, const lrk_tensor *targets);

/* (rows, V) of the given rows of a hidden state. */
lrk_var *lrk_model_logits(const lrk_pass *p, lrk_var *hidden);

#endif /* LRK_MODELS_MODEL_H */
