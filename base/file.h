/* base/file.h -- all file access of the program: reading, mapping, and writing that either
 * happens whole or not at all.
 *
 * Messages carry path and reason. What Git LFS leaves in the place of a file that it has not fetched is refused as
 * such wherever a file is read, mapped or copied. Paths are bytes; "-" is a file's name but for lrk_lines_open.
 */
#ifndef LRK_BASE_FILE_H
#define LRK_BASE_FILE_H
#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file mapped read-only. Follows symlinks, demands a regular file. */
typedef struct lrk_map {
    const unsigned char *data;
    size_t size;
    const char *path; /* the caller's string, kept for messages */
} lrk_map;

lrk_status lrk_map_open(lrk_map *m, const char *path, lrk_err *err);
void lrk_map_close(lrk_map *m); /* may be called twice, and on a zeroed map */

/* The whole file, NUL-terminated after its end, into a. Refuses files beyond max bytes. */
lrk_status lrk_file_read(lrk_arena *a, const char *path, size_t max, char **data, size_t *n,
                         lrk_err *err);

/* Line by line, from a file or standard input (path "-"), bounded memory. A line's newline is
 * dropped; a last line without one counts. *line is valid until the next call. */
typedef struct lrk_lines lrk_lines;
lrk_status lrk_lines_open(lrk_lines **l, const char *path, size_t max_line, lrk_err *err);
/* Sets *line to NULL at the end of the file. */
lrk_status lrk_lines_next(lrk_lines *l, char **line, size_t *n, lrk_err *err);
void lrk_lines_close(lrk_lines *l);

/* Writing. The bytes go to "<path>.tmp-<pid>"; commit syncs the file, renames it over `path` and
 * syncs the directory, so a reader sees the old file or the new one. Without commit, close
 * removes the temporary file; opening removes those of the same path that a killed process left. A device or a pipe is
 * never replaced: its bytes go into it as they come. */
typedef struct lrk_writer lrk_writer;
lrk_status lrk_writer_open(lrk_writer **w, const char *path, lrk_err *err);
lrk_status lrk_write(lrk_writer *w, const void *data, size_t n, lrk_err *err);
uint64_t lrk_writer_offset(const lrk_writer *w);
lrk_status lrk_writer_commit(lrk_writer *w, lrk_err *err);
void lrk_writer_close(lrk_writer *w); /* NULL is fine; after commit only frees */

/* For commands that write whole outputs: from now on a first SIGINT or SIGTERM does not end the process, but makes
 * lrk_write and lrk_writers_check fail with LRK_STOPPED, so that what was begun is removed on the way out as
 * on any error. A second one ends it. */
void lrk_writers_stop_on_signal(void);
void lrk_writers_stop(bool on); /* the same for a part of the work, where signals are minded already (base/signals.h) */
lrk_status lrk_writers_check(lrk_err *err); /* between pieces of long work that writes nothing */

/* Open, write all, commit. */
lrk_status lrk_file_write(const char *path, const void *data, size_t n, lrk_err *err);

/* A file that only grows (metrics.jsonl); each append reaches the kernel before it returns. */
lrk_status lrk_file_append(const char *path, const void *data, size_t n, lrk_err *err);

/* Byte-for-byte copy, atomic as above. */
lrk_status lrk_file_copy(const char *from, const char *to, lrk_err *err);

bool lrk_is_file(const char *path);
bool lrk_is_dir(const char *path);
lrk_status lrk_mkdir(const char *path, lrk_err *err);      /* with parents; an existing one is fine */
/* A file can be written at path, as far as one can tell before: LRK_EUSAGE where it is a directory, LRK_EIO
 * where its folder is not there or not for this user to write in. */
lrk_status lrk_check_output(const char *path, lrk_err *err);
/* LRK_EIO with what errno's code says; a folder that is not there is named. */
lrk_status lrk_cannot_create(const char *path, int code, lrk_err *err);
/* LRK_EUSAGE where both name one file that is there, by whatever path: it would be read and replaced. */
lrk_status lrk_check_apart(const char *out, const char *in, lrk_err *err);
/* Missing counts as empty, and so do temporary files of writers that were killed. */
lrk_status lrk_dir_is_empty(const char *path, bool *empty, lrk_err *err);
/* Whether that is the name of a writer's temporary file, and of one whose process is no more. */
bool lrk_is_temporary(const char *name, bool *left_behind);
lrk_status lrk_remove(const char *path, lrk_err *err);     /* or an empty directory; missing is fine */
/* The files of a directory that are there and can be removed. Asks for no memory: there may be none left. */
void lrk_remove_files(const char *directory, const char *const *name, size_t n);
lrk_status lrk_rename(const char *from, const char *to, lrk_err *err); /* + sync of the directory */

/* Bytes free for this user in the file system of a path, or of the nearest folder above it that is there; 0
 * where the system does not tell. */
uint64_t lrk_disk_free(const char *path);

/* Brings a file that some library wrote to the disk, before it is renamed. */
lrk_status lrk_sync(const char *path, lrk_err *err);

/* Names in a directory, sorted by bytes, without "." and "..". */
lrk_status lrk_dir_list(lrk_arena *a, const char *path, char ***names, size_t *n, lrk_err *err);

/* Removes the files in a directory, which stays. */
lrk_status lrk_dir_clear(const char *path, lrk_err *err);

/* A new empty directory in TMPDIR, else in /tmp, for nobody else to read; its path is in a. Removed with
 * the files in it. */
lrk_status lrk_scratch_dir(lrk_arena *a, char **path, lrk_err *err);
lrk_status lrk_scratch_remove(const char *path, lrk_err *err);

/* Whether files can be made in the folder of this path. */
bool lrk_folder_writable(const char *path);

/* A directory of this user for what can be made again: lorikeet/ in XDG_CACHE_HOME, else in ~/.cache,
 * else lorikeet-<user id>/ in TMPDIR or /tmp; made if it is not there, in a. LRK_EIO where none can be
 * written. */
lrk_status lrk_cache_dir(lrk_arena *a, char **path, lrk_err *err);

/* "dir/name" in a; NULL when memory is out. */
char *lrk_path_join(lrk_arena *a, const char *dir, const char *name);

/* "name" of "owner/name", "/some/where/name" and "name/", n bytes of path; none of "", "/" and NULL. */
const char *lrk_path_name(const char *path, size_t *n);

/* The path from the root, without links, in a; as it stands where the file is not there. */
char *lrk_path_absolute(lrk_arena *a, const char *path);

/* An exclusive lock on a file, held until close or the end of the process, whatever its end. Taken
 * by someone else: LRK_ELOCKED naming the holder's process id. */
typedef struct lrk_lock {
    int fd;
} lrk_lock;
lrk_status lrk_lock_take(lrk_lock *l, const char *path, lrk_err *err);
void lrk_lock_release(lrk_lock *l);

/* First invalid byte of UTF-8 text (overlong forms, surrogates and NUL count), or n when fine. */
size_t lrk_utf8_check(const char *s, size_t n);

#endif /* LRK_BASE_FILE_H */
