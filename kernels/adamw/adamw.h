/* kernels/adamw/adamw.h -- the optimizer's two passes over all adapters at once. Not ops: they have
 * no gradient.
 *
 *   norm      |g| = sqrt(sum_i g[i]^2), in f64, over fixed chunks folded in order
 *   step t    p -= lr * decay * p
 *   (1, ...)  m  = beta1 * m + (1 - beta1) * c * g          c: clip factor
 *             v  = beta2 * v + (1 - beta2) * (c * g)^2
 *             p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 *
 * Source: Loshchilov and Hutter, 2019, in the order of operations of torch.optim.AdamW. With a zero
 * gradient and zero moments p only decays: 0 / (0 + eps) is 0.
 * All f32, n elements, host memory; equal bits for any number of threads.
 */
#ifndef LRK_KERNELS_ADAMW_H
#define LRK_KERNELS_ADAMW_H
#include <stddef.h>
#include <stdint.h>

typedef struct lrk_adamw {
    double learning_rate, beta1, beta2, eps, decay;
    double clip;   /* every gradient is multiplied by it first */
    uint64_t step; /* counts from 1 */
} lrk_adamw;

double lrk_norm(const float *g, size_t n);
void lrk_adamw_step(const lrk_adamw *o, float *p, const float *g, float *m, float *v, size_t n);

#endif /* LRK_KERNELS_ADAMW_H */
