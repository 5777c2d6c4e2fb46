/* kernels/attention/attention_amx.c -- bf16 attention whose products run on x86 tile registers; all
 * else is as in the builds for other levels. P and dS are rounded to bf16 before they are multiplied,
 * sums stay f32. */
#define LRK_REAL LRK_BUILD_BF16
#define LRK_ISA amx
#include "kernels/attention/packs.h"

#include "base/threads.h"
#include "kernels/attention/backward.h"

void LRK_KERNEL(attention, fwd)(const lrk_call *c);
void LRK_KERNEL(attention, bwd)(const lrk_call *c);
void lrk_attention_fwd_bf16_avx512(const lrk_call *c);

typedef uint16_t row_operand[ROWS * WIDTH];
typedef uint16_t score_operand[KEYS * ROWS];

/* Packing all keys does not pay for a few queries. */
enum { FEW = 16, KEYS_PER_QUERY = 8 };

static shape shape_on_tiles(const lrk_call *c, const lrk_query_block *b, size_t kv_head)
{
    shape s = shape_of(c, b, kv_head);
    s.lanes = lrk_aligned(s.rows, 32);
    return s;
}

/* lanes x width, zeros behind rows and head */
static void copy_queries(const lrk_tensor *t, const lrk_query_block *b, const shape *s, uint16_t *tile)
{
    for (size_t r = 0; r < s->lanes; r++, tile += s->width) {
        const size_t n = r < s->rows ? s->head : 0;
        if (n) memcpy(tile, query_at(t, b, s, r), n * sizeof *tile);
        memset(tile + n, 0, (s->width - n) * sizeof *tile);
    }
}

/* rows of a tile from its columns */
static void turn(const float *columns, const shape *s, float *rows)
{
    lrk_gemm_avx512.transpose(columns, s->lanes, s->width, s->rows, rows, s->width);
}

/* ---- forward ----------------------------------------------------------------------------------- */

typedef struct forward_job {
    const lrk_call *call;
    const lrk_query_block *blocks;
    size_t n_blocks;
    const int32_t *bases;
    lrk_attention_pack keys, values;
} forward_job;

static void shrink_columns(float *o, const shape *s, const tally *t)
{
    for (size_t d = 0; d < s->width; d++) {
#pragma omp simd
        for (size_t r = 0; r < s->lanes; r++) o[d * s->lanes + r] *= t->shrink[r];
    }
}

static void forward_block(void *ctx, size_t task, int worker)
{
    (void)worker;
    const forward_job *j = ctx;
    const lrk_call *c = j->call;
    const lrk_attention_attr *a = c->attr;
    const lrk_query_block *b = &j->blocks[j->n_blocks - 1 - task / a->kv_heads];
    const shape s = shape_on_tiles(c, b, task % a->kv_heads);
    const float factor = factors_of(c).score;
    float o[WIDTH * ROWS], rows[ROWS * WIDTH], x[KEYS * ROWS];
    row_operand q, turned;
    score_operand p16, operand;
    sight sees;
    tally t;

    copy_queries(c->in[LRK_ATTENTION_Q], b, &s, q);
    lrk_attention_operand(q, s.lanes, s.width, true, turned);
    look(c, b, &s, &sees);
    tally_start(&t, s.lanes);
    memset(o, 0, s.width * s.lanes * sizeof *o);
    lrk_key_walk walk = lrk_key_walk_of(c, b);
    walk.bases = j->bases;
    lrk_amx_begin();
    for (lrk_key_panel p; lrk_key_walk_next(&walk, &p);) {
        const size_t whole = lrk_aligned(p.n, 32);
        lrk_attention_product(s.width / 32, lrk_attention_strip(c, &j->keys, p.index, s.kv_head), p.n,
                              turned, s.lanes, x, s.lanes, false);
        cap_scores(c, x, p.n * s.lanes);
        softmax_strips(x, &p, &s, &sees, factor, &t);
        lrk_attention_round(x, p.n, s.lanes, p16);
        lrk_attention_operand(p16, whole, s.lanes, false, operand);
        shrink_columns(o, &s, &t);
        lrk_attention_product(whole / 32, lrk_attention_strip(c, &j->values, p.index, s.kv_head),
                              s.width, operand, s.lanes, o, s.lanes, true);
    }
    lrk_amx_end();
    turn(o, &s, rows);
    write_rows(c, b, &s, rows, &t);
}

void LRK_KERNEL(attention, fwd)(const lrk_call *c)
{
    const lrk_attention_attr *a = c->attr;
    const size_t tokens = lrk_rows(c->in[LRK_ATTENTION_Q]), keys = lrk_rows(c->in[LRK_ATTENTION_K]);
    if (tokens < FEW || tokens * KEYS_PER_QUERY < keys) {
        lrk_attention_fwd_bf16_avx512(c);
        return;
    }
    const lrk_attention_memory m = lrk_attention_layout(c, false);
    lrk_query_block *blocks = lrk_attention_at(c, m.blocks);
    const lrk_attention_pack packs[] = {
        {c->in[LRK_ATTENTION_K], false, lrk_attention_at(c, m.packs[0])},
        {c->in[LRK_ATTENTION_V], true, lrk_attention_at(c, m.packs[1])}};
    forward_job j = {c, blocks, lrk_attention_blocks(c, blocks), lrk_attention_at(c, m.bases),
                     packs[0], packs[1]};
    lrk_attention_fill_packs(c, &m, packs, 2);
    lrk_parallel(j.n_blocks * a->kv_heads, forward_block, &j);
}

