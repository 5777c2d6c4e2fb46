/* data/prefix.c -- the tree of beginnings. */
#include "data/prefix.h"

#include "base/arena.h"
#include "base/sha256.h"
#include "base/size.h"

#include <string.h>

enum { FIRST_SLOTS = 1 << 10 };

size_t lrk_common_tokens(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b)
{
    const size_t most = lrk_min(n_a, n_b);
    size_t n = 0;
    while (n < most && a[n] == b[n]) n++;
    return n;
}

size_t lrk_untrained_prefix(const uint8_t *mask, size_t n)
{
    size_t first = 0;
    while (first < n && !mask[first]) first++;
    return first ? first - 1 : 0;
}

void lrk_shared_add(lrk_shared *b, const uint32_t *ids, size_t most)
{
    if (!b->sequences++)
        *b = (lrk_shared){.ids = ids, .n = most, .sequences = 1};
    else
        b->n = lrk_common_tokens(b->ids, b->n, ids, most);
}

size_t lrk_shared_tokens(const lrk_shared *b)
{
    return b->sequences > 1 && b->n >= LRK_PREFIX_PIECE ? b->n : 0;
}

/* A parent comes before its children; node 0 is the empty beginning. */
typedef struct node {
    uint32_t parent, depth; /* depth: pieces up to its end */
    uint32_t rows;          /* that pass it */
    uint32_t place;         /* among all nodes, depth first */
} node;

typedef struct digest {
    unsigned char byte[32];
} digest;

struct lrk_prefixes {
    uint32_t *end; /* [n_rows] the last node of each row */
    size_t n_rows;
    node *nodes;
    size_t n, capacity;
    digest *digests; /* [capacity] until finish */
    uint32_t *slots; /* 0: free */
    size_t n_slots;
};

static lrk_status grow(lrk_prefixes *p, size_t capacity, lrk_err *err)
{
    node *nodes = lrk_heap_grow(p->nodes, capacity, sizeof *nodes);
    if (nodes) p->nodes = nodes;
    digest *digests = lrk_heap_grow(p->digests, capacity, sizeof *digests);
    if (digests) p->digests = digests;
    LRK_REQUIRE(err, nodes && digests, LRK_ENOMEM, "memory: no room for %zu beginnings of rows", capacity);
    p->capacity = capacity;
    return LRK_OK;
}

/* The slot of a digest, or the free one where it belongs. */
static uint32_t *slot_of(const lrk_prefixes *p, const digest *d)
{
    uint64_t h;
    memcpy(&h, d, sizeof h);
    for (size_t i = (size_t)h & (p->n_slots - 1);; i = (i + 1) & (p->n_slots - 1)) {
        uint32_t *s = &p->slots[i];
        if (!*s || memcmp(&p->digests[*s], d, sizeof *d) == 0) return s;
    }
}

static lrk_status rehash(lrk_prefixes *p, size_t n_slots, lrk_err *err)
{
    uint32_t *slots = lrk_heap_alloc(n_slots, sizeof *slots);
    LRK_REQUIRE(err, slots, LRK_ENOMEM, "memory: no room for %zu beginnings of rows", n_slots);
    lrk_heap_free(p->slots);
    p->slots = slots;
    p->n_slots = n_slots;
    for (size_t i = 1; i < p->n; i++) *slot_of(p, &p->digests[i]) = (uint32_t)i;
    return LRK_OK;
}

lrk_status lrk_prefixes_open(lrk_prefixes **out, size_t n_rows, lrk_err *err)
{
    lrk_prefixes *p = lrk_heap_alloc(1, sizeof *p);
    LRK_REQUIRE(err, p, LRK_ENOMEM, "memory: no room for beginnings of rows");
    *p = (lrk_prefixes){.n_rows = n_rows, .end = lrk_heap_alloc(n_rows, sizeof *p->end)};
    lrk_status s = p->end ? LRK_OK : lrk_fail(err, LRK_ENOMEM, "memory: no room for %zu rows", n_rows);
    if (s == LRK_OK) s = grow(p, FIRST_SLOTS / 2, err);
    if (s == LRK_OK) {
        p->nodes[p->n++] = (node){0};
        s = rehash(p, FIRST_SLOTS, err);
    }
    if (s != LRK_OK) {
        lrk_prefixes_close(p);
        return s;
    }
    *out = p;
    return LRK_OK;
}

