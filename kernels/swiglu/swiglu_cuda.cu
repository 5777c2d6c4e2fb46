/* kernels/swiglu/swiglu_cuda.cu -- 16 bytes a thread; backward reads g, u and dh once; dg may be dh. */
#include "kernels/swiglu/activate.cuh"

template <typename T, int N, int activation>
static __global__ void forward_elements(lrk_view<const T> g, lrk_view<const T> u, lrk_view<T> h,
                                        size_t rows, size_t cols)
{
    LRK_FOR_ROWS(r, rows)
    {
        LRK_FOR_ITEMS(i, cols / N)
        {
            lrk_pack<T, N> gate, up, result;
            gate.load(g.at(r, i * N));
            if (u.data) up.load(u.at(r, i * N));
#pragma unroll
            for (int k = 0; k < N; k++) {
                float value, slope;
                lrk_activate<activation>(gate.get(k), &value, &slope);
                result.set(k, u.data ? value * up.get(k) : value);
            }
            result.store(h.at(r, i * N));
        }
    }
}

/* A gradient without data is nobody's. */
template <typename T> struct gradients {
    lrk_view<T> dg, du;
    bool keep_dg, keep_du; /* added to what is there */
};

template <typename T, int N, int activation>
static __global__ void backward_elements(lrk_view<const T> g, lrk_view<const T> u,
                                         lrk_view<const T> dh, gradients<T> d, size_t rows,
                                         size_t cols)
{
    LRK_FOR_ROWS(r, rows)
    {
        LRK_FOR_ITEMS(i, cols / N)
        {
            lrk_pack<T, N> gate, up, above, dg, du;
            gate.load(g.at(r, i * N));
            if (u.data) up.load(u.at(r, i * N));
            above.load(dh.at(r, i * N));
            if (d.keep_dg) dg.load(d.dg.at(r, i * N));
            if (d.keep_du) du.load(d.du.at(r, i * N));
#pragma unroll
            for (int k = 0; k < N; k++) {
                float value, slope;
                lrk_activate<activation>(gate.get(k), &value, &slope);
                const float a = above.get(k), through = u.data ? a * up.get(k) : a;
                const float to_gate = slope * through, to_up = value * a;
                dg.set(k, d.keep_dg ? dg.get(k) + to_gate : to_gate);
                du.set(k, d.keep_du ? du.get(k) + to_up : to_up);
            }
            if (d.dg.data) dg.store(d.dg.at(r, i * N));
            if (d.du.data) du.store(d.du.at(r, i * N));
        }
    }
}

template <typename T, int N, int activation>
static void launch_forward(const lrk_call *c, lrk_extent e)
{
    const lrk_walk w = lrk_walk_over(e.rows, e.cols / N);
    LRK_LAUNCH((forward_elements<T, N, activation>), w.grid, w.block, 0,
               lrk_view_of<const T>(c->in[LRK_SWIGLU_G]), lrk_view_of<const T>(c->in[LRK_SWIGLU_U]),
               lrk_view_of<T>(c->out[LRK_SWIGLU_H]), e.rows, e.cols);
}

template <typename T, int N, int activation>
static void launch_backward(const lrk_call *c, lrk_extent e)
{
    const lrk_walk w = lrk_walk_over(e.rows, e.cols / N);
    gradients<T> d;
    d.dg = lrk_view_of<T>(c->din[LRK_SWIGLU_G]);
    d.du = lrk_view_of<T>(c->din[LRK_SWIGLU_U]);
    d.keep_dg = d.dg.data && d.dg.data != c->dout[LRK_SWIGLU_H]->data && !(c->fresh >> LRK_SWIGLU_G & 1);
    d.keep_du = d.du.data && !(c->fresh >> LRK_SWIGLU_U & 1);
    LRK_LAUNCH((backward_elements<T, N, activation>), w.grid, w.block, 0,
               lrk_view_of<const T>(c->in[LRK_SWIGLU_G]), lrk_view_of<const T>(c->in[LRK_SWIGLU_U]),
               lrk_view_of<const T>(c->dout[LRK_SWIGLU_H]), d, e.rows, e.cols);
}

template <typename T, int activation> static void forward_with(const lrk_call *c)
{
    const lrk_tensor *const all[] = {c->in[LRK_SWIGLU_G], c->in[LRK_SWIGLU_U],
                                     c->out[LRK_SWIGLU_H]};
    const lrk_extent e = lrk_extent_of(all, 3);
    if (e.chunks)
        launch_forward<T, 16 / sizeof(T), activation>(c, e);
    else
        launch_forward<T, 1, activation>(c, e);
}

template <typename T, int activation> static void backward_with(const lrk_call *c)
{
    const lrk_tensor *const all[] = {c->in[LRK_SWIGLU_G], c->in[LRK_SWIGLU_U],
                                     c->dout[LRK_SWIGLU_H], c->din[LRK_SWIGLU_G],
                                     c->din[LRK_SWIGLU_U]};
    const lrk_extent e = lrk_extent_of(all, 5);
    if (e.chunks)
        launch_backward<T, 16 / sizeof(T), activation>(c, e);
    else
        launch_backward<T, 1, activation>(c, e);
}

template <typename T> static void forward(const lrk_call *c)
{
    switch (static_cast<const lrk_swiglu_attr *>(c->attr)->activation) {
    case LRK_SILU: forward_with<T, LRK_SILU>(c); break;
    case LRK_GELU_TANH: forward_with<T, LRK_GELU_TANH>(c); break;
    case LRK_GELU_ERF: forward_with<T, LRK_GELU_ERF>(c); break;
    }
}

template <typename T> static void backward(const lrk_call *c)
{
    switch (static_cast<const lrk_swiglu_attr *>(c->attr)->activation) {
    case LRK_SILU: backward_with<T, LRK_SILU>(c); break;
    case LRK_GELU_TANH: backward_with<T, LRK_GELU_TANH>(c); break;
    case LRK_GELU_ERF: backward_with<T, LRK_GELU_ERF>(c); break;
    }
}

LRK_CUDA_KERNEL(swiglu, fwd, forward)
LRK_CUDA_KERNEL(swiglu, bwd, backward)
