/* kernels/layernorm/layernorm_cuda.cu -- a row is one block's; for dw and db a column is one thread's,
 * which sums the rows from first to last. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/layernorm/layernorm.h"
}

enum { THREADS = 256 };

template <typename T, typename W>
static __global__ void __launch_bounds__(THREADS)
    forward_rows(lrk_view<const T> x, const W *w, const W *b, lrk_view<T> y, float *mean, float *rstd,
                 size_t cols, float eps)
{
    LRK_SHARED(float, room, LRK_WARP);
    const size_t row = blockIdx.x;
    float sum = 0.0f, square = 0.0f;
    for (size_t i = threadIdx.x; i < cols; i += THREADS) sum += lrk_value(*x.at(row, i));
    const float m = lrk_block_sum(sum, room) / (float)cols;
    for (size_t i = threadIdx.x; i < cols; i += THREADS) {
        const float d = lrk_value(*x.at(row, i)) - m;
        square += d * d;
    }
    const float r = 1.0f / sqrtf(lrk_block_sum(square, room) / (float)cols + eps);
    if (mean && threadIdx.x == 0) mean[row] = m;
    if (rstd && threadIdx.x == 0) rstd[row] = r;
    for (size_t i = threadIdx.x; i < cols; i += THREADS) {
        const float z = (lrk_value(*x.at(row, i)) - m) * r;
        lrk_set(y.at(row, i), z * lrk_value(w[i]) + (b ? lrk_value(b[i]) : 0.0f));
    }
}

template <typename T, typename W>
static __global__ void __launch_bounds__(THREADS)
    dx_rows(lrk_view<const T> x, const W *w, const float *mean, const float *rstd, lrk_view<const T> dy,
            lrk_view<T> dx, size_t cols, bool fresh)
{
    LRK_SHARED(float, room, LRK_WARP);
    const size_t row = blockIdx.x;
    const float m = mean[row], r = rstd[row];
    float g = 0.0f, gz = 0.0f;
    for (size_t i = threadIdx.x; i < cols; i += THREADS) {
        const float d = lrk_value(*dy.at(row, i)) * lrk_value(w[i]);
        g += d;
        gz += d * ((lrk_value(*x.at(row, i)) - m) * r);
    }
    g = lrk_block_sum(g, room) / (float)cols;
    gz = lrk_block_sum(gz, room) / (float)cols;
    for (size_t i = threadIdx.x; i < cols; i += THREADS) {
        const float z = (lrk_value(*x.at(row, i)) - m) * r;
        const float v = r * (lrk_value(*dy.at(row, i)) * lrk_value(w[i]) - g - z * gz);
        lrk_set(dx.at(row, i), fresh ? v : lrk_value(*dx.at(row, i)) + v);
    }
}

/* Gradients without data are nobody's. */
template <typename T, typename W>
static __global__ void dw_columns(lrk_view<const T> x, const float *mean, const float *rstd,
                                  lrk_view<const T> dy, W *dw, W *db, size_t rows, size_t cols,
                                  bool fresh_w, bool fresh_b)
{
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= cols) return;
    double w = 0.0, b = 0.0;
    for (size_t t = 0; t < rows; t++) {
        const float d = lrk_value(*dy.at(t, i));
        w += (double)(d * ((lrk_value(*x.at(t, i)) - mean[t]) * rstd[t]));
        b += (double)d;
    }
    if (dw) lrk_set(dw + i, (float)(fresh_w ? w : (double)lrk_value(dw[i]) + w));
    if (db) lrk_set(db + i, (float)(fresh_b ? b : (double)lrk_value(db[i]) + b));
}

template <typename T> static T *data_or_null(const lrk_tensor *t)
{
    return t ? lrk_data<T>(t) : NULL;
}

template <typename T, typename W> static void forward_with(const lrk_call *c)
{
    const lrk_tensor *x = c->in[LRK_LAYERNORM_X];
    LRK_LAUNCH((forward_rows<T, W>), dim3((unsigned)lrk_rows(x)), dim3(THREADS), 0,
               lrk_view_of<const T>(x), lrk_data<const W>(c->in[LRK_LAYERNORM_W]),
               data_or_null<const W>(c->in[LRK_LAYERNORM_B]), lrk_view_of<T>(c->out[LRK_LAYERNORM_Y]),
               data_or_null<float>(c->saved[LRK_LAYERNORM_MEAN]),
               data_or_null<float>(c->saved[LRK_LAYERNORM_RSTD]), lrk_cols(x),
               (float)static_cast<const lrk_layernorm_attr *>(c->attr)->eps);
}

template <typename T, typename W> static void backward_with(const lrk_call *c)
{
    const lrk_tensor *x = c->in[LRK_LAYERNORM_X], *dy = c->dout[LRK_LAYERNORM_Y];
    const float *mean = lrk_data<const float>(c->saved[LRK_LAYERNORM_MEAN]);
    const float *rstd = lrk_data<const float>(c->saved[LRK_LAYERNORM_RSTD]);
    W *dw = data_or_null<W>(c->din[LRK_LAYERNORM_W]), *db = data_or_null<W>(c->din[LRK_LAYERNORM_B]);
    if (c->din[LRK_LAYERNORM_X])
        LRK_LAUNCH((dx_rows<T, W>), dim3((unsigned)lrk_rows(x)), dim3(THREADS), 0,
                   lrk_view_of<const T>(x), lrk_data<const W>(c->in[LRK_LAYERNORM_W]), mean, rstd,
                   lrk_view_of<const T>(dy), lrk_view_of<T>(c->din[LRK_LAYERNORM_X]), lrk_cols(x),
                   (bool)(c->fresh >> LRK_LAYERNORM_X & 1));
    if (dw || db)
        LRK_LAUNCH((dw_columns<T, W>), dim3((unsigned)lrk_ceil_div(lrk_cols(x), 128)), dim3(128), 0,
                   lrk_view_of<const T>(x), mean, rstd, lrk_view_of<const T>(dy), dw, db, lrk_rows(x),
                   lrk_cols(x), (bool)(c->fresh >> LRK_LAYERNORM_W & 1),
                   (bool)(c->fresh >> LRK_LAYERNORM_B & 1));
}

template <typename T> static void forward(const lrk_call *c)
{
    if (c->in[LRK_LAYERNORM_W]->dtype == LRK_F32)
        forward_with<T, float>(c);
    else
        forward_with<T, T>(c);
}

template <typename T> static void backward(const lrk_call *c)
{
    if (c->in[LRK_LAYERNORM_W]->dtype == LRK_F32)
        backward_with<T, float>(c);
    else
        backward_with<T, T>(c);
}

LRK_CUDA_KERNEL(layernorm, fwd, forward)
LRK_CUDA_KERNEL(layernorm, bwd, backward)
