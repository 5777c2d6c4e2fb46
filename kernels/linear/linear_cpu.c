/* kernels/linear/linear_cpu.c -- bias and dropout around the products. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/linear/products.h"
#include "kernels/real.h"

void LRK_KERNEL(linear, fwd)(const lrk_call *c);
void LRK_KERNEL(linear, bwd)(const lrk_call *c);

enum { ROWS_PER_TASK = 32 };

typedef struct lrk_mask_job {
    const lrk_tensor *from, *to;
    const lrk_linear_attr *attr;
    bool add;
} lrk_mask_job;

/* Element e of the mask: 0 with probability p, else 1 / (1 - p). Element numbers count over the
 * whole matrix, so that a row's mask does not depend on how rows are shared out. */
static void mask_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_mask_job *job = ctx;
    const size_t width = lrk_cols(job->from), rows = lrk_rows(job->from);
    const size_t end = lrk_min(rows, (task + 1) * ROWS_PER_TASK);
    const uint32_t limit = (uint32_t)(job->attr->dropout * 4294967296.0);
    const lrk_real keep = (lrk_real)(1.0 / (1.0 - job->attr->dropout));
    for (size_t t = task * ROWS_PER_TASK; t < end; t++) {
        const lrk_store *from = lrk_row(job->from, t);
        lrk_store *to = lrk_row(job->to, t);
        uint32_t four[4] = {0};
        uint64_t block = UINT64_MAX;
        for (size_t i = 0; i < width; i++) {
            const uint64_t e = (uint64_t)t * width + i;
            if (e / 4 != block) {
                block = e / 4;
                lrk_rng_block(*job->attr->rng, block, four);
            }
            const lrk_real v = four[e % 4] < limit ? 0 : keep * lrk_get(from, i);
            lrk_put(to, i, job->add ? lrk_get(to, i) + v : v);
        }
    }
}

static void apply_mask(const lrk_call *c, const lrk_tensor *from, const lrk_tensor *to, bool add)
{
    lrk_mask_job job = {from, to, c->attr, add};
    lrk_parallel(lrk_ceil_div(lrk_rows(from), ROWS_PER_TASK), mask_rows, &job);
}

static lrk_real bias_at(const lrk_tensor *bias, size_t i)
{
    if (bias->dtype == LRK_REAL_DTYPE) return lrk_get(bias->data, i);
    return (lrk_real)((const float *)bias->data)[i];
}

static void add_bias(const lrk_tensor *bias, const lrk_tensor *y)
{
    for (size_t t = 0; t < lrk_rows(y); t++) {
        lrk_store *row = lrk_row(y, t);
        for (size_t o = 0; o < lrk_cols(y); o++)
            lrk_put(row, o, lrk_get(row, o) + bias_at(bias, o));
    }
}

static void add_bias_gradient(const lrk_tensor *dy, const lrk_tensor *dbias, bool fresh)
{
    for (size_t o = 0; o < lrk_cols(dy); o++) {
        double sum = fresh ? 0.0 : (double)lrk_get(dbias->data, o);
        for (size_t t = 0; t < lrk_rows(dy); t++) sum += (double)lrk_get(lrk_row(dy, t), o);
        lrk_put(dbias->data, o, (lrk_real)sum);
    }
}

static const lrk_linear_steps steps = {apply_mask, add_bias, add_bias_gradient};

void LRK_KERNEL(linear, fwd)(const lrk_call *c) { lrk_linear_forward(c, &steps); }

void LRK_KERNEL(linear, bwd)(const lrk_call *c) { lrk_linear_backward(c, &steps); }
