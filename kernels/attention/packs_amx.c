/* kernels/attention/packs_amx.c -- packing and products on tiles; see packs.h. */
#include "kernels/attention/packs.h"

#include "base/size.h"
#include "base/threads.h"

#include <immintrin.h>

enum { KEYS = LRK_ATTENTION_KEYS, WIDTH = LRK_ATTENTION_MAX_HEAD };

typedef struct job {
    const lrk_call *call;
    const lrk_attention_pack *packs;
    const lrk_key_panel *panels;
    size_t n_panels;
} job;

static uint16_t *panel_of(const lrk_call *c, const lrk_attention_pack *pack, size_t panel,
                          size_t kv_head)
{
    const lrk_attention_attr *a = c->attr;
    return pack->to + (panel * a->kv_heads + kv_head) * lrk_attention_panel_size(a);
}

/* KEYS x width, zeros behind the panel's rows and the head's columns */
static void copy_rows(const lrk_tensor *from, const lrk_key_panel *p, size_t column, size_t head,
                      size_t width, uint16_t *to)
{
    for (size_t j = 0; j < KEYS; j++, to += width) {
        const size_t n = j < p->n ? head : 0;
        if (n) memcpy(to, (const uint16_t *)lrk_row(from, p->row + j) + column, n * sizeof *to);
        memset(to + n, 0, (width - n) * sizeof *to);
    }
}

static void pack_task(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_attention_attr *a = j->call->attr;
    const lrk_attention_pack *pack = &j->packs[task / (j->n_panels * a->kv_heads)];
    const size_t panel = task / a->kv_heads % j->n_panels, kv_head = task % a->kv_heads;
    const size_t width = lrk_attention_width(a);
    uint16_t rows[KEYS * WIDTH], *to = panel_of(j->call, pack, panel, kv_head);
    copy_rows(pack->from, &j->panels[panel], kv_head * a->head, a->head, width,
              pack->turned ? rows : to);
    if (!pack->turned) return;
    for (size_t d = 0; d < width; d += 16) {
        for (size_t k = 0; k < KEYS; k += LRK_TILE_K, to += LRK_TILE_SIZE)
            lrk_tile_transposed_amx(rows + k * width + d, width, to);
    }
}

void lrk_attention_fill_packs(const lrk_call *c, const lrk_attention_memory *m,
                              const lrk_attention_pack *packs, size_t n_packs)
{
    const lrk_attention_attr *a = c->attr;
    lrk_key_panel *panels = lrk_attention_at(c, m->panels);
    job j = {c, packs, panels, lrk_attention_panels(c, panels, lrk_attention_at(c, m->bases))};
    lrk_parallel(n_packs * j.n_panels * a->kv_heads, pack_task, &j);
}

lrk_amx_strip lrk_attention_strip(const lrk_call *c, const lrk_attention_pack *pack, size_t panel,
                                  size_t kv_head)
{
    const char *a = (const char *)panel_of(c, pack, panel, kv_head);
    const size_t size = sizeof(uint16_t), row = lrk_attention_width(c->attr) * size;
    if (!pack->turned) return (lrk_amx_strip){a, row, LRK_TILE_ROWS * row, LRK_TILE_K * size};
    return (lrk_amx_strip){a, LRK_TILE_K * size, KEYS / LRK_TILE_K * LRK_TILE_SIZE * size,
                           LRK_TILE_SIZE * size};
}

void lrk_attention_product(size_t steps, lrk_amx_strip a, size_t rows, const uint16_t *b, size_t cols,
                           float *sums, size_t stride, bool add)
{
    const size_t rows16 = lrk_ceil_div(rows, 16), cols16 = lrk_ceil_div(cols, 16);
    for (size_t i = 0; i < rows16; i += 2, a.a += 2 * a.tile) {
        for (size_t j = 0; j < cols16; j += 2)
            lrk_amx_product(steps, &a, lrk_min(rows16 - i, 2), b + j * steps * LRK_TILE_SIZE,
                            lrk_min(cols16 - j, 2), sums + i * 16 * stride + j * 16, stride, add);
    }
}

void lrk_attention_operand(const uint16_t *src, size_t rows, size_t cols, bool turned, uint16_t *dst)
{
    if (turned) {
        for (size_t r = 0; r < rows; r += 16) {
            uint16_t *strip = dst + r / 32 * 32 * cols + r % 32 / 16 * LRK_TILE_SIZE;
            lrk_tiles_of_rows_amx(src + r * cols, cols, cols, strip, 2 * LRK_TILE_SIZE);
        }
        return;
    }
    for (size_t k = 0; k < rows; k += 2) {
        for (size_t j = 0; j < cols; j += 32) {
            uint16_t *strip = dst + j * rows + k / 32 * 2 * LRK_TILE_SIZE + k % 32 * 16;
            lrk_tiles_of_columns_amx(src + k * cols + j, src + (k + 1) * cols + j, 2, strip);
        }
    }
}

void lrk_attention_round(const float *src, size_t n, size_t lanes, uint16_t *dst)
{
    for (size_t i = 0; i < n * lanes; i += 32) {
        const __m512 low = _mm512_loadu_ps(src + i), high = _mm512_loadu_ps(src + i + 16);
        _mm512_storeu_si512(dst + i, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
    memset(dst + n * lanes, 0, (lrk_aligned(n, 32) - n) * lanes * sizeof *dst);
}
