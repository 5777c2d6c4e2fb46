/* tests/emulator/memory.cpp -- allocations, shared arrays, copies. */
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

struct shared_array {
    const char *name, *function;
    int line;
    size_t offset, bytes;
};

enum { GUARD = 2048, SHARED_ROOM = 256 * 1024 };

alignas(256) static char shared_bytes[SHARED_ROOM];
static cell shared_cells[SHARED_ROOM];

static struct {
    region all;
    std::vector<shared_array> arrays; /* of the launch; the first is the dynamic one */
    size_t limit, used, end;
} shared = {{shared_bytes, SHARED_ROOM, shared_cells, 0, region::SHARED}, {}, 0, 0, 0};

/* By address. Never destroyed, so that no leak is seen in what it points to. */
static std::vector<region *> &regions = *new std::vector<region *>;
static region *last_region;
static size_t device_bytes;

extern "C" {
void __asan_poison_memory_region(const volatile void *, size_t) __attribute__((weak));
void *__asan_region_is_poisoned(void *, size_t) __attribute__((weak));
}

static size_t offset_in(const region *r, const void *p)
{
    return reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(r->base);
}

region *emulator_region_of(const void *p)
{
    region *l = last_region;
    if (offset_in(&shared.all, p) < SHARED_ROOM) return &shared.all;
    if (l && offset_in(l, p) < l->bytes) return l;
    size_t low = 0, high = regions.size();
    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (regions[mid]->base <= p)
            low = mid + 1;
        else
            high = mid;
    }
    if (!low || offset_in(regions[low - 1], p) >= regions[low - 1]->bytes) return nullptr;
    return last_region = regions[low - 1];
}

static void shared_place_name(size_t offset, char *text, size_t size)
{
    const shared_array *best = nullptr;
    for (const shared_array &a : shared.arrays)
        if (a.offset <= offset && (!best || a.offset > best->offset)) best = &a;
    if (!best)
        snprintf(text, size, "in front of all shared arrays");
    else if (offset < best->offset + best->bytes)
        snprintf(text, size, "byte %zu of shared array %s of %zu bytes", offset - best->offset,
                 best->name, best->bytes);
    else
        snprintf(text, size, "%zu bytes behind shared array %s of %zu bytes",
                 offset - best->offset - best->bytes, best->name, best->bytes);
}

void emulator_place_name(const void *p, char *text, size_t size)
{
    if (offset_in(&shared.all, p) < SHARED_ROOM) {
        shared_place_name(offset_in(&shared.all, p), text, size);
        return;
    }
    snprintf(text, size, "no allocation is near");
    for (const region *r : regions) {
        const char *kind = r->kind == region::DEVICE ? "device" : "pinned";
        const size_t in_front = 0 - offset_in(r, p);
        if (offset_in(r, p) < r->bytes + (1 << 20))
            snprintf(text, size, "byte %zu of the %s allocation of %zu bytes at %p",
                     offset_in(r, p), kind, r->bytes, static_cast<void *>(r->base));
        else if (in_front <= 1 << 12)
            snprintf(text, size, "%zu bytes in front of the %s allocation at %p", in_front, kind,
                     static_cast<void *>(r->base));
    }
}

/* ---- shared memory -----------------------------------------------------------------------------
 */

void emulator_memory_launch(size_t dynamic, size_t limit)
{
    shared.limit = limit;
    shared.used = dynamic;
    shared.end = GUARD + (dynamic + 15) / 16 * 16 + GUARD;
    shared.arrays = {{"(dynamic)", "", 0, GUARD, dynamic}};
}

void emulator_memory_block(uint64_t first) { shared.all.first = first; }

bool emulator_of_array(size_t offset, size_t bytes)
{
    for (const shared_array &a : shared.arrays)
        if (offset - a.offset < a.bytes && bytes <= a.bytes - (offset - a.offset)) return true;
    return false;
}

void *lrk_emulated_dynamic_shared(void) { return shared_bytes + GUARD; }

/* Strings are compared as pointers, as in block.cpp. */
void *lrk_emulated_shared(const char *name, const char *function, int line, size_t bytes)
{
    for (const shared_array &a : shared.arrays)
        if (a.line == line && a.name == name && a.function == function)
            return shared_bytes + a.offset;
    const size_t offset = shared.end;
    shared.used += bytes;
    if (shared.used > shared.limit)
        emulator_error("launch",
                       "shared array %s of %zu bytes makes %zu bytes of the block, more "
                       "than the %zu allowed",
                       name, bytes, shared.used, shared.limit);
    shared.end += (bytes + 15) / 16 * 16 + GUARD;
    if (shared.end > SHARED_ROOM)
        emulator_error("launch", "more shared arrays than the emulator holds");
    shared.arrays.push_back({name, function, line, offset, bytes});
    return shared_bytes + offset;
}

