/* kernels/rmsnorm/rmsnorm_cuda.cu -- a row is one warp's or one block's, and lies in its registers
 * between the sum and the result: x and dy are read once, x not at all where it is made here. For dw, parts
 * of the rows are summed, then the parts in order. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/add/add.h"
#include "kernels/rmsnorm/pieces.h"
}

/* Packs of a row that a thread keeps; warps of a block that have a row each; threads that share a row, or a piece of
 * one, at most; warps of a block that sums dw. */
enum { KEPT = 4, ROWS = 4, MOST = 1024, MOST_OF_PIECE = 256, DEPTH = 8 };

/* Whole rows, or pieces of them: how many, how long, as many in each row. */
struct pieces {
    size_t n, width;
    unsigned in_row;
};

/* Where piece n begins. Whole rows are spared the division and its registers. */
template <bool CUT> struct place {
    size_t row, column;

    __device__ __forceinline__ place(const pieces &p, size_t n)
        : row(CUT ? (unsigned)n / p.in_row : n), column(CUT ? (unsigned)n % p.in_row * p.width : 0)
    {
    }
};

static pieces pieces_of(const lrk_call *c)
{
    const size_t width = lrk_rmsnorm_width(c);
    const pieces p = {lrk_rmsnorm_pieces(c), width, (unsigned)(lrk_cols(c->in[LRK_RMSNORM_X]) / width)};
    return p;
}

static __device__ __forceinline__ float row_sum(float v, float *room)
{
    return blockDim.x == LRK_WARP ? lrk_warp_sum(v) : lrk_block_sum(v, room);
}

/* The packs first + threadIdx.x, and every blockDim.x-th after it; zeros behind the row. */
template <typename T, int N>
static __device__ __forceinline__ void load_packs(lrk_pack<T, N> p[KEPT], const T *row, size_t first,
                                                  size_t packs)
{
#pragma unroll
    for (int j = 0; j < KEPT; j++) {
        const size_t i = first + threadIdx.x + (size_t)j * blockDim.x;
        if (i < packs) {
            p[j].load(row + i * N);
        } else {
#pragma unroll
            for (int k = 0; k < N; k++) p[j].set(k, 0.0f);
        }
    }
}

/* The same packs of x, which is a + b and written here. */
template <typename T, int N>
static __device__ __forceinline__ void add_packs(lrk_pack<T, N> p[KEPT], const T *a, const T *b, T *x,
                                                 size_t first, size_t packs)
{
    lrk_pack<T, N> q[KEPT];
    load_packs(p, a, first, packs);
    load_packs(q, b, first, packs);
#pragma unroll
    for (int j = 0; j < KEPT; j++) {
        const size_t i = first + threadIdx.x + (size_t)j * blockDim.x;
        if (i >= packs) continue;
#pragma unroll
        for (int k = 0; k < N; k++) p[j].set(k, p[j].get(k) + q[j].get(k));
        p[j].store(x + i * N);
    }
}

/* JOINS: x is not there yet. */
template <typename T, typename W, int N, bool JOINS, bool CUT>
static __global__ void __launch_bounds__(CUT ? MOST_OF_PIECE : MOST)
    forward_rows(lrk_view<const T> a, lrk_view<const T> b, lrk_view<T> x, const W *w, lrk_view<T> y,
                 float *rstd, pieces p, float eps)
{
    LRK_SHARED(float, room, LRK_WARP);
    const size_t n = (size_t)blockIdx.x * blockDim.y + threadIdx.y;
    const size_t packs = p.width / N, tile = (size_t)KEPT * blockDim.x;
    if (n >= p.n) return;
    const place<CUT> at(p, n);
    lrk_pack<T, N> px[KEPT], py;
    float square = 0.0f;
    for (size_t first = 0; first < packs; first += tile) {
        if (JOINS)
            add_packs(px, a.at(at.row, at.column), b.at(at.row, at.column), x.at(at.row, at.column), first, packs);
        else
            load_packs(px, (const T *)x.at(at.row, at.column), first, packs);
#pragma unroll
        for (int j = 0; j < KEPT; j++)
#pragma unroll
            for (int k = 0; k < N; k++) square += px[j].get(k) * px[j].get(k);
    }
    const float r = 1.0f / sqrtf(row_sum(square, room) / (float)p.width + eps);
    if (rstd && threadIdx.x == 0) rstd[n] = r;
    for (size_t first = 0; first < packs; first += tile) {
        if (packs > tile) load_packs(px, (const T *)x.at(at.row, at.column), first, packs);
#pragma unroll
        for (int j = 0; j < KEPT; j++) {
            const size_t i = first + threadIdx.x + (size_t)j * blockDim.x;
            if (i >= packs) continue;
            lrk_pack<W, N> weight;
            weight.load(w + i * N);
#pragma unroll
            for (int k = 0; k < N; k++) py.set(k, px[j].get(k) * r * weight.get(k));
            py.store(y.at(at.row, at.column + i * N));
        }
    }
}

