/* kernels/linear/products.c -- the matrix products of linear, and the order of its steps. */
#include "kernels/linear/products.h"

#include "base/size.h"
#include "kernels/gemm.h"

static lrk_gemm product(lrk_device device, const lrk_tensor *a, bool a_transposed,
                        const lrk_tensor *b, bool b_transposed, const lrk_tensor *c, double alpha,
                        bool accumulate)
{
    return (lrk_gemm){.device = device,
                      .m = lrk_rows(c),
                      .n = lrk_cols(c),
                      .k = a_transposed ? lrk_rows(a) : lrk_cols(a),
                      .a = lrk_operand_of(a, a_transposed),
                      .b = lrk_operand_of(b, b_transposed),
                      .c = c->data,
                      .c_dtype = c->dtype,
                      .c_stride = c->stride,
                      .alpha = alpha,
                      .accumulate = accumulate};
}

/* One product c = alpha a b, or c += with accumulate. */
static void multiply(const lrk_call *call, const lrk_tensor *a, bool a_transposed,
                     const lrk_tensor *b, bool b_transposed, const lrk_tensor *c, double alpha,
                     bool accumulate, void *workspace)
{
    const lrk_gemm g =
        product(call->device, a, a_transposed, b, b_transposed, c, alpha, accumulate);
    lrk_gemm_run(&g, workspace);
}

/* c = a b + a2 b2, or c += with accumulate: the weight and the adapter in one go. */
static lrk_gemm product_pair(lrk_device device, const lrk_tensor *a, const lrk_tensor *b,
                             const lrk_tensor *a2, const lrk_tensor *b2, bool b_transposed,
                             const lrk_tensor *c, bool accumulate)
{
    lrk_gemm g = product(device, a, false, b, b_transposed, c, 1.0, accumulate);
    g.k2 = lrk_cols(a2);
    g.a2 = lrk_operand_of(a2, false);
    g.b2 = lrk_operand_of(b2, b_transposed);
    return g;
}

/* Accumulating products may need more. */
static size_t need_pair(lrk_device device, const lrk_tensor *a, const lrk_tensor *b,
                        const lrk_tensor *a2, const lrk_tensor *b2, bool b_transposed,
                        const lrk_tensor *c)
{
    const lrk_gemm g = product_pair(device, a, b, a2, b2, b_transposed, c, true);
    return lrk_gemm_scratch(&g);
}

static size_t need(lrk_device device, const lrk_tensor *a, bool a_transposed, const lrk_tensor *b,
                   bool b_transposed, const lrk_tensor *c)
{
    const lrk_gemm g = product(device, a, a_transposed, b, b_transposed, c, 1.0, true);
    return lrk_gemm_scratch(&g);
}

/* The scratch of a call: [dropped x] [ds] [masked dx] [workspace of one product]. It is
 * carved in this order. */
void lrk_linear_scratch(const lrk_call *c, size_t *forward, size_t *backward)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_X], *w = c->in[LRK_LINEAR_W], *a = c->in[LRK_LINEAR_A],
                     *b = c->in[LRK_LINEAR_B];
    const lrk_linear_attr *attr = c->attr;
    const lrk_device d = c->device;
    const lrk_tensor y = lrk_mat(x->dtype, lrk_rows(x), lrk_rows(w));
    *forward = need(d, x, false, w, true, &y);
    *backward = lrk_max(need(d, &y, false, w, false, x), need(d, &y, true, x, false, w));
    if (!a) return;
    const lrk_tensor s = lrk_mat(x->dtype, lrk_rows(x), lrk_rows(a));
    size_t adapter = lrk_max(need(d, x, false, a, true, &s), need_pair(d, x, w, &s, b, true, &y));
    *forward = lrk_max(*forward, adapter);
    if (!c->backward_follows) *forward += lrk_aligned(lrk_bytes(&s), LRK_ALIGN);
    adapter = lrk_max(need(d, &y, false, b, false, &s), need_pair(d, &y, w, &s, a, false, x));
    adapter = lrk_max(adapter, need(d, &y, true, &s, false, b));
    adapter = lrk_max(adapter, need(d, &s, true, x, false, a));
    *backward = lrk_max(*backward, adapter) + lrk_aligned(lrk_bytes(&s), LRK_ALIGN);
    if (attr->dropout > 0.0) {
        const size_t dropped =
            lrk_aligned(lrk_rows(x) * lrk_row_bytes(x->dtype, lrk_cols(x)), LRK_ALIGN);
        *forward += dropped;
        *backward += 2 * dropped;
    }
}

/* Takes the next piece of the scratch memory. */
static void *carve(char **scratch, size_t bytes)
{
    void *p = *scratch;
    *scratch += lrk_aligned(bytes, LRK_ALIGN);
    return p;
}

static bool drops(const lrk_call *c)
{
    const lrk_linear_attr *attr = c->attr;
    return c->in[LRK_LINEAR_A] && attr->dropout > 0.0;
}