/* ---- backward ---------------------------------------------------------------------------------- */

typedef struct backward_job {
    lanes_job lanes; /* first: the task that folds sees only this */
    const int32_t *bases;
    lrk_attention_pack keys, values, keys_turned;
} backward_job;

/* A block's queries and output gradients: across as B of the scores, down as B of dK and dV. */
typedef struct queries {
    row_operand q_across, q_down, dout_across, dout_down;
    float dq[WIDTH * ROWS], lse[ROWS], delta[ROWS];
    sight sees;
} queries;

static void load_block(const lrk_call *c, const lrk_query_block *b, const shape *s, queries *w)
{
    row_operand tile;
    copy_queries(c->in[LRK_ATTENTION_Q], b, s, tile);
    lrk_attention_operand(tile, s->lanes, s->width, true, w->q_across);
    lrk_attention_operand(tile, s->lanes, s->width, false, w->q_down);
    copy_queries(c->dout[LRK_ATTENTION_O], b, s, tile);
    lrk_attention_operand(tile, s->lanes, s->width, true, w->dout_across);
    lrk_attention_operand(tile, s->lanes, s->width, false, w->dout_down);
    look(c, b, s, &w->sees);
    load_sums(c, b, s, w->lse, w->delta);
    memset(w->dq, 0, s->width * s->lanes * sizeof *w->dq);
}

/* The sums of a lane += a^T b: rows of the panel, whole tiles; those behind it add zeros. */
static void add_to_lane(const backward_job *j, size_t lane, size_t which, const lrk_key_panel *p,
                        const shape *s, const uint16_t *scores_down, const uint16_t *b)
{
    const size_t size = sizeof(uint16_t), row = s->lanes * size;
    const lrk_amx_strip a = {(const char *)scores_down, row, LRK_TILE_ROWS * row, LRK_TILE_K * size};
    lrk_attention_product(s->lanes / 32, a, p->n, b, s->width,
                          lane_row(&j->lanes, lane, which, p->row) + s->kv_head * s->width,
                          lrk_attention_lane_width(j->lanes.call->attr), true);
}

static void block_backward(const backward_job *j, const lrk_query_block *b, size_t lane,
                           size_t kv_head, queries *w)
{
    const lrk_call *c = j->lanes.call;
    const shape s = shape_on_tiles(c, b, kv_head);
    const size_t steps = s.width / 32;
    const factors f = factors_of(c);
    float x[KEYS * ROWS], dx[KEYS * ROWS], rows[ROWS * WIDTH];
    score_operand p16, ds16, operand;

    load_block(c, b, &s, w);
    lrk_key_walk walk = lrk_key_walk_of(c, b);
    walk.bases = j->bases;
    for (lrk_key_panel p; lrk_key_walk_next(&walk, &p);) {
        const size_t whole = lrk_aligned(p.n, 32);
        lrk_attention_product(steps, lrk_attention_strip(c, &j->keys, p.index, kv_head), p.n,
                              w->q_across, s.lanes, x, s.lanes, false);
        lrk_attention_product(steps, lrk_attention_strip(c, &j->values, p.index, kv_head), p.n,
                              w->dout_across, s.lanes, dx, s.lanes, false);
        cap_scores(c, x, p.n * s.lanes);
        gradient_strips(x, dx, &p, &s, &w->sees, &f, w->lse, w->delta);
        lrk_attention_round(x, p.n, s.lanes, p16);
        lrk_attention_round(dx, p.n, s.lanes, ds16);
        if (c->din[LRK_ATTENTION_V]) add_to_lane(j, lane, 1, &p, &s, p16, w->dout_down);
        if (c->din[LRK_ATTENTION_K]) add_to_lane(j, lane, 0, &p, &s, ds16, w->q_down);
        if (!c->din[LRK_ATTENTION_Q]) continue;
        lrk_attention_operand(ds16, whole, s.lanes, false, operand);
        lrk_attention_product(whole / 32, lrk_attention_strip(c, &j->keys_turned, p.index, kv_head),
                              s.width, operand, s.lanes, w->dq, s.lanes, true);
    }
    turn(w->dq, &s, rows);
    write_dq(c, b, &s, rows);
}

static void lane_backward(void *ctx, size_t task, int worker)
{
    (void)worker;
    const backward_job *j = ctx;
    const size_t kv_head = lane_head(&j->lanes, task), lane = lane_of(&j->lanes, task);
    queries w;
    lane_clear(&j->lanes, lane, kv_head);
    lrk_amx_begin();
    for (size_t b = 0; b < j->lanes.n_blocks; b++) {
        const lrk_query_block *block = &j->lanes.blocks[b];
        if ((size_t)block->lane == lane) block_backward(j, block, lane, kv_head, &w);
    }
    lrk_amx_end();
}

void LRK_KERNEL(attention, bwd)(const lrk_call *c)
{
    const lrk_attention_memory m = lrk_attention_layout(c, true);
    const lrk_attention_pack packs[] = {
        {c->in[LRK_ATTENTION_K], false, lrk_attention_at(c, m.packs[0])},
        {c->in[LRK_ATTENTION_V], false, lrk_attention_at(c, m.packs[1])},
        {c->in[LRK_ATTENTION_K], true, lrk_attention_at(c, m.packs[2])}};
    backward_job j = {lanes_of(c), lrk_attention_at(c, m.bases), packs[0], packs[1], packs[2]};
    lrk_attention_fill_packs(c, &m, packs, 3);
    lrk_parallel(lane_tasks(&j.lanes), lane_backward, &j);
    lanes_fold(&j.lanes);
}
