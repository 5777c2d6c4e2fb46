/* checkpoint/adapter.h -- LoRA adapters in PEFT's layout, and as GGUF.
 *
 * A directory with adapter_config.json and adapter_model.safetensors. For a linear weight W (out,
 * in) of the base the adapter holds A (R, in) and B (out, R):
 *
 *   W' = W + scale * B * A,   scale = alpha / R, or alpha / sqrt(R) with use_rslora
 *
 * and with use_dora a vector M (out), the length of each row (models/lora.h):
 *
 *   W'[o] = M[o] / |(W + scale * B * A)[o]| * (W + scale * B * A)[o]
 *
 * Experts of a mixture are modules like others ("model.layers.0.mlp.experts.3.gate_proj", w1, w3, w2 of
 * block_sparse_moe in Mixtral), or a stack beside a parameter that holds all of them, as PEFT's
 * target_parameters have it (lrk_adapter_stack).
 *
 * Embedding and head may be replaced instead (modules_to_save), or some of their rows (trainable_token_indices):
 * lrk_adapter_whole.
 *
 * Keys: "base_model.model." + module path + ".lora_A.weight" | ".lora_B.weight" |
 * ".lora_magnitude_vector", or ".weight" of what is replaced, ".token_adapter.trainable_tokens_delta" of rows. Layout:
 * github.com/huggingface/peft, docs/source/developer_guides/checkpoint.md.
 *
 * Reading is strict: every key of adapter_config.json must be one that PEFT 0.21 writes, and those
 * that change the numbers in a way we do not compute (lora_bias, layer_replication, ...)
 * must be at their neutral value; messages name the key. Tensors may be f32, f16 or bf16 and become
 * f32; NaN and infinity are refused. All errors of a file are LRK_EINPUT or LRK_ESUPPORT.
 */
#ifndef LRK_CHECKPOINT_ADAPTER_H
#define LRK_CHECKPOINT_ADAPTER_H
#include "base/row_list.h"
#include "checkpoint/weights.h"

#define LRK_ADAPTER_CONFIG "adapter_config.json"
#define LRK_ADAPTER_TENSORS "adapter_model.safetensors"

/* Provenance, in the safetensors metadata; PEFT ignores it. */
#define LRK_NOTE_BASE "lorikeet.base.sha256" /* lrk_weights_sha256 of the base */
#define LRK_NOTE_TOKENIZER "lorikeet.tokenizer.sha256"
#define LRK_NOTE_RECIPE "lorikeet.recipe.sha256"
#define LRK_NOTE_STEPS "lorikeet.steps"

/* Keys of a GGUF adapter of our own: adapter_config.json as lrk_adapter_save would write it, and the
 * notes, as text. llama.cpp passes over them. */
#define LRK_KEY_ADAPTER_CONFIG "lorikeet.adapter.config"
#define LRK_KEY_ADAPTER_NOTES "lorikeet.adapter.notes"

typedef struct lrk_adapter_module {
    const char *path; /* "model.layers.0.self_attn.q_proj" */
    lrk_tensor a, b;  /* f32, contiguous */
    lrk_tensor m;     /* f32; rank 0: no DoRA */
    double alpha, scale;
    bool stacked;     /* part of a stack: says what it computes, and is not written itself */
} lrk_adapter_module;

/* Adapters beside "model.layers.0.mlp.experts.gate_up_proj" (E, 2 F, C), rows of gate, then of up, or
 * "...down_proj" (E, C, F). PEFT calls the module "...mlp.experts", and the inner one of two
 * "...mlp.experts.base_layer" (peft, tuners/lora/layer.py, ParamWrapper). */
typedef struct lrk_adapter_stack {
    const char *path; /* of the parameter */
    size_t experts;   /* E */
    lrk_tensor a, b;  /* f32, contiguous: (E * R, in), and (out, R * E), number r of expert e in column r * E + e */
    double alpha, scale;
} lrk_adapter_stack;

/* A weight that stands for the base's: its embedding, under the name that the model has for it ("model.embed_tokens",
 * "gpt_neox.embed_in"), or its head, "lm_head" (transformers before 5 has "embed_out" for GPT-NeoX, which is read too,
 * and weights are stored under that name still). Where the base ties them the other one
 * stays as it was, unless `tied` says that they go on as one: both are then in the file, and equal. */
typedef struct lrk_adapter_whole {
    const char *path;
    lrk_tensor weight; /* f32 (V, C), contiguous; or (N, C), of some rows */
    lrk_row_list rows; /* n 0: all of them */
} lrk_adapter_whole;

