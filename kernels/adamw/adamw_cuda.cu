/* kernels/adamw/adamw_cuda.cu -- the norm by a fixed tree: a chunk a block, then the chunks by one
 * block; the step: 16 bytes of each array a thread. */
#include "kernels/cuda.cuh"
extern "C" {
#include "kernels/adamw/adamw.h"
}

enum { THREADS = 256, WIDE = 4 };

template <int N>
static __global__ void sum_squares(const float *g, size_t n, size_t chunk, double *parts)
{
    LRK_SHARED(double, room, LRK_WARP);
    const size_t start = blockIdx.x * chunk, end = start + chunk < n ? start + chunk : n;
    double sum = 0.0;
    for (size_t i = start + threadIdx.x * N; i < end; i += (size_t)THREADS * N) {
        lrk_pack<float, N> p;
        p.load(g + i);
#pragma unroll
        for (int k = 0; k < N; k++) sum += (double)p.get(k) * (double)p.get(k);
    }
    sum = lrk_block_sum(sum, room);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

static __global__ void fold(const double *parts, size_t n, lrk_adamw_values *values)
{
    LRK_SHARED(double, room, LRK_WARP);
    double sum = 0.0;
    for (size_t i = threadIdx.x; i < n; i += THREADS) sum += parts[i];
    sum = lrk_block_sum(sum, room);
    if (threadIdx.x) return;
    const double norm = sqrt(sum), most = values->max_norm;
    values->norm = norm;
    values->clip = most > 0.0 && norm + 1e-6 > most ? (float)(most / (norm + 1e-6)) : 1.0f;
}

extern "C" void lrk_norm_cuda(const float *g, size_t n, void *scratch, lrk_adamw_values *values)
{
    const size_t chunk = lrk_norm_chunk(n), parts = lrk_ceil_div(n, chunk);
    double *part = static_cast<double *>(scratch);
    if (n % WIDE == 0 && (uintptr_t)g % 16 == 0)
        LRK_LAUNCH(sum_squares<WIDE>, dim3((unsigned)parts), dim3(THREADS), 0, g, n, chunk, part);
    else
        LRK_LAUNCH(sum_squares<1>, dim3((unsigned)parts), dim3(THREADS), 0, g, n, chunk, part);
    LRK_LAUNCH(fold, dim3(1), dim3(THREADS), 0, (const double *)part, parts, values);
}

template <int N>
static __global__ void update(const lrk_adamw_values *values, int which, float *p, const float *g,
                              float *m, float *v, lrk_bf16 *shadow, size_t n)
{
    const lrk_adamw_values now = *values;
    const float keep = values->keep[which], rate = values->rate[which];
    if (!isfinite(now.norm)) return;
    LRK_FOR_ITEMS(i, n / N)
    {
        lrk_pack<float, N> pp, pg, pm, pv;
        lrk_pack<lrk_bf16, N> rounded;
        pp.load(p + i * N);
        pg.load(g + i * N);
        pm.load(m + i * N);
        pv.load(v + i * N);
#pragma unroll
        for (int k = 0; k < N; k++) {
            const float c = now.clip * pg.get(k);
            const float first = now.beta1 * pm.get(k) + now.rest1 * c;
            const float second = now.beta2 * pv.get(k) + now.rest2 * c * c;
            const float moved = pp.get(k) * keep - rate * first / (sqrtf(second) * now.root + now.eps);
            pm.set(k, first);
            pv.set(k, second);
            pp.set(k, moved);
            rounded.set(k, moved);
        }
        pp.store(p + i * N);
        pm.store(m + i * N);
        pv.store(v + i * N);
        if (shadow) rounded.store(shadow + i * N);
    }
}

template <int N> static __global__ void round_all(const float *p, lrk_bf16 *shadow, size_t n)
{
    LRK_FOR_ITEMS(i, n / N)
    {
        lrk_pack<float, N> from;
        lrk_pack<lrk_bf16, N> to;
        from.load(p + i * N);
#pragma unroll
        for (int k = 0; k < N; k++) to.set(k, from.get(k));
        to.store(shadow + i * N);
    }
}

static bool aligned(const void *p, size_t bytes)
{
    return (uintptr_t)p % bytes == 0;
}

extern "C" void lrk_adamw_step_cuda(const lrk_adamw_values *values, int which, float *p, const float *g,
                                    float *m, float *v, uint16_t *shadow, size_t n)
{
    lrk_bf16 *as_bf16 = reinterpret_cast<lrk_bf16 *>(shadow);
    const bool wide = n % WIDE == 0 && aligned(p, 16) && aligned(g, 16) && aligned(m, 16) &&
                      aligned(v, 16) && aligned(shadow, 8);
    const lrk_walk w = lrk_walk_over(1, wide ? n / WIDE : n);
    if (wide)
        LRK_LAUNCH(update<WIDE>, w.grid, w.block, 0, values, which, p, g, m, v, as_bf16, n);
    else
        LRK_LAUNCH(update<1>, w.grid, w.block, 0, values, which, p, g, m, v, as_bf16, n);
}

extern "C" void lrk_shadow_cuda(const float *p, uint16_t *shadow, size_t n)
{
    lrk_bf16 *as_bf16 = reinterpret_cast<lrk_bf16 *>(shadow);
    const bool wide = n % WIDE == 0 && aligned(p, 16) && aligned(shadow, 8);
    const lrk_walk w = lrk_walk_over(1, wide ? n / WIDE : n);
    if (wide)
        LRK_LAUNCH(round_all<WIDE>, w.grid, w.block, 0, p, as_bf16, n);
    else
        LRK_LAUNCH(round_all<1>, w.grid, w.block, 0, p, as_bf16, n);
}
