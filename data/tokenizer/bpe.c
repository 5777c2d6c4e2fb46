/* data/tokenizer/bpe.c -- byte pair encoding of one piece of text.
 *
 * The pair with the lowest rank merges first, of equal ones the leftmost, until none merges. Short
 * pieces search their few pairs again and again; long ones (a tokenizer without pre-tokenizer makes
 * one piece of a whole text) keep the pairs in a heap, so that the work is n log n.
 */
#include "data/tokenizer/internal.h"

#include <stdatomic.h>
#include <string.h>

enum { SHORT = 48 };

lrk_status lrk_ids_add(lrk_ids *ids, uint32_t id, size_t begin, lrk_err *err)
{
    if (ids->n == ids->capacity) {
        const size_t more = ids->capacity ? 2 * ids->capacity : 64;
        uint32_t *id_grown = lrk_heap_grow(ids->id, more, sizeof *id_grown);
        LRK_REQUIRE(err, id_grown, LRK_ENOMEM, "tokenizer: no memory for %zu ids", more);
        ids->id = id_grown;
        size_t *begin_grown = lrk_heap_grow(ids->begin, more, sizeof *begin_grown);
        LRK_REQUIRE(err, begin_grown, LRK_ENOMEM, "tokenizer: no memory for %zu ids", more);
        ids->begin = begin_grown;
        ids->capacity = more;
    }
    ids->id[ids->n] = id;
    ids->begin[ids->n++] = begin;
    return LRK_OK;
}

lrk_status lrk_work_room(void *pointer, size_t *capacity, size_t n, size_t size, lrk_err *err)
{
    if (n <= *capacity) return LRK_OK;
    void *old, *grown;
    memcpy(&old, pointer, sizeof old);
    const size_t more = n < 2 * *capacity ? 2 * *capacity : n;
    grown = lrk_heap_grow(old, more, size);
    LRK_REQUIRE(err, grown, LRK_ENOMEM, "tokenizer: no memory for a piece of %zu symbols", n);
    memcpy(pointer, &grown, sizeof grown);
    *capacity = more;
    return LRK_OK;
}

/* ---- symbols to begin with ---- */

typedef struct symbols {
    lrk_symbol *s;
    size_t n;
    bool pending; /* an unknown character waits: the next may be fused with it */
    uint32_t pending_begin;
} symbols;

static void add(symbols *y, int64_t id, size_t begin)
{
    y->s[y->n++] = (lrk_symbol){.id = (uint32_t)id, .begin = (uint32_t)begin};
}

/* The reference keeps an unknown token back until the next known character, and byte tokens may
 * pass it on the way. */
static void unknown(const lrk_tokenizer *t, symbols *y, size_t begin)
{
    if (t->unk == LRK_NO_ID || (y->pending && t->fuse_unk)) return;
    if (y->pending) add(y, t->unk, y->pending_begin);
    y->pending = true;
    y->pending_begin = (uint32_t)begin;
}

static bool as_bytes(const lrk_tokenizer *t, symbols *y, const char *s, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        if (t->fallback[(unsigned char)s[i]] < 0) return false;
    for (size_t i = begin; i < end; i++) add(y, t->fallback[(unsigned char)s[i]], i);
    return true;
}

static void split(const lrk_tokenizer *t, const char *s, size_t n, symbols *y)
{
    for (size_t i = 0; i < n;) {
        const size_t begin = i;
        int64_t id;
        if (t->byte_level)
            id = t->start[(unsigned char)s[i++]];
        else if (lrk_utf8_next(s, &i) < 0x80)
            id = t->start[(unsigned char)s[begin]];
        else
            id = lrk_strings_find(&t->by_text, s + begin, i - begin);
        if (id < 0 || id >= (int64_t)t->n_model) {
            if (!t->byte_fallback || !as_bytes(t, y, s, begin, i)) unknown(t, y, begin);
            continue;
        }
        if (y->pending) add(y, t->unk, y->pending_begin);
        y->pending = false;
        add(y, id, begin);
    }
    if (y->pending) add(y, t->unk, y->pending_begin);
}

/* ---- merging ---- */

static size_t merge_short(const lrk_tokenizer *t, lrk_symbol *s, size_t n)
{
    const lrk_merge *pair[SHORT];
    for (size_t i = 0; i + 1 < n; i++) pair[i] = lrk_merges_find(&t->merges, s[i].id, s[i + 1].id);
    while (n > 1) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i + 1 < n; i++)
            if (pair[i] && (best == SIZE_MAX || pair[i]->rank < pair[best]->rank)) best = i;
        if (best == SIZE_MAX) break;
        s[best].id = pair[best]->id;
        n--;
        for (size_t i = best + 1; i < n; i++) {
            s[i] = s[i + 1];
            pair[i - 1] = pair[i];
        }
        if (best) pair[best - 1] = lrk_merges_find(&t->merges, s[best - 1].id, s[best].id);
        if (best + 1 < n) pair[best] = lrk_merges_find(&t->merges, s[best].id, s[best + 1].id);
    }
    return n;
}

static void sift_down(lrk_candidate *heap, size_t n, size_t i)
{
    const lrk_candidate moved = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1].order < heap[child].order) child++;
        if (heap[child].order >= moved.order) break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

