/* checkpoint/names.h -- the architectures that exist on both sides, the names of their tensors in
 * Hugging Face and in GGUF, and the order of rows.
 *
 * Both sides describe the same weights; names.def has the pairs, archs.def what else differs:
 *   permuted_qk    rows of the query and key projections stand in another order: the two halves of
 *                  a head that rotary embedding turns against each other are interleaved, so that
 *                  pairs are adjacent. Per head of D rows:
 *                    gguf row 2i + j = Hugging Face row j * D/2 + i,   j in {0, 1}, i < D/2
 *   norm_plus_one  norm weights are stored as w, and as 1 + w in GGUF
 *   experts        one matrix (out, in) for each, one tensor (E, out, in) in GGUF
 *   latent         kv_b_proj, per head N rows that make keys and V that make values, is two of them:
 *                    attn_k_b (H, rank, N), transposed, and attn_v_b (H, V, rank)
 *                  older files have attn_kv_b, as it is
 * The router of experts, as norms and biases, is f32 in GGUF whatever the type of the file.
 *
 * Facts: github.com/ggml-org/llama.cpp, gguf-py/gguf/tensor_mapping.py, conversion/, src/models/.
 */
#ifndef LRK_CHECKPOINT_NAMES_H
#define LRK_CHECKPOINT_NAMES_H
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { LRK_NAME_MAX = 300, LRK_NO_EXPERT = -1 };

/* Whose names a tensor has: a row of names.def holds for some of these. */
enum {
    LRK_NAMES_LLAMA = 1,
    LRK_NAMES_MIXTRAL = 2,
    LRK_NAMES_GEMMA = 4, /* norms behind the blocks too */
    LRK_NAMES_PHI3 = 8,
    LRK_NAMES_STARCODER = 16,
    LRK_NAMES_BIASED_OUTPUT = 31, /* those above: where there are biases, o has one */
    LRK_NAMES_GLM4 = 256, /* norms behind the blocks too, by other names */
    LRK_NAMES_ALL = LRK_NAMES_BIASED_OUTPUT | LRK_NAMES_GLM4, /* but those below */
    LRK_NAMES_OUTPUT_BIAS = 32, /* of families that have them */
    LRK_NAMES_MLP_BIAS = 64,
    LRK_NAMES_NEOX = 128,
    LRK_NAMES_SPARSE = LRK_NAMES_MIXTRAL,
    LRK_NAMES_TWO_NORMS = LRK_NAMES_GEMMA,
    LRK_NAMES_ONE_NORM = LRK_NAMES_ALL & ~LRK_NAMES_GEMMA,
    LRK_NAMES_FUSED = LRK_NAMES_PHI3 | LRK_NAMES_GLM4,
    LRK_NAMES_PLAIN_MLP = LRK_NAMES_STARCODER,
    LRK_NAMES_GATED = LRK_NAMES_LLAMA | LRK_NAMES_GEMMA
};

/* Groups of rows of gguf_keys.def. */
enum {
    LRK_KEYS_SOFTCAPS = 1,
    LRK_KEYS_FINAL_SOFTCAP = 2,
    LRK_KEYS_SCALES = 4,
    LRK_KEYS_EXPERT_WIDTH = 8,
    LRK_KEYS_LATENT = 16
};

/* The heads that llama.cpp loads. */
enum { LRK_HEAD_ANY, LRK_HEAD_TIED, LRK_HEAD_OWN };

