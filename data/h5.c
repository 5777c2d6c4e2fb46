/* data/h5.c -- HDF5 files, groups and attributes; columns: h5_column.c. */
#include "data/h5_private.h"

#include "base/fault.h"
#include "base/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_NAMES = 256 };

#ifdef LRK_DEBUG
/* The library leaks where files are damaged; the leak checker of test builds is told so. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

const char *__lsan_default_options(void) { return "print_suppressions=0"; }

const char *__lsan_default_suppressions(void) { return "leak:libhdf5"; }
#endif

/* The innermost entry of the library's error stack says what really happened. */
static herr_t innermost(unsigned n, const H5E_error2_t *e, void *text)
{
    const char **out = text;
    if (n == 0) *out = e->desc;
    return 0;
}

lrk_status lrk_h5_failed(lrk_err *err, lrk_status status, const char *path, const char *what)
{
    const char *said = NULL;
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &said);
    if (!said || !*said) said = "no further word from the library";
    /* an operating system's refusal is reported as everywhere else, by its own text */
    const char *reason = strstr(said, "error message = '");
    const char *end = reason ? strchr(reason + 17, '\'') : NULL;
    lrk_status s;
    if (end)
        s = lrk_fail(err, LRK_EIO, "%s: %s: %.*s", path, what, (int)(end - reason - 17),
                     reason + 17);
    else
        s = lrk_fail(err, status, "%s: %s (HDF5: %.200s)", path, what, said);
    (void)H5Eclear2(H5E_DEFAULT);
    return s;
}

static lrk_status new_file(lrk_h5 **out, const char *path, bool writing, hid_t *access,
                           lrk_err *err)
{
    /* a file that could not be written to the end stays half open in the library, whose clean-up at
     * exit then reads what is freed; all that is whole we close ourselves */
    (void)H5dont_atexit();
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    (void)H5PLset_loading_state(0);
    *access = H5Pcreate(H5P_FILE_ACCESS);
    lrk_h5 *f = lrk_heap_alloc(1, sizeof *f);
    LRK_REQUIRE(err, f && *access >= 0, LRK_ENOMEM, "memory: no room to open %s", path);
    f->file = H5I_INVALID_HID;
    f->strings = lrk_arena_growing("h5");
    *out = f;
    f->path = lrk_strdup(&f->strings, path);
    LRK_REQUIRE(err, f->path, LRK_ENOMEM, "memory: no room to open %s", path);
    if (writing) {
        lrk_buf name = {0};
        lrk_buf_printf(&name, "%s.tmp-%ld", path, (long)getpid());
        f->temporary = name.failed ? NULL : lrk_strdup(&f->strings, name.data);
        lrk_buf_free(&name);
        LRK_REQUIRE(err, f->temporary, LRK_ENOMEM, "memory: no room to write %s", path);
    }
    (void)H5Pset_libver_bounds(*access, H5F_LIBVER_V18, H5F_LIBVER_V110);
    (void)H5Pset_fclose_degree(*access, H5F_CLOSE_STRONG);
    /* files are never changed in place, so locks would only fail on read-only and network mounts */
    (void)H5Pset_file_locking(*access, 0, 1);
    return LRK_OK;
}

lrk_status lrk_h5_create(lrk_h5 **out, const char *path, lrk_err *err)
{
    hid_t access = H5I_INVALID_HID;
    lrk_h5 *f = NULL;
    lrk_status s = new_file(&f, path, true, &access, err);
    if (s == LRK_OK && lrk_fault(LRK_FAULT_OPEN)) {
        s = lrk_fail(err, LRK_EIO, "%s: cannot create: %s", path, strerror(errno));
    } else if (s == LRK_OK) {
        const hid_t p = H5Pcreate(H5P_FILE_CREATE);
        if (p >= 0 && H5Pset_obj_track_times(p, false) >= 0)
            f->file = H5Fcreate(f->temporary, H5F_ACC_TRUNC, p, access);
        if (f->file < 0) s = lrk_h5_failed(err, LRK_EIO, path, "cannot create");
        if (p >= 0) H5Pclose(p);
    }
    if (access >= 0) H5Pclose(access);
    if (s != LRK_OK) {
        lrk_h5_close(f);
        return s;
    }
    *out = f;
    return LRK_OK;
}

