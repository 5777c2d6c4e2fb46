/* tests/emulator/block.cpp -- a grid: its blocks one after another, its threads as fibers. */
#include "emulator.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

enum { STACK = 256 * 1024, COLOR = 192, COLORS = 32 };

enum state { READY, AT_BARRIER, IN_WARP, ENDED };

/* A line of the cache: these are what barriers and warp operations look at. */
struct alignas(64) thread {
    void *sp;
    state at;
    uint3 index;
    unsigned id;
    /* the barrier or warp operation that it waits in */
    unsigned mask;
    const char *what;
    lrk_site site;
    void *mine;
};

/* What the kernels see as threadIdx and so on. */
uint3 the_thread __asm__("lrk_emulated_threadIdx");
uint3 the_block __asm__("lrk_emulated_blockIdx");
dim3 the_block_size __asm__("lrk_emulated_blockDim");
dim3 the_grid_size __asm__("lrk_emulated_gridDim");

const unsigned *emulator_self;

static struct {
    const emulator_launch *launch;
    unsigned n; /* threads of the block */
    thread threads[EMULATOR_THREADS];
    thread *running; /* NULL: the scheduler */
    void *scheduler;
    bool given_up;
    char *stacks;
    /* the lanes of a warp that are still to have their turn */
    unsigned warp;
    const unsigned *lane, *lanes_end;
} here;

static struct {
    bool catching, any;
    char first[2048];
} errors;

/* ---- the switch ------------------------------------------------------------------------------ */

extern "C" void lrk_emulator_switch(void **from, void *to);

#if defined(__x86_64__)
__asm__(".text\n.globl lrk_emulator_switch\n.type lrk_emulator_switch,@function\n"
        "lrk_emulator_switch:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
        ".size lrk_emulator_switch, . - lrk_emulator_switch\n");

static void *first_frame(char *top, void (*entry)(void))
{
    void **sp = reinterpret_cast<void **>(top);
    sp[-1] = nullptr;
    sp[-2] = reinterpret_cast<void *>(entry);
    memset(sp - 8, 0, 6 * sizeof *sp);
    return sp - 8;
}
#elif defined(__aarch64__)
__asm__(".text\n.globl lrk_emulator_switch\n.type lrk_emulator_switch,%function\n"
        "lrk_emulator_switch:\n"
        "sub sp, sp, #160\n"
        "stp x19, x20, [sp]\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\nstp x25, x26, [sp, #48]\n"
        "stp x27, x28, [sp, #64]\nstp x29, x30, [sp, #80]\nstp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\n"
        "stp d12, d13, [sp, #128]\nstp d14, d15, [sp, #144]\n"
        "mov x9, sp\nstr x9, [x0]\nmov sp, x1\n"
        "ldp x19, x20, [sp]\nldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\nldp x25, x26, [sp, #48]\n"
        "ldp x27, x28, [sp, #64]\nldp x29, x30, [sp, #80]\nldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\n"
        "ldp d12, d13, [sp, #128]\nldp d14, d15, [sp, #144]\n"
        "add sp, sp, #160\nret\n"
        ".size lrk_emulator_switch, . - lrk_emulator_switch\n");

static void *first_frame(char *top, void (*entry)(void))
{
    void **sp = reinterpret_cast<void **>(top) - 20;
    memset(sp, 0, 20 * sizeof *sp);
    sp[11] = reinterpret_cast<void *>(entry);
    return sp;
}
#else
#error "the emulator knows how to switch fibers on x86-64 and aarch64"
#endif

/* Whose turn it is; NULL: nobody's. */
static thread *next_lane(void)
{
    while (here.lane < here.lanes_end) {
        const unsigned id = here.warp * EMULATOR_LANES + *here.lane++;
        if (id < here.n && here.threads[id].at == READY) return &here.threads[id];
    }
    return nullptr;
}

/* Lanes follow each other without the scheduler between. */
static void turn(void **from, thread *to)
{
    here.running = to;
    emulator_self = &to->id;
    the_thread = to->index;
    emulator_access_stack(here.stacks + (size_t)to->id * STACK, STACK);
    lrk_emulator_switch(from, to->sp);
}

