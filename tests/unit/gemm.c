/* tests/unit/gemm.c -- matrix products against float64, on every instruction set of the machine, and on
 * the GPU where the program has kernels for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "base/threads.h"
#include "kernels/gemm/cuda.h"
#include "kernels/gemm/impl.h"

#include "unit/gemm_problem.h"

#include <stdlib.h>

static bool on_gpu;

/* A copy in memory of its own on the GPU. */
static void *uploaded(lrk_arena *a, const void *from, size_t bytes)
{
    lrk_err err = {0};
    if (lrk_arena_on(LRK_CUDA, a, "test", bytes, &err) != LRK_OK) fail_msg("%s", err.text);
    if (from) lrk_device_upload(LRK_CUDA, a->base, from, bytes);
    return a->base;
}

/* The product of p on the GPU, into p->c; the same bits twice. */
static void run_on_gpu(problem *p, size_t panel)
{
    lrk_arena a, b, c, a2 = {0}, b2 = {0}, bias = {0}, scratch;
    lrk_gemm g = p->g;
    lrk_err err = {0};
    lrk_gemm_panel_set(panel);
    g.device = LRK_CUDA;
    g.a.data = uploaded(&a, p->a, p->a_bytes);
    g.b.data = uploaded(&b, p->b, p->b_bytes);
    g.c = uploaded(&c, NULL, p->c_bytes);
    if (p->s.k2) {
        g.a2.data = p->a2_bytes ? uploaded(&a2, p->a2, p->a2_bytes) : (const char *)g.a.data + (p->a2 - p->a);
        g.b2.data = p->b2_bytes ? uploaded(&b2, p->b2, p->b2_bytes) : (const char *)g.b.data + (p->b2 - p->b);
        assert_int_equal(lrk_gemm_cuda_joins(&g), p->s.border);
    }
    if (p->s.bias) {
        char *const there = (char *)uploaded(&bias, NULL, p->bias_bytes + p->s.bias_shift) + p->s.bias_shift;
        lrk_device_upload(LRK_CUDA, there, p->bias, p->bias_bytes);
        g.bias = there;
    }
    void *room = uploaded(&scratch, NULL, lrk_gemm_scratch(&g));
    unsigned char *first = lrk_heap_alloc(p->c_bytes + 1, 1);
    for (int i = 0; i < 2; i++) {
        lrk_device_upload(LRK_CUDA, g.c, p->start, p->c_bytes);
        lrk_gemm_run(&g, room);
        if (lrk_device_download(LRK_CUDA, i ? p->c : first, g.c, p->c_bytes, &err) != LRK_OK)
            fail_msg("%s", err.text);
    }
    assert_memory_equal(first, p->c, p->c_bytes);
    lrk_heap_free(first);
    lrk_arena *const all[] = {&a, &b, &c, &a2, &b2, &bias, &scratch};
    for (size_t i = 0; i < 7; i++) lrk_arena_free(all[i]);
    lrk_gemm_panel_set(0);
}

/* Short panels: a b of another type goes through several. */
static void gpu(problem *p)
{
    enum { SHORT = 32 << 10 };
    if (!on_gpu || p->s.a == LRK_F64 || !lrk_gemm_decodes(LRK_CUDA, p->s.b)) return;
    run_on_gpu(p, 0);
    check(p, "CUDA");
    if (p->s.a == p->s.b) return;
    run_on_gpu(p, SHORT);
    check(p, "CUDA, short panels");
}

/* Every instruction set, and the same bits with 1, 2 and 3 threads. */
static void everywhere(const shape *s)
{
    problem p = make(s);
#ifndef LRK_EMULATOR /* there the GPU alone is of interest */
    unsigned char *first = lrk_heap_alloc(p.c_bytes + 1, 1);
    for (int level = LRK_SCALAR; level <= (int)lrk_cpu_hardware(); level++) {
        lrk_err err;
        assert_int_equal(lrk_cpu_set((lrk_isa)level, &err), LRK_OK);
        for (int threads = 1; threads <= 3; threads++) {
            lrk_threads_set(threads);
            run(&p);
            check(&p, lrk_isa_name((lrk_isa)level));
            if (threads == 1)
                memcpy(first, p.c, p.c_bytes);
            else
                assert_memory_equal(first, p.c, p.c_bytes);
        }
    }
    lrk_gemm_provider_set(LRK_GEMM_ONEDNN);
    run(&p);
    check(&p, "oneDNN");
    lrk_gemm_provider_set(LRK_GEMM_OWN);
    lrk_heap_free(first);
#endif
    gpu(&p);
    drop(&p);
}

