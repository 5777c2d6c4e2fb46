/* tests/emulator/memory.h -- shadow memory, for memory.cpp, which keeps it, and access.cpp, which
 * looks at it. */
#ifndef LRK_EMULATOR_MEMORY_H
#define LRK_EMULATOR_MEMORY_H
#include "emulator.h"

enum { BLANK, KNOWN, PENDING, OUTSIDE }; /* of a byte; 0 is what fresh memory has */

/* Who wrote a byte last, and who read it: stamps of access.cpp. */
struct cell {
    uint64_t write, read;
};

/* An allocation, or all shared memory of the running block. */
struct region {
    char *base;
    size_t bytes;
    unsigned char *known; /* a state for each byte */
    cell *cells;
    enum { DEVICE, PINNED, SHARED } kind;
};

region *emulator_region_of(const void *p); /* NULL: in none */

/* Where a byte lies, in words: in which array or allocation, or near which. */
void emulator_place_name(const void *p, char *text, size_t size);

#endif /* LRK_EMULATOR_MEMORY_H */
