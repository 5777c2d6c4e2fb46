/* kernels/linear/products.h -- what linear does on every device: its matrix products, and the order of
 * the steps around them. A kernel file brings the steps that go element by element. */
#ifndef LRK_KERNELS_LINEAR_PRODUCTS_H
#define LRK_KERNELS_LINEAR_PRODUCTS_H
#include "kernels/linear/linear.h"
#include "kernels/linear/one_reading.h"

typedef struct lrk_linear_steps {
    /* to[t,i] = m from[t,i], or += with add: m is 0 with probability p, else 1 / (1 - p), drawn for
     * element t * width + i */
    void (*mask)(const lrk_call *c, const lrk_tensor *from, const lrk_tensor *to, bool add);
    /* dbias[o] += sum_t(dy[t,o]), or = when it is fresh */
    void (*add_bias_gradient)(const lrk_tensor *dy, const lrk_tensor *dbias, bool fresh);
    bool (*read_once)(const lrk_one_reading *o); /* or NULL */
} lrk_linear_steps;

/* Whether the results lie side by side, so that weights which lie one below the other are one product: on a GPU, where
 * 16 bytes are read at a time, if each begins on as many. */
bool lrk_linear_abreast(const lrk_call *c);

/* Columns for dS behind dY: none where rows would not begin on 16 bytes any more, or dX is masked. */
size_t lrk_linear_border(const lrk_call *c);

void lrk_linear_scratch(const lrk_call *c, size_t *forward, size_t *backward);
void lrk_linear_forward(const lrk_call *c, const lrk_linear_steps *steps);
void lrk_linear_backward(const lrk_call *c, const lrk_linear_steps *steps);

#endif /* LRK_KERNELS_LINEAR_PRODUCTS_H */
