/* kernels/attention/attention_backward_cuda.cu -- backward: a block of query rows gathers dQ over the
 * keys it sees, a block of keys gathers dK and dV over the queries that see it, all heads of the
 * group. Scores are made in both: seven products instead of five, and no sum needs an atomic addition
 * or a T x T, or many copies of dQ, to be the same on every run.
 */
#include "kernels/attention/engine.cuh"

template <typename T> struct backward_job {
    problem p;
    matrix<const T> q, k, v, o, dout;
    matrix<float> lse;
    matrix<T> dq, dk, dv; /* data NULL: nobody needs it */
    float2 *pairs; /* [key head][row of all tokens]: LSE, delta */
    float *sums;   /* [split][dK, dV][key][key head * head]; NULL: no splits, dK and dV are written */
    int splits, parts;
    unsigned fresh;
};

static __device__ __forceinline__ bool adds(unsigned fresh, int input)
{
    return !(fresh >> input & 1u);
}

/* ---- LSE and delta ------------------------------------------------------------------------------- */

/* A warp for each row; 16 bytes a lane where rows allow. */
template <class E>
static __global__ void __launch_bounds__(128)
    attention_delta(const backward_job<typename E::stored> job)
{
    typedef typename E::stored T;
    static const int n = lrk_chunk<T>::n;
    const problem &p = job.p;
    const int lane = (int)threadIdx.x % LRK_WARP, kv_head = (int)blockIdx.y;
    const size_t rows = (size_t)p.tokens * p.heads.group;
    const size_t row = blockIdx.x * (size_t)(blockDim.x / LRK_WARP) + threadIdx.x / LRK_WARP;
    if (row >= rows) return;
    const size_t token = row / (size_t)p.heads.group;
    const int head = kv_head * p.heads.group + (int)(row % (size_t)p.heads.group);
    const T *o = job.o.data + token * job.o.stride + head * p.head;
    const T *dout = job.dout.data + token * job.dout.stride + head * p.head;
    float sum = 0.0f;
    if (p.whole) {
        for (int d = lane * n; d < p.head; d += LRK_WARP * n) {
            lrk_chunk<T> x, y;
            x.load(o + d);
            y.load(dout + d);
#pragma unroll
            for (int e = 0; e < n; e++) sum = fmaf(x.v[e], y.v[e], sum);
        }
    } else {
        for (int d = lane; d < p.head; d += LRK_WARP)
            sum = fmaf(lrk_value(o[d]), lrk_value(dout[d]), sum);
    }
    sum = lrk_warp_sum(sum);
    if (lane == 0)
        job.pairs[kv_head * rows + row] =
            make_float2(job.lse.data[token * job.lse.stride + head] / E::unit(), sum);
}

/* ---- gradients of scores ------------------------------------------------------------------------- */

/* A product of q and k becomes the probability, a product of dout and v the gradient of the score,
 * up to the factor scale. */
template <class E>
static __device__ __forceinline__ void gradient(const problem &p, float2 pair, bool hidden, float &x,
                                                float &dx)
{
    float bend;
    x = E::power(score_of<E>(p, x, &bend) - pair.x);
    if (hidden) x = 0.0f;
    dx = x * (dx - pair.y) * fmaf(-bend, bend, 1.0f);
}

/* The same for a tile, its rows queries and its columns keys. */
template <class E>
static __device__ __forceinline__ void gradients_by_query(const problem &p, typename E::scores &x,
                                                          typename E::scores &dx,
                                                          const strip &queries, const key_tile &keys,
                                                          const float2 (&pairs)[E::my_rows])
{
#pragma unroll
    for (int i = 0; i < E::my_rows; i++) {
        const int high = position_of(queries, p.heads, E::row(i)), low = lowest_seen(p, high);
#pragma unroll
        for (int j = 0; j < E::my_columns; j++) {
            const int at = keys.rows.position + E::column(j);
            const bool hidden =
                keys.masked && (E::column(j) >= keys.rows.n || at > high || at < low);
            gradient<E>(p, pairs[i], hidden, E::at(x, i, j), E::at(dx, i, j));
        }
    }
}

