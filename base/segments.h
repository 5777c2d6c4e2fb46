/* base/segments.h -- which tokens of a flat run belong together.
 *
 * A micro-batch is one run of T tokens without padding. A segment is a row of an i32 table (S, 6):
 *
 *   START      first token of the segment in the run
 *   LENGTH     its tokens in the run
 *   POSITION   position of its first token in its document: 0 for a root, the length of the shared
 *              prefix for a child, the number of tokens already in the cache when decoding
 *   PARENT     segment that holds the positions before POSITION, or -1
 *   KV         first row of the key and value tensors that belongs to this segment
 *   KEYS       number of those rows; they hold the positions POSITION + LENGTH - KEYS up to
 *              POSITION + LENGTH - 1. Training: KV == START, KEYS == LENGTH. With a KV cache the
 *              rows of a root begin at position 0, KEYS == POSITION + LENGTH, and those of a child behind
 *              its parent's; a parent that is in the cache already has LENGTH == 0.
 *
 * A token at position p sees the rows of its segment and of all its ancestors whose position is
 * <= p (and > p - window). Segments cover 0 .. T - 1 in order, without gaps; a parent comes before
 * its children.
 */
#ifndef LRK_BASE_SEGMENTS_H
#define LRK_BASE_SEGMENTS_H
#include <stddef.h>
#include <stdint.h>

enum {
    LRK_SEG_START,
    LRK_SEG_LENGTH,
    LRK_SEG_POSITION,
    LRK_SEG_PARENT,
    LRK_SEG_KV,
    LRK_SEG_KEYS,
    LRK_SEG_FIELDS
};

/* Without a cache: `length` tokens of the run from `start` on, of a document whose first `position` tokens are those
 * of segment `parent` and its ancestors. All fit i32. */
static inline void lrk_segment_child(int32_t row[LRK_SEG_FIELDS], size_t start, size_t length, size_t position,
                                     int32_t parent)
{
    row[LRK_SEG_START] = row[LRK_SEG_KV] = (int32_t)start;
    row[LRK_SEG_LENGTH] = row[LRK_SEG_KEYS] = (int32_t)length;
    row[LRK_SEG_POSITION] = (int32_t)position;
    row[LRK_SEG_PARENT] = parent;
}

/* A document of its own. */
static inline void lrk_segment_root(int32_t row[LRK_SEG_FIELDS], size_t start, size_t length)
{
    lrk_segment_child(row, start, length, 0, -1);
}

#endif /* LRK_BASE_SEGMENTS_H */
