/* kernels/linear_xent/linear_xent_cuda.cu -- the chunked head on the GPU. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/linear_xent/cuda.h"
}

enum { THREADS = 256, ROW_THREADS = 512, LIST_THREADS = 1024, EACH = 8, LANES = LRK_WARP };

/* ---- which rows are trained ---------------------------------------------------------------------- */

/* One block. Trained rows in order: list[i] = t, and the other way round place[t] = i, or -1. */
static __global__ void __launch_bounds__(LIST_THREADS)
    list_rows(const int32_t *target, int rows, int32_t *count, int32_t *list, int32_t *place)
{
    LRK_SHARED(int, room, LANES);
    int found = 0;
    for (int start = 0; start < rows; start += LIST_THREADS * EACH) {
        const int first = start + (int)threadIdx.x * EACH;
        bool trained[EACH];
        int mine = 0, all;
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            trained[i] = first + i < rows && target[first + i] >= 0;
            mine += trained[i];
        }
        int at = found + lrk_block_offset(mine, room, &all);
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            if (first + i >= rows) break;
            if (place) place[first + i] = trained[i] ? at : -1;
            if (!trained[i]) continue;
            if (list) list[at] = first + i;
            at++;
        }
        found += all;
    }
    if (count && threadIdx.x == 0) *count = found;
}

static void list(const lrk_call *c, int32_t *count, int32_t *rows, int32_t *place)
{
    const lrk_tensor *target = c->in[LRK_LINEAR_XENT_TARGET];
    LRK_LAUNCH(list_rows, 1, LIST_THREADS, 0, lrk_data<int32_t>(target), (int)lrk_count(target), count,
               rows, place);
}

/* ---- a chunk ------------------------------------------------------------------------------------- */

/* Row i of a chunk is trained row first + i, or zeros. */
struct chunk {
    const int32_t *count, *list, *target;
    size_t first, rows;
    size_t vocabulary, stride; /* of the logits */
    const int32_t *index;      /* of the n rows of the head that are trained, whose logits begin at `behind` */
    size_t n, behind;
    float cap;                 /* 0: none */
    bool gradient;
    float *logits;
    double *losses;
};

template <typename T>
static __global__ void gather(chunk k, const T *x, size_t x_stride, T *to, size_t width, int each)
{
    const size_t groups = width / (size_t)each, at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= k.rows * groups) return;
    const size_t i = at / groups, col = at % groups * (size_t)each, row = k.first + i;
    const bool there = row < (size_t)*k.count;
    const T *from = x + (there ? (size_t)k.list[row] : 0) * x_stride + col;
    T *out = to + i * width + col;
    if (each == 1) {
        lrk_set(out, there ? lrk_value(*from) : 0.0f);
        return;
    }
    lrk_chunk<T> v = {};
    if (there) v.load(from);
    v.store(out);
}

static __device__ __forceinline__ float capped(float z, float cap)
{
    return cap > 0.0f ? cap * tanhf(z / cap) : z;
}

/* Sum of exp(z - max) while the largest z is still being looked for. */
struct running {
    float max, sum;

    __device__ __forceinline__ void add(float z)
    {
        if (z > max) {
            sum = sum * expf(max - z) + 1.0f;
            max = z;
        } else {
            sum += expf(z - max);
        }
    }
};

/* Of the whole row, for all threads. room: LRK_WARP floats. */
static __device__ __forceinline__ running whole_row(running mine, float *room)
{
    running r;
    r.max = lrk_block_max(mine.max, room);
    __syncthreads();
    r.sum = lrk_block_sum(mine.sum > 0.0f ? mine.sum * expf(mine.max - r.max) : 0.0f, room);
    return r;
}

/* The logits of a row become its gradient. T may be narrower than a logit: a tile is read by all
 * before any of it is written, and what is written never reaches logits of a later tile. */