/* Its rows keys and its columns queries. */
template <class E>
static __device__ __forceinline__ void gradients_by_key(const problem &p, typename E::scores &x,
                                                        typename E::scores &dx, const strip &keys,
                                                        const query_tile &queries,
                                                        const float2 *pairs)
{
#pragma unroll
    for (int j = 0; j < E::my_columns; j++) {
        const int c = E::column(j);
        const bool there = c < queries.rows.n;
        const float2 pair = there ? pairs[queries.number + c] : make_float2(0.0f, 0.0f);
        int high = INT32_MAX, low = 0;
        if (queries.masked) {
            const int position = position_of(queries.rows, p.heads, c);
            high = there ? min(position, queries.limit - 1) : -1;
            low = lowest_seen(p, position);
        }
#pragma unroll
        for (int i = 0; i < E::my_rows; i++) {
            const int at = keys.position + E::row(i);
            gradient<E>(p, pair, at > high || at < low, E::at(x, i, j), E::at(dx, i, j));
        }
    }
}

/* ---- dQ ------------------------------------------------------------------------------------------ */

template <class E, class S>
static __global__ void __launch_bounds__(E::threads, 1)
    attention_dq(const backward_job<typename E::stored> job)
{
    typedef typename E::element element;
    static const int tile = E::columns * E::stride;
    LRK_DYNAMIC_SHARED(element, q);
    element *dout = q + E::rows * E::stride, *stream = dout + E::rows * E::stride;
    element *room = stream + 2 * E::stages * tile;
    const problem &p = job.p;
    const sharing alone = {1, 65536};
    const int kv_head = (int)blockIdx.y;
    typename E::template sums<E::width> dq;
    float2 pairs[E::my_rows];
    strip queries;
    int owner, first;

    if (!find_queries(p, E::rows, (int)(gridDim.x - 1 - blockIdx.x), &owner, &queries, &first)) return;
    key_walk walk = walk_keys(p, owner, queries, E::columns);
    const auto load = [&](const strip &s, int stage) {
        E::template load<E::columns>(p, stream + 2 * stage * tile, job.k, s, alone, kv_head);
        E::template load<E::columns>(p, stream + (2 * stage + 1) * tile, job.v, s, alone, kv_head);
    };
    clear(dq);
#pragma unroll
    for (int i = 0; i < E::my_rows; i++) {
        const size_t rows = (size_t)p.tokens * p.heads.group;
        pairs[i] = make_float2(0.0f, 0.0f);
        if (E::row(i) < queries.n) pairs[i] = job.pairs[kv_head * rows + first + E::row(i)];
    }
    const int highest = position_of(queries, p.heads, min(E::last_row(), queries.n - 1));
    E::template load<E::rows>(p, q, job.q, queries, p.heads, kv_head);
    E::template load<E::rows>(p, dout, job.dout, queries, p.heads, kv_head);
    key_tile keys = next_keys(p, &walk, E::columns);
    if (keys.rows.n) load(keys.rows, 0);
    lrk_cp_async_commit();
    for (int stage = 0; keys.rows.n; stage = (stage + 1) % E::stages) {
        const element *k = stream + 2 * stage * tile, *v = k + tile;
        const key_tile next = next_keys(p, &walk, E::columns);
        if (E::stages > 1) {
            if (next.rows.n) load(next.rows, (stage + 1) % E::stages);
            lrk_cp_async_commit();
        }
        lrk_cp_async_wait<E::stages - 1>();
        __syncthreads();
        if (E::first_row() < queries.n && keys.rows.position <= highest) {
            typename E::scores x, dx;
            E::products(p, x, q, k);
            E::products(p, dx, dout, v);
            gradients_by_query<E>(p, x, dx, queries, keys, pairs);
            E::gather(dq, dx, k, room);
        }
        __syncthreads();
        if (E::stages == 1) {
            if (next.rows.n) load(next.rows, 0);
            lrk_cp_async_commit();
        }
        keys = next;
    }
    lrk_cp_async_wait<0>();
#pragma unroll
    for (int i = 0; i < E::my_rows; i++) {
        if (E::row(i) < queries.n)
            put_row<E>(dq, i, p.scale, query_row(p, job.dq, queries, E::row(i), kv_head), p.head,
                       adds(job.fresh, LRK_ATTENTION_Q));
    }
}

/* ---- dK and dV ----------------------------------------------------------------------------------- */

/* Row `row` of K: where its gradient goes, or its part of it. */
template <class E, class S>
static __device__ __forceinline__ void put_key(const backward_job<typename E::stored> &job, S &s, int i,
                                               int input, int row, int kv_head, int split, int column)
{
    const problem &p = job.p;
    const bool is_k = input == LRK_ATTENTION_K;
    const float factor = is_k ? p.scale : 1.0f;
    const int n = p.head - column;
    if (job.sums) {
        const size_t width = (size_t)p.kv_heads * p.head;
        float *to = job.sums + (((size_t)split * 2 + !is_k) * p.keys + row) * width;
        put_row<E>(s, i, factor, to + kv_head * p.head + column, n, false);
        return;
    }
    const matrix<typename E::stored> &m = is_k ? job.dk : job.dv;
    put_row<E>(s, i, factor, m.data + (size_t)row * m.stride + kv_head * p.head + column, n,
               adds(job.fresh, input));
}