static const lrk_dtype weights[] = {
    LRK_F32,    LRK_BF16,    LRK_F16,   LRK_Q4_0,      LRK_Q4_1,   LRK_Q5_0,  LRK_Q5_1,
    LRK_Q8_0,   LRK_Q4_K,    LRK_Q5_K,  LRK_Q6_K,      LRK_Q1_0,   LRK_Q2_0,  LRK_Q8_1,
    LRK_Q2_K,   LRK_Q3_K,    LRK_Q8_K,  LRK_IQ1_S,     LRK_IQ1_M,  LRK_IQ2_S, LRK_IQ2_XXS,
    LRK_IQ2_XS, LRK_IQ3_XXS, LRK_IQ3_S, LRK_IQ4_NL,    LRK_IQ4_XS, LRK_TQ1_0, LRK_TQ2_0,
    LRK_MXFP4,  LRK_NVFP4,   LRK_NF4,   LRK_NF4_DOUBLE};
enum { N_WEIGHTS = sizeof weights / sizeof *weights };

static void test_every_type(void **state)
{
    (void)state;
    for (size_t w = 0; w < N_WEIGHTS; w++) {
        const size_t wide = lrk_dtype_block(weights[w]) > 32 ? 512 : 96;
        for (int i = 0; i < 16; i++) {
            const bool transposed = i & 1;
            const shape s = {.m = i & 8 ? 37 : 3,
                             .n = transposed ? 35 : wide,
                             .k = transposed ? wide : 33,
                             .b_transposed = transposed,
                             .a = i & 2 ? LRK_BF16 : LRK_F32,
                             .b = weights[w],
                             .c = i & 4 ? LRK_BF16 : LRK_F32,
                             .alpha = 1.0};
            everywhere(&s);
        }
    }
}

static void test_shapes(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {{1, 1, 1},    {1, 70, 40},   {2, 33, 129},   {8, 48, 64},
                                      {15, 31, 17}, {33, 65, 31},  {7, 200, 5},    {129, 16, 70},
                                      {200, 8, 64}, {150, 17, 33}, {16, 100, 300}, {64, 64, 64},
                                      {29, 29, 800}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int bits = 0; bits < 16; bits++) {
            const shape s = {.m = sizes[i][0],
                             .n = sizes[i][1],
                             .k = sizes[i][2],
                             .a_transposed = bits & 1,
                             .b_transposed = bits & 2,
                             .a = bits & 4 ? LRK_BF16 : LRK_F32,
                             .b = bits & 8 ? LRK_BF16 : LRK_F32,
                             .c = (bits ^ (bits >> 1)) & 4 ? LRK_BF16 : LRK_F32,
                             .alpha = bits & 2 ? -0.75 : 1.0,
                             .accumulate = bits & 1,
                             .pad = (size_t)bits * 3 % 5,
                             .bias = (bits ^ bits >> 3) & 1};
            everywhere(&s);
        }
    }
}

/* Sums of at most 64 products are rounded once, and have the same bits on every instruction set: products of two
 * f32 are exact in f64, and run in order. */
static void test_shallow(void **state)
{
    (void)state;
#ifndef LRK_EMULATOR
    lrk_err err;
    for (int i = 0; i < 48; i++) {
        const shape s = {.m = 16 + draw() % 90,
                         .n = 1 + draw() % 140,
                         .k = 1 + (draw() & 63),
                         .a_transposed = i & 1,
                         .b_transposed = i & 2,
                         .a = LRK_F32,
                         .b = LRK_F32,
                         .c = LRK_F32,
                         .alpha = 1.0};
        problem p = make(&s);
        unsigned char *first = lrk_heap_alloc(p.c_bytes, 1);
        for (int level = LRK_SCALAR; level <= (int)lrk_cpu_hardware(); level++) {
            assert_int_equal(lrk_cpu_set((lrk_isa)level, &err), LRK_OK);
            run(&p);
            for (size_t at = 0; at < s.m * s.n; at++) {
                const double bound = 0x1p-24 * fabs(p.want[at]) + 0x1p-46 * p.magnitude[at];
                if (!(fabs(plain_at(LRK_F32, p.c, at) - p.want[at]) <= bound))
                    fail_msg("%s: %zu x %zu x %zu: element %zu is not rounded once", lrk_isa_name((lrk_isa)level), s.m,
                             s.n, s.k, at);
            }
            if (level == LRK_SCALAR)
                memcpy(first, p.c, p.c_bytes);
            else
                assert_memory_equal(first, p.c, p.c_bytes);
        }
        lrk_heap_free(first);
        drop(&p);
    }
#endif
}

