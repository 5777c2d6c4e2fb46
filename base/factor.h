/* base/factor.h -- small dense factorizations in f64. */
#ifndef LRK_BASE_FACTOR_H
#define LRK_BASE_FACTOR_H
#include <stddef.h>

/* A matrix by columns: column j begins at at + j * rows. Memory is the caller's. */
typedef struct lrk_columns {
    double *at;
    size_t rows, cols;
} lrk_columns;

static inline double *lrk_column(const lrk_columns *m, size_t j) { return m->at + j * m->rows; }
double lrk_dot(const double *x, const double *y, size_t n);
void lrk_subtract(double *x, double f, const double *y, size_t n); /* x -= f y */

/* m = Q R by Gram and Schmidt, twice over, which is enough (Giraud et al. 2005). Q takes the place of m's first
 * columns, whose number m->cols becomes; R, zero before or NULL, is (R->rows >= columns of m, m->cols). A column
 * that the ones before it span adds none. */
void lrk_orthonormalize(lrk_columns *m, lrk_columns *R);

/* m becomes U S, v, square and zero before, becomes V, of m = U S V^T: one-sided Jacobi (Hestenes 1958). */
void lrk_decompose(lrk_columns *m, lrk_columns *v);

/* index: the k columns of m that are longest, longest first; length: m->cols numbers of room, negative after it for
 * those that were chosen. */
void lrk_longest(const lrk_columns *m, double *length, size_t *index, size_t k);

#endif /* LRK_BASE_FACTOR_H */