lrk_status lrk_h5_open(lrk_h5 **out, const char *path, lrk_err *err)
{
    /* says what the operating system thinks of the path before the library does */
    lrk_map m;
    LRK_TRY(lrk_map_open(&m, path, err));
    const bool magic = m.size >= 8 && memcmp(m.data, "\211HDF\r\n\032\n", 8) == 0;
    lrk_map_close(&m);
    LRK_REQUIRE(err, magic, LRK_EINPUT,
                "%s: not an HDF5 file; `lorikeet data import` makes one out of JSON Lines", path);
    hid_t access = H5I_INVALID_HID;
    lrk_h5 *f = NULL;
    lrk_status s = new_file(&f, path, false, &access, err);
    if (s == LRK_OK) {
        f->file = H5Fopen(path, H5F_ACC_RDONLY, access);
        if (f->file < 0)
            s = lrk_h5_failed(err, LRK_EINPUT, path, "cannot be read; is it a complete file?");
    }
    if (access >= 0) H5Pclose(access);
    if (s != LRK_OK) {
        lrk_h5_close(f);
        return s;
    }
    *out = f;
    return LRK_OK;
}

void lrk_h5_close(lrk_h5 *f)
{
    if (!f) return;
    if (f->file >= 0) H5Fclose(f->file);
    if (f->temporary) (void)lrk_remove(f->temporary, NULL);
    (void)H5Eclear2(H5E_DEFAULT);
    lrk_arena_free(&f->strings);
    lrk_heap_free(f);
}

lrk_status lrk_h5_commit(lrk_h5 *f, lrk_err *err)
{
    lrk_status s = LRK_OK;
    const bool flushed = !lrk_fault(LRK_FAULT_WRITE) && H5Fflush(f->file, H5F_SCOPE_LOCAL) >= 0;
    if (!flushed) s = lrk_h5_failed(err, LRK_EIO, f->path, "cannot write");
    if (H5Fclose(f->file) < 0 && s == LRK_OK)
        s = lrk_h5_failed(err, LRK_EIO, f->path, "cannot write");
    f->file = H5I_INVALID_HID;
    if (s == LRK_OK) s = lrk_sync(f->temporary, err);
    if (s == LRK_OK) s = lrk_rename(f->temporary, f->path, err);
    if (s == LRK_OK) f->temporary = NULL;
    lrk_h5_close(f);
    return s;
}

const char *lrk_h5_path(const lrk_h5 *f) { return f->path; }

/* Every step of the way must be a hard link, or opening could leave the file. */
bool lrk_h5_exists(lrk_h5 *f, const char *path)
{
    char part[4 * LRK_H5_NAME_MAX];
    const size_t n = strlen(path);
    if (n >= sizeof part || path[0] != '/') return false;
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        if (i == 1) return n == 1;
        memcpy(part, path, i);
        part[i] = '\0';
        H5L_info_t link;
        const bool hard = H5Lexists(f->file, part, H5P_DEFAULT) > 0 &&
                          H5Lget_info(f->file, part, &link, H5P_DEFAULT) >= 0 &&
                          link.type == H5L_TYPE_HARD;
        if (!hard) {
            (void)H5Eclear2(H5E_DEFAULT);
            return false;
        }
    }
    return true;
}

lrk_status lrk_h5_group(lrk_h5 *f, const char *path, lrk_err *err)
{
    const hid_t p = H5Pcreate(H5P_GROUP_CREATE);
    const bool ready = p >= 0 && H5Pset_obj_track_times(p, false) >= 0;
    const hid_t g =
        ready ? H5Gcreate2(f->file, path, H5P_DEFAULT, p, H5P_DEFAULT) : H5I_INVALID_HID;
    if (p >= 0) H5Pclose(p);
    H5_REQUIRE(err, g >= 0, LRK_EIO, f->path, "cannot create a group");
    H5_REQUIRE(err, H5Gclose(g) >= 0, LRK_EIO, f->path, "cannot create a group");
    return LRK_OK;
}

