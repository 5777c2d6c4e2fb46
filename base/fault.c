/* base/fault.c -- counts operations and fails the chosen one. */
#include "base/fault.h"

typedef int lrk_fault_not_empty; /* a translation unit must declare something */

#ifdef LRK_FAULTS
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[LRK_FAULT_COUNT] = {"alloc", "open",  "read",
                                                   "write", "sync", "rename"};
static const int errors[LRK_FAULT_COUNT] = {ENOMEM, EIO, EIO, ENOSPC, EIO, EIO};

static atomic_long counts[LRK_FAULT_COUNT + 1];

static bool hit(long seen, const char *spec)
{
    char *end;
    const long n = strtol(spec, &end, 10);
    return *end == '+' ? seen >= n : seen == n;
}

bool lrk_fault(lrk_fault_kind kind)
{
    const char *spec = lrk_env("LRK_FAULT");
    if (!spec) return false;
    if (strncmp(spec, "kill:", 5) == 0) {
        if (kind != LRK_FAULT_ALLOC && kind != LRK_FAULT_READ &&
            hit(atomic_fetch_add(&counts[LRK_FAULT_COUNT], 1) + 1, spec + 5))
            _exit(137);
        return false;
    }
    const size_t n = strlen(names[kind]);
    if (strncmp(spec, names[kind], n) != 0 || spec[n] != ':') return false;
    if (!hit(atomic_fetch_add(&counts[kind], 1) + 1, spec + n + 1)) return false;
    errno = errors[kind];
    return true;
}
#endif