static void test_random(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        shape s = {.m = 1 + draw() % 90,
                   .n = 1 + draw() % 140,
                   .k = 1 + draw() % 300,
                   .a_transposed = draw() & 1,
                   .b_transposed = draw() & 1,
                   .a = draw() & 1 ? LRK_BF16 : LRK_F32,
                   .b = weights[draw() % N_WEIGHTS],
                   .c = draw() & 1 ? LRK_BF16 : LRK_F32,
                   .alpha = draw() & 1 ? 1.0 : 0.3,
                   .accumulate = draw() & 1,
                   .pad = draw() % 4};
        const size_t block = lrk_dtype_block(s.b);
        size_t *along = s.b_transposed ? &s.k : &s.n;
        *along = lrk_ceil_div(*along, block) * block;
        everywhere(&s);
    }
}

/* Several blocks of depth, several tiles of columns and several packings of A. */
static void test_large(void **state)
{
    (void)state;
    const shape large[] = {
        {.m = 70,
         .n = 260,
         .k = 1100,
         .b_transposed = true,
         .a = LRK_F32,
         .b = LRK_Q4_1,
         .c = LRK_F32,
         .bias = true},
        {.m = 70,
         .n = 256,
         .k = 1100,
         .a = LRK_BF16,
         .b = LRK_Q6_K,
         .c = LRK_BF16,
         .accumulate = true},
        {.m = 1100,
         .n = 33,
         .k = 64,
         .b_transposed = true,
         .a = LRK_BF16,
         .b = LRK_Q8_0,
         .c = LRK_BF16},
        /* on a GPU, short panels of a wide b are pieces of the sum */
        {.m = 20,
         .n = 1536,
         .k = 200,
         .a = LRK_BF16,
         .b = LRK_Q8_0,
         .c = LRK_BF16,
         .accumulate = true,
         .bias = true},
        {.m = 20, .n = 1536, .k = 200, .a = LRK_F32, .b = LRK_Q4_K, .c = LRK_F32, .accumulate = true},
        {.m = 520,
         .n = 33,
         .k = 4200,
         .b_transposed = false,
         .a = LRK_F32,
         .b = LRK_F32,
         .c = LRK_F32},
        /* deeper than A is packed at a time, and more rows than that */
        {.m = 520, .n = 100, .k = 4200, .a = LRK_F32, .b = LRK_F32, .c = LRK_F32, .k2 = 17},
        {.m = 1100, .n = 100, .k = 3904, .b_transposed = true, .a = LRK_F32, .b = LRK_Q8_0, .c = LRK_BF16},
    };
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        shape s = large[i];
        s.k = s.b_transposed ? lrk_ceil_div(s.k, 32) * 32 : s.k;
        s.alpha = 1.0;
        problem p = make(&s);
        for (int level = LRK_AVX2; level <= (int)lrk_cpu_hardware(); level++) {
            lrk_err err;
            assert_int_equal(lrk_cpu_set((lrk_isa)level, &err), LRK_OK);
            lrk_threads_set(2);
            run(&p);
            check(&p, lrk_isa_name((lrk_isa)level));
        }
        gpu(&p);
        drop(&p);
    }
}

