/* base/file.c -- reading, mapping, directories, locks. Atomic writing: writer.c. */
#include "base/file.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/size.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int open_read(const char *path, int more)
{
    if (lrk_fault(LRK_FAULT_OPEN)) return -1;
    return open(path, O_RDONLY | O_CLOEXEC | more);
}

/* read(2) that goes on after signals. */
static ssize_t read_some(int fd, void *data, size_t n)
{
    if (lrk_fault(LRK_FAULT_READ)) return -1;
    ssize_t got;
    do {
        got = read(fd, data, n);
    } while (got < 0 && errno == EINTR);
    return got;
}

static lrk_status open_regular(const char *path, int *fd, size_t *size, lrk_err *err)
{
    struct stat st;
    *fd = open_read(path, O_NONBLOCK); /* a pipe without a writer would never open */
    LRK_REQUIRE(err, *fd >= 0, errno == ENOENT ? LRK_EINPUT : LRK_EIO, "%s: cannot open: %s", path,
                strerror(errno));
    if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(*fd);
        return lrk_fail(err, LRK_EINPUT, "%s: not a regular file", path);
    }
    *size = (size_t)st.st_size;
    return LRK_OK;
}

/* What a clone without Git LFS leaves in a file's place is three lines that say where the file is. */
static lrk_status refuse_pointer(const char *path, const void *data, size_t n, lrk_err *err)
{
    static const char begin[] = "version https://git-lfs.github.com/spec/";
    const bool pointer = n >= sizeof begin - 1 && memcmp(data, begin, sizeof begin - 1) == 0;
    LRK_REQUIRE(err, !pointer, LRK_EINPUT,
                "%s: not the file, but Git LFS's note of where it is; `git lfs pull` in its repository fetches it",
                path);
    return LRK_OK;
}

lrk_status lrk_map_open(lrk_map *m, const char *path, lrk_err *err)
{
    int fd;
    *m = (lrk_map){.path = path};
    LRK_TRY(open_regular(path, &fd, &m->size, err));
    if (m->size) {
        void *p = mmap(NULL, m->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            const int code = errno;
            close(fd);
            return lrk_fail(err, LRK_EIO, "%s: cannot map %zu bytes: %s", path, m->size,
                            strerror(code));
        }
        m->data = p;
    }
    close(fd);
    const lrk_status status = refuse_pointer(path, m->data, m->size, err);
    if (status != LRK_OK) lrk_map_close(m);
    return status;
}

void lrk_map_close(lrk_map *m)
{
    /* munmap takes a pointer to non-const, though nothing is written */
    if (m->data) munmap((void *)(uintptr_t)m->data, m->size);
    *m = (lrk_map){0};
}

lrk_status lrk_file_read(lrk_arena *a, const char *path, size_t max, char **data, size_t *n,
                         lrk_err *err)
{
    int fd;
    size_t size, done = 0;
    LRK_TRY(open_regular(path, &fd, &size, err));
    lrk_status status = LRK_OK;
    if (size > max) {
        status = lrk_fail(err, LRK_EINPUT, "%s: %zu bytes, at most %zu are accepted", path, size, max);
    } else {
        status = lrk_alloc(a, size + 1, 1, path, data, err);
    }
    while (status == LRK_OK && done < size) {
        const ssize_t got = read_some(fd, *data + done, size - done);
        if (got < 0)
            status = lrk_fail(err, LRK_EIO, "%s: cannot read: %s", path, strerror(errno));
        else if (got == 0)
            status = lrk_fail(err, LRK_EINPUT, "%s: ends after %zu of %zu bytes", path, done, size);
        else
            done += (size_t)got;
    }
    close(fd);
    if (status == LRK_OK) status = refuse_pointer(path, *data, size, err);
    if (status != LRK_OK) return status;
    (*data)[size] = '\0';
    *n = size;
    return LRK_OK;
}

struct lrk_lines {
    int fd;
    const char *path;
    size_t max_line;
    char *data;
    size_t n, next, capacity; /* bytes held, first not handed out */
    bool ended;
};

