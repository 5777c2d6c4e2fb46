/* kernels/rope_table/rope_table_cpu.c -- a task is a range of tokens. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/real.h"
#include "kernels/rope_table/rope_table.h"
#include "kernels/segments.h"

void LRK_KERNEL(rope_table, fwd)(const lrk_call *c);

enum { ROWS = 16 };

static void fill_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const lrk_rope_table_attr *a = c->attr;
    const lrk_tensor *segments = c->in[LRK_ROPE_TABLE_SEGMENTS],
                     *table = c->out[LRK_ROPE_TABLE_TABLE];
    const lrk_tensor *frequencies = c->in[LRK_ROPE_TABLE_FREQ];
    const size_t half = lrk_cols(table) / 2, end = lrk_min(lrk_rows(table), (task + 1) * ROWS);
    const double usual = a->attention_factor == 0.0 ? 1.0 : a->attention_factor;
    size_t s = 0;
    for (size_t t = task * ROWS; t < end; t++) {
        while (s + 1 < lrk_rows(segments) &&
               lrk_segment(segments, s + 1)[LRK_SEG_START] <= (int32_t)t)
            s++;
        const int32_t *segment = lrk_segment(segments, s);
        const double position =
            (double)segment[LRK_SEG_POSITION] + (double)t - (double)segment[LRK_SEG_START];
        const double growth = a->temperature == 0.0 ? 0.0 : a->temperature * log(1.0 + floor(position / a->step));
        const double f = usual * (1.0 + growth);
        const size_t length = (size_t)segment[LRK_SEG_POSITION] + (size_t)segment[LRK_SEG_LENGTH];
        const bool second = lrk_rows(frequencies) == 2 && length > a->long_from;
        const lrk_real *freq = lrk_row(frequencies, second);
        lrk_real *cosine = lrk_row(table, t), *sine = cosine + half;
        for (size_t k = 0; k < half; k++) {
            const double angle = position * (double)freq[k];
            cosine[k] = (lrk_real)(f * cos(angle));
            sine[k] = (lrk_real)(f * sin(angle));
        }
    }
}

void LRK_KERNEL(rope_table, fwd)(const lrk_call *c)
{
    lrk_parallel(lrk_ceil_div(lrk_rows(c->out[LRK_ROPE_TABLE_TABLE]), ROWS), fill_rows, &c);
}