template <typename T, typename W, int N, bool CUT>
static __global__ void __launch_bounds__(CUT ? MOST_OF_PIECE : MOST)
    dx_rows(lrk_view<const T> x, const W *w, const float *rstd, lrk_view<const T> dy,
            lrk_view<T> dx, pieces p, bool fresh)
{
    LRK_SHARED(float, room, LRK_WARP);
    const size_t n = (size_t)blockIdx.x * blockDim.y + threadIdx.y;
    const size_t packs = p.width / N, tile = (size_t)KEPT * blockDim.x;
    if (n >= p.n) return;
    const place<CUT> at(p, n);
    const T *const from = x.at(at.row, at.column), *const above = dy.at(at.row, at.column);
    T *const to = dx.at(at.row, at.column);
    lrk_pack<T, N> px[KEPT], pdy[KEPT];
    float s = 0.0f;
    for (size_t first = 0; first < packs; first += tile) {
        load_packs(px, from, first, packs);
        load_packs(pdy, above, first, packs);
#pragma unroll
        for (int j = 0; j < KEPT; j++) {
            const size_t i = first + threadIdx.x + (size_t)j * blockDim.x;
            if (i >= packs) continue;
            lrk_pack<W, N> weight;
            weight.load(w + i * N);
#pragma unroll
            for (int k = 0; k < N; k++) s += pdy[j].get(k) * weight.get(k) * px[j].get(k);
        }
    }
    const float r = rstd[n], share = r * r * r * row_sum(s, room) / (float)p.width;
    for (size_t first = 0; first < packs; first += tile) {
        if (packs > tile) {
            load_packs(px, from, first, packs);
            load_packs(pdy, above, first, packs);
        }
#pragma unroll
        for (int j = 0; j < KEPT; j++) {
            const size_t i = first + threadIdx.x + (size_t)j * blockDim.x;
            if (i >= packs) continue;
            lrk_pack<W, N> weight;
            lrk_pack<T, N> pdx;
            weight.load(w + i * N);
            if (!fresh) pdx.load(to + i * N);
#pragma unroll
            for (int k = 0; k < N; k++) {
                const float v = r * weight.get(k) * pdy[j].get(k) - share * px[j].get(k);
                pdx.set(k, fresh ? v : pdx.get(k) + v);
            }
            pdx.store(to + i * N);
        }
    }
}

/* Sums of part blockIdx.y over its rows, for the columns of block blockIdx.x: each warp takes every
 * DEPTH-th row, their sums are added in order. */
