/* tests/emulator/access.cpp -- the check of every load and store, and the hooks that lead there.
 *
 * Time is counted in epochs: one begins with each launch, block and barrier, and is never used
 * again, so that nothing needs clearing. A stamp is an access: epoch, __syncwarps of the warp
 * since, thread, flags.
 */
#include "memory.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <vector>

/* flags of a stamp: of the last write, and of the reads */
enum { ATOMIC = 1, ON_ITS_WAY = 2 };
enum { ONE, LANES, WARPS, BLOCKS }; /* lanes of one warp, several warps, several blocks */

/* Checks are half of what the emulator does: each hook has its own, for its number of bytes. */
#define FAST static inline __attribute__((always_inline))
#define RARE static __attribute__((noinline, cold))
#define APART static __attribute__((noinline))

static struct {
    uintptr_t stack;
    size_t stack_bytes;
    uintptr_t arguments; /* of the kernel */
    size_t argument_bytes;
    uint64_t epoch, launch_epoch, block_epoch;
    uint64_t settled[2]; /* older stamps come before all that runs now: of memory that blocks share, of a block's own */
    unsigned block;
    std::vector<std::pair<uint64_t, unsigned>> started; /* epochs in which blocks of the launch began */
    uint16_t warps[EMULATOR_LANES];      /* __syncwarps since the barrier */
    const void *pc;                      /* of the access that is checked */
} now;

extern "C" {
extern char __executable_start, end;
}

static void begin_epoch(void) { now.settled[true] = ++now.epoch << 28; }

void emulator_access_launch(const emulator_launch &launch)
{
    begin_epoch();
    now.launch_epoch = now.epoch;
    now.settled[false] = now.epoch << 28;
    now.arguments = reinterpret_cast<uintptr_t>(launch.arguments);
    now.argument_bytes = launch.argument_bytes;
    now.started.clear();
}

void emulator_access_block(unsigned index)
{
    now.block = index;
    begin_epoch();
    now.block_epoch = now.epoch;
    now.started.push_back({now.epoch, index});
    memset(now.warps, 0, sizeof now.warps);
    emulator_shared.first = now.epoch << 28;
}

void emulator_access_barrier(void)
{
    begin_epoch();
    memset(now.warps, 0, sizeof now.warps);
}

void emulator_access_warp(unsigned warp) { now.warps[warp]++; }

void emulator_access_stack(const void *low, size_t bytes)
{
    now.stack = reinterpret_cast<uintptr_t>(low);
    now.stack_bytes = bytes;
}

void emulator_pc(const void *pc) { now.pc = pc; }

/* ---- stamps ---------------------------------------------------------------------------------- */

FAST uint64_t stamp_of(unsigned thread)
{
    return now.epoch << 28 | (uint64_t)now.warps[thread / EMULATOR_LANES] << 12 | (uint64_t)thread << 2;
}

FAST uint64_t epoch_of(uint64_t stamp) { return stamp >> 28; }

FAST unsigned turn_of(uint64_t stamp) { return (unsigned)(stamp >> 12) & 0xffff; }

FAST unsigned thread_of(uint64_t stamp) { return (unsigned)(stamp >> 2) & 0x3ff; }

FAST bool same_warp(uint64_t a, uint64_t b)
{
    return thread_of(a) / EMULATOR_LANES == thread_of(b) / EMULATOR_LANES;
}

/* Whether an access of this launch that began after `first` may happen at the same time as mine. */
FAST bool unordered(uint64_t other, uint64_t mine, uint64_t first)
{
    const uint64_t epoch = epoch_of(other);
    if (epoch < first) return false;
    if (epoch < now.block_epoch) return true;
    if (epoch < now.epoch || thread_of(other) == thread_of(mine)) return false;
    return !same_warp(other, mine) || turn_of(other) == turn_of(mine);
}

FAST bool unordered_reads(uint64_t reads, uint64_t mine, uint64_t first)
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

FAST uint64_t joined(uint64_t reads, uint64_t mine, uint64_t first)
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
    const size_t offset = (size_t)now.pc - _r_debug.r_map->l_addr - 1; /* the program may lie anywhere */
    text[0] = 0;
    if (!now.pc) return;
    snprintf(command, sizeof command, "addr2line -Cfe /proc/%d/exe 0x%zx 2>/dev/null", (int)getpid(), offset);
    FILE *f = popen(command, "r");
    if (f && fgets(function, sizeof function, f) && fgets(place, sizeof place, f))
        snprintf(text, size, " (%.*s at %.*s)", (int)strcspn(function, "\n"), function, (int)strcspn(place, "\n"),
                 place);
    if (f) pclose(f);
}

