/* kernels/attention/tiles.h -- local copies that attention's products work on, one build of them for
 * each type; not for the build with tile registers. */
#ifndef LRK_KERNELS_ATTENTION_TILES_H
#define LRK_KERNELS_ATTENTION_TILES_H
#include "kernels/attention/strips.h"
#include "kernels/tile.h"

typedef lrk_real row_tile[ROWS * WIDTH];
typedef lrk_real key_tile[KEYS * WIDTH];
typedef lrk_real score_tile[KEYS * ROWS];

static inline void load_queries(const lrk_tensor *t, const lrk_query_block *b, const shape *s,
                                lrk_real *tile)
{
    for (size_t r = 0; r < s->rows; r++) {
        const lrk_store *from = query_at(t, b, s, r);
        lrk_real *to = tile + r * s->width;
#pragma omp simd
        for (size_t d = 0; d < s->head; d++) to[d] = lrk_get(from, d);
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

/* out[j,r] = keys[j] . queries[r], at most 64 products a sum */
static inline void scores(const lrk_real *keys, const lrk_real *transposed_queries,
                          const lrk_key_panel *p, const shape *s, lrk_real *out)
{
    for (size_t d = 0; d < s->head; d += 64)
        lrk_tile_multiply(&(lrk_tile_product){
            .m = p->n, .n = s->lanes, .k = lrk_min(s->head - d, 64), .a = keys + d,
            .a_row = s->width, .a_col = 1, .b = transposed_queries + d * s->lanes,
            .b_row = s->lanes, .c = out, .c_row = s->lanes, .add = d > 0});
}

#endif /* LRK_KERNELS_ATTENTION_TILES_H */