lrk_status lrk_lines_open(lrk_lines **out, const char *path, size_t max_line, lrk_err *err)
{
    lrk_lines *l = lrk_heap_alloc(1, sizeof *l);
    LRK_REQUIRE(err, l, LRK_ENOMEM, "memory: no room to read %s", path);
    *l = (lrk_lines){.fd = STDIN_FILENO, .path = path, .max_line = max_line};
    if (strcmp(path, "-") == 0) {
        l->path = "standard input";
    } else {
        l->fd = open_read(path, 0);
        if (l->fd < 0 || lrk_is_dir(path)) {
            const int code = l->fd < 0 ? errno : EISDIR;
            if (l->fd >= 0) close(l->fd);
            lrk_heap_free(l);
            return lrk_fail(err, code == ENOENT || code == EISDIR ? LRK_EINPUT : LRK_EIO,
                            "%s: cannot open: %s", path, strerror(code));
        }
    }
    *out = l;
    return LRK_OK;
}

/* Reads more behind what is held; the part that was handed out is dropped first. */
static lrk_status refill(lrk_lines *l, lrk_err *err)
{
    const bool first = !l->data;
    if (l->next) {
        memmove(l->data, l->data + l->next, l->n - l->next);
        l->n -= l->next;
        l->next = 0;
    }
    if (l->n + 1 >= l->capacity) {
        const size_t capacity = l->capacity ? 2 * l->capacity : 1u << 16;
        char *data = lrk_heap_grow(l->data, capacity, 1);
        LRK_REQUIRE(err, data, LRK_ENOMEM, "memory: no room to read %s", l->path);
        l->data = data;
        l->capacity = capacity;
    }
    const ssize_t got = read_some(l->fd, l->data + l->n, l->capacity - l->n - 1);
    LRK_REQUIRE(err, got >= 0, LRK_EIO, "%s: cannot read: %s", l->path, strerror(errno));
    l->ended = got == 0;
    l->n += (size_t)got;
    return first ? refuse_pointer(l->path, l->data, l->n, err) : LRK_OK;
}

lrk_status lrk_lines_next(lrk_lines *l, char **line, size_t *n, lrk_err *err)
{
    size_t searched = l->next;
    for (;;) {
        char *end = searched < l->n ? memchr(l->data + searched, '\n', l->n - searched) : NULL;
        const size_t length = (end ? (size_t)(end - l->data) : l->n) - l->next;
        LRK_REQUIRE(err, length <= l->max_line, LRK_EINPUT, "%s: a line is longer than %zu bytes",
                    l->path, l->max_line);
        if (end || (l->ended && length)) {
            *line = l->data + l->next;
            *n = length;
            (*line)[length] = '\0';
            l->next += length + (end != NULL);
            return LRK_OK;
        }
        if (l->ended) {
            *line = NULL;
            return LRK_OK;
        }
        const size_t held = l->n - l->next;
        LRK_TRY(refill(l, err));
        searched = held;
    }
}

void lrk_lines_close(lrk_lines *l)
{
    if (!l) return;
    if (l->fd != STDIN_FILENO) close(l->fd);
    lrk_heap_free(l->data);
    lrk_heap_free(l);
}

bool lrk_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool lrk_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

