/* kernels/linear_xent/linear_xent_cpu.c -- the chunked head. */
#include "base/size.h"
#include "base/threads.h"
#include "kernels/gemm.h"
#include "kernels/linear_xent/linear_xent.h"
#include "kernels/real.h"

void LRK_KERNEL(linear_xent, fwd)(const lrk_call *c);
void LRK_KERNEL(linear_xent, bwd)(const lrk_call *c);

enum { LANES = 64 };

typedef struct lrk_head_chunk {
    const lrk_call *call;
    size_t n; /* rows in the chunk */
    size_t vocabulary, width, stride;
    size_t behind, some; /* where the logits of ROWS begin, and how many there are */
    lrk_store *x;     /* (n, C) gathered */
    lrk_real *logits; /* (n, V) and those of ROWS, stride apart; turned into the gradient, of type lrk_store, in
                         place */
    double *loss;     /* (n) */
    bool gradient;
    int32_t target[LRK_XENT_MAX_CHUNK];
} lrk_head_chunk;

/* A row is reduced in LANES columns that are folded in order: vector code with fixed bits. */
static lrk_real row_max(const lrk_real *z, size_t n)
{
    lrk_real lane[LANES], m = z[0];
    for (size_t k = 0; k < LANES; k++) lane[k] = z[0];
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++) lane[k] = z[i + k] > lane[k] ? z[i + k] : lane[k];
    for (; i < n; i++) m = z[i] > m ? z[i] : m;
    for (size_t k = 0; k < LANES; k++) m = lane[k] > m ? lane[k] : m;
    return m;
}

/* z becomes exp(z - max); returns the sum. */
static double exponentials(lrk_real *z, size_t n, lrk_real max)
{
    lrk_real lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            z[i + k] = lrk_exp(z[i + k] - max);
            lane[k] += z[i + k];
        }
    }
    double sum = 0.0;
    for (; i < n; i++) {
        z[i] = lrk_exp(z[i] - max);
        sum += (double)z[i];
    }
    for (size_t k = 0; k < LANES; k++) sum += (double)lane[k];
    return sum;
}

static void soften(lrk_real *z, size_t n, double cap)
{
    for (size_t i = 0; i < n; i++) z[i] = (lrk_real)(cap * tanh((double)z[i] / cap));
}

/* The logits become the gradient; returns the row's loss. */
static double capped_gradient(lrk_real *z, size_t n, size_t target, lrk_real max, double cap)
{
    const double shifted = (double)z[target] - (double)max;
    double sum = 0.0;
    for (size_t v = 0; v < n; v++) sum += (double)lrk_exp(z[v] - max);
    for (size_t v = 0; v < n; v++) {
        const double ratio = (double)z[v] / cap, p = (double)lrk_exp(z[v] - max) / sum;
        z[v] = (lrk_real)((p - (v == target)) * (1.0 - ratio * ratio));
    }
    return log(sum) - shifted;
}

static double plain_gradient(lrk_real *z, size_t n, size_t target, lrk_real max)
{
    const double shifted = (double)z[target] - (double)max;
    const double sum = exponentials(z, n, max);
    const lrk_real share = (lrk_real)(1.0 / sum);
    for (size_t v = 0; v < n; v++) z[v] *= share;
    z[target] -= 1;
    return log(sum) - shifted;
}

/* f32 numbers to bf16 where they lie: a number is written at or before the place it came from. */
static void narrow(lrk_real *z, size_t n)
{
    if (sizeof(lrk_store) == sizeof(lrk_real)) return;
    lrk_store block[LANES];
    for (size_t v = 0; v < n; v += LANES) {
        const size_t m = lrk_min(LANES, n - v);
#pragma omp simd
        for (size_t k = 0; k < m; k++) lrk_put(block, k, z[v + k]);
        memcpy((char *)z + v * sizeof *block, block, m * sizeof *block);
    }
}

/* Logits of ROWS stand for those of W. */
static void put_rows(const lrk_head_chunk *h, lrk_real *z)
{
    const int32_t *index = h->some ? h->call->in[LRK_LINEAR_XENT_INDEX]->data : NULL;
    for (size_t k = 0; k < h->some; k++) z[index[k]] = z[h->behind + k];
}

