/* kernels/cache/cache.h -- new keys and values go to the key-value cache. Not an op: it changes what it
 * is given and has no gradient.
 *
 *   cache[KV(s) + KEYS(s) - LENGTH(s) + i, :] = rows[START(s) + i, :]    0 <= i < LENGTH(s), each segment s
 */
#ifndef LRK_KERNELS_CACHE_H
#define LRK_KERNELS_CACHE_H
#include "base/device.h"
#include "base/tensor.h"

/*   cache     keys, values  (slots * capacity, C)  any plain type
 *   rows      keys, values  (T, C)                 of the same type; rows may be strided
 *   segments  (S, 6)        i32, base/segments.h: the caller has checked that rows fit
 * All of them lie on the device, which only queues the copy. The two of a pair have one shape. */
void lrk_cache_append(lrk_device device, const lrk_tensor *const cache[2],
                      const lrk_tensor *const rows[2], const lrk_tensor *segments);

/* The GPU's part. */
__attribute__((weak)) void lrk_cache_append_cuda(const lrk_tensor *const cache[2],
                                                 const lrk_tensor *const rows[2],
                                                 const lrk_tensor *segments);

#endif /* LRK_KERNELS_CACHE_H */
