/* models/rope.h -- the frequencies of rotary embedding and their scaling rules.
 *
 * Inverse frequencies f_i = theta^(-2i/R), i < R/2, then
 *   linear    f / factor
 *   llama3    with wavelength l = 2 pi / f: f where l < original / high; f / factor where
 *             l > original / low; between them (1-s) f / factor + s f, s = (original/l - low)/(high - low)
 *   yarn      f / factor * r + f * (1 - r), r = clamp((i - a) / (b - a), 0, 1), where a and b are the pairs
 *             that turn beta_fast and beta_slow times within `original`: a = dim(beta_fast), b = dim(beta_slow),
 *             dim(n) = R ln(original / (2 pi n)) / (2 ln theta), rounded down and up where `truncate`
 *   longrope  f / short_factor_i in documents of at most `original` tokens, else f / long_factor_i
 * Cosines and sines are multiplied by attention_factor: of yarn m(factor, mscale) / m(factor,
 * mscale_all_dim) where both are there, else m(factor, 1), m(s, k) = 0.1 k ln s + 1; of longrope
 * sqrt(1 + ln(factor) / ln(original)). Queries at position p are multiplied by
 * 1 + temperature ln(1 + floor(p / original)), llama_4_scaling_beta of Ministral 3.
 * All in f32, rounded where transformers rounds: what a model was trained with.
 * Source: transformers, modeling_rope_utils.py. GGUF files of llama3 models hold the quotients f_i / f'_i as
 * a tensor instead, those of longrope models their factors: `divisor`.
 */
#ifndef LRK_MODELS_ROPE_H
#define LRK_MODELS_ROPE_H
#include "base/json.h"

typedef enum lrk_rope_kind {
    LRK_ROPE_DEFAULT,
    LRK_ROPE_LINEAR,
    LRK_ROPE_LLAMA3,
    LRK_ROPE_YARN,
    LRK_ROPE_LONGROPE
} lrk_rope_kind;

enum { LRK_MAX_PAIRS = 128 };

typedef struct lrk_rope {
    lrk_rope_kind kind;
    double theta, factor;
    double original;         /* tokens that the model was first trained on */
    double low, high;        /* llama3 */
    double beta_fast, beta_slow, mscale, mscale_all_dim; /* yarn */
    bool truncate;
    double attention_factor; /* 0 counts as 1 */
    double temperature;      /* 0: none */
    size_t divisors;         /* numbers in each divisor[]; 0: none */
    float divisor[2][LRK_MAX_PAIRS]; /* [1]: of long documents */
} lrk_rope;

/* What a rule may fall back on, from elsewhere in the configuration. */
typedef struct lrk_rope_context {
    const char *where;
    size_t pairs;         /* R / 2 */
    size_t max_positions;
    double original;      /* original_max_position_embeddings beside the object; 0: not there */
    bool su_is_longrope;  /* phi3: "su" and "yarn" are older names of longrope */
} lrk_rope_context;

/* Reads one object of parameters into r, whose theta and factor are set. */
lrk_status lrk_rope_read(lrk_rope *r, const lrk_json *parameters, const lrk_rope_context *c,
                         lrk_err *err);

/* R / 2 inverse frequencies after scaling; long_documents: of longrope. */
void lrk_rope_frequencies(const lrk_rope *r, size_t rotary, bool long_documents, float *out);

/* 0.1 k ln(s) + 1, or 1 where s <= 1. */
double lrk_yarn_mscale(double s, double k);

#endif /* LRK_MODELS_ROPE_H */
