/* kernels/experts/product_cuda.cu -- products of each expert's rows with its matrix, as many blocks as
 * there can be tiles; those without rows leave at once. A tile of weights is decoded on its way into
 * shared memory, once for each tile of rows. bf16: weights are rounded to bf16, products run on tensor
 * cores; f32: plain products. Sums go along k in order. */
#include "kernels/experts/experts.cuh"
#include "kernels/gemm/decode.cuh"
#include "kernels/ptx.cuh"

enum { THREADS = 128, SIDE = LRK_EXPERTS_TILE, DEPTH = 32, EIGHTS = SIDE * DEPTH / 8 / THREADS };

/* ---- where the matrices lie ----------------------------------------------------------------------- */

/* Pointers go to the GPU as arguments, 4096 bytes of them at most. */
enum { LISTED = 160 };

struct listed {
    lrk_experts_weight weight[LISTED];
};

static __global__ void __launch_bounds__(LISTED)
    list_weights(listed from, lrk_experts_weight *to, int n)
{
    if ((int)threadIdx.x < n) to[threadIdx.x] = from.weight[threadIdx.x];
}

static void list_stack(const lrk_experts_run *r, int which)
{
    listed l = {};
    for (size_t first = 0; first < r->E; first += LISTED) {
        const size_t n = lrk_min(r->E - first, (size_t)LISTED);
        for (size_t i = 0; i < n; i++) {
            const lrk_tensor w = lrk_experts_matrix(r->call, which, first + i);
            l.weight[i] = {w.data, lrk_row_bytes(w.dtype, w.stride), (int32_t)w.dtype};
        }
        LRK_LAUNCH(list_weights, 1, LISTED, 0, l,
                   r->weights + (size_t)(which - LRK_EXPERTS_GATE) * r->E + first, (int)n);
    }
}

void lrk_experts_list_weights(const lrk_experts_run *r)
{
    for (int which = LRK_EXPERTS_GATE; which <= LRK_EXPERTS_DOWN; which++) {
        const int a = lrk_experts_a_of(which);
        list_stack(r, which);
        if (!lrk_experts_rank(r->call, which)) continue;
        list_stack(r, a);
        list_stack(r, a + 1);
    }
}

/* ---- tiles --------------------------------------------------------------------------------------- */

/* A is rows x DEPTH, `a` elements apart. B lies as in memory: transposed SIDE x DEPTH, `b_transposed`
 * apart, else DEPTH x SIDE, `b` apart. Distances keep rows of a fragment in banks of their own. */
template <typename T> struct tile_sum;

/* Four warps, 32 x 32 each. */
template <> struct tile_sum<lrk_bf16> {
    static const int a = DEPTH + 8, b_transposed = DEPTH + 8, b = SIDE + 8;
    float sum[2][4][4];

    __device__ __forceinline__ void add(const lrk_bf16 *at, const lrk_bf16 *bt, bool transposed)
    {
        const int lane = (int)threadIdx.x % LRK_WARP, warp = (int)threadIdx.x / LRK_WARP;
        const int i = lane / 8, r = lane % 8, row = warp / 2 * 32, col = warp % 2 * 32;
#pragma unroll
        for (int k = 0; k < DEPTH; k += 16) {
            uint32_t left[2][4], right[2][4];
#pragma unroll
            for (int m = 0; m < 2; m++)
                lrk_ldmatrix_x4(left[m], at + (row + 16 * m + i % 2 * 8 + r) * a + k + i / 2 * 8);
#pragma unroll
            for (int n = 0; n < 2; n++) {
                const int c = col + 16 * n + i / 2 * 8;
                if (transposed)
                    lrk_ldmatrix_x4(right[n], bt + (c + r) * b_transposed + k + i % 2 * 8);
                else
                    lrk_ldmatrix_x4_trans(right[n], bt + (k + i % 2 * 8 + r) * b + c);
            }
#pragma unroll
            for (int m = 0; m < 2; m++)
#pragma unroll
                for (int n = 0; n < 4; n++) lrk_mma_bf16(sum[m][n], left[m], right[n / 2] + n % 2 * 2);
        }
    }

    /* f(row, column, sum) for this thread's part of the tile. */
    template <typename F> __device__ __forceinline__ void each(F f) const
    {
        const int lane = (int)threadIdx.x % LRK_WARP, warp = (int)threadIdx.x / LRK_WARP;
        const int row = warp / 2 * 32 + lane / 4, col = warp % 2 * 32 + lane % 4 * 2;
#pragma unroll
        for (int m = 0; m < 2; m++)
#pragma unroll
            for (int n = 0; n < 4; n++)
#pragma unroll
                for (int i = 0; i < 4; i++)
                    f(row + 16 * m + i / 2 * 8, col + 8 * n + i % 2, sum[m][n][i]);
    }
};

