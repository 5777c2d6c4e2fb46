/* checkpoint/low_rank.c -- the nearest product of a smaller rank, in f64. */
#include "checkpoint/combine.h"

#include "base/size.h"

#include <math.h>
#include <string.h>

/* A matrix by columns: column j begins at at + j * rows. */
typedef struct matrix {
    double *at;
    size_t rows, cols;
} matrix;

static double *column(const matrix *m, size_t j) { return m->at + j * m->rows; }

static double dot(const double *x, const double *y, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

static void subtract(double *x, double f, const double *y, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] -= f * y[i];
}

/* m = Q R by Gram and Schmidt, twice over, which is enough (Giraud et al. 2005). Q takes the place of m's first
 * columns, R is (R->rows = columns of Q, m->cols); a column that the ones before it span adds none. */
static void orthonormalize(matrix *m, matrix *R)
{
    size_t q = 0;
    for (size_t j = 0; j < m->cols; j++) {
        double *x = column(m, q), *r = column(R, j);
        if (q != j) memcpy(x, column(m, j), m->rows * sizeof *x);
        const double before = sqrt(dot(x, x, m->rows));
        for (int pass = 0; pass < 2; pass++)
            for (size_t k = 0; k < q; k++) {
                const double f = dot(column(m, k), x, m->rows);
                subtract(x, f, column(m, k), m->rows);
                r[k] += f;
            }
        const double length = sqrt(dot(x, x, m->rows));
        if (length <= 1e-13 * before || q == m->rows) continue;
        for (size_t i = 0; i < m->rows; i++) x[i] /= length;
        r[q++] = length;
    }
    m->cols = q;
}

/* Turns columns i and j of both so that those of m are orthogonal; false where they were. */
static bool turn(matrix *m, matrix *v, size_t i, size_t j)
{
    double *x = column(m, i), *y = column(m, j);
    const double a = dot(x, x, m->rows), b = dot(y, y, m->rows), c = dot(x, y, m->rows);
    if (fabs(c) <= 1e-15 * sqrt(a * b)) return false;
    const double zeta = (b - a) / (2.0 * c);
    const double t = (zeta >= 0.0 ? 1.0 : -1.0) / (fabs(zeta) + sqrt(1.0 + zeta * zeta));
    const double cosine = 1.0 / sqrt(1.0 + t * t), sine = cosine * t;
    for (int which = 0; which < 2; which++) {
        const matrix *z = which ? v : m;
        double *p = column(z, i), *q = column(z, j);
        for (size_t k = 0; k < z->rows; k++) {
            const double old = p[k];
            p[k] = cosine * old - sine * q[k];
            q[k] = sine * old + cosine * q[k];
        }
    }
    return true;
}

/* m becomes U S, v becomes V, of m = U S V^T: one-sided Jacobi (Hestenes 1958). */
static void decompose(matrix *m, matrix *v)
{
    enum { SWEEPS = 60 };
    bool turned = true;
    for (size_t i = 0; i < v->cols; i++) column(v, i)[i] = 1.0;
    for (int sweep = 0; sweep < SWEEPS && turned; sweep++) {
        turned = false;
        for (size_t i = 0; i < m->cols; i++)
            for (size_t j = i + 1; j < m->cols; j++) turned |= turn(m, v, i, j);
    }
}

/* The k columns of m that are longest, longest first. */
static void longest(const matrix *m, double *length, size_t *index, size_t k)
{
    for (size_t j = 0; j < m->cols; j++) length[j] = sqrt(dot(column(m, j), column(m, j), m->rows));
    for (size_t i = 0; i < k; i++) {
        size_t best = 0;
        for (size_t j = 1; j < m->cols; j++)
            if (length[j] > length[best]) best = j;
        index[i] = best;
        length[best] = -1.0;
    }
}

typedef struct work {
    lrk_arena arena;
    matrix left, right; /* Q of B and of A^T */
    matrix left_r, right_r;
    matrix core, v;
    double *length, *row;
    size_t *index;
} work;

static lrk_status make(work *w, matrix *m, size_t rows, size_t cols, lrk_err *err)
{
    *m = (matrix){.rows = rows, .cols = cols};
    return lrk_alloc(&w->arena, lrk_max(rows * cols, 1), sizeof *m->at, "matrix", &m->at, err);
}

static lrk_status take(work *w, const lrk_tensor *B, const lrk_tensor *A, lrk_err *err)
{
    const size_t R = B->dim[1];
    LRK_TRY(make(w, &w->left, B->dim[0], R, err));
    LRK_TRY(make(w, &w->right, A->dim[1], R, err));
    LRK_TRY(make(w, &w->left_r, R, R, err));
    LRK_TRY(make(w, &w->right_r, R, R, err));
    for (size_t i = 0; i < B->dim[0]; i++)
        for (size_t r = 0; r < R; r++) column(&w->left, r)[i] = (double)((const float *)lrk_row(B, i))[r];
    for (size_t r = 0; r < R; r++)
        for (size_t i = 0; i < A->dim[1]; i++) column(&w->right, r)[i] = (double)((const float *)lrk_row(A, r))[i];
    orthonormalize(&w->left, &w->left_r);
    orthonormalize(&w->right, &w->right_r);
    LRK_TRY(make(w, &w->core, w->left.cols, w->right.cols, err));
    LRK_TRY(make(w, &w->v, w->right.cols, w->right.cols, err));
    LRK_TRY(lrk_alloc(&w->arena, R, sizeof *w->length, "lengths", &w->length, err));
    LRK_TRY(lrk_alloc(&w->arena, lrk_max(B->dim[0], A->dim[1]), sizeof *w->row, "row", &w->row, err));
    return lrk_alloc(&w->arena, R, sizeof *w->index, "order", &w->index, err);
}

/* core = R_left R_right^T */
static void fill_core(work *w)
{
    for (size_t j = 0; j < w->core.cols; j++)
        for (size_t r = 0; r < w->left_r.cols; r++)
            subtract(column(&w->core, j), -column(&w->right_r, r)[j], column(&w->left_r, r), w->core.rows);
}

/* out = Q x */
static void expand(const matrix *q, const double *x, double *out)
{
    memset(out, 0, q->rows * sizeof *out);
    for (size_t k = 0; k < q->cols; k++) subtract(out, -x[k], column(q, k), q->rows);
}

static void fill(work *w, size_t k, lrk_tensor *b, lrk_tensor *a)
{
    memset(b->data, 0, lrk_bytes(b));
    memset(a->data, 0, lrk_bytes(a));
    for (size_t r = 0; r < k; r++) {
        expand(&w->left, column(&w->core, w->index[r]), w->row);
        for (size_t i = 0; i < b->dim[0]; i++) ((float *)lrk_row(b, i))[r] = (float)w->row[i];
        expand(&w->right, column(&w->v, w->index[r]), w->row);
        for (size_t i = 0; i < a->dim[1]; i++) ((float *)lrk_row(a, r))[i] = (float)w->row[i];
    }
}

lrk_status lrk_low_rank(const lrk_tensor *B, const lrk_tensor *A, lrk_tensor *b, lrk_tensor *a, lrk_err *err)
{
    work w = {.arena = lrk_arena_growing("decomposition")};
    lrk_status status = take(&w, B, A, err);
    if (status == LRK_OK) {
        const size_t k = lrk_min(b->dim[1], w.core.cols);
        fill_core(&w);
        decompose(&w.core, &w.v);
        longest(&w.core, w.length, w.index, k);
        fill(&w, k, b, a);
    }
    lrk_arena_free(&w.arena);
    return status;
}
