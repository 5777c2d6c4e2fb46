/* kernels/attention/splits.h -- how a GPU shares out the work of a call and what scratch memory that
 * takes, from shapes alone: launches recorded into a graph serve every table of segments.
 *
 * Forward: few queries that look at many keys, as in decoding, would fill few processors. Then a
 * query's keys are split over several blocks, each leaves its largest score, its sum and its part of
 * O, and a second kernel joins the parts in order.
 * Backward: a block of keys gathers dK and dV from the queries that see it. Where there are few such
 * blocks the queries are split likewise. Splits fall as segments rise; all of them together have as many rows as
 * LRK_ATTENTION_GPU_BLOCKS of them, 35 MB of sums for the largest heads. Products of such runs took more in every shape
 * that was tried (tests/model/plan.c holds three of them), so that a plan that counts the most segments has room for
 * fewer.
 */
#ifndef LRK_KERNELS_ATTENTION_SPLITS_H
#define LRK_KERNELS_ATTENTION_SPLITS_H
#include "base/size.h"
#include "kernels/attention/attention.h"

enum {
    LRK_ATTENTION_GPU_ROWS = 64,    /* of a block, about */
    LRK_ATTENTION_GPU_BLOCKS = 264, /* two for each processor of a large chip */
    LRK_ATTENTION_SPLIT_KEYS = 128, /* at least, of a split */
    LRK_ATTENTION_SPLIT_ROWS = 256, /* at least, query rows of a split */
    LRK_ATTENTION_KEY_SPLITS = 32,  /* at most */
    LRK_ATTENTION_QUERY_SPLITS = 4
};

/* rows of the tensors cut into blocks, for each key head */
static inline size_t lrk_attention_wanted_splits(const lrk_call *c, size_t rows, size_t most)
{
    const lrk_attention_attr *a = (const lrk_attention_attr *)c->attr;
    const size_t segments = lrk_rows(c->in[LRK_ATTENTION_SEGMENTS]);
    const size_t blocks = (rows / LRK_ATTENTION_GPU_ROWS + segments) * a->kv_heads;
    const size_t wanted = LRK_ATTENTION_GPU_BLOCKS / lrk_max(blocks, 1);
    return lrk_max(1, lrk_min(wanted, most));
}

/* Blocks that share the keys of a query. */
static inline size_t lrk_attention_key_splits(const lrk_call *c)
{
    const lrk_attention_attr *a = (const lrk_attention_attr *)c->attr;
    const size_t tokens = lrk_rows(c->in[LRK_ATTENTION_Q]), keys = lrk_rows(c->in[LRK_ATTENTION_K]);
    if (keys / 4 < tokens) return 1;
    return lrk_attention_wanted_splits(
        c, tokens * (a->heads / a->kv_heads),
        lrk_min(keys / LRK_ATTENTION_SPLIT_KEYS, LRK_ATTENTION_KEY_SPLITS));
}

/* Blocks that share the queries of a key. */
static inline size_t lrk_attention_query_splits(const lrk_call *c)
{
    const lrk_attention_attr *a = (const lrk_attention_attr *)c->attr;
    const size_t rows = lrk_rows(c->in[LRK_ATTENTION_Q]) * (a->heads / a->kv_heads);
    return lrk_attention_wanted_splits(
        c, lrk_rows(c->in[LRK_ATTENTION_K]),
        lrk_min(rows / LRK_ATTENTION_SPLIT_ROWS, LRK_ATTENTION_QUERY_SPLITS));
}

/* Whether dK and dV pass through scratch memory: with splits, and where some rows of K may belong to
 * no segment, so that no block would write their zeros. */
static inline bool lrk_attention_folds(const lrk_call *c)
{
    return lrk_attention_query_splits(c) > 1 ||
           lrk_rows(c->in[LRK_ATTENTION_Q]) != lrk_rows(c->in[LRK_ATTENTION_K]);
}

/* Backward's scratch begins with a pair for each query row: LSE and delta. */
static inline size_t lrk_attention_pair_bytes(const lrk_call *c)
{
    const lrk_attention_attr *a = (const lrk_attention_attr *)c->attr;
    return lrk_aligned(lrk_rows(c->in[LRK_ATTENTION_Q]) * a->heads * 2 * sizeof(float), LRK_ALIGN);
}

static inline size_t lrk_attention_gpu_scratch(const lrk_call *c, bool backward)
{
    const lrk_attention_attr *a = (const lrk_attention_attr *)c->attr;
    const size_t splits = lrk_attention_key_splits(c);
    if (!backward) {
        const size_t rows = lrk_rows(c->in[LRK_ATTENTION_Q]) * a->heads;
        return splits > 1 ? splits * rows * (a->head + 2) * sizeof(float) : 0;
    }
    const size_t sums = 2 * lrk_count(c->in[LRK_ATTENTION_K]) * sizeof(float);
    return lrk_attention_pair_bytes(c) +
           (lrk_attention_folds(c) ? lrk_attention_query_splits(c) * sums : 0);
}

#endif /* LRK_KERNELS_ATTENTION_SPLITS_H */
