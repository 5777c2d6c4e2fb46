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

struct thread {
    void *sp;
    state at;
    uint3 index;
    unsigned id;
    /* the barrier or warp operation that it waits in */
    const char *what, *file;
    int line;
    unsigned mask;
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
    unsigned n, n_warps;
    thread threads[EMULATOR_THREADS];
    thread *running; /* NULL: the scheduler */
    void *scheduler;
    bool given_up;
    char *stacks;
} here;

static struct {
    bool catching;
    char first[1024];
    bool any;
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
        "stp x19, x20, [sp]\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\n"
        "stp x25, x26, [sp, #48]\nstp x27, x28, [sp, #64]\nstp x29, x30, [sp, #80]\n"
        "stp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\n"
        "stp d12, d13, [sp, #128]\nstp d14, d15, [sp, #144]\n"
        "mov x9, sp\nstr x9, [x0]\nmov sp, x1\n"
        "ldp x19, x20, [sp]\nldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\n"
        "ldp x25, x26, [sp, #48]\nldp x27, x28, [sp, #64]\nldp x29, x30, [sp, #80]\n"
        "ldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\n"
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

static void yield(void)
{
    thread *t = here.running;
    here.running = nullptr;
    emulator_self = nullptr;
    lrk_emulator_switch(&t->sp, here.scheduler);
}

static void resume(thread *t)
{
    here.running = t;
    emulator_self = &t->id;
    the_thread = t->index;
    emulator_access_stack(here.stacks + (size_t)t->id * STACK, STACK);
    lrk_emulator_switch(&here.scheduler, t->sp);
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

static void report(const char *kind, const char *format, va_list list)
{
    char text[sizeof errors.first];
    int n = snprintf(text, sizeof text, "emulator: %s: ", kind);
    const thread *t = here.running;
    if (here.launch)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s, block (%u,%u,%u)", here.launch->name,
                      the_block.x, the_block.y, the_block.z);
    if (here.launch && t)
        n += snprintf(text + n, sizeof text - (size_t)n, ", thread (%u,%u,%u)", t->index.x,
                      t->index.y, t->index.z);
    if (here.launch) n += snprintf(text + n, sizeof text - (size_t)n, ": ");
    vsnprintf(text + n, sizeof text - (size_t)n, format, list);
    if (!errors.catching) {
        fprintf(stderr, "%s\n", text);
        fflush(stderr);
        abort();
    }
    if (!errors.any) memcpy(errors.first, text, sizeof text);
    errors.any = true;
}

void emulator_error(const char *kind, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    report(kind, format, list);
    va_end(list);
    here.given_up = true;
    if (here.running) yield(); /* never to come back */
}

void lrk_emulated_refuse(const char *what) { emulator_error("refused", "%s", what); }

/* ---- barriers and warps ---------------------------------------------------------------------- */

int lrk_emulated_lane(void) { return (int)(here.running->id % EMULATOR_LANES); }

static void wait_at(state at, const char *what, const char *file, int line)
{
    thread *t = here.running;
    t->at = at;
    t->what = what;
    t->file = file;
    t->line = line;
}

void lrk_emulated_barrier(const char *file, int line)
{
    wait_at(AT_BARRIER, "__syncthreads", file, line);
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
    return a->at == b->at && a->mask == b->mask && a->line == b->line && a->what == b->what && a->file == b->file;
}

/* A lane that t's mask names and that has not come to where t waits, or NULL. The last lane comes last,
 * mostly, so that the first look says who is missing. */
static thread *missing(const thread *t)
{
    for (unsigned l = EMULATOR_LANES; l--;)
        if (t->mask >> l & 1 && !same_place(t, lane_of(t, l))) return lane_of(t, l);
    return nullptr;
}

void lrk_emulated_warp(const char *what, unsigned mask, lrk_warp_work *work, void *mine,
                       const char *file, int line)
{
    thread *t = here.running;
    const unsigned lane = t->id % EMULATOR_LANES;
    const unsigned there = here.n - t->id / EMULATOR_LANES * EMULATOR_LANES;
    if (!(mask >> lane & 1))
        emulator_error("warp", "%s at %s:%d: mask 0x%08x leaves out lane %u, which calls it", what,
                       file, line, mask, lane);
    if (there < EMULATOR_LANES && mask >> there)
        emulator_error("warp",
                       "%s at %s:%d: mask 0x%08x names lanes that the block of %u threads "
                       "does not have",
                       what, file, line, mask, here.n);
    wait_at(IN_WARP, what, file, line);
    t->mask = mask;
    t->mine = mine;
    if (missing(t)) {
        yield();
        return;
    }
    void *lanes[EMULATOR_LANES];
    for (unsigned l = 0; l < EMULATOR_LANES; l++)
        lanes[l] = mask >> l & 1 ? lane_of(t, l)->mine : nullptr;
    work(lanes);
    for (unsigned l = 0; l < EMULATOR_LANES; l++)
        if (mask >> l & 1) lane_of(t, l)->at = READY;
}

static void synchronized(void *const lanes[32])
{
    (void)lanes;
    emulator_access_warp(here.running->id / EMULATOR_LANES);
}

void __syncwarp(unsigned mask, const char *file, int line)
{
    lrk_emulated_warp("__syncwarp", mask, synchronized, nullptr, file, line);
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
        if (!from) {
            emulator_error("warp",
                           "%s at %s:%d: lane %d reads from lane %d, which mask 0x%08x does "
                           "not name",
                           here.running->what, here.running->file, here.running->line, l, e->source,
                           here.running->mask);
            return;
        }
        e->result = from->value;
    }
}

