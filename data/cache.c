/* data/cache.c -- names of caches. */
#include "data/cache.h"

#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"

#include <string.h>

lrk_status lrk_cache_name(const char *path, const char *tail, const char *dir, lrk_arena *a, char **out,
                          lrk_err *err)
{
    lrk_buf b = {0};
    char hash[65];
    const char *slash = strrchr(path, '/');
    char *whole = lrk_path_absolute(a, path);
    LRK_REQUIRE(err, whole, LRK_ENOMEM, "memory: no room for a path");
    lrk_sha256_hex(whole, strlen(whole), hash);
    if (dir)
        lrk_buf_printf(&b, "%s/%s-%.8s%s", dir, slash ? slash + 1 : path, hash, tail);
    else
        lrk_buf_printf(&b, "%s%s", path, tail);
    *out = b.failed ? NULL : lrk_strdup(a, b.data);
    lrk_buf_free(&b);
    LRK_REQUIRE(err, *out, LRK_ENOMEM, "memory: no room for a path");
    return LRK_OK;
}

lrk_status lrk_cache_place(const char *path, const char *tail, lrk_arena *a, char **out, lrk_err *err)
{
    char *dir;
    if (lrk_folder_writable(path)) return LRK_OK;
    LRK_TRY(lrk_err_prefix(err, lrk_cache_dir(a, &dir, err), "%s: its folder cannot be written", path));
    LRK_TRY(lrk_cache_name(path, tail, dir, a, out, err));
    if (!lrk_is_file(*out))
        lrk_note("note: %s: its folder cannot be written; what is made from it is kept in %s", path, dir);
    return LRK_OK;
}