template <typename T>
static __device__ __forceinline__ void differentiate(const chunk &k, float *z, size_t target, running r)
{
    T *g = reinterpret_cast<T *>(z);
    const float share = 1.0f / r.sum;
    for (size_t start = 0; start < k.vocabulary; start += blockDim.x) {
        const size_t v = start + threadIdx.x;
        float d = 0.0f;
        if (v < k.vocabulary) {
            const float soft = capped(z[v], k.cap), ratio = k.cap > 0.0f ? soft / k.cap : 0.0f;
            d = expf(soft - r.max) * share - (v == target ? 1.0f : 0.0f);
            d *= 1.0f - ratio * ratio;
        }
        __syncthreads();
        if (v < k.vocabulary) lrk_set(&g[v], d);
    }
}

/* Gradients go back to the trained rows, and the frozen head has none there. Where they go, logits were. */
template <typename T> static __device__ __forceinline__ void take_rows(const chunk &k, float *z)
{
    T *g = reinterpret_cast<T *>(z);
    __syncthreads();
    for (size_t i = threadIdx.x; i < k.n; i += blockDim.x) {
        g[k.behind + i] = g[k.index[i]];
        lrk_set(&g[k.index[i]], 0.0f);
    }
}

/* A block for each row: its loss, then its gradient. */
template <typename T> static __global__ void __launch_bounds__(ROW_THREADS) row_losses(chunk k)
{
    LRK_SHARED(float, room, LANES);
    const size_t row = k.first + blockIdx.x;
    float *z = k.logits + blockIdx.x * k.stride;
    if (row >= (size_t)*k.count) {
        /* its logits are zeros; in a narrower type those of the trained rows lie elsewhere */
        for (size_t i = threadIdx.x; i < k.n; i += blockDim.x) lrk_set(reinterpret_cast<T *>(z) + k.behind + i, 0.0f);
        return;
    }
    const size_t target = (size_t)k.target[k.list[row]];
    for (size_t i = threadIdx.x; i < k.n; i += blockDim.x) z[k.index[i]] = z[k.behind + i];
    if (k.n) __syncthreads();
    running mine = {-INFINITY, 0.0f};
    for (size_t v = threadIdx.x; v < k.vocabulary; v += blockDim.x) mine.add(capped(z[v], k.cap));
    const running r = whole_row(mine, room);
    if (threadIdx.x == 0)
        k.losses[row] = log((double)r.sum) - ((double)capped(z[target], k.cap) - (double)r.max);
    __syncthreads();
    if (!k.gradient) return;
    differentiate<T>(k, z, target, r);
    if (k.n) take_rows<T>(k, z);
}

/* One block: the sum over all rows, LIST_THREADS partial sums folded in order. More rows than room was
 * made for: NaN. */
