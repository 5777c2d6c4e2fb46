/* kernels/embed/embed_cpu.c -- forward: a task is a range of tokens; backward: of columns, so that
 * tokens with the same id meet in one task, in order. */
#include "base/quant.h"
#include "base/size.h"
#include "base/threads.h"
#include "kernels/embed/embed.h"
#include "kernels/real.h"

void LRK_KERNEL(embed, fwd)(const lrk_call *c);
void LRK_KERNEL(embed, bwd)(const lrk_call *c);

enum { ROWS = 32, COLUMNS = 64 };

static lrk_real scale_of(const lrk_call *c)
{
    const lrk_embed_attr *a = c->attr;
    return a->scale == 0.0 ? 1 : (lrk_real)a->scale;
}

/* Row of the table as stored numbers become lrk_real: decoded into room where need be. */
static void copy_row(const lrk_tensor *table, size_t v, lrk_real scale, lrk_store *y, float *room)
{
    const size_t C = lrk_cols(table);
    if (table->dtype == LRK_REAL_DTYPE) {
        const lrk_store *row = lrk_row(table, v);
        for (size_t i = 0; i < C; i++) lrk_put(y, i, scale * lrk_get(row, i));
        return;
    }
    lrk_to_f32(table->dtype, lrk_row(table, v), C, room);
    for (size_t i = 0; i < C; i++) lrk_put(y, i, scale * (lrk_real)room[i]);
}

static void forward_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *table = c->in[LRK_EMBED_TABLE], *y = c->out[LRK_EMBED_Y];
    const int32_t *ids = c->in[LRK_EMBED_IDS]->data;
    const size_t C = lrk_cols(table), end = lrk_min(lrk_rows(y), (task + 1) * ROWS);
    for (size_t t = task * ROWS; t < end; t++) {
        /* an f32 row is decoded where it belongs; any other needs a place before it is rounded */
        float *room = LRK_REAL_DTYPE == LRK_F32 ? lrk_row(y, t) : (float *)c->scratch + t * C;
        copy_row(table, (size_t)ids[t], scale_of(c), lrk_row(y, t), room);
    }
}

void LRK_KERNEL(embed, fwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->out[LRK_EMBED_Y]), ROWS), forward_rows, &c);
}

static void add_stored(lrk_store *to, const lrk_store *from, lrk_real scale, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) lrk_put(to, i, lrk_get(to, i) + scale * lrk_get(from, i));
}

/* To a table that is f32 while the model computes in bf16. */
static void add_wide(float *to, const lrk_store *from, lrk_real scale, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) to[i] += (float)(scale * lrk_get(from, i));
}

static void backward_columns(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_tensor *dtable = c->din[LRK_EMBED_TABLE], *dy = c->dout[LRK_EMBED_Y];
    const int32_t *ids = c->in[LRK_EMBED_IDS]->data;
    const size_t first = task * COLUMNS, n = lrk_min(lrk_cols(dy) - first, COLUMNS);
    const lrk_real scale = scale_of(c);
    const size_t padding = ((const lrk_embed_attr *)c->attr)->padding;
    for (size_t t = 0; t < lrk_rows(dy); t++) {
        const lrk_store *from = (const lrk_store *)lrk_row(dy, t) + first;
        void *row = lrk_row(dtable, (size_t)ids[t]);
        if ((size_t)ids[t] + 1 == padding) continue;
        if (dtable->dtype == LRK_REAL_DTYPE)
            add_stored((lrk_store *)row + first, from, scale, n);
        else
            add_wide((float *)row + first, from, scale, n);
    }
}

void LRK_KERNEL(embed, bwd)(const lrk_call *c)
{
    if (!c->din[LRK_EMBED_TABLE]) return;
    lrk_parallel(lrk_ceil_div(lrk_cols(c->dout[LRK_EMBED_Y]), COLUMNS), backward_columns, &c);
}
