/* kernels/adamw/adamw.c -- AdamW on the CPU: memory bound, so plain loops do. And what a step on the
 * GPU is told. */
#include "kernels/adamw/adamw.h"

#include "base/size.h"
#include "base/threads.h"

#include <math.h>

enum { CHUNK = 1 << 16, LANES = 16, MAX_PARTS = 4096 };

lrk_adamw_values lrk_adamw_values_of(const lrk_adamw *o, double ratio, double max_norm)
{
    lrk_adamw_values v = {
        .root = (float)(1.0 / sqrt(1.0 - pow(o->beta2, (double)o->step))),
        .beta1 = (float)o->beta1,
        .beta2 = (float)o->beta2,
        .rest1 = (float)(1.0 - o->beta1),
        .rest2 = (float)(1.0 - o->beta2),
        .eps = (float)o->eps,
        .max_norm = max_norm,
    };
    for (int i = 0; i < 2; i++) {
        const double rate = i ? o->learning_rate * ratio : o->learning_rate;
        v.keep[i] = (float)(1.0 - rate * o->decay);
        v.rate[i] = (float)(rate / (1.0 - pow(o->beta1, (double)o->step)));
    }
    return v;
}

size_t lrk_norm_chunk(size_t n)
{
    enum { LEAST = 1 << 14, MOST_PARTS = 1024, WIDE = 4 };
    return lrk_max(LEAST, lrk_aligned(lrk_ceil_div(n, MOST_PARTS), WIDE));
}

size_t lrk_norm_scratch(size_t n)
{
    return lrk_ceil_div(n, lrk_norm_chunk(n)) * sizeof(double);
}

typedef struct lrk_norm_job {
    const float *g;
    size_t n, chunk;
    double part[MAX_PARTS];
} lrk_norm_job;

static void sum_squares(void *ctx, size_t task, int worker)
{
    (void)worker;
    lrk_norm_job *job = ctx;
    const float *g = job->g + task * job->chunk;
    const size_t n = lrk_min(job->chunk, job->n - task * job->chunk);
    double lane[LANES] = {0}, sum = 0.0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++) lane[k] += (double)g[i + k] * (double)g[i + k];
    for (; i < n; i++) sum += (double)g[i] * (double)g[i];
    for (size_t k = 0; k < LANES; k++) sum += lane[k];
    job->part[task] = sum;
}

double lrk_norm(const float *g, size_t n)
{
    lrk_norm_job job = {.g = g, .n = n, .chunk = lrk_max(CHUNK, lrk_ceil_div(n, MAX_PARTS))};
    const size_t parts = lrk_ceil_div(n, job.chunk);
    double sum = 0.0;
    lrk_parallel(parts, sum_squares, &job);
    for (size_t i = 0; i < parts; i++) sum += job.part[i];
    return sqrt(sum);
}

typedef struct lrk_adamw_job {
    lrk_adamw_values values;
    float clip;
    float *p, *m, *v;
    const float *g;
    size_t n;
} lrk_adamw_job;

static void update(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_adamw_job *job = ctx;
    const lrk_adamw_values now = job->values;
    const float keep = now.keep[0], rate = now.rate[0], root = now.root, eps = now.eps;
    const float b1 = now.beta1, b2 = now.beta2, r1 = now.rest1, r2 = now.rest2, clip = job->clip;
    const size_t end = lrk_min(job->n, (task + 1) * CHUNK);
    float *restrict p = job->p, *restrict m = job->m, *restrict v = job->v;
    const float *restrict g = job->g;
    for (size_t i = task * CHUNK; i < end; i++) {
        const float c = clip * g[i];
        m[i] = b1 * m[i] + r1 * c;
        v[i] = b2 * v[i] + r2 * c * c;
        p[i] = p[i] * keep - rate * m[i] / (sqrtf(v[i]) * root + eps);
    }
}

void lrk_adamw_step(const lrk_adamw *o, float *p, const float *g, float *m, float *v, size_t n)
{
    lrk_adamw_job job = {lrk_adamw_values_of(o, 1.0, 0.0), (float)o->clip, p, m, v, g, n};
    lrk_parallel(lrk_ceil_div(n, CHUNK), update, &job);
}