void lrk_prefixes_close(lrk_prefixes *p)
{
    if (!p) return;
    lrk_heap_free(p->end);
    lrk_heap_free(p->nodes);
    lrk_heap_free(p->digests);
    lrk_heap_free(p->slots);
    lrk_heap_free(p);
}

/* The node of a digest below `parent`, made where it is new; 0 where there is no room for more. */
static lrk_status enter(lrk_prefixes *p, const digest *d, uint32_t parent, uint32_t *out, lrk_err *err)
{
    *out = *slot_of(p, d);
    if (*out || p->n == LRK_PREFIX_NODES) return LRK_OK;
    if (p->n == p->capacity) {
        LRK_TRY(grow(p, 2 * p->capacity, err));
        LRK_TRY(rehash(p, 2 * p->n_slots, err));
    }
    *out = (uint32_t)p->n;
    *slot_of(p, d) = *out;
    p->digests[p->n] = *d;
    p->nodes[p->n++] = (node){.parent = parent, .depth = p->nodes[parent].depth + 1};
    return LRK_OK;
}

lrk_status lrk_prefixes_add(lrk_prefixes *p, size_t row, const uint32_t *ids, size_t n, lrk_err *err)
{
    digest d = {0};
    uint32_t at = 0, next;
    for (size_t i = 0; i + LRK_PREFIX_PIECE <= n; i += LRK_PREFIX_PIECE, at = next) {
        lrk_sha256 h;
        lrk_sha256_begin(&h);
        lrk_sha256_add(&h, &d, sizeof d);
        lrk_sha256_add(&h, ids + i, LRK_PREFIX_PIECE * sizeof *ids);
        lrk_sha256_end(&h, d.byte);
        LRK_TRY(enter(p, &d, at, &next, err));
        if (!next) break;
        p->nodes[next].rows++;
    }
    p->end[row] = at;
    return LRK_OK;
}

/* Nodes that one row alone passes go; their rows end where others still are. */
static void keep_shared(lrk_prefixes *p)
{
    uint32_t *now = p->slots; /* as many as nodes at least */
    size_t n = 1;
    now[0] = 0;
    for (size_t i = 1; i < p->n; i++) {
        const node old = p->nodes[i];
        now[i] = now[old.parent];
        if (old.rows < 2) continue;
        now[i] = (uint32_t)n;
        p->nodes[n++] = (node){.parent = now[old.parent], .depth = old.depth, .rows = old.rows};
    }
    for (size_t r = 0; r < p->n_rows; r++) p->end[r] = now[p->end[r]];
    p->n = n;
}

/* Depth first: a node's place, then those below it. */
static void number(lrk_prefixes *p)
{
    uint32_t *size = p->slots; /* of the tree below each node; then the next free place in it */
    for (size_t i = 0; i < p->n; i++) size[i] = 1;
    for (size_t i = p->n; i-- > 1;) size[p->nodes[i].parent] += size[i];
    size[0] = 1;
    for (size_t i = 1; i < p->n; i++) {
        uint32_t *next = &size[p->nodes[i].parent];
        const uint32_t all = size[i];
        p->nodes[i].place = *next;
        size[i] = *next + 1;
        *next += all;
    }
}

void lrk_prefixes_finish(lrk_prefixes *p)
{
    keep_shared(p);
    number(p);
    lrk_heap_free(p->digests);
    lrk_heap_free(p->slots);
    p->digests = NULL;
    p->slots = NULL;
}

size_t lrk_prefixes_common(const lrk_prefixes *p, size_t a, size_t b)
{
    uint32_t x = p->end[a], y = p->end[b];
    while (x != y) {
        if (x > y)
            x = p->nodes[x].parent;
        else
            y = p->nodes[y].parent;
    }
    return (size_t)p->nodes[x].depth * LRK_PREFIX_PIECE;
}

uint32_t lrk_prefixes_order(const lrk_prefixes *p, size_t row)
{
    return p->nodes[p->end[row]].place;
}
