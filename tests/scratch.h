/* tests/scratch.h -- an empty directory to work in, gone afterwards; group fixtures for cmocka. */
#ifndef LRK_TESTS_SCRATCH_H
#define LRK_TESTS_SCRATCH_H
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch_name[] = "/tmp/lorikeet-test-XXXXXX";

static inline int scratch_remove_one(const char *path, const struct stat *st, int flag,
                                     struct FTW *f)
{
    (void)st;
    (void)flag;
    (void)f;
    return remove(path);
}

static inline int scratch_enter(void **state)
{
    (void)state;
    return mkdtemp(scratch_name) && chdir(scratch_name) == 0 ? 0 : -1;
}

static inline int scratch_leave(void **state)
{
    (void)state;
    return chdir("/") == 0 ? nftw(scratch_name, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS) : -1;
}

/* Writes a file of n bytes. */
static inline void scratch_write(const char *name, const void *data, size_t n)
{
    FILE *f = fopen(name, "wb");
    if (!f || (n && fwrite(data, 1, n, f) != n) || fclose(f) != 0) abort();
}

static inline void scratch_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text));
}

/* Files here whose name contains `part`. */
static inline size_t scratch_count(const char *part)
{
    char line[512];
    size_t n = 0;
    FILE *f = popen("ls -A", "r");
    while (f && fgets(line, sizeof line, f)) n += strstr(line, part) != NULL;
    if (f) pclose(f);
    return n;
}

#endif /* LRK_TESTS_SCRATCH_H */
