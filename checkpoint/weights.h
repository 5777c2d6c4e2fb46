/* checkpoint/weights.h -- one view over a base model, wherever it comes from.
 *
 * A model is a Hugging Face directory (config.json; model.safetensors, or the shards that
 * model.safetensors.index.json names) or a GGUF file. Either way tensors are found by their Hugging
 * Face name and the configuration has the form of config.json. Nothing is copied: views point into
 * the mapped files, in the stored type; an expert's matrix is a part of GGUF's tensor of all. But
 * the kv_b_proj of latent attention, which GGUF cuts in two and turns, is put together in memory, in
 * the type of the halves where it is f32, f16 or bf16, else in f32.
 *
 * Five things differ and are exposed, not hidden:
 *   permuted_qk   the rows of q_proj and k_proj are in GGUF's order (names.h): rotary embedding
 *                 turns adjacent pairs there, halves of a head otherwise
 *   norms         GGUF has 1 + w where the arch says norm_plus_one
 *   rope_freqs    a GGUF of a Llama 3 model has no rope scaling keys but this tensor, (D/2) f32:
 *                 the divisors of the frequencies
 *   a part        of a directory with a model of images and text the language model is seen (text_part.h); the other
 *                 tensors stand beside it
 *   lm_head       absent where the model ties it to the embedding; a stored copy equal to the
 *                 embedding is dropped, one that differs counts, with a warning: the two are not tied
 */
#ifndef LRK_CHECKPOINT_WEIGHTS_H
#define LRK_CHECKPOINT_WEIGHTS_H
#include "base/json.h"
#include "base/tensor.h"
#include "checkpoint/gguf.h"
#include "checkpoint/names.h"
#include "checkpoint/safetensors.h"

typedef struct lrk_weights lrk_weights;

typedef enum lrk_weights_kind { LRK_WEIGHTS_HF, LRK_WEIGHTS_GGUF } lrk_weights_kind;

/* Opens and checks every header. LRK_EINPUT, LRK_ESUPPORT, LRK_EIO; messages name the file. An
 * architecture that names.h lacks is refused for GGUF only; a directory is opened whatever its
 * architecture, for its tensors need no translation. */
lrk_status lrk_weights_open(lrk_weights **w, const char *path, lrk_err *err);
/* The same, but a directory whose config.json the check refuses fails with that before its weights are looked for.
 * outer: NULL, or that of the model which the language model with this config is a part of. */
typedef lrk_status (*lrk_config_check)(const lrk_json *config, const lrk_json *outer, const char *path, lrk_err *err);
lrk_status lrk_weights_open_known(lrk_weights **w, const char *path, lrk_config_check check, lrk_err *err);
void lrk_weights_close(lrk_weights *w); /* NULL is fine */

/* A safetensors header of any length is legal, so tensors may lie at any address. After this numbers can be read in
 * place: those that lie askew are copied into memory, which may be the whole file. Whoever goes through the weights
 * once reads them row by row instead (merge_tensor.c). */
lrk_status lrk_weights_align(lrk_weights *w, lrk_err *err);

/* A read-only view of the tensor; false when the model has none of that name. */
bool lrk_weights_find(const lrk_weights *w, const char *name, lrk_tensor *view);

/* Every tensor, sorted by name. */
size_t lrk_weights_count(const lrk_weights *w);
const lrk_tensor *lrk_weights_at(const lrk_weights *w, size_t i);

const char *lrk_weights_path(const lrk_weights *w);
lrk_weights_kind lrk_weights_source(const lrk_weights *w);
bool lrk_weights_permuted_qk(const lrk_weights *w);
/* The order of the rows of a tensor there: of GGUF's in a GGUF file, the same in a directory. */
lrk_order lrk_weights_order(const lrk_weights *w, const char *name, size_t rows);
const lrk_gguf *lrk_weights_gguf(const lrk_weights *w); /* NULL for a directory */
/* What the family is like on both sides; NULL for a directory whose architecture names.h lacks. */
const lrk_arch *lrk_weights_arch(const lrk_weights *w);

/* config.json, or the same made from the metadata of a GGUF file. Belongs to w. */
const lrk_json *lrk_weights_config(const lrk_weights *w);
/* config.json of the model of images and text that this language model is a part of, or NULL; the name of a tensor in
 * its files; and the tensors that are not of the part, n of them. */
const lrk_json *lrk_weights_outer(const lrk_weights *w);
void lrk_weights_stored_name(const lrk_weights *w, const char *name, char out[LRK_NAME_MAX]);
const lrk_tensor *lrk_weights_beside(const lrk_weights *w, size_t *n);
/* Rows of a head: head_dim, or hidden_size / num_attention_heads; 0 where neither is known. */
size_t lrk_weights_head_dim(const lrk_weights *w);

/* Names this base: SHA-256, in hexadecimal, over name, type, shape and up to 12 KiB of bytes
 * (first, middle, last 4 KiB) of every tensor in the order of names. Cheap: it touches three pages
 * of each tensor. Training changes all of a tensor, so two models that differ differ here; whoever
 * forges one on purpose is not stopped. Sharding and metadata do not matter. */
void lrk_weights_sha256(const lrk_weights *w, char hex[65]);
/* The same of tensors of any kind, in the order of names. */
void lrk_tensors_sha256(const lrk_tensor *tensor, size_t n, char hex[65]);

/* Embedding and head become this long, of a model whose vocabulary grew; nothing where they are that long already.
 * New rows, of a second time too, are the mean of those that are stored, summed in f64 and rounded to their type: what
 * resize_token_embeddings of transformers 4.46 and later draws its own from, with a variance of 1e-9 times theirs. Both
 * are copied for it. vocab_size of the configuration follows; the hash stays that of the model as it is stored.
 * LRK_ESUPPORT for blocks that nobody makes here. */
lrk_status lrk_weights_grow(lrk_weights *w, size_t rows, lrk_err *err);
bool lrk_weights_has_grown(const lrk_weights *w);

/* Every element is finite: LRK_EINPUT with name and position of the first that is not. Quantized
 * types are checked after dequantization. Uses all threads. */
lrk_status lrk_weights_check_finite(const lrk_tensor *t, lrk_err *err);

/* config.json from the metadata of a GGUF file; the caller frees it. Longrope factors, which are
 * tensors there, stand in it. */
lrk_status lrk_gguf_config(const lrk_gguf *g, lrk_json **config, lrk_err *err);

/* "Gemma3ForConditionalGeneration, ...": models of images and text whose language model is seen; for messages. */
void lrk_wrapper_list(char out[LRK_ARCH_LIST]);

/* The family that config.json names, or NULL. */
const lrk_arch *lrk_arch_of(const lrk_json *config);

/* The tensors of a GGUF file of this family under their Hugging Face names, in the order of the
 * file (weights_gguf.c); list and what is put together belong to a. */
lrk_status lrk_gguf_list(const lrk_gguf *g, const lrk_arch *arch, lrk_arena *a, lrk_tensor **list,
                         size_t *n, lrk_err *err);
/* Part e of a tensor (E, out, in) of experts. */
lrk_tensor lrk_expert_part(const lrk_tensor *t, size_t e);

#endif /* LRK_CHECKPOINT_WEIGHTS_H */
