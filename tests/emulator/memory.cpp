/* tests/emulator/memory.cpp -- allocations, shared memory, and what is known of every byte of them.
 *
 * A byte has a state (blank, known, pending) and a cell: who wrote it last and who read it. Time is
 * counted in epochs: one begins with each launch, block and barrier, and is never used again, so
 * that nothing needs clearing. `stamp` of an access: epoch, barriers of the warp since, thread,
 * flags.
 */
#include "emulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

enum { BLANK, KNOWN, PENDING, OUTSIDE }; /* 0 is what fresh memory has */

/* flags of a stamp: of the last write, and of the reads */
enum { ATOMIC = 1 };
enum { ONE, LANES, WARPS, BLOCKS }; /* lanes of one warp, several warps, several blocks */

struct cell {
    uint64_t write, read;
};

struct region {
    char *base;
    size_t bytes;
    unsigned char *known;
    cell *cells;
    bool device;
};

struct shared_array {
    const char *name, *function;
    int line;
    size_t offset, bytes;
};

enum { GUARD = 2048, SHARED_ROOM = 256 * 1024 };

alignas(256) static char shared_bytes[SHARED_ROOM];
static unsigned char shared_known[SHARED_ROOM];
static cell shared_cells[SHARED_ROOM];
static region shared_region = {shared_bytes, SHARED_ROOM, shared_known, shared_cells, false};

static struct {
    std::vector<shared_array> arrays; /* of the launch; the first is the dynamic one */
    size_t limit, used, end;
    uintptr_t stack;
    size_t stack_bytes;
    uintptr_t closure;
    size_t closure_bytes;
    uint64_t epoch, launch_epoch, block_epoch;
    unsigned block;
    std::vector<uint64_t> started;       /* the epochs in which blocks of the launch began */
    std::vector<unsigned> started_index; /* and which blocks those are */
    uint16_t warps[EMULATOR_LANES];      /* __syncwarps since the barrier */
    const void *pc;                      /* of the access that is checked */
} now;

/* By address. Never destroyed, so that no leak is seen in what it points to. */
static std::vector<region *> &regions = *new std::vector<region *>;
static region *last_region;
static size_t device_bytes;

extern "C" {
void __asan_poison_memory_region(const volatile void *, size_t) __attribute__((weak));
void *__asan_region_is_poisoned(void *, size_t) __attribute__((weak));
extern char __executable_start, end;
}

/* ---- stamps ---------------------------------------------------------------------------------- */

static uint64_t stamp_of(emulator_thread by)
{
    return now.epoch << 28 | (uint64_t)now.warps[by.warp] << 12 | (uint64_t)by.id << 2;
}

static uint64_t epoch_of(uint64_t stamp) { return stamp >> 28; }

static unsigned turn_of(uint64_t stamp) { return (unsigned)(stamp >> 12) & 0xffff; }

static unsigned thread_of(uint64_t stamp) { return (unsigned)(stamp >> 2) & 0x3ff; }

static bool same_warp(uint64_t a, uint64_t b)
{
    return thread_of(a) / EMULATOR_LANES == thread_of(b) / EMULATOR_LANES;
}

/* Whether an access of this launch that began after `first` may happen at the same time as mine. */
static bool unordered(uint64_t other, uint64_t mine, uint64_t first)
{
    const uint64_t epoch = epoch_of(other);
    if (epoch < first) return false;
    if (epoch < now.block_epoch) return true;
    if (epoch < now.epoch || thread_of(other) == thread_of(mine)) return false;
    return !same_warp(other, mine) || turn_of(other) == turn_of(mine);
}

static bool unordered_reads(uint64_t reads, uint64_t mine, uint64_t first)
{
    if (epoch_of(reads) < first) return false;
    switch (reads & 3) {
    case BLOCKS:
        return true;
    case WARPS:
        return epoch_of(reads) == now.epoch || epoch_of(reads) < now.block_epoch;
    case LANES:
        if (epoch_of(reads) == now.epoch && same_warp(reads, mine))
            return turn_of(reads) == turn_of(mine);
        break;
    }
    return unordered(reads, mine, first);
}