template <typename T, int N>
static __global__ void dw_parts(lrk_view<const T> x, lrk_view<const T> dy, const float *rstd,
                                float *parts, pieces p, size_t part_rows)
{
    LRK_SHARED(float, room, DEPTH * LRK_WARP * N);
    const size_t column = ((size_t)blockIdx.x * LRK_WARP + threadIdx.x) * N;
    const size_t first = blockIdx.y * part_rows;
    const size_t end = first + part_rows < p.n ? first + part_rows : p.n;
    float sum[N] = {0};
    for (size_t n = first + threadIdx.y; column < p.width && n < end; n += DEPTH) {
        lrk_pack<T, N> px, pdy;
        const place<true> at(p, n);
        px.load(x.at(at.row, at.column + column));
        pdy.load(dy.at(at.row, at.column + column));
        const float r = rstd[n];
#pragma unroll
        for (int k = 0; k < N; k++) sum[k] += pdy.get(k) * (px.get(k) * r);
    }
#pragma unroll
    for (int k = 0; k < N; k++) room[(threadIdx.y * N + k) * LRK_WARP + threadIdx.x] = sum[k];
    __syncthreads();
    if (threadIdx.y || column >= p.width) return;
#pragma unroll
    for (int k = 0; k < N; k++) {
        float all = 0.0f;
        for (int y = 0; y < DEPTH; y++) all += room[(y * N + k) * LRK_WARP + threadIdx.x];
        parts[blockIdx.y * p.width + column + k] = all;
    }
}

template <typename W>
static __global__ void fold_dw(const float *parts, W *dw, size_t n_parts, size_t cols, bool fresh)
{
    const size_t column = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= cols) return;
    float sum = 0.0f;
    for (size_t p = 0; p < n_parts; p++) sum += parts[p * cols + column];
    lrk_set(&dw[column], fresh ? sum : lrk_value(dw[column]) + sum);
}

/* Threads for a row, and rows for a block. */
static lrk_walk row_walk(size_t rows, size_t packs, size_t most)
{
    const size_t threads = lrk_aligned(lrk_ceil_div(packs, KEPT), LRK_WARP);
    lrk_walk w;
    w.block = dim3((unsigned)lrk_min(threads, most), threads == LRK_WARP ? ROWS : 1);
    w.grid = dim3((unsigned)lrk_ceil_div(rows, w.block.y));
    return w;
}

template <typename T, typename W, int N, bool JOINS, bool CUT> static void launch_rows(const lrk_call *c)
{
    const lrk_tensor *x = c->in[LRK_RMSNORM_X], *rstd = c->saved[LRK_RMSNORM_RSTD];
    const pieces p = pieces_of(c);
    const lrk_walk walk = row_walk(p.n, p.width / N, CUT ? MOST_OF_PIECE : MOST);
    LRK_LAUNCH((forward_rows<T, W, N, JOINS, CUT>), walk.grid, walk.block, 0,
               lrk_view_of<const T>(c->joined[0]), lrk_view_of<const T>(c->joined[1]), lrk_view_of<T>(x),
               lrk_data<const W>(c->in[LRK_RMSNORM_W]), lrk_view_of<T>(c->out[LRK_RMSNORM_Y]),
               rstd ? lrk_data<float>(rstd) : NULL, p,
               (float)static_cast<const lrk_rmsnorm_attr *>(c->attr)->eps);
}

/* Of pieces none is made here: the addition runs first. */
template <typename T> static void add_first(const lrk_call *c)
{
    lrk_call add = {};
    add.device = c->device;
    for (int i = 0; i < 2; i++) add.in[i] = c->joined[i];
    add.out[LRK_ADD_Y] = const_cast<lrk_tensor *>(c->in[LRK_RMSNORM_X]);
    lrk_op_forward(&lrk_op_add, c->device, sizeof(T) == 2 ? LRK_C_BF16 : LRK_C_F32)(&add);
}

template <typename T, typename W, int N> static void launch_forward(const lrk_call *c)
{
    const bool cut = pieces_of(c).in_row > 1;
    if (cut && c->joined[0]) add_first<T>(c);
    if (cut)
        launch_rows<T, W, N, false, true>(c);
    else if (c->joined[0])
        launch_rows<T, W, N, true, false>(c);
    else
        launch_rows<T, W, N, false, false>(c);
}

