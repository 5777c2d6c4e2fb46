/* kernels/attention/attention_backward_cpu.c -- a task is one lane of one key head: it writes its
 * blocks' dQ and its own sums of dK and dV; a second pass adds the lanes up. */
#include "base/threads.h"
#include "kernels/attention/tiles.h"

void LRK_KERNEL(attention, bwd)(const lrk_call *c);

enum { FOLD_ROWS = 16 };

typedef struct job {
    const lrk_call *call;
    const lrk_query_block *blocks;
    size_t n_blocks, lanes;
    size_t ranges[2 * LRK_ATTENTION_MAX_LANES];
    lrk_real *sums; /* [lane][dK, dV][N][Kh * width] */
} job;

/* A block's queries and their gradients, each in both orientations. */
typedef struct queries {
    row_tile q, q_transposed, dout, dout_transposed, dq;
    lrk_real lse[ROWS], delta[ROWS];
    sight sees;
} queries;

static lrk_real *sum_row(const job *j, size_t lane, size_t which, size_t row)
{
    const size_t width = lrk_attention_lane_width(j->call->attr);
    const size_t rows = lrk_rows(j->call->in[LRK_ATTENTION_K]) + LRK_ATTENTION_SPARE;
    return j->sums + ((lane * 2 + which) * rows + row) * width;
}

static void load_block(const lrk_call *c, const lrk_query_block *b, const shape *s, queries *w)
{
    load_queries(c->in[LRK_ATTENTION_Q], b, s, w->q);
    load_queries(c->dout[LRK_ATTENTION_O], b, s, w->dout);
    transpose(w->q, s, w->q_transposed);
    transpose(w->dout, s, w->dout_transposed);
    look(c, b, s, &w->sees);
    load_sums(c, b, s, w->lse, w->delta);
    memset(w->dq, 0, s->rows * s->width * sizeof *w->dq);
}

/* c += a b, where a is a tile of scores as it lies (keys down) or the other way round */
static void add_product(const lrk_real *a, bool keys_down, const lrk_real *b, const lrk_key_panel *p,
                        const shape *s, lrk_real *c, size_t c_row)
{
    lrk_tile_multiply(&(lrk_tile_product){.m = keys_down ? p->n : s->rows, .n = s->width,
                                          .k = keys_down ? s->rows : p->n, .a = a,
                                          .a_row = keys_down ? s->lanes : 1,
                                          .a_col = keys_down ? 1 : s->lanes, .b = b,
                                          .b_row = s->width, .c = c, .c_row = c_row, .add = true});
}

static void block_backward(const job *j, const lrk_query_block *b, size_t lane, size_t kv_head,
                           queries *w)
{
    const lrk_call *c = j->call;
    const lrk_attention_attr *a = c->attr;
    const shape s = shape_of(c, b, kv_head);
    const size_t row = lrk_attention_lane_width(a), column = kv_head * s.width;
    const factors f = factors_of(c);
    key_tile keys;
    score_tile x, dx;

    load_block(c, b, &s, w);
    lrk_key_walk walk = lrk_key_walk_of(c, b);
    for (lrk_key_panel p; lrk_key_walk_next(&walk, &p);) {
        load_keys(c->in[LRK_ATTENTION_V], &p, &s, keys);
        scores(keys, w->dout_transposed, &p, &s, dx);
        load_keys(c->in[LRK_ATTENTION_K], &p, &s, keys);
        scores(keys, w->q_transposed, &p, &s, x);
        cap_scores(c, x, p.n * s.lanes);
        gradient_strips(x, dx, &p, &s, &w->sees, &f, w->lse, w->delta);
        if (c->din[LRK_ATTENTION_Q]) add_product(dx, false, keys, &p, &s, w->dq, s.width);
        if (c->din[LRK_ATTENTION_K])
            add_product(dx, true, w->q, &p, &s, sum_row(j, lane, 0, p.row) + column, row);
        if (c->din[LRK_ATTENTION_V])
            add_product(x, true, w->dout, &p, &s, sum_row(j, lane, 1, p.row) + column, row);
    }
    write_dq(c, b, &s, w->dq);
}

static void lane_backward(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_attention_attr *a = j->call->attr;
    const size_t kv_head = task % a->kv_heads, lane = task / a->kv_heads;
    const size_t width = lrk_attention_width(a);
    queries w;
    for (size_t row = j->ranges[2 * lane]; row < j->ranges[2 * lane + 1]; row++) {
        for (size_t which = 0; which < 2; which++)
            memset(sum_row(j, lane, which, row) + kv_head * width, 0, width * sizeof(lrk_real));
    }
    for (size_t b = 0; b < j->n_blocks; b++) {
        if ((size_t)j->blocks[b].lane == lane) block_backward(j, &j->blocks[b], lane, kv_head, &w);
    }
}

/* Rows of dK or dV: the lanes in order. */
static void fold_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
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
                const lrk_real *from = sum_row(j, lane, which, row) + h * width;
#pragma omp simd
                for (size_t i = 0; i < a->head; i++) sum[i] += from[i];
            }
            for (size_t i = 0; i < a->head; i++)
                lrk_put(to, i, fresh ? sum[i] : lrk_get(to, i) + sum[i]);
        }
    }
}

void LRK_KERNEL(attention, bwd)(const lrk_call *c)
{
    const lrk_attention_attr *a = c->attr;
    const lrk_attention_memory memory = lrk_attention_layout(c, true);
    lrk_query_block *blocks = lrk_attention_at(c, memory.blocks);
    job j = {.call = c, .blocks = blocks, .lanes = lrk_attention_lanes(a),
             .sums = lrk_attention_at(c, memory.sums)};
    j.n_blocks = lrk_attention_blocks(c, blocks);
    lrk_attention_deal(c, blocks, j.n_blocks, j.ranges);
    lrk_parallel(j.lanes * a->kv_heads, lane_backward, &j);
    const size_t rows = lrk_rows(c->in[LRK_ATTENTION_K]);
    if (c->din[LRK_ATTENTION_K] || c->din[LRK_ATTENTION_V])
        lrk_parallel(2 * lrk_ceil_div(rows, FOLD_ROWS), fold_rows, &j);
}
