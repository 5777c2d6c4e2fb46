/* kernels/gemm/gemm.c -- matrix products: which way a product goes. */
#include "kernels/gemm/amx.h"

#include "kernels/gemm/cuda.h"
#include "kernels/gemm/onednn.h"

#include "base/size.h"
#include "base/threads.h"

#include <stdatomic.h>
#include <stdio.h>

static atomic_int chosen; /* 1 + provider; 0: not chosen */

lrk_gemm_provider lrk_gemm_provider_get(void)
{
    const int c = atomic_load(&chosen);
    if (c) return (lrk_gemm_provider)(c - 1);
#if defined(__x86_64__)
    return LRK_GEMM_OWN;
#else
    return LRK_GEMM_ONEDNN;
#endif
}

void lrk_gemm_provider_set(lrk_gemm_provider p) { atomic_store(&chosen, (int)p + 1); }

static const lrk_gemm_isa *isa_of(const lrk_gemm *g, lrk_isa level)
{
#if defined(__x86_64__)
    if (level >= LRK_AVX512_BF16 && g->a.dtype == LRK_BF16) return &lrk_gemm_avx512_bf16;
    if (level >= LRK_AVX512) return &lrk_gemm_avx512;
    if (level == LRK_AVX2) return &lrk_gemm_avx2;
#endif
    (void)g, (void)level;
    return &lrk_gemm_scalar;
}

static bool is_f64(const lrk_gemm *g) { return g->a.dtype == LRK_F64; }

static bool in_tiles(const lrk_gemm *g, lrk_isa level)
{
#if defined(__x86_64__)
    return level == LRK_AMX && g->a.dtype == LRK_BF16;
#else
    (void)g, (void)level;
    return false;
#endif
}

/* Scratch of one level, for exactly so many threads. */
static size_t scratch_of(const lrk_gemm *g, lrk_isa level, size_t threads)
{
#if defined(__x86_64__)
    if (in_tiles(g, level)) return lrk_gemm_amx_scratch(g, threads);
#endif
    return lrk_gemm_packed_scratch(g, isa_of(g, level), threads);
}

static void multiply(const lrk_gemm *g, void *scratch)
{
    const lrk_isa level = lrk_cpu();
    if (lrk_gemm_is_few(g)) {
        lrk_gemm_few(g, isa_of(g, level), scratch);
        return;
    }
#if defined(__x86_64__)
    if (in_tiles(g, level)) {
        lrk_gemm_amx(g, scratch);
        return;
    }
#endif
    lrk_gemm_packed(g, isa_of(g, level), scratch);
}

/* Whether one product takes both pairs. */
static bool fuses(const lrk_gemm *g)
{
    if (is_f64(g) || lrk_gemm_provider_get() != LRK_GEMM_OWN || lrk_gemm_is_few(g)) return false;
#if defined(__x86_64__)
    if (in_tiles(g, lrk_cpu())) return lrk_gemm_amx_fuses(g);
#endif
    return lrk_gemm_packed_fuses(g, isa_of(g, lrk_cpu()));
}

/* The two products of g on their own. */
static lrk_gemm first_of(const lrk_gemm *g)
{
    lrk_gemm r = *g;
    r.k2 = 0;
    r.bias = NULL;
    return r;
}

static lrk_gemm second_of(const lrk_gemm *g)
{
    lrk_gemm r = first_of(g);
    r.a = g->a2;
    r.b = g->b2;
    r.k = g->k2;
    r.accumulate = true;
    return r;
}

size_t lrk_gemm_scratch(const lrk_gemm *g)
{
    const size_t threads = (size_t)lrk_threads();
    size_t most = 0;
    if (g->device == LRK_CUDA) return lrk_gemm_cuda_scratch(g);
    if (is_f64(g)) return 0;
    if (g->k2 && !fuses(g)) {
        const lrk_gemm first = first_of(g), second = second_of(g);
        return lrk_max(lrk_gemm_scratch(&first), lrk_gemm_scratch(&second));
    }
    if (lrk_gemm_provider_get() == LRK_GEMM_ONEDNN)
        most = lrk_max(most, lrk_gemm_onednn_scratch(g));
    if (lrk_gemm_is_few(g)) return lrk_max(most, lrk_gemm_few_scratch(g, threads));
    for (size_t t = 1; t <= threads; t++) most = lrk_max(most, scratch_of(g, lrk_cpu(), t));
    return most;
}

