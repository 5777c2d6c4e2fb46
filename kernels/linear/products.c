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

/* c = a b + a2 b2, or c += with accumulate: the weight and the adapter in one go. a2 NULL: the weight alone. */
static lrk_gemm product_pair(lrk_device device, const lrk_tensor *a, const lrk_tensor *b,
                             const lrk_tensor *a2, const lrk_tensor *b2, bool b_transposed,
                             const lrk_tensor *c, bool accumulate)
{
    lrk_gemm g = product(device, a, false, b, b_transposed, c, 1.0, accumulate);
    if (!a2) return g;
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

/* ---- which adapter is beside which weight ---------------------------------------------------------- */

/* Whether the A of several adapters lie one below the other: else all weights share what there is. */
static bool stacked(const lrk_call *c)
{
    size_t ranks = 0;
    for (int i = 0; i < LRK_LINEAR_WEIGHTS; i++)
        if (c->in[lrk_linear_b(i)]) ranks += lrk_cols(c->in[lrk_linear_b(i)]);
    return c->in[LRK_LINEAR_A] && ranks == lrk_rows(c->in[LRK_LINEAR_A]);
}

/* The first column of S that is weight i's. */
static size_t first_of(const lrk_call *c, int i)
{
    size_t first = 0;
    for (int k = 0; k < i && stacked(c); k++)
        if (c->in[lrk_linear_b(k)]) first += lrk_cols(c->in[lrk_linear_b(k)]);
    return first;
}

/* n columns of a matrix from `first` on. */
static lrk_tensor columns(const lrk_tensor *t, size_t first, size_t n)
{
    lrk_tensor part = *t;
    part.dim[t->rank - 1] = n;
    if (t->data) part.data = (char *)t->data + lrk_row_bytes(t->dtype, first);
    return part;
}

static lrk_tensor rows(const lrk_tensor *t, size_t first, size_t n)
{
    lrk_tensor part = *t;
    part.dim[0] = n;
    if (t->data) part.data = lrk_row(t, first);
    return part;
}

/* Weight i's columns of s, which is S or dS. */
static lrk_tensor own_columns(const lrk_call *c, const lrk_tensor *s, int i)
{
    return columns(s, first_of(c, i), lrk_cols(c->in[lrk_linear_b(i)]));
}

static bool drops(const lrk_call *c)
{
    const lrk_linear_attr *attr = c->attr;
    return c->in[LRK_LINEAR_A] && attr->dropout > 0.0;
}

static int last_weight(const lrk_call *c)
{
    int last = 0;
    while (last + 1 < LRK_LINEAR_WEIGHTS && c->in[lrk_linear_w(last + 1)]) last++;
    return last;
}

/* What A adds to dX rides on the products dY W (gemm.h): on the CPU, which adds it before it stores, each adapter's
 * part on that of its weight; on a GPU, where it is a product of its own, all of it on the last. False: none. */
static bool rides(const lrk_call *c, int i, const lrk_tensor *ds, lrk_tensor *part, lrk_tensor *a)
{
    const lrk_tensor *all = c->in[LRK_LINEAR_A];
    const bool last = i == last_weight(c);
    const bool own = c->device == LRK_CPU && stacked(c);
    if (!all || drops(c) || !(own ? c->in[lrk_linear_b(i)] != NULL : last)) return false;
    *part = own ? own_columns(c, ds, i) : *ds;
    *a = own ? rows(all, first_of(c, i), lrk_cols(part)) : *all;
    return true;
}

/* ---- which weights are one product ------------------------------------------------------------------ */

bool lrk_linear_abreast(const lrk_call *c)
{
    bool chunks = true;
    for (int i = 0; i < LRK_LINEAR_WEIGHTS; i++) {
        const lrk_tensor *w = c->in[lrk_linear_w(i)];
        chunks = chunks && (!w || lrk_row_bytes(c->in[LRK_LINEAR_X]->dtype, lrk_rows(w)) % 16 == 0);
    }
    return chunks && c->device != LRK_CPU && c->in[LRK_LINEAR_W2];
}

/* Whether b begins where a ends; both may be absent. */
static bool below(const lrk_tensor *a, const lrk_tensor *b)
{
    if (!a || !b) return a == b;
    return a->dtype == b->dtype && (a->rank == 1 || a->stride == b->stride) &&
           (const char *)b->data == (const char *)a->data + lrk_rows(a) * lrk_row_bytes(a->dtype, a->stride);
}

static bool beside(const lrk_tensor *a, const lrk_tensor *b)
{
    return a->stride == b->stride &&
           (const char *)b->data == (const char *)a->data + lrk_row_bytes(a->dtype, lrk_cols(a));
}

size_t lrk_linear_border(const lrk_call *c)
{
    const lrk_tensor *a = c->in[LRK_LINEAR_A], *w = c->in[lrk_linear_w(last_weight(c))];
    const lrk_dtype type = c->in[LRK_LINEAR_X]->dtype;
    if (c->device == LRK_CPU || !a || drops(c)) return 0;
    const bool chunks = lrk_row_bytes(type, lrk_rows(a)) % 16 == 0 && lrk_row_bytes(type, lrk_rows(w)) % 16 == 0;
    return chunks ? lrk_rows(a) : 0;
}

/* One behind the last weight that is one product with weight `first`; y: the results, or their gradients. */
static int end_of(const lrk_call *c, const lrk_tensor *const *y, int first)
{
    int end = first + 1;
    while (lrk_linear_abreast(c) && end < LRK_LINEAR_WEIGHTS && c->in[lrk_linear_w(end)] &&
           below(c->in[lrk_linear_w(end - 1)], c->in[lrk_linear_w(end)]) &&
           below(c->in[lrk_linear_bias(end - 1)], c->in[lrk_linear_bias(end)]) && beside(y[end - 1], y[end]))
        end++;
    return end;
}

/* Weights first .. end - 1 as one. */
static lrk_tensor weights(const lrk_call *c, int first, int end)
{
    size_t n = 0;
    for (int i = first; i < end; i++) n += lrk_rows(c->in[lrk_linear_w(i)]);
    return rows(c->in[lrk_linear_w(first)], 0, n);
}

/* Their results, or gradients of those. */
static lrk_tensor results(const lrk_tensor *const *y, int first, int end)
{
    size_t n = 0;
    for (int i = first; i < end; i++) n += lrk_cols(y[i]);
    return columns(y[first], 0, n);
}

/* The B of weights first .. end - 1 as one matrix, in *b, and the columns of s that it takes; false: they are none. */
static bool sides(const lrk_call *c, int first, int end, const lrk_tensor *s, lrk_tensor *own, lrk_tensor *b)
{
    const lrk_tensor *one = c->in[lrk_linear_b(first)];
    if (end == first + 1) {
        if (!one) return false;
        *b = *one;
        *own = own_columns(c, s, first);
        return true;
    }
    const bool diagonal = stacked(c);
    const char *base = NULL;
    size_t row = 0, blocks = 0; /* one alone may lie anywhere */
    for (int i = first; i < end; row += lrk_rows(c->in[lrk_linear_w(i++)])) {
        const lrk_tensor *mine = c->in[lrk_linear_b(i)];
        if (!mine && !diagonal) return false;
        if (!mine) continue;
        const char *at = (const char *)mine->data - row * lrk_row_bytes(mine->dtype, mine->stride) -
                         lrk_row_bytes(mine->dtype, first_of(c, i));
        if (mine->stride < lrk_rows(c->in[LRK_LINEAR_A]) || (base && at != base)) return false;
        blocks++;
        base = at;
        *b = *mine;
    }
    b->data = (void *)(uintptr_t)base;
    b->dim[0] = row;
    b->dim[1] = lrk_rows(c->in[LRK_LINEAR_A]);
    *own = *s;
    return blocks > 1;
}

/* ---- memory ---------------------------------------------------------------------------------------- */

/* Workspace of the products with weight i and its adapter; s: S without data. */
static void weight_needs(const lrk_call *c, int i, const lrk_tensor *s, size_t *forward, size_t *backward)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_X], *w = c->in[lrk_linear_w(i)], *b = c->in[lrk_linear_b(i)];
    const lrk_device d = c->device;
    const lrk_tensor y = lrk_mat(x->dtype, lrk_rows(x), lrk_rows(w));
    lrk_tensor own = {0}, a = {0};
    *forward = lrk_max(*forward, need(d, x, false, w, true, &y));
    *backward = lrk_max(*backward, lrk_max(need(d, &y, false, w, false, x), need(d, &y, true, x, false, w)));
    if (rides(c, i, s, &own, &a)) *backward = lrk_max(*backward, need_pair(d, &y, w, &own, &a, false, x));
    if (!b) return;
    own = own_columns(c, s, i);
    *forward = lrk_max(*forward, need_pair(d, x, w, &own, b, true, &y));
    *backward = lrk_max(*backward, lrk_max(need(d, &y, false, b, false, &own), need(d, &y, true, &own, false, b)));
    if (d != LRK_CPU && lrk_one_reading_takes(x->dtype, lrk_cols(b)))
        *backward = lrk_max(*backward, lrk_one_reading_scratch(lrk_rows(x), lrk_rows(w), lrk_cols(b)));
}

