/* kernels/attention/attention.h -- causal attention over a packed run, in blocks: no T x T memory.
 *
 * For token t, query head h and the key head g = h / (H / Kh) that its group shares:
 *   forward    s[n]     = scale * sum_d(Q[t,h,d] * K[n,g,d]),  or cap * tanh(of that / cap)
 *              LSE[t,h] = log(sum_n(exp(s[n])))              n: the keys that t sees
 *              O[t,h,d] = sum_n(p[n] * V[n,g,d]),  p[n] = exp(s[n] - LSE[t,h])
 *   backward   delta    = sum_d(dO[t,h,d] * O[t,h,d])
 *              ds[n]    = p[n] * (sum_d(dO[t,h,d] * V[n,g,d]) - delta) * (1 - (s[n] / cap)^2)
 *              dQ[t,h,d] += scale * sum_n(ds[n] * K[n,g,d])
 *              dK[n,g,d] += scale * sum_t,h(ds[n] * Q[t,h,d])
 *              dV[n,g,d] += sum_t,h(p[n] * dO[t,h,d])
 * (the factor 1 - (s/cap)^2 only with a cap). A token sees the keys that base/segments.h says,
 * within the window where there is one. A row that sees nothing gives zeros.
 *
 * Method: FlashAttention-2 (Dao, 2023): probabilities are computed again in backward, from LSE.
 * Forward: a task is a block of queries of one group. Backward: the blocks of queries are dealt out
 * to a fixed number of lanes of equal work; a lane sums its own dK and dV, and the lanes are added
 * in order at the end: the same bits for any number of threads.
 * On a GPU: splits.h, and the heads of attention_cuda.cu and attention_backward_cuda.cu. bf16 runs on
 * tensor cores, with P and dS rounded to bf16, where head size and rows are whole numbers of 16 bytes;
 * everything else in f32.
 *
 * T: tokens.   N: rows of K and V (T in training, rows of the cache when decoding).   D: head size.
 */
#ifndef LRK_KERNELS_ATTENTION_H
#define LRK_KERNELS_ATTENTION_H
#include "kernels/op.h"

/*   in[Q]         (T, H * D)   f32 | bf16 | f64; rows may be strided
 *   in[K], in[V]  (N, Kh * D)  like Q
 *   in[SEGMENTS]  (S, 6)       i32
 *   out[O]        (T, H * D)   like Q
 *   saved[LSE]    (T, H)       f32, or f64 when Q is f64
 * Products and sums in f32 (f64 in f64) whatever the type.
 */
enum { LRK_ATTENTION_Q, LRK_ATTENTION_K, LRK_ATTENTION_V, LRK_ATTENTION_SEGMENTS };
enum { LRK_ATTENTION_O };
enum { LRK_ATTENTION_LSE };

typedef struct lrk_attention_attr {
    size_t heads, kv_heads, head; /* H, Kh, D */
    double scale;                 /* usually 1 / sqrt(D) */
    size_t window;                /* keys a token sees at most, itself included; 0: all */
    double softcap;               /* 0: none */
} lrk_attention_attr;

/* Largest head size, and largest number of query heads that share a key head. */
enum { LRK_ATTENTION_MAX_HEAD = 256, LRK_ATTENTION_MAX_GROUP = 48 };

/* infer: LRK_ESHAPE when widths do not fit the numbers of heads; LRK_ESUPPORT beyond the limits
 * above; LRK_EVALUE for a scale or cap that is not finite or negative. Scratch memory, backward: two
 * f32 copies of K for each lane; on a GPU 8 bytes for each query row, and two f32 copies of K for each
 * split where there are splits. */
extern const lrk_op lrk_op_attention;

#endif /* LRK_KERNELS_ATTENTION_H */