/* trainable_token_indices as read. */
typedef struct lrk_adapter_tokens {
    lrk_row_list rows;
    const size_t *place; /* of each in the file */
} lrk_adapter_tokens;

enum { LRK_ADAPTER_EMBEDDING, LRK_ADAPTER_HEAD, LRK_ADAPTER_WHOLE };

/* Zero-initialize to build one for saving: fill the fields, modules in any order; nothing is owned
 * but what lrk_adapter_load put there. */
typedef struct lrk_adapter {
    const char *base_model; /* base_model_name_or_path, or NULL */
    const char *revision;   /* or NULL */
    size_t rank;
    double alpha, dropout;
    bool rslora, dora;
    bool part;         /* of the language model inside a model of images and text: paths are those of its own class
                          here, and those of that model in the file (text_part.h); its target_modules are written as
                          the paths of all modules, for a last name may be that of a layer for images too */
    const char *begun; /* init_lora_weights "pissa" or "olora": for a base that lacks the part these take out of it,
                          and not for the one that is there before lrk_adapter_fit (generate/); else NULL */
    const char *const *target; /* target_modules as a list, or NULL when it is a pattern */
    size_t n_targets;
    const char *target_pattern; /* target_modules as a string, or NULL */
    const char *const *parameter; /* target_parameters */
    size_t n_parameters;
    lrk_adapter_module *module; /* sorted by path when loaded */
    size_t n;
    lrk_adapter_stack *stack;
    size_t n_stacks;
    const char *const *save; /* modules_to_save */
    size_t n_save;
    bool tied;               /* ensure_weight_tying */
    lrk_adapter_tokens tokens[LRK_ADAPTER_WHOLE]; /* n 0: none */
    lrk_adapter_whole whole[LRK_ADAPTER_WHOLE];
    size_t n_whole;
    bool has_tokenizer; /* one lies beside it */
    lrk_tensor resized[LRK_ADAPTER_WHOLE]; /* f32: embedding and head of the base that PEFT trained, whose vocabulary
                              had grown; rank 0: none. Rows of it that are trained stand in whole[] */
    lrk_json *given;  /* to save: keys of the configuration that are written as somebody gave them (rank_pattern,
                         alpha_pattern, layers_to_transform, layers_pattern), or NULL; freed with the adapter */
    lrk_json *notes;  /* object of strings for the metadata, or NULL */
    lrk_json *config; /* adapter_config.json as read, or NULL */
    lrk_arena arena;
} lrk_adapter;

lrk_status lrk_adapter_load(lrk_adapter *a, const char *directory, lrk_err *err);
/* Whether there is a directory with an adapter's configuration; what it says is not read. */
lrk_status lrk_adapter_check_path(const char *directory, lrk_err *err);
void lrk_adapter_free(lrk_adapter *a); /* may be called twice, and on a zeroed one */

/* The same from the bytes of both files. */
lrk_status lrk_adapter_parse(lrk_adapter *a, const char *config, size_t n, const void *tensors, size_t size,
                             const char *where, lrk_err *err);
/* The configuration alone: everything but modules and notes. */
lrk_status lrk_adapter_parse_config(lrk_adapter *a, const char *text, size_t n, const char *where,
                                    lrk_err *err);
/* A path of the adapter as its file has it. */
void lrk_adapter_stored_path(const lrk_adapter *a, const char *path, char out[LRK_NAME_MAX]);
/* Rank and alpha of a module after rank_pattern and alpha_pattern of a->config. */
lrk_status lrk_adapter_of_module(const lrk_adapter *a, const char *path, size_t *rank,
                                 double *alpha, lrk_err *err);

/* alpha / rank, or alpha / sqrt(rank). */
double lrk_adapter_scale(const lrk_adapter *a, size_t rank, double alpha);

/* Adds the modules of all stacks to module[], in the arena, sorted by path. */
lrk_status lrk_adapter_expand(lrk_adapter *a, lrk_err *err);

/* The other way: modules of experts beside parameters that target_parameters names become stacks, and the modules of
 * those. LRK_EINPUT where they do not make one. */
lrk_status lrk_adapter_gather(lrk_adapter *a, lrk_err *err);

/* The stack that target_parameters has in place of this module of an expert, the number of that and where its rows of B
 * begin: with those of gate, or behind them (*second). False: none. */
bool lrk_adapter_stack_of(const lrk_adapter *a, const char *path, char stack[LRK_NAME_MAX], size_t *expert,
                          bool *second);

/* The module that PEFT's keys name for a stack. */
void lrk_adapter_stack_module(const lrk_adapter *a, const lrk_adapter_stack *s, char out[LRK_NAME_MAX]);