static uint64_t joined(uint64_t reads, uint64_t mine, uint64_t first)
{
    const uint64_t epoch = epoch_of(reads), flag = reads & 3;
    if (epoch < first) return mine;
    if (epoch < now.block_epoch || flag == BLOCKS) return mine | BLOCKS;
    if (epoch < now.epoch) return mine;
    if (flag == WARPS || !same_warp(reads, mine)) return mine | WARPS;
    if (turn_of(reads) != turn_of(mine)) return mine;
    return mine | (thread_of(reads) == thread_of(mine) ? flag : (uint64_t)LANES);
}

/* ---- reports --------------------------------------------------------------------------------- */

/* " (function at file:line)" of the access, where addr2line can say. */
static void source(char *text, size_t size)
{
    char command[128], function[256] = "", place[512] = "";
    const size_t offset = (size_t)(static_cast<const char *>(now.pc) - &__executable_start) - 1;
    text[0] = 0;
    if (!now.pc) return;
    snprintf(command, sizeof command, "addr2line -Cfe /proc/%d/exe 0x%zx 2>/dev/null",
             (int)getpid(), offset);
    FILE *f = popen(command, "r");
    if (f && fgets(function, sizeof function, f) && fgets(place, sizeof place, f))
        snprintf(text, size, " (%.*s at %.*s)", (int)strcspn(function, "\n"), function,
                 (int)strcspn(place, "\n"), place);
    if (f) pclose(f);
}

static const char *verb(emulator_access a)
{
    return a == EMULATOR_READ ? "read" : a == EMULATOR_WRITE ? "write" : "atomic";
}

static const shared_array *array_at(size_t offset, size_t *behind)
{
    const shared_array *best = nullptr;
    for (const shared_array &a : now.arrays)
        if (a.offset <= offset) best = !best || a.offset > best->offset ? &a : best;
    *behind =
        best && offset >= best->offset + best->bytes ? offset - best->offset - best->bytes : 0;
    return best;
}

/* "byte 12 of shared array tile", "byte 0 of the device allocation of 256 bytes at 0x..." */
static void place_name(const region *r, size_t offset, char *text, size_t size)
{
    size_t behind;
    const shared_array *a = r == &shared_region ? array_at(offset, &behind) : nullptr;
    if (a)
        snprintf(text, size, "byte %zu of shared array %s of %zu bytes", offset - a->offset,
                 a->name, a->bytes);
    else
        snprintf(text, size, "byte %zu of the %s allocation of %zu bytes at %p", offset,
                 r->device ? "device" : "pinned", r->bytes, static_cast<void *>(r->base));
}

static void out_of_bounds(const void *p, size_t n, emulator_access access)
{
    char where[1024], place[256] = "no allocation is near";
    const uintptr_t a = reinterpret_cast<uintptr_t>(p);
    const uintptr_t base = reinterpret_cast<uintptr_t>(shared_bytes);
    size_t behind = 0;
    source(where, sizeof where);
    if (a - reinterpret_cast<uintptr_t>(&__executable_start) <
        (uintptr_t)(&end - &__executable_start))
        snprintf(place, sizeof place, "data of the program, which kernels may only read");
    if (a - base < SHARED_ROOM) {
        const shared_array *s = array_at(a - base, &behind);
        if (s)
            snprintf(place, sizeof place, "%zu bytes behind shared array %s of %zu bytes", behind,
                     s->name, s->bytes);
        else
            snprintf(place, sizeof place, "in front of all shared arrays");
    }
    for (const region *r : regions) {
        const uintptr_t b = reinterpret_cast<uintptr_t>(r->base);
        if (a >= b && a - b < r->bytes + (1 << 20))
            snprintf(place, sizeof place, "byte %zu of the %s allocation of %zu bytes at %p", a - b,
                     r->device ? "device" : "pinned", r->bytes, static_cast<void *>(r->base));
        else if (a < b && b - a < (1 << 12))
            snprintf(place, sizeof place, "%zu bytes in front of the %s allocation at %p", b - a,
                     r->device ? "device" : "pinned", static_cast<void *>(r->base));
    }
    emulator_error("bounds", "%s of %zu bytes at %p: %s%s", verb(access), n, p, place, where);
}

static void not_known(const region *r, size_t offset, emulator_access access)
{
    char where[1024], place[256];
    const unsigned char k = r->known[offset];
    if (k == OUTSIDE) {
        out_of_bounds(r->base + offset, 1, access);
        return;
    }
    source(where, sizeof where);
    place_name(r, offset, place, sizeof place);
    if (k == PENDING)
        emulator_error("copy", "%s of %s before the wait for its asynchronous copy%s", verb(access),
                       place, where);
    else
        emulator_error("uninitialized", "read of %s, which nobody has written yet%s", place, where);
}