/* W: columns of dK and dV that a block gathers, all or a half; blockIdx.z: which, and which split. */
template <class E, int W, class S>
static __global__ void __launch_bounds__(E::threads, 1)
    attention_dkv(const backward_job<typename E::stored> job)
{
    typedef typename E::element element;
    static const int tile = E::columns * E::stride;
    LRK_DYNAMIC_SHARED(element, k);
    element *v = k + E::rows * E::stride, *stream = v + E::rows * E::stride;
    element *room = stream + 2 * E::stages * tile;
    const problem &p = job.p;
    const sharing alone = {1, 65536};
    const int kv_head = (int)blockIdx.y;
    const int split = (int)blockIdx.z / job.parts, column = (int)blockIdx.z % job.parts * W;
    typename E::template sums<W> dk, dv;
    strip keys;
    int owner, tiles = 0;

    if (!find_keys(p, E::rows, (int)blockIdx.x, &owner, &keys)) return;
    query_walk walk = walk_queries(p, owner, keys);
    const float2 *pairs = job.pairs + (size_t)kv_head * p.tokens * p.heads.group;
    const auto advance = [&] {
        query_tile t = next_queries(p, &walk, E::columns);
        while (t.rows.n && tiles++ % job.splits != split) t = next_queries(p, &walk, E::columns);
        return t;
    };
    const auto load = [&](const strip &s, int stage) {
        E::template load<E::columns>(p, stream + 2 * stage * tile, job.q, s, p.heads, kv_head);
        E::template load<E::columns>(p, stream + (2 * stage + 1) * tile, job.dout, s, p.heads, kv_head);
    };
    clear(dk);
    clear(dv);
    E::template load<E::rows>(p, k, job.k, keys, alone, kv_head);
    E::template load<E::rows>(p, v, job.v, keys, alone, kv_head);
    query_tile queries = advance();
    if (queries.rows.n) load(queries.rows, 0);
    lrk_cp_async_commit();
    for (int stage = 0; queries.rows.n; stage = (stage + 1) % E::stages) {
        const element *q = stream + 2 * stage * tile, *dout = q + tile;
        const query_tile next = advance();
        if (E::stages > 1) {
            if (next.rows.n) load(next.rows, (stage + 1) % E::stages);
            lrk_cp_async_commit();
        }
        lrk_cp_async_wait<E::stages - 1>();
        __syncthreads();
        if (E::first_row() < keys.n) {
            typename E::scores x, dx;
            E::products(p, x, k, q);
            E::products(p, dx, v, dout);
            gradients_by_key<E>(p, x, dx, keys, queries, pairs);
            if (job.dv.data) E::gather(dv, x, dout + column, room);
            if (job.dk.data) E::gather(dk, dx, q + column, room);
        }
        __syncthreads();
        if (E::stages == 1) {
            if (next.rows.n) load(next.rows, 0);
            lrk_cp_async_commit();
        }
        queries = next;
    }
    lrk_cp_async_wait<0>();
#pragma unroll
    for (int i = 0; i < E::my_rows; i++) {
        const int r = E::row(i);
        if (r >= keys.n) continue;
        if (job.dk.data) put_key<E>(job, dk, i, LRK_ATTENTION_K, keys.token + r, kv_head, split, column);
        if (job.dv.data) put_key<E>(job, dv, i, LRK_ATTENTION_V, keys.token + r, kv_head, split, column);
    }
}

/* The splits in order; a thread for each number. */
template <typename T>
static __global__ void __launch_bounds__(256) attention_fold(const backward_job<T> job)
{
    const problem &p = job.p;
    const bool is_v = blockIdx.y != 0;
    const matrix<T> &to = is_v ? job.dv : job.dk;
    const size_t width = (size_t)p.kv_heads * p.head, count = (size_t)p.keys * width;
    const size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
    if (i >= count || !to.data) return;
    float sum = 0.0f;
    for (int split = 0; split < job.splits; split++)
        sum += job.sums[((size_t)split * 2 + is_v) * count + i];
    T *at = to.data + i / width * to.stride + i % width;
    lrk_set(at, adds(job.fresh, is_v ? LRK_ATTENTION_V : LRK_ATTENTION_K) ? lrk_value(*at) + sum : sum);
}

/* ---- launches ------------------------------------------------------------------------------------ */