/* What stands for the weight of this path or for some of its rows, or NULL. */
const lrk_adapter_whole *lrk_adapter_find_whole(const lrk_adapter *a, const char *path);

/* LRK_ADAPTER_EMBEDDING, LRK_ADAPTER_HEAD, or -1 where the module of this path, of whatever model, is neither. */
int lrk_adapter_role(const char *path);

/* What stands for the embedding or the head, or for some of its rows, or NULL. */
const lrk_adapter_whole *lrk_adapter_whole_of(const lrk_adapter *a, int role);

/* Whether embedding and head go on as one where the base ties them: ensure_weight_tying, or rows of the embedding
 * and no others of the head. */
bool lrk_adapter_as_one(const lrk_adapter *a);

/* The module of this path, or NULL. Mixtral's names of experts and router are those of its stacks too. */
const lrk_adapter_module *lrk_adapter_find(const lrk_adapter *a, const char *path);

/* Rows that the base lacks and resized[] has become rows of whole[]. LRK_EINPUT where the rest of it is not that of
 * this base, as far as 16 bits tell and unless any_base. */
lrk_status lrk_adapter_take_resized(lrk_adapter *a, const lrk_weights *base, bool any_base, lrk_err *err);

/* The adapter fits this base: every module names a matrix of it, the shapes agree, and the hash
 * that training noted, if any, is the base's. Otherwise LRK_EINPUT or LRK_ESHAPE: "an adapter for
 * another base". any_hash: an adapter that was trained on another file of the same model (a
 * quantized base, say) is wanted anyway. */
lrk_status lrk_adapter_check_base(const lrk_adapter *a, const lrk_weights *base, bool any_hash,
                                  lrk_err *err);

/* Names this adapter, whatever file it is in: SHA-256, in hexadecimal, over path, shapes, scale and all numbers of each
 * module and of what it replaces, as f32, in the order of paths. */
void lrk_adapter_sha256(const lrk_adapter *a, char hex[65]);

/* Writes both files into directory, which is made; each appears whole or not at all, the tensors
 * first. target_modules is sorted; modules whose rank or alpha differ from a->rank and a->alpha are
 * listed in rank_pattern and alpha_pattern. A whole alpha is written as an integer, which some loaders
 * demand; LRK_EVALUE where one is not above 0 and at most 1e6. */
lrk_status lrk_adapter_save(const lrk_adapter *a, const char *directory, lrk_err *err);

/* The same adapter as a GGUF file for llama.cpp and what is built on it: names and the row order of
 * q and k as the base's GGUF has them; f32. Its one alpha is alpha of the first module (times
 * sqrt(R) with rslora); where other modules differ the factor goes into their B. Not expressible,
 * and refused with the advice to merge: DoRA, modules_to_save, trainable_token_indices, adapters on the embedding, on
 * a tied head, on kv_b_proj, which is two tensors there that llama.cpp multiplies without adapters, and on some experts
 * of a layer but not all, or of different ranks.
 * extra: files that it carries, and what it is made of, in keys (checkpoint/gguf.h), or NULL; generate/manifest.h knows
 * both. */
typedef struct lrk_adapter_extra {
    const lrk_merge_file *file;
    size_t n;
    const lrk_gguf_origin *origin; /* its license and its bases; or NULL */
} lrk_adapter_extra;
lrk_status lrk_adapter_save_gguf(const lrk_adapter *a, const lrk_weights *base, const lrk_adapter_extra *extra,
                                 const char *path, lrk_err *err);

/* The adapter of such a file, which is for this base: names and rows of Hugging Face again. Of a file
 * of our own it is the adapter that was saved, with its configuration, to the bit; but a B that a
 * factor went into is rounded. Of another program's, target_modules are the modules that are there,
 * and an alpha that is no whole number is rounded and the rest goes into B. */
lrk_status lrk_adapter_load_gguf(lrk_adapter *a, const char *path, const lrk_weights *base,
                                 lrk_err *err);

/* LRK_ESUPPORT where it has begun, and how to make a plain one of it. Who reads its modules asks first. */
lrk_status lrk_adapter_check_plain(const lrk_adapter *a, lrk_err *err);

/* The matrix of the base beside which a module stands; false: it has none. */
bool lrk_adapter_base_matrix(const lrk_weights *base, const char *path, lrk_tensor *w);

/* Text of adapter_config.json, appended. */
lrk_status lrk_adapter_config_text(const lrk_adapter *a, lrk_buf *out, lrk_err *err);

#endif /* LRK_CHECKPOINT_ADAPTER_H */