static void row_f64(void *ctx, size_t i, int worker)
{
    const lrk_gemm *g = *(const lrk_gemm *const *)ctx;
    const double *a = g->a.data, *b = g->b.data;
    double *c = (double *)g->c + i * g->c_stride;
    (void)worker;
    for (size_t j = 0; j < g->n; j++) {
        double sum = 0.0;
        for (size_t k = 0; k < g->k; k++)
            sum += a[g->a.transposed ? k * g->a.stride + i : i * g->a.stride + k] *
                   b[g->b.transposed ? j * g->b.stride + k : k * g->b.stride + j];
        c[j] = (g->accumulate ? c[j] : 0.0) + g->alpha * sum;
    }
}

/* The empty sum. */
static void clear(const lrk_gemm *g)
{
    if (g->accumulate) return;
    for (size_t i = 0; i < g->m; i++)
        memset((char *)g->c + lrk_row_bytes(g->c_dtype, i * g->c_stride), 0,
               lrk_row_bytes(g->c_dtype, g->n));
}

/* Columns from j on. */
static lrk_gemm rest(const lrk_gemm *g, size_t j)
{
    lrk_gemm r = *g;
    r.n -= j;
    r.b.data = lrk_operand_at(&g->b, g->b.transposed ? j : 0, g->b.transposed ? 0 : j);
    r.c = (char *)g->c + lrk_row_bytes(g->c_dtype, j);
    return r;
}

lrk_status lrk_gemm_open(lrk_device d, lrk_err *err)
{
    if (d == LRK_CPU) return LRK_OK;
    LRK_REQUIRE(err, lrk_gemm_cuda_open, LRK_EGPU,
                "device: cuda: this program was built without GPU kernels");
    return lrk_gemm_cuda_open(err);
}

void lrk_gemm_cublaslt_version(char *out, size_t size)
{
    if (lrk_gemm_cuda_version)
        lrk_gemm_cuda_version(out, size);
    else
        snprintf(out, size, "none");
}

/* The bias, to one row. */
static void bias_row(void *ctx, size_t i, int worker)
{
    const lrk_gemm *g = *(const lrk_gemm *const *)ctx;
    void *c = (char *)g->c + lrk_row_bytes(g->c_dtype, i * g->c_stride);
    const float *wide = g->bias;
    const uint16_t *narrow = g->bias;
    (void)worker;
    for (size_t j = 0; j < g->n; j++) {
        if (g->c_dtype == LRK_F64) {
            ((double *)c)[j] += ((const double *)g->bias)[j];
            continue;
        }
        const float add = g->bias_dtype == LRK_BF16 ? lrk_bf16_to_f32(narrow[j]) : wide[j];
        if (g->c_dtype == LRK_BF16)
            ((uint16_t *)c)[j] = lrk_f32_to_bf16(lrk_bf16_to_f32(((uint16_t *)c)[j]) + add);
        else
            ((float *)c)[j] += add;
    }
}

static void products(const lrk_gemm *g, void *scratch)
{
    if (!g->m || !g->n) return;
    if (g->k2 && !fuses(g)) {
        const lrk_gemm first = first_of(g), second = second_of(g);
        products(&first, scratch);
        products(&second, scratch);
        return;
    }
    if (!g->k) {
        clear(g);
        return;
    }
    if (is_f64(g)) {
        lrk_parallel(g->m, row_f64, &g);
        return;
    }
    size_t done = 0;
    if (lrk_gemm_provider_get() == LRK_GEMM_ONEDNN) done = lrk_gemm_onednn(g, scratch);
    if (done == g->n) return;
    const lrk_gemm left = rest(g, done);
    multiply(&left, scratch);
}

void lrk_gemm_run(const lrk_gemm *g, void *scratch)
{
    if (g->device == LRK_CUDA) {
        lrk_gemm_cuda(g, scratch);
        return;
    }
    products(g, scratch);
    if (g->bias && g->n) lrk_parallel(g->m, bias_row, &g);
}
