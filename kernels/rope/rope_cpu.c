/* kernels/rope/rope_cpu.c -- a task is a range of tokens with all their heads. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/real.h"
#include "kernels/rope/rope.h"

void LRK_KERNEL(rope, fwd)(const lrk_call *c);
void LRK_KERNEL(rope, bwd)(const lrk_call *c);

enum { ROWS = 16 };

typedef struct job {
    const lrk_tensor *from, *to, *table;
    const lrk_rope_attr *attr;
    lrk_real direction; /* -1: backward */
    bool add;
} job;

/* Number i of pair k. */
static inline size_t place(size_t k, size_t i, size_t half, bool interleaved)
{
    return interleaved ? 2 * k + i : k + i * half;
}

/* A head; interleaved and add are constants wherever this is inlined, which makes vector code of it.
 * Both numbers of a pair are read before either is written: from may be to. */
static inline __attribute__((always_inline)) void
turn_pairs(const lrk_store *from, lrk_store *to, const lrk_real *cosine, size_t half,
           lrk_real direction, bool interleaved, bool add)
{
    const lrk_real *sine = cosine + half;
#pragma omp simd
    for (size_t k = 0; k < half; k++) {
        const size_t one = place(k, 0, half, interleaved), two = place(k, 1, half, interleaved);
        const lrk_real x1 = lrk_get(from, one), x2 = lrk_get(from, two), s = direction * sine[k];
        const lrk_real y1 = x1 * cosine[k] - x2 * s, y2 = x1 * s + x2 * cosine[k];
        lrk_put(to, one, add ? lrk_get(to, one) + y1 : y1);
        lrk_put(to, two, add ? lrk_get(to, two) + y2 : y2);
    }
}

static void turn(const job *j, const lrk_store *from, lrk_store *to, const lrk_real *cosine)
{
    const size_t rotary = lrk_cols(j->table), half = rotary / 2;
    if (j->attr->interleaved && j->add)
        turn_pairs(from, to, cosine, half, j->direction, true, true);
    else if (j->attr->interleaved)
        turn_pairs(from, to, cosine, half, j->direction, true, false);
    else if (j->add)
        turn_pairs(from, to, cosine, half, j->direction, false, true);
    else
        turn_pairs(from, to, cosine, half, j->direction, false, false);
    for (size_t i = rotary; from != to && i < j->attr->head; i++)
        lrk_put(to, i, j->add ? lrk_get(to, i) + lrk_get(from, i) : lrk_get(from, i));
}

static void rotate_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const size_t end = lrk_min(lrk_rows(j->from), (task + 1) * ROWS);
    for (size_t t = task * ROWS; t < end; t++) {
        const lrk_store *from = lrk_row(j->from, t);
        lrk_store *to = lrk_row(j->to, t);
        for (size_t h = 0; h < lrk_cols(j->from); h += j->attr->head)
            turn(j, from + h, to + h, lrk_row(j->table, t));
    }
}

static void rotate(const lrk_call *c, const lrk_tensor *from, const lrk_tensor *to, lrk_real direction, bool add)
{
    job j = {from, to, c->in[LRK_ROPE_TABLE], c->attr, direction, add};
    lrk_parallel(lrk_ceil_div(lrk_rows(from), ROWS), rotate_rows, &j);
}

void LRK_KERNEL(rope, fwd)(const lrk_call *c)
{
    rotate(c, c->in[LRK_ROPE_X], c->out[LRK_ROPE_Y], 1, false);
    if (c->in[LRK_ROPE_X2]) rotate(c, c->in[LRK_ROPE_X2], c->out[LRK_ROPE_Y2], 1, false);
}

static void rotate_back(const lrk_call *c, int in, int out)
{
    const lrk_tensor *dy = c->dout[out], *dx = c->din[in];
    if (dx) rotate(c, dy, dx, -1, dx->data != dy->data && !(c->fresh >> in & 1));
}

void LRK_KERNEL(rope, bwd)(const lrk_call *c)
{
    rotate_back(c, LRK_ROPE_X, LRK_ROPE_Y);
    rotate_back(c, LRK_ROPE_X2, LRK_ROPE_Y2);
}
