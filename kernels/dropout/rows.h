/* kernels/dropout/rows.h -- a dropout mask over rows, for the CPU kernels of one type (kernels/real.h).
 *
 *   to[t,i] = f[t,i] * from[t,i], or is added to;   f = m, or 1 - m for the rest
 *
 * m is 0 with probability p, else 1 / (1 - p). Element numbers count over the whole matrix, so that a row's mask does
 * not depend on how rows are shared out. What is held back is 0, whatever it was.
 */
#ifndef LRK_KERNELS_DROPOUT_ROWS_H
#define LRK_KERNELS_DROPOUT_ROWS_H
#include "base/rng.h"
#include "base/size.h"
#include "base/threads.h"
#include "kernels/real.h"

#include <stdbool.h>

enum { LRK_DROPOUT_ROWS = 32 }; /* of a task */

typedef struct lrk_dropout_job {
    const lrk_tensor *from, *to;
    double p;
    const lrk_rng *rng;
    bool rest, add;
} lrk_dropout_job;

static inline void lrk_dropout_task(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_dropout_job *job = ctx;
    const size_t width = lrk_cols(job->from), rows = lrk_rows(job->from);
    const size_t end = lrk_min(rows, (task + 1) * LRK_DROPOUT_ROWS);
    const uint32_t limit = (uint32_t)(job->p * 4294967296.0);
    const double keep = 1.0 / (1.0 - job->p);
    const lrk_real passed = (lrk_real)(job->rest ? 1.0 - keep : keep);
    for (size_t t = task * LRK_DROPOUT_ROWS; t < end; t++) {
        const lrk_store *from = lrk_row(job->from, t);
        lrk_store *to = lrk_row(job->to, t);
        uint32_t four[4] = {0};
        uint64_t block = UINT64_MAX;
        for (size_t i = 0; i < width; i++) {
            const uint64_t e = (uint64_t)t * width + i;
            if (e / 4 != block) {
                block = e / 4;
                lrk_rng_block(*job->rng, block, four);
            }
            const lrk_real x = lrk_get(from, i), held = job->rest ? x : 0;
            const lrk_real v = four[e % 4] < limit ? held : passed * x;
            lrk_put(to, i, job->add ? lrk_get(to, i) + v : v);
        }
    }
}

static inline void lrk_dropout_rows(lrk_dropout_job job)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(job.from), LRK_DROPOUT_ROWS), lrk_dropout_task, &job);
}

#endif /* LRK_KERNELS_DROPOUT_ROWS_H */
