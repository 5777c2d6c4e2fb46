/* kernels/experts/experts_cuda.cu -- both passes on the GPU; what lies between the products. */
#include "kernels/experts/experts.cuh"
#include "kernels/swiglu/activate.cuh"

enum { THREADS = 128, WARPS = THREADS / LRK_WARP };

static lrk_experts_run prepare(const lrk_call *c, const lrk_experts_cuda_layout *l)
{
    const lrk_experts_attr *a = static_cast<const lrk_experts_attr *>(c->attr);
    const lrk_tensor *plan = c->saved[LRK_EXPERTS_PLAN];
    char *const s = static_cast<char *>(c->scratch);
    lrk_experts_run r = {};
    r.call = c;
    r.attr = a;
    r.T = lrk_rows(c->in[LRK_EXPERTS_X]);
    r.C = lrk_cols(c->in[LRK_EXPERTS_X]);
    r.F = a->feed_forward;
    r.E = a->experts;
    r.K = a->used;
    r.rows = r.T * r.K;
    r.n_tiles = l->n_tiles;
    r.start = plan ? lrk_data<int32_t>(plan) : reinterpret_cast<int32_t *>(s + l->plan);
    r.token = r.start + r.E + 1;
    r.place = r.token + r.rows;
    r.chosen = reinterpret_cast<int32_t *>(s + l->chosen);
    r.weight = reinterpret_cast<float *>(s + l->weight);
    r.score = reinterpret_cast<float *>(s + l->score);
    r.tiles = reinterpret_cast<lrk_experts_tile *>(s + l->tiles);
    r.weights = reinterpret_cast<lrk_experts_weight *>(s + l->weights);
    return r;
}

/* A row for each choice, in scratch memory. */
static lrk_tensor rows_at(const lrk_experts_run *r, size_t offset, size_t cols)
{
    lrk_tensor t = lrk_mat(r->call->in[LRK_EXPERTS_X]->dtype, r->rows, cols);
    t.data = static_cast<char *>(r->call->scratch) + offset;
    return t;
}

/* ---- between the products ------------------------------------------------------------------------- */

template <typename T, int N, int activation>
static __global__ void inner_elements(const T *g, const T *u, T *h, size_t n)
{
    LRK_FOR_ITEMS(i, n / N)
    {
        lrk_pack<T, N> gate, up;
        gate.load(g + i * N);
        up.load(u + i * N);
#pragma unroll
        for (int k = 0; k < N; k++) {
            float value, slope;
            lrk_activate<activation>(gate.get(k), &value, &slope);
            gate.set(k, value * up.get(k));
        }
        gate.store(h + i * N);
    }
}

/* to[t] = (add ? to[t] : 0) + sum over the token's choices, in their order; weight NULL: all 1. */
template <typename T, int N>
static __global__ void combine_rows(const int32_t *place, const float *weight, const T *y,
                                    lrk_view<T> to, size_t tokens, size_t cols, size_t used, bool add)
{
    LRK_FOR_ROWS(t, tokens)
    {
        LRK_FOR_ITEMS(i, cols / N)
        {
            float sum[N] = {};
            lrk_pack<T, N> v;
            for (size_t k = t * used; k < (t + 1) * used; k++) {
                const float w = weight ? weight[k] : 1.0f;
                v.load(y + (size_t)place[k] * cols + i * N);
#pragma unroll
                for (int j = 0; j < N; j++) sum[j] = fmaf(w, v.get(j), sum[j]);
            }
            if (add) v.load(to.at(t, i * N));
#pragma unroll
            for (int j = 0; j < N; j++) v.set(j, add ? v.get(j) + sum[j] : sum[j]);
            v.store(to.at(t, i * N));
        }
    }
}

template <typename T, int N>
static void combine_by(const lrk_experts_run *r, const float *weight, const T *y, const lrk_tensor *to,
                       bool add)
{
    const lrk_walk w = lrk_walk_over(r->T, r->C / N);
    LRK_LAUNCH((combine_rows<T, N>), w.grid, w.block, 0, r->place, weight, y, lrk_view_of<T>(to), r->T,
               r->C, r->K, add);
}

