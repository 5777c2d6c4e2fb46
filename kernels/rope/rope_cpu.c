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

static inline void store(lrk_store *to, size_t i, lrk_real v, bool add)
{
    lrk_put(to, i, add ? lrk_get(to, i) + v : v);
}

/* Both numbers of a pair are read before either is written: from may be to. */
static void turn(const job *j, const lrk_store *from, lrk_store *to, const lrk_real *cosine)
{
    const size_t rotary = lrk_cols(j->table), half = rotary / 2;
    const lrk_real *sine = cosine + half, direction = j->direction;
    const bool add = j->add;
    if (j->attr->interleaved) {
#pragma omp simd
        for (size_t k = 0; k < half; k++) {
            const lrk_real x1 = lrk_get(from, 2 * k), x2 = lrk_get(from, 2 * k + 1);
            const lrk_real s = direction * sine[k];
            store(to, 2 * k, x1 * cosine[k] - x2 * s, add);
            store(to, 2 * k + 1, x1 * s + x2 * cosine[k], add);
        }
    } else {
#pragma omp simd
        for (size_t k = 0; k < half; k++) {
            const lrk_real x1 = lrk_get(from, k), x2 = lrk_get(from, k + half);
            const lrk_real s = direction * sine[k];
            store(to, k, x1 * cosine[k] - x2 * s, add);
            store(to, k + half, x1 * s + x2 * cosine[k], add);
        }
    }
    if (from != to || add)
        for (size_t i = rotary; i < j->attr->head; i++) store(to, i, lrk_get(from, i), add);
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

void LRK_KERNEL(rope, fwd)(const lrk_call *c)
{
    job j = {c->in[LRK_ROPE_X], c->out[LRK_ROPE_Y], c->in[LRK_ROPE_TABLE], c->attr, 1, false};
    lrk_parallel(lrk_ceil_div(lrk_rows(j.from), ROWS), rotate_rows, &j);
}

void LRK_KERNEL(rope, bwd)(const lrk_call *c)
{
    job j = {c->dout[LRK_ROPE_Y], c->din[LRK_ROPE_X], c->in[LRK_ROPE_TABLE], c->attr, -1, false};
    if (!j.to) return;
    j.add = j.to->data != j.from->data && !(c->fresh >> LRK_ROPE_X & 1);
    lrk_parallel(lrk_ceil_div(lrk_rows(j.from), ROWS), rotate_rows, &j);
}
