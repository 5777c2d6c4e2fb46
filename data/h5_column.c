/* data/h5_column.c -- columns of numbers: appended to while writing, read through a window. */
#include "data/h5_private.h"

#include "base/fault.h"
#include "base/size.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* No deflate stream expands by more than 1032; fill values would, without limit. */
enum { MAX_EXPANSION = 1100, MAX_CHUNK = 16 << 20, WINDOW = 256 * 1024 };

struct lrk_h5_column {
    lrk_h5 *f;
    hid_t set;
    lrk_h5_type type;
    size_t width, bytes;    /* values in an element, bytes of an element */
    uint64_t count, stored; /* elements; of these in the file */
    char *window;           /* elements at .. at + held - 1 */
    uint64_t at;
    size_t held, capacity;
    char name[4 * LRK_H5_NAME_MAX];
};

static hid_t native(lrk_h5_type t)
{
    const hid_t types[] = {H5T_NATIVE_UINT8, H5T_NATIVE_UINT16, H5T_NATIVE_UINT32,
                           H5T_NATIVE_UINT64};
    return types[t];
}

static hid_t in_file(lrk_h5_type t)
{
    const hid_t types[] = {H5T_STD_U8LE, H5T_STD_U16LE, H5T_STD_U32LE, H5T_STD_U64LE};
    return types[t];
}

static size_t type_bytes(lrk_h5_type t) { return (size_t)1 << t; }

static lrk_status new_column(lrk_h5 *f, const char *path, lrk_h5_type type, size_t width,
                             lrk_h5_column **out, lrk_err *err)
{
    const size_t bytes = type_bytes(type) * width;
    lrk_h5_column *c = lrk_heap_alloc(1, sizeof *c);
    LRK_REQUIRE(err, c, LRK_ENOMEM, "memory: no room for column %s", path);
    *c = (lrk_h5_column){
        .f = f, .set = H5I_INVALID_HID, .type = type, .width = width, .bytes = bytes};
    const size_t n = strlen(path);
    memcpy(c->name, path, lrk_min(n, sizeof c->name - 1));
    /* offsets are read a few at a time: smaller chunks; 65,536 ids or 262,144 characters else */
    c->capacity = type == LRK_H5_U64 ? 8192 : lrk_max(WINDOW / bytes, 1);
    if (type == LRK_H5_U16 && width == 1) c->capacity = 65536;
    c->window = lrk_heap_alloc(c->capacity, bytes);
    if (!c->window) {
        lrk_h5_column_drop(c);
        return lrk_fail(err, LRK_ENOMEM, "memory: no room for column %s", path);
    }
    *out = c;
    return LRK_OK;
}

static hid_t creation_properties(const lrk_h5_column *c)
{
    const hsize_t chunk[2] = {c->capacity, c->width};
    const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    bool ok = p >= 0 && H5Pset_chunk(p, c->width > 1 ? 2 : 1, chunk) >= 0 &&
              H5Pset_obj_track_times(p, false) >= 0;
    if (type_bytes(c->type) > 1) ok = ok && H5Pset_shuffle(p) >= 0;
    ok = ok && H5Pset_deflate(p, 1) >= 0 && H5Pset_fletcher32(p) >= 0;
    if (ok) return p;
    if (p >= 0) H5Pclose(p);
    return H5I_INVALID_HID;
}

lrk_status lrk_h5_column_create(lrk_h5 *f, const char *path, lrk_h5_type type, size_t width,
                                lrk_h5_column **out, lrk_err *err)
{
    lrk_h5_column *c;
    LRK_TRY(new_column(f, path, type, width, &c, err));
    const hsize_t now[2] = {0, width}, most[2] = {H5S_UNLIMITED, width};
    const hid_t space = H5Screate_simple(width > 1 ? 2 : 1, now, most);
    const hid_t p = creation_properties(c);
    if (space >= 0 && p >= 0)
        c->set = H5Dcreate2(f->file, path, in_file(type), space, H5P_DEFAULT, p, H5P_DEFAULT);
    if (space >= 0) H5Sclose(space);
    if (p >= 0) H5Pclose(p);
    if (c->set < 0) {
        lrk_h5_column_drop(c);
        return lrk_h5_failed(err, LRK_EIO, f->path, "cannot create a column");
    }
    *out = c;
    return LRK_OK;
}

