/* kernels/linear/linear_cuda.cu -- dropout, and the gradient of a bias, around the products, on the GPU. */
#include "kernels/cuda.cuh"
#include "kernels/rng.cuh"
extern "C" {
#include "kernels/linear/products.h"
}

enum { THREADS = 256, LANES = 32, PARTS = 8 };

/* ---- dropout ------------------------------------------------------------------------------------- */

struct dropout {
    const lrk_cuda_draws *draws;
    uint32_t site, limit; /* drawn below limit: dropped */
    float keep;
    size_t rows, cols, from_stride, to_stride;
    bool add;
};

static __device__ __forceinline__ float masked(const dropout &d, uint32_t drawn, float from, float to)
{
    const float v = drawn < d.limit ? 0.0f : __fmul_rn(d.keep, from);
    return d.add ? __fadd_rn(to, v) : v;
}

/* A thread takes eight elements of a row, two blocks of random numbers. */
template <typename T> static __global__ void mask_eights(dropout d, const T *from, T *to)
{
    const size_t groups = d.cols / 8, at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= d.rows * groups) return;
    const size_t row = at / groups, col = at % groups * 8;
    const T *x = from + row * d.from_stride + col;
    T *y = to + row * d.to_stride + col;
    uint32_t drawn[8];
    lrk_draw_four(d.draws, d.site, 2 * at, drawn);
    lrk_draw_four(d.draws, d.site, 2 * at + 1, drawn + 4);
#pragma unroll
    for (int i = 0; i < 8; i += lrk_chunk<T>::n) {
        lrk_chunk<T> a, b = {};
        a.load(x + i);
        if (d.add) b.load(y + i);
#pragma unroll
        for (int j = 0; j < lrk_chunk<T>::n; j++) b.v[j] = masked(d, drawn[i + j], a.v[j], b.v[j]);
        b.store(y + i);
    }
}

template <typename T> static __global__ void mask_ones(dropout d, const T *from, T *to)
{
    const size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= d.rows * d.cols) return;
    const size_t row = at / d.cols, col = at % d.cols;
    T *y = to + row * d.to_stride + col;
    uint32_t drawn[4];
    lrk_draw_four(d.draws, d.site, at / 4, drawn);
    const uint32_t mine = at % 4 < 2 ? drawn[at % 2] : drawn[2 + at % 2];
    lrk_set(y, masked(d, mine, lrk_value(from[row * d.from_stride + col]),
                      d.add ? lrk_value(*y) : 0.0f));
}

template <typename T>
static void mask(const lrk_call *c, const lrk_tensor *from, const lrk_tensor *to, bool add)
{
    const lrk_linear_attr *attr = static_cast<const lrk_linear_attr *>(c->attr);
    const dropout d = {lrk_cuda_draw(attr->rng),
                       attr->rng->site,
                       (uint32_t)(attr->dropout * 4294967296.0),
                       (float)(1.0 / (1.0 - attr->dropout)),
                       lrk_rows(from),
                       lrk_cols(from),
                       from->stride,
                       to->stride,
                       add};
    const bool eights = lrk_can_chunk(from) && lrk_can_chunk(to) && d.cols % 8 == 0;
    const unsigned grid = (unsigned)lrk_ceil_div(lrk_count(from) / (eights ? 8 : 1), THREADS);
    if (eights)
        LRK_LAUNCH((mask_eights<T>), grid, THREADS, 0, d, lrk_data<T>(from), lrk_data<T>(to));
    else
        LRK_LAUNCH((mask_ones<T>), grid, THREADS, 0, d, lrk_data<T>(from), lrk_data<T>(to));
}

/* ---- the gradient of a bias ----------------------------------------------------------------------- */

/* A block sums LANES columns: PARTS threads a column, each every PARTS-th row, folded in order. In
 * double, as on the CPU: a sum over all tokens. */
template <typename T>
static __global__ void sum_columns(const T *dy, size_t rows, size_t cols, size_t stride, T *dbias,
                                   bool fresh)
{
    LRK_SHARED(double, part, PARTS * LANES);
    const size_t col = (size_t)blockIdx.x * LANES + threadIdx.x;
    double sum = 0.0;
    for (size_t t = threadIdx.y; t < rows && col < cols; t += PARTS)
        sum += (double)lrk_value(dy[t * stride + col]);
    part[threadIdx.y * LANES + threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || col >= cols) return;
    sum = fresh ? 0.0 : (double)lrk_value(dbias[col]);
    for (int i = 0; i < PARTS; i++) sum += part[i * LANES + threadIdx.x];
    lrk_set(&dbias[col], (float)sum);
}

template <typename T>
static void add_bias_gradient(const lrk_tensor *dy, const lrk_tensor *dbias, bool fresh)
{
    LRK_LAUNCH((sum_columns<T>), (unsigned)lrk_ceil_div(lrk_cols(dy), LANES), dim3(LANES, PARTS), 0,
               lrk_data<T>(dy), lrk_rows(dy), lrk_cols(dy), dy->stride, lrk_data<T>(dbias), fresh);
}

/* ---- the op -------------------------------------------------------------------------------------- */

template <typename T> static void forward(const lrk_call *c)
{
    const lrk_linear_steps steps = {mask<T>, add_bias_gradient<T>, NULL};
    lrk_linear_forward(c, &steps);
}

template <typename T> static void backward(const lrk_call *c)
{
    const lrk_linear_steps steps = {mask<T>, add_bias_gradient<T>, lrk_linear_read_once};
    lrk_linear_backward(c, &steps);
}

LRK_CUDA_KERNEL(linear, fwd, forward)
LRK_CUDA_KERNEL(linear, bwd, backward)
