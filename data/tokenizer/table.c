/* data/tokenizer/table.c -- the hash tables of a tokenizer. */
#include "data/tokenizer/table.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash(const char *s, size_t n)
{
    uint64_t h = n * 0xff51afd7ed558ccdu, word = 0;
    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&word, s, 8);
        h = lrk_mix(h ^ word);
    }
    word = 0;
    for (size_t i = 0; i < n; i++) word |= (uint64_t)(unsigned char)s[i] << (8 * i);
    return lrk_mix(lrk_mix(h ^ word));
}

/* Slots for n entries, at most half full. */
static size_t slots(size_t n)
{
    size_t s = 64;
    while (s < 2 * n) s *= 2;
    return s;
}

lrk_status lrk_strings_make(lrk_strings *t, lrk_arena *a, size_t n, const lrk_piece *piece,
                            lrk_err *err)
{
    t->piece = piece;
    t->mask = slots(n) - 1;
    return lrk_alloc(a, t->mask + 1, sizeof *t->slot, "token table", &t->slot, err);
}

static bool same(const lrk_piece *p, const char *s, size_t n)
{
    return p->n == n && memcmp(p->data, s, n) == 0;
}

lrk_status lrk_strings_add(lrk_strings *t, uint32_t id, uint32_t *found, lrk_err *err)
{
    const lrk_piece p = t->piece[id];
    const uint64_t h = hash(p.data, p.n);
    size_t i = (size_t)h & t->mask;
    for (int probes = 0; t->slot[i]; i = (i + 1) & t->mask, probes++) {
        const uint32_t other = (uint32_t)t->slot[i] - 1;
        if (t->slot[i] >> 32 == h >> 32 && same(&t->piece[other], p.data, p.n)) {
            *found = other;
            return LRK_OK;
        }
        LRK_REQUIRE(err, probes < LRK_MAX_PROBES, LRK_EINPUT,
                    "vocabulary: more than %d tokens with the same hash", LRK_MAX_PROBES);
    }
    t->slot[i] = (h >> 32) << 32 | (id + 1);
    *found = id;
    return LRK_OK;
}

static int64_t find(const lrk_strings *t, uint64_t h, const char *s, size_t n)
{
    for (size_t i = (size_t)h & t->mask; t->slot[i]; i = (i + 1) & t->mask) {
        const uint32_t id = (uint32_t)t->slot[i] - 1;
        if (t->slot[i] >> 32 == h >> 32 && same(&t->piece[id], s, n)) return id;
    }
    return LRK_NO_ID;
}

int64_t lrk_strings_find(const lrk_strings *t, const char *s, size_t n)
{
    return find(t, hash(s, n), s, n);
}

void lrk_strings_find_many(const lrk_strings *t, const lrk_piece *s, size_t n, int64_t *id)
{
    uint64_t h[LRK_FIND_MANY];
    const lrk_piece *likely[LRK_FIND_MANY];
    for (size_t i = 0; i < n; i++) {
        h[i] = hash(s[i].data, s[i].n);
        __builtin_prefetch(&t->slot[h[i] & t->mask]);
    }
    for (size_t i = 0; i < n; i++) {
        const uint32_t first = (uint32_t)t->slot[h[i] & t->mask];
        likely[i] = &t->piece[first ? first - 1 : 0];
        __builtin_prefetch(likely[i]);
    }
    for (size_t i = 0; i < n; i++) __builtin_prefetch(likely[i]->data);
    for (size_t i = 0; i < n; i++) id[i] = find(t, h[i], s[i].data, s[i].n);
}

lrk_status lrk_merges_make(lrk_merges *t, lrk_arena *a, size_t n, lrk_err *err)
{
    t->mask = slots(n) - 1;
    LRK_TRY(lrk_alloc(a, t->mask + 1, sizeof *t->slot, "merge table", &t->slot, err));
    for (size_t i = 0; i <= t->mask; i++) t->slot[i].id = UINT32_MAX;
    return LRK_OK;
}

lrk_status lrk_merges_add(lrk_merges *t, lrk_merge m, lrk_err *err)
{
    size_t i = (size_t)lrk_mix((uint64_t)m.left << 32 | m.right) & t->mask;
    for (int probes = 0; t->slot[i].id != UINT32_MAX; i = (i + 1) & t->mask, probes++) {
        if (t->slot[i].left == m.left && t->slot[i].right == m.right) break;
        LRK_REQUIRE(err, probes < LRK_MAX_PROBES, LRK_EINPUT,
                    "merges: more than %d pairs with the same hash", LRK_MAX_PROBES);
    }
    t->slot[i] = m;
    return LRK_OK;
}

/* ---- trie ---- */

static int by_bytes(const void *a, const void *b)
{
    const lrk_piece *x = *(const lrk_piece *const *)a, *y = *(const lrk_piece *const *)b;
    const int order = memcmp(x->data, y->data, x->n < y->n ? x->n : y->n);
    return order ? order : x->n < y->n ? -1 : x->n > y->n;
}

static size_t common(const lrk_piece *x, const lrk_piece *y)
{
    size_t n = 0;
    while (n < x->n && n < y->n && x->data[n] == y->data[n]) n++;
    return n;
}

/* Fills the children of node `at`, whose strings share `depth` bytes. */
static void branch(lrk_trie *t, const lrk_piece *const *sorted, const lrk_piece *piece, size_t at,
                   size_t depth)
{
    lrk_trie_node *node = &t->node[at];
    uint32_t i = node->low;
    node->child = (uint32_t)t->n;
    node->id = -1;
    for (; i < node->high && sorted[i]->n == depth; i++)
        if (depth) node->id = (int32_t)(sorted[i] - piece);
    while (i < node->high) {
        const uint32_t low = i;
        const char byte = sorted[i]->data[depth];
        while (i < node->high && sorted[i]->data[depth] == byte) i++;
        t->node[t->n++] = (lrk_trie_node){.byte = (unsigned char)byte, .low = low, .high = i};
        node->count++;
    }
}

lrk_status lrk_trie_make(lrk_trie *t, lrk_arena *a, const lrk_piece *piece, size_t n, lrk_err *err)
{
    const lrk_piece **sorted;
    size_t most = 1;
    LRK_TRY(lrk_alloc(a, n, sizeof *sorted, "trie", &sorted, err));
    for (size_t i = 0; i < n; i++) sorted[i] = &piece[i];
    if (n) qsort(sorted, n, sizeof *sorted, by_bytes);
    for (size_t i = 0; i < n; i++)
        most += sorted[i]->n - (i ? common(sorted[i - 1], sorted[i]) : 0);
    LRK_TRY(lrk_alloc(a, most, sizeof *t->node, "trie", &t->node, err));
    t->node[0] = (lrk_trie_node){.high = (uint32_t)n};
    t->n = 1;
    /* Breadth first: nodes of one depth lie side by side. */
    for (size_t at = 0, depth = 0, last = 1; at < t->n; at++) {
        if (at == last) {
            depth++;
            last = t->n;
        }
        branch(t, sorted, piece, at, depth);
    }
    return LRK_OK;
}
