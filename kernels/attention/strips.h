/* kernels/attention/strips.h -- what attention does between its products, one build for each type.
 *
 * Scores lie transposed, keys down and query rows across: maxima and sums over keys are then plain
 * vector operations, a strip of LRK_LANES rows at a time, and of Q, K, V only the queries have to be
 * transposed, once for each block.
 */
#ifndef LRK_KERNELS_ATTENTION_STRIPS_H
#define LRK_KERNELS_ATTENTION_STRIPS_H
#include "base/size.h"
#include "kernels/attention/blocks.h"
#include "kernels/lanes.h"

enum { ROWS = LRK_ATTENTION_ROWS, KEYS = LRK_ATTENTION_KEYS, WIDTH = LRK_ATTENTION_MAX_HEAD };

/* The sizes of one block: rows = tokens * group. */
typedef struct shape {
    size_t group, head, kv_head; /* query heads of the group; D; which key head */
    size_t rows, lanes;          /* rows, and rows rounded up to whole vectors */
    size_t width;                /* D rounded up to LRK_TILE_PAD */
} shape;

static inline shape shape_of(const lrk_call *c, const lrk_query_block *b, size_t kv_head)
{
    const lrk_attention_attr *a = c->attr;
    const size_t group = a->heads / a->kv_heads, rows = group * (size_t)b->n;
    return (shape){group, a->head, kv_head, rows, lrk_aligned(rows, LRK_LANES),
                   lrk_attention_width(a)};
}

/* Row r of a block is token r % n of head r / n of the group. */
static inline lrk_store *query_at(const lrk_tensor *t, const lrk_query_block *b, const shape *s,
                                  size_t r)
{
    const size_t n = (size_t)b->n, head = s->kv_head * s->group + r / n;
    return (lrk_store *)lrk_row(t, (size_t)b->first + r % n) + head * s->head;
}

/* Highest and lowest position that each row sees. */
typedef struct sight {
    int32_t high[ROWS], low[ROWS];
} sight;

static inline void look(const lrk_call *c, const lrk_query_block *b, const shape *s, sight *out)
{
    const lrk_attention_attr *a = c->attr;
    for (size_t r = 0; r < s->lanes; r++) {
        out->high[r] = b->position + (int32_t)(r % (size_t)b->n);
        const bool bounded = a->window && a->window <= (size_t)out->high[r];
        out->low[r] = bounded ? out->high[r] - (int32_t)a->window + 1 : 0;
    }
}

/* What products of q and k are multiplied with, here and in the gradient: with a soft cap, capped
 * scores need no factor any more. */
typedef struct factors {
    lrk_real score, gradient, inverse_cap;
} factors;

static inline factors factors_of(const lrk_call *c)
{
    const lrk_attention_attr *a = c->attr;
    const bool capped = a->softcap > 0.0;
    return (factors){capped ? 1 : (lrk_real)a->scale, (lrk_real)a->scale,
                     capped ? (lrk_real)(1.0 / a->softcap) : 0};
}

/* cap * tanh(scale * x / cap) for n products; nothing without a cap */
static inline void cap_scores(const lrk_call *c, lrk_real *x, size_t n)
{
    const lrk_attention_attr *a = c->attr;
    const lrk_real cap = (lrk_real)a->softcap, inner = (lrk_real)(a->scale / a->softcap);
    if (a->softcap == 0.0) return;
#pragma omp simd
    for (size_t i = 0; i < n; i++) x[i] = cap * lrk_tanh(inner * x[i]);
}

/* What the rows of a block have gathered so far: their largest score, the sum of exp(score - max),
 * and by how much older numbers shrink after the last panel. */
typedef struct tally {
    lrk_real max[ROWS], sum[ROWS], shrink[ROWS];
} tally;

static inline void tally_start(tally *t, size_t lanes)
{
    for (size_t r = 0; r < lanes; r++) {
        t->max[r] = (lrk_real)-1e30; /* finite: max - max must be 0 where nothing was seen yet */
        t->sum[r] = 0;
    }
}

/* Columns r .. r + LRK_LANES - 1 of the scores become exp(score - max), hidden ones 0. masked, a
 * constant where this is inlined, says whether any is hidden. */
