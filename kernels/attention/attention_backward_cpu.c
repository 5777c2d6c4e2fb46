/* kernels/attention/attention_backward_cpu.c -- a task is one lane of one key head: it writes its
 * blocks' dQ and its own sums of dK and dV; a second pass adds the lanes up. */
#include "kernels/attention/backward.h"
#include "kernels/attention/tiles.h"

void LRK_KERNEL(attention, bwd)(const lrk_call *c);

/* A block's queries and their gradients, each in both orientations. */
typedef struct queries {
    row_tile q, q_transposed, dout, dout_transposed, dq;
    lrk_real lse[ROWS], delta[ROWS];
    sight sees;
} queries;

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

static void block_backward(const lanes_job *j, const lrk_query_block *b, size_t lane, size_t kv_head,
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
            add_product(dx, true, w->q, &p, &s, lane_row(j, lane, 0, p.row) + column, row);
        if (c->din[LRK_ATTENTION_V])
            add_product(x, true, w->dout, &p, &s, lane_row(j, lane, 1, p.row) + column, row);
    }
    write_dq(c, b, &s, w->dq);
}

static void lane_backward(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lanes_job *j = ctx;
    const size_t kv_head = lane_head(j, task), lane = lane_of(j, task);
    queries w;
    lane_clear(j, lane, kv_head);
    for (size_t b = 0; b < j->n_blocks; b++) {
        if ((size_t)j->blocks[b].lane == lane) block_backward(j, &j->blocks[b], lane, kv_head, &w);
    }
}

void LRK_KERNEL(attention, bwd)(const lrk_call *c)
{
    lanes_job j = lanes_of(c);
    lrk_parallel(lane_tasks(&j), lane_backward, &j);
    lanes_fold(&j);
}