/* That of weights first .. end - 1 as one, where their types allow it: where they lie is not known yet. */
static void run_needs(const lrk_call *c, int first, int end, const lrk_tensor *s, size_t *forward, size_t *backward)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_X];
    for (int i = first; i < end; i++)
        if (!c->in[lrk_linear_w(i)] || c->in[lrk_linear_w(i)]->dtype != c->in[lrk_linear_w(first)]->dtype) return;
    const lrk_tensor w = weights(c, first, end), y = lrk_mat(x->dtype, lrk_rows(x), lrk_rows(&w));
    lrk_tensor own = {0}, a = {0};
    *forward = lrk_max(*forward, need(c->device, x, false, &w, true, &y));
    *backward = lrk_max(*backward, need(c->device, &y, false, &w, false, x));
    if (c->in[LRK_LINEAR_A]) {
        const lrk_tensor b = lrk_mat(c->in[LRK_LINEAR_A]->dtype, lrk_rows(&w), lrk_cols(s));
        *forward = lrk_max(*forward, need_pair(c->device, x, &w, s, &b, true, &y));
    }
    if (rides(c, end - 1, s, &own, &a))
        *backward = lrk_max(*backward, need_pair(c->device, &y, &w, &own, &a, false, x));
}

/* The scratch of a call: [dropped x] [ds] [masked dx] [workspace of one product]. It is
 * carved in this order. */
