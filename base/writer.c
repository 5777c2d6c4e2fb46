/* base/writer.c -- files that appear whole or not at all. */
#include "base/fault.h"
#include "base/file.h"
#include "base/signals.h"
#include "base/size.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 18 };

struct lrk_writer {
    int fd;
    char *path, *temporary; /* temporary NULL: path is a device or a pipe */
    uint64_t offset;
    size_t held;
    lrk_arena strings;
    unsigned char buffer[BUFFER];
};

static bool stopping; /* whether a signal is for the writers */

void lrk_writers_stop(bool on)
{
    stopping = on;
}

void lrk_writers_stop_on_signal(void)
{
    lrk_writers_stop(true);
    lrk_signals_install();
}

lrk_status lrk_writers_check(lrk_err *err)
{
    LRK_REQUIRE(err, !stopping || !lrk_stop_requested(), LRK_STOPPED,
                "stopped by a signal; what was begun is removed");
    return LRK_OK;
}

bool lrk_is_temporary(const char *name, bool *left_behind)
{
    const char *mark = NULL;
    size_t process;
    for (const char *at = name; (at = strstr(at, ".tmp-")); at++) mark = at;
    if (!mark || !lrk_text_size(mark + 5, &process) || process > INT_MAX) return false;
    *left_behind = kill((pid_t)process, 0) != 0 && errno == ESRCH;
    return true;
}

