/* tests/unit/nf4.c -- NF4 against bitsandbytes: data/nf4.bin, made by data/make_quant.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/nf4.h"
#include "base/quant.h"

enum { COUNT = 96 * 256, SCALES = COUNT / 64 };

static lrk_map map;

static int open_vectors(void **state)
{
    lrk_err err;
    (void)state;
    return lrk_map_open(&map, LRK_SOURCE_DIR "/tests/unit/data/nf4.bin", &err) != LRK_OK ||
           map.size != COUNT * 2 + COUNT / 2 + (2 * SCALES + 256) * sizeof(float);
}

static int close_vectors(void **state)
{
    (void)state;
    lrk_map_close(&map);
    return 0;
}

/* Blocks run over the flat matrix, so any cut into rows has the same values. */
static void check(size_t cols, bool twice, lrk_dtype type)
{
    lrk_tensor src = lrk_mat(LRK_F16, COUNT / cols, cols), out = lrk_like(&src);
    const unsigned char *codes = map.data + COUNT * 2;
    float scale[SCALES], *got = lrk_heap_alloc(COUNT, sizeof *got);
    lrk_err err;
    src.data = (void *)(uintptr_t)map.data;
    memcpy(scale, codes + COUNT / 2 + (twice ? sizeof scale : 0), sizeof scale);
    assert_true(lrk_nf4_type(cols, twice, &out.dtype));
    assert_int_equal(out.dtype, type);
    out.data = lrk_heap_alloc(lrk_bytes(&out), 1);
    assert_int_equal(lrk_nf4_quantize(&src, twice, &out, &err), LRK_OK);
    lrk_to_f32(out.dtype, out.data, COUNT, got);
    for (size_t i = 0; i < COUNT; i++) {
        const int code = codes[i / 2] >> (i % 2 ? 0 : 4) & 15; /* the first of two is the upper */
        const float want = lrk_nf4_table[code] * scale[i / 64];
        if (got[i] != want)
            fail_msg("%zu columns, element %zu: got %a, expected %a", cols, i, (double)got[i],
                     (double)want);
    }
    lrk_heap_free(out.data);
    lrk_heap_free(got);
}

static void test_values(void **state)
{
    (void)state;
    check(256, false, LRK_NF4);
    check(256, true, LRK_NF4_DOUBLE);
    check(1024, true, LRK_NF4_DOUBLE);
    check(192, true, LRK_NF4);
    check(64, false, LRK_NF4);
}

static void test_map(void **state)
{
    (void)state;
    const unsigned char *want = map.data + map.size - 256 * sizeof(float);
    const float one = 1.0f;
    for (int i = 0; i < 256; i += 4) {
        unsigned char b[140] = {0};
        float got[4];
        memcpy(b, &one, sizeof one);
        for (int k = 0; k < 4; k++) b[8 + k] = (unsigned char)(i + k);
        lrk_nf4_scales(b, got);
        assert_memory_equal(got, want + (size_t)i * sizeof *got, sizeof got);
    }
}

static void test_types(void **state)
{
    (void)state;
    lrk_dtype t;
    assert_false(lrk_nf4_type(96, false, &t));
    assert_false(lrk_nf4_type(0, true, &t));
    assert_false(lrk_can_quantize(LRK_NF4)); /* its scales are those of a whole matrix */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests(tests, open_vectors, close_vectors);
}