static void race(const region *r, size_t offset, uint64_t other, const char *did,
                 emulator_access access, emulator_thread by)
{
    char where[1024], place[256], who[128];
    source(where, sizeof where);
    place_name(r, offset, place, sizeof place);
    unsigned block = now.block;
    for (size_t i = 0; i < now.started.size(); i++)
        if (now.started[i] <= epoch_of(other)) block = now.started_index[i];
    const bool reads = !strcmp(did, "read");
    if (block == now.block && reads && (other & 3) == BLOCKS)
        snprintf(who, sizeof who, "a thread of another block");
    else if (block == now.block)
        snprintf(who, sizeof who, "thread %u", thread_of(other));
    else
        snprintf(who, sizeof who, "thread %u of block %u", thread_of(other), block);
    emulator_error("race", "%s by thread %u of %s, which %s %s with no barrier between%s",
                   verb(access), by.id, place, who, did, where);
}

/* ---- the check ------------------------------------------------------------------------------- */

static void check_in(region *r, size_t offset, size_t n, emulator_access access, emulator_thread by)
{
    const uint64_t first = r == &shared_region ? now.block_epoch : now.launch_epoch;
    const uint64_t mine = stamp_of(by);
    for (size_t i = offset; i < offset + n; i++) {
        cell *c = &r->cells[i];
        if (r->known[i] != KNOWN) {
            if (access != EMULATOR_WRITE || r->known[i] != BLANK) {
                not_known(r, i, access);
                return;
            }
            r->known[i] = KNOWN;
        }
        const bool both_atomic = access == EMULATOR_ATOMIC && (c->write & ATOMIC);
        if (c->write != mine && !both_atomic && unordered(c->write, mine, first)) {
            race(r, i, c->write, "wrote", access, by);
            return;
        }
        if (access == EMULATOR_READ) {
            if ((c->read & ~(uint64_t)3) != mine) c->read = joined(c->read, mine, first);
            continue;
        }
        if (c->read != mine && unordered_reads(c->read, mine, first)) {
            race(r, i, c->read, "read", access, by);
            return;
        }
        c->write = mine | (access == EMULATOR_ATOMIC ? ATOMIC : 0);
    }
}

static region *region_of(uintptr_t a)
{
    const region *l = last_region;
    if (l && a - reinterpret_cast<uintptr_t>(l->base) < l->bytes) return last_region;
    size_t low = 0, high = regions.size();
    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (reinterpret_cast<uintptr_t>(regions[mid]->base) <= a)
            low = mid + 1;
        else
            high = mid;
    }
    if (!low) return nullptr;
    region *r = regions[low - 1];
    if (a - reinterpret_cast<uintptr_t>(r->base) >= r->bytes) return nullptr;
    last_region = r;
    return r;
}

void emulator_check(const void *p, size_t n, emulator_access access, emulator_thread by)
{
    const uintptr_t a = reinterpret_cast<uintptr_t>(p);
    const size_t in_shared = a - reinterpret_cast<uintptr_t>(shared_bytes);
    if (in_shared < SHARED_ROOM) {
        check_in(&shared_region, in_shared, n, access, by);
        return;
    }
    region *r = region_of(a);
    if (r) {
        const size_t offset = a - reinterpret_cast<uintptr_t>(r->base);
        if (n > r->bytes - offset)
            out_of_bounds(p, n, access);
        else
            check_in(r, offset, n, access, by);
        return;
    }
    if (access == EMULATOR_READ && (a - now.closure < now.closure_bytes ||
                                    a - reinterpret_cast<uintptr_t>(&__executable_start) <
                                        (uintptr_t)(&end - &__executable_start)))
        return;
    out_of_bounds(p, n, access);
}

static inline void hook(const void *p, size_t n, emulator_access access, const void *pc)
{
    const uintptr_t a = reinterpret_cast<uintptr_t>(p);
    if (!emulator_in_kernel()) {
        const region *r = region_of(a);
        now.pc = pc;
        if (r && r->device) {
            char where[1024];
            source(where, sizeof where);
            emulator_error("host", "%s of device memory at %p by the host%s", verb(access), p,
                           where);
        }
        return;
    }
    if (a - now.stack < now.stack_bytes) return;
    now.pc = pc;
    emulator_check(p, n, access, emulator_self());
}

