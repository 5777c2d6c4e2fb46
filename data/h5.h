/* data/h5.h -- HDF5 behind a few typed calls. data/h5.c is the only includer of hdf5.h.
 *
 * A file is a small tree of groups; groups hold columns: one-dimensional arrays of unsigned
 * integers, little-endian, chunked, shuffled, deflated, with a checksum a chunk (a column of width
 * w > 1 is an (n, w) array). Objects carry attributes: strings of at most 64 KB and 64-bit numbers.
 *
 * Writing goes to "<path>.tmp-<pid>"; commit flushes, syncs and renames, so `path` holds a whole
 * file or what it held before. Equal input gives equal bytes: no times are recorded.
 *
 * Reading distrusts the file. Every link on the way to an object must be hard (no soft or external
 * one), storage chunked or contiguous inside this file (no external, no virtual data), filters
 * shuffle, deflate and fletcher32 only, types exactly as asked for, and a column may declare no
 * more than deflate could have made out of its stored bytes. Filter plugins are never loaded. The
 * library's own messages appear in brackets behind ours.
 *
 * Memory: each open column keeps one window of about 256 KB, and the library one chunk.
 * A handle belongs to one thread at a time, and so does the library: one thread reads or writes.
 */
#ifndef LRK_DATA_H5_H
#define LRK_DATA_H5_H
#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LRK_H5_NAME_MAX = 64, LRK_H5_STRING_MAX = 64 * 1024 - 64 };

typedef enum lrk_h5_type { LRK_H5_U8, LRK_H5_U16, LRK_H5_U32, LRK_H5_U64 } lrk_h5_type;

typedef struct lrk_h5 lrk_h5;
typedef struct lrk_h5_column lrk_h5_column;

/* Objects are named by their absolute path: "/text/bytes"; "/" is the root group. */
lrk_status lrk_h5_create(lrk_h5 **f, const char *path, lrk_err *err);
/* LRK_EINPUT where the file is no HDF5 file, or a truncated one; LRK_EIO where it can't be read. */
lrk_status lrk_h5_open(lrk_h5 **f, const char *path, lrk_err *err);
/* All columns must be closed by now. f is closed too; the file is there afterwards, or not. */
lrk_status lrk_h5_commit(lrk_h5 *f, lrk_err *err);
/* NULL is fine. A file that was not committed disappears. */
void lrk_h5_close(lrk_h5 *f);
const char *lrk_h5_path(const lrk_h5 *f);

lrk_status lrk_h5_group(lrk_h5 *f, const char *path, lrk_err *err); /* creates it */
bool lrk_h5_exists(lrk_h5 *f, const char *path);
/* Names in a group, sorted by bytes. LRK_EINPUT beyond 256 of them, or for a link not hard. */
lrk_status lrk_h5_list(lrk_h5 *f, const char *group, lrk_arena *a, char ***names, size_t *n,
                       lrk_err *err);
/* Every name in the group is one of `known` (NULL ends the list). */
lrk_status lrk_h5_only(lrk_h5 *f, const char *group, const char *const *known, lrk_err *err);

lrk_status lrk_h5_set_string(lrk_h5 *f, const char *object, const char *name, const char *value,
                             lrk_err *err);
lrk_status lrk_h5_set_u64(lrk_h5 *f, const char *object, const char *name, uint64_t value,
                          lrk_err *err);
/* The attribute must be there; the string is copied into a and is valid UTF-8. */
lrk_status lrk_h5_get_string(lrk_h5 *f, const char *object, const char *name, lrk_arena *a,
                             char **value, lrk_err *err);
lrk_status lrk_h5_get_u64(lrk_h5 *f, const char *object, const char *name, uint64_t *value,
                          lrk_err *err);
bool lrk_h5_has(lrk_h5 *f, const char *object, const char *name);

/* Writing: an element is `width` values. Close writes what is still in the window. */
lrk_status lrk_h5_column_create(lrk_h5 *f, const char *path, lrk_h5_type type, size_t width,
                                lrk_h5_column **c, lrk_err *err);
lrk_status lrk_h5_append(lrk_h5_column *c, const void *values, size_t n, lrk_err *err);

/* Reading. count: elements in the column. */
lrk_status lrk_h5_column_open(lrk_h5 *f, const char *path, lrk_h5_type type, size_t width,
                              lrk_h5_column **c, lrk_err *err);
uint64_t lrk_h5_count(const lrk_h5_column *c);
/* Elements first .. first + n - 1, which must lie inside the column. */
lrk_status lrk_h5_read(lrk_h5_column *c, uint64_t first, size_t n, void *out, lrk_err *err);

/* Writes what remains (writing) and frees; the column is freed even when the write fails. NULL is
 * fine. */
lrk_status lrk_h5_column_close(lrk_h5_column *c, lrk_err *err);
/* Frees without writing, for clean-up after a failure. */
void lrk_h5_column_drop(lrk_h5_column *c);

/* "1.10.8", for `lorikeet doctor`. */
void lrk_h5_version(char *out, size_t size);

#endif /* LRK_DATA_H5_H */
