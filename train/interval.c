/* train/interval.c */
#include "train/interval.h"

#include <math.h>

enum { FEWEST_GROUPS = 10 };
static const double z = 1.959963984540054; /* 97.5 % of the normal distribution lie below */

lrk_interval lrk_wilson(size_t k, size_t n)
{
    if (!n) return (lrk_interval){0.0, 0.0, 1.0};
    const double N = (double)n, p = (double)k / N, d = 1.0 + z * z / N;
    const double centre = (p + z * z / (2.0 * N)) / d;
    const double half = z / d * sqrt(p * (1.0 - p) / N + z * z / (4.0 * N * N));
    return (lrk_interval){p, k == 0 ? 0.0 : centre - half, k == n ? 1.0 : centre + half};
}

double lrk_mcnemar(size_t wins, size_t losses)
{
    const double n = (double)(wins + losses);
    const size_t few = wins < losses ? wins : losses;
    double tail = 0.0;
    for (size_t i = 0; i <= few; i++) {
        const double k = (double)i;
        tail += exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) - n * log(2.0));
    }
    return fmin(1.0, 2.0 * tail);
}

lrk_interval lrk_ratio_mean(const double *sum, const size_t *n, size_t groups)
{
    double s = 0.0, N = 0.0, square = 0.0;
    for (size_t i = 0; i < groups; i++) {
        s += sum[i];
        N += (double)n[i];
    }
    const double mean = N > 0.0 ? s / N : 0.0;
    if (groups < FEWEST_GROUPS || !(N > 0.0)) return (lrk_interval){mean, mean, mean};
    for (size_t i = 0; i < groups; i++) {
        const double d = sum[i] - mean * (double)n[i];
        square += d * d;
    }
    const double m = (double)groups, se = sqrt(m / (m - 1.0) * square) / N;
    return (lrk_interval){mean, mean - z * se, mean + z * se};
}