/* A thread has rows y, y + 16, .. and columns x, x + 8, .. */
template <> struct tile_sum<float> {
    static const int a = DEPTH + 4, b_transposed = DEPTH + 4, b = SIDE + 4;
    float sum[4][8];

    __device__ __forceinline__ void add(const float *at, const float *bt, bool transposed)
    {
        const int x = (int)threadIdx.x % 8, y = (int)threadIdx.x / 8;
        const int across = transposed ? b_transposed : 1, along = transposed ? 1 : b;
        for (int k = 0; k < DEPTH; k++) {
            float left[4], right[8];
#pragma unroll
            for (int i = 0; i < 4; i++) left[i] = at[(y + 16 * i) * a + k];
#pragma unroll
            for (int j = 0; j < 8; j++) right[j] = bt[(x + 8 * j) * across + k * along];
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 8; j++) sum[i][j] = fmaf(left[i], right[j], sum[i][j]);
        }
    }

    template <typename F> __device__ __forceinline__ void each(F f) const
    {
        const int x = (int)threadIdx.x % 8, y = (int)threadIdx.x / 8;
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 8; j++) f(y + 16 * i, x + 8 * j, sum[i][j]);
    }
};

/* ---- products ------------------------------------------------------------------------------------ */

template <typename T> struct product {
    const lrk_experts_tile *tiles;
    const int32_t *start, *token; /* token NULL: rows of a as they lie */
    const lrk_experts_weight *weight;
    lrk_view<const T> a;
    T *c;
    size_t n, k;
    bool transposed, add, a_eights;
};

/* Rows first .. end - 1 of A, columns from k0; zeros beyond. */
template <typename T>
static __device__ __forceinline__ void load_rows(const product<T> &p, size_t first, size_t end,
                                                 size_t k0, T *to)
{
#pragma unroll
    for (int part = 0; part < EIGHTS; part++) {
        const int at = (int)threadIdx.x + part * THREADS, r = at / (DEPTH / 8);
        const size_t row = first + (size_t)r, e = k0 + (size_t)(at % (DEPTH / 8) * 8);
        float v[8] = {};
        if (row < end && e < p.k) {
            const T *from = p.a.at(p.token ? (size_t)p.token[row] : row, 0);
            if (p.a_eights) {
                lrk_decode_eight<lrk_type_of<T>::dtype>(
                    reinterpret_cast<const unsigned char *>(from), e, v);
            } else {
#pragma unroll
                for (int i = 0; i < 8; i++)
                    if (e + (size_t)i < p.k) v[i] = lrk_value(from[e + (size_t)i]);
            }
        }
        lrk_store_eight(to + r * tile_sum<T>::a + at % (DEPTH / 8) * 8, v);
    }
}

template <lrk_dtype t>
static __device__ __forceinline__ void decode(const unsigned char *row, size_t e, size_t cols,
                                              bool eights, float *v)
{
    if constexpr (lrk_stored<t>::block == 1) {
        if (!eights) {
#pragma unroll
            for (int i = 0; i < 8; i++)
                if (e + (size_t)i < cols) v[i] = lrk_stored<t>::one(row, e + (size_t)i);
            return;
        }
    }
    lrk_decode_eight<t>(row, e, v);
}

