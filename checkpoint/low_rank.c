/* checkpoint/low_rank.c -- the nearest product of a smaller rank, in f64. */
#include "checkpoint/combine.h"

#include "base/factor.h"
#include "base/size.h"

#include <string.h>

typedef struct work {
    lrk_arena arena;
    lrk_columns left, right; /* Q of B and of A^T */
    lrk_columns left_r, right_r;
    lrk_columns core, v;
    double *length, *row;
    size_t *index;
} work;

static lrk_status make(work *w, lrk_columns *m, size_t rows, size_t cols, lrk_err *err)
{
    *m = (lrk_columns){.rows = rows, .cols = cols};
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
        for (size_t r = 0; r < R; r++) lrk_column(&w->left, r)[i] = (double)((const float *)lrk_row(B, i))[r];
    for (size_t r = 0; r < R; r++)
        for (size_t i = 0; i < A->dim[1]; i++) lrk_column(&w->right, r)[i] = (double)((const float *)lrk_row(A, r))[i];
    lrk_orthonormalize(&w->left, &w->left_r);
    lrk_orthonormalize(&w->right, &w->right_r);
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
            lrk_subtract(lrk_column(&w->core, j), -lrk_column(&w->right_r, r)[j], lrk_column(&w->left_r, r),
                         w->core.rows);
}

/* out = Q x */
static void expand(const lrk_columns *q, const double *x, double *out)
{
    memset(out, 0, q->rows * sizeof *out);
    for (size_t k = 0; k < q->cols; k++) lrk_subtract(out, -x[k], lrk_column(q, k), q->rows);
}

static void fill(work *w, size_t k, lrk_tensor *b, lrk_tensor *a)
{
    memset(b->data, 0, lrk_bytes(b));
    memset(a->data, 0, lrk_bytes(a));
    for (size_t r = 0; r < k; r++) {
        expand(&w->left, lrk_column(&w->core, w->index[r]), w->row);
        for (size_t i = 0; i < b->dim[0]; i++) ((float *)lrk_row(b, i))[r] = (float)w->row[i];
        expand(&w->right, lrk_column(&w->v, w->index[r]), w->row);
        for (size_t i = 0; i < a->dim[1]; i++) ((float *)lrk_row(a, r))[i] = (float)w->row[i];
    }
}

/* The squares of the singular values: of all, and of those that were not chosen. */
static lrk_low_rank_cut cut_off(const work *w)
{
    lrk_low_rank_cut cut = {0};
    for (size_t j = 0; j < w->core.cols; j++) {
        const double square = lrk_dot(lrk_column(&w->core, j), lrk_column(&w->core, j), w->core.rows);
        cut.whole += square;
        if (w->length[j] >= 0.0) cut.off += square;
    }
    return cut;
}

lrk_status lrk_low_rank(const lrk_tensor *B, const lrk_tensor *A, lrk_tensor *b, lrk_tensor *a, lrk_low_rank_cut *cut,
                        lrk_err *err)
{
    work w = {.arena = lrk_arena_growing("decomposition")};
    lrk_status status = take(&w, B, A, err);
    if (status == LRK_OK) {
        const size_t k = lrk_min(b->dim[1], w.core.cols);
        fill_core(&w);
        lrk_decompose(&w.core, &w.v);
        lrk_longest(&w.core, w.length, w.index, k);
        *cut = cut_off(&w);
        fill(&w, k, b, a);
    }
    lrk_arena_free(&w.arena);
    return status;
}

lrk_status lrk_low_rank_square(const lrk_tensor *B, const lrk_tensor *A, double *square, lrk_err *err)
{
    work w = {.arena = lrk_arena_growing("norm of a product")};
    const lrk_status status = take(&w, B, A, err);
    *square = 0.0;
    if (status == LRK_OK) {
        fill_core(&w);
        for (size_t j = 0; j < w.core.cols; j++)
            *square += lrk_dot(lrk_column(&w.core, j), lrk_column(&w.core, j), w.core.rows);
    }
    lrk_arena_free(&w.arena);
    return status;
}
