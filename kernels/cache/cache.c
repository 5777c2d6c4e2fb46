/* kernels/cache/cache.c -- on the CPU. */
#include "kernels/cache/cache.h"

#include "kernels/segments.h"

static void append(const lrk_tensor *cache, const lrk_tensor *rows, const int32_t *segment)
{
    const size_t first = (size_t)(segment[LRK_SEG_KV] + segment[LRK_SEG_KEYS] - segment[LRK_SEG_LENGTH]);
    const size_t width = lrk_row_bytes(rows->dtype, lrk_cols(rows));
    for (size_t i = 0; i < (size_t)segment[LRK_SEG_LENGTH]; i++)
        memcpy(lrk_row(cache, first + i), lrk_row(rows, (size_t)segment[LRK_SEG_START] + i), width);
}

void lrk_cache_append(lrk_device device, const lrk_tensor *const cache[2],
                      const lrk_tensor *const rows[2], const lrk_tensor *segments)
{
    if (device == LRK_CUDA) {
        lrk_cache_append_cuda(cache, rows, segments);
        return;
    }
    for (size_t s = 0; s < lrk_rows(segments); s++)
        for (int i = 0; i < 2; i++) append(cache[i], rows[i], lrk_segment(segments, s));
}
