/* kernels/dropout/dropout_cpu.c -- a task is a range of rows. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/dropout/dropout.h"
#include "kernels/real.h"

void LRK_KERNEL(dropout, fwd)(const lrk_call *c);
void LRK_KERNEL(dropout, bwd)(const lrk_call *c);

enum { ROWS = 32 };

typedef struct lrk_dropout_job {
    const lrk_tensor *from, *to;
    const lrk_dropout_attr *attr;
    bool add;
} lrk_dropout_job;

static void factor_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_dropout_job *job = ctx;
    const size_t width = lrk_cols(job->from), end = lrk_min(lrk_rows(job->from), (task + 1) * ROWS);
    const uint32_t limit = (uint32_t)(job->attr->p * 4294967296.0);
    const double keep = 1.0 / (1.0 - job->attr->p);
    const lrk_real passed = (lrk_real)(job->attr->rest ? 1.0 - keep : keep);
    const lrk_real held = job->attr->rest ? 1 : 0;
    for (size_t t = task * ROWS; t < end; t++) {
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
            const lrk_real v = (four[e % 4] < limit ? held : passed) * lrk_get(from, i);
            lrk_put(to, i, job->add ? lrk_get(to, i) + v : v);
        }
    }
}

void LRK_KERNEL(dropout, fwd)(const lrk_call *c)
{
    lrk_dropout_job job = {c->in[LRK_DROPOUT_X], c->out[LRK_DROPOUT_Y], c->attr, false};
    lrk_parallel(lrk_ceil_div(lrk_rows(job.from), ROWS), factor_rows, &job);
}

void LRK_KERNEL(dropout, bwd)(const lrk_call *c)
{
    if (!c->din[LRK_DROPOUT_X]) return;
    lrk_dropout_job job = {c->dout[LRK_DROPOUT_Y], c->din[LRK_DROPOUT_X], c->attr,
                           !(c->fresh >> LRK_DROPOUT_X & 1)};
    lrk_parallel(lrk_ceil_div(lrk_rows(job.from), ROWS), factor_rows, &job);
}
