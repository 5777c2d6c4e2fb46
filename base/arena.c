/* base/arena.c -- growing, fixed and counting arenas; the byte buffer; the heap. */
#include "base/arena.h"

#include "base/fault.h"
#include "base/size.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct lrk_block {
    struct lrk_block *next;
    size_t size, used;
} lrk_block;

enum { BLOCK_HEADER = 64, BLOCK_MIN = 64 * 1024 };

void *lrk_heap_alloc(size_t count, size_t size)
{
    if (lrk_fault(LRK_FAULT_ALLOC)) return NULL;
    return calloc(count ? count : 1, size ? size : 1);
}

void *lrk_heap_grow(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (!lrk_mul(count, size, &bytes) || lrk_fault(LRK_FAULT_ALLOC)) return NULL;
    return realloc(p, bytes ? bytes : 1);
}

void lrk_heap_free(void *p)
{
    free(p);
}

lrk_arena lrk_arena_growing(const char *name)
{
    return (lrk_arena){.name = name};
}

lrk_arena lrk_arena_count(const char *name)
{
    return (lrk_arena){.name = name, .counting = true};
}

lrk_status lrk_arena_fixed(lrk_arena *a, const char *name, size_t bytes, lrk_err *err)
{
    *a = (lrk_arena){.name = name};
    if (bytes == 0) return LRK_OK;
    void *p = lrk_fault(LRK_FAULT_ALLOC)
                  ? MAP_FAILED
                  : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    LRK_REQUIRE(err, p != MAP_FAILED, LRK_ENOMEM,
                "memory: no %.1f MB for '%s'; use a smaller micro_batch_size or sequence_len",
                (double)bytes / 1e6, name);
    /* fewer TLB misses while panels are packed; failure only costs speed */
    (void)madvise(p, bytes, MADV_HUGEPAGE);
    a->base = p;
    a->capacity = bytes;
    return LRK_OK;
}

void lrk_arena_free(lrk_arena *a)
{
    if (a->base && a->give_back)
        a->give_back(a->base);
    else if (a->base)
        munmap(a->base, a->capacity);
    while (a->blocks) {
        lrk_block *next = a->blocks->next;
        lrk_heap_free(a->blocks);
        a->blocks = next;
    }
    *a = (lrk_arena){.name = a->name, .counting = a->counting};
}

static void *grow(lrk_arena *a, size_t bytes)
{
    lrk_block *b = a->blocks;
    if (!b || b->size - b->used < bytes) {
        const size_t size = lrk_max(bytes, BLOCK_MIN);
        b = lrk_heap_alloc(1, BLOCK_HEADER + size + LRK_ALIGN);
        if (!b) return NULL;
        b->size = size;
        b->next = a->blocks;
        a->blocks = b;
        a->capacity += size;
    }
    const uintptr_t first = lrk_aligned((uintptr_t)b + BLOCK_HEADER, LRK_ALIGN);
    void *p = (void *)(first + b->used); /* NOLINT: blocks are carved by address */
    b->used += bytes;
    return p;
}

lrk_status lrk_alloc(lrk_arena *a, size_t count, size_t size, const char *what, void *out,
                     lrk_err *err)
{
    size_t bytes, end;
    void *p = NULL;
    LRK_REQUIRE(err, lrk_mul(count, size, &bytes) && lrk_align_up(bytes, LRK_ALIGN, &bytes) &&
                         lrk_add(a->used, bytes, &end) && end < SIZE_MAX / 2,
                LRK_ENOMEM, "memory: %zu x %zu bytes for '%s' do not fit any machine", count, size,
                what);
    if (a->base || (!a->counting && a->capacity && !a->blocks)) {
        LRK_REQUIRE(err, end <= a->capacity, LRK_ENOMEM,
                    "memory: '%s' (%zu bytes) does not fit arena '%s': %zu of %zu bytes are used",
                    what, bytes, a->name, a->used, a->capacity);
        p = a->base + a->used;
    } else if (!a->counting && bytes) {
        p = grow(a, bytes);
        LRK_REQUIRE(err, p, LRK_ENOMEM, "memory: no %zu bytes for '%s'", bytes, what);
    }
    a->used = end;
    a->peak = lrk_max(a->peak, end);
    memcpy(out, &p, sizeof p);
    return LRK_OK;
}

void lrk_arena_reset(lrk_arena *a, size_t mark)
{
    LRK_ASSERT(mark <= a->used && !a->blocks);
#ifdef LRK_DEBUG
    /* all bits set is a NaN in every float type: a read of released memory shows in the loss */
    if (a->base && !a->give_back) memset(a->base + mark, 0xff, a->used - mark);
#endif
    a->used = mark;
}

char *lrk_strndup(lrk_arena *a, const char *s, size_t n)
{
    char *p = NULL;
    if (lrk_alloc(a, n + 1, 1, "string", &p, NULL) != LRK_OK || !p) return NULL;
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *lrk_strdup(lrk_arena *a, const char *s)
{
    return lrk_strndup(a, s, strlen(s));
}

static bool reserve(lrk_buf *b, size_t more)
{
    size_t need;
    if (b->failed || !lrk_add(b->n, more, &need) || !lrk_add(need, 1, &need)) return false;
    if (need <= b->capacity) return true;
    size_t capacity = b->capacity ? b->capacity : 256;
    while (capacity < need) {
        if (!lrk_mul(capacity, 2, &capacity)) return false;
    }
    char *data = lrk_heap_grow(b->data, capacity, 1);
    if (!data) return false;
    b->data = data;
    b->capacity = capacity;
    return true;
}

void lrk_buf_append(lrk_buf *b, const void *data, size_t n)
{
    if (!reserve(b, n)) {
        b->failed = true;
        return;
    }
    if (n) memcpy(b->data + b->n, data, n);
    b->n += n;
    b->data[b->n] = '\0';
}

void lrk_buf_puts(lrk_buf *b, const char *s)
{
    lrk_buf_append(b, s, strlen(s));
}

void lrk_buf_printf(lrk_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !reserve(b, (size_t)n)) {
        b->failed = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(b->data + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

void lrk_buf_free(lrk_buf *b)
{
    lrk_heap_free(b->data);
    *b = (lrk_buf){0};
}

lrk_status lrk_buf_check(const lrk_buf *b, lrk_err *err)
{
    LRK_REQUIRE(err, !b->failed, LRK_ENOMEM, "memory: a buffer of %zu bytes could not grow", b->n);
    return LRK_OK;
}
