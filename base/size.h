/* base/size.h -- checked arithmetic for sizes that come from a file or a recipe.
 *
 * Each returns false, and leaves *out alone, where the result does not fit.
 */
#ifndef LRK_BASE_SIZE_H
#define LRK_BASE_SIZE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool lrk_add(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

static inline bool lrk_mul(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

/* align is a power of two. */
static inline bool lrk_align_up(size_t a, size_t align, size_t *out)
{
    size_t r;
    if (!lrk_add(a, align - 1, &r)) return false;
    *out = r & ~(align - 1);
    return true;
}

/* For sizes that are known to fit. */
static inline size_t lrk_aligned(size_t a, size_t align)
{
    return (a + align - 1) & ~(align - 1);
}

static inline size_t lrk_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t lrk_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline size_t lrk_ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

#endif /* LRK_BASE_SIZE_H */
