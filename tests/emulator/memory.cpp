/* tests/emulator/memory.cpp -- allocations, shared arrays, copies. */
#include "memory.h"

#include <algorithm>
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
static cell shared_words[SHARED_ROOM / 4], shared_halves[SHARED_ROOM / 2], shared_cells[SHARED_ROOM];
static uint8_t shared_fineness[SHARED_ROOM / PIECE];
region emulator_shared = {shared_bytes,    SHARED_ROOM, {shared_words, shared_halves, shared_cells},
                          shared_fineness, 0,           EMULATOR_BLOCK};
region *emulator_recent[RECENT];

/* Of the launch, by offset. The first array is the dynamic one; between them no byte is ever written. */
static struct {
    std::vector<shared_array> arrays;
    size_t limit, used, end;
} shared;

/* By address. Never destroyed, so that no leak is seen in what it points to. */
static std::vector<region *> &regions = *new std::vector<region *>;
static size_t device_bytes;

extern "C" {
void __asan_poison_memory_region(const volatile void *, size_t) __attribute__((weak));
void *__asan_region_is_poisoned(void *, size_t) __attribute__((weak));
}

/* The first region that ends behind p, or would begin there. */
static std::vector<region *>::iterator place_in_order(const void *p)
{
    return std::lower_bound(regions.begin(), regions.end(), p,
                            [](const region *r, const void *q) { return r->base + r->bytes <= q; });
}

region *emulator_find_region(const void *p)
{
    const auto at = place_in_order(p);
    if (at == regions.end() || !(*at)->holds(p)) return nullptr;
    return emulator_recent[(reinterpret_cast<uintptr_t>(p) >> PAGE_BITS) % RECENT] = *at;
}

void region::refine(size_t piece)
{
    const uint8_t f = fineness[piece];
    const size_t n = PIECE / WORD << f;
    for (size_t i = piece * n; i < (piece + 1) * n; i++) cells[f + 1][2 * i] = cells[f + 1][2 * i + 1] = cells[f][i];
    fineness[piece]++;
}

static void shared_place_name(size_t offset, char *text, size_t size)
{
    const shared_array *best = nullptr;
    for (const shared_array &a : shared.arrays)
        if (a.offset <= offset) best = &a;
    if (!best)
        snprintf(text, size, "in front of all shared arrays");
    else if (offset < best->offset + best->bytes)
        snprintf(text, size, "byte %zu of shared array %s of %zu bytes", offset - best->offset, best->name,
                 best->bytes);
    else
        snprintf(text, size, "%zu bytes behind shared array %s of %zu bytes", offset - best->offset - best->bytes,
                 best->name, best->bytes);
}

void emulator_place_name(const void *p, char *text, size_t size)
{
    if (emulator_shared.holds(p)) {
        shared_place_name(emulator_shared.offset(p), text, size);
        return;
    }
    snprintf(text, size, "no allocation is near");
    for (const region *r : regions) {
        const char *kind = r->place == EMULATOR_DEVICE ? "device" : "pinned";
        const size_t offset = r->offset(p), in_front = 0 - offset;
        const void *base = r->base;
        if (offset < r->bytes + (1 << 20))
            snprintf(text, size, "byte %zu of the %s allocation of %zu bytes at %p", offset, kind, r->bytes, base);
        else if (in_front <= 1 << 12)
            snprintf(text, size, "%zu bytes in front of the %s allocation at %p", in_front, kind, base);
    }
}

/* ---- shared memory --------------------------------------------------------------------------- */

static void *new_array(const char *name, const char *function, int line, size_t bytes)
{
    const size_t offset = shared.end;
    shared.used += bytes;
    shared.end += (bytes + 15) / 16 * 16 + GUARD;
    if (shared.used > shared.limit)
        emulator_error("launch", "shared array %s of %zu bytes makes %zu bytes of the block, more than the %zu allowed",
                       name, bytes, shared.used, shared.limit);
    if (shared.end > SHARED_ROOM) emulator_error("launch", "more shared arrays than the emulator holds");
    shared.arrays.push_back({name, function, line, offset, bytes});
    return shared_bytes + offset;
}

