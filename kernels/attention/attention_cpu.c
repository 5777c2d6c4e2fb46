/* kernels/attention/attention_cpu.c -- forward: a task is a block of queries of one key head. */
#include "base/threads.h"
#include "kernels/attention/few.h"

void LRK_KERNEL(attention, fwd)(const lrk_call *c);

typedef struct job {
    const lrk_call *call;
    const lrk_query_block *blocks;
    size_t n_blocks;
} job;

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
    row_tile transposed;
    key_tile keys;
    score_tile x;
    const factors f = factors_of(c);
    sight sees;
    tally t;

    if (s.rows <= FEW_ROWS) {
        few_rows(c, b, &s);
        return;
    }
    load_queries(c->in[LRK_ATTENTION_Q], b, &s, q);
    transpose(q, &s, transposed);
    look(c, b, &s, &sees);
    tally_start(&t, s.lanes);
    memset(o, 0, s.rows * s.width * sizeof *o);
    lrk_key_walk walk = lrk_key_walk_of(c, b);
    for (lrk_key_panel p; lrk_key_walk_next(&walk, &p);) {
        load_keys(c->in[LRK_ATTENTION_K], &p, &s, keys);
        scores(keys, transposed, &p, &s, x);
        cap_scores(c, x, p.n * s.lanes);
        softmax_strips(x, &p, &s, &sees, f.score, &t);
        load_keys(c->in[LRK_ATTENTION_V], &p, &s, keys);
        gather_values(o, x, keys, &p, &s, &t);
    }
    write_rows(c, b, &s, o, &t);
}

void LRK_KERNEL(attention, fwd)(const lrk_call *c)
{
    const lrk_attention_attr *a = c->attr;
    lrk_query_block *blocks = lrk_attention_at(c, lrk_attention_layout(c, false).blocks);
    job j = {c, blocks, lrk_attention_blocks(c, blocks)};
    lrk_parallel(j.n_blocks * a->kv_heads, forward_block, &j);
}
