/* kernels/attention/plain.cuh -- products of attention in f32, for every type and head size; the
 * engine of a kernel as tensor_cores.cuh describes it.
 *
 * 128 threads as 16 x 8: a thread has R / 16 rows, and of a tile R / 8 columns, all of them apart so
 * that the eight threads of a row read different banks. Scores pass through shared memory on their
 * way to the next product; only the threads of a row, neighbours in a warp, exchange them. Sums are
 * made of short ones, which rounds several times less than one long sum.
 */
#ifndef LRK_KERNELS_ATTENTION_PLAIN_CUH
#define LRK_KERNELS_ATTENTION_PLAIN_CUH
#include "kernels/attention/strip.cuh"

template <typename T, int WIDTH, int R> struct plain {
    typedef T stored;
    typedef float element;
    static const int threads = 128, rows = R, columns = R, width = WIDTH, stride = WIDTH + 4;
    static const int my_rows = R / 16, my_columns = R / 8, stages = 1;
    static const int room_stride = R + 4, room = R * room_stride; /* elements for scores on their way */

    struct scores {
        float v[my_rows][my_columns];
    };

    template <int W> struct sums {
        static const int my_columns = W / 8, width = W;
        float v[my_rows][my_columns];
    };

    static __device__ __forceinline__ int row(int i) { return (int)threadIdx.x / 8 + 16 * i; }
    static __device__ __forceinline__ int column(int j) { return (int)threadIdx.x % 8 + 8 * j; }

    static __device__ __forceinline__ int sum_column(int j)
    {
        return j / 4 * 32 + (int)threadIdx.x % 8 * 4 + j % 4;
    }

    template <class S> static __device__ __forceinline__ float &at(S &s, int i, int j)
    {
        return s.v[i][j];
    }

    static __host__ __device__ __forceinline__ float unit(void) { return 1.0f; }
    static __device__ __forceinline__ float power(float x) { return expf(x); }
    static __device__ __forceinline__ float log(float x) { return logf(x); }
    /* tanh(x / 2), x in units of unit() */
    static __device__ __forceinline__ float half_tanh(float x) { return tanhf(0.5f * x); }

    static __device__ __forceinline__ float row_max(float v)
    {
#pragma unroll
        for (int d = 1; d < 8; d *= 2) v = fmaxf(v, __shfl_xor_sync(LRK_ALL_LANES, v, d));
        return v;
    }

    static __device__ __forceinline__ float row_sum(float v)
    {
#pragma unroll
        for (int d = 1; d < 8; d *= 2) v += __shfl_xor_sync(LRK_ALL_LANES, v, d);
        return v;
    }

    static __device__ __forceinline__ int first_row(void) { return (int)threadIdx.x / LRK_WARP * 4; }
    static __device__ __forceinline__ int last_row(void) { return first_row() + 3 + 16 * (my_rows - 1); }

    template <int COUNT>
    static __device__ __forceinline__ void load(const problem &p, element *to, const matrix<const stored> &from,
                                                const strip &s, const sharing &by, int kv_head)
    {
        for (int i = (int)threadIdx.x; i < COUNT * WIDTH / 4; i += threads) {
            const int r = i / (WIDTH / 4), d = i % (WIDTH / 4) * 4;
            const int token = by.token_of(s.skip + r), head = s.skip + r - token * by.group;
            const int n = r < s.n ? p.head - d : 0;
            const stored *x = from.data;
            if (n > 0)
                x += (size_t)(s.token + token) * from.stride + (kv_head * by.group + head) * p.head + d;
            copy4(to + r * stride + d, x, n, p.whole);
        }
    }

    /* s = a b^T */
    static __device__ __forceinline__ void products(const problem &p, scores &s, const element *a,
                                                    const element *b)
    {
        a += row(0) * stride;
        b += column(0) * stride;
        clear(s.v);
        for (int d = 0; d < p.head; d += SHORT) {
            scores part;
            clear(part.v);
#pragma unroll
            for (int e = d; e < d + SHORT; e += 4) {
                float4 x[my_rows], y[my_columns];
#pragma unroll
                for (int i = 0; i < my_rows; i++)
                    x[i] = *reinterpret_cast<const float4 *>(a + i * 16 * stride + e);
#pragma unroll
                for (int j = 0; j < my_columns; j++)
                    y[j] = *reinterpret_cast<const float4 *>(b + j * 8 * stride + e);
#pragma unroll
                for (int i = 0; i < my_rows; i++)
#pragma unroll
                    for (int j = 0; j < my_columns; j++) {
                        part.v[i][j] = fmaf(x[i].x, y[j].x, part.v[i][j]);
                        part.v[i][j] = fmaf(x[i].y, y[j].y, part.v[i][j]);
                        part.v[i][j] = fmaf(x[i].z, y[j].z, part.v[i][j]);
                        part.v[i][j] = fmaf(x[i].w, y[j].w, part.v[i][j]);
                    }
            }
            add(s.v, part.v);
        }
    }

    /* o += s b */
    template <int W>
    static __device__ __forceinline__ void gather(sums<W> &o, const scores &s, const element *b,
                                                  element *exchange)
    {
        exchange += row(0) * room_stride;
        b += sum_column(0);
#pragma unroll
        for (int i = 0; i < my_rows; i++)
#pragma unroll
            for (int j = 0; j < my_columns; j++)
                exchange[i * 16 * room_stride + column(j)] = s.v[i][j];
        __syncwarp();
#pragma unroll 1
        for (int k = 0; k < columns; k += SHORT) {
            sums<W> part;
            clear(part.v);
#pragma unroll
            for (int e = k; e < k + SHORT; e++, b += stride) {
                float x[my_rows];
#pragma unroll
                for (int i = 0; i < my_rows; i++) x[i] = exchange[i * 16 * room_stride + e];
#pragma unroll
                for (int j = 0; j < W / 8; j += 4) {
                    const float4 y = *reinterpret_cast<const float4 *>(b + j * 8);
#pragma unroll
                    for (int i = 0; i < my_rows; i++) {
                        part.v[i][j] = fmaf(x[i], y.x, part.v[i][j]);
                        part.v[i][j + 1] = fmaf(x[i], y.y, part.v[i][j + 1]);
                        part.v[i][j + 2] = fmaf(x[i], y.z, part.v[i][j + 2]);
                        part.v[i][j + 3] = fmaf(x[i], y.w, part.v[i][j + 3]);
                    }
                }
            }
            add(o.v, part.v);
        }
        __syncwarp();
    }

  private:
    enum { SHORT = 8 };

    template <int A, int B> static __device__ __forceinline__ void clear(float (&v)[A][B])
    {
#pragma unroll
        for (int i = 0; i < A; i++)
#pragma unroll
            for (int j = 0; j < B; j++) v[i][j] = 0.0f;
    }

    template <int A, int B>
    static __device__ __forceinline__ void add(float (&to)[A][B], const float (&v)[A][B])
    {
#pragma unroll
        for (int i = 0; i < A; i++)
#pragma unroll
            for (int j = 0; j < B; j++) to[i][j] += v[i][j];
    }

    /* Four numbers of which n are there, zeros for the others. */
    static __device__ __forceinline__ void copy4(float *to, const float *x, int n, bool whole)
    {
        if (whole) {
            lrk_cp_async16_or_zero(to, x, n > 0);
            return;
        }
#pragma unroll
        for (int e = 0; e < 4; e++) to[e] = e < n ? x[e] : 0.0f;
    }

    static __device__ __forceinline__ void copy4(float *to, const lrk_bf16 *x, int n, bool)
    {
#pragma unroll
        for (int e = 0; e < 4; e++) to[e] = e < n ? lrk_value(x[e]) : 0.0f;
    }
};

#endif /* LRK_KERNELS_ATTENTION_PLAIN_CUH */