/* Moves n elements between memory and the elements from `first` on. */
static bool transfer(lrk_h5_column *c, uint64_t first, size_t n, void *data, bool write)
{
    const int rank = c->width > 1 ? 2 : 1;
    const hsize_t start[2] = {first, 0}, count[2] = {n, c->width};
    const hid_t space = H5Dget_space(c->set);
    const hid_t memory = H5Screate_simple(rank, count, NULL);
    bool ok = space >= 0 && memory >= 0 &&
              H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0;
    if (ok && write)
        ok = H5Dwrite(c->set, native(c->type), memory, space, H5P_DEFAULT, data) >= 0;
    else if (ok)
        ok = H5Dread(c->set, native(c->type), memory, space, H5P_DEFAULT, data) >= 0;
    if (space >= 0) H5Sclose(space);
    if (memory >= 0) H5Sclose(memory);
    return ok;
}

static lrk_status flush(lrk_h5_column *c, lrk_err *err)
{
    if (!c->held) return LRK_OK;
    LRK_REQUIRE(err, !lrk_fault(LRK_FAULT_WRITE), LRK_EIO, "%s: cannot write: %s", c->f->path,
                strerror(errno));
    const hsize_t size[2] = {c->stored + c->held, c->width};
    const bool ok =
        H5Dset_extent(c->set, size) >= 0 && transfer(c, c->stored, c->held, c->window, true);
    H5_REQUIRE(err, ok, LRK_EIO, c->f->path, "cannot write");
    c->stored += c->held;
    c->held = 0;
    return LRK_OK;
}

lrk_status lrk_h5_append(lrk_h5_column *c, const void *values, size_t n, lrk_err *err)
{
    const char *p = values;
    while (n) {
        const size_t room = lrk_min(n, c->capacity - c->held);
        memcpy(c->window + c->held * c->bytes, p, room * c->bytes);
        p += room * c->bytes;
        n -= room;
        c->held += room;
        c->count += room;
        if (c->held == c->capacity) LRK_TRY(flush(c, err));
    }
    return LRK_OK;
}

/* Storage of a column: inside this file, by known filters, in chunks that fit memory. */
static lrk_status check_storage(lrk_h5_column *c, lrk_err *err)
{
    const hid_t p = H5Dget_create_plist(c->set);
    const char *wrong = NULL;
    hsize_t chunk[2] = {0, 0};
    const H5D_layout_t layout = p >= 0 ? H5Pget_layout(p) : H5D_LAYOUT_ERROR;
    if (layout != H5D_CHUNKED && layout != H5D_CONTIGUOUS)
        wrong = "neither chunked nor contiguous";
    else if (H5Pget_external_count(p) != 0)
        wrong = "data in another file, which is refused";
    else if (layout == H5D_CHUNKED &&
             (H5Pget_chunk(p, 2, chunk) != (c->width > 1 ? 2 : 1) ||
              chunk[0] > MAX_CHUNK / c->bytes || (c->width > 1 && chunk[1] != c->width)))
        wrong = "chunks of another shape, or of more than 16 MB";
    const int filters = p >= 0 ? H5Pget_nfilters(p) : 0;
    for (int i = 0; !wrong && i < filters; i++) {
        unsigned flags;
        size_t none = 0;
        const H5Z_filter_t filter =
            H5Pget_filter2(p, (unsigned)i, &flags, &none, NULL, 0, NULL, NULL);
        if (filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_DEFLATE &&
            filter != H5Z_FILTER_FLETCHER32)
            wrong = "a filter other than shuffle, deflate and fletcher32";
    }
    if (p >= 0) H5Pclose(p);
    LRK_REQUIRE(err, !wrong, LRK_ESUPPORT, "%s: %s: %s", c->f->path, c->name, wrong);
    const uint64_t stored = H5Dget_storage_size(c->set);
    LRK_REQUIRE(
        err,
        c->count <= UINT64_MAX / c->bytes / 2 &&
            c->count * c->bytes / MAX_EXPANSION <= stored + 1024 && (c->count == 0 || stored > 0),
        LRK_EINPUT, "%s: %s: declares %" PRIu64 " elements, but only %" PRIu64 " bytes are stored",
        c->f->path, c->name, c->count, stored);
    return LRK_OK;
}

