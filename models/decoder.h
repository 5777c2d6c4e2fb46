/* models/decoder.h -- what a decoder-only transformer looks like, read from config.json.
 *
 * A family is a row of facts in families.def. Everything that the program does not know is refused
 * by name: an architecture, an activation, a kind of rope scaling, a key that changes the arithmetic.
 */
#ifndef LRK_MODELS_DECODER_H
#define LRK_MODELS_DECODER_H
#include "base/json.h"
#include "base/tensor.h"

typedef enum lrk_rope_kind { LRK_ROPE_DEFAULT, LRK_ROPE_LINEAR, LRK_ROPE_LLAMA3 } lrk_rope_kind;

/* Inverse frequencies f_i = theta^(-2i/D), i < D/2, then
 *   linear   f / factor
 *   llama3   with wavelength l = 2 pi / f: f where l < original / high; f / factor where
 *            l > original / low; between them (1-s) f / factor + s f, s = (original/l - low)/(high - low)
 * Source: transformers, modeling_rope_utils.py. GGUF files hold the quotients f_i / f'_i as a tensor
 * instead: `divisors`. */
typedef struct lrk_rope {
    lrk_rope_kind kind;
    double theta, factor, low, high, original;
    const float *divisors; /* D / 2 of them, or NULL; not owned */
} lrk_rope;

enum { LRK_MAX_EOS = 8 };

typedef struct lrk_decoder {
    const char *family; /* "LlamaForCausalLM"; static */
    const char *where;  /* names the model in messages; not owned; NULL where nobody knows */
    size_t layers;
    size_t width;        /* C */
    size_t heads;        /* H, query heads */
    size_t key_heads;    /* K, divides H */
    size_t head_size;    /* D; heads * head_size need not be width */
    size_t feed_forward; /* F */
    size_t vocabulary;   /* V, rows of the embedding */
    size_t max_positions;
    size_t window;       /* keys a token sees, itself included; 0: all */
    double norm_eps;
    lrk_rope rope;
    bool tied;           /* the head is the embedding */
    bool attention_bias, output_bias, mlp_bias; /* q, k, v; o; gate, up, down */
    bool interleaved;    /* rope pairs are neighbours: q and k rows permuted, as llama GGUF files are */
} lrk_decoder;

/* config: in the form of Hugging Face's config.json; `where` names it in messages. */
lrk_status lrk_decoder_read(lrk_decoder *d, const lrk_json *config, const char *where, lrk_err *err);

/* head_size / 2 inverse frequencies after scaling. */
void lrk_rope_frequencies(const lrk_rope *rope, size_t head_size, float *out);

/* Parameters of the base model, and of the matrices that every token multiplies with. */
size_t lrk_decoder_parameters(const lrk_decoder *d);
size_t lrk_decoder_matrix_parameters(const lrk_decoder *d);

#endif /* LRK_MODELS_DECODER_H */
