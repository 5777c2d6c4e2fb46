/* kernels/linear/products.h -- the matrix products of linear, shared by its builds for every type and
 * device. */
#ifndef LRK_KERNELS_LINEAR_PRODUCTS_H
#define LRK_KERNELS_LINEAR_PRODUCTS_H
#include "kernels/linear/linear.h"

void lrk_linear_scratch(const lrk_call *c, size_t *forward, size_t *backward);

/* y = x w^T (+ s b^T with s = scale * xd a^T). xd is x, or x after dropout. */
void lrk_linear_forward(const lrk_call *c, const lrk_tensor *xd, const lrk_tensor *s,
                        void *workspace);

/* Everything but the bias and the masked part of dx: ds = scale * dy b; dx += dy w (+ ds a when
 * there is no dropout); db += dy^T s; da += ds^T xd; dw += dy^T x. */
void lrk_linear_backward(const lrk_call *c, const lrk_tensor *xd, const lrk_tensor *ds,
                         void *workspace);

/* One product c = alpha a b, or c += with accumulate. */
void lrk_product(lrk_device device, const lrk_tensor *a, bool a_transposed, const lrk_tensor *b,
                 bool b_transposed, const lrk_tensor *c, double alpha, bool accumulate,
                 void *workspace);

#endif /* LRK_KERNELS_LINEAR_PRODUCTS_H */
