/* models/cache.h -- keys and values of tokens already seen, for generation.
 *
 * Rows [slot * capacity, (slot + 1) * capacity) of each layer's k and v hold the positions 0, 1, ...
 * of sequence `slot`, or those from the end of its parent's on: base/segments.h.
 */
#ifndef LRK_MODELS_CACHE_H
#define LRK_MODELS_CACHE_H
#include "base/device.h"
#include "base/tensor.h"
#include "models/decoder.h"

typedef struct lrk_kv_cache {
    lrk_tensor *k, *v; /* a pair a layer: (slots * capacity, K * D), compute type */
    size_t layers, slots, capacity;
    lrk_device device; /* where they lie */
} lrk_kv_cache;

/* arena lies on the device, tables in this process's memory. */
lrk_status lrk_kv_cache_new(lrk_kv_cache *c, const lrk_decoder *d, lrk_dtype compute, size_t slots,
                            size_t capacity, lrk_device device, lrk_arena *arena, lrk_arena *tables,
                            lrk_err *err);

/* Copies the new rows of k and v of one layer to where the segments say. */
void lrk_kv_cache_append(lrk_kv_cache *c, size_t layer, const lrk_tensor *k, const lrk_tensor *v,
                         const lrk_tensor *segments);

#endif /* LRK_MODELS_CACHE_H */
