/* tests/unit/dataset.c -- data sets: what goes in comes out, and nothing half-written is a file. */
#include "data/dataset.h"
#include "base/file.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char sources[] = "[{\"path\": \"rows.jsonl\", \"rows\": 3}]";

static lrk_part part(lrk_role role, const char *text)
{
    return (lrk_part){role, LRK_TRAIN_BY_ROLE, text, strlen(text)};
}

static void write_rows(const char *path, size_t rows)
{
    lrk_err err = {0};
    lrk_dataset_writer *w;
    assert_int_equal(lrk_dataset_create(&w, path, &err), LRK_OK);
    for (size_t i = 0; i < rows; i++) {
        char text[64];
        snprintf(text, sizeof text, "question %zu", i);
        const lrk_part chat[] = {part(LRK_ROLE_SYSTEM, ""), part(LRK_ROLE_USER, text),
                                 part(LRK_ROLE_ASSISTANT, "añswer")};
        const lrk_part raw[] = {part(LRK_ROLE_RAW, text)};
        assert_int_equal(lrk_dataset_add(w, i % 3 ? "train" : "val", 0, i + 1, i % 2 ? raw : chat,
                                         i % 2 ? 1 : 3, &err),
                         LRK_OK);
    }
    assert_int_equal(lrk_dataset_commit(w, sources, sizeof sources - 1, &err), LRK_OK);
}

static void rows_come_back(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_dataset *d;
    uint64_t rows[2];
    write_rows("a.h5", 20000);
    assert_int_equal(lrk_dataset_open(&d, "a.h5", &err), LRK_OK);
    assert_int_equal(lrk_dataset_rows(d), 20000);
    assert_string_equal(lrk_dataset_kind(d), "mixed");
    assert_int_equal(lrk_dataset_splits(d), 2);
    const int val = lrk_dataset_split(d, "val");
    assert_true(val >= 0 && lrk_dataset_split(d, "test") < 0);
    assert_int_equal(lrk_dataset_split_rows(d, (size_t)val), 6667);
    assert_int_equal(lrk_dataset_split_read(d, (size_t)val, 100, 2, rows, &err), LRK_OK);
    assert_true(rows[0] == 300 && rows[1] == 303);
    for (uint64_t i = 0; i < 20000; i += 1999) { /* odd and even, forward in leaps */
        lrk_arena a = lrk_arena_growing("row");
        lrk_record r;
        char text[64];
        snprintf(text, sizeof text, "question %d", (int)i);
        assert_int_equal(lrk_dataset_read(d, i, &a, &r, &err), LRK_OK);
        assert_int_equal(r.n_parts, i % 2 ? 1 : 3);
        assert_string_equal(r.parts[i % 2 ? 0 : 1].text, text);
        if (i % 2 == 0) assert_string_equal(r.parts[2].text, "añswer");
        snprintf(text, sizeof text, "rows.jsonl:%d", (int)i + 1);
        assert_string_equal(lrk_record_where(d, &r), text);
        lrk_arena_free(&a);
    }
    assert_int_equal(lrk_dataset_verify(d, &err), LRK_OK);
    lrk_dataset_close(d);
}

static void wrong_rows_are_refused(void **state)
{
    (void)state;
    lrk_err err = {0};
    lrk_dataset_writer *w;
    const lrk_part mixed[] = {part(LRK_ROLE_RAW, "a"), part(LRK_ROLE_USER, "b")};
    const lrk_part lonely[] = {part(LRK_ROLE_PROMPT, "a")};
    const lrk_part late[] = {part(LRK_ROLE_USER, "a"), part(LRK_ROLE_VARIABLES, "{}")};
    const lrk_part bytes[] = {part(LRK_ROLE_RAW, "ab\xff")};
    const lrk_part good[] = {part(LRK_ROLE_RAW, "ab")};
    assert_int_equal(lrk_dataset_create(&w, "b.h5", &err), LRK_OK);
    assert_int_equal(lrk_dataset_add(w, "train", 0, 1, mixed, 2, NULL), LRK_EVALUE);
    assert_int_equal(lrk_dataset_add(w, "train", 0, 1, lonely, 1, NULL), LRK_EVALUE);
    assert_int_equal(lrk_dataset_add(w, "train", 0, 1, late, 2, NULL), LRK_EVALUE);
    assert_int_equal(lrk_dataset_add(w, "train", 0, 1, good, 0, NULL), LRK_EVALUE);
    assert_int_equal(lrk_dataset_add(w, "train", 0, 1, bytes, 1, &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "byte 2 of 3 is not UTF-8"));
    assert_int_equal(lrk_dataset_add(w, "../x", 0, 1, good, 1, NULL), LRK_EVALUE);
    assert_int_equal(lrk_dataset_add(w, "", 0, 1, good, 1, NULL), LRK_EVALUE);
    assert_int_equal(lrk_dataset_commit(w, sources, sizeof sources - 1, NULL), LRK_EINPUT);
    assert_int_equal(scratch_count("b.h5"), 0);
}

static void equal_rows_give_equal_files_and_hashes_see_every_part(void **state)
{
    (void)state;
    lrk_map x, y;
    write_rows("c1.h5", 10);
    write_rows("c2.h5", 10);
    assert_int_equal(lrk_map_open(&x, "c1.h5", NULL), LRK_OK);
    assert_int_equal(lrk_map_open(&y, "c2.h5", NULL), LRK_OK);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    lrk_map_close(&x);
    lrk_map_close(&y);

    const lrk_part base[] = {part(LRK_ROLE_USER, "ab"), part(LRK_ROLE_ASSISTANT, "c")};
    lrk_part p[2] = {base[0], base[1]};
    unsigned char h[16], g[16];
    lrk_record_hash(base, 2, h);
    lrk_record_hash(p, 2, g);
    assert_memory_equal(h, g, 16);
    p[0].text = "a", p[0].n = 1, p[1].text = "bc", p[1].n = 2; /* the same bytes, cut elsewhere */
    lrk_record_hash(p, 2, g);
    assert_memory_not_equal(h, g, 16);
    p[0] = base[0], p[1] = base[1], p[1].train = LRK_TRAIN_NO;
    lrk_record_hash(p, 2, g);
    assert_memory_not_equal(h, g, 16);
}

/* Flips bytes all over a small file, one at a time, reads all of it: errors or data, no crash; and
 * where all checks pass, the rows are what was written. */
static void flipped_bytes_do_no_harm(void **state)
{
    (void)state;
    lrk_map m;
    size_t refused = 0, tried = 0;
    write_rows("d.h5", 4);
    assert_int_equal(lrk_map_open(&m, "d.h5", NULL), LRK_OK);
    unsigned char *copy = malloc(m.size);
    assert_non_null(copy);
    memcpy(copy, m.data, m.size);
    const size_t step = m.size / 500 | 1;
    for (size_t i = 0; i < m.size; i += step, tried++) {
        lrk_dataset *d;
        copy[i] ^= (unsigned char)(1u << (i % 8));
        scratch_write("flip.h5", copy, m.size);
        copy[i] = m.data[i];
        if (lrk_dataset_open(&d, "flip.h5", NULL) != LRK_OK) {
            refused++;
            continue;
        }
        refused += lrk_dataset_verify(d, NULL) != LRK_OK;
        lrk_dataset_close(d);
    }
    assert_true(tried >= 500 && refused > tried / 50);
    free(copy);
    lrk_map_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(wrong_rows_are_refused),
        cmocka_unit_test(equal_rows_give_equal_files_and_hashes_see_every_part),
        cmocka_unit_test(flipped_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