static lrk_status list_names(lrk_h5 *f, hid_t g, const char *group, lrk_arena *a, char ***names,
                             size_t *n, lrk_err *err)
{
    H5G_info_t info;
    H5_REQUIRE(err, H5Gget_info(g, &info) >= 0, LRK_EINPUT, f->path, "a group cannot be listed");
    LRK_REQUIRE(err, info.nlinks <= MAX_NAMES, LRK_EINPUT,
                "%s: %s: %" PRIu64 " members, at most %d", f->path, group, (uint64_t)info.nlinks,
                MAX_NAMES);
    *n = (size_t)info.nlinks;
    LRK_TRY(lrk_alloc(a, *n, sizeof **names, "names", names, err));
    for (size_t i = 0; i < *n; i++) {
        char name[LRK_H5_NAME_MAX + 1];
        const ssize_t length = H5Lget_name_by_idx(g, ".", H5_INDEX_NAME, H5_ITER_INC, (hsize_t)i,
                                                  name, sizeof name, H5P_DEFAULT);
        H5_REQUIRE(err, length >= 0, LRK_EINPUT, f->path, "a group cannot be listed");
        LRK_REQUIRE(err,
                    (size_t)length <= LRK_H5_NAME_MAX &&
                        lrk_utf8_check(name, (size_t)length) == (size_t)length,
                    LRK_EINPUT, "%s: %s: a member's name is longer than %d bytes or not UTF-8",
                    f->path, group, LRK_H5_NAME_MAX);
        H5L_info_t link;
        const bool hard =
            H5Lget_info(g, name, &link, H5P_DEFAULT) >= 0 && link.type == H5L_TYPE_HARD;
        LRK_REQUIRE(err, hard, LRK_EINPUT,
                    "%s: %s: '%s' is a soft or external link, which is refused", f->path, group,
                    name);
        (*names)[i] = lrk_strdup(a, name);
        LRK_REQUIRE(err, (*names)[i], LRK_ENOMEM, "memory: no room for names");
    }
    return LRK_OK;
}

lrk_status lrk_h5_list(lrk_h5 *f, const char *group, lrk_arena *a, char ***names, size_t *n,
                       lrk_err *err)
{
    LRK_REQUIRE(err, lrk_h5_exists(f, group), LRK_EINPUT, "%s: no group %s", f->path, group);
    const hid_t g = H5Gopen2(f->file, group, H5P_DEFAULT);
    H5_REQUIRE(err, g >= 0, LRK_EINPUT, f->path, "a group cannot be opened");
    const lrk_status s = list_names(f, g, group, a, names, n, err);
    H5Gclose(g);
    return s;
}

lrk_status lrk_h5_only(lrk_h5 *f, const char *group, const char *const *known, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("names");
    char **names;
    size_t n = 0;
    lrk_status s = lrk_h5_list(f, group, &a, &names, &n, err);
    for (size_t i = 0; s == LRK_OK && i < n; i++) {
        size_t k = 0;
        while (known[k] && strcmp(known[k], names[i]) != 0) k++;
        if (!known[k])
            s = lrk_fail(err, LRK_ESUPPORT, "%s: unknown member '%s' in %s", f->path, names[i],
                         group);
    }
    lrk_arena_free(&a);
    return s;
}

/* ---- attributes ---- */

static lrk_status set_attribute(lrk_h5 *f, const char *object, const char *name, hid_t type,
                                hid_t memory, const void *value, lrk_err *err)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t a = H5Acreate_by_name(f->file, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT,
                                      H5P_DEFAULT);
    const bool ok = a >= 0 && H5Awrite(a, memory, value) >= 0;
    lrk_status s = ok ? LRK_OK : lrk_h5_failed(err, LRK_EIO, f->path, "cannot write an attribute");
    if (a >= 0) H5Aclose(a);
    H5Sclose(space);
    return s;
}