void emulator_memory_launch(size_t dynamic, size_t limit)
{
    shared.limit = limit;
    shared.used = 0;
    shared.end = GUARD;
    shared.arrays.clear();
    memset(shared_fineness, 0, sizeof shared_fineness);
    (void)new_array("(dynamic)", "", 0, dynamic);
}

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
        if (a.line == line && a.name == name && a.function == function) return shared_bytes + a.offset;
    return new_array(name, function, line, bytes);
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
void *emulator_allocate(size_t bytes, emulator_place place)
{
    const size_t page = pages(1), body = pages(bytes);
    const bool device = place == EMULATOR_DEVICE;
    char *base = static_cast<char *>(map(body + 2 * page, PROT_NONE)) + page;
    mprotect(base, body, PROT_READ | PROT_WRITE);
    region *r = new region{base, bytes, {}, nullptr, device, place};
    for (size_t f = 0; f < FINENESSES; f++)
        r->cells[f] = static_cast<cell *>(map((body / WORD << f) * sizeof(cell), PROT_READ | PROT_WRITE));
    r->fineness = static_cast<uint8_t *>(map(body / PIECE, PROT_READ | PROT_WRITE));
    if (device && __asan_poison_memory_region) __asan_poison_memory_region(base, body);
    if (device) device_bytes += bytes;
    regions.insert(place_in_order(base), r);
    return base;
}

/* The address is never used again: what still points there is found out. */
bool emulator_release(void *p, emulator_place place)
{
    region *r = emulator_region_of(p);
    if (!r || r->base != p || r->place != place) return false;
    const size_t body = pages(r->bytes);
    madvise(r->base, body, MADV_DONTNEED);
    mprotect(r->base, body, PROT_NONE);
    for (size_t f = 0; f < FINENESSES; f++) munmap(r->cells[f], (body / WORD << f) * sizeof(cell));
    munmap(r->fineness, body / PIECE);
    if (place == EMULATOR_DEVICE) device_bytes -= r->bytes;
    regions.erase(place_in_order(p));
    memset(emulator_recent, 0, sizeof emulator_recent);
    delete r;
    return true;
}

size_t emulator_allocated(void) { return device_bytes; }

emulator_place emulator_place_of(const void *p, size_t bytes, const char *what)
{
    const region *r = emulator_region_of(p);
    if (r && r->place != EMULATOR_BLOCK) {
        const size_t offset = r->offset(p);
        if (bytes > r->bytes - offset)
            emulator_error("bounds", "%s of %zu bytes at byte %zu of an allocation of %zu bytes", what, bytes, offset,
                           r->bytes);
        return r->place;
    }
    if (bytes && __asan_region_is_poisoned && __asan_region_is_poisoned(const_cast<void *>(p), bytes))
        emulator_error("bounds", "%s of %zu bytes at %p, not all of which the host may use", what, bytes, p);
    return EMULATOR_HOST;
}

/* The bytes are written, or as blank as those that were copied. */
static void written(const void *to, size_t bytes, const void *from)
{
    region *t = emulator_region_of(to);
    const region *f = from ? emulator_region_of(from) : nullptr;
    for (size_t i = 0, n; t && i < bytes; i += n) {
        const size_t at = t->offset(to) + i, source = f ? f->offset(from) + i : 0;
        n = bytes - i;
        if (!f && n >= WORD && at % WORD == 0 && !t->fineness[at / PIECE]) {
            n = std::min(n, PIECE - at % PIECE) / WORD * WORD;
            for (cell *c = t->cell_of(at), *end = c + n / WORD; c < end; c++) c->write = BY_HOST;
            continue;
        }
        if (f) n = std::min(n, source % f->together(source) ? 1 : f->together(source));
        n = t->step(at, n);
        t->cell_of(at)->write = f && f->blank(source) ? 0 : (uint64_t)BY_HOST;
    }
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
    size_t i = 0;
    char place[256];
    for (size_t at; r && i < bytes && !r->blank(at = r->offset(p) + i);) i += r->together(at) - at % r->together(at);
    if (!r || i >= bytes) return;
    emulator_place_name(static_cast<const char *>(p) + i, place, sizeof place);
    emulator_error("uninitialized", "%s reads %s, which nobody has written", what, place);
}

void emulator_library_write(void *p, size_t bytes) { written(p, bytes, nullptr); }
