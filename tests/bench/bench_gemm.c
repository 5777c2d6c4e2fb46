/* tests/bench/bench_gemm.c -- our matrix product beside oneDNN's, same process, by turns.
 *
 *   bench_gemm [threads] [filter] [seconds a row]
 *   LRK_CPU=avx2 DNNL_MAX_CPU_ISA=AVX2 bench_gemm 1 f32      one level for both
 *   GOMP_SPINCOUNT=0 bench_gemm 2      oneDNN's threads would spin into our turns
 *
 * Rows: T = 512 tokens on SmolLM2's shapes. Each shows medians in GFLOP/s, their ratio, and for f32
 * on one thread our share of what the micro-kernel reaches with both operands in the first-level
 * cache. On one thread the thread's own time counts, so that a busy machine does not show.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/quant.h"
#include "base/rng.h"
#include "base/size.h"
#include "base/threads.h"
#include "kernels/gemm/impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 400 };

typedef struct row {
    const char *name;
    size_t m, n, k;
    bool a_transposed, b_transposed;
    lrk_dtype a, b, c;
    bool accumulate;
    size_t k2; /* of an adapter beside the weight */
} row;

#define T 512
/* clang-format off */
#define FORWARD(n, k, a, b) {#a " fwd " #b, T, n, k, false, true, LRK_##a, LRK_##b, LRK_##a, false, 0}
#define BACKWARD(n, k, a, b) {#a " bwd " #b, T, n, k, false, false, LRK_##a, LRK_##b, LRK_##a, false, 0}
#define SHAPES(pass, a, b) \
    pass(576, 576, a, b), pass(192, 576, a, b), pass(1536, 576, a, b), pass(576, 1536, a, b)
