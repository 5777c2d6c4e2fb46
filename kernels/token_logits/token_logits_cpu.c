/* kernels/token_logits/token_logits_cpu.c -- a task is a range of rows. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/real.h"
#include "kernels/token_logits/token_logits.h"

void LRK_KERNEL(token_logits, fwd)(const lrk_call *c);

enum { ROWS = 32 };

static void forward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *x = c->in[LRK_TOKEN_LOGITS_X], *r = c->in[LRK_TOKEN_LOGITS_R];
    const lrk_tensor *y = c->out[LRK_TOKEN_LOGITS_Y];
    const int32_t *index = c->in[LRK_TOKEN_LOGITS_INDEX]->data;
    const size_t end = lrk_min(lrk_rows(x), (task + 1) * ROWS);
    for (size_t t = task * ROWS; t < end; t++) {
        const lrk_store *from = lrk_row(r, t);
        lrk_store *to = lrk_row(y, t);
        if (y->data != x->data) memcpy(to, lrk_row(x, t), lrk_cols(x) * sizeof *to);
        for (size_t k = 0; k < lrk_cols(r); k++) to[index[k]] = from[k];
    }
}

void LRK_KERNEL(token_logits, fwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->in[LRK_TOKEN_LOGITS_X]), ROWS), forward_rows, &c);
}