static const char *verb(emulator_access a)
{
    return a == EMULATOR_READ ? "read" : a == EMULATOR_ATOMIC ? "atomic" : "write";
}

static bool of_program(uintptr_t a)
{
    return a - reinterpret_cast<uintptr_t>(&__executable_start) < (uintptr_t)(&end - &__executable_start);
}

/* What an access to n bytes at p did, where those lie, and what is wrong with it. */
RARE void found(const char *kind, emulator_access access, const void *p, size_t n, const char *wrong)
{
    char where[1024], place[256];
    source(where, sizeof where);
    emulator_place_name(p, place, sizeof place);
    emulator_error(kind, "%s of %zu bytes at %p, %s: %s%s", verb(access), n, p, place, wrong, where);
}

RARE void out_of_bounds(const void *p, size_t n, emulator_access access)
{
    const bool ours = of_program(reinterpret_cast<uintptr_t>(p)) && !emulator_region_of(p);
    found("bounds", access, p, n,
          ours ? "data of the program, which kernels may only read" : "not all of them are the kernel's");
}

RARE void race(const region *r, size_t i, size_t n, emulator_access access, uint64_t other, const char *did)
{
    char who[128], text[256];
    unsigned block = now.block;
    for (const auto &s : now.started)
        if (s.first <= epoch_of(other)) block = s.second;
    if (block != now.block)
        snprintf(who, sizeof who, "thread %u of block %u", thread_of(other), block);
    else if (!strcmp(did, "read") && (other & 3) == BLOCKS)
        snprintf(who, sizeof who, "a thread of another block");
    else
        snprintf(who, sizeof who, "thread %u", thread_of(other));
    snprintf(text, sizeof text, "%s %s it with no barrier between", who, did);
    found("race", access, r->base + i, n, text);
}

/* ---- the check ------------------------------------------------------------------------------- */

/* Whether a byte, the first of n that are left, is there to be accessed so. Between shared arrays none is ever
 * written, so that it is blank. */
FAST bool there(const region *r, size_t i, size_t n, emulator_access access)
{
    const void *p = r->base + i;
    if (!r->blank(i)) {
        if (!(r->cell_of(i)->write & ON_ITS_WAY) || access == EMULATOR_ARRIVE) return true;
        found("copy", access, p, n, "before the wait for its asynchronous copy");
    } else if (r->place == EMULATOR_BLOCK && !emulator_of_array(i, n)) {
        out_of_bounds(p, n, access);
    } else {
        if (access != EMULATOR_READ && access != EMULATOR_ATOMIC) return true;
        found("uninitialized", access, p, n, "nobody has written it yet");
    }
    return false;
}

/* Byte i of r and n - 1 more: its cell becomes what the next access looks at. False: something was found. */
FAST bool check_byte(region *r, size_t i, size_t n, emulator_access access, uint64_t mine)
{
    const uint64_t first = r->place == EMULATOR_BLOCK ? now.block_epoch : now.launch_epoch;
    cell *c = r->cell_of(i);
    const bool both_atomic = access == EMULATOR_ATOMIC && (c->write & ATOMIC);
    if (!there(r, i, n, access)) return false;
    if (!both_atomic && unordered(c->write, mine, first)) {
        race(r, i, n, access, c->write, "wrote");
        return false;
    }
    if (access == EMULATOR_READ) {
        c->read = joined(c->read, mine, first);
        return true;
    }
    if (unordered_reads(c->read, mine, first)) {
        race(r, i, n, access, c->read, "read");
        return false;
    }
    c->write = mine | (access == EMULATOR_ATOMIC ? ATOMIC : access == EMULATOR_SEND ? ON_ITS_WAY : 0);
    return true;
}

/* Bytes of one element mostly have one history: what was found for the first holds for all. */
FAST void check_in(region *r, size_t offset, size_t n, emulator_access access, unsigned by)
{
    const uint64_t mine = stamp_of(by);
    cell before = {0, 0}, after = {0, 0};
    for (size_t i = offset, left = n, step; left; i += step, left -= step) {
        step = r->step(i, left);
        cell *c = r->cell_of(i);
        if (i > offset && c->write == before.write && c->read == before.read) {
            *c = after;
            continue;
        }
        before = *c;
        if (!check_byte(r, i, left, access, mine)) return;
        after = *c;
    }
}

/* Arguments of the kernel, and data of the program that is no shared array: all may read them. */
FAST bool of_all(const void *p)
{
    const uintptr_t a = reinterpret_cast<uintptr_t>(p);
    return a - now.arguments < now.argument_bytes || (of_program(a) && !emulator_shared.holds(p));
}

