/* models/lora.h -- low-rank adapters on the projections of a model.
 *
 *   W' = W + scale * B A,   A (r, in), B (out, r),   scale = alpha / r, or alpha / sqrt(r) (rsLoRA)
 *
 * DoRA gives the rows of W' lengths of their own, M (out), which start at those of W:
 *
 *   W'[o] = M[o] / norm[o] * (W + scale * B A)[o],   norm[o] = |(W + scale * B A)[o]|
 *
 * norm is a constant of a step: kernels/weight_norm/ computes it after each change of A and B.
 *
 * Start: B = 0, A uniform in +-1/sqrt(in), which is PEFT's kaiming_uniform with a = sqrt(5); or a part of W, which is
 * then taken out of it (models/principal.h). The scale is computed here and nowhere else. Experts' adapters
 * have neither dropout nor DoRA, as PEFT's (ParamWrapper): a model with both is refused. Source: Hu et al.
 * 2021; Kalajdzievski 2023 (rsLoRA); Liu et al. 2024 (DoRA).
 */
#ifndef LRK_MODELS_LORA_H
#define LRK_MODELS_LORA_H
#include "base/rng.h"
#include "kernels/dropout/dropout.h"
#include "kernels/linear/linear.h"
#include "kernels/scale/scale.h"
#include "models/whole.h"

#include <stdbool.h>

/* Says whether the module of this Hugging Face path ("model.layers.3.self_attn.q_proj") gets an
 * adapter, and with which rank and alpha: *rank and *alpha hold the defaults. */
typedef bool (*lrk_lora_select)(void *ctx, const char *path, size_t *rank, double *alpha);

typedef enum lrk_begin_kind { LRK_BEGIN_PLAIN, LRK_BEGIN_PISSA, LRK_BEGIN_OLORA } lrk_begin_kind;
typedef struct lrk_beginning {
    lrk_begin_kind kind;
    int rounds; /* of PiSSA's search; below 0: as many as it takes */
} lrk_beginning;

typedef struct lrk_lora_options {
    size_t rank;
    double alpha;
    double dropout;
    bool rslora, dora;
    lrk_beginning begin;
    unsigned whole; /* embedding and head to be trained beside them: bits of models/whole.h */
    lrk_row_list rows[2]; /* of the embedding, and of the head: these rows alone; n 0: all */
    uint64_t seed;
    lrk_lora_select select; /* NULL: every linear layer but the head and routers */
    void *ctx;
} lrk_lora_options;

double lrk_lora_scale(size_t rank, double alpha, bool rslora);

/* A linear layer of the model, with or without an adapter. */
typedef struct lrk_projection {
    const char *path;     /* Hugging Face module path, owned by the model */
    lrk_tensor weight;    /* (out, in), stored type */
    lrk_tensor bias;      /* (out); rank 0: none */
    bool adapted;
    bool follows;         /* its A lies right behind that of the adapter before it, which reads the same input */
    size_t rank;
    double alpha;
    lrk_tensor a, b;      /* f32, in the run arena */
    lrk_tensor shadow_a, shadow_b; /* the same in bf16, for passes; rank 0: they read a and b */
    size_t border;        /* columns behind the rows of weight, or of a matrix beside it (models/borders.h); 0: none */
    size_t border_at;     /* of those the first that are this adapter's */
    bool below;           /* its border goes on below that of the projection before it */
    lrk_tensor border_a, border_b; /* the same in there; rank 0: they are not */
    lrk_tensor m, norm;   /* f32 (out), there too; rank 0: no DoRA */
    lrk_tensor a0, b0;    /* like a and b, in the frozen arena: A0 and -B0 of models/principal.h; rank 0: none */
    lrk_scale_attr fixed; /* of them */
    lrk_tensor stored;    /* beside them: weight as it is stored, in this process's memory */
    lrk_tensor da, db, dm; /* gradients of a, b, m; rank 0 in inference */
    lrk_linear_attr attr;
    lrk_linear_attr whole;    /* DoRA: the same without dropout, which is a matter of `mask` there: what */
    lrk_dropout_attr mask[2]; /* passes, and what is held back */
    lrk_rng dropout;      /* site: this projection; seed and step: set for each micro-batch */
    size_t heads;         /* > 0: output rows are in GGUF's order in memory: of q or k pairs adjacent, of qkv by kind */
    size_t layer;
    int which;            /* models/modules.h */
    size_t stack;         /* > 0: of so many experts, one below the other: weight (stack * out, in) has no data,
                             a is (stack * R, in), b (stack * out, R) */
    bool parameter;       /* of a stack: files hold it whole, beside the parameter `path`; else one by one */
} lrk_projection;

/* Fills A and B, which lie on that device, with the start values. Element numbers run over A alone, the
 * site tells projections apart: the start does not depend on which other modules are adapted. */
lrk_status lrk_lora_start(lrk_projection *p, lrk_device device, uint64_t seed, lrk_err *err);

/* Computes norm of p, which has m, from its weight, a and b. */
void lrk_lora_norm(const lrk_projection *p, lrk_device device);

/* Whether that device can; called before lrk_lora_norm, without data. */
lrk_status lrk_lora_norm_check(const lrk_projection *p, lrk_device device, lrk_err *err);

#endif /* LRK_MODELS_LORA_H */