/* Gradients go back to ROWS, and W has none there. */
static void take_rows(const lrk_head_chunk *h, lrk_real *z)
{
    const int32_t *index = h->some ? h->call->in[LRK_LINEAR_XENT_INDEX]->data : NULL;
    for (size_t k = 0; k < h->some; k++) {
        z[h->behind + k] = z[index[k]];
        z[index[k]] = 0;
    }
}

static void row_loss(void *ctx, size_t row, int worker)
{
    (void)worker;
    const lrk_head_chunk *h = ctx;
    const lrk_linear_xent_attr *attr = h->call->attr;
    const size_t V = h->vocabulary, target = (size_t)h->target[row];
    lrk_real *z = h->logits + row * h->stride;
    put_rows(h, z);
    if (attr->softcap > 0.0) soften(z, V, attr->softcap);
    const lrk_real max = row_max(z, V);
    if (!h->gradient) {
        const double shifted = (double)z[target] - (double)max;
        h->loss[row] = log(exponentials(z, V, max)) - shifted;
        return;
    }
    h->loss[row] = attr->softcap > 0.0 ? capped_gradient(z, V, target, max, attr->softcap)
                                       : plain_gradient(z, V, target, max);
    take_rows(h, z);
    if (h->some) memset(z + V, 0, (h->behind - V) * sizeof *z);
    narrow(z, h->some ? h->behind + h->some : V);
}

/* Logits of W, or of ROWS behind them. */
static void multiply(const lrk_head_chunk *h, const lrk_tensor *w, size_t at, void *workspace)
{
    const lrk_gemm g = {.m = h->n, .n = lrk_rows(w), .k = h->width,
                        .a = {h->x, LRK_REAL_DTYPE, h->width, false},
                        .b = lrk_operand_of(w, true),
                        .c = h->logits + at, .c_dtype = lrk_acc(LRK_REAL_DTYPE),
                        .c_stride = h->stride, .alpha = 1.0};
    lrk_gemm_run(&g, workspace);
}

static void multiply_back(const lrk_head_chunk *h, const lrk_tensor *w, size_t at, lrk_store *dx, void *workspace)
{
    const size_t stride = h->stride * (sizeof(lrk_real) / sizeof(lrk_store));
    const lrk_gemm g = {.m = h->n, .n = h->width, .k = lrk_rows(w),
                        .a = {(const lrk_store *)(const void *)h->logits + at, LRK_REAL_DTYPE, stride, false},
                        .b = lrk_operand_of(w, false),
                        .c = dx, .c_dtype = LRK_REAL_DTYPE, .c_stride = h->width, .alpha = 1.0,
                        .accumulate = at > 0};
    lrk_gemm_run(&g, workspace);
}

/* dW, or dROWS, of the chunk, added to that of the chunks before. */
static void multiply_own(const lrk_head_chunk *h, const lrk_tensor *dw, bool first, void *workspace)
{
    const size_t stride = h->stride * (sizeof(lrk_real) / sizeof(lrk_store)), at = h->some ? h->behind : 0;
    const lrk_gemm g = {.m = lrk_rows(dw), .n = h->width, .k = h->n,
                        .a = {(const lrk_store *)(const void *)h->logits + at, LRK_REAL_DTYPE, stride, true},
                        .b = {h->x, LRK_REAL_DTYPE, h->width, false},
                        .c = dw->data, .c_dtype = dw->dtype, .c_stride = h->width, .alpha = 1.0,
                        .accumulate = !first};
    lrk_gemm_run(&g, workspace);
}

