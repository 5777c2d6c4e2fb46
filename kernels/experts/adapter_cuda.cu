/* kernels/experts/adapter_cuda.cu -- gradients of the adapters beside experts: an expert's rows times its rows.
 * A block has a tile of one expert's gradient and goes through all rows of that expert in order; an expert
 * without rows leaves it alone. */
#include "kernels/experts/experts.cuh"

enum { THREADS = 128, SIDE = 32, DEPTH = 32, PER_THREAD = SIDE * SIDE / THREADS };

template <typename T> struct gradient {
    const int32_t *start, *token;
    lrk_view<const T> y, x;
    bool y_by_token, x_by_token;
    float *to;                /* of expert 0 */
    size_t apart, stride;     /* elements from expert to expert, from row to row */
    size_t m, n;
};

/* Rows first .. end - 1, columns from c0, one row below the other; zeros beyond. */
template <typename T>
static __device__ __forceinline__ void load(const gradient<T> &g, const lrk_view<const T> &from,
                                            bool by_token, size_t cols, size_t first, size_t end,
                                            size_t c0, float *to)
{
#pragma unroll
    for (int i = 0; i < PER_THREAD; i++) {
        const int at = (int)threadIdx.x + i * THREADS;
        const size_t r = first + (size_t)(at / SIDE), c = c0 + (size_t)(at % SIDE);
        const bool inside = r < end && c < cols;
        to[at] = inside ? lrk_value(*from.at(by_token ? (size_t)g.token[r] : r, c)) : 0.0f;
    }
}

/* Four blocks of a multiprocessor: left alone, the compiler wants nine on sm_89, and spills. */
template <typename T> static __global__ void __launch_bounds__(THREADS, 4) add_tiles(gradient<T> g)
{
    LRK_SHARED(float, y, DEPTH *SIDE);
    LRK_SHARED(float, x, DEPTH *SIDE);
    const size_t first = (size_t)g.start[blockIdx.x], end = (size_t)g.start[blockIdx.x + 1];
    const size_t m0 = (size_t)blockIdx.y * SIDE, n0 = (size_t)blockIdx.z * SIDE;
    const int col = (int)threadIdx.x % SIDE, row = (int)threadIdx.x / SIDE;
    if (first == end) return;
    float sum[PER_THREAD] = {};
    for (size_t r = first; r < end; r += DEPTH) {
        load(g, g.y, g.y_by_token, g.m, r, end, m0, y);
        load(g, g.x, g.x_by_token, g.n, r, end, n0, x);
        __syncthreads();
        for (int k = 0; k < DEPTH; k++) {
            const float right = x[k * SIDE + col];
#pragma unroll
            for (int i = 0; i < PER_THREAD; i++)
                sum[i] = fmaf(y[k * SIDE + row + i * (THREADS / SIDE)], right, sum[i]);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < PER_THREAD; i++) {
        const size_t at = m0 + (size_t)(row + i * (THREADS / SIDE)), c = n0 + (size_t)col;
        if (at < g.m && c < g.n) g.to[(size_t)blockIdx.x * g.apart + at * g.stride + c] += sum[i];
    }
}

template <typename T>
static void add_gradient(const lrk_experts_run *r, const lrk_tensor *d, size_t apart, const lrk_tensor *y,
                         bool y_by_token, const lrk_tensor *x, bool x_by_token)
{
    gradient<T> g = {};
    g.start = r->start;
    g.token = r->token;
    g.y = lrk_view_of<const T>(y);
    g.x = lrk_view_of<const T>(x);
    g.y_by_token = y_by_token;
    g.x_by_token = x_by_token;
    g.to = lrk_data<float>(d);
    g.apart = apart;
    g.stride = d->stride;
    g.m = lrk_rows(d);
    g.n = lrk_cols(d);
    const dim3 grid((unsigned)r->E, (unsigned)lrk_ceil_div(g.m, SIDE), (unsigned)lrk_ceil_div(g.n, SIDE));
    LRK_LAUNCH((add_tiles<T>), grid, THREADS, 0, g);
}

void lrk_experts_add_gradient(const lrk_experts_run *r, int which, const lrk_tensor *y, bool y_by_token,
                              const lrk_tensor *x, bool x_by_token)
{
    const lrk_tensor d = lrk_experts_gradient(r->call, which, 0);
    if (!d.data) return;
    const lrk_tensor next = lrk_experts_gradient(r->call, which, r->E > 1);
    const size_t apart = (size_t)(lrk_data<float>(&next) - lrk_data<float>(&d));
    if (y->dtype == LRK_BF16)
        add_gradient<lrk_bf16>(r, &d, apart, y, y_by_token, x, x_by_token);
    else
        add_gradient<float>(r, &d, apart, y, y_by_token, x, x_by_token);
}

/* A block for each choice; weight NULL: all 1. */
template <typename T>
static __global__ void __launch_bounds__(THREADS)
    scale_rows(const int32_t *place, const float *weight, float factor, const T *from, T *to, size_t cols)
{
    const size_t at = (size_t)place[blockIdx.x] * cols;
    const float w = weight ? factor * weight[blockIdx.x] : factor;
    for (size_t i = at + threadIdx.x; i < at + cols; i += THREADS)
        lrk_set(&to[i], w * lrk_value(from[i]));
}

void lrk_experts_scale_rows(const lrk_experts_run *r, double factor, bool weighted, const lrk_tensor *from,
                            const lrk_tensor *to)
{
    const unsigned rows = (unsigned)r->rows;
    const float *const weight = weighted ? r->weight : NULL;
    if (from->dtype == LRK_BF16)
        LRK_LAUNCH((scale_rows<lrk_bf16>), rows, THREADS, 0, r->place, weight, (float)factor,
                   lrk_data<const lrk_bf16>(from), lrk_data<lrk_bf16>(to), lrk_cols(from));
    else
        LRK_LAUNCH((scale_rows<float>), rows, THREADS, 0, r->place, weight, (float)factor,
                   lrk_data<const float>(from), lrk_data<float>(to), lrk_cols(from));
}
