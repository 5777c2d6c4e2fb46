/* train/interval.h -- how sure a share or a mean is.
 *
 * Wilson's interval for k of n (Wilson 1927), z = 1.96:
 *     centre = (p + z^2 / 2n) / (1 + z^2 / n),  half = z / (1 + z^2 / n) sqrt(p (1-p) / n + z^2 / 4n^2)
 * McNemar's exact test on the rows where two answers differ in being right: two-sided binomial with
 * p = 1/2 on wins and losses.
 * A mean per item of sums over groups of items (a ratio estimator): with m groups of sums s_j over
 * n_j items, L = sum s / sum n and se^2 = m / (m - 1) sum (s_j - L n_j)^2 / (sum n)^2.
 */
#ifndef LRK_TRAIN_INTERVAL_H
#define LRK_TRAIN_INTERVAL_H
#include <stddef.h>

typedef struct lrk_interval {
    double value, low, high;
} lrk_interval;

/* n 0: the whole of [0, 1]. */
lrk_interval lrk_wilson(size_t k, size_t n);

/* 1 where wins + losses is 0. */
double lrk_mcnemar(size_t wins, size_t losses);

/* low and high are value where there are fewer than 10 groups. */
lrk_interval lrk_ratio_mean(const double *sum, const size_t *n, size_t groups);

#endif /* LRK_TRAIN_INTERVAL_H */