static __global__ void __launch_bounds__(LIST_THREADS)
    sum_losses(const double *losses, const int32_t *count, size_t rows, double *loss)
{
    LRK_SHARED(double, part, LIST_THREADS);
    const size_t n = (size_t)*count;
    double sum = 0.0;
    for (size_t i = threadIdx.x; i < n && n <= rows; i += LIST_THREADS) sum += losses[i];
    part[threadIdx.x] = sum;
    __syncthreads();
    for (int half = LIST_THREADS / 2; half; half /= 2) {
        if ((int)threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) *loss = n <= rows ? part[0] : (double)NAN;
}

/* ---- forward ------------------------------------------------------------------------------------- */

template <typename T> static void gather_rows(const lrk_call *c, const chunk &k, T *to)
{
    const lrk_tensor *x = c->in[LRK_LINEAR_XENT_X];
    const size_t width = lrk_cols(x);
    const int each = lrk_can_chunk(x) ? lrk_chunk<T>::n : 1;
    const unsigned grid = (unsigned)lrk_ceil_div(k.rows * width / (size_t)each, THREADS);
    LRK_LAUNCH((gather<T>), grid, THREADS, 0, k, lrk_data<T>(x), x->stride, to, width, each);
}

/* Logits of w, W or ROWS, at element `at` of each row. */
static void multiply(const lrk_call *c, const lrk_xent_layout *l, const chunk &k, const lrk_tensor *w, size_t at)
{
    char *const scratch = static_cast<char *>(c->scratch);
    lrk_gemm head = lrk_xent_cuda_head(c, l, w, k.rows);
    head.a.data = scratch + l->x;
    head.c = k.logits + at;
    lrk_gemm_run(&head, scratch + l->workspace);
}

/* The gradient of a chunk's rows through w, W or ROWS, whose logits were at element `at`. */
template <typename T>
static void multiply_back(const lrk_call *c, const lrk_xent_layout *l, const chunk &k, const lrk_tensor *w, size_t at)
{
    lrk_gemm back = lrk_xent_cuda_back(c, l, w, k.rows);
    back.a.data = reinterpret_cast<const T *>(k.logits) + at;
    back.c = lrk_data<T>(c->saved[LRK_LINEAR_XENT_DX]) + k.first * back.n;
    lrk_gemm_run(&back, static_cast<char *>(c->scratch) + l->workspace);
}

template <typename T> static void do_chunk(const lrk_call *c, const lrk_xent_layout *l, const chunk &k)
{
    char *const scratch = static_cast<char *>(c->scratch);
    const lrk_tensor *w = c->in[LRK_LINEAR_XENT_W], *some = c->in[LRK_LINEAR_XENT_ROWS];
    gather_rows<T>(c, k, reinterpret_cast<T *>(scratch + l->x));
    multiply(c, l, k, w, 0);
    if (some) multiply(c, l, k, some, k.behind);
    const unsigned threads = (unsigned)lrk_min(lrk_aligned(k.vocabulary, LANES), ROW_THREADS);
    LRK_LAUNCH((row_losses<T>), (unsigned)k.rows, threads, 0, k);
    if (!k.gradient) return;
    multiply_back<T>(c, l, k, w, 0);
    if (some) multiply_back<T>(c, l, k, some, k.behind);
    if (!c->saved[LRK_LINEAR_XENT_DW]) return;
    /* rows behind the last trained one are zeros in x */
    lrk_gemm own = lrk_xent_cuda_own(c, l, some ? some : w, k.rows);
    own.a.data = reinterpret_cast<const T *>(k.logits) + (some ? k.behind : 0);
    own.b.data = scratch + l->x;
    own.c = lrk_data<float>(c->saved[LRK_LINEAR_XENT_DW]);
    own.accumulate = k.first > 0;
    lrk_gemm_run(&own, scratch + l->workspace);
}

template <typename T> static void forward(const lrk_call *c)
{
    const lrk_xent_layout l = lrk_xent_cuda_layout(c);
    const lrk_linear_xent_attr *attr = static_cast<const lrk_linear_xent_attr *>(c->attr);
    char *const scratch = static_cast<char *>(c->scratch);
    int32_t *const count = reinterpret_cast<int32_t *>(scratch + l.list);
    int32_t *const rows = reinterpret_cast<int32_t *>(scratch + l.list + LRK_ALIGN);
    chunk k = {};
    k.count = count;
    k.list = rows;
    k.target = lrk_data<int32_t>(c->in[LRK_LINEAR_XENT_TARGET]);
    k.vocabulary = lrk_rows(c->in[LRK_LINEAR_XENT_W]);
    k.stride = l.stride;
    k.behind = l.behind;
    k.n = c->in[LRK_LINEAR_XENT_ROWS] ? lrk_rows(c->in[LRK_LINEAR_XENT_ROWS]) : 0;
    k.index = k.n ? lrk_data<const int32_t>(c->in[LRK_LINEAR_XENT_INDEX]) : NULL;
    k.cap = (float)attr->softcap;
    k.gradient = c->saved[LRK_LINEAR_XENT_DX] != NULL;
    k.logits = reinterpret_cast<float *>(scratch + l.logits);
    k.losses = reinterpret_cast<double *>(scratch + l.losses);
    list(c, count, rows, NULL);
    for (k.first = 0; k.first < l.rows; k.first += k.rows) {
        k.rows = lrk_min(l.chunk, l.rows - k.first);
        do_chunk<T>(c, &l, k);
    }
    LRK_LAUNCH(sum_losses, 1, LIST_THREADS, 0, k.losses, count, l.rows,
               lrk_data<double>(c->out[LRK_LINEAR_XENT_LOSS]));
}

/* ---- backward ------------------------------------------------------------------------------------ */

/* dx[t] += seed * saved[place[t]]; a fresh dx is written. More trained rows than `most`, for which there
 * are gradients: NaN, and what was never written is not read. */
template <typename T>
static __global__ void scatter(const int32_t *place, const int32_t *count, const double *seed,
                               const T *saved, size_t most, size_t rows, size_t width, T *dx,
                               size_t dx_stride, bool fresh, int each)
{
    const size_t groups = width / (size_t)each, at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= rows * groups) return;
    const size_t t = at / groups, col = at % groups * (size_t)each;
    const int32_t from = place[t];
    if (from < 0 && !fresh) return;
    const float scale = from < 0 ? 0.0f : (size_t)*count > most ? NAN : (float)*seed;
    const T *g = saved + (from < 0 || (size_t)from >= most ? 0 : (size_t)from) * width + col;
    T *to = dx + t * dx_stride + col;
    if (each == 1) {
        const float old = fresh ? 0.0f : lrk_value(*to);
        lrk_set(to, from < 0 ? 0.0f : old + scale * lrk_value(*g));
        return;
    }
    lrk_chunk<T> v = {}, d = {};
    if (!fresh) v.load(to);
    if (from >= 0) d.load(g);
#pragma unroll
    for (int i = 0; i < lrk_chunk<T>::n; i++) v.v[i] += scale * d.v[i];
    v.store(to);
}

