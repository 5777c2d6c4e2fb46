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
 * All f32, n elements; equal bits for any number of threads, and on every run of one GPU.
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

/* In host memory. */
double lrk_norm(const float *g, size_t n);
void lrk_adamw_step(const lrk_adamw *o, float *p, const float *g, float *m, float *v, size_t n);

/* On the GPU, so that a recorded step can be run again: all that it depends on lies in the device's memory.
 * The host uploads it whole before each step; the norm pass fills in the rest and the step reads it. A norm
 * that is not finite leaves everything as it is: the host, who sees it when it downloads this, must not
 * count that step. */
typedef struct lrk_adamw_values {
    float keep[2], rate[2]; /* 1 - lr * decay, lr / (1 - beta1^t); [1]: with lr * ratio for lr */
    float root;             /* 1 / sqrt(1 - beta2^t) */
    float beta1, beta2, rest1, rest2, eps; /* rest: 1 - beta */
    float clip;             /* by the norm pass: min(1, max_norm / (norm + 1e-6)) */
    double max_norm;        /* 0: no clipping */
    double norm;            /* by the norm pass: the one before clipping */
} lrk_adamw_values;

/* o->clip does not count. */
lrk_adamw_values lrk_adamw_values_of(const lrk_adamw *o, double ratio, double max_norm);

/* Elements of a chunk of the GPU's norm, and bytes of its workspace, for n elements. */
size_t lrk_norm_chunk(size_t n);
size_t lrk_norm_scratch(size_t n);

/* All pointers are the device's. which: of keep and rate. shadow: where the new parameters are written as bf16
 * too, or NULL; lrk_shadow_cuda writes it of parameters that came from elsewhere. There where the program was
 * built with CUDA. */
__attribute__((weak)) void lrk_norm_cuda(const float *g, size_t n, void *scratch,
                                         lrk_adamw_values *values);
__attribute__((weak)) void lrk_adamw_step_cuda(const lrk_adamw_values *values, int which, float *p,
                                               const float *g, float *m, float *v, uint16_t *shadow,
                                               size_t n);
__attribute__((weak)) void lrk_shadow_cuda(const float *p, uint16_t *shadow, size_t n);

#endif /* LRK_KERNELS_ADAMW_H */
