/* base/module_key.c -- keys that are names without the expression engine, others with it. */
#include "base/module_key.h"

#include "base/arena.h"
#include "base/pattern.h"
#include "base/text.h"

#include <string.h>

/* Most keys are names, with '.' or "\." between and '^' in front: length of the text such a one matches, or
 * -1 for any other regular expression. */
static long name_length(const char *p)
{
    long n = 0;
    for (p += *p == '^'; *p; p++, n++) {
        if (*p == '\\' && *++p != '.') return -1;
        if (*p == '$' && !p[1]) return n;
        if (strchr("\\[](){}*+?|^$", *p) && *p != '.') return -1;
    }
    return n;
}

static bool name_matches(const char *p, const char *path)
{
    const size_t n = (size_t)name_length(p), length = strlen(path);
    if (n > length || (n < length && (*p == '^' || path[length - n - 1] != '.'))) return false;
    path += length - n;
    for (p += *p == '^'; *path; p++, path++) {
        if (*p == '.') continue;
        if (*p == '\\') p++;
        if (*p != *path) return false;
    }
    return true;
}

lrk_status lrk_module_key_matches(const char *key, const char *path, bool *matches, lrk_err *err)
{
    lrk_buf text = {0};
    lrk_pattern *p = NULL;
    if (path && name_length(key) >= 0) {
        *matches = name_matches(key, path);
        return LRK_OK;
    }
    lrk_buf_printf(&text, "(.*\\.)?(%s)", key);
    lrk_status status = lrk_buf_check(&text, err);
    if (status == LRK_OK) status = lrk_pattern_compile(&p, text.data, err);
    if (status == LRK_OK && path) status = lrk_pattern_match(p, path, matches, err);
    lrk_pattern_free(p);
    lrk_buf_free(&text);
    return status;
}
