/* kernels/attention/blocks.c -- blocks of queries, panels of keys, lanes. */
#include "kernels/attention/blocks.h"

#include "base/size.h"
#include "kernels/segments.h"

static size_t block_tokens(const lrk_attention_attr *a)
{
    return lrk_max(1, LRK_ATTENTION_ROWS / (a->heads / a->kv_heads));
}

/* At least a dozen equal tasks, so that few key heads still keep several threads busy. */
size_t lrk_attention_lanes(const lrk_attention_attr *a)
{
    return lrk_min(lrk_ceil_div(12, a->kv_heads), LRK_ATTENTION_MAX_LANES);
}

size_t lrk_attention_width(const lrk_attention_attr *a)
{
    return lrk_aligned(a->head, LRK_TILE_PAD);
}

size_t lrk_attention_lane_width(const lrk_attention_attr *a)
{
    return a->kv_heads * lrk_attention_width(a);
}

/* Takes bytes at the end of the layout. */
static size_t take(lrk_attention_memory *m, size_t bytes)
{
    const size_t offset = m->bytes;
    m->bytes += lrk_aligned(bytes, LRK_ALIGN);
    return offset;
}

lrk_attention_memory lrk_attention_layout(const lrk_call *c, bool backward)
{
    const size_t tokens = lrk_rows(c->in[LRK_ATTENTION_Q]), keys = lrk_rows(c->in[LRK_ATTENTION_K]);
    const size_t segments = lrk_rows(c->in[LRK_ATTENTION_SEGMENTS]);
    const lrk_dtype type = c->in[LRK_ATTENTION_K]->dtype;
    const size_t blocks = lrk_min(tokens / block_tokens(c->attr) + segments, tokens);
    const size_t panels = keys / LRK_ATTENTION_KEYS + segments;
    const size_t width = lrk_attention_lane_width(c->attr);
    lrk_attention_memory m = {0};
    m.blocks = take(&m, blocks * sizeof(lrk_query_block));
#if defined(__x86_64__)
    if (type == LRK_BF16) {
        m.panels = take(&m, panels * sizeof(lrk_key_panel));
        m.bases = take(&m, segments * sizeof(int32_t));
        for (size_t i = 0; i < (backward ? 3 : 2); i++)
            m.packs[i] = take(&m, panels * LRK_ATTENTION_KEYS * width * sizeof(uint16_t));
    }
#endif
    if (backward)
        m.sums = take(&m, 2 * lrk_attention_lanes(c->attr) * (keys + LRK_ATTENTION_SPARE) *
                              lrk_row_bytes(lrk_acc(type), width));
    return m;
}

size_t lrk_attention_blocks(const lrk_call *c, lrk_query_block *blocks)
{
    const lrk_tensor *segments = c->in[LRK_ATTENTION_SEGMENTS];
    const int32_t step = (int32_t)block_tokens(c->attr);
    size_t n = 0;
    for (size_t s = 0; s < lrk_rows(segments); s++) {
        const int32_t *segment = lrk_segment(segments, s), length = segment[LRK_SEG_LENGTH];
        for (int32_t i = 0; i < length; i += step) {
            blocks[n++] = (lrk_query_block){.first = segment[LRK_SEG_START] + i,
                                            .n = length - i < step ? length - i : step,
                                            .segment = (int32_t)s,
                                            .position = segment[LRK_SEG_POSITION] + i};
        }
    }
    return n;
}

size_t lrk_attention_panels(const lrk_call *c, lrk_key_panel *panels, int32_t *bases)
{
    const lrk_tensor *segments = c->in[LRK_ATTENTION_SEGMENTS];
    size_t n = 0;
    for (size_t s = 0; s < lrk_rows(segments); s++) {
        const int32_t *segment = lrk_segment(segments, s), keys = segment[LRK_SEG_KEYS];
        bases[s] = (int32_t)n;
        for (int32_t i = 0; i < keys; i += LRK_ATTENTION_KEYS) {
            panels[n++] = (lrk_key_panel){
                .row = (size_t)(segment[LRK_SEG_KV] + i),
                .n = lrk_min(LRK_ATTENTION_KEYS, (size_t)(keys - i))};
        }
    }
    return n;
}