static void aligned(const void *p, size_t n, const void *pc)
{
    if (emulator_in_kernel() && reinterpret_cast<uintptr_t>(p) % n) {
        now.pc = pc;
        emulator_check_aligned(p, n, "an access");
    }
}

void emulator_check_aligned(const void *p, size_t alignment, const char *what)
{
    char where[1024];
    if (reinterpret_cast<uintptr_t>(p) % alignment == 0) return;
    source(where, sizeof where);
    emulator_error("misaligned", "%s at %p, which is not a multiple of %zu%s", what, p, alignment,
                   where);
}

void emulator_pc(const void *pc) { now.pc = pc; }

void lrk_emulated_atomic(const void *p, size_t bytes)
{
    now.pc = __builtin_return_address(0);
    emulator_check_aligned(p, bytes, "an atomic");
    emulator_check(p, bytes, EMULATOR_ATOMIC, emulator_self());
}

/* What g++ calls. */
#define PC __builtin_return_address(0)
#define HOOKS(n)                                                                                   \
    void __tsan_read##n(void *p)                                                                   \
    {                                                                                              \
        aligned(p, n, PC);                                                                         \
        hook(p, n, EMULATOR_READ, PC);                                                             \
    }                                                                                              \
    void __tsan_write##n(void *p)                                                                  \
    {                                                                                              \
        aligned(p, n, PC);                                                                         \
        hook(p, n, EMULATOR_WRITE, PC);                                                            \
    }                                                                                              \
    void __tsan_unaligned_read##n(void *p) { hook(p, n, EMULATOR_READ, PC); }                      \
    void __tsan_unaligned_write##n(void *p) { hook(p, n, EMULATOR_WRITE, PC); }                    \
    void __tsan_volatile_read##n(void *p) { hook(p, n, EMULATOR_READ, PC); }                       \
    void __tsan_volatile_write##n(void *p) { hook(p, n, EMULATOR_WRITE, PC); }

/* What -fsanitize=alignment calls: a pointer that is not aligned for its type is used, even where
 * the compiler then loads less than the whole of it. Host code calls the aborting variant. */
struct mismatch {
    const char *file;
    unsigned line, column;
    const struct {
        uint16_t kind, info;
        char name[1];
    } * type;
    unsigned char log_alignment, use;
};

extern "C" {
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void __tsan_read_range(void *p, size_t n) { hook(p, n, EMULATOR_READ, PC); }

void __tsan_write_range(void *p, size_t n) { hook(p, n, EMULATOR_WRITE, PC); }

void __tsan_func_entry(void *) {}

void __tsan_func_exit(void) {}

void __tsan_init(void) {}

void __tsan_vptr_update(void **, void *) {}

void __ubsan_handle_type_mismatch_v1(mismatch *m, uintptr_t p)
{
    emulator_error("misaligned", "%p is used as %s, which lies on multiples of %u (at %s:%u)",
                   reinterpret_cast<void *>(p), m->type->name, 1u << m->log_alignment, m->file,
                   m->line);
}
}

/* ---- launches -------------------------------------------------------------------------------- */

void emulator_memory_launch(const lrk_closure *closure, size_t dynamic, size_t limit)
{
    now.launch_epoch = ++now.epoch;
    now.closure = reinterpret_cast<uintptr_t>(closure->object);
    now.closure_bytes = closure->bytes;
    now.started.clear();
    now.started_index.clear();
    now.limit = limit;
    now.used = dynamic;
    now.end = GUARD + (dynamic + 15) / 16 * 16 + GUARD;
    now.arrays.clear();
    now.arrays.push_back({"(dynamic)", "", 0, GUARD, dynamic});
    memset(shared_known, OUTSIDE, sizeof shared_known);
}

void emulator_memory_block(unsigned index)
{
    now.block = index;
    now.block_epoch = ++now.epoch;
    now.started.push_back(now.epoch);
    now.started_index.push_back(index);
    memset(now.warps, 0, sizeof now.warps);
    for (const shared_array &a : now.arrays) memset(shared_known + a.offset, BLANK, a.bytes);
}

