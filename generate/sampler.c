/* generate/sampler.c -- greedy and random choice. */
#include "generate/sampler.h"

#include "base/rng.h"
#include "base/size.h"

#include <math.h>
#include <stdlib.h>

static float logit_at(lrk_dtype type, const void *logits, size_t i)
{
    return type == LRK_BF16 ? lrk_bf16_to_f32(((const uint16_t *)logits)[i])
                            : ((const float *)logits)[i];
}

/* The largest would be chosen, or divide by itself, whatever the others say. */
static lrk_status check(float z, size_t i, lrk_err *err)
{
    LRK_REQUIRE(err, z < INFINITY, LRK_ENUMERIC,
                "logit %zu is %s: the model or the adapter holds NaN or infinity", i,
                isnan(z) ? "not a number" : "infinite");
    return LRK_OK;
}

static lrk_status greedy(lrk_dtype type, const void *logits, size_t n, uint32_t *id, lrk_err *err)
{
    size_t best = 0;
    float largest = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        const float z = logit_at(type, logits, i);
        LRK_TRY(check(z, i, err));
        if (z > largest) {
            largest = z;
            best = i;
        }
    }
    *id = (uint32_t)best;
    return LRK_OK;
}

static int by_logit(const void *a, const void *b)
{
    const lrk_candidate *x = a, *y = b;
    if (x->logit > y->logit) return -1;
    if (x->logit < y->logit) return 1;
    return x->id < y->id ? -1 : 1;
}

lrk_status lrk_sample_token(const lrk_sampler *s, lrk_dtype type, const void *logits, size_t n,
                            uint32_t sequence, uint64_t position, lrk_candidate *work, uint32_t *id,
                            lrk_err *err)
{
    if (s->temperature <= 0.0) return greedy(type, logits, n, id, err);
    for (size_t i = 0; i < n; i++) {
        work[i] = (lrk_candidate){logit_at(type, logits, i), (uint32_t)i};
        LRK_TRY(check(work[i].logit, i, err));
    }
    qsort(work, n, sizeof *work, by_logit);
    const size_t kept = s->top_k ? lrk_min(s->top_k, n) : n;
    double total = 0.0, sum = 0.0;
    for (size_t i = 0; i < kept; i++)
        total += exp(((double)work[i].logit - (double)work[0].logit) / s->temperature);
    /* the share that top_p keeps is cut off where the running sum first reaches it */
    size_t last = 0;
    for (size_t i = 0; i < kept; i++) {
        sum += exp(((double)work[i].logit - (double)work[0].logit) / s->temperature);
        last = i;
        if (sum >= s->top_p * total) break;
    }
    const lrk_rng rng = {.seed = s->seed, .site = LRK_SITE_SAMPLE | (sequence & 0xffffffu)};
    double left = lrk_rng_uniform(rng, position) * sum;
    *id = work[last].id;
    for (size_t i = 0; i <= last; i++) {
        left -= exp(((double)work[i].logit - (double)work[0].logit) / s->temperature);
        if (left < 0.0) {
            *id = work[i].id;
            break;
        }
    }
    return LRK_OK;
}