/* A block's own two tensors, and two in tiles. */
template <class E>
using taking_pairs = taking<E, (2 * E::rows + 2 * E::stages * E::columns) * E::stride>;

/* E for blocks of queries, F for blocks of keys. */
template <class E, class F, int W> static void backward_with(backward_job<typename E::stored> job)
{
    const problem p = job.p = in_units_of<E>(job.p);
    const size_t rows = (size_t)p.tokens * p.heads.group, width = (size_t)p.kv_heads * p.head;
    const unsigned heads = (unsigned)p.kv_heads;
    LRK_LAUNCH(attention_delta<E>, dim3((unsigned)lrk_ceil_div(rows, 4), heads),
               dim3(128), 0, job);
    if (job.dq.data)
        LAUNCH_WITH(E, (attention_dq<E, taking_pairs<E>>), dim3(pieces(rows, E::rows, p.segments), heads),
                    taking_pairs<E>, job);
    if (!job.dk.data && !job.dv.data) return;
    job.parts = (int)lrk_ceil_div((size_t)p.head, W);
    if (job.sums && p.keys != p.tokens) /* rows of no segment */
        lrk_device_zero(LRK_CUDA, job.sums,
                        (size_t)job.splits * 2 * (size_t)p.keys * width * sizeof(float));
    const dim3 grid(pieces((size_t)p.keys, F::rows, p.segments), heads,
                    (unsigned)(job.parts * job.splits));
    LAUNCH_WITH(F, (attention_dkv<F, W, taking_pairs<F>>), grid, taking_pairs<F>, job);
    if (job.sums)
        LRK_LAUNCH(attention_fold<typename E::stored>,
                   dim3((unsigned)lrk_ceil_div((size_t)p.keys * width, 256), 2), dim3(256), 0, job);
}

template <class E> static void backward_with(const backward_job<typename E::stored> &job)
{
    backward_with<E, E, E::width>(job);
}

/* By head size, as forward; at 256 a block of keys gathers half of the columns. No engine spills on
 * sm_80 to sm_120 (docs/cuda-resources.md). 99 KiB of shared memory, at 256, is all that a block can have on
 * sm_89 and sm_120. */
static void backward_pick(const backward_job<lrk_bf16> &job)
{
    const int head = job.p.head;
    if (!job.p.whole)
        backward_with<plain<lrk_bf16, 256, 16>>(job);
    else if (head <= 64)
        backward_with<tensor_cores<64, 1, 48>, tensor_cores<64, 1, 32>, 64>(job);
    else if (head <= 80)
        backward_with<tensor_cores<80, 1, 32>>(job);
    else if (head <= 96)
        backward_with<tensor_cores<96, 1, 32>>(job);
    else if (head <= 128)
        backward_with<tensor_cores<128, 1, 32>>(job);
    else
        backward_with<tensor_cores<256, 1, 16>, tensor_cores<256, 1, 16>, 128>(job);
}

static void backward_pick(const backward_job<float> &job)
{
    const int head = job.p.head;
    if (head <= 64)
        backward_with<plain<float, 64, 32>>(job);
    else if (head <= 128)
        backward_with<plain<float, 128, 32>>(job);
    else
        backward_with<plain<float, 256, 16>>(job);
}

template <typename T> static void backward(const lrk_call *c)
{
    backward_job<T> job;
    job.p = problem_of(c);
    job.q = matrix_of<const T>(c->in[LRK_ATTENTION_Q]);
    job.k = matrix_of<const T>(c->in[LRK_ATTENTION_K]);
    job.v = matrix_of<const T>(c->in[LRK_ATTENTION_V]);
    job.o = matrix_of<const T>(c->out[LRK_ATTENTION_O]);
    job.dout = matrix_of<const T>(c->dout[LRK_ATTENTION_O]);
    job.lse = matrix_of<float>(c->saved[LRK_ATTENTION_LSE]);
    job.dq = matrix_of<T>(c->din[LRK_ATTENTION_Q]);
    job.dk = matrix_of<T>(c->din[LRK_ATTENTION_K]);
    job.dv = matrix_of<T>(c->din[LRK_ATTENTION_V]);
    job.pairs = static_cast<float2 *>(c->scratch);
    job.sums = NULL;
    if (lrk_attention_folds(c))
        job.sums = reinterpret_cast<float *>(static_cast<char *>(c->scratch) + lrk_attention_pair_bytes(c));
    job.splits = (int)lrk_attention_query_splits(c);
    job.parts = 1;
    job.fresh = c->fresh;
    backward_pick(job);
}

LRK_CUDA_KERNEL(attention, bwd, backward)