template <typename T>
static void combine(const lrk_experts_run *r, const float *weight, const lrk_tensor *y,
                    const lrk_tensor *to, bool add)
{
    if (lrk_can_chunk(y) && lrk_can_chunk(to))
        combine_by<T, 16 / sizeof(T)>(r, weight, lrk_data<T>(y), to, add);
    else
        combine_by<T, 1>(r, weight, lrk_data<T>(y), to, add);
}

/* Rows of a choice's inner part, all (rows, F) and contiguous. */
template <typename T> struct inner {
    const T *g, *u, *dh; /* dh: dY D, before the weight */
    T *dg, *du;
};

/* A block for each choice: gradients of its inner row, and its own, which takes the weight's place. */
template <typename T, int activation>
static __global__ void __launch_bounds__(THREADS)
    inner_back(inner<T> p, const int32_t *place, float *weight, size_t cols)
{
    LRK_SHARED(double, room, LRK_WARP);
    const size_t at = (size_t)place[blockIdx.x] * cols;
    const float w = weight[blockIdx.x];
    double dw = 0.0;
    for (size_t i = at + threadIdx.x; i < at + cols; i += THREADS) {
        float value, slope;
        lrk_activate<activation>(lrk_value(p.g[i]), &value, &slope);
        const float u = lrk_value(p.u[i]), dh = lrk_value(p.dh[i]);
        dw += (double)(dh * value * u);
        lrk_set(&p.dg[i], w * dh * u * slope);
        lrk_set(&p.du[i], w * dh * value);
    }
    dw = lrk_block_sum(dw, room);
    if (threadIdx.x == 0) weight[blockIdx.x] = (float)dw;
}

struct scores {
    size_t tokens, experts, used;
    bool sigmoid, normalize;
    double factor;
    const float *score, *dw;
    const int32_t *chosen;
};

/* A warp for each token: dZ from the gradients of the weights. */
template <typename T>
static __global__ void __launch_bounds__(THREADS) router_back(scores p, lrk_view<T> dz)
{
    const size_t t = (size_t)blockIdx.x * WARPS + threadIdx.x / LRK_WARP;
    if (t >= p.tokens) return;
    const float *const s = p.score + t * p.experts, *const dw = p.dw + t * p.used;
    const int32_t *const chosen = p.chosen + t * p.used;
    double sum = p.normalize ? 0.0 : 1.0, inner = 0.0, mean = 0.0;
    for (size_t k = 0; k < p.used && p.normalize; k++) sum += (double)s[chosen[k]];
    for (size_t k = 0; k < p.used && p.normalize; k++) inner += (double)dw[k] * (double)s[chosen[k]];
    inner /= sum;
    const double share = p.factor / sum;
    for (size_t k = 0; k < p.used; k++)
        mean += share * ((double)dw[k] - inner) * (double)s[chosen[k]];
    for (size_t e = threadIdx.x % LRK_WARP; e < p.experts; e += LRK_WARP) {
        const double score = (double)s[e];
        double ds = 0.0;
        for (size_t k = 0; k < p.used; k++)
            if ((size_t)chosen[k] == e) ds = share * ((double)dw[k] - inner);
        const double d = p.sigmoid ? ds * score * (1.0 - score) : score * (ds - mean);
        T *const to = dz.at(t, e);
        lrk_set(to, lrk_value(*to) + (float)d);
    }
}

/* ---- forward ------------------------------------------------------------------------------------- */

template <typename T, int activation>
static void inner_forward(const lrk_tensor *g, const lrk_tensor *u, const lrk_tensor *h)
{
    const lrk_tensor *const all[] = {g, u, h};
    const lrk_extent e = lrk_extent_of(all, 3);
    const int n = 16 / (int)sizeof(T);
    const lrk_walk w = lrk_walk_over(1, e.chunks ? e.cols / (size_t)n : e.cols);
    if (e.chunks)
        LRK_LAUNCH((inner_elements<T, n, activation>), w.grid, w.block, 0, lrk_data<const T>(g),
                   lrk_data<const T>(u), lrk_data<T>(h), e.cols);
    else
        LRK_LAUNCH((inner_elements<T, 1, activation>), w.grid, w.block, 0, lrk_data<const T>(g),
                   lrk_data<const T>(u), lrk_data<T>(h), e.cols);
}