/* The tile of W that meets columns from n0 of C, and k0 of A; zeros beyond. */
template <lrk_dtype t, typename T>
static __device__ __forceinline__ void load_weights(const product<T> &p, const lrk_experts_weight &w,
                                                    size_t n0, size_t k0, T *to)
{
    const int across = (p.transposed ? DEPTH : SIDE) / 8;
    const int apart = p.transposed ? tile_sum<T>::b_transposed : tile_sum<T>::b;
    const size_t rows = p.transposed ? p.n : p.k, cols = p.transposed ? p.k : p.n;
    const size_t row0 = p.transposed ? n0 : k0, col0 = p.transposed ? k0 : n0;
    const unsigned char *const data = static_cast<const unsigned char *>(w.data);
    const bool eights = ((uintptr_t)data | w.bytes) % 16 == 0 && cols % 8 == 0;
#pragma unroll
    for (int part = 0; part < EIGHTS; part++) {
        const int at = (int)threadIdx.x + part * THREADS, r = at / across, i = at % across * 8;
        const size_t row = row0 + (size_t)r, e = col0 + (size_t)i;
        float v[8] = {};
        if (row < rows && e < cols) decode<t>(data + row * w.bytes, e, cols, eights, v);
        lrk_store_eight(to + r * apart + i, v);
    }
}

/* Four blocks of a multiprocessor: left alone, the compiler wants six on sm_120, and spills. */
template <lrk_dtype t, typename T>
static __global__ void __launch_bounds__(THREADS, 4) multiply_tiles(product<T> p)
{
    typedef tile_sum<T> sums;
    const int most = SIDE * sums::b_transposed > DEPTH * sums::b ? SIDE * sums::b_transposed
                                                                : DEPTH * sums::b;
    LRK_SHARED(T, a, SIDE * sums::a);
    LRK_SHARED(T, b, most);
    const lrk_experts_tile tile = p.tiles[blockIdx.x];
    if (tile.expert < 0) return;
    const lrk_experts_weight w = p.weight[tile.expert];
    if (w.dtype != t) return;
    const size_t first = (size_t)tile.first, n0 = (size_t)blockIdx.y * SIDE;
    const size_t end = (size_t)p.start[tile.expert + 1];
    sums s = {};
    for (size_t k = 0; k < p.k; k += DEPTH) {
        load_rows(p, first, end, k, a);
        load_weights<t>(p, w, n0, k, b);
        __syncthreads();
        s.add(a, b, p.transposed);
        __syncthreads();
    }
    s.each([&](int row, int col, float v) {
        const size_t r = first + (size_t)row, i = n0 + (size_t)col;
        if (r >= end || i >= p.n) return;
        T *to = p.c + r * p.n + i;
        lrk_set(to, p.add ? lrk_value(*to) + v : v);
    });
}

/* Experts may be stored in different types: a launch for each of them. */
template <typename T> static void multiply(const lrk_experts_run *r, int which, const product<T> &p)
{
    bool seen[LRK_DTYPE_COUNT] = {};
    const dim3 grid((unsigned)r->n_tiles, (unsigned)lrk_ceil_div(p.n, SIDE));
    for (size_t e = 0; e < r->E; e++) {
        const lrk_dtype type = lrk_experts_matrix(r->call, which, e).dtype;
        if (seen[type]) continue;
        seen[type] = true;
        lrk_with_stored(type, [&](auto tag) {
            LRK_LAUNCH((multiply_tiles<decltype(tag)::dtype, T>), grid, THREADS, 0, p);
        });
    }
}

template <typename T>
static void multiply_as(const lrk_experts_run *r, int which, bool transposed, const lrk_tensor *a,
                        bool by_token, void *c, bool add)
{
    const lrk_tensor w = lrk_experts_matrix(r->call, which, 0);
    product<T> p = {};
    p.tiles = r->tiles;
    p.start = r->start;
    p.token = by_token ? r->token : NULL;
    p.weight = r->weights + (size_t)(which - LRK_EXPERTS_GATE) * r->E;
    p.a = lrk_view_of<const T>(a);
    p.c = static_cast<T *>(c);
    p.n = transposed ? lrk_rows(&w) : lrk_cols(&w);
    p.k = transposed ? lrk_cols(&w) : lrk_rows(&w);
    p.transposed = transposed;
    p.add = add;
    p.a_eights = lrk_can_chunk(a) && p.k % 8 == 0;
    multiply<T>(r, which, p);
}

void lrk_experts_multiply(const lrk_experts_run *r, int which, bool transposed, const lrk_tensor *a,
                          bool by_token, void *c, bool add)
{
    if (a->dtype == LRK_BF16)
        multiply_as<lrk_bf16>(r, which, transposed, a, by_token, c, add);
    else
        multiply_as<float>(r, which, transposed, a, by_token, c, add);
}
