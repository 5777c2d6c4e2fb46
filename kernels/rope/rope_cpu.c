/* kernels/rope/rope_cpu.c -- a task is a range of tokens: their angles first, then all heads. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/real.h"
#include "kernels/rope/rope.h"
#include "kernels/segments.h"

void LRK_KERNEL(rope, fwd)(const lrk_call *c);
void LRK_KERNEL(rope, bwd)(const lrk_call *c);

enum { ROWS = 16 };

typedef struct job {
    const lrk_call *call;
    const lrk_tensor *from, *to;
    bool back, add;
} job;

/* cos and sin of one token, factor included: [R/2] and [R/2] */
static void angles(const lrk_call *c, double position, lrk_real *cosine, lrk_real *sine)
{
    const lrk_rope_attr *a = c->attr;
    const lrk_tensor *freq = c->in[LRK_ROPE_FREQ];
    const double f = a->attention_factor == 0.0 ? 1.0 : a->attention_factor;
    for (size_t k = 0; k < a->rotary / 2; k++) {
        const double w = freq->dtype == LRK_F64 ? ((const double *)freq->data)[k]
                                                : (double)((const float *)freq->data)[k];
        cosine[k] = (lrk_real)(f * cos(position * w));
        sine[k] = (lrk_real)(f * sin(position * w));
    }
}

static inline void store(lrk_store *to, size_t i, lrk_real v, bool add)
{
    lrk_put(to, i, add ? lrk_get(to, i) + v : v);
}

/* Both numbers of a pair are read before either is written: from may be to. */
static void turn(const lrk_rope_attr *a, const lrk_store *from, lrk_store *to,
                 const lrk_real *cosine, const lrk_real *sine, bool add)
{
    const size_t half = a->rotary / 2, step = a->interleaved ? 2 : 1, gap = a->interleaved ? 1 : half;
    if (step == 1) {
#pragma omp simd
        for (size_t k = 0; k < half; k++) {
            const lrk_real x1 = lrk_get(from, k), x2 = lrk_get(from, k + gap);
            store(to, k, x1 * cosine[k] - x2 * sine[k], add);
            store(to, k + gap, x1 * sine[k] + x2 * cosine[k], add);
        }
    } else {
#pragma omp simd
        for (size_t k = 0; k < half; k++) {
            const lrk_real x1 = lrk_get(from, 2 * k), x2 = lrk_get(from, 2 * k + 1);
            store(to, 2 * k, x1 * cosine[k] - x2 * sine[k], add);
            store(to, 2 * k + 1, x1 * sine[k] + x2 * cosine[k], add);
        }
    }
    if (from != to || add)
        for (size_t i = a->rotary; i < a->head; i++) store(to, i, lrk_get(from, i), add);
}

static void rotate_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const job *j = ctx;
    const lrk_rope_attr *a = j->call->attr;
    const lrk_tensor *segments = j->call->in[LRK_ROPE_SEGMENTS];
    const size_t half = a->rotary / 2, end = lrk_min(lrk_rows(j->from), (task + 1) * ROWS);
    size_t s = 0;
    for (size_t t = task * ROWS; t < end; t++) {
        while (s + 1 < lrk_rows(segments) && lrk_segment(segments, s + 1)[LRK_SEG_START] <= (int32_t)t)
            s++;
        const int32_t *segment = lrk_segment(segments, s);
        const double position = (double)segment[LRK_SEG_POSITION] + (double)t - (double)segment[LRK_SEG_START];
        lrk_real *cosine = (lrk_real *)j->call->scratch + t * a->rotary, *sine = cosine + half;
        angles(j->call, position, cosine, sine);
        if (j->back)
            for (size_t k = 0; k < half; k++) sine[k] = -sine[k];
        const lrk_store *from = lrk_row(j->from, t);
        lrk_store *to = lrk_row(j->to, t);
        for (size_t h = 0; h < lrk_cols(j->from); h += a->head)
            turn(a, from + h, to + h, cosine, sine, j->add);
    }
}

void LRK_KERNEL(rope, fwd)(const lrk_call *c)
{
    job j = {.call = c, .from = c->in[LRK_ROPE_X], .to = c->out[LRK_ROPE_Y]};
    lrk_parallel(lrk_ceil_div(lrk_rows(j.from), ROWS), rotate_rows, &j);
}

void LRK_KERNEL(rope, bwd)(const lrk_call *c)
{
    job j = {.call = c, .from = c->dout[LRK_ROPE_Y], .to = c->din[LRK_ROPE_X], .back = true};
    if (!j.to) return;
    j.add = j.to->data != j.from->data && !(c->fresh >> LRK_ROPE_X & 1);
    lrk_parallel(lrk_ceil_div(lrk_rows(j.from), ROWS), rotate_rows, &j);
}
