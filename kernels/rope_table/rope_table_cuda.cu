/* kernels/rope_table/rope_table_cuda.cu -- a thread computes one angle, in f64. */
#include "kernels/segments.cuh"
extern "C" {
#include "kernels/rope_table/rope_table.h"
}

static __global__ void fill(const int32_t *segments, size_t n_segments, lrk_view<const float> freq,
                            lrk_view<float> table, size_t tokens, size_t half, double factor, bool two,
                            size_t long_from, double temperature, double step)
{
    LRK_FOR_ROWS(t, tokens)
    {
        const int32_t *segment = lrk_segment_of(segments, n_segments, t);
        const double position =
            (double)segment[LRK_SEG_POSITION] + (double)t - (double)segment[LRK_SEG_START];
        const size_t length = (size_t)segment[LRK_SEG_POSITION] + (size_t)segment[LRK_SEG_LENGTH];
        const double grown = temperature == 0.0 ? 1.0 : 1.0 + temperature * log(1.0 + floor(position / step));
        const double scale = factor * grown;
        const float *f = freq.at(two && length > long_from, 0);
        LRK_FOR_ITEMS(k, half)
        {
            double sine, cosine;
            sincos(position * (double)f[k], &sine, &cosine);
            *table.at(t, k) = (float)(scale * cosine);
            *table.at(t, half + k) = (float)(scale * sine);
        }
    }
}

extern "C" void lrk_rope_table_fwd_f32_cuda(const lrk_call *c)
{
    const lrk_tensor *segments = c->in[LRK_ROPE_TABLE_SEGMENTS];
    const lrk_tensor *table = c->out[LRK_ROPE_TABLE_TABLE];
    const lrk_rope_table_attr *a = static_cast<const lrk_rope_table_attr *>(c->attr);
    const size_t tokens = lrk_rows(table), half = lrk_cols(table) / 2;
    const lrk_walk w = lrk_walk_over(tokens, half);
    LRK_LAUNCH(fill, w.grid, w.block, 0, lrk_data<const int32_t>(segments), lrk_rows(segments),
               lrk_view_of<const float>(c->in[LRK_ROPE_TABLE_FREQ]), lrk_view_of<float>(table), tokens,
               half, a->attention_factor == 0.0 ? 1.0 : a->attention_factor,
               lrk_rows(c->in[LRK_ROPE_TABLE_FREQ]) == 2, a->long_from, a->temperature, a->step);
}