void lrk_linear_scratch(const lrk_call *c, size_t *forward, size_t *backward)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_X], *a = c->in[LRK_LINEAR_A];
    const lrk_device d = c->device;
    const lrk_tensor s = lrk_mat(x->dtype, lrk_rows(x), a ? lrk_rows(a) : 0);
    *forward = *backward = 0;
    for (int i = 0; i < LRK_LINEAR_WEIGHTS; i++)
        if (c->in[lrk_linear_w(i)]) weight_needs(c, i, &s, forward, backward);
    for (int first = 0; lrk_linear_abreast(c) && first < LRK_LINEAR_WEIGHTS - 1; first++)
        for (int end = first + 2; end <= LRK_LINEAR_WEIGHTS; end++) run_needs(c, first, end, &s, forward, backward);
    if (!a) return;
    const size_t s_bytes = lrk_aligned(lrk_bytes(&s), LRK_ALIGN);
    *forward = lrk_max(*forward, need(d, x, false, a, true, &s));
    if (!c->backward_follows) *forward += s_bytes;
    *backward = lrk_max(*backward, lrk_max(need(d, &s, true, x, false, a), need(d, &s, false, a, false, x))) + s_bytes;
    if (drops(c)) {
        const size_t dropped =
            lrk_aligned(lrk_rows(x) * lrk_row_bytes(x->dtype, lrk_cols(x)), LRK_ALIGN);
        *forward += dropped;
        *backward += 2 * dropped;
    }
}

