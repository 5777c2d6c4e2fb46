/* base/status.c -- error messages. */
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    int code;
    const char *text;
} table[] = {
#define ROW(name, code, text) {code, text},
    LRK_STATUS_MAP(ROW)
#undef ROW
};

int lrk_exit_code(lrk_status s)
{
    return table[s].code;
}

const char *lrk_status_text(lrk_status s)
{
    return table[s].text;
}

/* Messages quote names and values from files of strangers, which must not steer the terminal. */
static void tame(char *s)
{
    for (; *s; s++)
        if (((unsigned char)*s < 0x20 && *s != '\n' && *s != '\t') || *s == 0x7f) *s = '?';
}

lrk_status lrk_fail(lrk_err *err, lrk_status s, const char *fmt, ...)
{
    if (err && err->status == LRK_OK) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        tame(err->text);
        err->status = s;
    }
    return s;
}

lrk_status lrk_err_prefix(lrk_err *err, lrk_status s, const char *fmt, ...)
{
    if (!err || err->status == LRK_OK) return s;
    char joined[sizeof err->text];
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(joined, sizeof joined, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n + 3 >= sizeof joined) return s;
    size_t used = (size_t)n;
    joined[used++] = ':';
    joined[used++] = ' ';
    const size_t room = sizeof joined - used - 1, length = strlen(err->text);
    const size_t copied = length < room ? length : room;
    memcpy(joined + used, err->text, copied);
    joined[used + copied] = '\0';
    tame(joined);
    memcpy(err->text, joined, used + copied + 1);
    return s;
}

void lrk_bug(const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "lorikeet: bug at %s:%d: ", file, line);
    vfprintf(stderr, fmt, ap);
    fputs("\nlorikeet: this is our mistake, not yours; please report it with the command line\n",
          stderr);
    va_end(ap);
    abort();
}
