/* tests/unit/safetensors.c -- the reader against good and bad headers; what the writer writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkpoint/safetensors.h"

#include <stdio.h>
#include <string.h>

/* prefix + header + data bytes of zeros */
static size_t build(unsigned char *out, const char *header, size_t data)
{
    const size_t n = strlen(header);
    memset(out, 0, 8 + n + data);
    out[0] = (unsigned char)n;
    out[1] = (unsigned char)(n >> 8);
    memcpy(out + 8, header, n);
    return 8 + n + data;
}

static const struct {
    const char *header;
    size_t data;
    const char *message; /* part of it; NULL: must be accepted */
} cases[] = {
    {"{}", 0, NULL},
    {"{\"__metadata__\":{\"format\":\"pt\"}}   ", 0, NULL},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, NULL},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[0,0]}}", 0, NULL},
    {"{\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[4,8]},"
     "\"a\":{\"dtype\":\"F16\",\"shape\":[2,1],\"data_offsets\":[0,4]}}",
     8, NULL},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,2]}}", 2, NULL},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, "whole number of bytes"},
    {"[]", 0, "does not begin with '{'"},
    {" {}", 0, "does not begin with '{'"},
    {"{\"a\":1}", 0, "expected dtype, shape"},
    {"{\"a\":{}}", 0, "expected dtype, shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4,
     "and nothing else"},
    {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype 'F33'"},
    {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":7,\"data_offsets\":[0,4]}}", 4, "shape is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "is no size"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, "is no size"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
     "more than 8 axes"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
     "more elements than memory"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
     "whole number of bytes"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "need 4"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "not a pair"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "outside the file"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7,
     "is the file truncated"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, "but the file has 5"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "there is a gap"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
     12, "tensors overlap"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, "duplicate"},
    {"{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "name of 0 bytes"},
    {"{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, ""},
    {"{\"\xff\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, ""},
    {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "value of 'a' is not a string"},
    {"{\"a\":", 0, ""},
    {"{} x", 0, ""},
};

static void test_headers(void **state)
{
    (void)state;
    unsigned char file[1024];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lrk_safetensors s;
        lrk_err err = {0};
        const size_t n = build(file, cases[i].header, cases[i].data);
        const lrk_status status = lrk_st_parse(&s, file, n, "case", &err);
        if (!cases[i].message) {
            if (status != LRK_OK) fail_msg("%s: %s", cases[i].header, err.text);
        } else if (status != LRK_EINPUT || !strstr(err.text, cases[i].message) ||
                   strncmp(err.text, "case:", 5) != 0) {
            fail_msg("%s: status %d, message '%s'", cases[i].header, (int)status, err.text);
        }
        lrk_st_close(&s);
    }
}

/* Every length of the file from 0 to whole: only the whole one is accepted. */
static void test_truncation(void **state)
{
    (void)state;
    unsigned char file[256];
    const size_t n =
        build(file, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8);
    for (size_t k = 0; k <= n; k++) {
        lrk_safetensors s;
        lrk_err err = {0};
        assert_int_equal(lrk_st_parse(&s, file, k, "case", &err), k == n ? LRK_OK : LRK_EINPUT);
        lrk_st_close(&s);
    }
    memset(file, 0xff, 8);
    lrk_safetensors s;
    lrk_err err = {0};
    assert_int_equal(lrk_st_parse(&s, file, n, "case", &err), LRK_EINPUT);
    assert_non_null(strstr(err.text, "the header claims 18446744073709551615 bytes"));
}

/* A file of the reference implementation, written again: the same bytes. */
static void rewrite(const char *path)
{
    lrk_safetensors s;
    lrk_st_writer *w = NULL;
    lrk_err err = {0};
    lrk_map a = {0}, b = {0};
    const char *out = "unit_safetensors.out";
    assert_int_equal(lrk_st_open(&s, path, &err), LRK_OK);
    assert_int_equal(lrk_st_create(&w, &err), LRK_OK);
    for (size_t i = s.n; i > 0; i--) {
        lrk_tensor t;
        assert_int_equal(lrk_st_view(&s, &s.entry[i - 1], &t, &err), LRK_OK);
        assert_int_equal(lrk_st_declare(w, t.name, &t, &err), LRK_OK);
    }
    assert_int_equal(lrk_st_begin(w, out, &err), LRK_OK);
    for (const char *name; (name = lrk_st_next(w));) {
        lrk_tensor t;
        assert_int_equal(lrk_st_view(&s, lrk_st_find(&s, name), &t, &err), LRK_OK);
        const size_t half = lrk_bytes(&t) / 2;
        assert_int_equal(lrk_st_write(w, t.data, half, &err), LRK_OK);
        assert_int_equal(lrk_st_write(w, (char *)t.data + half, lrk_bytes(&t) - half, &err),
                         LRK_OK);
    }
    assert_false(lrk_is_file(out));
    assert_int_equal(lrk_st_commit(w, &err), LRK_OK);
    lrk_st_writer_close(w);
    assert_int_equal(lrk_map_open(&a, path, &err), LRK_OK);
    assert_int_equal(lrk_map_open(&b, out, &err), LRK_OK);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    lrk_map_close(&a);
    lrk_map_close(&b);
    lrk_st_close(&s);
    assert_int_equal(lrk_remove(out, &err), LRK_OK);
}

static void test_rewrite(void **state)
{
    (void)state;
    rewrite(LRK_SOURCE_DIR "/tests/golden/data/llama/merged/model.safetensors");
    rewrite(LRK_SOURCE_DIR "/tests/golden/data/llama_bf16/model.safetensors");
    rewrite(LRK_SOURCE_DIR "/tests/golden/data/mistral/adapter/adapter_model.safetensors");
}

static void test_writer(void **state)
{
    (void)state;
    lrk_st_writer *w = NULL;
    lrk_safetensors s;
    lrk_err err = {0};
    const float x[3] = {1, 2, 3};
    const int64_t id = 7;
    lrk_tensor vec = lrk_vec(LRK_F32, 3), scalar = {.name = "", .dtype = LRK_I64};
    lrk_tensor empty = lrk_mat(LRK_F32, 0, 5), block = lrk_vec(LRK_Q8_0, 32);
    assert_int_equal(lrk_st_create(&w, &err), LRK_OK);
    assert_int_equal(lrk_st_declare(w, "x", &vec, &err), LRK_OK);
    assert_int_equal(lrk_st_declare(w, "\xc3\xa4 \"quoted\"", &scalar, &err), LRK_OK);
    assert_int_equal(lrk_st_declare(w, "empty", &empty, &err), LRK_OK);
    assert_int_equal(lrk_st_declare(w, "q", &block, &err), LRK_ESUPPORT);
    err = (lrk_err){0};
    assert_int_equal(lrk_st_note(w, "note", "two\nlines", &err), LRK_OK);
    assert_int_equal(lrk_st_total(w), 20);
    assert_int_equal(lrk_st_begin(w, "unit_st.out", &err), LRK_OK);
    assert_string_equal(lrk_st_next(w), "\xc3\xa4 \"quoted\""); /* widest first */
    assert_int_equal(lrk_st_write(w, &id, 8, &err), LRK_OK);
    assert_string_equal(lrk_st_next(w), "x");
    assert_int_equal(lrk_st_write(w, x, 12, &err), LRK_OK);
    assert_null(lrk_st_next(w));
    assert_int_equal(lrk_st_commit(w, &err), LRK_OK);
    lrk_st_writer_close(w);
    assert_int_equal(lrk_st_open(&s, "unit_st.out", &err), LRK_OK);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.header_bytes % 8, 0);
    assert_string_equal(lrk_st_metadata(&s, "note"), "two\nlines");
    assert_string_equal(lrk_st_metadata(&s, "format"), "pt");
    assert_null(lrk_st_find(&s, "y"));
    lrk_tensor t;
    assert_int_equal(lrk_st_view(&s, lrk_st_find(&s, "x"), &t, &err), LRK_OK);
    assert_memory_equal(t.data, x, 12);
    lrk_st_close(&s);

    assert_int_equal(lrk_st_create(&w, &err), LRK_OK);
    assert_int_equal(lrk_st_declare(w, "x", &vec, &err), LRK_OK);
    assert_int_equal(lrk_st_declare(w, "x", &scalar, &err), LRK_OK);
    assert_int_equal(lrk_st_begin(w, "unit_st.out", &err), LRK_EVALUE);
    lrk_st_writer_close(w);
    assert_int_equal(lrk_remove("unit_st.out", NULL), LRK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers), cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_rewrite), cmocka_unit_test(test_writer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