/* An architecture that exists on both sides. Keys are those of config.json; NULL: there is none. */
typedef struct lrk_arch {
    const char *gguf;       /* general.architecture: "llama" */
    const char *hf;         /* architectures[0]: "LlamaForCausalLM" */
    const char *model_type; /* "llama" */
    unsigned names;         /* one of the dialects above; 0: LRK_NAMES_LLAMA */
    unsigned keys;          /* groups */
    bool permuted_qk, norm_plus_one;
    int head;               /* one of the three above */
    bool heads_fill_width;  /* llama.cpp reads no size of a head: it is width / heads */
    bool rope_divisors;     /* it reads those of Llama 3 */
    bool needs_bias;        /* it loads no file without the biases of `bias` */
    const char *bias;                        /* whether q, k, v and o (but of GLM-4) have biases; without this
                                                key GGUF has no place for o's */
    const char *mlp_bias;                    /* the same of the feed-forward part */
    const char *activation_key, *activation; /* NULL: hidden_act, silu */
    const char *window_gate;                 /* without whose true there is no window */
    size_t pattern; /* each pattern-th layer sees all; 0: llama.cpp knows no window */
    size_t window_size; /* where sliding_window is absent */
    bool local_rope;    /* layers with a window have a theta of their own */
    size_t no_rope_step;  /* each of these layers has no rope; no key says so */
    bool partial_rotary;
    const char *rotary_key, *theta_key; /* more names that such a family has for partial_rotary_factor and rope_theta */
    double rotary;        /* where the first is absent */
    const char *parallel; /* the key of parallel blocks, true where it is absent */
    bool by_head;         /* rows of the fused matrix, below */
    const char *eps_key;  /* of LayerNorms; NULL: rms_norm_eps. GGUF has two names too */
    bool latent, sigmoid; /* multi-head latent attention; scores of experts by sigmoid */
    bool temperature;     /* queries grow with their position: llama_4_scaling_beta among the parameters of rope */
    const char *experts;  /* the key of their number */
    size_t head_size;     /* where head_dim is absent; 0: width / heads */
    size_t key_heads;     /* where num_key_value_heads is absent; 0, or null: as many as queries */
    size_t experts_used;  /* where num_experts_per_tok is absent; 0: it must be there */
    double theta, eps;    /* where absent; 0: 10000, 1e-6 */
    size_t scale_from_width; /* layers of the one model whose attention scale is
                                (width / heads)^-1/2, not head_size^-1/2; 0: none of the family */
} lrk_arch;

/* NULL for an unknown one. Several Hugging Face classes may share a GGUF architecture: the first
 * one is the answer. */
const lrk_arch *lrk_arch_from_gguf(const char *gguf);
const lrk_arch *lrk_arch_from_hf(const char *hf);
const lrk_arch *lrk_arch_from_type(const char *model_type);
enum { LRK_ARCH_LIST = 512 };
/* "LlamaForCausalLM, MistralForCausalLM, ...", for messages. */
void lrk_arch_list(char out[LRK_ARCH_LIST], bool gguf);

/* The name in GGUF; *expert: whose part of that tensor it is, or LRK_NO_EXPERT. False where the
 * table has none. */
bool lrk_name_to_gguf(const lrk_arch *a, const char *hf, char out[LRK_NAME_MAX], int *expert);
/* The name in Hugging Face; of a tensor of experts the name of this one's part. *experts: whether
 * it is such a tensor. */
bool lrk_name_to_hf(const lrk_arch *a, const char *gguf, int expert, char out[LRK_NAME_MAX],
                    bool *experts);

/* Weights of the embedding, and of the head where it is not tied, in Hugging Face; a: may be NULL. */
const char *lrk_name_of_embedding(const lrk_arch *a);
const char *lrk_name_of_head(const lrk_arch *a);

/* The two halves of a latent kv_b_proj.weight in GGUF. */
bool lrk_name_is_latent(const char *hf, char keys[LRK_NAME_MAX], char values[LRK_NAME_MAX]);
/* "blk.3.attn_k_b.weight" or its values: *keys, and the Hugging Face name of the whole. */
bool lrk_name_is_half(const char *gguf, bool *keys, char hf[LRK_NAME_MAX]);

/* A norm's weight. */
bool lrk_name_is_norm(const char *hf);
/* The router of experts, by GGUF name. */
bool lrk_name_is_router(const char *gguf);

/* How GGUF orders the rows of a weight, or the elements of a bias: as Hugging Face has them, by pairs (permuted_qk), or
 * by kind (by_head): of query_key_value all queries first, then keys, values, where Hugging Face has the three of a
 * head together: gguf row (k H + h) D + i = Hugging Face row (3 h + k) D + i. */
typedef enum lrk_order_kind { LRK_ORDER_SAME, LRK_ORDER_PAIRS, LRK_ORDER_KINDS } lrk_order_kind;
typedef struct lrk_order {
    lrk_order_kind kind;
    size_t head, rows; /* D; all of them */
} lrk_order;

/* Of the tensor with this Hugging Face name; a NULL arch has none of its own. */
lrk_order lrk_order_of(const lrk_arch *a, const char *hf, size_t head_dim, size_t rows);
/* Whether the rows are whole heads. */
bool lrk_order_fits(const lrk_order *o);
/* Row of the Hugging Face tensor that row `row` of the GGUF tensor holds, and the inverse. */
size_t lrk_order_hf_row(const lrk_order *o, size_t row);
size_t lrk_order_gguf_row(const lrk_order *o, size_t row);

#endif /* LRK_CHECKPOINT_NAMES_H */