#define THIN(a, b)                                                                \
    {#a " x A^T", T, 16, 576, false, true, LRK_##a, LRK_##b, LRK_##a, false, 0},  \
    {#a " x A^T", T, 16, 1536, false, true, LRK_##a, LRK_##b, LRK_##a, false, 0}, \
    {#a " s B^T", T, 1536, 16, false, true, LRK_##a, LRK_##b, LRK_##a, true, 0},  \
    {#a " dy B", T, 16, 1536, false, false, LRK_##a, LRK_##b, LRK_##a, false, 0}, \
    {#a " dA", 16, 576, T, true, false, LRK_##a, LRK_##a, LRK_F32, true, 0},      \
    {#a " dB", 1536, 16, T, true, false, LRK_##a, LRK_##a, LRK_F32, true, 0}
/* clang-format on */

static const row rows[] = {
    {"BF16 adapter", T, 1536, 576, false, true, LRK_BF16, LRK_Q4_1, LRK_BF16, false, 16},
    {"BF16 adapter", T, 576, 1536, false, true, LRK_BF16, LRK_Q4_1, LRK_BF16, false, 16},
    {"F32 adapter", T, 1536, 576, false, true, LRK_F32, LRK_Q4_1, LRK_F32, false, 16},
    SHAPES(FORWARD, F32, F32),
    SHAPES(BACKWARD, F32, F32),
    SHAPES(FORWARD, F32, Q4_1),
    SHAPES(BACKWARD, F32, Q4_1),
    FORWARD(8192, 576, F32, Q8_0),
    THIN(F32, F32),
    SHAPES(FORWARD, BF16, BF16),
    SHAPES(BACKWARD, BF16, BF16),
    SHAPES(FORWARD, BF16, Q4_1),
    SHAPES(BACKWARD, BF16, Q4_1),
    FORWARD(8192, 576, BF16, Q8_0),
    THIN(BF16, BF16),
    {"F32 decode Q4_1", 1, 1536, 576, false, true, LRK_F32, LRK_Q4_1, LRK_F32, false, 0},
    {"F32 decode Q4_1", 1, 576, 1536, false, true, LRK_F32, LRK_Q4_1, LRK_F32, false, 0},
    {"F32 decode Q8_0", 1, 49152, 576, false, true, LRK_F32, LRK_Q8_0, LRK_F32, false, 0},
    {"F32 decode Q4_1", 2, 1536, 576, false, true, LRK_F32, LRK_Q4_1, LRK_F32, false, 0},
    {"F32 decode Q4_1", 4, 1536, 576, false, true, LRK_F32, LRK_Q4_1, LRK_F32, false, 0},
    {"F32 decode Q4_1", 8, 1536, 576, false, true, LRK_F32, LRK_Q4_1, LRK_F32, false, 0},
};

static void *fill(lrk_arena *arena, lrk_dtype t, size_t n_rows, size_t cols)
{
    const lrk_rng rng = {.seed = 1, .site = LRK_SITE_TEST};
    float *line = lrk_heap_alloc(cols, sizeof *line);
    char *p = NULL;
    if (lrk_alloc(arena, n_rows, lrk_row_bytes(t, cols), "matrix", &p, NULL) != LRK_OK) exit(5);
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t i = 0; i < cols; i++)
            line[i] = (float)(lrk_rng_u32(rng, r * cols + i) >> 8) * 0x1p-23f - 1.0f;
        lrk_from_f32(t, line, cols, p + r * lrk_row_bytes(t, cols));
    }
    lrk_heap_free(line);
    return p;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_value);
    return x[n / 2];
}

static double now(void)
{
    struct timespec t;
    if (lrk_threads() > 1) return lrk_seconds();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double once(const lrk_gemm *g, lrk_gemm_provider p, void *scratch)
{
    lrk_gemm_provider_set(p);
    const double start = now();
    lrk_gemm_run(g, scratch);
    return now() - start;
}

/* GFLOP/s of the f32 micro-kernel on 24 KiB; about the multiply-add peak of the core. */
static double in_cache(void)
{
    enum { DEPTH = 128, TIMES = 2000 };
    static float a[14 * DEPTH], b[32 * DEPTH], c[14 * 32];
    const lrk_gemm_isa *isa = &lrk_gemm_scalar;
    double best = 1e30;
#if defined(__x86_64__)
    if (lrk_cpu() == LRK_AVX2) isa = &lrk_gemm_avx2;
    if (lrk_cpu() >= LRK_AVX512) isa = &lrk_gemm_avx512;
#endif
    for (int tries = 0; tries < 20; tries++) {
        const double start = now();
        for (int i = 0; i < TIMES; i++)
            isa->tile(DEPTH, a, isa->mr, b, isa->nr, isa->nr, c, isa->nr, 1.0f, false);
        best = fmin(best, now() - start);
    }
    return 2e-9 * TIMES * DEPTH * (double)(isa->mr * isa->nr) / best;
}

static double measure(const row *r, double peak, double seconds)
{
    const size_t a_rows = r->a_transposed ? r->k : r->m, a_cols = r->a_transposed ? r->m : r->k;
    const size_t b_rows = r->b_transposed ? r->n : r->k, b_cols = r->b_transposed ? r->k : r->n;
    lrk_arena arena = {0};
    if (lrk_arena_fixed(&arena, "bench", (size_t)1 << 30, NULL) != LRK_OK) exit(5);
    void *a = fill(&arena, r->a, a_rows, a_cols), *b = fill(&arena, r->b, b_rows, b_cols);
    void *c = NULL, *scratch = NULL;
    if (lrk_alloc(&arena, r->m * r->n, sizeof(float), "C", &c, NULL) != LRK_OK) exit(5);
    memset(c, 0, r->m * r->n * sizeof(float));
    const lrk_gemm g = {.m = r->m,
                        .n = r->n,
                        .k = r->k,
                        .a = {a, r->a, a_cols, r->a_transposed},
                        .b = {b, r->b, b_cols, r->b_transposed},
                        .c = c,
                        .c_dtype = r->c,
                        .c_stride = r->n,
                        .alpha = 1.0,
                        .accumulate = r->accumulate,
                        .k2 = r->k2,
                        .a2 = {a, r->a, r->k, false},
                        .b2 = {a, r->a, r->k2, r->b_transposed}};
    size_t bytes[2], n = 0;
    double times[2][MOST];
    for (int p = 0; p < 2; p++) {
        lrk_gemm_provider_set((lrk_gemm_provider)p);
        bytes[p] = lrk_gemm_scratch(&g);
    }
    if (lrk_alloc(&arena, lrk_max(bytes[0], bytes[1]), 1, "scratch", &scratch, NULL) != LRK_OK)
        exit(5);
    for (int p = 0; p < 2; p++) once(&g, (lrk_gemm_provider)p, scratch);
    for (const double start = lrk_seconds(); n < 5 || (n < MOST && lrk_seconds() - start < seconds);
         n++)
        for (int p = 0; p < 2; p++) times[p][n] = once(&g, (lrk_gemm_provider)p, scratch);
    const double flop = 2e-9 * (double)r->m * (double)r->n * (double)r->k;
    const double own = median(times[0], n), other = median(times[1], n);
    printf("%-18s %5zu x %5zu x %5zu  ours %8.1f  oneDNN %8.1f  ratio %5.2f  %8.1f us", r->name,
           r->m, r->n, r->k, flop / own, flop / other, other / own, own * 1e6);
    if (r->a == LRK_F32 && lrk_threads() == 1)
        printf("  %3.0f %%\n", 100.0 * flop / own / peak);
    else
        printf("\n");
    fflush(stdout);
    lrk_arena_free(&arena);
    return other / own;
}

int main(int argc, char **argv)
{
    const char *filter = argc > 2 ? argv[2] : "";
    const double seconds = argc > 3 ? strtod(argv[3], NULL) : 0.3;
    double logs = 0.0;
    int n = 0;
    lrk_threads_set(argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0);
    printf("%s, %s, %d threads; GFLOP/s\n", lrk_cpu_model(), lrk_isa_name(lrk_cpu()),
           lrk_threads());
    const double peak = in_cache();
    printf("f32 micro-kernel in the first-level cache, one thread: %.1f\n", peak);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!strstr(rows[i].name, filter)) continue;
        logs += log(measure(&rows[i], peak, seconds));
        n++;
    }
    if (n) printf("geometric mean of the ratios: %.3f over %d rows\n", exp(logs / n), n);
    return 0;
}