bool emulator_is_shared(const void *p, size_t bytes)
{
    const size_t offset = offset_in(&shared.all, p);
    return offset < SHARED_ROOM && bytes <= SHARED_ROOM - offset;
}

/* ---- allocations ----------------------------------------------------------------------------- */

static void *map(size_t bytes, int protection)
{
    void *p = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED) return p;
    perror("emulator: memory");
    abort();
}

static size_t pages(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

/* A page that nobody may touch on either side. Host code may not touch memory of the device, which
 * AddressSanitizer sees; the kernels are not compiled with it. */
void *emulator_allocate(size_t bytes, bool device)
{
    const size_t page = pages(1), body = pages(bytes ? bytes : 1);
    char *base = static_cast<char *>(map(body + 2 * page, PROT_NONE)) + page;
    mprotect(base, body, PROT_READ | PROT_WRITE);
    region *r = new region{base, bytes, nullptr, device, device ? region::DEVICE : region::PINNED};
    r->cells = static_cast<cell *>(map(body * sizeof(cell), PROT_READ | PROT_WRITE));
    if (device && __asan_poison_memory_region) __asan_poison_memory_region(base, body);
    if (device) device_bytes += bytes;
    size_t at = 0;
    while (at < regions.size() && regions[at]->base < base) at++;
    regions.insert(regions.begin() + (ptrdiff_t)at, r);
    return base;
}

/* The address is never used again: what still points there is found out. */
bool emulator_release(void *p, bool device)
{
    for (size_t i = 0; i < regions.size(); i++) {
        region *r = regions[i];
        if (r->base != p || (r->kind == region::DEVICE) != device) continue;
        const size_t body = pages(r->bytes ? r->bytes : 1);
        madvise(r->base, body, MADV_DONTNEED);
        mprotect(r->base, body, PROT_NONE);
        munmap(r->cells, body * sizeof(cell));
        if (device) device_bytes -= r->bytes;
        regions.erase(regions.begin() + (ptrdiff_t)i);
        if (last_region == r) last_region = nullptr;
        delete r;
        return true;
    }
    return false;
}

size_t emulator_allocated(void) { return device_bytes; }

emulator_place emulator_place_of(const void *p, size_t bytes, const char *what)
{
    const region *r = emulator_region_of(p);
    if (r && r->kind != region::SHARED) {
        const size_t offset = offset_in(r, p);
        if (bytes > r->bytes - offset)
            emulator_error("bounds", "%s of %zu bytes at byte %zu of an allocation of %zu bytes",
                           what, bytes, offset, r->bytes);
        return r->kind == region::DEVICE ? EMULATOR_DEVICE : EMULATOR_PINNED;
    }
    if (bytes && __asan_region_is_poisoned &&
        __asan_region_is_poisoned(const_cast<void *>(p), bytes))
        emulator_error("bounds", "%s of %zu bytes at %p, not all of which the host may use", what,
                       bytes, p);
    return EMULATOR_HOST;
}

/* The bytes are written, or as blank as those that were copied. */
static void written(const void *to, size_t bytes, const void *from)
{
    region *t = emulator_region_of(to);
    const region *f = from ? emulator_region_of(from) : nullptr;
    for (size_t i = 0; t && i < bytes; i++)
        t->cells[offset_in(t, to) + i].write = f && f->blank(offset_in(f, from) + i) ? 0 : (uint64_t)BY_HOST;
}

/* Loops of our own: AddressSanitizer's memcpy would not let us into memory of the device. */
void emulator_copy(void *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) static_cast<char *>(to)[i] = static_cast<const char *>(from)[i];
    written(to, bytes, from);
}

void emulator_fill(void *to, int value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) static_cast<char *>(to)[i] = (char)value;
    written(to, bytes, nullptr);
}

void emulator_library_read(const void *p, size_t bytes, const char *what)
{
    const region *r = emulator_region_of(p);
    for (size_t i = 0; r && i < bytes; i++)
        if (r->blank(offset_in(r, p) + i)) {
            char place[256];
            emulator_place_name(static_cast<const char *>(p) + i, place, sizeof place);
            emulator_error("uninitialized", "%s reads %s, which nobody has written", what, place);
            return;
        }
}

void emulator_library_write(void *p, size_t bytes) { written(p, bytes, nullptr); }
