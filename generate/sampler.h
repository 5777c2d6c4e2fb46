/* generate/sampler.h -- from logits to the next token.
 *
 *   temperature 0   the largest logit; the lower id where two are equal
 *   else            softmax(z / temperature) over the top_k largest, of these the fewest that hold
 *                   top_p of the probability (Holtzman et al., 2020), then by chance
 * Chance comes from a counter: (seed, sequence, position) decide, nothing that happened before.
 */
#ifndef LRK_GENERATE_SAMPLER_H
#define LRK_GENERATE_SAMPLER_H
#include "base/arena.h"
#include "base/tensor.h"

typedef struct lrk_sampler {
    double temperature; /* >= 0 */
    size_t top_k;       /* 0: all */
    double top_p;       /* 0 < p <= 1 */
    uint64_t seed;
} lrk_sampler;

/* One row of logits, f32 or bf16, n of them. work: n pairs of memory for sorting, unused (may be
 * NULL) at temperature 0. LRK_ENUMERIC when a logit is NaN or infinite; minus
 * infinity is never chosen. */
typedef struct lrk_candidate {
    float logit;
    uint32_t id;
} lrk_candidate;

lrk_status lrk_sample_token(const lrk_sampler *s, lrk_dtype type, const void *logits, size_t n,
                            uint32_t sequence, uint64_t position, lrk_candidate *work, uint32_t *id,
                            lrk_err *err);

#endif /* LRK_GENERATE_SAMPLER_H */