static void sift_up(lrk_candidate *heap, size_t i)
{
    const lrk_candidate moved = heap[i];
    for (size_t parent; i && heap[parent = (i - 1) / 2].order > moved.order; i = parent)
        heap[i] = heap[parent];
    heap[i] = moved;
}

static lrk_candidate candidate(const lrk_merge *m, uint32_t left)
{
    return (lrk_candidate){(uint64_t)m->rank << 32 | left, m->id};
}

/* Offers the pair of s[left] and its right neighbour, if it merges. */
static size_t offer(const lrk_tokenizer *t, const lrk_symbol *s, uint32_t left, lrk_candidate *heap,
                    size_t n)
{
    const lrk_merge *m = lrk_merges_find(&t->merges, s[left].id, s[s[left].next].id);
    if (!m) return n;
    heap[n] = candidate(m, left);
    sift_up(heap, n);
    return n + 1;
}

static lrk_status merge_long(const lrk_tokenizer *t, symbols *y, lrk_work *w, lrk_err *err)
{
    lrk_symbol *s = y->s;
    const uint32_t n = (uint32_t)y->n, none = UINT32_MAX;
    /* Every merge takes a candidate off the heap or more, and puts two there at most: less than n
     * at first, less than 2n ever. */
    LRK_TRY(lrk_work_room(&w->heap, &w->n_heap, 2 * y->n, sizeof *w->heap, err));
    lrk_candidate *heap = w->heap;
    size_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        s[i].prev = i ? i - 1 : none;
        s[i].next = i + 1 < n ? i + 1 : none;
        const lrk_merge *m = i + 1 < n ? lrk_merges_find(&t->merges, s[i].id, s[i + 1].id) : NULL;
        if (m) heap[k++] = candidate(m, i);
    }
    for (size_t i = k / 2; i-- > 0;) sift_down(heap, k, i);
    while (k) {
        const lrk_candidate best = heap[0];
        heap[0] = heap[--k];
        if (k) sift_down(heap, k, 0);
        const uint32_t left = (uint32_t)best.order, right = s[left].next;
        if (s[left].id == none || right == none) continue;
        /* Either of the two may have merged since: then the pair is another one. */
        const lrk_merge *m = lrk_merges_find(&t->merges, s[left].id, s[right].id);
        if (!m || m->id != best.id) continue;
        s[left].id = m->id;
        s[left].next = s[right].next;
        s[right].id = none;
        if (s[left].next != none) {
            s[s[left].next].prev = left;
            k = offer(t, s, left, heap, k);
        }
        if (s[left].prev != none) k = offer(t, s, s[left].prev, heap, k);
    }
    size_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (s[i].id != none) s[kept++] = s[i];
    y->n = kept;
    return LRK_OK;
}

static lrk_status whole_piece(const lrk_tokenizer *t, const lrk_mapped *m, size_t begin, size_t end,
                              lrk_work *w, lrk_ids *out, lrk_err *err)
{
    const char *s = m->s + begin;
    const size_t n = end - begin;
    const lrk_strings *table = t->byte_level ? &t->by_bytes : &t->by_text;
    int64_t whole = n <= LRK_MAX_TOKEN_BYTES ? lrk_strings_find(table, s, n) : LRK_NO_ID;
    if (whole >= (int64_t)t->n_model) whole = LRK_NO_ID;
    unsigned char known = 0;
    if (whole != LRK_NO_ID) {
        known = atomic_load_explicit(&t->whole[whole], memory_order_relaxed);
        if (t->ignore_merges || known == LRK_WHOLE_YES)
            return lrk_ids_add(out, (uint32_t)whole, lrk_origin(m, begin), err);
    }
    lrk_symbol some[SHORT];
    symbols y = {.s = some};
    if (n > SHORT) {
        LRK_TRY(lrk_work_room(&w->symbol, &w->n_symbols, n, sizeof *w->symbol, err));
        y.s = w->symbol;
    }
    split(t, s, n, &y);
    if (y.n <= SHORT)
        y.n = merge_short(t, y.s, y.n);
    else
        LRK_TRY(merge_long(t, &y, w, err));
    if (whole != LRK_NO_ID && !known) {
        const bool yes = y.n == 1 && y.s[0].id == whole;
        atomic_store_explicit(&t->whole[whole], yes ? LRK_WHOLE_YES : LRK_WHOLE_NO,
                              memory_order_relaxed);
    }
    for (size_t i = 0; i < y.n; i++)
        LRK_TRY(lrk_ids_add(out, y.s[i].id, lrk_origin(m, begin + y.s[i].begin), err));
    return LRK_OK;
}

lrk_status lrk_bpe(const lrk_tokenizer *t, const lrk_mapped *m, size_t begin, size_t end,
                   lrk_work *w, lrk_ids *out, lrk_err *err)
{
    if (!t->cuts.bit) return whole_piece(t, m, begin, end, w, out, err);
    while (begin < end) {
        size_t i = begin, next;
        uint32_t left = lrk_utf8_next(m->s, &i);
        for (; i < end; i = next) {
            next = i;
            const uint32_t right = lrk_utf8_next(m->s, &next);
            if (!lrk_cuts_joined(&t->cuts, left, right)) break;
            left = right;
        }
        LRK_TRY(whole_piece(t, m, begin, i, w, out, err));
        begin = i;
    }
    return LRK_OK;
}
