/* kernels/attention/backward.h -- lanes of the backward pass: who sums what, and how the sums become
 * dK and dV. One build for each type. */
#ifndef LRK_KERNELS_ATTENTION_BACKWARD_H
#define LRK_KERNELS_ATTENTION_BACKWARD_H
#include "base/threads.h"
#include "kernels/attention/strips.h"

typedef struct lanes_job {
    const lrk_call *call;
    const lrk_query_block *blocks;
    size_t n_blocks, lanes;
    size_t ranges[2 * LRK_ATTENTION_MAX_LANES];
    lrk_real *sums; /* [lane][dK, dV][N + LRK_ATTENTION_SPARE][Kh * width] */
} lanes_job;

static inline lanes_job lanes_of(const lrk_call *c)
{
    const lrk_attention_memory memory = lrk_attention_layout(c, true);
    lrk_query_block *blocks = lrk_attention_at(c, memory.blocks);
    lanes_job j = {.call = c, .blocks = blocks, .lanes = lrk_attention_lanes(c->attr),
                   .sums = lrk_attention_at(c, memory.sums)};
    j.n_blocks = lrk_attention_blocks(c, blocks);
    lrk_attention_deal(c, blocks, j.n_blocks, j.ranges);
    return j;
}

/* A task is one lane of one key head. */
static inline size_t lane_tasks(const lanes_job *j)
{
    const lrk_attention_attr *a = j->call->attr;
    return j->lanes * a->kv_heads;
}

static inline size_t lane_head(const lanes_job *j, size_t task)
{
    const lrk_attention_attr *a = j->call->attr;
    return task % a->kv_heads;
}

static inline size_t lane_of(const lanes_job *j, size_t task)
{
    const lrk_attention_attr *a = j->call->attr;
    return task / a->kv_heads;
}

/* Row of a lane's sum of dK (0) or dV (1). */
static inline lrk_real *lane_row(const lanes_job *j, size_t lane, size_t which, size_t row)
{
    const size_t width = lrk_attention_lane_width(j->call->attr);
    const size_t rows = lrk_rows(j->call->in[LRK_ATTENTION_K]) + LRK_ATTENTION_SPARE;
    return j->sums + ((lane * 2 + which) * rows + row) * width;
}

static inline void lane_clear(const lanes_job *j, size_t lane, size_t kv_head)
{
    const size_t width = lrk_attention_width(j->call->attr);
    for (size_t row = j->ranges[2 * lane]; row < j->ranges[2 * lane + 1]; row++) {
        for (size_t which = 0; which < 2; which++)
            memset(lane_row(j, lane, which, row) + kv_head * width, 0, width * sizeof(lrk_real));
    }
}

enum { FOLD_ROWS = 16 };

/* Rows of dK or dV: the lanes in order. */
static inline void fold_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lanes_job *j = ctx;
    const lrk_attention_attr *a = j->call->attr;
    const size_t rows = lrk_rows(j->call->in[LRK_ATTENTION_K]), width = lrk_attention_width(a);
    const size_t which = task % 2, first = task / 2 * FOLD_ROWS;
    const unsigned input = which ? LRK_ATTENTION_V : LRK_ATTENTION_K;
    const lrk_tensor *d = j->call->din[input];
    const bool fresh = j->call->fresh >> input & 1;
    for (size_t row = first; d && row < lrk_min(rows, first + FOLD_ROWS); row++) {
        for (size_t h = 0; h < a->kv_heads; h++) {
            lrk_store *to = (lrk_store *)lrk_row(d, row) + h * a->head;
            lrk_real sum[WIDTH] = {0};
            for (size_t lane = 0; lane < j->lanes; lane++) {
                if (row < j->ranges[2 * lane] || row >= j->ranges[2 * lane + 1]) continue;
                const lrk_real *from = lane_row(j, lane, which, row) + h * width;
#pragma omp simd
                for (size_t i = 0; i < a->head; i++) sum[i] += from[i];
            }
            for (size_t i = 0; i < a->head; i++)
                lrk_put(to, i, fresh ? sum[i] : lrk_get(to, i) + sum[i]);
        }
    }
}

static inline void lanes_fold(lanes_job *j)
{
    const size_t rows = lrk_rows(j->call->in[LRK_ATTENTION_K]);
    if (j->call->din[LRK_ATTENTION_K] || j->call->din[LRK_ATTENTION_V])
        lrk_parallel(2 * lrk_ceil_div(rows, FOLD_ROWS), fold_rows, j);
}

#endif /* LRK_KERNELS_ATTENTION_BACKWARD_H */
