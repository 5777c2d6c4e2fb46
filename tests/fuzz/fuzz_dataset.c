/* tests/fuzz/fuzz_dataset.c -- a data set from a stranger, read to its end. The HDF5 library reads
 * from a path, so each input becomes a file that exists in memory alone. */
#include "data/dataset.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    lrk_dataset *d;
    lrk_err err = {0};
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size)) LRK_BUG("no file in memory");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    lrk_status s = lrk_dataset_open(&d, path, &err);
    if (s == LRK_OK) {
        s = lrk_dataset_verify(d, &err);
        lrk_dataset_close(d);
    }
    if (s != LRK_OK && err.status == LRK_OK) LRK_BUG("a failure without a message");
    close(fd);
    return 0;
}
