/* models/lora.c -- scale and start values of adapters. */
#include "models/lora.h"

#include <math.h>
#include <string.h>

double lrk_lora_scale(size_t rank, double alpha, bool rslora)
{
    return alpha / (rslora ? sqrt((double)rank) : (double)rank);
}

void lrk_lora_start(lrk_projection *p, uint64_t seed)
{
    const lrk_rng rng = {.seed = seed, .site = LRK_SITE_INIT | (p->dropout.site & 0xffffffu)};
    const double bound = 1.0 / sqrt((double)lrk_cols(&p->a));
    float *a = p->a.data;
    for (size_t i = 0; i < lrk_count(&p->a); i++)
        a[i] = (float)((2.0 * lrk_rng_uniform(rng, i) - 1.0) * bound);
    memset(p->b.data, 0, lrk_bytes(&p->b));
}
