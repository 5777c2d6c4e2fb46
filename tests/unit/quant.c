/* tests/unit/quant.c -- rows of every type against ggml's decoders and encoders.
 *
 * data/quant.bin is made by data/make_quant.py: an input of 24 x 256 f32; then, for each type
 * below, 4 blocks, their f32 values and, where the type can be written, the bytes of the input.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/quant.h"

#include <math.h>

enum { INPUT = 24 * 256, BLOCKS = 4 };

static const struct {
    lrk_dtype dtype;
    bool written;
} kinds[] = {
    {LRK_Q4_0, true},     {LRK_Q4_1, true},     {LRK_Q5_0, true},    {LRK_Q5_1, true},
    {LRK_Q8_0, true},     {LRK_Q2_K, true},     {LRK_Q3_K, true},    {LRK_Q4_K, true},
    {LRK_Q5_K, true},     {LRK_Q6_K, true},     {LRK_Q8_K, false},   {LRK_Q1_0, false},
    {LRK_Q2_0, false},    {LRK_TQ1_0, true},    {LRK_TQ2_0, true},   {LRK_IQ1_S, false},
    {LRK_IQ1_M, false},   {LRK_IQ2_XXS, false}, {LRK_IQ2_XS, false}, {LRK_IQ2_S, false},
    {LRK_IQ3_XXS, false}, {LRK_IQ3_S, false},   {LRK_IQ4_NL, true},  {LRK_IQ4_XS, true},
    {LRK_MXFP4, true},    {LRK_NVFP4, false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void check_values(lrk_dtype t, const unsigned char *blocks, const unsigned char *values)
{
    const size_t n = BLOCKS * lrk_dtype_block(t);
    float got[BLOCKS * 256], want[BLOCKS * 256];
    lrk_to_f32(t, blocks, n, got);
    memcpy(want, values, n * sizeof *want);
    for (size_t i = 0; i < n; i++)
        if (memcmp(&got[i], &want[i], sizeof *got) != 0)
            fail_msg("%s[%zu]: got %a, expected %a", lrk_dtype_name(t), i, (double)got[i],
                     (double)want[i]);
}

static void check_bytes(lrk_dtype t, const float *input, const unsigned char *want)
{
    const size_t block = lrk_dtype_block_bytes(t), bytes = lrk_row_bytes(t, INPUT);
    unsigned char *got = lrk_heap_alloc(bytes, 1);
    assert_true(lrk_can_quantize(t));
    memset(got, 0xa5, bytes); /* every bit is written */
    assert_true(lrk_from_f32(t, input, INPUT, got));
    for (size_t i = 0; i < bytes; i++)
        if (got[i] != want[i])
            fail_msg("%s: block %zu, byte %zu: got %d, expected %d", lrk_dtype_name(t), i / block,
                     i % block, got[i], want[i]);
    lrk_heap_free(got);
}

static void test_vectors(void **state)
{
    (void)state;
    lrk_map map = {0};
    lrk_err err;
    assert_int_equal(lrk_map_open(&map, LRK_SOURCE_DIR "/tests/unit/data/quant.bin", &err), LRK_OK);
    const unsigned char *p = map.data;
    float *input = lrk_heap_alloc(INPUT, sizeof *input);
    memcpy(input, p, INPUT * sizeof *input);
    p += INPUT * sizeof *input;
    for (size_t k = 0; k < KINDS; k++) {
        const lrk_dtype t = kinds[k].dtype;
        const size_t n = BLOCKS * lrk_dtype_block(t), bytes = lrk_row_bytes(t, n);
        check_values(t, p, p + bytes);
        p += bytes + n * sizeof(float);
        if (!kinds[k].written) {
            float one = 1.0f;
            assert_false(lrk_from_f32(t, &one, 0, &one) || lrk_can_quantize(t));
            continue;
        }
        check_bytes(t, input, p);
        p += lrk_row_bytes(t, INPUT);
    }
    assert_ptr_equal(p, map.data + map.size);
    lrk_heap_free(input);
    lrk_map_close(&map);
}

/* By the definition: d, the sum of codes for products, codes. */
static void test_q8_1(void **state)
{
    (void)state;
    unsigned char b[36] = {0x00, 0x38 /* 0.5 */, 0xff, 0xff, 1, 0xff, 127, 128};
    float y[32];
    lrk_to_f32(LRK_Q8_1, b, 32, y);
    assert_true(y[0] == 0.5f && y[1] == -0.5f && y[2] == 63.5f && y[3] == -64.0f && y[4] == 0.0f);
}

static void test_halves(void **state)
{
    (void)state;
    static const float x[] = {1.0f, -2.5f, 65504.0f, 0x1p-24f, 1.0f + 0x1p-11f, 1.0f + 0x1.8p-8f};
    static const uint16_t f16[] = {0x3c00, 0xc100, 0x7bff, 1, 0x3c00, 0x3c06};
    static const uint16_t bf16[] = {0x3f80, 0xc020, 0x4780, 0x3380, 0x3f80, 0x3f81};
    uint16_t got[6];
    float back[6];
    assert_true(lrk_from_f32(LRK_F16, x, 6, got));
    assert_memory_equal(got, f16, sizeof got);
    lrk_to_f32(LRK_F16, got, 6, back);
    assert_memory_equal(back, x, 4 * sizeof *x);
    assert_true(lrk_from_f32(LRK_BF16, x, 6, got));
    assert_memory_equal(got, bf16, sizeof got);
    lrk_to_f32(LRK_BF16, got, 6, back);
    assert_memory_equal(back, x, 2 * sizeof *x);
    assert_false(lrk_can_quantize(LRK_I32));
}

/* What every encoder owes: zeros stay, and no element is off by more than its code's width. */
static void test_errors(void **state)
{
    (void)state;
    float x[256] = {0}, y[256];
    unsigned char b[256 * 2];
    for (size_t k = 0; k < KINDS; k++) {
        const lrk_dtype t = kinds[k].dtype;
        if (!kinds[k].written) continue;
        memset(x, 0, sizeof x);
        assert_true(lrk_from_f32(t, x, 256, b));
        lrk_to_f32(t, b, 256, y);
        for (int i = 0; i < 256; i++) assert_true(y[i] == 0.0f);
        if (t == LRK_TQ1_0 || t == LRK_TQ2_0) continue; /* for weights of three values */
        for (int i = 0; i < 256; i++) x[i] = (float)(i % 32 - 16) / 16.0f;
        assert_true(lrk_from_f32(t, x, 256, b));
        lrk_to_f32(t, b, 256, y);
        const float width = t == LRK_Q2_K ? 0.67f : t == LRK_MXFP4 ? 0.34f : 0.3f;
        for (int i = 0; i < 256; i++) assert_true(fabsf(x[i] - y[i]) <= width);
    }
}

/* A row of zeros of both signs: a scale of +0, and the first zero is the offset. */
static void test_signed_zeros(void **state)
{
    (void)state;
    static const lrk_dtype types[] = {LRK_Q4_1, LRK_Q5_1};
    for (int k = 0; k < 2; k++)
        for (int first = 0; first < 2; first++) {
            float x[32];
            unsigned char b[24];
            for (int i = 0; i < 32; i++) x[i] = (i % 3 == 0) == first ? -0.0f : 0.0f;
            assert_true(lrk_from_f32(types[k], x, 32, b));
            assert_true(b[0] == 0 && b[1] == 0 && b[2] == 0);
            assert_int_equal(b[3], first ? 0x80 : 0x00);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_q8_1),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_signed_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
