/* kernels/rope_table/rope_table.h -- cosines and sines for kernels/rope/, once for all layers and
 * heads.
 *
 *   forward    table[t,k]       = f * cos(position(t) * freq[k])      k < R / 2
 *              table[t,R/2 + k] = f * sin(position(t) * freq[k])
 *   backward   none: positions and frequencies are nobody's parameters
 *
 * position(t) is that of the segment table: POSITION + index in the segment. f is the attention
 * factor of YaRN and LongRoPE, else 1. A model makes one table for each set of frequencies that it
 * has; where queries grow with their position (Llama 4, Ministral 3) one more for them, with
 *
 *   f(t) = f * (1 + temperature * ln(1 + floor(position(t) / step)))
 *
 * Two rows of frequencies: documents that go beyond `long_from` tokens take the second (LongRoPE). How
 * long a document is, is what its segment has shown so far: POSITION + LENGTH.
 *
 * Angles are computed in f64 whatever the type: at position 30000 an f32 angle is off by 1e-3.
 *
 * Su et al., "RoFormer", 2021. freq[k] = theta^(-2k/R), changed by the model's scaling rule, is the
 * caller's business.
 */
#ifndef LRK_KERNELS_ROPE_TABLE_H
#define LRK_KERNELS_ROPE_TABLE_H
#include "kernels/op.h"

/*   in[SEGMENTS]  (S, 6)   i32, base/segments.h
 *   in[FREQ]      (R / 2) or (2, R / 2)  f32 or f64
 *   in[TOKENS]    (T)      i32: the ids of the run, of which only the number counts
 *   out[TABLE]    (T, R)   like FREQ: f32 whatever the compute type of the model
 */
enum { LRK_ROPE_TABLE_SEGMENTS, LRK_ROPE_TABLE_FREQ, LRK_ROPE_TABLE_TOKENS };
enum { LRK_ROPE_TABLE_TABLE };

typedef struct lrk_rope_table_attr {
    double attention_factor; /* f; 0 counts as 1 */
    size_t long_from;        /* tokens; asked only where there are two rows */
    double temperature;      /* 0: f for all */
    double step;             /* tokens, asked only where there is a temperature */
} lrk_rope_table_attr;

/* infer: LRK_ESHAPE when segments, frequencies or tokens are not of that shape, LRK_ESUPPORT for
 * frequencies of another type. No scratch memory. */
extern const lrk_op lrk_op_rope_table;

#endif /* LRK_KERNELS_ROPE_TABLE_H */
