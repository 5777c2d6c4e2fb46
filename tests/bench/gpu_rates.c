/* tests/bench/gpu_rates.c -- what a card reaches at best, measured: a copy within its memory, a large bf16
 * product, copies over the bus. tests/bench/gpu_roofline.py holds kernels against the first two.
 *
 *   gpu_rates [MB SIZE]   bytes of a copy, in units of 1e6; rows, columns and depth of the product
 *
 * Rates are those of the fastest of RUNS. A copy within the card counts what is read and what is written. */
#include "base/clock.h"
#include "base/quant.h"
#include "base/rng.h"
#include "base/size.h"
#include "kernels/gemm.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUNS = 7, TIMES = 4 };

typedef struct bench {
    size_t bytes, n;
    lrk_arena from, to, pinned, scratch;
    lrk_gemm product;
} bench;

static void copy(bench *b) { lrk_device_copy(LRK_CUDA, b->to.base, b->from.base, b->bytes); }

static void multiply(bench *b) { lrk_gemm_run(&b->product, b->scratch.base); }

static void up(bench *b)
{
    lrk_device_bring_back(LRK_CUDA, b->to.base, b->pinned.base, b->bytes);
    lrk_device_rejoin(LRK_CUDA);
}

static void down(bench *b)
{
    lrk_device_put_aside(LRK_CUDA, b->pinned.base, b->to.base, b->bytes);
    lrk_device_rejoin(LRK_CUDA);
}

/* Units of work a second, where f does `work` of them. */
static double rate(void (*f)(bench *b), bench *b, double work)
{
    double best = 0.0;
    for (int run = 0; run < RUNS; run++) {
        lrk_device_sync(LRK_CUDA, NULL);
        const double start = lrk_seconds();
        for (int i = 0; i < TIMES; i++) f(b);
        lrk_device_sync(LRK_CUDA, NULL);
        const double now = TIMES * work / (lrk_seconds() - start);
        best = now > best ? now : best;
    }
    return best;
}

/* Numbers as weights have them: a product of zeros draws less power, and so runs faster than any other. They come again
 * after a number of them that no width divides. */
static void fill(void *to, size_t n)
{
    enum { OTHER = 65521 };
    static uint16_t some[OTHER];
    const lrk_rng r = {.seed = 1, .site = LRK_SITE_TEST};
    for (size_t i = 0; i < OTHER; i++) some[i] = lrk_f32_to_bf16((float)lrk_rng_normal(r, i));
    for (size_t i = 0; i < n; i += OTHER)
        lrk_device_upload(LRK_CUDA, (uint16_t *)to + i, some, lrk_min(n - i, OTHER) * sizeof *some);
}

/* from and to hold the copy's bytes, and the operands and the result of the product. */
static lrk_status take(bench *b, lrk_err *err)
{
    const size_t matrix = b->n * lrk_row_bytes(LRK_BF16, b->n);
    LRK_TRY(lrk_device_open(LRK_CUDA, NULL, err));
    LRK_TRY(lrk_gemm_open(LRK_CUDA, err));
    LRK_TRY(lrk_arena_on(LRK_CUDA, &b->from, "from", lrk_max(b->bytes, 2 * matrix), err));
    LRK_TRY(lrk_arena_on(LRK_CUDA, &b->to, "to", lrk_max(b->bytes, matrix), err));
    LRK_TRY(lrk_arena_pinned(LRK_CUDA, &b->pinned, "pinned", b->bytes, err));
    fill(b->from.base, b->from.capacity / sizeof(uint16_t));
    lrk_device_zero(LRK_CUDA, b->to.base, b->to.capacity);
    b->product = (lrk_gemm){.device = LRK_CUDA, .m = b->n, .n = b->n, .k = b->n, .alpha = 1.0, .c = b->to.base,
                            .c_dtype = LRK_BF16, .c_stride = b->n,
                            .a = {b->from.base, LRK_BF16, b->n, false},
                            .b = {(char *)b->from.base + matrix, LRK_BF16, b->n, true}};
    return lrk_arena_on(LRK_CUDA, &b->scratch, "scratch", lrk_gemm_scratch(&b->product), err);
}

int main(int argc, char **argv)
{
    lrk_err err = {0};
    bench b = {.bytes = (argc > 2 ? strtoul(argv[1], NULL, 10) : 1000) * 1000000,
               .n = argc > 2 ? strtoul(argv[2], NULL, 10) : 8192};
    lrk_status status = take(&b, &err);
    if (status == LRK_OK) {
        const double bytes = (double)b.bytes, n = (double)b.n;
        const double within = rate(copy, &b, 2.0 * bytes), product = rate(multiply, &b, 2.0 * n * n * n);
        const double bus_down = rate(down, &b, bytes), bus_up = rate(up, &b, bytes);
        status = lrk_device_sync(LRK_CUDA, &err);
        printf("{\"copy_gb_per_s\": %.3f, \"product_tflop_per_s\": %.6f, \"up_gb_per_s\": %.3f, "
               "\"down_gb_per_s\": %.3f}\n",
               within / 1e9, product / 1e12, bus_up / 1e9, bus_down / 1e9);
    }
    if (status != LRK_OK) fprintf(stderr, "gpu_rates: %s\n", err.text);
    lrk_arena *const all[] = {&b.from, &b.to, &b.pinned, &b.scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) lrk_arena_free(all[i]);
    return (int)status;
}
