/* kernels/linear/one_reading_cuda.cu -- dS = scale dY B and dB += dY^T S from one reading of dY.
 *
 * A block has COLUMNS columns of dY and goes down a range of its rows, ROWS at a time, which arrive while those before
 * are multiplied. Of every ROWS x R numbers of dS it has the part of its columns, written at once; its COLUMNS x R
 * numbers of dB stay in registers until its last row. A second kernel adds up the parts, in order. */
#include "kernels/ptx.cuh"
extern "C" {
#include "kernels/linear/one_reading.h"
}

enum { ROWS = 64, COLUMNS = LRK_ONE_READING_COLUMNS, THREADS = 128, WARPS = THREADS / LRK_WARP, GAP = 8, FOLD = 256 };
enum { STEP = 16, R = LRK_ONE_READING_RANK };

struct reading {
    lrk_view<const lrk_bf16> dy, b, s;
    float *ds_parts; /* (blocks of columns, rows, rank) */
    float *db_parts; /* (ranges of rows, columns, rank) */
    int rows, cols, rank, range;
};

/* Shared memory of a block, in elements: two pieces of dY and S, and B. */
struct room {
    static const int dy_stride = COLUMNS + GAP, r_stride = R + GAP;
    static const int dy = ROWS * dy_stride, s = ROWS * r_stride, b = COLUMNS * r_stride;
    static const int bytes = (2 * (dy + s) + b) * (int)sizeof(lrk_bf16);
};

/* `rows` rows of `cols` elements from (row, column) on, zeros behind the last row and column that are there. */
static __device__ __forceinline__ void bring(lrk_bf16 *to, int stride, const lrk_view<const lrk_bf16> &from, int row,
                                             int column, int rows, int cols, int row_end, int column_end)
{
    const int chunks = cols / 8;
    for (int i = (int)threadIdx.x; i < rows * chunks; i += THREADS) {
        const int r = i / chunks, c = i % chunks * 8;
        const bool there = row + r < row_end && column + c < column_end;
        const lrk_bf16 *at = there ? from.at((size_t)(row + r), (size_t)(column + c)) : from.data;
        lrk_cp_async16_or_zero(to + r * stride + c, at, there);
    }
}

/* c += a b for 16 rows, `depth` and R columns. a: where lane's row of fragments is; b rows are r_stride apart. */
template <bool TRANSPOSED>
static __device__ __forceinline__ void multiply(float (*c)[4], const lrk_bf16 *a, int a_step, const lrk_bf16 *b,
                                                int depth)
{
    const int lane = (int)threadIdx.x % LRK_WARP;
    b += lane % 16 * room::r_stride + lane / 16 * 8;
    for (int k = 0; k < depth; k += STEP, a += a_step, b += STEP * room::r_stride) {
        uint32_t x[4], y[4];
        if (TRANSPOSED)
            lrk_ldmatrix_x4_trans(x, a);
        else
            lrk_ldmatrix_x4(x, a);
#pragma unroll
        for (int n = 0; n < R / 16; n++) {
            lrk_ldmatrix_x4_trans(y, b + n * 16);
            lrk_mma_bf16(c[2 * n], x, y);
            lrk_mma_bf16(c[2 * n + 1], x, y + 2);
        }
    }
}

/* 16 x R sums, of which `rows` and rank are there, to where the first of them lies. */
static __device__ __forceinline__ void put(float *to, const float (*c)[4], int rows, int rank)
{
    const int lane = (int)threadIdx.x % LRK_WARP;
#pragma unroll
    for (int n = 0; n < R / 8; n++) {
        const int column = n * 8 + lane % 4 * 2;
        if (column >= rank) continue;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = lane / 4 + half * 8;
            if (row < rows)
                *reinterpret_cast<float2 *>(to + row * rank + column) = make_float2(c[n][2 * half], c[n][2 * half + 1]);
        }
    }
}

