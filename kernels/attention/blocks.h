/* kernels/attention/blocks.h -- how attention is cut up: blocks of queries, and for each block the
 * panels of keys that it sees. Shared by the builds for every type. */
#ifndef LRK_KERNELS_ATTENTION_BLOCKS_H
#define LRK_KERNELS_ATTENTION_BLOCKS_H
#include "kernels/attention/attention.h"

/* A block has at most LRK_ATTENTION_ROWS rows: its tokens times the query heads of a group. */
enum { LRK_ATTENTION_ROWS = 64, LRK_ATTENTION_KEYS = 64 };

typedef struct lrk_query_block {
    int32_t first, n; /* tokens of the run */
    int32_t segment, position; /* of its first token */
    int32_t lane;
} lrk_query_block;

/* Some adjacent keys of one segment. */
typedef struct lrk_key_panel {
    size_t row, n;    /* rows of K and V */
    size_t index;     /* which panel of K it begins: lrk_attention_panels */
    int32_t position; /* of the first */
    bool masked;      /* some token of the block does not see some key of it */
} lrk_key_panel;

/* The way from a block's segment up through its ancestors. */
typedef struct lrk_key_walk {
    const lrk_tensor *segments;
    int32_t first, last;  /* positions of the block's tokens */
    int32_t low;          /* lowest position that the first token sees */
    int32_t clear;        /* lowest position that the last token sees */
    int32_t segment;      /* being walked; -1: done */
    int32_t next, end;    /* positions still to come in it */
    const int32_t *bases; /* lrk_attention_panels, or NULL: panels without an index */
} lrk_key_walk;

size_t lrk_attention_lanes(const lrk_attention_attr *a);

/* What a head is padded to in local memory: a multiple of the lanes of every build, and of AMX's steps. */
enum { LRK_TILE_PAD = 32 };

/* Elements of a head there, and of a row of a lane's dK or dV. */
size_t lrk_attention_width(const lrk_attention_attr *a);
size_t lrk_attention_lane_width(const lrk_attention_attr *a);

/* The scratch memory of a call, as offsets. The lanes' sums have some rows behind the last, for
 * whole tiles. Packs hold K or V as bf16 panels of LRK_ATTENTION_KEYS rows for each key head; they
 * are there where x86 tiles may compute, that is in bf16. */
enum { LRK_ATTENTION_SPARE = 16, LRK_ATTENTION_PACKS = 3 };
typedef struct lrk_attention_memory {
    size_t blocks, panels, bases, packs[LRK_ATTENTION_PACKS], sums, bytes;
} lrk_attention_memory;
lrk_attention_memory lrk_attention_layout(const lrk_call *c, bool backward);

static inline void *lrk_attention_at(const lrk_call *c, size_t offset)
{
    return (char *)c->scratch + offset;
}

/* Fills the table of blocks and returns their number. */
size_t lrk_attention_blocks(const lrk_call *c, lrk_query_block *blocks);

/* The panels that every segment's keys are cut into, from its first key on: their rows and lengths
 * in panels, the number of each segment's first in bases. Returns how many. */
size_t lrk_attention_panels(const lrk_call *c, lrk_key_panel *panels, int32_t *bases);

/* Gives every block its lane, contiguous and of about equal work, and says which rows of K each
 * lane touches: ranges[2 * lane] .. ranges[2 * lane + 1] - 1. */
void lrk_attention_deal(const lrk_call *c, lrk_query_block *blocks, size_t n, size_t *ranges);
enum { LRK_ATTENTION_MAX_LANES = 8 };

lrk_key_walk lrk_key_walk_of(const lrk_call *c, const lrk_query_block *b);
bool lrk_key_walk_next(lrk_key_walk *w, lrk_key_panel *panel);

#endif /* LRK_KERNELS_ATTENTION_BLOCKS_H */
