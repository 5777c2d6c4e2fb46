/* kernels/attention/few.h -- forward for a block of so few rows, as in decoding, that scores across
 * query rows would leave most lanes empty: vectors run along the head and along the keys instead.
 * One build for each type.
 */
#ifndef LRK_KERNELS_ATTENTION_FEW_H
#define LRK_KERNELS_ATTENTION_FEW_H
#include "kernels/attention/tiles.h"

enum { FEW_ROWS = 8 };

/* A panel's rows as lrk_real: where they lie, if they can be read so, else copied to tile. */
static inline const lrk_real *panel_rows(const lrk_tensor *t, const lrk_key_panel *p, const shape *s,
                                         lrk_real *tile, size_t *stride)
{
#if LRK_REAL != LRK_BUILD_BF16
    if (s->head == s->width) {
        *stride = t->stride;
        return (const lrk_real *)lrk_row(t, p->row) + s->kv_head * s->head;
    }
#endif
    load_keys(t, p, s, tile);
    *stride = s->width;
    return tile;
}

/* Row r of the scores: exp(score - max), 0 where hidden. */
static inline void softmax_row(lrk_real *x, size_t r, const lrk_key_panel *p, const sight *sees,
                               lrk_real factor, tally *t)
{
    const int32_t above = sees->high[r] - p->position + 1, below = sees->low[r] - p->position;
    const size_t end = above < 0 ? 0 : lrk_min((size_t)above, p->n);
    const size_t first = below < 0 ? 0 : lrk_min((size_t)below, end);
    lrk_real max = t->max[r], sum = 0;
    for (size_t j = 0; j < first; j++) x[j] = 0;
    for (size_t j = end; j < p->n; j++) x[j] = 0;
#pragma omp simd reduction(max : max)
    for (size_t j = first; j < end; j++) {
        x[j] *= factor;
        max = x[j] > max ? x[j] : max;
    }
#pragma omp simd reduction(+ : sum)
    for (size_t j = first; j < end; j++) {
        x[j] = lrk_exp(x[j] - max);
        sum += x[j];
    }
    t->shrink[r] = lrk_exp(t->max[r] - max);
    t->sum[r] = t->sum[r] * t->shrink[r] + sum;
    t->max[r] = max;
}

static inline void few_panel(const lrk_call *c, const lrk_key_panel *p, const shape *s,
                             const sight *sees, const lrk_real *q, lrk_real *o, tally *t)
{
    key_tile tile;
    lrk_real x[FEW_ROWS * KEYS];
    size_t stride;
    const lrk_real factor = factors_of(c).score;
    const lrk_real *k = panel_rows(c->in[LRK_ATTENTION_K], p, s, tile, &stride);
    for (size_t j = 0; j < p->n; j++) {
        for (size_t r = 0; r < s->rows; r++)
            x[r * KEYS + j] = lrk_lanes_dot(q + r * s->width, k + j * stride, s->width);
    }
    for (size_t r = 0; r < s->rows; r++) {
        cap_scores(c, x + r * KEYS, p->n);
        softmax_row(x + r * KEYS, r, p, sees, factor, t);
        if (t->shrink[r] == 1) continue;
#pragma omp simd
        for (size_t d = 0; d < s->width; d++) o[r * s->width + d] *= t->shrink[r];
    }
    const lrk_real *v = panel_rows(c->in[LRK_ATTENTION_V], p, s, tile, &stride);
    lrk_tile_multiply(&(lrk_tile_product){.m = s->rows, .n = s->width, .k = p->n, .a = x,
                                          .a_row = KEYS, .a_col = 1, .b = v, .b_row = stride,
                                          .c = o, .c_row = s->width, .add = true});
}

static inline void few_rows(const lrk_call *c, const lrk_query_block *b, const shape *s)
{
    lrk_real q[FEW_ROWS * WIDTH], o[FEW_ROWS * WIDTH] = {0};
    sight sees;
    tally t;
    load_queries(c->in[LRK_ATTENTION_Q], b, s, q);
    look(c, b, s, &sees);
    tally_start(&t, s->rows);
    lrk_key_walk walk = lrk_key_walk_of(c, b);
    for (lrk_key_panel p; lrk_key_walk_next(&walk, &p);) few_panel(c, &p, s, &sees, q, o, &t);
    write_rows(c, b, s, o, &t);
}

#endif /* LRK_KERNELS_ATTENTION_FEW_H */
