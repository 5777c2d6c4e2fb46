/* tests/unit/dataset_hostile.c -- data sets that a stranger has prepared: each trick is refused by
 * name. Uses the HDF5 library itself, which our own door would not let do such things. */
#include "base/file.h"
#include "data/dataset.h"
#include "scratch.h"

#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static hid_t file;

static void begin(void)
{
    lrk_dataset_writer *w;
    const lrk_part raw = {LRK_ROLE_RAW, LRK_TRAIN_BY_ROLE, "some text", 9};
    assert_int_equal(lrk_dataset_create(&w, "x.h5", NULL), LRK_OK);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(lrk_dataset_add(w, "train", 0, i + 1, &raw, 1, NULL), LRK_OK);
    assert_int_equal(lrk_dataset_commit(w, "[]", 2, NULL), LRK_OK);
    file = H5Fopen("x.h5", H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
}

/* Opens the changed file, reads all of it, and demands an error with this text. */
static void refused(const char *text)
{
    lrk_err err = {0};
    lrk_dataset *d = NULL;
    assert_true(H5Fclose(file) >= 0);
    lrk_status s = lrk_dataset_open(&d, "x.h5", &err);
    if (s == LRK_OK) s = lrk_dataset_verify(d, &err);
    lrk_dataset_close(d);
    assert_int_equal(lrk_exit_code(s), 3);
    if (!strstr(err.text, text)) fail_msg("message is: %s", err.text);
    assert_non_null(strstr(err.text, "x.h5: "));
}

static void links_are_refused(void **state)
{
    (void)state;
    begin();
    H5Lmove(file, "/text/bytes", file, "/text/other", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/text/other", file, "/text/bytes", H5P_DEFAULT, H5P_DEFAULT);
    refused("soft or external link");
    begin();
    H5Ldelete(file, "/text/bytes", H5P_DEFAULT);
    H5Lcreate_external("/etc/passwd", "/", file, "/text/bytes", H5P_DEFAULT, H5P_DEFAULT);
    refused("soft or external link");
    begin();
    H5Lmove(file, "/text", file, "/elsewhere", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/elsewhere", file, "/text", H5P_DEFAULT, H5P_DEFAULT);
    refused("soft or external link");
}

static void unknown_members_are_refused(void **state)
{
    (void)state;
    begin();
    H5Gclose(H5Gcreate2(file, "/surprise", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    refused("unknown member 'surprise' in /");
    begin();
    H5Gclose(H5Gcreate2(file, "/text/surprise", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    refused("unknown member 'surprise' in /text");
    begin();
    H5Ldelete(file, "/rows/line", H5P_DEFAULT);
    refused("/rows/line is missing");
}

static void replace(const char *path, hid_t type, hid_t properties, hsize_t n, hsize_t most)
{
    H5Ldelete(file, path, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(1, &n, &most);
    const hid_t set = H5Dcreate2(file, path, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    assert_true(set >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static void wrong_types_and_shapes_are_refused(void **state)
{
    (void)state;
    begin();
    replace("/segments/role", H5T_IEEE_F32LE, H5P_DEFAULT, 3, 3);
    refused("/segments/role: expected unsigned");
    begin();
    replace("/segments/role", H5T_STD_I8LE, H5P_DEFAULT, 3, 3);
    refused("/segments/role: expected unsigned");
    begin();
    replace("/segments/role", H5T_C_S1, H5P_DEFAULT, 3, 3);
    refused("/segments/role: expected unsigned");
    begin();
    replace("/rows/hash", H5T_STD_U8LE, H5P_DEFAULT, 48, 48);
    refused("/rows/hash: expected 2 dimensions");
    begin();
    H5Ldelete(file, "/rows/line", H5P_DEFAULT);
    const hid_t type = H5Tcopy(H5T_STD_U64LE);
    H5Tcommit2(file, "/rows/line", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Tclose(type);
    refused("x.h5: ");
}

static void storage_elsewhere_is_refused(void **state)
{
    (void)state;
    hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    begin();
    H5Pset_external(p, "/etc/passwd", 0, 27);
    replace("/text/bytes", H5T_STD_U8LE, p, 27, 27);
    H5Pclose(p);
    refused("data in another file");

    begin();
    p = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t n = 27;
    const hid_t space = H5Screate_simple(1, &n, NULL);
    H5Pset_virtual(p, space, "other.h5", "/bytes", space);
    H5Sclose(space);
    replace("/text/bytes", H5T_STD_U8LE, p, 27, 27);
    H5Pclose(p);
    refused("neither chunked nor contiguous");

    begin();
    p = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk = 27;
    H5Pset_chunk(p, 1, &chunk);
    H5Pset_scaleoffset(p, H5Z_SO_INT, 0);
    replace("/text/bytes", H5T_STD_U8LE, p, 27, 27);
    H5Pclose(p);
    refused("a filter other than");
}

static void sizes_that_are_only_declared_are_refused(void **state)
{
    (void)state;
    const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk = 1 << 20;
    H5Pset_chunk(p, 1, &chunk);
    begin();
    replace("/text/bytes", H5T_STD_U8LE, p, (hsize_t)64 << 30, H5S_UNLIMITED);
    refused("bytes are stored");
    begin();
    replace("/text/bytes", H5T_STD_U8LE, p, (hsize_t)64 << 30, H5S_UNLIMITED);
    const hid_t set = H5Dopen2(file, "/text/bytes", H5P_DEFAULT), all = H5Dget_space(set);
    const hsize_t first = 0, one = 1;
    const hid_t cell = H5Screate_simple(1, &one, NULL);
    H5Sselect_hyperslab(all, H5S_SELECT_SET, &first, NULL, &one, NULL);
    H5Dwrite(set, H5T_NATIVE_UINT8, cell, all, H5P_DEFAULT, "x"); /* one chunk of 65536 is there */
    H5Sclose(cell);
    H5Sclose(all);
    H5Dclose(set);
    refused("bytes are stored");
    begin();
    chunk = 1 << 26;
    H5Pset_chunk(p, 1, &chunk);
    replace("/text/bytes", H5T_STD_U8LE, p, 27, H5S_UNLIMITED);
    refused("chunks of another shape, or of more than 16 MB");
    H5Pclose(p);
}

static void poke(const char *path, hid_t memory, const void *values)
{
    const hid_t set = H5Dopen2(file, path, H5P_DEFAULT);
    assert_true(set >= 0 && H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
}

static void wrong_contents_are_refused(void **state)
{
    (void)state;
    const uint64_t leave[] = {0, 9, UINT64_MAX, 27}, descend[] = {0, 9, 8, 27}, far[] = {0, 1, 9};
    const uint64_t twice[] = {0, 0, 2}, beyond[] = {0, 1, 3}, late[] = {1, 9, 18, 27};
    const uint8_t roles[] = {0, 77, 0}, marks[] = {2, 9, 2}, strange[] = {0, 2, 0};
    const struct {
        const char *path;
        hid_t type;
        const void *values;
        const char *text;
    } cases[] = {
        {"/text/offsets", H5T_NATIVE_UINT64, leave, "offsets descend, or leave the pool"},
        {"/text/offsets", H5T_NATIVE_UINT64, descend, "row 1: text offsets descend"},
        {"/text/offsets", H5T_NATIVE_UINT64, late, "/text/offsets runs from 1"},
        {"/segments/str", H5T_NATIVE_UINT64, far, "row 2: a string that isn't there"},
        {"/segments/role", H5T_NATIVE_UINT8, roles, "row 1: an unknown role"},
        {"/segments/train", H5T_NATIVE_UINT8, marks, "row 1: an unknown role or train mark"},
        {"/segments/role", H5T_NATIVE_UINT8, strange, "hash is not that of its text"},
        {"/splits/train", H5T_NATIVE_UINT64, twice, "row 1: in no split"},
        {"/splits/train", H5T_NATIVE_UINT64, beyond, "row 2: in no split"},
        {"/text/bytes", H5T_NATIVE_UINT8, "some text\xff\xfeme textsome text", "not UTF-8"},
        {"/text/bytes", H5T_NATIVE_UINT8, "some textSome textsome text", "row 1: its hash"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        poke(cases[i].path, cases[i].type, cases[i].values);
        refused(cases[i].text);
    }
}

static void versions_and_marks_are_checked(void **state)
{
    (void)state;
    begin();
    H5Adelete(file, "lrk.complete");
    refused("'lrk.complete' is missing");
    begin();
    hid_t a = H5Aopen(file, "lrk.version", H5P_DEFAULT);
    const uint64_t version = 2;
    H5Awrite(a, H5T_NATIVE_UINT64, &version);
    H5Aclose(a);
    refused("data set version 2");
    begin();
    H5Adelete(file, "lrk.content_sha256");
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    a = H5Acreate2(file, "lrk.content_sha256", type, space, H5P_DEFAULT, H5P_DEFAULT);
    const char *text = "0";
    H5Awrite(a, type, &text);
    H5Aclose(a);
    H5Tclose(type);
    H5Sclose(space);
    refused("is no string of at most");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_are_refused),
        cmocka_unit_test(unknown_members_are_refused),
        cmocka_unit_test(wrong_types_and_shapes_are_refused),
        cmocka_unit_test(storage_elsewhere_is_refused),
        cmocka_unit_test(sizes_that_are_only_declared_are_refused),
        cmocka_unit_test(wrong_contents_are_refused),
        cmocka_unit_test(versions_and_marks_are_checked),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
