/* base/clock.c -- time and memory as the kernel counts them. */
#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double lrk_seconds(void)
{
    return now(CLOCK_MONOTONIC);
}

/* Text of a file in /proc; empty when it cannot be read. Not through base/file.h, which goes by the
 * size of a file: the kernel gives 0 for these. */
static void proc_text(const char *path, char *text, size_t size)
{
    size_t n = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        const ssize_t got = read(fd, text, size - 1);
        n = got > 0 ? (size_t)got : 0;
        close(fd);
    }
    text[n] = '\0';
}

double lrk_process_seconds(void)
{
    char text[1024];
    proc_text("/proc/self/stat", text, sizeof text);
    const char *p = strrchr(text, ')'); /* the command's name may hold blanks */
    for (int field = 2; p && field < 22; field++) p = strchr(p + 1, ' ');
    if (!p) return 0.0;
    const double started = strtod(p + 1, NULL) / (double)sysconf(_SC_CLK_TCK);
    return now(CLOCK_BOOTTIME) - started;
}

void lrk_utc(char out[21])
{
    const time_t t = time(NULL);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 21, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* A line "Key:   123 kB" of /proc/self/status or /proc/meminfo, in bytes. */
static size_t field(const char *path, const char *key)
{
    char text[4096];
    proc_text(path, text, sizeof text);
    const char *p = strstr(text, key);
    return p ? (size_t)strtoull(p + strlen(key), NULL, 10) * 1024 : 0;
}

size_t lrk_memory_peak(void)
{
    return field("/proc/self/status", "VmHWM:");
}

size_t lrk_memory_now(void)
{
    return field("/proc/self/status", "VmRSS:");
}

void lrk_memory_return(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

size_t lrk_memory_anonymous(void)
{
    return field("/proc/self/status", "RssAnon:");
}

/* /proc/self/pagemap: eight bytes a page, the highest bit says that it is there. */
size_t lrk_memory_resident(const void *p, size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t first = ((uintptr_t)p + page - 1) / page, end = ((uintptr_t)p + n) / page;
    uint64_t entry[512];
    size_t pages = 0;
    const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    for (size_t at = first; fd >= 0 && at < end;) {
        const size_t most = end - at < 512 ? end - at : 512;
        const ssize_t got = pread(fd, entry, most * sizeof *entry, (off_t)(at * sizeof *entry));
        if (got < (ssize_t)sizeof *entry) break;
        const size_t read = (size_t)got / sizeof *entry;
        for (size_t i = 0; i < read; i++) pages += entry[i] >> 63;
        at += read;
    }
    if (fd >= 0) close(fd);
    return pages * page;
}

size_t lrk_memory_total(void)
{
    return field("/proc/meminfo", "MemTotal:");
}

size_t lrk_memory_available(void)
{
    return field("/proc/meminfo", "MemAvailable:");
}
