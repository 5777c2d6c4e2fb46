/* tests/unit/h5.c -- the HDF5 door: round trips, equal bytes, and files made to hurt. */
#include "data/h5.h"
#include "base/file.h"
#include "base/size.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { N = 200001 };

static void write_file(const char *path, size_t n)
{
    lrk_err err = {0};
    lrk_h5 *f;
    lrk_h5_column *c, *wide;
    assert_int_equal(lrk_h5_create(&f, path, &err), LRK_OK);
    assert_int_equal(lrk_h5_group(f, "/g", &err), LRK_OK);
    assert_int_equal(lrk_h5_column_create(f, "/g/numbers", LRK_H5_U32, 1, &c, &err), LRK_OK);
    assert_int_equal(lrk_h5_column_create(f, "/g/wide", LRK_H5_U8, 16, &wide, &err), LRK_OK);
    for (size_t i = 0; i < n; i += 777) {
        uint32_t v[777];
        for (size_t k = 0; k < 777; k++) v[k] = (uint32_t)((i + k) * 2654435761u);
        assert_int_equal(lrk_h5_append(c, v, lrk_min(777, n - i), &err), LRK_OK);
    }
    for (size_t i = 0; i < 40000; i++) {
        uint8_t v[16] = {(uint8_t)i, (uint8_t)(i >> 8)};
        assert_int_equal(lrk_h5_append(wide, v, 1, &err), LRK_OK);
    }
    assert_int_equal(lrk_h5_column_close(c, &err), LRK_OK);
    assert_int_equal(lrk_h5_column_close(wide, &err), LRK_OK);
    assert_int_equal(lrk_h5_set_string(f, "/", "name", "Ünïcode", &err), LRK_OK);
    assert_int_equal(lrk_h5_set_u64(f, "/g", "count", UINT64_MAX, &err), LRK_OK);
    assert_false(lrk_is_file(path));
    assert_int_equal(lrk_h5_commit(f, &err), LRK_OK);
    assert_true(lrk_is_file(path));
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_h5 *f;
    lrk_h5_column *c, *wide;
    lrk_arena a = lrk_arena_growing("test");
    char *name;
    uint64_t count;
    uint32_t v[1000];
    uint8_t w[32];
    write_file("a.h5", N);
    assert_int_equal(lrk_h5_open(&f, "a.h5", &err), LRK_OK);
    assert_int_equal(lrk_h5_get_string(f, "/", "name", &a, &name, &err), LRK_OK);
    assert_string_equal(name, "Ünïcode");
    assert_int_equal(lrk_h5_get_u64(f, "/g", "count", &count, &err), LRK_OK);
    assert_true(count == UINT64_MAX);
    assert_int_equal(lrk_h5_column_open(f, "/g/numbers", LRK_H5_U32, 1, &c, &err), LRK_OK);
    assert_int_equal(lrk_h5_count(c), N);
    for (uint64_t at = 0; at + 1000 < N; at += 65036) { /* across chunk borders */
        assert_int_equal(lrk_h5_read(c, at, 1000, v, &err), LRK_OK);
        for (size_t i = 0; i < 1000; i++)
            assert_int_equal(v[i], (uint32_t)((at + i) * 2654435761u));
    }
    assert_int_equal(lrk_h5_read(c, N - 1, 1, v, &err), LRK_OK);
    assert_int_equal(v[0], (uint32_t)((uint64_t)(N - 1) * 2654435761u));
    assert_int_equal(lrk_h5_read(c, N - 1, 2, v, &err), LRK_EINPUT);
    assert_int_equal(lrk_h5_column_open(f, "/g/wide", LRK_H5_U8, 16, &wide, NULL), LRK_OK);
    assert_int_equal(lrk_h5_read(wide, 30000, 2, w, NULL), LRK_OK);
    assert_true(w[0] == (30000 & 255) && w[1] == 30000 >> 8 && w[16] == (30001 & 255));
    lrk_h5_column_drop(c);
    lrk_h5_column_drop(wide);
    lrk_h5_close(f);
    lrk_arena_free(&a);
}

static void equal_input_gives_equal_bytes(void **state)
{
    (void)state;
    lrk_map x, y;
    write_file("b1.h5", 5000);
    sleep(1); /* a recorded time would show */
    write_file("b2.h5", 5000);
    assert_int_equal(lrk_map_open(&x, "b1.h5", NULL), LRK_OK);
    assert_int_equal(lrk_map_open(&y, "b2.h5", NULL), LRK_OK);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    lrk_map_close(&x);
    lrk_map_close(&y);
}

static void a_file_not_committed_is_no_file(void **state)
{
    (void)state;
    lrk_h5 *f;
    assert_int_equal(lrk_h5_create(&f, "c.h5", NULL), LRK_OK);
    assert_int_equal(scratch_count("c.h5.tmp-"), 1);
    lrk_h5_close(f);
    assert_int_equal(scratch_count("c.h5"), 0);
}

static void wrong_types_and_links_are_refused(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_h5 *f;
    lrk_h5_column *c;
    uint64_t u;
    write_file("d.h5", 100);
    assert_int_equal(lrk_h5_open(&f, "d.h5", NULL), LRK_OK);
    assert_int_equal(lrk_h5_column_open(f, "/g/numbers", LRK_H5_U64, 1, &c, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "/g/numbers: expected unsigned little-endian integers of 8"));
    assert_int_equal(lrk_h5_column_open(f, "/g/numbers", LRK_H5_U32, 4, &c, NULL), LRK_EINPUT);
    assert_int_equal(lrk_h5_column_open(f, "/g/none", LRK_H5_U32, 1, &c, NULL), LRK_EINPUT);
    assert_int_equal(lrk_h5_column_open(f, "/g", LRK_H5_U32, 1, &c, NULL), LRK_EINPUT);
    assert_int_equal(lrk_h5_get_u64(f, "/", "name", &u, NULL), LRK_EINPUT);
    assert_int_equal(lrk_h5_get_u64(f, "/", "none", &u, NULL), LRK_EINPUT);
    lrk_h5_close(f);
}

/* Files that end early. */
static void truncated_files_are_refused(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_map m;
    lrk_h5 *f;
    write_file("e.h5", 3000);
    assert_int_equal(lrk_map_open(&m, "e.h5", NULL), LRK_OK);
    const size_t cuts[] = {0, 1, 8, 100, m.size / 2, m.size - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        err = (lrk_err){0};
        scratch_write("cut.h5", m.data, cuts[i]);
        assert_int_equal(lrk_h5_open(&f, "cut.h5", &err), LRK_EINPUT);
        assert_non_null(strstr(err.text, "cut.h5: "));
    }
    lrk_map_close(&m);
    assert_int_equal(lrk_h5_open(&f, "absent.h5", NULL), LRK_EINPUT);
    assert_int_equal(lrk_h5_open(&f, "/tmp", NULL), LRK_EINPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(equal_input_gives_equal_bytes),
        cmocka_unit_test(a_file_not_committed_is_no_file),
        cmocka_unit_test(wrong_types_and_links_are_refused),
        cmocka_unit_test(truncated_files_are_refused),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
