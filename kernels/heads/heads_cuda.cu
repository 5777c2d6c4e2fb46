/* kernels/heads/heads_cuda.cu -- a number of a result a thread; the heads of a shared piece in order. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/heads/heads.h"
}

/* y[t,h,at + i] = x[t, h * step + first + i] for i < n; without x zeros. */
template <typename T>
static __global__ void place(lrk_view<const T> x, lrk_view<T> y, size_t rows, size_t heads, size_t head,
                             size_t at, lrk_heads_piece p)
{
    LRK_FOR_ROWS(t, rows)
    {
        LRK_FOR_ITEMS(i, heads * p.n)
        {
            const size_t h = i / p.n, k = i % p.n;
            const float v = x.data ? lrk_value(*x.at(t, h * p.step + p.first + k)) : 0.0f;
            lrk_set(y.at(t, h * head + at + k), v);
        }
    }
}

template <typename T>
static __global__ void place_back(lrk_view<const T> dy, lrk_view<T> dx, size_t rows, size_t heads,
                                  size_t head, size_t at, lrk_heads_piece p)
{
    const size_t own = p.step ? heads : 1, shared = p.step ? 1 : heads;
    LRK_FOR_ROWS(t, rows)
    {
        LRK_FOR_ITEMS(i, own * p.n)
        {
            const size_t h = i / p.n, k = i % p.n;
            T *to = dx.at(t, h * p.step + p.first + k);
            float sum = 0.0f;
            for (size_t s = 0; s < shared; s++) sum += lrk_value(*dy.at(t, (h + s) * head + at + k));
            lrk_set(to, lrk_value(*to) + sum);
        }
    }
}

template <typename T> static void forward(const lrk_call *c)
{
    const lrk_heads_attr *a = static_cast<const lrk_heads_attr *>(c->attr);
    const lrk_tensor *y = c->out[LRK_HEADS_Y];
    size_t at = 0;
    for (int i = LRK_HEADS_A; i <= LRK_HEADS_B + 1; i++) {
        const bool rest = i > LRK_HEADS_B;
        const lrk_tensor *x = rest ? NULL : c->in[i];
        lrk_heads_piece p = {0, 0, a->head - at};
        if (!rest) p = a->piece[i];
        if (p.n == 0 || (!rest && !x)) continue;
        const lrk_walk w = lrk_walk_over(lrk_rows(y), a->heads * p.n);
        LRK_LAUNCH((place<T>), w.grid, w.block, 0, lrk_view_of<const T>(x), lrk_view_of<T>(y), lrk_rows(y),
                   a->heads, a->head, at, p);
        at += p.n;
    }
}

template <typename T> static void backward(const lrk_call *c)
{
    const lrk_heads_attr *a = static_cast<const lrk_heads_attr *>(c->attr);
    const lrk_tensor *dy = c->dout[LRK_HEADS_Y];
    size_t at = 0;
    for (int i = LRK_HEADS_A; i <= LRK_HEADS_B; i++) {
        const lrk_heads_piece p = a->piece[i];
        if (!c->in[i]) continue;
        if (c->din[i] && p.n) {
            const lrk_walk w = lrk_walk_over(lrk_rows(dy), (p.step ? a->heads : 1) * p.n);
            LRK_LAUNCH((place_back<T>), w.grid, w.block, 0, lrk_view_of<const T>(dy),
                       lrk_view_of<T>(c->din[i]), lrk_rows(dy), a->heads, a->head, at, p);
        }
        at += p.n;
    }
}

LRK_CUDA_KERNEL(heads, fwd, forward)
LRK_CUDA_KERNEL(heads, bwd, backward)
