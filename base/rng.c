/* base/rng.c -- Philox 4x32-10. */
#include "base/rng.h"

#include <math.h>

static void multiply(uint32_t a, uint32_t b, uint32_t *hi, uint32_t *lo)
{
    const uint64_t p = (uint64_t)a * b;
    *hi = (uint32_t)(p >> 32);
    *lo = (uint32_t)p;
}

void lrk_rng_block(lrk_rng r, uint64_t block, uint32_t out[4])
{
    uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32), r.site, r.step};
    uint32_t k0 = (uint32_t)r.seed, k1 = (uint32_t)(r.seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint32_t h0, l0, h1, l1;
        multiply(0xD2511F53u, c[0], &h0, &l0);
        multiply(0xCD9E8D57u, c[2], &h1, &l1);
        const uint32_t n0 = h1 ^ c[1] ^ k0, n2 = h0 ^ c[3] ^ k1;
        c[0] = n0;
        c[1] = l1;
        c[2] = n2;
        c[3] = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++) out[i] = c[i];
}

uint32_t lrk_rng_u32(lrk_rng r, uint64_t element)
{
    uint32_t four[4];
    lrk_rng_block(r, element / 4, four);
    return four[element % 4];
}

double lrk_rng_uniform(lrk_rng r, uint64_t element)
{
    return (double)lrk_rng_u32(r, element) * 0x1p-32;
}

uint64_t lrk_rng_below(lrk_rng r, uint64_t element, uint64_t n)
{
    uint32_t four[4];
    lrk_rng_block(r, element, four);
    const uint64_t x = (uint64_t)four[0] << 32 | four[1];
    /* the upper half of a 64 x 64 product: its bias is below 2^-32 for every n that fits memory */
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)(((wide)x * n) >> 64);
}

/* Elements 2 pair and 2 pair + 1 are the two sides of one triangle. */
static double triangle(lrk_rng r, uint64_t pair, double *angle)
{
    uint32_t four[4];
    lrk_rng_block(r, pair, four);
    *angle = 6.283185307179586 * ((double)four[1] * 0x1p-32);
    return sqrt(-2.0 * log(((double)four[0] + 0.5) * 0x1p-32));
}

double lrk_rng_normal(lrk_rng r, uint64_t element)
{
    double angle;
    const double radius = triangle(r, element / 2, &angle);
    return element % 2 ? radius * sin(angle) : radius * cos(angle);
}

void lrk_rng_normals(lrk_rng r, uint64_t first, size_t n, double *out)
{
    double angle, radius;
    size_t i = 0;
    if (n && first % 2) out[i++] = lrk_rng_normal(r, first);
    for (; n - i >= 2; i += 2) {
        radius = triangle(r, (first + i) / 2, &angle);
        out[i] = radius * cos(angle);
        out[i + 1] = radius * sin(angle);
    }
    if (i < n) out[i] = lrk_rng_normal(r, first + i);
}

void lrk_rng_shuffle(lrk_rng r, uint64_t *index, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        const uint64_t j = lrk_rng_below(r, i, i);
        const uint64_t held = index[i - 1];
        index[i - 1] = index[j];
        index[j] = held;
    }
}
