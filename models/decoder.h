/* models/decoder.h -- what a decoder-only transformer looks like, read from config.json.
 *
 * A family is a row of facts in families.def. Everything that the program does not know is refused
 * by name: an architecture, an activation, a kind of rope scaling, a key that changes the arithmetic.
 * Source of all rules: transformers, models/<family>/configuration_<family>.py.
 */
#ifndef LRK_MODELS_DECODER_H
#define LRK_MODELS_DECODER_H
#include "base/json.h"
#include "base/tensor.h"
#include "kernels/experts/experts.h"

#include "models/rope.h"

enum { LRK_MAX_LAYERS = 1024 };

/* Where the norms of a block stand: before it (Llama), before and after (Gemma 2), after (OLMo 2):
 *   h + block(norm(h)),   h + norm(block(norm(h))),   h + norm(block(h)) */
typedef enum lrk_norm_placement {
    LRK_NORM_BEFORE,
    LRK_NORM_AROUND,
    LRK_NORM_AROUND_GLM4, /* under its own names */
    LRK_NORM_AFTER
} lrk_norm_placement;

/* Norms on queries and keys before rope: none, each head by itself, or all heads as one row. */
typedef enum lrk_head_norm { LRK_NORM_NO_HEAD, LRK_NORM_HEAD, LRK_NORM_WIDTH } lrk_head_norm;

/* Whose names weights have (modules.c). */
typedef enum lrk_naming { LRK_NAMED_LLAMA, LRK_NAMED_STARCODER, LRK_NAMED_NEOX } lrk_naming;

/* What differs between layers, as bits. */
enum {
    LRK_LAYER_WINDOW = 1,
    LRK_LAYER_LOCAL_ROPE = 2,
    LRK_LAYER_NO_ROPE = 4,
    LRK_LAYER_EXPERTS = 8
};

/* Multi-head latent attention: queries and keys have `plain` numbers that do not turn and then R that
 * do, values have `value`; both come from a vector of `rank`, the turning key from one of all heads. */
typedef struct lrk_latent {
    size_t rank;       /* 0: ordinary attention */
    size_t query_rank; /* 0: queries straight from the hidden state */
    size_t plain, value;
} lrk_latent;

typedef struct lrk_decoder {
    const char *family; /* "LlamaForCausalLM"; static */
    const char *where;  /* names the model in messages; not owned; NULL where nobody knows */
    lrk_naming naming;
    size_t layers;
    size_t width;        /* C */
    size_t heads;        /* H, query heads */
    size_t key_heads;    /* K, divides H */
    size_t head_size;    /* D; heads * head_size need not be width */
    size_t rotary;       /* numbers of a head that rope turns, at the front of it */
    size_t feed_forward; /* F */
    size_t vocabulary;   /* V, rows of the embedding */
    size_t max_positions;
    size_t window;       /* keys a token sees in layers with a window, itself included; 0: all */
    double norm_eps;
    lrk_rope rope, local_rope;
    unsigned char layer[LRK_MAX_LAYERS]; /* bits above */
    bool tied;           /* the head is the embedding */
    size_t padding;      /* 1 + the token whose embedding learns nothing: pad_token_id; 0: none */
    bool attention_bias, output_bias, mlp_bias; /* q, k, v; o; gate, up, down */
    bool pairs_adjacent; /* rope turns neighbours against each other, not halves */
    bool interleaved;    /* it does so in the base's GGUF alone, where rows of q and k are permuted */

    bool fused_heads;    /* q, k, v are rows of one matrix */
    bool by_head;        /* in it each head has its q, k and v together, not all heads their q first */
    bool reordered;      /* they were, and are not in the base's GGUF */
    bool parallel;       /* both blocks of a layer read its input: h + attention(norm(h)) + mlp(norm'(h)) */
    lrk_latent latent;
    lrk_experts_attr experts; /* of layers that have them; its matrices are the model's */
    bool block_sparse;   /* module and weight names of Mixtral: block_sparse_moe, w1, w3, w2 */
    bool correction;     /* e_score_correction_bias in the router */
    size_t shared;       /* width of the experts that all tokens go through; 0: none */
    bool gated_shared;   /* they are one, times sigmoid(x G^T) of a gate G (1, C) */
    bool plain_mlp;      /* down(act(up(x))), no gate */
    bool fused_gate;     /* gate, up are rows of one matrix */
    lrk_activation activation;
    lrk_norm_placement placement;
    lrk_head_norm head_norm;
    bool layer_norm;     /* mean and bias too, instead of RMS alone */
    bool norm_plus_one;  /* stored weights are w, norms multiply by 1 + w */
    bool sqrt_embedding; /* embeddings times sqrt(C), a number of the compute type */
    double embedding_scale, attention_scale, residual_scale, logit_scale;
    double attention_softcap, final_softcap; /* 0: none */
    double dropout;      /* the largest in config.json, for training: nothing here applies it */
} lrk_decoder;

/* config: in the form of Hugging Face's config.json; `where` names it in messages. LRK_ESUPPORT with d->family NULL:
 * its architecture is not known. */
lrk_status lrk_decoder_read(lrk_decoder *d, const lrk_json *config, const char *where, lrk_err *err);

/* LRK_ESUPPORT where it says that some quantizer gave the weights their form. config NULL: nothing is said. */
lrk_status lrk_decoder_refuse_quantized(const lrk_json *config, const char *where, lrk_err *err);

/* Parameters of the base model, and of the matrices that every token multiplies with. */
size_t lrk_decoder_parameters(const lrk_decoder *d);
size_t lrk_decoder_matrix_parameters(const lrk_decoder *d);

#endif /* LRK_MODELS_DECODER_H */
