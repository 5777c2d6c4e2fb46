/* tests/unit/gemm_problem.h -- a random matrix product in guarded memory, with its result in float64.
 *
 * The bound: a sum of k products in f32, in any order, is off by at most about k eps sum |a b|;
 * over random signs by sqrt(k). 4 sqrt(k) + 8 roundings are allowed, and one of c's type.
 */
#ifndef LRK_TESTS_GEMM_PROBLEM_H
#define LRK_TESTS_GEMM_PROBLEM_H
#include "base/arena.h"
#include "base/quant.h"
#include "base/rng.h"
#include "base/size.h"
#include "blocks.h"
#include "kernels/gemm.h"

#include <math.h>
#include <stdio.h>

enum { GUARD = 64 };

typedef struct shape {
    size_t m, n, k;
    bool a_transposed, b_transposed;
    lrk_dtype a, b, c;
    double alpha;
    bool accumulate;
    size_t pad; /* stride beyond the width */
    size_t k2;  /* depth of a second pair: A2 like A, B2 in f32 */
    bool bias;  /* in c's type */
    size_t bias_shift; /* on a GPU it begins so many bytes behind 64 */
    bool border; /* A2 lies behind A, and B2, in A's type, where B's sum would go on, if B is of that type */
} shape;

static uint64_t counter;

static const lrk_rng rng = {.seed = 17, .site = LRK_SITE_TEST};

static uint32_t draw(void) { return lrk_rng_u32(rng, counter++); }

static unsigned char *guarded(size_t bytes)
{
    unsigned char *p = lrk_heap_alloc(bytes + 2 * GUARD, 1);
    assert_non_null(p);
    memset(p, 0xa5, bytes + 2 * GUARD);
    return p + GUARD;
}

static void unguard(unsigned char *p, size_t bytes)
{
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(p[-1 - (ptrdiff_t)i], 0xa5);
        assert_int_equal(p[bytes + i], 0xa5);
    }
    lrk_heap_free(p - GUARD);
}

/* rows x stride elements of type t; the padding between rows is filled too, with NaN where one can.
 */
static unsigned char *fill(lrk_dtype t, size_t rows, size_t width, size_t stride)
{
    unsigned char *p = guarded(lrk_row_bytes(t, rows * stride));
    double *numbers = lrk_heap_alloc(width + 1, sizeof *numbers);
    float *v = lrk_heap_alloc(stride + 1, sizeof *v);
    for (size_t r = 0; r < rows; r++) {
        unsigned char *row = p + lrk_row_bytes(t, r * stride);
        if (lrk_dtype_quantized(t)) {
            lrk_test_blocks(t, stride, draw(), 1.0f, row);
            continue;
        }
        lrk_rng_normals(rng, counter, width, numbers);
        counter += width;
        for (size_t i = 0; i < width; i++) v[i] = (float)numbers[i];
        for (size_t i = width; i < stride; i++) v[i] = NAN;
        lrk_from_f32(t, v, stride, row);
    }
    lrk_heap_free(v);
    lrk_heap_free(numbers);
    return p;
}

static double plain_at(lrk_dtype t, const void *p, size_t i)
{
    if (t == LRK_F64) return ((const double *)p)[i];
    if (t == LRK_BF16) return (double)lrk_bf16_to_f32(((const uint16_t *)p)[i]);
    return (double)((const float *)p)[i];
}

typedef struct problem {
    shape s;
    lrk_gemm g;
    unsigned char *a, *b, *c, *start; /* start: c before the product */
    unsigned char *a2, *b2, *bias;
    size_t a_bytes, b_bytes, c_bytes, a2_bytes, b2_bytes, bias_bytes;
    double *want, *magnitude;
} problem;

/* The sums of k products of x with each of four rows of y, and of their absolute values. Each is in order; four go
 * abreast, for a sum waits for itself at every step. */
static void four_sums(const double *x, const double *y, size_t k, double sum[4], double size[4])
{
    const double *y1 = y + k, *y2 = y1 + k, *y3 = y2 + k;
    double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0, a0 = 0.0, a1 = 0.0, a2 = 0.0, a3 = 0.0;
    for (size_t i = 0; i < k; i++) {
        const double v = x[i], p0 = v * y[i], p1 = v * y1[i], p2 = v * y2[i], p3 = v * y3[i];
        s0 += p0, s1 += p1, s2 += p2, s3 += p3;
        a0 += fabs(p0), a1 += fabs(p1), a2 += fabs(p2), a3 += fabs(p3);
    }
    sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
    size[0] = a0, size[1] = a1, size[2] = a2, size[3] = a3;
}

