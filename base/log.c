/* base/log.c -- messages to standard error. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_int current_level = 1;

void lrk_log_level(int level)
{
    atomic_store(&current_level, level);
}

static void print(const char *prefix, const char *fmt, va_list ap)
{
    fputs(prefix, stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

void lrk_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print("warning: ", fmt, ap);
    va_end(ap);
}

void lrk_note(const char *fmt, ...)
{
    if (atomic_load(&current_level) < 1) return;
    va_list ap;
    va_start(ap, fmt);
    print("", fmt, ap);
    va_end(ap);
}

void lrk_verbose(const char *fmt, ...)
{
    if (atomic_load(&current_level) < 2) return;
    va_list ap;
    va_start(ap, fmt);
    print("", fmt, ap);
    va_end(ap);
}

const char *lrk_env(const char *name)
{
    return getenv(name);
}