lrk_status lrk_h5_set_string(lrk_h5 *f, const char *object, const char *name, const char *value,
                             lrk_err *err)
{
    const size_t n = strlen(value) + 1;
    LRK_REQUIRE(err, n <= LRK_H5_STRING_MAX, LRK_EVALUE, "%s: attribute %s: %zu bytes, at most %d",
                f->path, name, n, LRK_H5_STRING_MAX);
    const hid_t type = H5Tcopy(H5T_C_S1);
    (void)H5Tset_size(type, n);
    (void)H5Tset_cset(type, H5T_CSET_UTF8);
    const lrk_status s = set_attribute(f, object, name, type, type, value, err);
    H5Tclose(type);
    return s;
}

lrk_status lrk_h5_set_u64(lrk_h5 *f, const char *object, const char *name, uint64_t value,
                          lrk_err *err)
{
    return set_attribute(f, object, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value, err);
}

bool lrk_h5_has(lrk_h5 *f, const char *object, const char *name)
{
    return lrk_h5_exists(f, object) && H5Aexists_by_name(f->file, object, name, H5P_DEFAULT) > 0;
}

/* Opens a scalar attribute; *type is its type in the file. */
static lrk_status open_attribute(lrk_h5 *f, const char *object, const char *name, hid_t *a,
                                 hid_t *type, lrk_err *err)
{
    LRK_REQUIRE(
        err, lrk_h5_has(f, object, name), LRK_EINPUT,
        "%s: %s: attribute '%s' is missing: another kind of file, or one not written to its end",
        f->path, object, name);
    *a = H5Aopen_by_name(f->file, object, name, H5P_DEFAULT, H5P_DEFAULT);
    H5_REQUIRE(err, *a >= 0, LRK_EINPUT, f->path, "an attribute cannot be opened");
    const hid_t space = H5Aget_space(*a);
    const bool scalar = space >= 0 && H5Sget_simple_extent_type(space) == H5S_SCALAR;
    if (space >= 0) H5Sclose(space);
    *type = scalar ? H5Aget_type(*a) : H5I_INVALID_HID;
    if (*type >= 0) return LRK_OK;
    H5Aclose(*a);
    return lrk_fail(err, LRK_EINPUT, "%s: %s: attribute '%s' is not one single value", f->path,
                    object, name);
}

lrk_status lrk_h5_get_string(lrk_h5 *f, const char *object, const char *name, lrk_arena *arena,
                             char **value, lrk_err *err)
{
    hid_t a, type;
    char *text = NULL;
    LRK_TRY(open_attribute(f, object, name, &a, &type, err));
    const size_t n = H5Tget_size(type);
    const bool fits = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && n > 0 &&
                      n <= LRK_H5_STRING_MAX;
    lrk_status s = LRK_OK;
    if (!fits)
        s = lrk_fail(err, LRK_EINPUT, "%s: %s: attribute '%s' is no string of at most %d bytes",
                     f->path, object, name, LRK_H5_STRING_MAX);
    else
        s = lrk_alloc(arena, n + 1, 1, name, &text, err);
    if (s == LRK_OK && H5Aread(a, type, text) < 0)
        s = lrk_h5_failed(err, LRK_EINPUT, f->path, "an attribute cannot be read");
    H5Tclose(type);
    H5Aclose(a);
    LRK_TRY(s);
    LRK_REQUIRE(err, lrk_utf8_check(text, strlen(text)) == strlen(text), LRK_EINPUT,
                "%s: %s: attribute '%s' is not UTF-8", f->path, object, name);
    *value = text;
    return LRK_OK;
}

lrk_status lrk_h5_get_u64(lrk_h5 *f, const char *object, const char *name, uint64_t *value,
                          lrk_err *err)
{
    hid_t a, type;
    LRK_TRY(open_attribute(f, object, name, &a, &type, err));
    lrk_status s = LRK_OK;
    if (H5Tequal(type, H5T_STD_U64LE) <= 0)
        s = lrk_fail(err, LRK_EINPUT, "%s: %s: attribute '%s' is no unsigned 64-bit number",
                     f->path, object, name);
    else if (H5Aread(a, H5T_NATIVE_UINT64, value) < 0)
        s = lrk_h5_failed(err, LRK_EINPUT, f->path, "an attribute cannot be read");
    H5Tclose(type);
    H5Aclose(a);
    return s;
}

void lrk_h5_version(char *out, size_t size)
{
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(out, size, "%u.%u.%u", major, minor, release);
}