static void test_second_pair(void **state)
{
    (void)state;
    static const size_t sizes[][4] = {{70, 100, 64, 16}, {33, 17, 40, 5},  {3, 50, 96, 8},
                                      {45, 64, 480, 64}, {40, 70, 32, 65}, {64, 96, 864, 33},
                                      {5, 9, 0, 7}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int bits = 0; bits < 32; bits++) {
            const bool whole = sizes[i][2] % 32 == 0 && sizes[i][1] % 32 == 0;
            const shape s = {.m = sizes[i][0],
                             .n = sizes[i][1],
                             .k = sizes[i][2],
                             .b_transposed = bits & 1,
                             .a = bits & 2 ? LRK_BF16 : LRK_F32,
                             .b = bits & 16 ? LRK_F32 : whole ? LRK_Q4_1 : LRK_BF16,
                             .c = bits & 4 ? LRK_BF16 : LRK_F32,
                             .alpha = bits & 8 ? 0.5 : 1.0,
                             .accumulate = bits & 8,
                             .k2 = sizes[i][3],
                             .bias = bits >> 2 & bits & 1};
            everywhere(&s);
        }
    }
}

/* What lies in the border of the first pair is of one sum with it where C is not in the cache: a bf16 C is rounded
 * once. */
static void test_pairs_that_join(void **state)
{
    (void)state;
    static const size_t sizes[][4] = {{70, 96, 64, 16}, {33, 32, 40, 8}, {20, 1536, 256, 48}, {130, 64, 512, 16}};
    static const lrk_dtype types[] = {LRK_BF16, LRK_F32, LRK_Q8_0, LRK_Q4_K};
    if (!on_gpu) skip();
    assert_int_equal(setenv("LRK_GPU_CACHE", "0", 1), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int bits = 0; bits < 64; bits++) {
            const lrk_dtype b = types[bits & 3];
            const shape s = {.m = sizes[i][0], .n = sizes[i][1], .k = sizes[i][2], .k2 = sizes[i][3], .b = b,
                             .b_transposed = bits & 4, .a = bits & 8 ? LRK_BF16 : LRK_F32,
                             .c = bits & 16 ? LRK_BF16 : LRK_F32, .accumulate = bits & 32,
                             .bias = (bits & 36) == 4 && (bits & 24) != 8, .alpha = 1.0, .pad = 8, .border = true};
            if ((s.b_transposed ? s.k : s.n) % lrk_dtype_block(b)) continue;
            problem p = make(&s);
            gpu(&p);
            drop(&p);
        }
    }
    assert_int_equal(unsetenv("LRK_GPU_CACHE"), 0);
}

/* On a GPU a product with a bias and one without are two to the library, and each has its own addresses. */
static void test_bias_comes_and_goes(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        const lrk_dtype type = i & 4 ? LRK_BF16 : LRK_F32;
        const shape s = {.m = 37, .n = 48, .k = 24, .b_transposed = true, .a = type, .b = type, .c = type,
                         .alpha = 1.0, .bias = i % 4 == 1 || i % 4 == 2};
        everywhere(&s);
    }
}

/* What the library may read by sixteen bytes need not begin so: part of another bias. */
static void test_bias_begins_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        const lrk_dtype type = i & 1 ? LRK_BF16 : LRK_F32;
        const shape s = {.m = 37, .n = 48, .k = 24, .b_transposed = true, .a = type, .b = i & 2 ? LRK_F16 : type,
                         .c = type, .alpha = 1.0, .bias = true, .bias_shift = i & 4 ? 8 : 4};
        everywhere(&s);
    }
}

static void test_f64_and_empty(void **state)
{
    (void)state;
    for (int bits = 0; bits < 4; bits++) {
        const shape s = {.m = 9,
                         .n = 7,
                         .k = 21,
                         .a_transposed = bits & 1,
                         .b_transposed = bits & 2,
                         .a = LRK_F64,
                         .b = LRK_F64,
                         .c = LRK_F64,
                         .alpha = 1.5,
                         .accumulate = bits == 2,
                         .bias = bits > 1};
        everywhere(&s);
    }
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        const shape s = {.m = 3,
                         .n = 5,
                         .k = 0,
                         .a = LRK_F32,
                         .b = LRK_F32,
                         .c = LRK_BF16,
                         .alpha = 1.0,
                         .accumulate = accumulate,
                         .pad = 1,
                         .bias = true};
        everywhere(&s);
    }
}

