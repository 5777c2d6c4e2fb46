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

size_t lrk_attention_lane_width(const lrk_attention_attr *a)
{
    return a->kv_heads * lrk_aligned(a->head, 16);
}

static size_t table_bytes(const lrk_call *c)
{
    const size_t tokens = lrk_rows(c->in[LRK_ATTENTION_Q]);
    const size_t most = tokens / block_tokens(c->attr) + lrk_rows(c->in[LRK_ATTENTION_SEGMENTS]);
    return lrk_aligned(lrk_min(most, tokens) * sizeof(lrk_query_block), LRK_ALIGN);
}

void lrk_attention_scratch(const lrk_call *c, size_t *forward, size_t *backward)
{
    const lrk_tensor *k = c->in[LRK_ATTENTION_K];
    const size_t row = lrk_row_bytes(lrk_acc(k->dtype), lrk_attention_lane_width(c->attr));
    *forward = table_bytes(c);
    *backward = table_bytes(c) + 2 * lrk_attention_lanes(c->attr) * lrk_rows(k) * row;
}

void *lrk_attention_sums(const lrk_call *c)
{
    return (char *)c->scratch + table_bytes(c);
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
    w->next = held > w->low ? held : w->low;
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
