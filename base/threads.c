/* base/threads.c -- parallel loops on OpenMP, whose waiting threads sleep after a short spin: beside
 * another busy process the work slows in proportion. */
#include "base/threads.h"

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>

static atomic_int chosen; /* 0: not chosen yet */

static int processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return omp_get_num_procs();
    return CPU_COUNT(&set);
}

int lrk_threads(void)
{
    const int n = atomic_load(&chosen);
    if (n) return n;
    lrk_threads_set(0);
    return atomic_load(&chosen);
}

void lrk_threads_set(int n)
{
    if (n <= 0) n = processors();
    atomic_store(&chosen, n > LRK_MAX_THREADS ? LRK_MAX_THREADS : n);
}

void lrk_parallel(size_t n, lrk_task f, void *ctx)
{
    const int threads = lrk_threads();
    if (threads == 1 || n <= 1 || omp_in_parallel()) {
        for (size_t i = 0; i < n; i++) f(ctx, i, 0);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (size_t i = 0; i < n; i++) f(ctx, i, omp_get_thread_num());
}