/* x, or x after dropout. */
static lrk_tensor dropped_x(const lrk_call *c, const lrk_linear_steps *steps, char **scratch)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_X];
    if (!drops(c)) return *x;
    lrk_tensor xd = lrk_like(x);
    xd.data = carve(scratch, lrk_bytes(&xd));
    steps->mask(c, x, &xd, false);
    return xd;
}

/* y = x w^T + s b^T with s = scale xd a^T. */
static void forward_products(const lrk_call *c, const lrk_tensor *xd, const lrk_tensor *s,
                             void *workspace)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_X], *w = c->in[LRK_LINEAR_W], *y = c->out[LRK_LINEAR_Y];
    const lrk_linear_attr *attr = c->attr;
    multiply(c, xd, false, c->in[LRK_LINEAR_A], true, s, attr->scale, false, workspace);
    const lrk_gemm g = product_pair(c->device, x, w, s, c->in[LRK_LINEAR_B], true, y, false);
    lrk_gemm_run(&g, workspace);
}

void lrk_linear_forward(const lrk_call *c, const lrk_linear_steps *steps)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_X], *a = c->in[LRK_LINEAR_A], *y = c->out[LRK_LINEAR_Y];
    char *scratch = c->scratch;
    if (a) {
        const lrk_tensor xd = dropped_x(c, steps, &scratch);
        lrk_tensor s = lrk_mat(x->dtype, lrk_rows(x), lrk_rows(a));
        if (c->saved[LRK_LINEAR_S])
            s = *c->saved[LRK_LINEAR_S];
        else
            s.data = carve(&scratch, lrk_bytes(&s));
        forward_products(c, &xd, &s, scratch);
    } else {
        multiply(c, x, false, c->in[LRK_LINEAR_W], true, y, 1.0, false, scratch);
    }
    if (c->in[LRK_LINEAR_BIAS]) steps->add_bias(c->in[LRK_LINEAR_BIAS], y);
}

/* dx += dy w (+ ds a where there is no dropout); dw += dy^T x. */
static void weight_products(const lrk_call *c, const lrk_tensor *ds, void *workspace)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_X], *w = c->in[LRK_LINEAR_W], *a = c->in[LRK_LINEAR_A];
    const lrk_tensor *dy = c->dout[LRK_LINEAR_Y];
    const lrk_tensor *dx = c->din[LRK_LINEAR_X], *dw = c->din[LRK_LINEAR_W];
    if (dx) {
        const bool fresh = c->fresh >> LRK_LINEAR_X & 1;
        const lrk_gemm g = a && !drops(c)
                               ? product_pair(c->device, dy, w, ds, a, false, dx, !fresh)
                               : product(c->device, dy, false, w, false, dx, 1.0, !fresh);
        lrk_gemm_run(&g, workspace);
    }
    if (dw) {
        const bool fresh = c->fresh >> LRK_LINEAR_W & 1;
        multiply(c, dy, true, x, false, dw, 1.0, !fresh, workspace);
    }
}

/* db += dy^T s; da += ds^T xd. */
static void adapter_products(const lrk_call *c, const lrk_tensor *ds, const lrk_tensor *xd,
                             void *workspace)
{
    const lrk_tensor *dy = c->dout[LRK_LINEAR_Y], *s = c->saved[LRK_LINEAR_S];
    const lrk_tensor *da = c->din[LRK_LINEAR_A], *db = c->din[LRK_LINEAR_B];
    if (db) {
        const bool fresh = c->fresh >> LRK_LINEAR_B & 1;
        multiply(c, dy, true, s, false, db, 1.0, !fresh, workspace);
    }
    if (da) {
        const bool fresh = c->fresh >> LRK_LINEAR_A & 1;
        multiply(c, ds, true, xd, false, da, 1.0, !fresh, workspace);
    }
}

void lrk_linear_backward(const lrk_call *c, const lrk_linear_steps *steps)
{
    const lrk_tensor *a = c->in[LRK_LINEAR_A], *dy = c->dout[LRK_LINEAR_Y];
    const lrk_tensor *dx = c->din[LRK_LINEAR_X], *dbias = c->din[LRK_LINEAR_BIAS];
    const lrk_linear_attr *attr = c->attr;
    char *scratch = c->scratch;
    lrk_tensor ds = {0}, masked = {0};
    if (a) {
        ds = lrk_like(c->saved[LRK_LINEAR_S]);
        ds.data = carve(&scratch, lrk_bytes(&ds));
    }
    const lrk_tensor xd = dropped_x(c, steps, &scratch);
    if (drops(c)) {
        masked = lrk_like(&xd);
        masked.data = carve(&scratch, lrk_bytes(&masked));
    }
    if (a) multiply(c, dy, false, c->in[LRK_LINEAR_B], false, &ds, attr->scale, false, scratch);
    weight_products(c, &ds, scratch);
    if (a) adapter_products(c, &ds, &xd, scratch);
    if (drops(c) && dx) {
        multiply(c, &ds, false, a, false, &masked, 1.0, false, scratch);
        steps->mask(c, &masked, dx, true);
    }
    if (dbias) steps->add_bias_gradient(dy, dbias, c->fresh >> LRK_LINEAR_BIAS & 1);
}
