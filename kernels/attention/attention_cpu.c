/* kernels/attention/attention_cpu.c -- forward: a task is a block of queries of one key head. */
#include "base/threads.h"
#include "kernels/attention/tiles.h"

void LRK_KERNEL(attention, fwd)(const lrk_call *c);

typedef struct job {
    const lrk_call *call;
    const lrk_query_block *blocks;
    size_t n_blocks;
} job;

/* What the rows of a block have gathered so far: their largest score, the sum of exp(score - max),
 * and by how much older numbers shrink after the last panel. */
typedef struct tally {
    lrk_real max[ROWS + LRK_TILE_PAD], sum[ROWS + LRK_TILE_PAD], shrink[ROWS + LRK_TILE_PAD];
} tally;

/* Columns r .. r + LRK_LANES - 1 of the scores become exp(score - max). Hidden ones become 0. */
static void softmax_strip(lrk_real *scores_at, size_t r, const lrk_key_panel *p, const shape *s,
                          const sight *sees, tally *t)
{
    lrk_real max[LRK_LANES], sum[LRK_LANES];
    for (size_t l = 0; l < LRK_LANES; l++) max[l] = t->max[r + l];
    for (size_t j = 0; j < p->n; j++) {
        lrk_real *x = scores_at + j * s->lanes + r;
        if (p->masked) {
            const int32_t at = p->position + (int32_t)j;
#pragma omp simd
            for (size_t l = 0; l < LRK_LANES; l++)
                x[l] = at <= sees->high[r + l] && at >= sees->low[r + l] ? x[l] : -(lrk_real)INFINITY;
        }
#pragma omp simd
        for (size_t l = 0; l < LRK_LANES; l++) max[l] = x[l] > max[l] ? x[l] : max[l];
    }
#pragma omp simd
    for (size_t l = 0; l < LRK_LANES; l++) {
        t->shrink[r + l] = lrk_exp(t->max[r + l] - max[l]);
        sum[l] = t->sum[r + l] * t->shrink[r + l];
        t->max[r + l] = max[l];
    }
    for (size_t j = 0; j < p->n; j++) {
        lrk_real *x = scores_at + j * s->lanes + r;
#pragma omp simd
        for (size_t l = 0; l < LRK_LANES; l++) {
            const lrk_real e = lrk_exp(x[l] - max[l]);
            x[l] = x[l] == -(lrk_real)INFINITY ? 0 : e;
            sum[l] += x[l];
        }
    }
    for (size_t l = 0; l < LRK_LANES; l++) t->sum[r + l] = sum[l];
}

/* o = o * shrink + p^T v */
static void gather_values(lrk_real *o, const lrk_real *probabilities, const lrk_real *values,
                          const lrk_key_panel *p, const shape *s, const tally *t)
{
    for (size_t r = 0; r < s->rows; r++) {
        if (t->shrink[r] == 1) continue;
#pragma omp simd
        for (size_t d = 0; d < s->width; d++) o[r * s->width + d] *= t->shrink[r];
    }
    lrk_tile_multiply(&(lrk_tile_product){.m = s->rows, .n = s->width, .k = p->n,
                                          .a = probabilities, .a_row = 1, .a_col = s->lanes,
                                          .b = values, .b_row = s->width, .c = o,
                                          .c_row = s->width, .add = true});
}

static void write_rows(const lrk_call *c, const lrk_query_block *b, const shape *s,
                       const lrk_real *o, const tally *t)
{
    const lrk_tensor *lse = c->saved[LRK_ATTENTION_LSE];
    for (size_t r = 0; r < s->rows; r++) {
        const bool empty = t->sum[r] == 0;
        const lrk_real inverse = empty ? 0 : 1 / t->sum[r];
        lrk_store *to = query_at(c->out[LRK_ATTENTION_O], b, s, r);
#pragma omp simd
        for (size_t d = 0; d < s->head; d++) lrk_put(to, d, o[r * s->width + d] * inverse);
        if (!lse) continue;
        lrk_real *row = lrk_row(lse, (size_t)b->first + r % (size_t)b->n);
        row[s->kv_head * s->group + r / (size_t)b->n] =
            empty ? 0 : t->max[r] + (lrk_real)log((double)t->sum[r]);
    }
}

static void forward_block(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_call *c = j->call;
    const lrk_attention_attr *a = c->attr;
    /* the last blocks of a row see most keys: they go first, so that threads end together */
    const lrk_query_block *b = &j->blocks[j->n_blocks - 1 - task / a->kv_heads];
    const shape s = shape_of(c, b, task % a->kv_heads);
    row_tile q, o;
    lrk_real transposed[(ROWS + LRK_TILE_PAD) * WIDTH], x[KEYS * (ROWS + LRK_TILE_PAD)];
    key_tile keys;
    sight sees;
    tally t;

    load_queries(c->in[LRK_ATTENTION_Q], b, &s, (lrk_real)a->scale, q);
    transpose(q, &s, transposed);
    look(c, b, &s, &sees);
    for (size_t r = 0; r < s.lanes; r++) {
        t.max[r] = (lrk_real)-1e30; /* finite: max - max must be 0 where nothing was seen yet */
        t.sum[r] = 0;
    }
    memset(o, 0, s.rows * s.width * sizeof *o);
    lrk_key_walk walk = lrk_key_walk_of(c, b);
    for (lrk_key_panel p; lrk_key_walk_next(&walk, &p);) {
        load_keys(c->in[LRK_ATTENTION_K], &p, &s, keys);
        scores(keys, transposed, &p, &s, x);
        if (a->softcap > 0.0) cap_scores(x, p.n * s.lanes, (lrk_real)a->softcap);
        for (size_t r = 0; r < s.lanes; r += LRK_LANES) softmax_strip(x, r, &p, &s, &sees, &t);
        load_keys(c->in[LRK_ATTENTION_V], &p, &s, keys);
        gather_values(o, x, keys, &p, &s, &t);
    }
    write_rows(c, b, &s, o, &t);
}

void LRK_KERNEL(attention, fwd)(const lrk_call *c)
{
    const lrk_attention_attr *a = c->attr;
    lrk_query_block *blocks = c->scratch;
    job j = {c, blocks, lrk_attention_blocks(c, blocks)};
    lrk_parallel(j.n_blocks * a->kv_heads, forward_block, &j);
}