static lrk_status check_column(lrk_h5_column *c, lrk_err *err)
{
    const hid_t type = H5Dget_type(c->set), space = H5Dget_space(c->set);
    const bool same = type >= 0 && H5Tequal(type, in_file(c->type)) > 0;
    hsize_t dim[2] = {0, 1};
    const int rank = c->width > 1 ? 2 : 1;
    const bool shaped = space >= 0 && H5Sget_simple_extent_type(space) == H5S_SIMPLE &&
                        H5Sget_simple_extent_ndims(space) == rank &&
                        H5Sget_simple_extent_dims(space, dim, NULL) == rank && dim[1] == c->width;
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    LRK_REQUIRE(err, same, LRK_EINPUT,
                "%s: %s: expected unsigned little-endian integers of %zu bytes", c->f->path,
                c->name, type_bytes(c->type));
    LRK_REQUIRE(err, shaped, LRK_EINPUT, "%s: %s: expected %d dimension%s%s", c->f->path, c->name,
                rank, rank > 1 ? "s" : "", rank > 1 ? ", the second of a fixed width" : "");
    c->count = c->stored = dim[0];
    return check_storage(c, err);
}

lrk_status lrk_h5_column_open(lrk_h5 *f, const char *path, lrk_h5_type type, size_t width,
                              lrk_h5_column **out, lrk_err *err)
{
    lrk_h5_column *c;
    LRK_REQUIRE(err, lrk_h5_exists(f, path), LRK_EINPUT, "%s: %s is missing, or behind a link",
                f->path, path);
    LRK_TRY(new_column(f, path, type, width, &c, err));
    const hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    /* the window keeps what is near: the library needs room for one chunk, ours or a stranger's */
    if (access >= 0) (void)H5Pset_chunk_cache(access, 1, MAX_CHUNK, 1.0);
    c->set = H5Dopen2(f->file, path, access >= 0 ? access : H5P_DEFAULT);
    if (access >= 0) H5Pclose(access);
    lrk_status s = LRK_OK;
    if (c->set < 0)
        s = lrk_h5_failed(err, LRK_EINPUT, f->path, "a column cannot be opened");
    else
        s = check_column(c, err);
    if (s != LRK_OK) {
        lrk_h5_column_drop(c);
        return s;
    }
    *out = c;
    return LRK_OK;
}

uint64_t lrk_h5_count(const lrk_h5_column *c) { return c->count; }

/* Loads the window that holds `first`, aligned so that chunks are read once. */
static lrk_status load(lrk_h5_column *c, uint64_t first, lrk_err *err)
{
    const uint64_t at = first - first % c->capacity;
    const size_t n = (size_t)(c->count - at < c->capacity ? c->count - at : c->capacity);
    c->held = 0;
    LRK_REQUIRE(err, !lrk_fault(LRK_FAULT_READ), LRK_EIO, "%s: cannot read: %s", c->f->path,
                strerror(errno));
    H5_REQUIRE(err, transfer(c, at, n, c->window, false), LRK_EINPUT, c->f->path,
               "a column cannot be read; the file is damaged");
    c->at = at;
    c->held = n;
    return LRK_OK;
}

lrk_status lrk_h5_read(lrk_h5_column *c, uint64_t first, size_t n, void *out, lrk_err *err)
{
    char *p = out;
    LRK_REQUIRE(err, first <= c->count && n <= c->count - first, LRK_EINPUT,
                "%s: %s: elements %" PRIu64 " to %" PRIu64 " are asked for, %" PRIu64 " are there",
                c->f->path, c->name, first, first + n, c->count);
    while (n) {
        if (first < c->at || first >= c->at + c->held) LRK_TRY(load(c, first, err));
        const size_t skip = (size_t)(first - c->at), take = lrk_min(n, c->held - skip);
        memcpy(p, c->window + skip * c->bytes, take * c->bytes);
        p += take * c->bytes;
        first += take;
        n -= take;
    }
    return LRK_OK;
}

void lrk_h5_column_drop(lrk_h5_column *c)
{
    if (!c) return;
    if (c->set >= 0) H5Dclose(c->set);
    lrk_heap_free(c->window);
    lrk_heap_free(c);
}

lrk_status lrk_h5_column_close(lrk_h5_column *c, lrk_err *err)
{
    if (!c) return LRK_OK;
    const bool writing = c->f->temporary != NULL;
    lrk_status s = writing ? flush(c, err) : LRK_OK;
    const hid_t set = c->set;
    c->set = H5I_INVALID_HID;
    if (H5Dclose(set) < 0 && s == LRK_OK)
        s = lrk_h5_failed(err, LRK_EIO, c->f->path, "cannot write");
    lrk_h5_column_drop(c);
    return s;
}
