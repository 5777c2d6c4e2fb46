/* kernels/attention/tensor_cores.cuh -- products of attention in bf16 on tensor cores.
 *
 * The engine of a kernel says where the numbers of a block lie and how they are multiplied; plain.cuh
 * is the other one. A block has `rows` rows of its own in shared memory and sees others in tiles of
 * `columns`; a thread holds a few scores of each tile, at(s, i, j) in row row(i) and column
 * column(j), and the same rows of the sums that the block gathers.
 *
 * Here: four warps, each with M times 16 rows. Scores are made by mma as C fragments, which are the A
 * fragments of the next product when their numbers are rounded to bf16: they never leave registers.
 * Rows of shared memory are padded by 16 bytes, so that the eight rows of an ldmatrix lie in
 * different banks. WIDTH: the head size rounded up; columns behind the head are zeros.
 */
#ifndef LRK_KERNELS_ATTENTION_TENSOR_CORES_CUH
#define LRK_KERNELS_ATTENTION_TENSOR_CORES_CUH
#include "kernels/attention/strip.cuh"

template <int WIDTH, int M, int N> struct tensor_cores {
    typedef lrk_bf16 stored, element;
    static const int threads = 128, rows = 64 * M, columns = N, width = WIDTH, stride = WIDTH + 8;
    static const int my_rows = 2 * M, my_columns = N / 4, room = 0, stages = 2;

    struct scores {
        float v[M][N / 8][4];
    };

    template <int W> struct sums {
        static const int my_columns = W / 4, width = W;
        float v[M][W / 8][4];
    };

    static __device__ __forceinline__ int row(int i)
    {
        const int lane = (int)threadIdx.x % LRK_WARP, warp = (int)threadIdx.x / LRK_WARP;
        return (warp * M + i / 2) * 16 + i % 2 * 8 + lane / 4;
    }

    static __device__ __forceinline__ int column(int j)
    {
        return j / 2 * 8 + (int)threadIdx.x % 4 * 2 + j % 2;
    }

    static __device__ __forceinline__ int sum_column(int j) { return column(j); }

    template <class T> static __device__ __forceinline__ float &at(T &s, int i, int j)
    {
        return s.v[i / 2][j / 2][i % 2 * 2 + j % 2];
    }

    static __host__ __device__ __forceinline__ float unit(void) { return 0.69314718056f; }
    static __device__ __forceinline__ float power(float x) { return lrk_exp2(x); }
    static __device__ __forceinline__ float log(float x) { return log2f(x); }
    /* tanh(x / 2), off by 2^-23 at most: far less than what bf16 has lost in the score */
    static __device__ __forceinline__ float half_tanh(float x)
    {
        return 1.0f - 2.0f * lrk_reciprocal(1.0f + power(x));
    }

    /* Over the threads that share a row. */
    static __device__ __forceinline__ float row_max(float v)
    {
        v = fmaxf(v, __shfl_xor_sync(LRK_ALL_LANES, v, 1));
        return fmaxf(v, __shfl_xor_sync(LRK_ALL_LANES, v, 2));
    }

    static __device__ __forceinline__ float row_sum(float v)
    {
        v += __shfl_xor_sync(LRK_ALL_LANES, v, 1);
        return v + __shfl_xor_sync(LRK_ALL_LANES, v, 2);
    }

    /* The rows of a warp. */
    static __device__ __forceinline__ int first_row(void)
    {
        return (int)threadIdx.x / LRK_WARP * M * 16;
    }

    static __device__ __forceinline__ int last_row(void) { return first_row() + M * 16 - 1; }

    /* Asks for COUNT rows: those of the strip, zeros behind them. */
    template <int COUNT>
    static __device__ __forceinline__ void load(const problem &p, element *to, const matrix<const stored> &from,
                                                const strip &s, const sharing &by, int kv_head)
    {
        static const int chunks = WIDTH / 8;
        for (int i = (int)threadIdx.x; i < COUNT * chunks; i += threads) {
            const int r = i / chunks, d = i % chunks * 8;
            const int token = by.token_of(s.skip + r), head = s.skip + r - token * by.group;
            const bool there = r < s.n && d < p.head;
            const stored *x = from.data;
            if (there)
                x += (size_t)(s.token + token) * from.stride + (kv_head * by.group + head) * p.head + d;
            lrk_cp_async16_or_zero(to + r * stride + d, x, there);
        }
    }

    /* s = a b^T: the block's rows times a tile's */
    static __device__ __forceinline__ void products(const problem &, scores &s, const element *a,
                                                    const element *b)
    {
        const int lane = (int)threadIdx.x % LRK_WARP;
        a += first_row() * stride + lane % 16 * stride + lane / 16 * 8;
        b += (lane % 8 + lane / 16 * 8) * stride + lane / 8 % 2 * 8;
#pragma unroll
        for (int m = 0; m < M; m++)
#pragma unroll
            for (int n = 0; n < N / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) s.v[m][n][e] = 0.0f;
#pragma unroll
        for (int k = 0; k < WIDTH; k += 16) {
            uint32_t x[M][4], y[4];
#pragma unroll
            for (int m = 0; m < M; m++) lrk_ldmatrix_x4(x[m], a + m * 16 * stride + k);
#pragma unroll
            for (int n = 0; n < N / 8; n += 2) {
                lrk_ldmatrix_x4(y, b + n * 8 * stride + k);
#pragma unroll
                for (int m = 0; m < M; m++) {
                    lrk_mma_bf16(s.v[m][n], x[m], y);
                    lrk_mma_bf16(s.v[m][n + 1], x[m], y + 2);
                }
            }
        }
    }

    /* o += s b: scores times W columns of a tile */
    template <int W>
    static __device__ __forceinline__ void gather(sums<W> &o, const scores &s, const element *b,
                                                  element *)
    {
        const int lane = (int)threadIdx.x % LRK_WARP;
        b += lane % 16 * stride + lane / 16 * 8;
#pragma unroll
        for (int k = 0; k < N / 16; k++) {
            uint32_t x[M][4], y[4];
#pragma unroll
            for (int m = 0; m < M; m++) {
                const float *left = s.v[m][2 * k], *right = s.v[m][2 * k + 1];
                x[m][0] = lrk_pair_bf16(left[0], left[1]);
                x[m][1] = lrk_pair_bf16(left[2], left[3]);
                x[m][2] = lrk_pair_bf16(right[0], right[1]);
                x[m][3] = lrk_pair_bf16(right[2], right[3]);
            }
#pragma unroll
            for (int d = 0; d < W / 8; d += 2) {
                lrk_ldmatrix_x4_trans(y, b + k * 16 * stride + d * 8);
#pragma unroll
                for (int m = 0; m < M; m++) {
                    lrk_mma_bf16(o.v[m][d], x[m], y);
                    lrk_mma_bf16(o.v[m][d + 1], x[m], y + 2);
                }
            }
        }
    }
};

#endif /* LRK_KERNELS_ATTENTION_TENSOR_CORES_CUH */