/* Position of the first key that the segment holds itself. */
static int32_t first_held(const int32_t *segment)
{
    return segment[LRK_SEG_POSITION] + segment[LRK_SEG_LENGTH] - segment[LRK_SEG_KEYS];
}

static void enter(lrk_key_walk *w, int32_t segment, int32_t end)
{
    w->segment = segment;
    if (segment < 0) return;
    const int32_t *s = lrk_segment(w->segments, (size_t)segment);
    const int32_t held = first_held(s), behind = held + s[LRK_SEG_KEYS];
    /* panels begin at fixed keys, whatever the window hides of the first */
    w->next = held;
    if (w->low > held) w->next += (w->low - held) / LRK_ATTENTION_KEYS * LRK_ATTENTION_KEYS;
    w->end = end < behind ? end : behind;
}

lrk_key_walk lrk_key_walk_of(const lrk_call *c, const lrk_query_block *b)
{
    const lrk_attention_attr *a = c->attr;
    lrk_key_walk w = {.segments = c->in[LRK_ATTENTION_SEGMENTS],
                      .first = b->position,
                      .last = b->position + b->n - 1};
    if (a->window && a->window <= (size_t)w.last) {
        w.clear = w.last - (int32_t)a->window + 1;
        w.low = w.clear > b->n - 1 ? w.clear - (b->n - 1) : 0;
    }
    enter(&w, b->segment, w.last + 1);
    return w;
}

static size_t panel_index(const lrk_key_walk *w, const int32_t *segment)
{
    return (size_t)(w->bases[w->segment] + (w->next - first_held(segment)) / LRK_ATTENTION_KEYS);
}

bool lrk_key_walk_next(lrk_key_walk *w, lrk_key_panel *panel)
{
    while (w->segment >= 0 && w->next >= w->end) {
        const int32_t *s = lrk_segment(w->segments, (size_t)w->segment);
        enter(w, s[LRK_SEG_PARENT], first_held(s));
    }
    if (w->segment < 0) return false;
    const int32_t *s = lrk_segment(w->segments, (size_t)w->segment);
    const int32_t left = w->end - w->next, n = left < LRK_ATTENTION_KEYS ? left : LRK_ATTENTION_KEYS;
    *panel = (lrk_key_panel){.row = (size_t)(s[LRK_SEG_KV] + w->next - first_held(s)),
                             .n = (size_t)n,
                             .index = w->bases ? panel_index(w, s) : 0,
                             .position = w->next,
                             .masked = w->next + n - 1 > w->first || w->next < w->clear};
    w->next += n;
    return true;
}

void lrk_attention_deal(const lrk_call *c, lrk_query_block *blocks, size_t n, size_t *ranges)
{
    const size_t lanes = lrk_attention_lanes(c->attr);
    uint64_t total = 0, before = 0;
    lrk_key_panel panel;
    for (size_t b = 0; b < n; b++) {
        lrk_key_walk w = lrk_key_walk_of(c, &blocks[b]);
        while (lrk_key_walk_next(&w, &panel)) total += (uint64_t)blocks[b].n * panel.n;
    }
    for (size_t lane = 0; lane < lanes; lane++) ranges[2 * lane] = ranges[2 * lane + 1] = 0;
    for (size_t b = 0; b < n; b++) {
        const size_t lane = total ? lrk_min((size_t)(before * lanes / total), lanes - 1) : 0;
        size_t *range = ranges + 2 * lane;
        lrk_key_walk w = lrk_key_walk_of(c, &blocks[b]);
        while (lrk_key_walk_next(&w, &panel)) {
            before += (uint64_t)blocks[b].n * panel.n;
            range[0] = range[1] ? lrk_min(range[0], panel.row) : panel.row;
            range[1] = lrk_max(range[1], panel.row + panel.n);
        }
        blocks[b].lane = (int32_t)lane;
    }
}