void emulator_memory_barrier(void)
{
    now.epoch++;
    memset(now.warps, 0, sizeof now.warps);
}

void emulator_memory_warp(unsigned warp) { now.warps[warp]++; }

void emulator_memory_stack(const void *low, size_t bytes)
{
    now.stack = reinterpret_cast<uintptr_t>(low);
    now.stack_bytes = bytes;
}

void *lrk_emulated_dynamic_shared(void) { return shared_bytes + GUARD; }

void *lrk_emulated_shared(const char *name, const char *function, int line, size_t bytes)
{
    for (const shared_array &a : now.arrays)
        if (a.line == line && !strcmp(a.name, name) && !strcmp(a.function, function))
            return shared_bytes + a.offset;
    const size_t offset = now.end;
    now.used += bytes;
    if (now.used > now.limit)
        emulator_error("launch",
                       "shared array %s of %zu bytes makes %zu bytes of the block, more "
                       "than the %zu allowed",
                       name, bytes, now.used, now.limit);
    now.end += (bytes + 15) / 16 * 16 + GUARD;
    if (now.end > SHARED_ROOM)
        emulator_error("launch", "more shared arrays than the emulator holds");
    now.arrays.push_back({name, function, line, offset, bytes});
    memset(shared_known + offset, BLANK, bytes);
    return shared_bytes + offset;
}

bool emulator_is_shared(const void *p, size_t bytes)
{
    const size_t offset = (size_t)(static_cast<const char *>(p) - shared_bytes);
    return offset < SHARED_ROOM && bytes <= SHARED_ROOM - offset;
}

void emulator_mark_pending(void *p, size_t bytes, bool pending)
{
    memset(shared_known + (static_cast<char *>(p) - shared_bytes), pending ? PENDING : KNOWN,
           bytes);
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
    region *r = new region;
    r->base = base;
    r->bytes = bytes;
    r->device = device;
    r->known = static_cast<unsigned char *>(map(body, PROT_READ | PROT_WRITE));
    r->cells = static_cast<cell *>(map(body * sizeof(cell), PROT_READ | PROT_WRITE));
    if (!device) memset(r->known, KNOWN, bytes); /* what the host does to it is not seen */
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
        if (r->base != p || r->device != device) continue;
        const size_t body = pages(r->bytes ? r->bytes : 1);
        madvise(r->base, body, MADV_DONTNEED);
        mprotect(r->base, body, PROT_NONE);
        munmap(r->known, body);
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
    const uintptr_t a = reinterpret_cast<uintptr_t>(p);
    const region *r = region_of(a);
    now.pc = nullptr;
    if (r) {
        const size_t offset = a - reinterpret_cast<uintptr_t>(r->base);
        if (bytes > r->bytes - offset)
            emulator_error("bounds", "%s of %zu bytes at byte %zu of an allocation of %zu bytes",
                           what, bytes, offset, r->bytes);
        return r->device ? EMULATOR_DEVICE : EMULATOR_PINNED;
    }
    if (bytes && __asan_region_is_poisoned &&
        __asan_region_is_poisoned(const_cast<void *>(p), bytes))
        emulator_error("bounds", "%s of %zu bytes at %p, not all of which the host may use", what,
                       bytes, p);
    return EMULATOR_HOST;
}

/* Loops of our own: AddressSanitizer's memcpy would not let us into memory of the device. */
void emulator_copy(void *to, const void *from, size_t bytes)
{
    const region *t = region_of(reinterpret_cast<uintptr_t>(to));
    const region *f = region_of(reinterpret_cast<uintptr_t>(from));
    const char *source = static_cast<const char *>(from);
    char *target = static_cast<char *>(to);
    for (size_t i = 0; i < bytes; i++) target[i] = source[i];
    if (!t || !t->device) return;
    if (f && f->device)
        memcpy(t->known + (target - t->base), f->known + (source - f->base), bytes);
    else
        memset(t->known + (target - t->base), KNOWN, bytes);
}

void emulator_fill(void *to, int value, size_t bytes)
{
    const region *t = region_of(reinterpret_cast<uintptr_t>(to));
    char *target = static_cast<char *>(to);
    for (size_t i = 0; i < bytes; i++) target[i] = (char)value;
    if (t) memset(t->known + (target - t->base), KNOWN, bytes);
}
