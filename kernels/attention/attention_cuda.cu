/* kernels/attention/attention_cuda.cu -- forward: a block of threads has some query rows of one key
 * head and goes through the keys that they see. */
#include "kernels/attention/engine.cuh"

template <typename T> struct forward_job {
    problem p;
    matrix<const T> q, k, v;
    matrix<T> o;
    matrix<float> lse; /* data NULL: not wanted */
    float *parts;      /* [split][key head][row of all tokens][head + 2]: O, maximum, sum */
    int splits;
};

/* What a thread's rows have gathered so far: the largest score, and this thread's share of the sum of
 * exp(score - max). */
template <class E> struct tally {
    float max[E::my_rows], sum[E::my_rows];
};

/* Scores become exp(score - max); o shrinks to the new maximum. */
template <class E, class S>
static __device__ __forceinline__ void softmax(const problem &p, typename E::scores &x,
                                               const strip &queries, const key_tile &keys,
                                               tally<E> &t, S &o)
{
    float unused;
#pragma unroll
    for (int i = 0; i < E::my_rows; i++)
#pragma unroll
        for (int j = 0; j < E::my_columns; j++) E::at(x, i, j) = score_of<E>(p, E::at(x, i, j), &unused);
    if (keys.masked) {
#pragma unroll
        for (int i = 0; i < E::my_rows; i++) {
            const int high = position_of(queries, p.heads, E::row(i)), low = lowest_seen(p, high);
#pragma unroll
            for (int j = 0; j < E::my_columns; j++) {
                const int at = keys.rows.position + E::column(j);
                if (E::column(j) >= keys.rows.n || at > high || at < low) E::at(x, i, j) = -INFINITY;
            }
        }
    }
#pragma unroll
    for (int i = 0; i < E::my_rows; i++) {
        float max = t.max[i];
#pragma unroll
        for (int j = 0; j < E::my_columns; j++) max = fmaxf(max, E::at(x, i, j));
        max = E::row_max(max);
        const float shrink = E::power(t.max[i] - max);
        t.max[i] = max;
        t.sum[i] *= shrink;
#pragma unroll
        for (int j = 0; j < E::my_columns; j++) {
            E::at(x, i, j) = E::power(E::at(x, i, j) - max);
            t.sum[i] += E::at(x, i, j);
        }
#pragma unroll
        for (int j = 0; j < S::my_columns; j++) E::at(o, i, j) *= shrink;
    }
}

template <class E, class S>
static __device__ __forceinline__ void write_rows(const forward_job<typename E::stored> &job,
                                                  const strip &queries, int first, int kv_head,
                                                  const tally<E> &t, S &o)
{
    const problem &p = job.p;
#pragma unroll
    for (int i = 0; i < E::my_rows; i++) {
        const int r = E::row(i);
        const float sum = E::row_sum(t.sum[i]);
        if (r >= queries.n) continue;
        if (job.splits > 1) {
            const size_t rows = (size_t)p.tokens * p.heads.group;
            float *part = job.parts + (((size_t)blockIdx.z * p.kv_heads + kv_head) * rows + first + r) *
                                          (size_t)(p.head + 2);
            put_row<E>(o, i, 1.0f, part, p.head, false);
            if (E::column(0) != 0) continue;
            part[p.head] = t.max[i];
            part[p.head + 1] = sum;
            continue;
        }
        put_row<E>(o, i, sum > 0.0f ? 1.0f / sum : 0.0f, query_row(p, job.o, queries, r, kv_head),
                   p.head, false);
        if (!job.lse.data || E::column(0) != 0) continue;
        const int token = p.heads.token_of(queries.skip + r);
        const int head = kv_head * p.heads.group + queries.skip + r - token * p.heads.group;
        job.lse.data[(size_t)(queries.token + token) * job.lse.stride + head] =
            sum > 0.0f ? (t.max[i] + E::log(sum)) * E::unit() : 0.0f;
    }
}

/* While a tile's scores are made its values arrive, and while its values are gathered the keys of the
 * next. */
template <class E, class S>
static __global__ void __launch_bounds__(E::threads, 1)
    attention_forward(const forward_job<typename E::stored> job)
{
    LRK_DYNAMIC_SHARED(typename E::element, q);
    typename E::element *k = q + E::rows * E::stride, *v = k + E::columns * E::stride;
    typename E::element *room = v + E::columns * E::stride;
    const problem &p = job.p;
    const sharing alone = {1, 65536};
    const int kv_head = (int)blockIdx.y;
    typename E::template sums<E::width> o;
    tally<E> t;
    strip queries;
    int owner, first, left = INT32_MAX;

    /* the last queries see most keys: they go first, so that blocks end together */
    if (!find_queries(p, E::rows, (int)(gridDim.x - 1 - blockIdx.x), &owner, &queries, &first)) return;
    key_walk walk = walk_keys(p, owner, queries, E::columns);
    if (job.splits > 1) {
        const int all = tiles_left(p, walk, E::columns), split = (int)blockIdx.z;
        const int begin = (int)((int64_t)all * split / job.splits);
        left = (int)((int64_t)all * (split + 1) / job.splits) - begin;
        skip_tiles(p, &walk, E::columns, begin);
    }
    const int highest = position_of(queries, p.heads, min(E::last_row(), queries.n - 1));
    const auto advance = [&] { return left-- > 0 ? next_keys(p, &walk, E::columns) : key_tile{}; };

    clear(o);
#pragma unroll
    for (int i = 0; i < E::my_rows; i++) {
        t.max[i] = -1e30f; /* finite: max - max must be 0 where nothing was seen yet */
        t.sum[i] = 0.0f;
    }
    E::template load<E::rows>(p, q, job.q, queries, p.heads, kv_head);
    key_tile keys = advance();
    if (keys.rows.n) E::template load<E::columns>(p, k, job.k, keys.rows, alone, kv_head);
    lrk_cp_async_commit();
    while (keys.rows.n) {
        typename E::scores x;
        const bool sees = E::first_row() < queries.n && keys.rows.position <= highest;
        lrk_cp_async_wait<0>();
        __syncthreads();
        E::template load<E::columns>(p, v, job.v, keys.rows, alone, kv_head);
        lrk_cp_async_commit();
        if (sees) E::products(p, x, q, k);
        const key_tile next = advance();
        lrk_cp_async_wait<0>();
        __syncthreads();
        if (next.rows.n) E::template load<E::columns>(p, k, job.k, next.rows, alone, kv_head);
        lrk_cp_async_commit();
        if (sees) {
            softmax<E>(p, x, queries, keys, t, o);
            E::gather(o, x, v, room);
        }
        keys = next;
    }
    lrk_cp_async_wait<0>();
    write_rows<E>(job, queries, first, kv_head, t, o);
}

