/* kernels/rope/rope_cuda.cu -- a thread turns 16 bytes of first numbers of pairs and 16 of second ones,
 * or hands on 16 bytes behind the pairs. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/rope/rope.h"
}

template <typename T> struct rotation {
    lrk_view<const T> from;
    lrk_view<T> to; /* may be from: a thread reads both numbers of a pair before it writes them */
    lrk_view<const float> table;
    size_t rows, heads, head, half;
    float direction; /* -1: backward */
    bool add;
};

template <typename T, int N>
static __device__ __forceinline__ void hand_on(const rotation<T> &j, size_t row, size_t column)
{
    lrk_pack<T, N> v, old;
    v.load(j.from.at(row, column));
    if (j.add) {
        old.load(j.to.at(row, column));
#pragma unroll
        for (int i = 0; i < N; i++) v.set(i, old.get(i) + v.get(i));
    }
    v.store(j.to.at(row, column));
}

/* Pairs k .. k + N - 1 of the head that starts at `column`. */
template <typename T, int N, bool interleaved>
static __device__ __forceinline__ void turn(const rotation<T> &j, size_t row, size_t column,
                                            size_t k)
{
    const size_t first = column + (interleaved ? 2 * k : k);
    const size_t second = interleaved ? first + N : first + j.half;
    lrk_pack<T, N> in[2], old[2], out[2];
    lrk_pack<float, N> cosine, sine;
    in[0].load(j.from.at(row, first));
    in[1].load(j.from.at(row, second));
    cosine.load(j.table.at(row, k));
    sine.load(j.table.at(row, j.half + k));
    if (j.add) {
        old[0].load(j.to.at(row, first));
        old[1].load(j.to.at(row, second));
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        /* where the two numbers of pair k + i lie in the packs */
        const int p1 = interleaved ? 2 * i / N : 0, i1 = interleaved ? 2 * i % N : i;
        const int p2 = interleaved ? (2 * i + 1) / N : 1, i2 = interleaved ? (2 * i + 1) % N : i;
        const float x1 = in[p1].get(i1), x2 = in[p2].get(i2);
        const float c = cosine.get(i), s = j.direction * sine.get(i);
        const float y1 = x1 * c - x2 * s, y2 = x1 * s + x2 * c;
        out[p1].set(i1, j.add ? old[p1].get(i1) + y1 : y1);
        out[p2].set(i2, j.add ? old[p2].get(i2) + y2 : y2);
    }
    out[0].store(j.to.at(row, first));
    out[1].store(j.to.at(row, second));
}

template <typename T, int N, bool interleaved>
static __global__ void rotate_rows(rotation<T> j, unsigned pieces)
{
    const unsigned turning = (unsigned)(j.half / N);
    LRK_FOR_ROWS(row, j.rows)
    {
        LRK_FOR_ITEMS(i, j.heads * pieces)
        {
            const unsigned head = (unsigned)i / pieces, piece = (unsigned)i % pieces;
            const size_t column = head * j.head;
            if (piece < turning)
                turn<T, N, interleaved>(j, row, column, (size_t)piece * N);
            else
                hand_on<T, N>(j, row, column + j.half + (size_t)piece * N);
        }
    }
}

template <typename T, int N, bool interleaved> static void launch(const rotation<T> &j)
{
    const bool in_place = j.from.data == j.to.data; /* what is behind the pairs lies there already */
    const size_t pieces = (in_place ? j.half : j.head - j.half) / N;
    const lrk_walk w = lrk_walk_over(j.rows, j.heads * pieces);
    LRK_LAUNCH((rotate_rows<T, N, interleaved>), w.grid, w.block, 0, j, (unsigned)pieces);
}

template <typename T>
static void rotate(const lrk_call *c, const lrk_tensor *from, const lrk_tensor *to, float direction,
                   bool add)
{
    const lrk_rope_attr *a = static_cast<const lrk_rope_attr *>(c->attr);
    const lrk_tensor *table = c->in[LRK_ROPE_TABLE];
    const int n = 16 / sizeof(T);
    rotation<T> j;
    j.from = lrk_view_of<const T>(from);
    j.to = lrk_view_of<T>(to);
    j.table = lrk_view_of<const float>(table);
    j.rows = lrk_rows(from);
    j.heads = lrk_cols(from) / a->head;
    j.head = a->head;
    j.half = lrk_cols(table) / 2;
    j.direction = direction;
    j.add = add;
    const bool chunks = lrk_can_chunk(from) && lrk_can_chunk(to) && lrk_can_chunk(table) &&
                        j.half % n == 0 && j.head % n == 0;
    if (chunks && a->interleaved)
        launch<T, n, true>(j);
    else if (chunks)
        launch<T, n, false>(j);
    else if (a->interleaved)
        launch<T, 1, true>(j);
    else
        launch<T, 1, false>(j);
}

template <typename T> static void forward(const lrk_call *c)
{
    rotate<T>(c, c->in[LRK_ROPE_X], c->out[LRK_ROPE_Y], 1.0f, false);
}

template <typename T> static void backward(const lrk_call *c)
{
    const lrk_tensor *dy = c->dout[LRK_ROPE_Y], *dx = c->din[LRK_ROPE_X];
    if (dx) rotate<T>(c, dy, dx, -1.0f, dx->data != dy->data && !(c->fresh >> LRK_ROPE_X & 1));
}

LRK_CUDA_KERNEL(rope, fwd, forward)
LRK_CUDA_KERNEL(rope, bwd, backward)