/* y = x W^T with what is beside W. */
static void project(const lrk_experts_run *r, const lrk_experts_cuda_layout *l, int which,
                    const lrk_tensor *x, bool by_token, void *y)
{
    const int a = lrk_experts_a_of(which);
    const size_t rank = lrk_experts_rank(r->call, which);
    lrk_experts_multiply(r, which, true, x, by_token, y, false);
    if (!rank) return;
    const lrk_tensor s = rows_at(r, l->s, rank);
    lrk_experts_multiply(r, a, true, x, by_token, s.data, false);
    lrk_experts_scale_rows(r, lrk_experts_scale(r->call, which), false, &s, &s);
    lrk_experts_multiply(r, a + 1, true, &s, false, y, true);
}

template <typename T>
static void inner_forward_of(const lrk_experts_run *r, const lrk_tensor *g, const lrk_tensor *u,
                             const lrk_tensor *h)
{
    switch (r->attr->activation) {
    case LRK_SILU: inner_forward<T, LRK_SILU>(g, u, h); break;
    case LRK_GELU_TANH: inner_forward<T, LRK_GELU_TANH>(g, u, h); break;
    case LRK_GELU_ERF: inner_forward<T, LRK_GELU_ERF>(g, u, h); break;
    }
}

template <typename T> static void forward(const lrk_call *c)
{
    const lrk_experts_cuda_layout l = lrk_experts_cuda_lay(c);
    const lrk_experts_run r = prepare(c, &l);
    const lrk_tensor *x = c->in[LRK_EXPERTS_X];
    const lrk_tensor *saved_g = c->saved[LRK_EXPERTS_G], *saved_u = c->saved[LRK_EXPERTS_U];
    const lrk_tensor g = saved_g ? *saved_g : rows_at(&r, l.g, r.F);
    const lrk_tensor u = saved_u ? *saved_u : rows_at(&r, l.u, r.F);
    const lrk_tensor h = rows_at(&r, l.h, r.F), y = rows_at(&r, l.y, r.C);
    lrk_experts_route(&r, true);
    lrk_experts_list_weights(&r);
    project(&r, &l, LRK_EXPERTS_GATE, x, true, g.data);
    project(&r, &l, LRK_EXPERTS_UP, x, true, u.data);
    inner_forward_of<T>(&r, &g, &u, &h);
    project(&r, &l, LRK_EXPERTS_DOWN, &h, false, y.data);
    combine<T>(&r, r.weight, &y, c->out[LRK_EXPERTS_Y], false);
}

/* ---- backward ------------------------------------------------------------------------------------ */

template <typename T, int activation>
static void inner_backward(const lrk_experts_run *r, const inner<T> &p)
{
    LRK_LAUNCH((inner_back<T, activation>), (unsigned)r->rows, THREADS, 0, p, r->place, r->weight, r->F);
}

/* h = dY D'. Before, the gradients of what is beside D, for which h is computed again. */
template <typename T>
static void down_back(const lrk_experts_run *r, const lrk_experts_cuda_layout *l, const lrk_tensor *h)
{
    enum { A = LRK_EXPERTS_DOWN_A, B = LRK_EXPERTS_DOWN_B };
    const lrk_call *c = r->call;
    const lrk_tensor *dy = c->dout[LRK_EXPERTS_Y];
    const size_t rank = lrk_experts_rank(c, LRK_EXPERTS_DOWN);
    const double scale = lrk_experts_scale(c, LRK_EXPERTS_DOWN);
    const lrk_tensor s = rows_at(r, l->s, rank), ds = rows_at(r, l->ds, rank);
    if (rank) {
        inner_forward_of<T>(r, c->saved[LRK_EXPERTS_G], c->saved[LRK_EXPERTS_U], h);
        lrk_experts_multiply(r, A, true, h, false, s.data, false);
        lrk_experts_scale_rows(r, scale, true, &s, &s);
        lrk_experts_add_gradient(r, B, dy, true, &s, false);
        lrk_experts_multiply(r, B, false, dy, true, ds.data, false);
        lrk_experts_scale_rows(r, scale, false, &ds, &ds);
        lrk_experts_scale_rows(r, 1.0, true, &ds, &s);
        lrk_experts_add_gradient(r, A, &s, false, h, false);
    }
    lrk_experts_multiply(r, LRK_EXPERTS_DOWN, false, dy, true, h->data, false);
    if (rank) lrk_experts_multiply(r, A, false, &ds, false, h->data, true);
}