/* dw += seed * saved, which has no gaps; a fresh dw is written. */
template <int N>
static __global__ void add_head(const double *seed, const float *saved, lrk_view<float> dw, size_t rows, size_t cols,
                                bool fresh)
{
    const float scale = (float)*seed;
    LRK_FOR_ROWS(row, rows)
    {
        LRK_FOR_ITEMS(i, cols / N)
        {
            lrk_pack<float, N> from, to;
            from.load(saved + row * cols + i * N);
            if (!fresh) to.load(dw.at(row, i * N));
#pragma unroll
            for (int k = 0; k < N; k++) to.set(k, (fresh ? 0.0f : to.get(k)) + scale * from.get(k));
            to.store(dw.at(row, i * N));
        }
    }
}

/* What of the head is trained. */
static int learner(const lrk_call *c)
{
    return c->in[LRK_LINEAR_XENT_ROWS] ? LRK_LINEAR_XENT_ROWS : LRK_LINEAR_XENT_W;
}

template <int N> static void launch_add_head(const lrk_call *c, const lrk_tensor *dw)
{
    const size_t rows = lrk_rows(dw), cols = lrk_cols(dw);
    const lrk_walk w = lrk_walk_over(rows, cols / N);
    LRK_LAUNCH((add_head<N>), w.grid, w.block, 0, lrk_data<double>(c->dout[LRK_LINEAR_XENT_LOSS]),
               lrk_data<float>(c->saved[LRK_LINEAR_XENT_DW]), lrk_view_of<float>(dw), rows, cols,
               (c->fresh >> learner(c) & 1) != 0);
}

template <typename T> static void backward(const lrk_call *c)
{
    const lrk_tensor *dx = c->din[LRK_LINEAR_XENT_X], *saved = c->saved[LRK_LINEAR_XENT_DX];
    const lrk_tensor *dw = c->din[learner(c)];
    if (dw && lrk_can_chunk(dw))
        launch_add_head<4>(c, dw);
    else if (dw)
        launch_add_head<1>(c, dw);
    if (!dx) return;
    int32_t *const count = static_cast<int32_t *>(c->scratch);
    int32_t *const place = count + LRK_ALIGN / sizeof *count;
    list(c, count, NULL, place);
    const int each = lrk_can_chunk(dx) && lrk_can_chunk(saved) ? lrk_chunk<T>::n : 1;
    const unsigned grid = (unsigned)lrk_ceil_div(lrk_count(dx) / (size_t)each, THREADS);
    LRK_LAUNCH((scatter<T>), grid, THREADS, 0, place, count,
               lrk_data<double>(c->dout[LRK_LINEAR_XENT_LOSS]), lrk_data<T>(saved),
               lrk_xent_cuda_layout(c).rows, lrk_rows(dx), lrk_cols(dx), lrk_data<T>(dx), dx->stride,
               (c->fresh >> LRK_LINEAR_XENT_X & 1) != 0, each);
}

LRK_CUDA_KERNEL(linear_xent, fwd, forward)
LRK_CUDA_KERNEL(linear_xent, bwd, backward)