uint64_t lrk_emulated_shuffle(const char *what, unsigned mask, uint64_t value, int source,
                              int width, const char *file, int line)
{
    if (width < 1 || width > EMULATOR_LANES || width & (width - 1))
        emulator_error("warp", "%s at %s:%d: width %d is no power of two up to 32", what, file,
                       line, width);
    exchange e = {value, 0, source};
    lrk_emulated_warp(what, mask, shuffle, &e, file, line);
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

unsigned __ballot_sync(unsigned mask, int predicate, const char *file, int line)
{
    unsigned v = predicate != 0;
    lrk_emulated_warp("__ballot_sync", mask, ballot, &v, file, line);
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
    for (size_t i = n; order.seed && i > 1; i--) {
        const unsigned j = below((unsigned)i), swapped = (*v)[j];
        (*v)[j] = (*v)[i - 1];
        (*v)[i - 1] = swapped;
    }
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void start_block(void)
{
    for (unsigned i = 0; i < here.n; i++) {
        thread *t = &here.threads[i];
        const dim3 b = here.launch->block;
        t->at = READY;
        t->index = {i % b.x, i / b.x % b.y, i / b.x / b.y};
        t->id = i;
        /* stacks that all began at one offset would share a few lines of the cache */
        char *top = here.stacks + (size_t)(i + 1) * STACK - (i % COLORS) * COLOR;
        t->sp = first_frame(top, fiber);
    }
}

/* Until every lane waits for the block or for lanes that wait, or has ended. */
static void run_warp(unsigned warp, const std::vector<unsigned> &lanes)
{
    for (bool ran = true; ran;) {
        ran = false;
        for (unsigned l : lanes) {
            const unsigned id = warp * EMULATOR_LANES + l;
            if (id >= here.n || here.threads[id].at != READY) continue;
            resume(&here.threads[id]);
            if (here.given_up) return;
            ran = true;
        }
    }
}

static void describe(const thread *t, char *text, size_t size)
{
    if (t->at == ENDED)
        snprintf(text, size, "thread (%u,%u,%u) has ended", t->index.x, t->index.y, t->index.z);
    else
        snprintf(text, size, "thread (%u,%u,%u) waits in %s at %s:%d", t->index.x, t->index.y,
                 t->index.z, t->what, t->file, t->line);
}

/* Nobody can run. Either all stand at one barrier, or somebody waits in vain. */
static void check_barrier(void)
{
    char a[512], b[512];
    for (unsigned i = 0; i < here.n; i++) {
        const thread *t = &here.threads[i];
        if (t->at != IN_WARP) continue;
        const thread *other = missing(t);
        describe(t, a, sizeof a);
        describe(other, b, sizeof b);
        emulator_error("warp", "%s, with mask 0x%08x, for lane %u in vain: %s", a, t->mask,
                       other->id % EMULATOR_LANES, b);
        return;
    }
    const thread *first = nullptr;
    for (unsigned i = 0; i < here.n && !first; i++)
        if (here.threads[i].at == AT_BARRIER) first = &here.threads[i];
    for (unsigned i = 0; i < here.n; i++) {
        const thread *t = &here.threads[i];
        if (t->at == AT_BARRIER && t->line == first->line && t->file == first->file)
            continue;
        describe(first, a, sizeof a);
        describe(t, b, sizeof b);
        emulator_error("barrier", "%s, %s", a, b);
        return;
    }
}

static void run_block(const std::vector<unsigned> &warps, const std::vector<unsigned> &lanes)
{
    start_block();
    for (;;) {
        for (unsigned w : warps) {
            run_warp(w, lanes);
            if (here.given_up) return;
        }
        bool ended = true;
        for (unsigned i = 0; i < here.n; i++) ended = ended && here.threads[i].at == ENDED;
        if (ended) return;
        check_barrier();
        if (here.given_up) return;
        for (unsigned i = 0; i < here.n; i++) here.threads[i].at = READY;
        emulator_access_barrier();
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
        emulator_tensor_block();
        put_in_order(&warps, (here.n + EMULATOR_LANES - 1) / EMULATOR_LANES);
        put_in_order(&lanes, EMULATOR_LANES);
        run_block(warps, lanes);
        if (here.given_up) break;
    }
    here.launch = nullptr;
}
