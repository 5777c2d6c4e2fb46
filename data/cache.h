/* data/cache.h -- where what is made from a file of data is kept: beside it, or elsewhere. */
#ifndef LRK_DATA_CACHE_H
#define LRK_DATA_CACHE_H
#include "base/arena.h"

/* The name of the cache for `path`, in a. dir NULL: "<path><tail>". Else "<dir>/<name><hash><tail>", where
 * hash tells apart what has the same name in other folders. */
lrk_status lrk_cache_name(const char *path, const char *tail, const char *dir, lrk_arena *a, char **out,
                          lrk_err *err);

/* For a cache that has to be written and is to lie at *out, beside `path`: where that folder cannot be
 * written, the name in the user's cache directory (base/file.h) instead, with a note. */
lrk_status lrk_cache_place(const char *path, const char *tail, lrk_arena *a, char **out, lrk_err *err);

#endif /* LRK_DATA_CACHE_H */
