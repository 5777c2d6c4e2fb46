/* base/factor.c -- Gram and Schmidt, Jacobi. */
#include "base/factor.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

double lrk_dot(const double *x, const double *y, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

void lrk_subtract(double *x, double f, const double *y, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] -= f * y[i];
}

void lrk_orthonormalize(lrk_columns *m, lrk_columns *R)
{
    size_t q = 0;
    for (size_t j = 0; j < m->cols; j++) {
        double *x = lrk_column(m, q), *r = R ? lrk_column(R, j) : NULL;
        if (q != j) memcpy(x, lrk_column(m, j), m->rows * sizeof *x);
        const double before = sqrt(lrk_dot(x, x, m->rows));
        for (int pass = 0; pass < 2; pass++)
            for (size_t k = 0; k < q; k++) {
                const double f = lrk_dot(lrk_column(m, k), x, m->rows);
                lrk_subtract(x, f, lrk_column(m, k), m->rows);
                if (r) r[k] += f;
            }
        const double length = sqrt(lrk_dot(x, x, m->rows));
        if (length <= 1e-13 * before || q == m->rows) continue;
        for (size_t i = 0; i < m->rows; i++) x[i] /= length;
        if (r) r[q] = length;
        q++;
    }
    m->cols = q;
}

/* Turns columns i and j of both so that those of m are orthogonal; false where they were. */
static bool turn(lrk_columns *m, lrk_columns *v, size_t i, size_t j)
{
    double *x = lrk_column(m, i), *y = lrk_column(m, j);
    const double a = lrk_dot(x, x, m->rows), b = lrk_dot(y, y, m->rows), c = lrk_dot(x, y, m->rows);
    if (fabs(c) <= 1e-15 * sqrt(a * b)) return false;
    const double zeta = (b - a) / (2.0 * c);
    const double t = (zeta >= 0.0 ? 1.0 : -1.0) / (fabs(zeta) + sqrt(1.0 + zeta * zeta));
    const double cosine = 1.0 / sqrt(1.0 + t * t), sine = cosine * t;
    for (int which = 0; which < 2; which++) {
        const lrk_columns *z = which ? v : m;
        double *p = lrk_column(z, i), *q = lrk_column(z, j);
        for (size_t k = 0; k < z->rows; k++) {
            const double old = p[k];
            p[k] = cosine * old - sine * q[k];
            q[k] = sine * old + cosine * q[k];
        }
    }
    return true;
}

void lrk_decompose(lrk_columns *m, lrk_columns *v)
{
    enum { SWEEPS = 60 };
    bool turned = true;
    for (size_t i = 0; i < v->cols; i++) lrk_column(v, i)[i] = 1.0;
    for (int sweep = 0; sweep < SWEEPS && turned; sweep++) {
        turned = false;
        for (size_t i = 0; i < m->cols; i++)
            for (size_t j = i + 1; j < m->cols; j++) turned |= turn(m, v, i, j);
    }
}

void lrk_longest(const lrk_columns *m, double *length, size_t *index, size_t k)
{
    for (size_t j = 0; j < m->cols; j++) length[j] = sqrt(lrk_dot(lrk_column(m, j), lrk_column(m, j), m->rows));
    for (size_t i = 0; i < k; i++) {
        size_t best = 0;
        for (size_t j = 1; j < m->cols; j++)
            if (length[j] > length[best]) best = j;
        index[i] = best;
        length[best] = -1.0;
    }
}
