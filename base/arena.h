/* base/arena.h -- all memory of the program, and the only place that calls malloc.
 *
 * An arena hands out named pieces that are released together. Three kinds:
 *   growing   takes blocks from the heap as it needs them: parsers, configurations, messages
 *   fixed     one mapped block of a size known beforehand (huge pages where possible): the four
 *             arenas of a run, frozen, run, step, scratch; a request beyond it is LRK_ENOMEM. It may
 *             lie in the memory of a GPU (base/device.h): then nothing here looks into it
 *   counting  has no memory at all and only counts: how `lorikeet plan` learns the exact bytes.
 *             Its pointers are NULL, and code that sees lrk_arena_counting() must not touch data
 * Pieces are 64-byte aligned and zeroed in growing arenas; in fixed arenas their content is
 * undefined (NaN bytes in debug builds after a reset). An arena belongs to one thread at a time.
 */
#ifndef LRK_BASE_ARENA_H
#define LRK_BASE_ARENA_H
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { LRK_ALIGN = 64 };

typedef struct lrk_arena {
    const char *name;
    unsigned char *base;        /* fixed: the block; else NULL */
    size_t capacity;            /* fixed: bytes of base; growing: bytes taken from the heap */
    size_t used, peak;          /* bytes handed out now, and at most so far */
    struct lrk_block *blocks;   /* growing: newest first */
    bool counting;
    void (*give_back)(void *); /* fixed, of a device: what releases base; NULL: munmap */
} lrk_arena;

lrk_arena lrk_arena_growing(const char *name);
lrk_arena lrk_arena_count(const char *name);
lrk_status lrk_arena_fixed(lrk_arena *a, const char *name, size_t bytes, lrk_err *err);
void lrk_arena_free(lrk_arena *a); /* may be called twice, and on a zeroed arena */

static inline bool lrk_arena_counting(const lrk_arena *a)
{
    return a->counting;
}

/* count * size bytes in *out. `what` names them in the message when they do not fit.
 * On a counting arena *out becomes NULL and the call succeeds. */
lrk_status lrk_alloc(lrk_arena *a, size_t count, size_t size, const char *what, void *out,
                     lrk_err *err);

/* Copies of strings, NUL-terminated, in a growing arena; NULL when memory is out. */
char *lrk_strdup(lrk_arena *a, const char *s);
char *lrk_strndup(lrk_arena *a, const char *s, size_t n);

/* The fill level, and the way back to it: everything handed out since is released. Fixed and
 * counting arenas only. */
static inline size_t lrk_arena_mark(const lrk_arena *a)
{
    return a->used;
}
void lrk_arena_reset(lrk_arena *a, size_t mark);

/* A growing byte buffer; data stays valid until the next call that grows it. Zero-initialize.
 * data[n] is always NUL once something was appended. */
typedef struct lrk_buf {
    char *data;
    size_t n, capacity;
    bool failed; /* an append did not fit: later appends do nothing; check once at the end */
} lrk_buf;

void lrk_buf_append(lrk_buf *b, const void *data, size_t n);
void lrk_buf_puts(lrk_buf *b, const char *s);
void lrk_buf_printf(lrk_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void lrk_buf_free(lrk_buf *b);
lrk_status lrk_buf_check(const lrk_buf *b, lrk_err *err); /* LRK_ENOMEM when an append failed */

/* The heap itself, for the rare thing that lives shorter or longer than any arena. */
void *lrk_heap_alloc(size_t count, size_t size);           /* zeroed; NULL when out of memory */
void *lrk_heap_grow(void *p, size_t count, size_t size);   /* realloc; p survives failure */
void lrk_heap_free(void *p);

#endif /* LRK_BASE_ARENA_H */