lrk_status lrk_check_apart(const char *out, const char *in, lrk_err *err)
{
    struct stat a, b;
    const bool same = stat(out, &a) == 0 && stat(in, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    LRK_REQUIRE(err, !same && strcmp(out, in) != 0, LRK_EUSAGE, "%s: input and output are the same file", out);
    return LRK_OK;
}

static lrk_status make_one(const char *path, lrk_err *err)
{
    if (mkdir(path, 0777) == 0) return LRK_OK;
    const int code = errno;
    if (lrk_is_dir(path)) return LRK_OK;
    LRK_REQUIRE(err, !lrk_is_file(path), LRK_EUSAGE, "%s: is a file, expected a directory", path);
    return lrk_fail(err, LRK_EIO, "%s: cannot create the directory: %s", path, strerror(code));
}

lrk_status lrk_mkdir(const char *path, lrk_err *err)
{
    lrk_buf part = {0};
    lrk_status status = LRK_OK;
    for (const char *p = path; status == LRK_OK && *p; p++) {
        lrk_buf_append(&part, p, 1);
        const bool whole = p[1] == '\0' || p[1] == '/';
        if (!whole || *p == '/') continue;
        if (part.failed)
            status = lrk_fail(err, LRK_ENOMEM, "memory: no room for the path %s", path);
        else
            status = make_one(part.data, err);
    }
    lrk_buf_free(&part);
    return status;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

lrk_status lrk_dir_list(lrk_arena *a, const char *path, char ***names, size_t *n, lrk_err *err)
{
    DIR *dir = opendir(path);
    LRK_REQUIRE(err, dir, errno == ENOENT ? LRK_EINPUT : LRK_EIO, "%s: cannot list: %s", path,
                strerror(errno));
    lrk_status status = LRK_OK;
    char **list = NULL;
    size_t count = 0, capacity = 0;
    for (struct dirent *e; status == LRK_OK && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            char **grown = lrk_heap_grow(list, capacity, sizeof *list);
            if (!grown) {
                status = lrk_fail(err, LRK_ENOMEM, "memory: no room to list %s", path);
                break;
            }
            list = grown;
        }
        list[count] = lrk_strdup(a, e->d_name);
        if (!list[count]) status = lrk_fail(err, LRK_ENOMEM, "memory: no room to list %s", path);
        count++;
    }
    closedir(dir);
    if (status == LRK_OK) status = lrk_alloc(a, count, sizeof *list, "file names", names, err);
    if (status == LRK_OK) {
        if (count) {
            qsort(list, count, sizeof *list, by_bytes);
            memcpy(*names, list, count * sizeof *list);
        }
        *n = count;
    }
    lrk_heap_free(list);
    return status;
}

lrk_status lrk_dir_is_empty(const char *path, bool *empty, lrk_err *err)
{
    *empty = true;
    DIR *dir = opendir(path);
    if (!dir) {
        LRK_REQUIRE(err, errno == ENOENT, LRK_EIO, "%s: cannot list: %s", path, strerror(errno));
        return LRK_OK;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        bool left_behind = false;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (!lrk_is_temporary(e->d_name, &left_behind) || !left_behind) *empty = false;
    }
    closedir(dir);
    return LRK_OK;
}

lrk_status lrk_dir_clear(const char *path, lrk_err *err)
{
    char **names;
    size_t n;
    lrk_arena a = lrk_arena_growing("directory");
    lrk_status status = lrk_dir_list(&a, path, &names, &n, err);
    for (size_t i = 0; status == LRK_OK && i < n; i++) {
        const char *file = lrk_path_join(&a, path, names[i]);
        status = file ? lrk_remove(file, err) : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    }
    lrk_arena_free(&a);
    return status;
}

char *lrk_path_absolute(lrk_arena *a, const char *path)
{
    char *real = realpath(path, NULL), *copy = lrk_strdup(a, real ? real : path);
    free(real);
    return copy;
}

uint64_t lrk_disk_free(const char *path)
{
    char at[4096];
    struct statvfs fs;
    if (snprintf(at, sizeof at, "%s", path) >= (int)sizeof at) return 0;
    while (statvfs(at, &fs) != 0) {
        char *slash = strrchr(at, '/');
        if (errno != ENOENT || strcmp(at, ".") == 0) return 0;
        if (!slash)
            memcpy(at, ".", 2);
        else
            slash[slash == at] = '\0';
    }
    return (uint64_t)fs.f_bavail * fs.f_frsize;
}

bool lrk_folder_writable(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) + 1 : 0;
    errno = ENAMETOOLONG;
    if (n >= sizeof folder) return false;
    memcpy(folder, path, n);
    folder[n] = '\0';
    return access(n ? folder : ".", W_OK | X_OK) == 0;
}

const char *lrk_path_name(const char *path, size_t *n)
{
    if (!path) path = "";
    *n = strlen(path);
    while (*n && path[*n - 1] == '/') --*n;
    size_t begin = *n;
    while (begin && path[begin - 1] != '/') begin--;
    *n -= begin;
    return path + begin;
}

lrk_status lrk_cannot_create(const char *path, int code, lrk_err *err)
{
    const char *slash = strrchr(path, '/');
    LRK_REQUIRE(err, code != ENOENT || !slash || slash == path, LRK_EIO, "%s: cannot create: there is no folder %.*s",
                path, (int)(slash - path), path);
    return lrk_fail(err, LRK_EIO, "%s: cannot create: %s", path, strerror(code));
}

lrk_status lrk_check_output(const char *path, lrk_err *err)
{
    LRK_REQUIRE(err, !lrk_is_dir(path), LRK_EUSAGE, "%s: is a directory, expected the name of a file", path);
    if (access(path, F_OK) == 0 && !lrk_is_file(path)) /* a device or a pipe is written to as it stands */
        return access(path, W_OK) == 0 ? LRK_OK : lrk_cannot_create(path, errno, err);
    return lrk_folder_writable(path) ? LRK_OK : lrk_cannot_create(path, errno, err);
}

/* Nobody else can have put anything into it. */
static bool private_dir(const char *path)
{
    struct stat st;
    const bool there = mkdir(path, 0700) == 0 || errno == EEXIST;
    return there && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & 022) == 0 && access(path, W_OK | X_OK) == 0;
}