template <typename T, typename W, int N, bool CUT> static void launch_dx(const lrk_call *c)
{
    const lrk_tensor *x = c->in[LRK_RMSNORM_X];
    const pieces p = pieces_of(c);
    const lrk_walk walk = row_walk(p.n, p.width / N, CUT ? MOST_OF_PIECE : MOST);
    LRK_LAUNCH((dx_rows<T, W, N, CUT>), walk.grid, walk.block, 0, lrk_view_of<const T>(x),
               lrk_data<const W>(c->in[LRK_RMSNORM_W]),
               lrk_data<const float>(c->saved[LRK_RMSNORM_RSTD]),
               lrk_view_of<const T>(c->dout[LRK_RMSNORM_Y]),
               lrk_view_of<T>(c->din[LRK_RMSNORM_X]), p,
               (bool)(c->fresh >> LRK_RMSNORM_X & 1));
}

template <typename T, typename W, int N> static void launch_dw(const lrk_call *c)
{
    const lrk_tensor *x = c->in[LRK_RMSNORM_X];
    const pieces p = pieces_of(c);
    const size_t part_rows = lrk_rmsnorm_part_rows(p.n), n_parts = lrk_ceil_div(p.n, part_rows);
    float *parts = static_cast<float *>(c->scratch);
    const dim3 grid((unsigned)lrk_ceil_div(p.width, LRK_WARP * N), (unsigned)n_parts);
    LRK_LAUNCH((dw_parts<T, N>), grid, dim3(LRK_WARP, DEPTH), 0, lrk_view_of<const T>(x),
               lrk_view_of<const T>(c->dout[LRK_RMSNORM_Y]),
               lrk_data<const float>(c->saved[LRK_RMSNORM_RSTD]), parts, p, part_rows);
    LRK_LAUNCH(fold_dw<W>, dim3((unsigned)lrk_ceil_div(p.width, 128)), dim3(128), 0,
               (const float *)parts, lrk_data<W>(c->din[LRK_RMSNORM_W]), n_parts, p.width,
               (bool)(c->fresh >> LRK_RMSNORM_W & 1));
}

/* Whether all tensors of the call may be read 16 bytes at a time. */
static bool chunks(const lrk_call *c)
{
    const lrk_tensor *const all[] = {c->in[LRK_RMSNORM_X],    c->in[LRK_RMSNORM_W],
                                     c->out[LRK_RMSNORM_Y],   c->dout[LRK_RMSNORM_Y],
                                     c->din[LRK_RMSNORM_X],   c->joined[0],
                                     c->joined[1]};
    for (const lrk_tensor *t : all) {
        if (t && !lrk_can_chunk(t)) return false;
    }
    return lrk_row_bytes(c->in[LRK_RMSNORM_X]->dtype, lrk_rmsnorm_width(c)) % 16 == 0;
}

template <typename T, typename W, int N> static void launch_backward(const lrk_call *c)
{
    const bool cut = pieces_of(c).in_row > 1;
    if (c->din[LRK_RMSNORM_X]) cut ? launch_dx<T, W, N, true>(c) : launch_dx<T, W, N, false>(c);
    if (c->din[LRK_RMSNORM_W]) launch_dw<T, W, N>(c);
}

template <typename T, typename W> static void forward_with(const lrk_call *c)
{
    if (chunks(c))
        launch_forward<T, W, 16 / sizeof(T)>(c);
    else
        launch_forward<T, W, 1>(c);
}

template <typename T, typename W> static void backward_with(const lrk_call *c)
{
    if (chunks(c))
        launch_backward<T, W, 16 / sizeof(T)>(c);
    else
        launch_backward<T, W, 1>(c);
}

template <typename T> static void forward(const lrk_call *c)
{
    if (c->in[LRK_RMSNORM_W]->dtype == LRK_F32)
        forward_with<T, float>(c);
    else
        forward_with<T, T>(c);
}

template <typename T> static void backward(const lrk_call *c)
{
    if (c->in[LRK_RMSNORM_W]->dtype == LRK_F32)
        backward_with<T, float>(c);
    else
        backward_with<T, T>(c);
}

LRK_CUDA_KERNEL(rmsnorm, fwd, forward)
LRK_CUDA_KERNEL(rmsnorm, bwd, backward)
