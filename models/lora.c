/* models/lora.c -- scale and start values of adapters. */
#include "models/lora.h"

#include <math.h>

double lrk_lora_scale(size_t rank, double alpha, bool rslora)
{
    return alpha / (rslora ? sqrt((double)rank) : (double)rank);
}

lrk_status lrk_lora_start(lrk_projection *p, lrk_device device, uint64_t seed, lrk_err *err)
{
    const lrk_rng rng = {.seed = seed, .site = LRK_SITE_INIT | (p->dropout.site & 0xffffffu)};
    const double bound = 1.0 / sqrt((double)lrk_cols(&p->a));
    float *a = lrk_heap_alloc(lrk_count(&p->a), sizeof *a);
    LRK_REQUIRE(err, a, LRK_ENOMEM, "memory: no room for the start values of %s", p->path);
    for (size_t i = 0; i < lrk_count(&p->a); i++)
        a[i] = (float)((2.0 * lrk_rng_uniform(rng, i) - 1.0) * bound);
    lrk_device_upload(device, p->a.data, a, lrk_bytes(&p->a));
    lrk_device_zero(device, p->b.data, lrk_bytes(&p->b));
    lrk_heap_free(a);
    return LRK_OK;
}
