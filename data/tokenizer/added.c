/* data/tokenizer/added.c -- added tokens in text: leftmost, then longest. */
#include "data/tokenizer/internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct entry {
    lrk_piece text;
    uint32_t id;
} entry;

static int by_bytes(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const size_t n = x->text.n < y->text.n ? x->text.n : y->text.n;
    const int order = memcmp(x->text.data, y->text.data, n);
    if (order) return order;
    if (x->text.n != y->text.n) return x->text.n < y->text.n ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

/* The token's text as it looks where it is sought. */
static lrk_status looks(lrk_tokenizer *t, uint32_t id, bool normalized, lrk_piece *out,
                        lrk_err *err)
{
    *out = t->text[id];
    if (!normalized || !t->n_before) return LRK_OK;
    lrk_changed c[2] = {{.capacity = 0}, {.capacity = 0}};
    lrk_mapped m = {.s = out->data, .n = out->n};
    lrk_status status = lrk_transform_run(t->before, t->n_before, &m, c, err);
    if (status == LRK_OK) {
        out->data = lrk_strndup(&t->arena, m.s, m.n);
        out->n = m.n;
        if (!out->data) status = lrk_fail(err, LRK_ENOMEM, "added tokens: out of memory");
    }
    for (int i = 0; i < 2; i++) {
        lrk_buf_free(&c[i].text);
        lrk_heap_free(c[i].from);
    }
    return status;
}

lrk_status lrk_added_make(lrk_added *set, lrk_tokenizer *t, bool normalized, lrk_err *err)
{
    const unsigned want = LRK_IS_ADDED | (normalized ? LRK_IS_NORMALIZED : 0);
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n += (t->flags[i] & (LRK_IS_ADDED | LRK_IS_NORMALIZED)) == want;
    entry *list;
    LRK_TRY(lrk_alloc(&t->arena, n, sizeof *list, "added tokens", &list, err));
    LRK_TRY(lrk_alloc(&t->arena, n, sizeof *set->text, "added tokens", &set->text, err));
    LRK_TRY(lrk_alloc(&t->arena, n, sizeof *set->id, "added tokens", &set->id, err));
    size_t k = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        if ((t->flags[i] & (LRK_IS_ADDED | LRK_IS_NORMALIZED)) != want) continue;
        list[k].id = i;
        LRK_TRY(looks(t, i, normalized, &list[k++].text, err));
    }
    if (n) qsort(list, n, sizeof *list, by_bytes);
    for (size_t i = 0; i < n; i++) {
        if (i && list[i].text.n == list[i - 1].text.n &&
            memcmp(list[i].text.data, list[i - 1].text.data, list[i].text.n) == 0)
            return lrk_fail(err, LRK_EINPUT,
                            "added_tokens: ids %u and %u are the same text once normalized",
                            (unsigned)list[i - 1].id, (unsigned)list[i].id);
        set->text[i] = list[i].text;
        set->id[i] = list[i].id;
        set->first[(unsigned char)list[i].text.data[0]] = true;
    }
    set->n = n;
    return LRK_OK;
}

/* The byte at depth d of text i, -1 behind its end: ends sort before all bytes. */
static int byte_at(const lrk_added *set, size_t i, size_t d)
{
    return d < set->text[i].n ? (unsigned char)set->text[i].data[d] : -1;
}

/* First of low .. high whose byte at depth d is at least b. */
static size_t lower_bound(const lrk_added *set, size_t low, size_t high, size_t d, int b)
{
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (byte_at(set, middle, d) < b)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Index of the longest text that s begins with, or SIZE_MAX. */
static size_t longest(const lrk_added *set, const char *s, size_t n)
{
    size_t low = 0, high = set->n, best = SIZE_MAX;
    for (size_t d = 0; low < high; d++) {
        if (set->text[low].n == d) best = low;
        if (d == n) break;
        const int b = (unsigned char)s[d];
        low = lower_bound(set, low, high, d, b);
        high = lower_bound(set, low, high, d, b + 1);
    }
    return best;
}

static bool is_word_before(const char *s, size_t i)
{
    if (i == 0) return false;
    i = lrk_utf8_back(s, i);
    return lrk_class_is_word(lrk_utf8_next(s, &i));
}

static bool is_word_behind(const char *s, size_t n, size_t i)
{
    return i < n && lrk_class_is_word(lrk_utf8_next(s, &i));
}

static bool is_space(const lrk_tokenizer *t, const char *s, size_t i)
{
    return lrk_class(&t->classes, lrk_utf8_next(s, &i)) & LRK_SPACE;
}

bool lrk_added_next(const lrk_added *set, const lrk_tokenizer *t, const char *s, size_t n,
                    lrk_found *f)
{
    f->gap = f->end;
    for (size_t i = f->resume; set->n && i < n; i++) {
        if (!set->first[(unsigned char)s[i]]) continue;
        const size_t found = longest(set, s + i, n - i);
        if (found == SIZE_MAX) continue;
        size_t begin = i, end = i + set->text[found].n;
        const unsigned flags = t->flags[set->id[found]];
        f->resume = end;
        if (flags & LRK_IS_SINGLE_WORD && (is_word_before(s, begin) || is_word_behind(s, n, end))) {
            i = end - 1;
            continue;
        }
        for (size_t p; flags & LRK_IS_LSTRIP && begin > f->gap; begin = p) {
            p = lrk_utf8_back(s, begin);
            if (!is_space(t, s, p)) break;
        }
        while (flags & LRK_IS_RSTRIP && end < n && is_space(t, s, end)) lrk_utf8_next(s, &end);
        f->begin = begin;
        f->end = end;
        f->id = set->id[found];
        return true;
    }
    return false;
}