/* From d, the gradient of the rows of GATE or UP: those of its adapter, and where dx is wanted y = d W'
 * (UP: y += d W'). */
static void outer_back(const lrk_experts_run *r, const lrk_experts_cuda_layout *l, int which,
                       const lrk_tensor *d, const lrk_tensor *y)
{
    const int a = lrk_experts_a_of(which);
    const lrk_tensor *x = r->call->in[LRK_EXPERTS_X];
    const bool dx = r->call->din[LRK_EXPERTS_X];
    const size_t rank = lrk_experts_rank(r->call, which);
    const double scale = lrk_experts_scale(r->call, which);
    const lrk_tensor s = rows_at(r, l->s, rank), ds = rows_at(r, l->ds, rank);
    if (rank) {
        lrk_experts_multiply(r, a, true, x, true, s.data, false);
        lrk_experts_scale_rows(r, scale, false, &s, &s);
        lrk_experts_add_gradient(r, a + 1, d, false, &s, false);
        lrk_experts_multiply(r, a + 1, false, d, false, ds.data, false);
        lrk_experts_scale_rows(r, scale, false, &ds, &ds);
        lrk_experts_add_gradient(r, a, &ds, false, x, true);
    }
    if (!dx) return;
    lrk_experts_multiply(r, which, false, d, false, y->data, which == LRK_EXPERTS_UP);
    if (rank) lrk_experts_multiply(r, a, false, &ds, false, y->data, true);
}

template <typename T> static void backward(const lrk_call *c)
{
    const lrk_experts_cuda_layout l = lrk_experts_cuda_lay(c);
    const lrk_experts_run r = prepare(c, &l);
    const lrk_tensor *dx = c->din[LRK_EXPERTS_X], *dz = c->din[LRK_EXPERTS_Z];
    const lrk_tensor dg = rows_at(&r, l.g, r.F), du = rows_at(&r, l.u, r.F);
    const lrk_tensor dh = rows_at(&r, l.h, r.F), y = rows_at(&r, l.y, r.C);
    lrk_experts_route(&r, false);
    lrk_experts_list_weights(&r);
    down_back<T>(&r, &l, &dh);
    const inner<T> p = {lrk_data<T>(c->saved[LRK_EXPERTS_G]), lrk_data<T>(c->saved[LRK_EXPERTS_U]),
                        lrk_data<T>(&dh), lrk_data<T>(&dg), lrk_data<T>(&du)};
    switch (r.attr->activation) {
    case LRK_SILU: inner_backward<T, LRK_SILU>(&r, p); break;
    case LRK_GELU_TANH: inner_backward<T, LRK_GELU_TANH>(&r, p); break;
    case LRK_GELU_ERF: inner_backward<T, LRK_GELU_ERF>(&r, p); break;
    }
    if (dz) {
        const scores s = {r.T, r.E, r.K, r.attr->sigmoid, r.attr->normalize, r.attr->factor,
                          r.score, r.weight, r.chosen};
        LRK_LAUNCH((router_back<T>), (unsigned)lrk_ceil_div(r.T, WARPS), THREADS, 0, s,
                   lrk_view_of<T>(dz));
    }
    outer_back(&r, &l, LRK_EXPERTS_GATE, &dg, &y);
    outer_back(&r, &l, LRK_EXPERTS_UP, &du, &y);
    if (dx) combine<T>(&r, NULL, &y, dx, true);
}

LRK_CUDA_KERNEL(experts, fwd, forward)
LRK_CUDA_KERNEL(experts, bwd, backward)
