/* base/tensor.h -- a view of numbers in memory; it owns nothing.
 *
 * Row-major. All axes but the last collapse to rows; the elements of a row are adjacent, rows are
 * `stride` elements apart, so that a slice of columns (q inside q|k|v) is a view too. A tensor
 * whose stride equals its width is contiguous. Quantized types: stride counts elements as well and
 * is a multiple of the block.
 */
#ifndef LRK_BASE_TENSOR_H
#define LRK_BASE_TENSOR_H
#include "base/dtype.h"

enum { LRK_MAX_RANK = 4 };

typedef struct lrk_tensor {
    const char *name; /* for messages; never NULL; not owned */
    void *data;       /* NULL while only shapes and sizes are planned */
    lrk_dtype dtype;
    int rank; /* 0: a scalar */
    size_t dim[LRK_MAX_RANK];
    size_t stride; /* elements between two rows */
} lrk_tensor;

static inline size_t lrk_cols(const lrk_tensor *t)
{
    return t->rank ? t->dim[t->rank - 1] : 1;
}

static inline size_t lrk_rows(const lrk_tensor *t)
{
    size_t n = 1;
    for (int i = 0; i + 1 < t->rank; i++) n *= t->dim[i];
    return n;
}

static inline size_t lrk_count(const lrk_tensor *t)
{
    return lrk_rows(t) * lrk_cols(t);
}

static inline bool lrk_contiguous(const lrk_tensor *t)
{
    return t->stride == lrk_cols(t) || lrk_rows(t) <= 1;
}

static inline bool lrk_same_shape(const lrk_tensor *a, const lrk_tensor *b)
{
    return lrk_rows(a) == lrk_rows(b) && lrk_cols(a) == lrk_cols(b);
}

/* Bytes of a contiguous tensor of this shape. */
static inline size_t lrk_bytes(const lrk_tensor *t)
{
    return lrk_rows(t) * lrk_row_bytes(t->dtype, lrk_cols(t));
}

static inline lrk_tensor lrk_vec(lrk_dtype dtype, size_t n)
{
    return (lrk_tensor){.name = "", .dtype = dtype, .rank = 1, .dim = {n}, .stride = n};
}

static inline lrk_tensor lrk_mat(lrk_dtype dtype, size_t rows, size_t cols)
{
    return (lrk_tensor){
        .name = "", .dtype = dtype, .rank = 2, .dim = {rows, cols}, .stride = cols};
}

/* Shape and type of x, contiguous, no data. */
static inline lrk_tensor lrk_like(const lrk_tensor *x)
{
    lrk_tensor t = *x;
    t.data = NULL;
    t.stride = lrk_cols(x);
    return t;
}

/* First byte of row r. */
static inline void *lrk_row(const lrk_tensor *t, size_t r)
{
    return (char *)t->data + r * lrk_row_bytes(t->dtype, t->stride);
}

#endif /* LRK_BASE_TENSOR_H */
