/* kernels/heads/heads_cpu.c -- a task is a range of tokens with all their heads. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/heads/heads.h"
#include "kernels/real.h"

void LRK_KERNEL(heads, fwd)(const lrk_call *c);
void LRK_KERNEL(heads, bwd)(const lrk_call *c);

enum { ROWS = 16 };

static void forward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_heads_attr *a = c->attr;
    const lrk_tensor *y = c->out[LRK_HEADS_Y];
    const size_t end = lrk_min(lrk_rows(y), (task + 1) * ROWS);
    for (size_t t = task * ROWS; t < end; t++) {
        lrk_store *to = lrk_row(y, t);
        for (size_t h = 0; h < a->heads; h++, to += a->head) {
            size_t at = 0;
            for (int i = LRK_HEADS_A; i <= LRK_HEADS_B; i++) {
                const lrk_heads_piece *p = &a->piece[i];
                if (!c->in[i]) continue;
                const lrk_store *from = (const lrk_store *)lrk_row(c->in[i], t) + h * p->step + p->first;
                memcpy(to + at, from, p->n * sizeof *to);
                at += p->n;
            }
            for (; at < a->head; at++) lrk_put(to, at, 0);
        }
    }
}

void LRK_KERNEL(heads, fwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->out[LRK_HEADS_Y]), ROWS), forward_rows, &c);
}

/* Number i of a piece, for every head: the heads of a shared piece are summed in order. */
static void piece_back(const lrk_heads_attr *a, const lrk_heads_piece *p, const lrk_store *dy, lrk_store *d)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->step == 0) {
            lrk_real sum = 0;
            for (size_t h = 0; h < a->heads; h++) sum += lrk_get(dy, h * a->head + i);
            lrk_put(d, p->first + i, lrk_get(d, p->first + i) + sum);
            continue;
        }
        for (size_t h = 0; h < a->heads; h++) {
            const size_t at = h * p->step + p->first + i;
            lrk_put(d, at, lrk_get(d, at) + lrk_get(dy, h * a->head + i));
        }
    }
}

static void backward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_heads_attr *a = c->attr;
    const lrk_tensor *dy = c->dout[LRK_HEADS_Y];
    const size_t end = lrk_min(lrk_rows(dy), (task + 1) * ROWS);
    for (size_t t = task * ROWS; t < end; t++) {
        const lrk_store *from = lrk_row(dy, t);
        for (int i = LRK_HEADS_A; i <= LRK_HEADS_B; i++) {
            if (c->din[i]) piece_back(a, &a->piece[i], from, lrk_row(c->din[i], t));
            from += c->in[i] ? a->piece[i].n : 0;
        }
    }
}

void LRK_KERNEL(heads, bwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->dout[LRK_HEADS_Y]), ROWS), backward_rows, &c);
}
