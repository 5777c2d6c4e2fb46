/* base/log.c -- messages to standard error. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static atomic_int current_level = 1;
static atomic_bool line_open; /* the cursor stands behind a line that may be rewritten */

void lrk_log_level(int level) { atomic_store(&current_level, level); }

static void print(const char *prefix, const char *fmt, va_list ap)
{
    if (atomic_exchange(&line_open, false)) fputs("\r\033[K", stderr);
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

bool lrk_log_terminal(void) { return isatty(STDERR_FILENO) != 0; }

void lrk_log_line(const char *text)
{
    struct winsize size = {0};
    if (atomic_load(&current_level) < 1) return;
    if (!lrk_log_terminal()) {
        fprintf(stderr, "%s\n", text);
        return;
    }
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    fprintf(stderr, "\r%.*s\033[K", known ? size.ws_col - 1 : 79, text);
    fflush(stderr);
    atomic_store(&line_open, true);
}

void lrk_log_line_end(void)
{
    if (atomic_exchange(&line_open, false)) fputc('\n', stderr);
}

const char *lrk_env(const char *name) { return getenv(name); }
