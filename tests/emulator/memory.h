/* tests/emulator/memory.h -- shadow memory, for memory.cpp, which keeps it, access.cpp, which looks at it, and
 * tensor.cpp. */
#ifndef LRK_EMULATOR_MEMORY_H
#define LRK_EMULATOR_MEMORY_H
#include "emulator.h"

/* All that is known of a byte, or of bytes that were always accessed together: stamps of access.cpp of its last write
 * and of the reads since. */
struct cell {
    uint64_t write, read;
};

enum { BY_HOST = 4 }; /* the stamp of a write that comes before every kernel */
enum { WORD = 4, FINENESSES = 3, PIECE = 1024 };

/* An allocation, or all shared memory of the running block. Its words have a cell each; those of a piece of it where
 * part of a word was accessed have as many as it takes: one for 2 bytes, or for each. */
struct region {
    char *base;
    size_t bytes;
    cell *cells[FINENESSES]; /* of words, halves, bytes */
    uint8_t *fineness;       /* of each piece: which of the cells are its own */
    uint64_t first;          /* a byte whose write is older is one that nobody wrote */
    emulator_place place;

    /* How many bytes have the cell of byte i. */
    size_t together(size_t i) const { return WORD >> fineness[i / PIECE]; }

    cell *cell_of(size_t i) const
    {
        const unsigned f = fineness[i / PIECE];
        return &cells[f][i >> (FINENESSES - 1 - f)];
    }

    bool blank(size_t i) const { return cell_of(i)->write < first; }

    /* How many bytes from byte i on, of n that are accessed, have a cell that no others have. */
    size_t step(size_t i, size_t n)
    {
        while (n < together(i) || i & (together(i) - 1)) refine(i / PIECE);
        return together(i);
    }

    void refine(size_t piece);

    /* Of p, which may lie elsewhere: then it is beyond `bytes`. */
    size_t offset(const void *p) const { return reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(base); }

    bool holds(const void *p) const { return offset(p) < bytes; }
};

extern region emulator_shared; /* of the running block */

enum { RECENT = 64, PAGE_BITS = 12 };
extern region *emulator_recent[RECENT]; /* which were asked for last, by page, or NULL */

region *emulator_find_region(const void *p);

/* NULL: in none, or not asked for of late. */
static inline region *emulator_near_region_of(const void *p)
{
    if (emulator_shared.holds(p)) return &emulator_shared;
    region *r = emulator_recent[(reinterpret_cast<uintptr_t>(p) >> PAGE_BITS) % RECENT];
    return r && r->holds(p) ? r : nullptr;
}

/* NULL: in none. */
static inline region *emulator_region_of(const void *p)
{
    region *r = emulator_near_region_of(p);
    return r ? r : emulator_find_region(p);
}

/* Whether those bytes of the shared region are of one array. */
bool emulator_of_array(size_t offset, size_t bytes);

/* Where a byte lies, in words: in which array or allocation, or near which. */
void emulator_place_name(const void *p, char *text, size_t size);

#endif /* LRK_EMULATOR_MEMORY_H */