static void yield(void)
{
    thread *t = here.running, *next = here.given_up ? nullptr : next_lane();
    if (next) {
        turn(&t->sp, next);
        return;
    }
    here.running = nullptr;
    emulator_self = nullptr;
    lrk_emulator_switch(&t->sp, here.scheduler);
}

static void fiber(void)
{
    here.launch->call(here.launch->arguments);
    here.running->at = ENDED;
    yield();
}

/* ---- errors ---------------------------------------------------------------------------------- */

void lrk_emulator_catch(bool on)
{
    errors.catching = on;
    errors.any = false;
}

const char *lrk_emulator_caught(void)
{
    const bool any = errors.any;
    errors.any = false;
    return any ? errors.first : nullptr;
}

/* "kernel, block, thread: ", as far as there are any. */
static void say_where(char *text, size_t size)
{
    const thread *t = here.running;
    const uint3 b = the_block;
    text[0] = 0;
    if (t)
        snprintf(text, size, "%s, block (%u,%u,%u), thread (%u,%u,%u): ", here.launch->name, b.x, b.y, b.z, t->index.x,
                 t->index.y, t->index.z);
    else if (here.launch)
        snprintf(text, size, "%s, block (%u,%u,%u): ", here.launch->name, b.x, b.y, b.z);
}