#if defined(__x86_64__)
/* The vector decoders give the bits of base/quant, wherever the blocks lie. */
static void test_decoders(void **state)
{
    (void)state;
    for (size_t w = 0; w < N_WEIGHTS; w++) {
        const lrk_dtype t = weights[w];
        const size_t n = lrk_dtype_quantized(t) ? 2048 : 77, size = n * sizeof(float);
        unsigned char *src = fill(t, 1, n, n);
        unsigned char *want = guarded(size), *got = guarded(size);
        lrk_to_f32(t, src, n, (float *)(void *)want);
        if (lrk_cpu_hardware() >= LRK_AVX2) {
            lrk_to_f32_avx2(t, src, n, (float *)(void *)got);
            assert_memory_equal(got, want, size);
        }
        memset(got, 0, size);
        if (lrk_cpu_hardware() >= LRK_AVX512) {
            lrk_to_f32_avx512(t, src, n, (float *)(void *)got);
            assert_memory_equal(got, want, size);
        }
        unguard(got, size);
        unguard(want, size);
        unguard(src, lrk_row_bytes(t, n));
    }
}
#endif

/* So do the decoders of the GPU. Its way of a product is planned without one. */
static void test_decoders_of_gpu(void **state)
{
    (void)state;
    for (size_t w = 0; w < N_WEIGHTS && on_gpu; w++) {
        const lrk_dtype t = weights[w];
        if (!lrk_gemm_decodes(LRK_CUDA, t)) continue;
        const size_t rows = 3, n = lrk_dtype_quantized(t) ? 512 : 77, size = rows * n * sizeof(float);
        unsigned char *src = fill(t, rows, n, n), *want = guarded(size), *got = guarded(size);
        lrk_arena from, to;
        lrk_err err = {0};
        const lrk_operand o = {uploaded(&from, src, lrk_row_bytes(t, rows * n)), t, n, false};
        lrk_to_f32(t, src, rows * n, (float *)(void *)want);
        lrk_gemm_cuda_decode(&o, rows, n, LRK_F32, uploaded(&to, NULL, size), n);
        assert_int_equal(lrk_device_download(LRK_CUDA, got, to.base, size, &err), LRK_OK);
        assert_memory_equal(got, want, size);
        lrk_arena_free(&from);
        lrk_arena_free(&to);
        unguard(got, size);
        unguard(want, size);
        unguard(src, lrk_row_bytes(t, rows * n));
    }
}

static void test_plan_for_gpu(void **state)
{
    (void)state;
    /* an 8B model's head from Q6_K: a panel of 64 MB, never 1 GB */
    lrk_gemm head = {.device = LRK_CUDA, .m = 512, .n = 128256, .k = 4096,
                     .a = {.dtype = LRK_BF16, .stride = 4096},
                     .b = {.dtype = LRK_Q6_K, .stride = 4096, .transposed = true},
                     .c_dtype = LRK_F32, .c_stride = 128256, .alpha = 1.0};
    assert_int_equal(lrk_gemm_cuda_way(&head, false).n_step, 8192);
    const size_t skipped = 256 - LRK_ALIGN; /* in front of a workspace, which begins at a multiple of 256 */
    assert_int_equal(lrk_gemm_scratch(&head), (64 << 20) + skipped + (32 << 20));
    /* back through it: pieces of the sum, summed in f32, for a product 256 columns wide starves */
    lrk_gemm back = head;
    back.n = 4096, back.k = 128256, back.a.stride = 128256, back.b.transposed = false;
    back.c_dtype = LRK_BF16, back.c_stride = 4096;
    assert_int_equal(lrk_gemm_cuda_way(&back, false).k_step, 8192);
    assert_int_equal(lrk_gemm_scratch(&back), (64 << 20) + 512 * 4096 * 4 + skipped + (32 << 20));
    head.m = 1; /* decoding */
    assert_int_equal(lrk_gemm_scratch(&head), 0);
}

int main(void)
{
    lrk_err err = {0};
    if (lrk_device_built(LRK_CUDA)) {
        on_gpu = lrk_device_open(LRK_CUDA, NULL, &err) == LRK_OK &&
                 lrk_gemm_open(LRK_CUDA, &err) == LRK_OK;
        if (!on_gpu) printf("skipped on the GPU: %s\n", err.text);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f64_and_empty),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_second_pair),
        cmocka_unit_test(test_pairs_that_join),
        cmocka_unit_test(test_bias_comes_and_goes),
        cmocka_unit_test(test_bias_begins_anywhere),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_shallow),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_decoders_of_gpu),
        cmocka_unit_test(test_plan_for_gpu),
#if defined(__x86_64__)
        cmocka_unit_test(test_decoders),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