APART void check(const void *p, size_t n, emulator_access access, unsigned by)
{
    if (access == EMULATOR_READ && of_all(p)) return;
    region *r = emulator_region_of(p);
    if (r && n <= r->bytes - r->offset(p))
        check_in(r, r->offset(p), n, access, by);
    else
        out_of_bounds(p, n, access);
}

/* Most accesses, but no atomics: to whole words that somebody wrote, where nothing is wrong. Leaves what check would;
 * false: ask that. */
FAST bool plain(const void *p, size_t n, emulator_access access, unsigned by)
{
    region *r = emulator_near_region_of(p);
    const size_t offset = r ? r->offset(p) : 0;
    if (!r || n > r->bytes - offset || (offset | n) % WORD || offset % PIECE + n > PIECE || r->fineness[offset / PIECE])
        return false;
    cell *c = &r->cells[0][offset / WORD];
    const bool own = r->place == EMULATOR_BLOCK;
    const uint64_t mine = stamp_of(by), settled = now.settled[own];
    const uint64_t first = own ? now.block_epoch : now.launch_epoch;
    for (size_t i = 0; i < n / WORD; i++) {
        const uint64_t write = c[i].write;
        if (write < r->first || (write & ON_ITS_WAY && access != EMULATOR_ARRIVE)) return false;
        if (write >= settled && unordered(write, mine, first)) return false;
        if (access != EMULATOR_READ && c[i].read >= settled && unordered_reads(c[i].read, mine, first)) return false;
    }
    for (size_t i = 0; i < n / WORD; i++)
        if (access != EMULATOR_READ)
            c[i].write = mine | (access == EMULATOR_SEND ? ON_ITS_WAY : 0);
        else
            c[i].read = c[i].read < settled ? mine : joined(c[i].read, mine, first);
    return true;
}

void emulator_check(const void *p, size_t n, emulator_access access, unsigned by)
{
    if (access == EMULATOR_ATOMIC || !plain(p, n, access, by)) check(p, n, access, by);
}

void emulator_check_aligned(const void *p, size_t alignment, const char *what)
{
    char where[1024];
    if (reinterpret_cast<uintptr_t>(p) % alignment == 0) return;
    source(where, sizeof where);
    emulator_error("misaligned", "%s at %p, which is not a multiple of %zu%s", what, p, alignment, where);
}

/* An access that is not plain. */
APART void look(const void *p, size_t n, size_t alignment, emulator_access access, const void *pc)
{
    now.pc = pc;
    if (emulator_self) {
        emulator_check_aligned(p, alignment, "an access");
        check(p, n, access, *emulator_self);
    } else {
        const region *r = emulator_region_of(p);
        if (r && r->place == EMULATOR_DEVICE) found("host", access, p, n, "memory of the device, by the host");
    }
}

FAST void hook(const void *p, size_t n, size_t alignment, emulator_access access, const void *pc)
{
    const uintptr_t a = reinterpret_cast<uintptr_t>(p);
    if (emulator_self && a % alignment == 0) {
        if (a - now.stack < now.stack_bytes) return;
        if (n % WORD == 0 && plain(p, n, access, *emulator_self)) return;
    }
    look(p, n, alignment, access, pc);
}

void lrk_emulated_atomic(const void *p, size_t bytes)
{
    now.pc = __builtin_return_address(0);
    emulator_check_aligned(p, bytes, "an atomic");
    emulator_check(p, bytes, EMULATOR_ATOMIC, *emulator_self);
}

/* What g++ calls. */
#define PC __builtin_return_address(0)
#define HOOKS(n)                                                               \
    void __tsan_read##n(void *p) { hook(p, n, n, EMULATOR_READ, PC); }         \
    void __tsan_write##n(void *p) { hook(p, n, n, EMULATOR_WRITE, PC); }

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

void __tsan_read_range(void *p, size_t n) { hook(p, n, 1, EMULATOR_READ, PC); }

void __tsan_write_range(void *p, size_t n) { hook(p, n, 1, EMULATOR_WRITE, PC); }

void __tsan_func_entry(void *) {}

void __tsan_func_exit(void) {}

void __tsan_init(void) {}

void __ubsan_handle_type_mismatch_v1(mismatch *m, uintptr_t p)
{
    emulator_error("misaligned", "%p is used as %s, which lies on multiples of %u (at %s:%u)",
                   reinterpret_cast<void *>(p), m->type->name, 1u << m->log_alignment, m->file, m->line);
}
}