/* Those that would have become this file. */
static void remove_left_behind(const char *path)
{
    char dir[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t n = slash ? lrk_min((size_t)(slash - path) + 1, sizeof dir - 1) : 1;
    if (slash) memcpy(dir, path, n);
    DIR *list = opendir(dir);
    for (struct dirent *e; list && (e = readdir(list));) {
        bool left_behind = false;
        if (strncmp(e->d_name, name, strlen(name)) != 0 || strncmp(e->d_name + strlen(name), ".tmp-", 5) != 0) continue;
        if (lrk_is_temporary(e->d_name, &left_behind) && left_behind) unlinkat(dirfd(list), e->d_name, 0);
    }
    if (list) closedir(list);
}

/* A device, a pipe: written to as it stands, for a file in its place would take it from the whole machine. */
static bool is_stream(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

lrk_status lrk_writer_open(lrk_writer **out, const char *path, lrk_err *err)
{
    const bool stream = is_stream(path);
    LRK_REQUIRE(err, !lrk_is_dir(path), LRK_EUSAGE, "%s: is a directory, expected the name of a file", path);
    lrk_writer *w = lrk_heap_alloc(1, sizeof *w);
    LRK_REQUIRE(err, w, LRK_ENOMEM, "memory: no buffer to write %s", path);
    w->fd = -1;
    w->strings = lrk_arena_growing("writer");
    lrk_buf name = {0};
    lrk_buf_printf(&name, "%s.tmp-%ld", path, (long)getpid());
    w->path = lrk_strdup(&w->strings, path);
    if (!stream && !name.failed) w->temporary = lrk_strdup(&w->strings, name.data);
    lrk_buf_free(&name);
    if (!w->path || (!w->temporary && !stream)) {
        lrk_writer_close(w);
        return lrk_fail(err, LRK_ENOMEM, "memory: no room to write %s", path);
    }
    if (!stream) remove_left_behind(path);
    if (!lrk_fault(LRK_FAULT_OPEN))
        w->fd = stream ? open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY)
                       : open(w->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0) {
        const int code = errno;
        lrk_writer_close(w);
        return lrk_cannot_create(path, code, err);
    }
    *out = w;
    return LRK_OK;
}

static lrk_status put(int fd, const char *path, const unsigned char *p, size_t n, lrk_err *err)
{
    while (n) {
        const ssize_t done = lrk_fault(LRK_FAULT_WRITE) ? -1 : write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        LRK_REQUIRE(err, done > 0, LRK_EIO, "%s: cannot write: %s", path, strerror(errno));
        p += done;
        n -= (size_t)done;
    }
    return LRK_OK;
}

static lrk_status flush(lrk_writer *w, lrk_err *err)
{
    const size_t n = w->held;
    w->held = 0;
    return put(w->fd, w->path, w->buffer, n, err);
}

lrk_status lrk_write(lrk_writer *w, const void *data, size_t n, lrk_err *err)
{
    const unsigned char *p = data;
    LRK_TRY(lrk_writers_check(err));
    w->offset += n;
    if (n >= BUFFER) {
        LRK_TRY(flush(w, err));
        return put(w->fd, w->path, p, n, err);
    }
    const size_t room = lrk_min(n, BUFFER - w->held);
    if (room) memcpy(w->buffer + w->held, p, room);
    w->held += room;
    if (w->held == BUFFER) LRK_TRY(flush(w, err));
    if (n > room) memcpy(w->buffer, p + room, n - room);
    w->held += n - room;
    return LRK_OK;
}

uint64_t lrk_writer_offset(const lrk_writer *w)
{
    return w->offset;
}

static lrk_status sync_fd(int fd, const char *path, lrk_err *err)
{
    LRK_REQUIRE(err, !lrk_fault(LRK_FAULT_SYNC) && fsync(fd) == 0, LRK_EIO,
                "%s: cannot bring to the disk: %s", path, strerror(errno));
    return LRK_OK;
}

lrk_status lrk_sync(const char *path, lrk_err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    LRK_REQUIRE(err, fd >= 0, LRK_EIO, "%s: cannot open: %s", path, strerror(errno));
    const lrk_status status = sync_fd(fd, path, err);
    close(fd);
    return status;
}

static lrk_status sync_directory_of(const char *path, lrk_err *err)
{
    /* no memory is asked for here: the new file is in place already */
    char dir[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    const size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    LRK_REQUIRE(err, n < sizeof dir, LRK_EIO, "%s: this path is too long", path);
    if (slash) {
        memcpy(dir, path, n);
        dir[n] = '\0';
    }
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    LRK_REQUIRE(err, fd >= 0, LRK_EIO, "%s: cannot open its directory: %s", path, strerror(errno));
    /* some file systems cannot sync a directory and say EINVAL: the rename is as safe as they get */
    const bool failed = lrk_fault(LRK_FAULT_SYNC) || (fsync(fd) != 0 && errno != EINVAL);
    const int code = errno;
    close(fd);
    LRK_REQUIRE(err, !failed, LRK_EIO, "%s: cannot bring its directory to the disk: %s", path,
                strerror(code));
    return LRK_OK;
}

lrk_status lrk_rename(const char *from, const char *to, lrk_err *err)
{
    LRK_REQUIRE(err, !lrk_fault(LRK_FAULT_RENAME) && rename(from, to) == 0, LRK_EIO,
                "%s: cannot rename to %s: %s", from, to, strerror(errno));
    return sync_directory_of(to, err);
}

lrk_status lrk_writer_commit(lrk_writer *w, lrk_err *err)
{
    LRK_TRY(flush(w, err));
    if (w->temporary) LRK_TRY(sync_fd(w->fd, w->path, err));
    const int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0) {
        const int code = errno;
        if (w->temporary) unlink(w->temporary);
        return lrk_fail(err, LRK_EIO, "%s: cannot write: %s", w->path, strerror(code));
    }
    if (!w->temporary) return LRK_OK;
    const lrk_status status = lrk_rename(w->temporary, w->path, err);
    if (status != LRK_OK) unlink(w->temporary);
    return status;
}

void lrk_writer_close(lrk_writer *w)
{
    if (!w) return;
    if (w->fd >= 0) {
        close(w->fd);
        if (w->temporary) unlink(w->temporary);
    }
    lrk_arena_free(&w->strings);
    lrk_heap_free(w);
}

lrk_status lrk_file_write(const char *path, const void *data, size_t n, lrk_err *err)
{
    lrk_writer *w;
    LRK_TRY(lrk_writer_open(&w, path, err));
    lrk_status status = lrk_write(w, data, n, err);
    if (status == LRK_OK) status = lrk_writer_commit(w, err);
    lrk_writer_close(w);
    return status;
}

lrk_status lrk_file_append(const char *path, const void *data, size_t n, lrk_err *err)
{
    const int fd = lrk_fault(LRK_FAULT_OPEN)
                       ? -1
                       : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    LRK_REQUIRE(err, fd >= 0, LRK_EIO, "%s: cannot open: %s", path, strerror(errno));
    const lrk_status status = put(fd, path, data, n, err);
    close(fd);
    return status;
}

lrk_status lrk_file_copy(const char *from, const char *to, lrk_err *err)
{
    lrk_map m;
    LRK_TRY(lrk_map_open(&m, from, err));
    const lrk_status status = lrk_file_write(to, m.data, m.size, err);
    lrk_map_close(&m);
    return status;
}

lrk_status lrk_remove(const char *path, lrk_err *err)
{
    LRK_REQUIRE(err, remove(path) == 0 || errno == ENOENT, LRK_EIO, "%s: cannot remove: %s", path,
                strerror(errno));
    return LRK_OK;
}

void lrk_remove_files(const char *directory, const char *const *name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char path[PATH_MAX];
        const int length = snprintf(path, sizeof path, "%s/%s", directory, name[i]);
        if (length > 0 && (size_t)length < sizeof path) (void)lrk_remove(path, NULL);
    }
}
