/* kernels/rope/rope_cuda.cu -- a thread turns 16 bytes of first numbers of pairs and 16 of second ones,
 * or hands on 16 bytes behind the pairs. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/rope/rope.h"
}

/* Heads that turn. */
template <typename T> struct turning {
    lrk_view<const T> from;
    lrk_view<T> to; /* may be from: a thread reads both numbers of a pair before it writes them */
    bool add;
};

/* Queries and keys; `heads` of the first, and of the second, or none, what is left of `all`. */
template <typename T> struct rotation {
    turning<T> part[2];
    lrk_view<const float> table;
    size_t rows, heads, all, head, half;
    float direction; /* -1: backward */
};

template <typename T, int N>
static __device__ __forceinline__ void hand_on(const turning<T> &j, size_t row, size_t column)
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
static __device__ __forceinline__ void turn(const rotation<T> &r, const turning<T> &j, size_t row, size_t column,
                                            size_t k)
{
    const size_t first = column + (interleaved ? 2 * k : k);
    const size_t second = interleaved ? first + N : first + r.half;
    lrk_pack<T, N> in[2], old[2], out[2];
    lrk_pack<float, N> cosine, sine;
    in[0].load(j.from.at(row, first));
    in[1].load(j.from.at(row, second));
    cosine.load(r.table.at(row, k));
    sine.load(r.table.at(row, r.half + k));
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
        const float c = cosine.get(i), s = r.direction * sine.get(i);
        const float y1 = x1 * c - x2 * s, y2 = x1 * s + x2 * c;
        out[p1].set(i1, j.add ? old[p1].get(i1) + y1 : y1);
        out[p2].set(i2, j.add ? old[p2].get(i2) + y2 : y2);
    }
    out[0].store(j.to.at(row, first));
    out[1].store(j.to.at(row, second));
}

template <typename T, int N, bool interleaved>
static __global__ void rotate_rows(rotation<T> r, unsigned pieces)
{
    const unsigned turning_pieces = (unsigned)(r.half / N);
    LRK_FOR_ROWS(row, r.rows)
    {
        LRK_FOR_ITEMS(i, r.all * pieces)
        {
            const unsigned head = (unsigned)i / pieces, piece = (unsigned)i % pieces;
            const bool second = head >= r.heads;
            const turning<T> &j = r.part[second];
            const size_t column = (second ? head - r.heads : head) * r.head;
            if (piece < turning_pieces)
                turn<T, N, interleaved>(r, j, row, column, (size_t)piece * N);
            else
                hand_on<T, N>(j, row, column + r.half + (size_t)piece * N);
        }
    }
}

template <typename T> static bool in_place(const turning<T> &j)
{
    return j.from.data == j.to.data; /* what is behind the pairs lies there already */
}

template <typename T, int N, bool interleaved> static void launch(const rotation<T> &r)
{
    const bool pairs = in_place(r.part[0]) && in_place(r.part[1]);
    const size_t pieces = (pairs ? r.half : r.head - r.half) / N;
    const lrk_walk w = lrk_walk_over(r.rows, r.all * pieces);
    LRK_LAUNCH((rotate_rows<T, N, interleaved>), w.grid, w.block, 0, r, (unsigned)pieces);
}

/* Two tensors, or one and NULL; what has nowhere to go is left out. */
template <typename T>
static void rotate(const lrk_call *c, const lrk_tensor *const from[2], const lrk_tensor *const to[2], float direction,
                   const bool add[2])
{
    const lrk_rope_attr *a = static_cast<const lrk_rope_attr *>(c->attr);
    const lrk_tensor *table = c->in[LRK_ROPE_TABLE];
    const int n = 16 / sizeof(T);
    rotation<T> r = {};
    r.table = lrk_view_of<const float>(table);
    r.head = a->head;
    r.half = lrk_cols(table) / 2;
    r.direction = direction;
    bool chunks = lrk_can_chunk(table) && r.half % n == 0 && r.head % n == 0;
    int used = 0;
    for (int i = 0; i < 2; i++) {
        if (!to[i]) continue;
        r.part[used].from = lrk_view_of<const T>(from[i]);
        r.part[used].to = lrk_view_of<T>(to[i]);
        r.part[used].add = add[i];
        r.rows = lrk_rows(from[i]);
        r.all += lrk_cols(from[i]) / a->head;
        if (!used++) r.heads = r.all;
        chunks = chunks && lrk_can_chunk(from[i]) && lrk_can_chunk(to[i]);
    }
    if (!used) return;
    if (chunks && a->interleaved)
        launch<T, n, true>(r);
    else if (chunks)
        launch<T, n, false>(r);
    else if (a->interleaved)
        launch<T, 1, true>(r);
    else
        launch<T, 1, false>(r);
}

template <typename T> static void forward(const lrk_call *c)
{
    const lrk_tensor *const from[] = {c->in[LRK_ROPE_X], c->in[LRK_ROPE_X2]};
    const bool add[2] = {};
    rotate<T>(c, from, c->out, 1.0f, add);
}

template <typename T> static void backward(const lrk_call *c)
{
    const lrk_tensor *const to[] = {c->din[LRK_ROPE_X], c->din[LRK_ROPE_X2]};
    const int in[] = {LRK_ROPE_X, LRK_ROPE_X2};
    bool add[2] = {};
    for (int i = 0; i < 2; i++) add[i] = to[i] && to[i]->data != c->dout[i]->data && !(c->fresh >> in[i] & 1);
    rotate<T>(c, c->dout, to, -1.0f, add);
}

LRK_CUDA_KERNEL(rope, fwd, forward)
LRK_CUDA_KERNEL(rope, bwd, backward)
