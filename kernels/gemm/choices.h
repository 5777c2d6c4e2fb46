/* kernels/gemm/choices.h -- which of the algorithms that cuBLASLt proposes a product takes: by their rank.
 *
 * The library proposes algorithms for a shape, the one that it thinks fastest first; the same library on
 * the same chip always proposes the same. The first is taken, so that one command gives the same bits in
 * every process. Times would choose better and not twice alike: they are taken only where
 * LRK_GPU_PRODUCTS names a file to keep what they chose in, one line for each product,
 *
 *     chip/processors driver library | shape = rank
 *
 * and read from there by every later run. A line of another chip, driver or library does not count, so
 * a file may serve several machines; of two lines for one product the last one counts, which stands for what ran
 * where the library refused what the first one says. Two processes that make the same new line at once may have chosen
 * differently, for that run.
 */
#ifndef LRK_KERNELS_GEMM_CHOICES_H
#define LRK_KERNELS_GEMM_CHOICES_H
#include "base/arena.h"

typedef struct lrk_choices {
    const char *path; /* NULL: nothing is timed */
    lrk_buf text;
} lrk_choices;

/* path: the file, made where it is not there, or NULL. One that cannot be read or written is warned of and
 * not used. */
void lrk_choices_open(lrk_choices *c, const char *path);
void lrk_choices_close(lrk_choices *c);

/* The rank that stands behind this key; -1: none. */
int lrk_choices_find(const lrk_choices *c, const char *key);

/* Appends a line to the file; what cannot be written is warned of and holds for this process. */
void lrk_choices_keep(lrk_choices *c, const char *key, int rank);

#endif /* LRK_KERNELS_GEMM_CHOICES_H */
