/* tests/emulator/memory.h -- shadow memory, for memory.cpp, which keeps it, access.cpp, which looks at it, and
 * tensor.cpp. */
#ifndef LRK_EMULATOR_MEMORY_H
#define LRK_EMULATOR_MEMORY_H
#include "emulator.h"

/* All that is known of a byte: stamps of access.cpp of its last write and of the reads since. */
struct cell {
    uint64_t write, read;
};

enum { BY_HOST = 4 }; /* the stamp of a write that comes before every kernel */

/* An allocation, or all shared memory of the running block. */
struct region {
    char *base;
    size_t bytes;
    cell *cells;
    uint64_t first; /* a byte whose write is older is one that nobody wrote */
    emulator_place place;

    bool blank(size_t i) const { return cells[i].write < first; }

    /* Of p, which may lie elsewhere: then it is beyond `bytes`. */
    size_t offset(const void *p) const { return reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(base); }

    bool holds(const void *p) const { return offset(p) < bytes; }
};

extern region emulator_shared; /* of the running block */

region *emulator_region_of(const void *p); /* NULL: in none */

/* Whether those bytes of the shared region are of one array. */
bool emulator_of_array(size_t offset, size_t bytes);

/* Where a byte lies, in words: in which array or allocation, or near which. */
void emulator_place_name(const void *p, char *text, size_t size);

#endif /* LRK_EMULATOR_MEMORY_H */
