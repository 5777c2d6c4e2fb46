/* models/family.h -- what models/families.def says of a family, and what reads config.json by it: models/decoder.c and
 * models/family_rope.c, nobody else. */
#ifndef LRK_MODELS_FAMILY_H
#define LRK_MODELS_FAMILY_H
#include "models/decoder.h"

/* Which layers have the window that sliding_window says. */
typedef enum lrk_window_rule {
    LRK_WINDOW_NONE,       /* the key must be absent or null */
    LRK_WINDOW_ALL,
    LRK_WINDOW_FROM_LAYER, /* layer_types, else those from max_window_layers on */
    LRK_WINDOW_BELOW_LAYER, /* layer_types, else every other one below max_window_layers */
    LRK_WINDOW_PATTERN,    /* layer_types, else all but each pattern-th */
    LRK_WINDOW_NO_ROPE     /* layer_types, else those without rope */
} lrk_window_rule;

/* A key of config.json, or LRK_ALWAYS for a bias that is always there; NULL: never. */
#define LRK_ALWAYS ""

typedef struct lrk_family {
    const char *architecture, *model_type;
    lrk_naming naming;
    const char *bias, *output_bias, *mlp_bias;
    bool bias_default;
    lrk_window_rule window;
    const char *window_gate; /* a key without whose true there is no window */
    size_t pattern;
    size_t window_size;      /* where sliding_window is absent */
    lrk_norm_placement placement;
    lrk_head_norm head_norm;
    bool layer_norm, norm_plus_one;
    const char *eps_key;        /* NULL: rms_norm_eps */
    double eps;                 /* where it is absent; 0: 1e-6 */
    const char *activation_key; /* NULL: hidden_act */
    const char *activation;     /* NULL: silu */
    bool scaled_embedding;      /* by sqrt(C) */
    bool query_scalar;          /* attention scale query_pre_attn_scalar^-1/2 */
    bool softcaps, final_softcap;
    bool multipliers;           /* embedding_multiplier, attention_multiplier, ... */
    const char *experts_key;    /* NULL: no experts */
    const char *experts_width;  /* NULL: intermediate_size */
    const char *shared_width;   /* of one shared expert behind a gate; NULL: none such */
    const char *normalize;      /* a key, LRK_ALWAYS, NULL: never */
    bool normalize_default, sigmoid, block_sparse;
    double routed_scale;        /* what config.json means where it leaves the key out; 0: 1 */
    const char *topk_method, *topk_grouped; /* its default, and the one that chooses by groups */
    size_t groups, groups_used, dense_layers, shared_experts; /* defaults as well */
    bool group_by_two;          /* a group counts as its two best experts, not its best */
    bool sparse_step, dense_first; /* which layers have experts; neither: all */
    bool latent;                /* multi-head latent attention */
    const char *interleave;     /* whether rope turns neighbours: a key, true where absent, LRK_ALWAYS, NULL: never */
    bool fused_heads, by_head, fused_gate, plain_mlp, partial_rotary, local_rope, no_rope_layers, tied;
    bool temperature;           /* queries grow with their position (models/rope.h) */
    const char *parallel;       /* the key of parallel blocks, true where it is absent; NULL: never */
    const char *theta_key, *rotary_key; /* more names of rope_theta and partial_rotary_factor */
    double rotary;              /* partial_rotary_factor where it is absent; 0: 1 */
    size_t head_size;           /* where head_dim is absent; 0: width / heads */
    size_t key_heads;           /* where num_key_value_heads is absent; 0, or null: as many as queries */
    size_t experts_used;        /* where num_experts_per_tok is absent; 0: it must be there */
    double theta;               /* where rope_theta is absent; 0: 10000 */
    size_t original;            /* original_max_position_embeddings where it is absent; 0: as rope says */
    size_t padding;             /* 1 + pad_token_id where it is absent; 0: none */
} lrk_family;

/* What is read: the object of the language model, and for whom. */
typedef struct lrk_source {
    const lrk_family *family;
    const lrk_json *config;
    const char *where;
} lrk_source;

/* Sets d->rotary, d->rope, d->local_rope; d has its sizes already. */
lrk_status lrk_family_rope(lrk_decoder *d, const lrk_source *s, lrk_err *err);

#endif /* LRK_MODELS_FAMILY_H */
