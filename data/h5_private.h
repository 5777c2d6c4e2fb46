/* data/h5_private.h -- what h5.c (files, groups, attributes) and h5_column.c (columns) share. No
 * other file includes it: hdf5.h stays behind these two. */
#ifndef LRK_DATA_H5_PRIVATE_H
#define LRK_DATA_H5_PRIVATE_H
#include "data/h5.h"

#include <hdf5.h>

struct lrk_h5 {
    hid_t file;
    lrk_arena strings;
    char *path, *temporary; /* temporary: NULL while reading */
};

/* Says `what` with the library's innermost reason; an operating system's refusal becomes LRK_EIO
 * with its own text. Clears the library's error stack. */
lrk_status lrk_h5_failed(lrk_err *err, lrk_status status, const char *path, const char *what);

#define H5_REQUIRE(err, cond, status, path, what)                         \
    do {                                                                  \
        if (!(cond)) return lrk_h5_failed(err, status, path, what);       \
    } while (0)

#endif /* LRK_DATA_H5_PRIVATE_H */