template <class S> static __global__ void __launch_bounds__(THREADS) read_once(reading j)
{
    typedef room at;
    LRK_DYNAMIC_SHARED(lrk_bf16, shared);
    lrk_bf16 *const b = shared + 2 * (at::dy + at::s);
    const int warp = (int)threadIdx.x / LRK_WARP, lane = (int)threadIdx.x % LRK_WARP;
    const int column = (int)blockIdx.x * COLUMNS, first = (int)blockIdx.y * j.range;
    const int end = first + j.range < j.rows ? first + j.range : j.rows;
    float db[2][R / 8][4] = {};
    bring(b, at::r_stride, j.b, column, 0, COLUMNS, R, j.cols, j.rank);
    bring(shared, at::dy_stride, j.dy, first, column, ROWS, COLUMNS, end, j.cols);
    bring(shared + 2 * at::dy, at::r_stride, j.s, first, 0, ROWS, R, end, j.rank);
    lrk_cp_async_commit();
    for (int row = first, turn = 0; row < end; row += ROWS, turn ^= 1) {
        lrk_bf16 *const dy = shared + turn * at::dy, *const s = shared + 2 * at::dy + turn * at::s;
        if (row + ROWS < end) {
            bring(shared + (turn ^ 1) * at::dy, at::dy_stride, j.dy, row + ROWS, column, ROWS, COLUMNS, end, j.cols);
            bring(shared + 2 * at::dy + (turn ^ 1) * at::s, at::r_stride, j.s, row + ROWS, 0, ROWS, R, end, j.rank);
            lrk_cp_async_commit();
            lrk_cp_async_wait<1>();
        } else {
            lrk_cp_async_wait<0>();
        }
        __syncthreads();
        float ds[R / 8][4] = {};
        const int mine = warp * (ROWS / WARPS); /* this warp's rows of dS, and columns of dY */
        multiply<false>(ds, dy + (mine + lane % 16) * at::dy_stride + lane / 16 * 8, STEP, b, COLUMNS);
        put(j.ds_parts + ((size_t)blockIdx.x * (size_t)j.rows + (size_t)(row + mine)) * (size_t)j.rank, ds,
            end - row - mine, j.rank);
#pragma unroll
        for (int m = 0; m < 2; m++)
            multiply<true>(db[m],
                           dy + (lane % 8 + lane / 16 * 8) * at::dy_stride + (2 * warp + m) * 16 + lane / 8 % 2 * 8,
                           STEP * at::dy_stride, s, ROWS);
        __syncthreads();
    }
#pragma unroll
    for (int m = 0; m < 2; m++) {
        const int mine = column + (2 * warp + m) * 16;
        put(j.db_parts + ((size_t)blockIdx.y * (size_t)j.cols + (size_t)mine) * (size_t)j.rank, db[m], j.cols - mine,
            j.rank);
    }
}

struct folding {
    reading j;
    lrk_view<lrk_bf16> ds;
    lrk_view<float> db;
    int ds_parts, db_parts;
    float scale;
    bool more_ds, more_db; /* added to what is there */
};

static __device__ __forceinline__ float fold(const float *parts, int n, size_t apart)
{
    float sum = 0.0f;
    for (int i = 0; i < n; i++) sum += parts[(size_t)i * apart];
    return sum;
}

/* blockIdx.y 0: dS; 1: dB. */
static __global__ void fold_parts(folding f)
{
    const bool of_b = blockIdx.y;
    const size_t rank = (size_t)f.j.rank, rows = (size_t)(of_b ? f.j.cols : f.j.rows), n = rows * rank;
    const size_t i = (size_t)blockIdx.x * FOLD + threadIdx.x;
    if (i >= n) return;
    if (of_b) {
        float *to = f.db.at(i / rank, i % rank);
        const float sum = fold(f.j.db_parts + i, f.db_parts, n);
        *to = f.more_db ? *to + sum : sum;
    } else {
        lrk_bf16 *to = f.ds.at(i / rank, i % rank);
        const float sum = f.scale * fold(f.j.ds_parts + i, f.ds_parts, n);
        lrk_set(to, f.more_ds ? lrk_value(*to) + sum : sum);
    }
}

static void launch(const reading &j, dim3 grid)
{
    typedef lrk_takes<room::bytes> taking;
    LRK_LAUNCH((read_once<taking>), grid, dim3(THREADS), (size_t)taking::bytes, j);
}

extern "C" bool lrk_linear_read_once(const lrk_one_reading *o)
{
    const size_t rank = lrk_cols(o->b), rows = lrk_rows(o->dy), cols = lrk_cols(o->dy);
    if (!lrk_one_reading_takes(o->dy->dtype, rank) || o->b->dtype != LRK_BF16 || !lrk_can_chunk(o->dy) ||
        !lrk_can_chunk(o->b) || !lrk_can_chunk(o->s) || lrk_bytes(o->dy) <= lrk_device_keeps(LRK_CUDA))
        return false;
    reading j;
    j.dy = lrk_view_of<const lrk_bf16>(o->dy);
    j.b = lrk_view_of<const lrk_bf16>(o->b);
    j.s = lrk_view_of<const lrk_bf16>(o->s);
    j.rows = (int)rows, j.cols = (int)cols, j.rank = (int)rank;
    j.range = (int)lrk_one_reading_range(rows);
    const dim3 grid((unsigned)lrk_ceil_div(cols, COLUMNS), (unsigned)lrk_ceil_div(rows, (size_t)j.range));
    j.ds_parts = static_cast<float *>(o->workspace);
    j.db_parts = j.ds_parts + lrk_aligned(grid.x * rows * rank, 16);
    launch(j, grid);
    const folding f = {j, lrk_view_of<lrk_bf16>(o->ds), lrk_view_of<float>(o->db), (int)grid.x, (int)grid.y,
                       (float)o->scale, o->more_ds, o->more_db};
    const size_t most = o->db ? lrk_max(rows, cols) : rows;
    LRK_LAUNCH(fold_parts, dim3((unsigned)lrk_ceil_div(most * rank, FOLD), o->db ? 2 : 1), dim3(FOLD), 0, f);
    return true;
}