static void reference(problem *p)
{
    const shape *s = &p->s;
    const size_t rows = s->b_transposed ? s->n : s->k, width = s->b_transposed ? s->k : s->n;
    /* k numbers for each of n columns, and of some more */
    double *b = lrk_heap_alloc((s->n + 3) * s->k, sizeof *b), sums[4], sizes[4];
    double *x = lrk_heap_alloc(s->k, sizeof *x);
    float *row = lrk_heap_alloc(width, sizeof *row);
    for (size_t r = 0; r < rows; r++) {
        const unsigned char *src = p->b + lrk_row_bytes(s->b, r * p->g.b.stride);
        if (s->b != LRK_F64) lrk_to_f32(s->b, src, width, row);
        for (size_t i = 0; i < width; i++)
            b[s->b_transposed ? r * width + i : i * rows + r] =
                s->b == LRK_F64 ? plain_at(s->b, src, i)
                                : (double)(s->a == LRK_BF16 ? lrk_bf16_to_f32(lrk_f32_to_bf16(row[i])) : row[i]);
    }
    for (size_t i = 0; i < s->m; i++) {
        for (size_t k = 0; k < s->k; k++)
            x[k] = plain_at(s->a, p->a, s->a_transposed ? k * p->g.a.stride + i : i * p->g.a.stride + k);
        for (size_t j = 0; j < s->n; j++) {
            if (j % 4 == 0) four_sums(x, b + j * s->k, s->k, sums, sizes);
            double sum = sums[j % 4], size = sizes[j % 4];
            for (size_t k = 0; k < s->k2; k++) {
                const size_t at = s->b_transposed ? j * p->g.b2.stride + k : k * p->g.b2.stride + j;
                const float b2 = (float)plain_at(p->g.b2.dtype, p->b2, at);
                const double product =
                    plain_at(s->a, p->a2, i * p->g.a2.stride + k) *
                    (double)(s->a == LRK_BF16 ? lrk_bf16_to_f32(lrk_f32_to_bf16(b2)) : b2);
                sum += product;
                size += fabs(product);
            }
            const double old = s->accumulate ? plain_at(s->c, p->c, i * p->g.c_stride + j) : 0.0;
            const double shift = s->bias ? plain_at(s->c, p->bias, j) : 0.0;
            p->want[i * s->n + j] = old + s->alpha * sum + shift;
            p->magnitude[i * s->n + j] = fabs(old) + fabs(s->alpha) * size + fabs(shift);
        }
    }
    lrk_heap_free(row);
    lrk_heap_free(x);
    lrk_heap_free(b);
}

/* The second pair: in memory of its own, or in that of the first. */
static void make_second(problem *p)
{
    const shape *s = &p->s;
    const bool inside = s->border && s->a == s->b;
    const lrk_dtype type = s->border ? s->a : LRK_F32;
    const size_t width = s->b_transposed ? s->k2 : s->n, rows = s->b_transposed ? s->n : s->k2;
    if (s->border) {
        p->a2 = p->a + lrk_row_bytes(s->a, s->k);
        p->g.a2 = (lrk_operand){p->a2, s->a, p->g.a.stride, false};
    } else {
        p->a2_bytes = lrk_row_bytes(s->a, s->m * s->k2);
        p->a2 = fill(s->a, s->m, s->k2, s->k2);
        p->g.a2 = (lrk_operand){p->a2, s->a, s->k2, false};
    }
    if (inside) {
        p->b2 = p->b + lrk_row_bytes(s->b, s->b_transposed ? s->k : s->k * p->g.b.stride);
        p->g.b2 = (lrk_operand){p->b2, s->b, p->g.b.stride, s->b_transposed};
    } else {
        p->b2_bytes = lrk_row_bytes(type, rows * width);
        p->b2 = fill(type, rows, width, width);
        p->g.b2 = (lrk_operand){p->b2, type, width, s->b_transposed};
    }
}