static inline __attribute__((always_inline)) void softmax_columns(lrk_real *x, size_t r,
                                                                  const lrk_key_panel *p,
                                                                  const shape *s, const sight *sees,
                                                                  lrk_real factor, tally *t,
                                                                  const bool masked)
{
    const lrk_real hidden = -(lrk_real)INFINITY;
    const size_t row = s->lanes;
    const int32_t *high = sees->high + r, *low = sees->low + r;
    lrk_real max[LRK_LANES], sum[LRK_LANES];
    for (size_t l = 0; l < LRK_LANES; l++) max[l] = t->max[r + l];
    for (size_t j = 0; j < p->n; j++) {
        const int32_t at = p->position + (int32_t)j;
#pragma omp simd
        for (size_t l = 0; l < LRK_LANES; l++) {
            lrk_real v = factor * x[j * row + l];
            if (masked) v = at <= high[l] && at >= low[l] ? v : hidden;
            x[j * row + l] = v;
            max[l] = v > max[l] ? v : max[l];
        }
    }
#pragma omp simd
    for (size_t l = 0; l < LRK_LANES; l++) {
        t->shrink[r + l] = lrk_exp(t->max[r + l] - max[l]);
        sum[l] = t->sum[r + l] * t->shrink[r + l];
        t->max[r + l] = max[l];
    }
    for (size_t j = 0; j < p->n; j++) {
#pragma omp simd
        for (size_t l = 0; l < LRK_LANES; l++) {
            lrk_real e = lrk_exp(x[j * row + l] - max[l]);
            if (masked) e = x[j * row + l] == hidden ? 0 : e;
            x[j * row + l] = e;
            sum[l] += e;
        }
    }
    for (size_t l = 0; l < LRK_LANES; l++) t->sum[r + l] = sum[l];
}

static inline void softmax_strips(lrk_real *x, const lrk_key_panel *p, const shape *s,
                                  const sight *sees, lrk_real factor, tally *t)
{
    for (size_t r = 0; r < s->lanes; r += LRK_LANES) {
        if (p->masked)
            softmax_columns(x + r, r, p, s, sees, factor, t, true);
        else
            softmax_columns(x + r, r, p, s, sees, factor, t, false);
    }
}

/* Rows of O and LSE from what was gathered; o: a tile of s->width columns. */
static inline void write_rows(const lrk_call *c, const lrk_query_block *b, const shape *s,
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

/* LSE of each row, and delta = dO . O; both 0 behind the last row. */
static inline void load_sums(const lrk_call *c, const lrk_query_block *b, const shape *s,
                             lrk_real *lse, lrk_real *delta)
{
    for (size_t r = 0; r < s->lanes; r++) lse[r] = delta[r] = 0;
    for (size_t r = 0; r < s->rows; r++) {
        const lrk_store *o = query_at(c->out[LRK_ATTENTION_O], b, s, r);
        const lrk_store *dout = query_at(c->dout[LRK_ATTENTION_O], b, s, r);
        const size_t t = (size_t)b->first + r % (size_t)b->n;
        const lrk_real *row = lrk_row(c->saved[LRK_ATTENTION_LSE], t);
        lrk_real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t d = 0; d < s->head; d++) sum += lrk_get(dout, d) * lrk_get(o, d);
        delta[r] = sum;
        lse[r] = row[s->kv_head * s->group + r / (size_t)b->n];
    }
}

/* Columns r .. r + LRK_LANES - 1: scores become probabilities, dp becomes ds, scale included. */
static inline __attribute__((always_inline)) void gradient_columns(
    lrk_real *x, lrk_real *dx, size_t r, const lrk_key_panel *p, const shape *s, const sight *sees,
    const factors f, const lrk_real *lse, const lrk_real *delta, const bool masked)
{
    const size_t row = s->lanes;
    const int32_t *high = sees->high + r, *low = sees->low + r;
    for (size_t j = 0; j < p->n; j++) {
        const int32_t at = p->position + (int32_t)j;
#pragma omp simd
        for (size_t l = 0; l < LRK_LANES; l++) {
            const lrk_real v = x[j * row + l], t = v * f.inverse_cap;
            lrk_real e = lrk_exp(lrk_fma(v, f.score, -lse[l]));
            if (masked) e = at <= high[l] && at >= low[l] ? e : 0;
            x[j * row + l] = e;
            dx[j * row + l] = e * (dx[j * row + l] - delta[l]) * lrk_fma(-t, t, 1) * f.gradient;
        }
    }
}

static inline void gradient_strips(lrk_real *x, lrk_real *dx, const lrk_key_panel *p,
                                   const shape *s, const sight *sees, const factors *f,
                                   const lrk_real *lse, const lrk_real *delta)
{
    for (size_t r = 0; r < s->lanes; r += LRK_LANES) {
        if (p->masked)
            gradient_columns(x + r, dx + r, r, p, s, sees, *f, lse + r, delta + r, true);
        else
            gradient_columns(x + r, dx + r, r, p, s, sees, *f, lse + r, delta + r, false);
    }
}

/* dQ of the block's rows from a tile of s->width columns. */
static inline void write_dq(const lrk_call *c, const lrk_query_block *b, const shape *s,
                            const lrk_real *tile)
{
    const lrk_tensor *dq = c->din[LRK_ATTENTION_Q];
    const bool fresh = c->fresh >> LRK_ATTENTION_Q & 1;
    for (size_t r = 0; dq && r < s->rows; r++) {
        lrk_store *to = query_at(dq, b, s, r);
        const lrk_real *from = tile + r * s->width;
        if (fresh) {
#pragma omp simd
            for (size_t d = 0; d < s->head; d++) lrk_put(to, d, from[d]);
        } else {
#pragma omp simd
            for (size_t d = 0; d < s->head; d++) lrk_put(to, d, lrk_get(to, d) + from[d]);
        }
    }
}

#endif /* LRK_KERNELS_ATTENTION_STRIPS_H */