/* ---- the passes ------------------------------------------------------------------------------------ */

/* Takes the next piece of the scratch memory. */
static void *carve(char **scratch, size_t bytes)
{
    void *p = *scratch;
    *scratch += lrk_aligned(bytes, LRK_ALIGN);
    return p;
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

/* y = x w^T + bias + s b^T for weights first .. end - 1; where their B are not one matrix, the adapters come after
 * it. */
static void forward_run(const lrk_call *c, int first, int end, const lrk_tensor *s, void *workspace)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_X], *bias = c->in[lrk_linear_bias(first)];
    const lrk_tensor w = weights(c, first, end), y = results((const lrk_tensor *const *)c->out, first, end);
    lrk_tensor own = {0}, b = {0};
    const bool pair = c->in[LRK_LINEAR_A] && sides(c, first, end, s, &own, &b);
    lrk_gemm g = product_pair(c->device, x, &w, pair ? &own : NULL, &b, true, &y, false);
    if (bias) {
        g.bias = bias->data;
        g.bias_dtype = bias->dtype;
    }
    lrk_gemm_run(&g, workspace);
    for (int i = first; !pair && i < end; i++) {
        if (!c->in[lrk_linear_b(i)]) continue;
        own = own_columns(c, s, i);
        multiply(c, &own, false, c->in[lrk_linear_b(i)], true, c->out[LRK_LINEAR_Y + i], 1.0, true, workspace);
    }
}

void lrk_linear_forward(const lrk_call *c, const lrk_linear_steps *steps)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_X], *a = c->in[LRK_LINEAR_A];
    const lrk_linear_attr *attr = c->attr;
    char *scratch = c->scratch;
    lrk_tensor s = {0};
    if (a) {
        const lrk_tensor xd = dropped_x(c, steps, &scratch);
        s = lrk_mat(x->dtype, lrk_rows(x), lrk_rows(a));
        if (c->saved[LRK_LINEAR_S])
            s = *c->saved[LRK_LINEAR_S];
        else
            s.data = carve(&scratch, lrk_bytes(&s));
        multiply(c, &xd, false, a, true, &s, attr->scale, false, scratch);
    }
    for (int i = 0, end; i < LRK_LINEAR_WEIGHTS && c->in[lrk_linear_w(i)]; i = end) {
        end = end_of(c, (const lrk_tensor *const *)c->out, i);
        forward_run(c, i, end, &s, scratch);
    }
}

/* ds = scale dy b: each weight's columns, or the sum over those that share them. Bit i of the result: db of weight i is
 * made too, from the same reading of dy. */
static unsigned adapter_gradient(const lrk_call *c, const lrk_linear_steps *steps, const lrk_tensor *ds,
                                 void *workspace)
{
    const lrk_linear_attr *attr = c->attr;
    bool more = false;
    unsigned made = 0;
    for (int i = 0; i < LRK_LINEAR_WEIGHTS; i++) {
        const int at_b = lrk_linear_b(i);
        const lrk_tensor *b = c->in[at_b], *dy = c->dout[LRK_LINEAR_Y + i];
        if (!b) continue;
        const lrk_tensor own = own_columns(c, ds, i), s = own_columns(c, c->saved[LRK_LINEAR_S], i);
        const lrk_one_reading o = {dy, b, &s, &own, c->din[at_b], attr->scale, more, !(c->fresh >> at_b & 1),
                                   workspace};
        if (steps->read_once && steps->read_once(&o))
            made |= 1u << i;
        else
            multiply(c, dy, false, b, false, &own, attr->scale, more, workspace);
        more = !stacked(c);
    }
    return made;
}