/* A warp joins the parts of a row. */
template <class E>
static __global__ void __launch_bounds__(128)
    attention_join(const forward_job<typename E::stored> job)
{
    const problem &p = job.p;
    const int lane = (int)threadIdx.x % LRK_WARP;
    const size_t rows = (size_t)p.tokens * p.heads.group, width = (size_t)p.head + 2;
    const size_t row = blockIdx.x * (size_t)(blockDim.x / LRK_WARP) + threadIdx.x / LRK_WARP;
    const int kv_head = (int)blockIdx.y;
    if (row >= rows) return;
    const size_t step = (size_t)p.kv_heads * rows * width;
    const float *part = job.parts + ((size_t)kv_head * rows + row) * width;
    float max = -1e30f, sum = 0.0f;
    for (int i = 0; i < job.splits; i++) max = fmaxf(max, part[i * step + p.head]);
    for (int i = 0; i < job.splits; i++)
        sum += E::power(part[i * step + p.head] - max) * part[i * step + p.head + 1];

    const size_t token = row / (size_t)p.heads.group;
    const int head = kv_head * p.heads.group + (int)(row % (size_t)p.heads.group);
    const float inverse = sum > 0.0f ? 1.0f / sum : 0.0f;
    typename E::stored *o = job.o.data + token * job.o.stride + head * p.head;
    for (int d = lane; d < p.head; d += LRK_WARP) {
        float v = 0.0f;
        for (int i = 0; i < job.splits; i++)
            v += E::power(part[i * step + p.head] - max) * part[i * step + d];
        lrk_set(o + d, v * inverse);
    }
    if (job.lse.data && lane == 0)
        job.lse.data[token * job.lse.stride + head] =
            sum > 0.0f ? (max + E::log(sum)) * E::unit() : 0.0f;
}

template <class E> static void forward_with(forward_job<typename E::stored> job)
{
    const problem p = job.p = in_units_of<E>(job.p);
    const size_t rows = (size_t)p.tokens * p.heads.group;
    const dim3 grid(pieces(rows, E::rows, p.segments), (unsigned)p.kv_heads, (unsigned)job.splits);
    typedef taking<E, (E::rows + 2 * E::columns) * E::stride> shared;
    LAUNCH_WITH(E, (attention_forward<E, shared>), grid, shared, job);
    if (job.splits > 1)
        LRK_LAUNCH(attention_join<E>,
                   dim3((unsigned)lrk_ceil_div(rows, 4), (unsigned)p.kv_heads), dim3(128), 0, job);
}

/* By head size: the smallest that fits. Two tiles of 16 rows for a warp halve what it reads of the keys
 * from shared memory, as long as O and the scores stay in registers. No engine spills on sm_80 to
 * sm_120; what they take, and how many blocks fit a processor: docs/cuda-resources.md. Tiles of 48 at 128, and of
 * dQ at 64, are the largest of which two blocks fit the 100 KiB of sm_89 and sm_120. */
static void forward_pick(const forward_job<lrk_bf16> &job)
{
    const int head = job.p.head;
    if (!job.p.whole)
        forward_with<plain<lrk_bf16, 256, 16>>(job);
    else if (head <= 64)
        forward_with<tensor_cores<64, 2, 64>>(job);
    else if (head <= 80)
        forward_with<tensor_cores<80, 2, 32>>(job);
    else if (head <= 96)
        forward_with<tensor_cores<96, 2, 32>>(job);
    else if (head <= 128)
        forward_with<tensor_cores<128, 1, 48>>(job);
    else
        forward_with<tensor_cores<256, 1, 32>>(job);
}

static void forward_pick(const forward_job<float> &job)
{
    const int head = job.p.head;
    if (head <= 64)
        forward_with<plain<float, 64, 32>>(job);
    else if (head <= 128)
        forward_with<plain<float, 128, 32>>(job);
    else
        forward_with<plain<float, 256, 16>>(job);
}

template <typename T> static void forward(const lrk_call *c)
{
    forward_job<T> job;
    job.p = problem_of(c);
    job.q = matrix_of<const T>(c->in[LRK_ATTENTION_Q]);
    job.k = matrix_of<const T>(c->in[LRK_ATTENTION_K]);
    job.v = matrix_of<const T>(c->in[LRK_ATTENTION_V]);
    job.o = matrix_of<T>(c->out[LRK_ATTENTION_O]);
    job.lse = matrix_of<float>(c->saved[LRK_ATTENTION_LSE]);
    job.parts = static_cast<float *>(c->scratch);
    job.splits = (int)lrk_attention_key_splits(c);
    forward_pick(job);
}

LRK_CUDA_KERNEL(attention, fwd, forward)
