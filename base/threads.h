/* base/threads.h -- work shared by threads.
 *
 * A loop is cut into tasks by its caller, by sizes that do not depend on the number of threads;
 * any thread takes any task. A task writes only what is its own, or a partial sum that the caller
 * folds in task order: so 1 thread and 64 give the same bits.
 */
#ifndef LRK_BASE_THREADS_H
#define LRK_BASE_THREADS_H
#include "base/status.h"

#include <stddef.h>

enum { LRK_MAX_THREADS = 256 };

/* task: 0 .. n - 1. worker: 0 .. lrk_threads() - 1, for memory that a worker keeps to itself. */
typedef void (*lrk_task)(void *ctx, size_t task, int worker);

void lrk_parallel(size_t n, lrk_task f, void *ctx);

/* A function that runs beside its caller, on a thread of its own, until it returns. LRK_ENOMEM: no thread
 * can be had. end waits for it; NULL is fine. */
typedef struct lrk_beside lrk_beside;
lrk_status lrk_beside_begin(void (*f)(void *ctx), void *ctx, lrk_beside **out, lrk_err *err);
void lrk_beside_end(lrk_beside *b);

int lrk_threads(void);
void lrk_threads_set(int n); /* 0: one for each processor this process may run on */

#endif /* LRK_BASE_THREADS_H */
