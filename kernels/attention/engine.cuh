/* kernels/attention/engine.cuh -- what the kernels do with an engine (tensor_cores.cuh, plain.cuh),
 * whichever it is. */
#ifndef LRK_KERNELS_ATTENTION_ENGINE_CUH
#define LRK_KERNELS_ATTENTION_ENGINE_CUH
#include "kernels/attention/plain.cuh"
#include "kernels/attention/tensor_cores.cuh"

template <class S> static __device__ __forceinline__ void clear(S &s)
{
    float *v = reinterpret_cast<float *>(&s);
#pragma unroll
    for (int i = 0; i < (int)(sizeof s / sizeof *v); i++) v[i] = 0.0f;
}

/* to = factor * what the thread has gathered of its row i, or += that; the columns before `n`. */
template <class E, class S, typename T>
static __device__ __forceinline__ void put_row(S &s, int i, float factor, T *to, int n, bool add)
{
#pragma unroll
    for (int j = 0; j < S::my_columns; j += 2) {
        const int d = E::sum_column(j);
#pragma unroll
        for (int e = 0; e < 2; e++) {
            if (d + e >= n) continue;
            const float v = factor * E::at(s, i, j + e);
            lrk_set(to + d + e, add ? lrk_value(to[d + e]) + v : v);
        }
    }
}

/* Row `row` of a strip of queries, in a tensor with all heads. */
template <typename T>
static __device__ __forceinline__ T *query_row(const problem &p, const matrix<T> &m, const strip &s,
                                               int row, int kv_head)
{
    const int token = p.heads.token_of(s.skip + row), head = s.skip + row - token * p.heads.group;
    return m.data + (size_t)(s.token + token) * m.stride +
           (kv_head * p.heads.group + head) * p.head;
}

/* What a kernel of E takes of dynamic shared memory, in elements. */
template <class E, int ELEMENTS>
using taking = lrk_takes<(ELEMENTS + E::room) * (int)sizeof(typename E::element)>;

/* Launches a kernel that takes S. */
#define LAUNCH_WITH(E, kernel, grid, S, job)                                                    \
    do {                                                                                        \
        lrk_cuda_note(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, \
                                           S::bytes),                                           \
                      "cudaFuncSetAttribute");                                                  \
        LRK_LAUNCH(kernel, grid, dim3(E::threads), (size_t)S::bytes, job);                      \
    } while (0)

/* At most so many pieces of `rows` rows do `total` rows in some segments give. */
static inline unsigned pieces(size_t total, size_t rows, int segments)
{
    return (unsigned)(total / rows + (size_t)segments);
}

#endif /* LRK_KERNELS_ATTENTION_ENGINE_CUH */
