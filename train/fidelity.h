/* train/fidelity.h -- how far a written model's answers are from those of base + adapter.
 *
 * At each trained position of the rows, P the reference's distribution over the next token, Q the
 * other's, both from logits computed in f32:
 *
 *   KL     sum_v P[v] ln(P[v] / Q[v]), nats a token; 0 where both are equal
 *   top-1  the largest logit of both belongs to the same token (the first of equals)
 *   loss   -ln of the probability of the token that the row has there
 *
 * SmolLM2-135M tuned on Plume, mean KL: f16 2.5e-7, q8_0 2e-4, q4_k_m 1e-2. Source: Dutta et al. 2024,
 * "Accuracy is not all you need".
 */
#ifndef LRK_TRAIN_FIDELITY_H
#define LRK_TRAIN_FIDELITY_H
#include "base/device.h"
#include "models/model.h"
#include "train/exam.h"
#include "train/interval.h"

/* A model that stays open while others are held against it: engines are not moved. */
typedef struct lrk_fidelity_model lrk_fidelity_model;

/* A base (Hugging Face directory or GGUF file), held as `bits` says, with a PEFT adapter or NULL; room for the
 * rows of x. */
lrk_status lrk_fidelity_open(lrk_fidelity_model **out, const char *model, const char *adapter,
                             lrk_weight_bits bits, lrk_device device, const lrk_exam *x, lrk_err *err);
void lrk_fidelity_close(lrk_fidelity_model *m); /* NULL is fine */

typedef struct lrk_fidelity {
    size_t rows, tokens, same_top;
    double kl_mean, kl_high, kl_max; /* high: 99 of 100 positions lie at it or below */
    lrk_interval top1;
    double reference_loss, loss; /* nats a token */
} lrk_fidelity;

/* Of a row the first LRK_FIDELITY_POSITIONS trained tokens are looked at: memory is two times so many
 * rows of logits. LRK_ESHAPE where the vocabularies differ, LRK_ENUMERIC where a logit is not finite;
 * stop() true: LRK_STOPPED. */
enum { LRK_FIDELITY_POSITIONS = 128 };
lrk_status lrk_fidelity_measure(lrk_fidelity *f, lrk_fidelity_model *reference,
                                lrk_fidelity_model *model, const lrk_exam *x, bool (*stop)(void),
                                lrk_err *err);

#endif /* LRK_TRAIN_FIDELITY_H */
