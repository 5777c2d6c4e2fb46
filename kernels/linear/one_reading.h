/* kernels/linear/one_reading.h -- what an adapter's backward pass needs of dY, from one reading of it:
 *
 *   dS[t,r]  = scale * sum_o(dY[t,o] * B[o,r])
 *   dB[o,r] += sum_t(dY[t,o] * S[t,r])
 *
 * For bf16 and small ranks on a GPU, where dY is larger than what its cache keeps for a second reading. Sums in f32, in
 * an order that depends on shapes alone; whether it runs depends on the chip. After LoRAFusion (arXiv 2510.00206).
 */
#ifndef LRK_KERNELS_LINEAR_ONE_READING_H
#define LRK_KERNELS_LINEAR_ONE_READING_H
#include "base/size.h"
#include "base/tensor.h"

typedef struct lrk_one_reading {
    const lrk_tensor *dy, *b, *s; /* (T, out), (out, R), (T, R) */
    const lrk_tensor *ds, *db;    /* (T, R) like S; (out, R) f32; db may be NULL, and dS has the same bits */
    double scale;
    bool more_ds, more_db;        /* added to what is there */
    void *workspace;              /* lrk_one_reading_scratch */
} lrk_one_reading;

/* Columns of dY that a block of the kernel has; the largest rank: the parts of dS that blocks leave are R / 32 of what
 * a second reading of dY costs. */
enum { LRK_ONE_READING_COLUMNS = 128, LRK_ONE_READING_RANK = 16 };

static inline bool lrk_one_reading_takes(lrk_dtype dy, size_t rank)
{
    return dy == LRK_BF16 && rank % 8 == 0 && rank <= LRK_ONE_READING_RANK;
}

/* The rows of dY that a block goes down: an eighth, at least 256. */

static inline size_t lrk_one_reading_range(size_t rows)
{
    return lrk_aligned(lrk_max(256, lrk_ceil_div(rows, 8)), 64);
}

/* Parts of dS and dB, f32. */
static inline size_t lrk_one_reading_scratch(size_t rows, size_t out, size_t rank)
{
    const size_t of_s = lrk_ceil_div(out, LRK_ONE_READING_COLUMNS) * rows * rank;
    const size_t of_b = lrk_ceil_div(rows, lrk_one_reading_range(rows)) * out * rank;
    return (lrk_aligned(of_s, 16) + of_b) * sizeof(float);
}

/* False: nothing was done, for types or rank are others, or dY is small. */
bool lrk_linear_read_once(const lrk_one_reading *o);

#endif /* LRK_KERNELS_LINEAR_ONE_READING_H */
