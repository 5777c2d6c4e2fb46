/* kernels/cache/cache_cuda.cu -- keys and values in one launch; a thread copies 16 bytes. */
#include "kernels/segments.cuh"
extern "C" {
#include "kernels/cache/cache.h"
}

template <typename W> struct part {
    lrk_view<W> cache;
    lrk_view<const W> rows;
};

template <typename W>
static __global__ void append(part<W> keys, part<W> values, const int32_t *segments,
                              size_t n_segments, size_t tokens, size_t words)
{
    const part<W> p = blockIdx.z ? values : keys;
    LRK_FOR_ROWS(t, tokens)
    {
        const int32_t *segment = lrk_segment_of(segments, n_segments, t);
        const size_t first = (size_t)(segment[LRK_SEG_KV] + segment[LRK_SEG_KEYS] - segment[LRK_SEG_LENGTH]);
        const size_t to = first + t - (size_t)segment[LRK_SEG_START];
        LRK_FOR_ITEMS(i, words)
        {
            *p.cache.at(to, i) = *p.rows.at(t, i);
        }
    }
}

/* A row as words of type W. */
template <typename W> static part<W> part_of(const lrk_tensor *cache, const lrk_tensor *rows)
{
    part<W> p;
    p.cache = lrk_view_of<W>(cache);
    p.rows = lrk_view_of<const W>(rows);
    p.cache.stride = lrk_row_bytes(cache->dtype, cache->stride) / sizeof(W);
    p.rows.stride = lrk_row_bytes(rows->dtype, rows->stride) / sizeof(W);
    return p;
}

template <typename W>
static void launch(const lrk_tensor *const cache[2], const lrk_tensor *const rows[2],
                   const lrk_tensor *segments)
{
    const part<W> keys = part_of<W>(cache[0], rows[0]), values = part_of<W>(cache[1], rows[1]);
    const size_t tokens = lrk_rows(rows[0]);
    const size_t words = lrk_row_bytes(rows[0]->dtype, lrk_cols(rows[0])) / sizeof(W);
    lrk_walk w = lrk_walk_over(tokens, words);
    w.grid.z = 2;
    LRK_LAUNCH(append<W>, w.grid, w.block, 0, keys, values, lrk_data<const int32_t>(segments),
               lrk_rows(segments), tokens, words);
}

extern "C" void lrk_cache_append_cuda(const lrk_tensor *const cache[2],
                                      const lrk_tensor *const rows[2], const lrk_tensor *segments)
{
    bool chunks = true;
    for (int i = 0; i < 2; i++)
        chunks = chunks && lrk_can_chunk(cache[i]) && lrk_can_chunk(rows[i]);
    if (chunks)
        launch<uint4>(cache, rows, segments);
    else
        launch<uint16_t>(cache, rows, segments);
}
