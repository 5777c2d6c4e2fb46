/* kernels/linear/borders.h -- writes adapters into the borders of weights (kernels/linear/linear.h), on a GPU: after
 * each change of them, all in one launch. Rounded to bf16, to nearest, ties to even.
 *
 *   to[r, c] = from[r, c - first]   first <= c < first + cols;   0 elsewhere,   r < rows, c < width
 */
#ifndef LRK_KERNELS_LINEAR_BORDERS_H
#define LRK_KERNELS_LINEAR_BORDERS_H
#include <stddef.h>
#include <stdint.h>

typedef struct lrk_border {
    const float *from; /* (rows, cols); nothing with cols 0 */
    uint16_t *to;      /* bf16, rows `stride` numbers apart */
    size_t rows, cols, first, width, stride;
} lrk_border;

/* n borders; the table lies on the device. There where the program was built with CUDA. */
__attribute__((weak)) void lrk_borders_write_cuda(const lrk_border *table, size_t n);

#endif /* LRK_KERNELS_LINEAR_BORDERS_H */
