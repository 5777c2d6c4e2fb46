/* checkpoint/combine_elements.c -- adding adapters element by element, with what is left of each. */
#include "checkpoint/combine.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_magnitude(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y); /* largest first */
}

/* Keeps the largest of p; of equals at the border the first ones. */
static lrk_status prune(float *p, size_t n, double density, lrk_err *err)
{
    const size_t keep = (size_t)(density * (double)n);
    float *size = lrk_heap_alloc(n, sizeof *size);
    LRK_REQUIRE(err, size, LRK_ENOMEM, "memory: no room to sort an adapter's numbers");
    for (size_t i = 0; i < n; i++) size[i] = fabsf(p[i]);
    qsort(size, n, sizeof *size, by_magnitude);
    const float border = keep ? size[keep - 1] : INFINITY;
    size_t at_border = 0;
    for (size_t i = keep; i-- > 0 && !(size[i] > border);) at_border++;
    for (size_t i = 0; i < n; i++) {
        const float x = fabsf(p[i]);
        if (x > border || (!(x < border) && at_border && at_border--)) continue;
        p[i] = 0.0f;
    }
    lrk_heap_free(size);
    return LRK_OK;
}

static void drop(float *p, size_t n, double density, lrk_rng rng)
{
    for (size_t i = 0; i < n; i++)
        p[i] = lrk_rng_uniform(rng, i) < density ? (float)((double)p[i] / density) : 0.0f;
}

static int sign_of(double x) { return (x > 0.0) - (x < 0.0); }

static void add(float *const *p, const lrk_combine_side *s, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0.0;
        for (size_t k = 0; k < s->n; k++) sum += s->factor[k] * (double)p[k][i];
        out[i] = (float)sum;
    }
}

/* The sign is elected before the adapters are weighed; zeros agree with nobody. */
static void add_agreeing(float *const *p, const lrk_combine_side *s, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        double total = 0.0, sum = 0.0;
        size_t agree = 0;
        for (size_t k = 0; k < s->n; k++) total += (double)p[k][i];
        const int elected = total >= 0.0 ? 1 : -1;
        for (size_t k = 0; k < s->n; k++) {
            if (sign_of((double)p[k][i]) != elected) continue;
            sum += s->factor[k] * (double)p[k][i];
            agree++;
        }
        out[i] = (float)(agree ? sum / (double)agree : 0.0);
    }
}

static lrk_status thin(float *p, size_t n, size_t k, const lrk_combine_side *s, const lrk_combine_options *o,
                       lrk_err *err)
{
    const bool random = o->method == LRK_COMBINE_DARE_LINEAR || o->method == LRK_COMBINE_DARE_TIES;
    if (o->method == LRK_COMBINE_LINEAR || o->density >= 1.0) return LRK_OK;
    if (!random) return prune(p, n, o->density, err);
    drop(p, n, o->density, (lrk_rng){.seed = o->seed, .site = s->site, .step = (uint32_t)k});
    return LRK_OK;
}

lrk_status lrk_combine_elements(const lrk_combine_side *s, const lrk_combine_options *o, lrk_tensor *out, lrk_err *err)
{
    const size_t n = lrk_count(out);
    const bool elect = o->method == LRK_COMBINE_TIES || o->method == LRK_COMBINE_DARE_TIES;
    lrk_arena a = lrk_arena_growing("combine");
    float **p;
    lrk_status status = lrk_alloc(&a, s->n, sizeof *p, "adapters", &p, err);
    for (size_t k = 0; status == LRK_OK && k < s->n; k++) {
        status = lrk_alloc(&a, n, sizeof **p, "adapter", &p[k], err);
        if (status != LRK_OK) break;
        memcpy(p[k], s->tensor[k]->data, n * sizeof **p);
        status = thin(p[k], n, k, s, o, err);
    }
    if (status == LRK_OK) (elect ? add_agreeing : add)(p, s, n, out->data);
    lrk_arena_free(&a);
    return status;
}
