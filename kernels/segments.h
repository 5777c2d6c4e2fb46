/* kernels/segments.h -- which tokens of a flat run belong together.
 *
 * A micro-batch is one run of T tokens without padding. A segment is a row of an i32 tensor (S, 6):
 *
 *   START      first token of the segment in the run
 *   LENGTH     its tokens in the run
 *   POSITION   position of its first token in its document: 0 for a root, the length of the shared
 *              prefix for a child, the number of tokens already in the cache when decoding
 *   PARENT     segment that holds the positions before POSITION, or -1
 *   KV         first row of the key and value tensors that belongs to this segment
 *   KEYS       number of those rows; they hold the positions POSITION + LENGTH - KEYS up to
 *              POSITION + LENGTH - 1. Training: KV == START, KEYS == LENGTH. With a KV cache the
 *              rows begin at position 0: KEYS == POSITION + LENGTH.
 *
 * A token at position p sees the rows of its segment and of all its ancestors whose position is
 * <= p (and > p - window). Segments cover 0 .. T - 1 in order, without gaps; a parent comes before
 * its children.
 */
#ifndef LRK_KERNELS_SEGMENTS_H
#define LRK_KERNELS_SEGMENTS_H
#include "base/status.h"
#include "base/tensor.h"

enum {
    LRK_SEG_START,
    LRK_SEG_LENGTH,
    LRK_SEG_POSITION,
    LRK_SEG_PARENT,
    LRK_SEG_KV,
    LRK_SEG_KEYS,
    LRK_SEG_FIELDS
};

static inline const int32_t *lrk_segment(const lrk_tensor *segments, size_t s)
{
    return (const int32_t *)segments->data + s * LRK_SEG_FIELDS;
}

/* Shape and type; what the rows say is the business of whoever fills them. */
static inline lrk_status lrk_segments_check(const lrk_tensor *t, const char *op, lrk_err *err)
{
    LRK_REQUIRE(err, t->dtype == LRK_I32 && t->rank == 2 && lrk_cols(t) == LRK_SEG_FIELDS &&
                         t->stride == LRK_SEG_FIELDS,
                LRK_ESHAPE, "%s: segments '%s' must be i32 (S, %d)", op, t->name,
                (int)LRK_SEG_FIELDS);
    return LRK_OK;
}

#endif /* LRK_KERNELS_SEGMENTS_H */