/* dx += dy w + what rides on it, for weights first .. end - 1. */
static void backward_run(const lrk_call *c, int first, int end, const lrk_tensor *ds, void *workspace)
{
    const lrk_tensor *dx = c->din[LRK_LINEAR_X];
    const bool fresh = first == 0 && c->fresh >> LRK_LINEAR_X & 1;
    const lrk_tensor w = weights(c, first, end), dy = results(c->dout, first, end);
    lrk_tensor own = {0}, a = {0};
    const bool pair = rides(c, end - 1, ds, &own, &a);
    const lrk_gemm g = product_pair(c->device, &dy, &w, pair ? &own : NULL, &a, false, dx, !fresh);
    lrk_gemm_run(&g, workspace);
}

/* dw += dy^T x; db += dy^T s for weight i, where it is not made yet. */
static void backward_weight(const lrk_call *c, const lrk_linear_steps *steps, int i, bool made, void *workspace)
{
    const int at_w = lrk_linear_w(i), at_b = lrk_linear_b(i), at_bias = lrk_linear_bias(i);
    const lrk_tensor *x = c->in[LRK_LINEAR_X], *dy = c->dout[LRK_LINEAR_Y + i];
    const lrk_tensor *dw = c->din[at_w], *db = c->din[at_b], *dbias = c->din[at_bias];
    if (dw) multiply(c, dy, true, x, false, dw, 1.0, !(c->fresh >> at_w & 1), workspace);
    if (db && !made) {
        const lrk_tensor own = own_columns(c, c->saved[LRK_LINEAR_S], i);
        multiply(c, dy, true, &own, false, db, 1.0, !(c->fresh >> at_b & 1), workspace);
    }
    if (dbias) steps->add_bias_gradient(dy, dbias, c->fresh >> at_bias & 1);
}

/* ds: in the border of dy, or in the scratch memory. */
static lrk_tensor place_ds(const lrk_call *c, char **scratch)
{
    lrk_tensor ds = lrk_like(c->saved[LRK_LINEAR_S]);
    const lrk_tensor *dy = c->dout[LRK_LINEAR_Y + last_weight(c)];
    if (c->border < lrk_cols(&ds) || drops(c)) {
        ds.data = carve(scratch, lrk_bytes(&ds));
        return ds;
    }
    ds.data = (char *)dy->data + lrk_row_bytes(dy->dtype, lrk_cols(dy));
    ds.stride = dy->stride;
    return ds;
}

void lrk_linear_backward(const lrk_call *c, const lrk_linear_steps *steps)
{
    const lrk_tensor *a = c->in[LRK_LINEAR_A], *dx = c->din[LRK_LINEAR_X], *da = c->din[LRK_LINEAR_A];
    char *scratch = c->scratch;
    lrk_tensor ds = {0}, masked = {0};
    if (a) ds = place_ds(c, &scratch);
    const lrk_tensor xd = dropped_x(c, steps, &scratch);
    if (drops(c)) {
        masked = lrk_like(&xd);
        masked.data = carve(&scratch, lrk_bytes(&masked));
    }
    const unsigned made = a ? adapter_gradient(c, steps, &ds, scratch) : 0;
    for (int i = 0, end; i < LRK_LINEAR_WEIGHTS && c->in[lrk_linear_w(i)]; i = end) {
        end = end_of(c, c->dout, i);
        if (dx) backward_run(c, i, end, &ds, scratch);
        for (int k = i; k < end; k++) backward_weight(c, steps, k, made >> k & 1, scratch);
    }
    if (da) multiply(c, &ds, true, &xd, false, da, 1.0, !(c->fresh >> LRK_LINEAR_A & 1), scratch);
    if (drops(c) && dx) {
        multiply(c, &ds, false, a, false, &masked, 1.0, false, scratch);
        steps->mask(c, &masked, dx, true);
    }
}
