/* base/rng.h -- random numbers by counter: the same bits on every machine, thread count and after
 * a resume, because a number depends on where it is used and on nothing that happened before.
 *
 * Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
 * Key: the seed. Counter: (element / 4, site, step); `site` tells uses apart, e.g. LRK_SITE_DROPOUT
 * | layer << 8 | projection.
 */
#ifndef LRK_BASE_RNG_H
#define LRK_BASE_RNG_H
#include <stddef.h>
#include <stdint.h>

enum {
    LRK_SITE_INIT = 1u << 24,
    LRK_SITE_DROPOUT = 2u << 24,
    LRK_SITE_SHUFFLE = 3u << 24,
    LRK_SITE_SAMPLE = 4u << 24,
    LRK_SITE_TEST = 5u << 24
};

typedef struct lrk_rng {
    uint64_t seed;
    uint32_t site;
    uint32_t step;
} lrk_rng;

/* Four numbers at once: elements 4 * block .. 4 * block + 3. */
void lrk_rng_block(lrk_rng r, uint64_t block, uint32_t out[4]);

uint32_t lrk_rng_u32(lrk_rng r, uint64_t element);
double lrk_rng_uniform(lrk_rng r, uint64_t element);              /* [0, 1), 32 bits */
uint64_t lrk_rng_below(lrk_rng r, uint64_t element, uint64_t n);  /* [0, n) */
double lrk_rng_normal(lrk_rng r, uint64_t element);               /* Box-Muller */

/* Elements first .. first + n - 1 of lrk_rng_normal, the same bits, in half the time. */
void lrk_rng_normals(lrk_rng r, uint64_t first, size_t n, double *out);

/* A permutation of 0..n-1 (Fisher-Yates). */
void lrk_rng_shuffle(lrk_rng r, uint64_t *index, size_t n);

#endif /* LRK_BASE_RNG_H */
