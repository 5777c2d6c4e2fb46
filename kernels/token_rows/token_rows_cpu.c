/* kernels/token_rows/token_rows_cpu.c -- forward and dx: a task is a range of tokens; drows: of columns, so that
 * tokens with the same id meet in one task, in order. */
#include "base/row_list.h"
#include "base/size.h"
#include "base/threads.h"
#include "kernels/real.h"
#include "kernels/token_rows/token_rows.h"

void LRK_KERNEL(token_rows, fwd)(const lrk_call *c);
void LRK_KERNEL(token_rows, bwd)(const lrk_call *c);

enum { ROWS = 32, COLUMNS = 64 };

static lrk_real scale_of(const lrk_call *c)
{
    const lrk_token_rows_attr *a = c->attr;
    return a->scale == 0.0 ? 1 : (lrk_real)a->scale;
}

/* The row that stands for token t, or as many as there are. */
static size_t place_of(const lrk_call *c, size_t t)
{
    const lrk_tensor *index = c->in[LRK_TOKEN_ROWS_INDEX];
    return lrk_row_place(index->data, lrk_count(index), ((const int32_t *)c->in[LRK_TOKEN_ROWS_IDS]->data)[t]);
}

static void forward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *x = c->in[LRK_TOKEN_ROWS_X], *rows = c->in[LRK_TOKEN_ROWS_ROWS];
    const lrk_tensor *y = c->out[LRK_TOKEN_ROWS_Y];
    const lrk_real scale = scale_of(c);
    const size_t C = lrk_cols(x), end = lrk_min(lrk_rows(x), (task + 1) * ROWS);
    for (size_t t = task * ROWS; t < end; t++) {
        const size_t k = place_of(c, t);
        lrk_store *to = lrk_row(y, t);
        if (k < lrk_rows(rows)) {
            const lrk_real *from = lrk_row(rows, k);
            for (size_t i = 0; i < C; i++) lrk_put(to, i, scale * from[i]);
        } else if (y->data != x->data) {
            memcpy(to, lrk_row(x, t), C * sizeof *to);
        }
    }
}

void LRK_KERNEL(token_rows, fwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->in[LRK_TOKEN_ROWS_X]), ROWS), forward_rows, &c);
}

static void backward_columns(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_token_rows_attr *a = c->attr;
    const lrk_tensor *drows = c->din[LRK_TOKEN_ROWS_ROWS], *dy = c->dout[LRK_TOKEN_ROWS_Y];
    const int32_t *ids = c->in[LRK_TOKEN_ROWS_IDS]->data;
    const size_t first = task * COLUMNS, n = lrk_min(lrk_cols(dy) - first, COLUMNS);
    const lrk_real scale = scale_of(c);
    for (size_t k = 0; k < lrk_rows(drows) && c->fresh >> LRK_TOKEN_ROWS_ROWS & 1; k++)
        memset((lrk_real *)lrk_row(drows, k) + first, 0, n * sizeof(lrk_real));
    for (size_t t = 0; t < lrk_rows(dy); t++) {
        const size_t k = place_of(c, t);
        if (k == lrk_rows(drows) || (size_t)ids[t] + 1 == a->padding) continue;
        const lrk_store *from = (const lrk_store *)lrk_row(dy, t) + first;
        lrk_real *to = (lrk_real *)lrk_row(drows, k) + first;
#pragma omp simd
        for (size_t i = 0; i < n; i++) to[i] += scale * lrk_get(from, i);
    }
}

/* dx may lie where dy does. */
static void pass_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *dx = c->din[LRK_TOKEN_ROWS_X], *dy = c->dout[LRK_TOKEN_ROWS_Y];
    const size_t N = lrk_count(c->in[LRK_TOKEN_ROWS_INDEX]);
    const bool same = dx->data == dy->data, fresh = same || c->fresh >> LRK_TOKEN_ROWS_X & 1;
    const size_t C = lrk_cols(dy), end = lrk_min(lrk_rows(dy), (task + 1) * ROWS);
    for (size_t t = task * ROWS; t < end; t++) {
        const bool stays = place_of(c, t) == N;
        const lrk_store *from = lrk_row(dy, t);
        lrk_store *to = lrk_row(dx, t);
        for (size_t i = 0; i < C && (fresh || stays); i++) {
            const lrk_real add = stays ? lrk_get(from, i) : 0;
            lrk_put(to, i, fresh ? add : lrk_get(to, i) + add);
        }
    }
}

void LRK_KERNEL(token_rows, bwd)(const lrk_call *c)
{
    const lrk_tensor *dy = c->dout[LRK_TOKEN_ROWS_Y];
    if (c->din[LRK_TOKEN_ROWS_ROWS]) lrk_parallel(lrk_ceil_div(lrk_cols(dy), COLUMNS), backward_columns, &c);
    if (c->din[LRK_TOKEN_ROWS_X]) lrk_parallel(lrk_ceil_div(lrk_rows(dy), ROWS), pass_rows, &c);
}