void LRK_KERNEL(linear_xent, fwd)(const lrk_call *c)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_XENT_X], *w = c->in[LRK_LINEAR_XENT_W];
    const lrk_tensor *some = c->in[LRK_LINEAR_XENT_ROWS];
    const int32_t *target = c->in[LRK_LINEAR_XENT_TARGET]->data;
    const size_t T = lrk_rows(x), C = lrk_cols(x), V = lrk_rows(w), N = some ? lrk_rows(some) : 0;
    const size_t chunk = lrk_linear_xent_rows(x, w, c->attr);
    const lrk_tensor *saved = c->saved[LRK_LINEAR_XENT_DX], *dw = c->saved[LRK_LINEAR_XENT_DW];
    lrk_head_chunk h = {.call = c, .vocabulary = V, .width = C, .behind = lrk_linear_xent_behind(V), .some = N,
                        .stride = lrk_linear_xent_stride(V, N), .gradient = saved != NULL};
    char *scratch = c->scratch;
    h.x = (void *)scratch;
    scratch += lrk_aligned(chunk * C * sizeof(lrk_store), LRK_ALIGN);
    h.logits = (void *)scratch;
    scratch += lrk_aligned(chunk * h.stride * sizeof(lrk_real), LRK_ALIGN);
    h.loss = (void *)scratch;
    scratch += lrk_aligned(LRK_XENT_MAX_CHUNK * sizeof(double), LRK_ALIGN);

    double total = 0.0;
    size_t done = 0;
    for (size_t t = 0; t < T;) {
        for (h.n = 0; t < T && h.n < chunk; t++) {
            if (target[t] < 0) continue;
            h.target[h.n] = target[t];
            memcpy(h.x + h.n * C, lrk_row(x, t), C * sizeof(lrk_store));
            h.n++;
        }
        if (!h.n) break;
        multiply(&h, w, 0, scratch);
        if (some) multiply(&h, some, h.behind, scratch);
        lrk_parallel(h.n, row_loss, &h);
        for (size_t i = 0; i < h.n; i++) total += h.loss[i];
        if (saved) multiply_back(&h, w, 0, (lrk_store *)saved->data + done * C, scratch);
        if (saved && some) multiply_back(&h, some, h.behind, (lrk_store *)saved->data + done * C, scratch);
        if (dw) multiply_own(&h, dw, done == 0, scratch);
        done += h.n;
    }
    if (dw && done == 0) memset(dw->data, 0, lrk_bytes(dw));
    *(double *)c->out[LRK_LINEAR_XENT_LOSS]->data = total;
}

enum { HEAD_ROWS = 64 };

static void add_head_rows(void *ctx, size_t task, int worker)
{
    (void)worker;
    const lrk_call *c = *(const lrk_call **)ctx;
    const int which = c->in[LRK_LINEAR_XENT_ROWS] ? LRK_LINEAR_XENT_ROWS : LRK_LINEAR_XENT_W;
    const lrk_tensor *dw = c->din[which], *saved = c->saved[LRK_LINEAR_XENT_DW];
    const lrk_real seed = (lrk_real) * (const double *)c->dout[LRK_LINEAR_XENT_LOSS]->data;
    const bool fresh = c->fresh >> which & 1;
    const size_t C = lrk_cols(dw), end = lrk_min(lrk_rows(dw), (task + 1) * HEAD_ROWS);
    for (size_t v = task * HEAD_ROWS; v < end; v++) {
        const lrk_real *from = lrk_row(saved, v);
        lrk_real *to = lrk_row(dw, v);
#pragma omp simd
        for (size_t i = 0; i < C; i++) to[i] = (fresh ? 0 : to[i]) + seed * from[i];
    }
}

static void add_head(const lrk_call *c)
{
    const lrk_tensor *dw = c->din[c->in[LRK_LINEAR_XENT_ROWS] ? LRK_LINEAR_XENT_ROWS : LRK_LINEAR_XENT_W];
    if (!dw) return;
    LRK_ASSERT(c->saved[LRK_LINEAR_XENT_DW]);
    lrk_parallel(lrk_ceil_div(lrk_rows(dw), HEAD_ROWS), add_head_rows, &c);
}

void LRK_KERNEL(linear_xent, bwd)(const lrk_call *c)
{
    const lrk_tensor *dx = c->din[LRK_LINEAR_XENT_X], *saved = c->saved[LRK_LINEAR_XENT_DX];
    const int32_t *target = c->in[LRK_LINEAR_XENT_TARGET]->data;
    add_head(c);
    if (!dx) return;
    const lrk_real seed = (lrk_real) * (const double *)c->dout[LRK_LINEAR_XENT_LOSS]->data;
    const bool fresh = c->fresh >> LRK_LINEAR_XENT_X & 1;
    const lrk_store *from = saved->data;
    for (size_t t = 0; t < lrk_rows(dx); t++) {
        lrk_store *to = lrk_row(dx, t);
        const bool trained = target[t] >= 0;
        for (size_t i = 0; (trained || fresh) && i < lrk_cols(dx); i++) {
            const lrk_real add = trained ? seed * lrk_get(from, i) : 0;
            lrk_put(to, i, fresh ? add : lrk_get(to, i) + add);
        }
        if (trained) from += lrk_cols(dx);
    }
}
