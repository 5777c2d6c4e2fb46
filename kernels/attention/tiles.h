/* kernels/attention/tiles.h -- local copies that attention's products work on; one build of them for
 * each type. Scores lie transposed, keys down and query rows across: maxima and sums over keys are
 * then plain vector operations, and K, V, Q need no transposition but that of the queries, once. */
#ifndef LRK_KERNELS_ATTENTION_TILES_H
#define LRK_KERNELS_ATTENTION_TILES_H
#include "base/size.h"
#include "kernels/attention/blocks.h"
#include "kernels/tile.h"

enum { ROWS = LRK_ATTENTION_ROWS, KEYS = LRK_ATTENTION_KEYS, WIDTH = LRK_ATTENTION_MAX_HEAD };

typedef lrk_real row_tile[ROWS * WIDTH];
typedef lrk_real key_tile[KEYS * WIDTH];
typedef lrk_real score_tile[KEYS * ROWS];

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
                   lrk_aligned(a->head, LRK_TILE_PAD)};
}

/* Row r of a block is token r % n of head r / n of the group. */
static inline lrk_store *query_at(const lrk_tensor *t, const lrk_query_block *b, const shape *s,
                                  size_t r)
{
    const size_t n = (size_t)b->n, head = s->kv_head * s->group + r / n;
    return (lrk_store *)lrk_row(t, (size_t)b->first + r % n) + head * s->head;
}

static inline void load_queries(const lrk_tensor *t, const lrk_query_block *b, const shape *s,
                                lrk_real scale, lrk_real *tile)
{
    for (size_t r = 0; r < s->rows; r++) {
        const lrk_store *from = query_at(t, b, s, r);
        lrk_real *to = tile + r * s->width;
#pragma omp simd
        for (size_t d = 0; d < s->head; d++) to[d] = scale * lrk_get(from, d);
        for (size_t d = s->head; d < s->width; d++) to[d] = 0;
    }
}

static inline void transpose(const lrk_real *tile, const shape *s, lrk_real *out)
{
    for (size_t r = 0; r < s->rows; r++)
        for (size_t d = 0; d < s->head; d++) out[d * s->lanes + r] = tile[r * s->width + d];
    for (size_t r = s->rows; r < s->lanes; r++)
        for (size_t d = 0; d < s->head; d++) out[d * s->lanes + r] = 0;
}

static inline void load_keys(const lrk_tensor *t, const lrk_key_panel *p, const shape *s,
                             lrk_real *tile)
{
    for (size_t j = 0; j < p->n; j++) {
        const lrk_store *from = (const lrk_store *)lrk_row(t, p->row + j) + s->kv_head * s->head;
        lrk_real *to = tile + j * s->width;
#pragma omp simd
        for (size_t d = 0; d < s->head; d++) to[d] = lrk_get(from, d);
        for (size_t d = s->head; d < s->width; d++) to[d] = 0;
    }
}

/* out[j,r] = keys[j] . queries[r] */
static inline void scores(const lrk_real *keys, const lrk_real *transposed_queries,
                          const lrk_key_panel *p, const shape *s, lrk_real *out)
{
    lrk_tile_multiply(&(lrk_tile_product){.m = p->n, .n = s->lanes, .k = s->head, .a = keys,
                                          .a_row = s->width, .a_col = 1, .b = transposed_queries,
                                          .b_row = s->lanes, .c = out, .c_row = s->lanes});
}

/* Highest and lowest position that each row sees. */
typedef struct sight {
    int32_t high[ROWS + LRK_TILE_PAD], low[ROWS + LRK_TILE_PAD];
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

/* Soft cap of a score: cap * tanh(x / cap). */
static inline void cap_scores(lrk_real *tile, size_t n, lrk_real cap)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        tile[i] = cap * (1 - 2 / (1 + lrk_exp(2 * tile[i] / cap)));
}

#endif /* LRK_KERNELS_ATTENTION_TILES_H */