void emulator_error(const char *kind, const char *format, ...)
{
    char where[512], what[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    say_where(where, sizeof where);
    if (!errors.catching) {
        fprintf(stderr, "emulator: %s: %s%s\n", kind, where, what);
        abort();
    }
    if (!errors.any) snprintf(errors.first, sizeof errors.first, "emulator: %s: %s%s", kind, where, what);
    errors.any = true;
    here.given_up = true;
    if (here.running) yield(); /* never to come back */
}

void lrk_emulated_refuse(const char *what) { emulator_error("refused", "%s", what); }

/* ---- barriers and warps ---------------------------------------------------------------------- */

int lrk_emulated_lane(void) { return (int)(here.running->id % EMULATOR_LANES); }

static void wait_at(state at, const char *what, unsigned mask, lrk_site site)
{
    thread *t = here.running;
    t->at = at;
    t->what = what;
    t->mask = mask;
    t->site = site;
}

void lrk_emulated_barrier(lrk_site site)
{
    wait_at(AT_BARRIER, "__syncthreads", 0, site);
    yield();
}

static thread *lane_of(const thread *t, unsigned lane)
{
    const unsigned id = t->id / EMULATOR_LANES * EMULATOR_LANES + lane;
    return id < here.n ? &here.threads[id] : nullptr;
}

/* Names are compared as pointers: a kernel comes from one object file, which has each string once. */
static bool same_place(const thread *a, const thread *b)
{
    return a->at == b->at && a->mask == b->mask && a->what == b->what && a->site.line == b->site.line &&
           a->site.file == b->site.file;
}

/* A lane that t's mask names and that has not come to where t waits, or NULL. The last lane comes last,
 * mostly, so that the first look says who is missing. */
static thread *missing(const thread *t)
{
    for (unsigned l = EMULATOR_LANES; l--;)
        if (t->mask >> l & 1 && !same_place(t, lane_of(t, l))) return lane_of(t, l);
    return nullptr;
}

/* Of the warp operation that runs: what is wrong with it. */
static void warp_error(const char *format, ...)
{
    char wrong[256];
    va_list list;
    va_start(list, format);
    vsnprintf(wrong, sizeof wrong, format, list);
    va_end(list);
    const thread *t = here.running;
    emulator_error("warp", "%s at %s:%d, mask 0x%08x: %s", t->what, t->site.file, t->site.line, t->mask, wrong);
}

void lrk_emulated_warp(const char *what, unsigned mask, lrk_warp_work *work, void *mine, lrk_site site)
{
    thread *t = here.running;
    const unsigned lane = t->id % EMULATOR_LANES, there = here.n - (t->id - lane);
    wait_at(IN_WARP, what, mask, site);
    t->mine = mine;
    if (!(mask >> lane & 1)) warp_error("leaves out lane %u, which calls it", lane);
    if (there < EMULATOR_LANES && mask >> there)
        warp_error("names lanes that the block of %u threads does not have", here.n);
    if (missing(t)) {
        yield();
        return;
    }
    void *lanes[EMULATOR_LANES];
    for (unsigned l = 0; l < EMULATOR_LANES; l++) lanes[l] = mask >> l & 1 ? lane_of(t, l)->mine : nullptr;
    work(lanes);
    for (unsigned l = 0; l < EMULATOR_LANES; l++)
        if (mask >> l & 1) lane_of(t, l)->at = READY;
}

static void synchronized(void *const *) { emulator_access_warp(here.running->id / EMULATOR_LANES); }

void __syncwarp(unsigned mask, lrk_site site)
{
    lrk_emulated_warp("__syncwarp", mask, synchronized, nullptr, site);
}

struct exchange {
    uint64_t value, result;
    int source;
};

static void shuffle(void *const lanes[32])
{
    for (int l = 0; l < EMULATOR_LANES; l++) {
        exchange *e = static_cast<exchange *>(lanes[l]);
        if (!e) continue;
        const exchange *from = static_cast<const exchange *>(lanes[e->source & 31]);
        if (from)
            e->result = from->value;
        else
            warp_error("does not name lane %d, from which lane %d reads", e->source, l);
    }
}

uint64_t lrk_emulated_shuffle(const char *what, unsigned mask, uint64_t value, int source, int width, lrk_site site)
{
    if (width < 1 || width > EMULATOR_LANES || width & (width - 1))
        emulator_error("warp", "%s at %s:%d: width %d is no power of two up to 32", what, site.file, site.line, width);
    exchange e = {value, 0, source};
    lrk_emulated_warp(what, mask, shuffle, &e, site);
    return e.result;
}

static void ballot(void *const lanes[32])
{
    unsigned votes = 0;
    for (int l = 0; l < EMULATOR_LANES; l++)
        if (lanes[l] && *static_cast<unsigned *>(lanes[l])) votes |= 1u << l;
    for (int l = 0; l < EMULATOR_LANES; l++)
        if (lanes[l]) *static_cast<unsigned *>(lanes[l]) = votes;
}

unsigned __ballot_sync(unsigned mask, int predicate, lrk_site site)
{
    unsigned v = predicate != 0;
    lrk_emulated_warp("__ballot_sync", mask, ballot, &v, site);
    return v;
}

/* ---- order ----------------------------------------------------------------------------------- */

static struct {
    bool set, reverse;
    uint64_t seed; /* 0: not random */
} order;

void lrk_emulator_order(const char *text)
{
    order.set = true;
    order.reverse = text && !strcmp(text, "reverse");
    order.seed = text && !strncmp(text, "random:", 7) ? strtoull(text + 7, nullptr, 10) + 1 : 0;
    if (text && *text && !order.reverse && !order.seed)
        emulator_error("order", "LRK_EMULATOR_ORDER=%s: known are reverse and random:SEED", text);
}

static unsigned below(unsigned n)
{
    order.seed = order.seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((order.seed >> 33) % n);
}

static void put_in_order(std::vector<unsigned> *v, size_t n)
{
    v->resize(n);
    for (size_t i = 0; i < n; i++) (*v)[i] = (unsigned)(order.reverse ? n - 1 - i : i);
    for (size_t i = n; order.seed && i > 1; i--) std::swap((*v)[i - 1], (*v)[below((unsigned)i)]);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void start_block(void)
{
    const dim3 b = here.launch->block;
    for (unsigned i = 0; i < here.n; i++) {
        thread *t = &here.threads[i];
        t->at = READY;
        t->index = {i % b.x, i / b.x % b.y, i / b.x / b.y};
        t->id = i;
        /* stacks that all began at one offset would share a few lines of the cache */
        t->sp = first_frame(here.stacks + (size_t)(i + 1) * STACK - i % COLORS * COLOR, fiber);
    }
}

/* Until every lane waits for the block or for lanes that wait, or has ended. */
static void run_warp(unsigned warp, const std::vector<unsigned> &lanes)
{
    here.warp = warp;
    here.lanes_end = lanes.data() + lanes.size();
    for (;;) {
        here.lane = lanes.data();
        thread *first = next_lane();
        if (!first) return;
        turn(&here.scheduler, first);
        if (here.given_up) return;
    }
}

static void describe(const thread *t, char *text, size_t size)
{
    const int n = snprintf(text, size, "thread (%u,%u,%u) ", t->index.x, t->index.y, t->index.z);
    if (t->at == ENDED)
        snprintf(text + n, size - (size_t)n, "has ended");
    else
        snprintf(text + n, size - (size_t)n, "waits in %s at %s:%d", t->what, t->site.file, t->site.line);
}

/* t waits, and `other` is not where it should come to. */
static void in_vain(const char *kind, const thread *t, const thread *other)
{
    char a[512], b[512];
    describe(t, a, sizeof a);
    describe(other, b, sizeof b);
    if (t->at == IN_WARP)
        emulator_error(kind, "%s, with mask 0x%08x, for lane %u in vain: %s", a, t->mask, other->id % EMULATOR_LANES,
                       b);
    else
        emulator_error(kind, "%s, %s", a, b);
}

/* Nobody can run. Either all stand at one barrier, or somebody waits in vain. */
static void check_barrier(void)
{
    const thread *first = nullptr;
    for (const thread *t = here.threads; t < here.threads + here.n; t++) {
        if (t->at == IN_WARP) return in_vain("warp", t, missing(t));
        if (t->at == AT_BARRIER && !first) first = t;
    }
    for (const thread *t = here.threads; t < here.threads + here.n; t++)
        if (!same_place(t, first)) return in_vain("barrier", first, t);
}

static bool all_ended(void)
{
    for (unsigned i = 0; i < here.n; i++)
        if (here.threads[i].at != ENDED) return false;
    return true;
}

static void run_block(const std::vector<unsigned> &warps, const std::vector<unsigned> &lanes)
{
    for (start_block();; emulator_access_barrier()) {
        for (unsigned w : warps) {
            run_warp(w, lanes);
            if (here.given_up) return;
        }
        if (all_ended()) return;
        check_barrier();
        if (here.given_up) return;
        for (unsigned i = 0; i < here.n; i++) here.threads[i].at = READY;
    }
}

static void take_stacks(void)
{
    if (here.stacks) return;
    void *p = mmap(nullptr, (size_t)EMULATOR_THREADS * STACK, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        perror("emulator: stacks");
        abort();
    }
    here.stacks = static_cast<char *>(p);
    /* a page at the low end of each, so that a stack that is too small is a fault */
    for (size_t i = 0; i < EMULATOR_THREADS; i++)
        mprotect(here.stacks + i * STACK, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE);
}

void emulator_run(const emulator_launch &launch)
{
    take_stacks();
    if (!order.set) lrk_emulator_order(getenv("LRK_EMULATOR_ORDER"));
    const dim3 g = launch.grid, b = launch.block;
    here.launch = &launch;
    here.given_up = false;
    here.n = b.x * b.y * b.z;
    the_block_size = b;
    the_grid_size = g;
    emulator_access_launch(launch);
    emulator_memory_launch(launch.shared, launch.shared_limit);
    static std::vector<unsigned> blocks, warps, lanes;
    put_in_order(&blocks, (size_t)g.x * g.y * g.z);
    for (unsigned i : blocks) {
        the_block = {i % g.x, i / g.x % g.y, i / g.x / g.y};
        emulator_access_block(i);
        emulator_tensor_block(here.n);
        put_in_order(&warps, (here.n + EMULATOR_LANES - 1) / EMULATOR_LANES);
        put_in_order(&lanes, EMULATOR_LANES);
        run_block(warps, lanes);
        if (here.given_up) break;
    }
    here.launch = nullptr;
}
