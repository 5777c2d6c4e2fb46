/* base/threads.c -- a pool of threads that shares out tasks.
 *
 * Not OpenMP: there every thread of a team has to arrive at the end of a loop, so one that the
 * kernel has taken off its processor for another process holds up all the others, loop after loop.
 * Here a loop is over when its tasks are; a thread that is not running takes none. Waiting threads
 * spin for some microseconds, because the next loop mostly follows at once, then offer their
 * processor to others for as long again and more, and then sleep: waking takes longer than most
 * loops.
 */
#include "base/threads.h"

#include "base/arena.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINS = 400, YIELDS = 400, JOBS = 64 };

/* One loop. Fields are atomic because a thread that overslept may look at a job that is being
 * replaced; what it read is used only if `ticket` then proves that the job is still the same. */
typedef struct lrk_job {
    _Atomic(lrk_task) f;
    _Atomic(void *) ctx;
    _Atomic(uint32_t) n;
    _Atomic(int) threads;
} lrk_job;

static struct {
    pthread_mutex_t busy;     /* held by the thread whose loop runs */
    _Atomic(uint64_t) ticket; /* number of the loop << 32 | next task */
    _Atomic(uint32_t) epoch;  /* number of the loop, to sleep on */
    _Atomic(uint32_t) done;   /* finished tasks of the loop */
    _Atomic(uint32_t) sleepers;
    _Atomic(bool) awaited;    /* whoever ends the loop has to wake the thread that asked for it */
    lrk_job job[JOBS];
    int started; /* threads of the pool; guarded by busy */
} pool = {.busy = PTHREAD_MUTEX_INITIALIZER};

static atomic_int chosen; /* 0: not chosen yet */
static _Thread_local bool inside;

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void sleep_while(_Atomic(uint32_t) *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake_all(_Atomic(uint32_t) *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Takes and runs tasks of loop `number` until none is left. */
static void work(uint32_t number, int worker)
{
    const lrk_job *job = &pool.job[number % JOBS];
    const lrk_task f = atomic_load_explicit(&job->f, memory_order_relaxed);
    void *ctx = atomic_load_explicit(&job->ctx, memory_order_relaxed);
    const uint32_t n = atomic_load_explicit(&job->n, memory_order_relaxed);
    if (worker >= atomic_load_explicit(&job->threads, memory_order_relaxed)) return;
    uint64_t ticket = atomic_load(&pool.ticket);
    inside = true;
    while (ticket >> 32 == number && (uint32_t)ticket < n) {
        if (!atomic_compare_exchange_weak(&pool.ticket, &ticket, ticket + 1)) continue;
        f(ctx, (uint32_t)ticket, worker);
        if (atomic_fetch_add(&pool.done, 1) + 1 == n && atomic_load(&pool.awaited)) wake_all(&pool.done);
        ticket = atomic_load(&pool.ticket);
    }
    inside = false;
}

static void *worker_main(void *arg)
{
    const int worker = (int)(intptr_t)arg;
    uint32_t seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS && atomic_load(&pool.epoch) == seen; i++) pause_cpu();
        for (int i = 0; i < YIELDS && atomic_load(&pool.epoch) == seen; i++) sched_yield();
        while (atomic_load(&pool.epoch) == seen) {
            atomic_fetch_add(&pool.sleepers, 1);
            sleep_while(&pool.epoch, seen);
            atomic_fetch_sub(&pool.sleepers, 1);
        }
        seen = atomic_load(&pool.epoch);
        work(seen, worker);
    }
    return NULL;
}

/* Threads up to number `threads` - 1. Fewer, where the system gives no more: the loop still ends.
 */
static void start_workers(int threads)
{
    while (pool.started < threads - 1) {
        pthread_t thread;
        void *number = (void *)(intptr_t)(pool.started + 1);
        if (pthread_create(&thread, NULL, worker_main, number) != 0) return;
        pthread_detach(thread);
        pool.started++;
    }
}

static void run(uint32_t n, lrk_task f, void *ctx, int threads)
{
    start_workers(threads);
    const uint32_t number = atomic_load(&pool.epoch) + 1;
    lrk_job *job = &pool.job[number % JOBS];
    atomic_store_explicit(&job->f, f, memory_order_relaxed);
    atomic_store_explicit(&job->ctx, ctx, memory_order_relaxed);
    atomic_store_explicit(&job->n, n, memory_order_relaxed);
    atomic_store_explicit(&job->threads, threads, memory_order_relaxed);
    atomic_store(&pool.done, 0);
    atomic_store(&pool.ticket, (uint64_t)number << 32);
    atomic_store(&pool.epoch, number);
    if (atomic_load(&pool.sleepers)) wake_all(&pool.epoch);
    work(number, 0);
    for (int i = 0; i < SPINS && atomic_load(&pool.done) < n; i++) pause_cpu();
    for (int i = 0; i < YIELDS && atomic_load(&pool.done) < n; i++) sched_yield();
    if (atomic_load(&pool.done) == n) return;
    atomic_store(&pool.awaited, true);
    for (uint32_t done; (done = atomic_load(&pool.done)) < n;) sleep_while(&pool.done, done);
    atomic_store(&pool.awaited, false);
}

void lrk_parallel(size_t n, lrk_task f, void *ctx)
{
    const int threads = lrk_threads();
    /* a loop inside a loop, or beside another, runs on the thread that asks for it */
    if (threads > 1 && n > 1 && n < UINT32_MAX && !inside &&
        pthread_mutex_trylock(&pool.busy) == 0) {
        run((uint32_t)n, f, ctx, threads);
        pthread_mutex_unlock(&pool.busy);
        return;
    }
    for (size_t i = 0; i < n; i++) f(ctx, i, 0);
}

struct lrk_beside {
    pthread_t thread;
    void (*f)(void *ctx);
    void *ctx;
};

static void *beside(void *p)
{
    const lrk_beside *b = p;
    b->f(b->ctx);
    return NULL;
}

lrk_status lrk_beside_begin(void (*f)(void *ctx), void *ctx, lrk_beside **out, lrk_err *err)
{
    lrk_beside *b = lrk_heap_alloc(1, sizeof *b);
    *out = NULL;
    LRK_REQUIRE(err, b, LRK_ENOMEM, "memory: no room for a thread");
    b->f = f;
    b->ctx = ctx;
    if (pthread_create(&b->thread, NULL, beside, b) != 0) {
        lrk_heap_free(b);
        return lrk_fail(err, LRK_ENOMEM, "the system gives no more threads");
    }
    *out = b;
    return LRK_OK;
}

void lrk_beside_end(lrk_beside *b)
{
    if (!b) return;
    pthread_join(b->thread, NULL);
    lrk_heap_free(b);
}

static int processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
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