/* parent/below/name, made; NULL where that cannot be. */
static char *dir_below(lrk_arena *a, const char *parent, const char *below, const char *name)
{
    if (!parent || *parent != '/') return NULL; /* relative ones are to be ignored, the standard says */
    const char *folder = below ? lrk_path_join(a, parent, below) : parent;
    if (!folder || lrk_mkdir(folder, NULL) != LRK_OK) return NULL;
    char *path = lrk_path_join(a, folder, name);
    return path && private_dir(path) ? path : NULL;
}

lrk_status lrk_cache_dir(lrk_arena *a, char **path, lrk_err *err)
{
    char name[48];
    const char *tmp = lrk_env("TMPDIR");
    snprintf(name, sizeof name, "lorikeet-%lu", (unsigned long)geteuid());
    *path = dir_below(a, lrk_env("XDG_CACHE_HOME"), NULL, "lorikeet");
    if (!*path) *path = dir_below(a, lrk_env("HOME"), ".cache", "lorikeet");
    if (!*path) *path = dir_below(a, tmp && *tmp ? tmp : "/tmp", NULL, name);
    LRK_REQUIRE(err, *path, LRK_EIO,
                "no directory for caches: none of XDG_CACHE_HOME, ~/.cache and TMPDIR can be written");
    return LRK_OK;
}

lrk_status lrk_scratch_dir(lrk_arena *a, char **path, lrk_err *err)
{
    const char *where = lrk_env("TMPDIR");
    *path = lrk_path_join(a, where && *where ? where : "/tmp", "lorikeet-XXXXXX");
    LRK_REQUIRE(err, *path, LRK_ENOMEM, "memory: no room for a path");
    LRK_REQUIRE(err, !lrk_fault(LRK_FAULT_OPEN) && mkdtemp(*path), LRK_EIO,
                "%s: cannot create the directory: %s", *path, strerror(errno));
    return LRK_OK;
}

lrk_status lrk_scratch_remove(const char *path, lrk_err *err)
{
    LRK_TRY(lrk_dir_clear(path, err));
    return lrk_remove(path, err);
}

char *lrk_path_join(lrk_arena *a, const char *dir, const char *name)
{
    const size_t d = strlen(dir), n = strlen(name);
    char *p;
    if (lrk_alloc(a, d + n + 2, 1, "path", &p, NULL) != LRK_OK) return NULL;
    memcpy(p, dir, d);
    size_t at = d;
    if (d && dir[d - 1] != '/') p[at++] = '/';
    memcpy(p + at, name, n + 1);
    return p;
}

lrk_status lrk_lock_take(lrk_lock *l, const char *path, lrk_err *err)
{
    l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    LRK_REQUIRE(err, l->fd >= 0, LRK_EIO, "%s: cannot open: %s", path, strerror(errno));
    struct flock region = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(l->fd, F_OFD_SETLK, &region) == 0) {
        lrk_buf text = {0};
        lrk_buf_printf(&text, "%ld\n", (long)getpid());
        /* the number only helps the message of whoever comes second: the lock itself is fcntl's */
        if (text.failed || ftruncate(l->fd, 0) != 0 || write(l->fd, text.data, text.n) < 0)
            errno = 0;
        lrk_buf_free(&text);
        return LRK_OK;
    }
    char holder[32] = "";
    const ssize_t got = read(l->fd, holder, sizeof holder - 1);
    holder[got > 0 ? strcspn(holder, "\n") : 0] = '\0';
    lrk_lock_release(l);
    return lrk_fail(err, LRK_ELOCKED, "%s: held by process %s; wait for it or choose another directory",
                    path, *holder ? holder : "(unknown)");
}

void lrk_lock_release(lrk_lock *l)
{
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
}

/* Length of the valid sequence at s, or 0 (Unicode 15, table 3-7). */
static size_t sequence(const unsigned char *s, size_t n)
{
    if (s[0] == 0) return 0;
    if (s[0] < 0x80) return 1;
    const size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || length > n) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0; /* overlong */
    if (s[0] == 0xed && s[1] > 0x9f) return 0; /* surrogate */
    if (s[0] == 0xf0 && s[1] < 0x90) return 0;
    if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
    return length;
}

size_t lrk_utf8_check(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        const size_t length = sequence((const unsigned char *)s + i, n - i);
        if (!length) return i;
        i += length;
    }
    return n;
}
