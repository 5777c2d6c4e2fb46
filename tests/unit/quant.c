/* tests/unit/quant.c -- rows of every type against gguf-py's decoder and encoder.
 *
 * data/dequant.bin holds, for each type below: 8 blocks (8 x 32 elements of the plain types) as
 * bytes, their f32 values, and where the type can be written an f32 input and its bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/quant.h"

#include <math.h>

static const struct {
    lrk_dtype dtype;
    bool written;
} kinds[] = {{LRK_BF16, true},  {LRK_F16, false}, {LRK_Q4_0, true}, {LRK_Q4_1, true},
             {LRK_Q5_0, true},  {LRK_Q5_1, true}, {LRK_Q8_0, true}, {LRK_Q4_K, false},
             {LRK_Q5_K, false}, {LRK_Q6_K, false}};

static bool same_bits(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void test_vectors(void **state)
{
    (void)state;
    lrk_map map = {0};
    lrk_err err;
    assert_int_equal(lrk_map_open(&map, LRK_SOURCE_DIR "/tests/unit/data/dequant.bin", &err),
                     LRK_OK);
    const unsigned char *p = map.data;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const lrk_dtype t = kinds[k].dtype;
        const size_t n = 8 * (lrk_dtype_quantized(t) ? lrk_dtype_block(t) : 32);
        const size_t bytes = lrk_row_bytes(t, n);
        float got[8 * 256], want[8 * 256];
        unsigned char packed[8 * 256];

        lrk_to_f32(t, p, n, got);
        memcpy(want, p + bytes, n * sizeof *want);
        for (size_t i = 0; i < n; i++)
            if (!same_bits(got[i], want[i]))
                fail_msg("%s[%zu]: got %a, expected %a", lrk_dtype_name(t), i, (double)got[i],
                         (double)want[i]);
        p += bytes + n * sizeof *want;
        if (!kinds[k].written) continue;
        memcpy(want, p, n * sizeof *want);
        assert_true(lrk_can_quantize(t));
        assert_true(lrk_from_f32(t, want, n, packed));
        assert_memory_equal(packed, p + n * sizeof *want, bytes);
        p += n * sizeof *want + bytes;
    }
    assert_ptr_equal(p, map.data + map.size);
    lrk_map_close(&map);
}

static void test_corners(void **state)
{
    (void)state;
    static const lrk_dtype types[] = {LRK_Q4_0, LRK_Q4_1, LRK_Q5_0, LRK_Q5_1, LRK_Q8_0};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        float x[32] = {0}, y[32];
        unsigned char b[34];
        assert_true(lrk_from_f32(types[k], x, 32, b));
        lrk_to_f32(types[k], b, 32, y);
        for (int i = 0; i < 32; i++) assert_true(y[i] == 0.0f);
        for (int i = 0; i < 32; i++) x[i] = (float)(i - 16) / 16.0f; /* ends are representable */
        assert_true(lrk_from_f32(types[k], x, 32, b));
        lrk_to_f32(types[k], b, 32, y);
        for (int i = 0; i < 32; i++) assert_true(fabsf(x[i] - y[i]) < 0.08f);
    }
    float one = 1.0f;
    assert_false(lrk_from_f32(LRK_Q4_K, &one, 0, &one));
    assert_false(lrk_can_quantize(LRK_Q6_K));
    assert_false(lrk_can_quantize(LRK_I32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_corners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