static problem make(const shape *s)
{
    problem p = {.s = *s};
    const size_t behind = s->border ? s->k2 : 0, more = s->a == s->b ? behind : 0;
    const size_t a_rows = s->a_transposed ? s->k : s->m, a_width = s->a_transposed ? s->m : s->k + behind;
    const size_t b_rows = s->b_transposed ? s->n : s->k + more, b_width = s->b_transposed ? s->k + more : s->n;
    const size_t block = lrk_dtype_block(s->b);
    const size_t a_stride = a_width + s->pad, c_stride = s->n + s->pad;
    const size_t b_stride = b_width + lrk_ceil_div(s->pad, block) * block;

    p.a = fill(s->a, a_rows, a_width, a_stride);
    p.b = fill(s->b, b_rows, b_width, b_stride);
    p.c = fill(s->c, s->m, s->n, c_stride);
    p.a_bytes = lrk_row_bytes(s->a, a_rows * a_stride);
    p.b_bytes = lrk_row_bytes(s->b, b_rows * b_stride);
    p.c_bytes = lrk_row_bytes(s->c, s->m * c_stride);
    p.bias_bytes = s->bias ? lrk_row_bytes(s->c, s->n) : 0;
    if (s->bias) p.bias = fill(s->c, 1, s->n, s->n);
    p.start = lrk_heap_alloc(p.c_bytes + 1, 1);
    memcpy(p.start, p.c, p.c_bytes);
    p.g = (lrk_gemm){.m = s->m,
                     .n = s->n,
                     .k = s->k,
                     .a = {p.a, s->a, a_stride, s->a_transposed},
                     .b = {p.b, s->b, b_stride, s->b_transposed},
                     .c = p.c,
                     .c_dtype = s->c,
                     .c_stride = c_stride,
                     .alpha = s->alpha,
                     .accumulate = s->accumulate,
                     .bias = p.bias,
                     .bias_dtype = s->c,
                     .k2 = s->k2};
    if (s->k2) make_second(&p);
    p.want = lrk_heap_alloc(s->m * s->n + 1, sizeof *p.want);
    p.magnitude = lrk_heap_alloc(s->m * s->n + 1, sizeof *p.magnitude);
    reference(&p);
    return p;
}

static void drop(problem *p)
{
    unguard(p->a, p->a_bytes);
    unguard(p->b, p->b_bytes);
    unguard(p->c, p->c_bytes);
    if (p->a2_bytes) unguard(p->a2, p->a2_bytes);
    if (p->b2_bytes) unguard(p->b2, p->b2_bytes);
    if (p->s.bias) unguard(p->bias, p->bias_bytes);
    lrk_heap_free(p->start);
    lrk_heap_free(p->want);
    lrk_heap_free(p->magnitude);
}

static void run(problem *p)
{
    const size_t bytes = lrk_gemm_scratch(&p->g);
    unsigned char *scratch = guarded(bytes); /* 0xa5 bytes: a small negative number */
    memset(scratch, 0xff, bytes);            /* NaN */
    memcpy(p->c, p->start, p->c_bytes);
    lrk_gemm_run(&p->g, scratch);
    unguard(scratch, bytes);
}

static void check(const problem *p, const char *with)
{
    const shape *s = &p->s;
    const double eps = s->c == LRK_F64 ? 0x1p-53 : 0x1p-24;
    const double sums = (4.0 * sqrt((double)s->k) + 8.0) * eps;
    const double store = s->c == LRK_BF16 ? 0x1p-8 : eps;
    for (size_t i = 0; i < s->m; i++) {
        for (size_t j = 0; j < s->n + s->pad; j++) {
            const size_t at = i * p->g.c_stride + j;
            if (j >= s->n) { /* between rows nothing is written */
                const size_t size = lrk_row_bytes(s->c, 1);
                assert_memory_equal(p->c + at * size, p->start + at * size, size);
                continue;
            }
            const double got = plain_at(s->c, p->c, at), want = p->want[i * s->n + j];
            double exact = 0.0;
            if (s->a == LRK_BF16 && s->m <= 8) exact = 0x1p-8; /* b is not rounded */
            /* c may be rounded in between, but where both pairs are one sum */
            if (s->c == LRK_BF16 && !s->border && (s->k2 || s->bias)) exact = 0x1p-8;
            const double bound =
                p->magnitude[i * s->n + j] * (sums + exact) + fabs(want) * store * 1.01;
            if (!(fabs(got - want) <= bound))
                fail_msg("%s: m %zu n %zu k %zu a %s%s b %s%s c %s alpha %g %s: c[%zu,%zu] is %g, "
                         "expected %g +- %g",
                         with, s->m, s->n, s->k, lrk_dtype_name(s->a), s->a_transposed ? "^T" : "",
                         lrk_dtype_name(s->b), s->b_transposed ? "^T" : "", lrk_dtype_name(s->c),
                         s->alpha, s->accumulate ? "accumulate" : "", i, j, got, want, bound);
        }
    }
}

#endif /* LRK_TESTS_GEMM_PROBLEM_H */
