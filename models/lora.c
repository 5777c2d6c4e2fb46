/* models/lora.c -- scale and start values of adapters. */
#include "models/lora.h"

#include "kernels/weight_norm/weight_norm.h"

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
    if (!p->m.rank) return LRK_OK;
    lrk_lora_norm(p, device);
    lrk_device_copy(device, p->m.data, p->norm.data, lrk_bytes(&p->m));
    return LRK_OK;
}

/* The call that computes norm of p; *kernel: its function. */
static lrk_status norm_call(const lrk_projection *p, lrk_device device, const lrk_weight_norm_attr *attr,
                            lrk_tensor *norm, lrk_call *c, lrk_kernel *kernel, lrk_err *err)
{
    lrk_infer shapes = {0};
    *norm = p->norm;
    *c = (lrk_call){.in = {&p->weight, &p->a, &p->b}, .out = {norm}, .attr = attr, .device = device};
    LRK_TRY(lrk_op_infer(&lrk_op_weight_norm, c, &shapes, err));
    *kernel = lrk_op_forward(&lrk_op_weight_norm, device, shapes.compute);
    return LRK_OK;
}

void lrk_lora_norm(const lrk_projection *p, lrk_device device)
{
    const lrk_weight_norm_attr attr = {.scale = p->attr.scale};
    lrk_tensor norm;
    lrk_call c;
    lrk_kernel kernel = NULL;
    const lrk_status status = norm_call(p, device, &attr, &norm, &c, &kernel, NULL);
    LRK_ASSERT(status == LRK_OK);
    kernel(&c);
}

lrk_status lrk_lora_norm_check(const lrk_projection *p, lrk_device device, lrk_err *err)
{
    const lrk_weight_norm_attr attr = {.scale = p->attr.scale};
    lrk_tensor norm;
    lrk_call c;
    lrk_kernel kernel;
    return norm_call(p, device, &attr, &norm, &c, &kernel, err);
}
