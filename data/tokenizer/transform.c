/* data/tokenizer/transform.c -- changing a text, with the way back to the input. A text is copied
 * only when it changes. */
#include "data/tokenizer/internal.h"

#include "base/text.h"

#include <string.h>

/* Offsets of the bytes appended to c since `first`. */
static lrk_status origins(lrk_changed *c, size_t first, size_t origin, bool rising, lrk_err *err)
{
    if (c->text.n + 1 > c->capacity) {
        const size_t more = 2 * (c->text.n + 1);
        size_t *grown = lrk_heap_grow(c->from, more, sizeof *grown);
        LRK_REQUIRE(err, grown, LRK_ENOMEM, "normalizer: out of memory");
        c->from = grown;
        c->capacity = more;
    }
    for (size_t i = first; i < c->text.n; i++) c->from[i] = rising ? origin + (i - first) : origin;
    return LRK_OK;
}

lrk_status lrk_changed_put(lrk_changed *c, const lrk_mapped *m, size_t i, lrk_piece made,
                           lrk_err *err)
{
    const size_t first = c->text.n;
    lrk_buf_append(&c->text, made.data, made.n);
    LRK_TRY(lrk_buf_check(&c->text, err));
    return origins(c, first, lrk_origin(m, i), false, err);
}

lrk_status lrk_changed_keep(lrk_changed *c, const lrk_mapped *m, size_t begin, size_t end,
                            lrk_err *err)
{
    const size_t first = c->text.n;
    lrk_buf_append(&c->text, m->s + begin, end - begin);
    LRK_TRY(lrk_buf_check(&c->text, err));
    if (!m->from) return origins(c, first, m->begin + begin, true, err);
    LRK_TRY(origins(c, first, 0, false, err));
    memcpy(c->from + first, m->from + begin, (end - begin) * sizeof *c->from);
    return LRK_OK;
}

static lrk_status replace(lrk_changed *c, const lrk_mapped *m, const lrk_transform *f,
                          bool *changed, lrk_err *err)
{
    const char *at = lrk_find_bytes(m->s, m->n, f->from.data, f->from.n);
    *changed = at != NULL;
    size_t done = 0;
    for (; at; at = lrk_find_bytes(m->s + done, m->n - done, f->from.data, f->from.n)) {
        const size_t i = (size_t)(at - m->s);
        LRK_TRY(lrk_changed_keep(c, m, done, i, err));
        LRK_TRY(lrk_changed_put(c, m, i, f->to, err));
        done = i + f->from.n;
    }
    return *changed ? lrk_changed_keep(c, m, done, m->n, err) : LRK_OK;
}

/* from.n is a character's. */
static lrk_status replace_runs(lrk_changed *c, const lrk_mapped *m, const lrk_transform *f,
                               bool *changed, lrk_err *err)
{
    size_t done = 0, n = f->from.n;
    for (size_t i = 0; i + 2 * n <= m->n;) {
        const char *at = lrk_find_bytes(m->s + i, m->n - i, f->from.data, n);
        if (!at) break;
        const size_t begin = (size_t)(at - m->s);
        for (i = begin + n; i + n <= m->n && memcmp(m->s + i, f->from.data, n) == 0;) i += n;
        if (i < begin + 2 * n) continue;
        *changed = true;
        LRK_TRY(lrk_changed_keep(c, m, done, begin, err));
        LRK_TRY(lrk_changed_put(c, m, begin, f->to, err));
        done = i;
    }
    return *changed ? lrk_changed_keep(c, m, done, m->n, err) : LRK_OK;
}

static lrk_status prepend(lrk_changed *c, const lrk_mapped *m, const lrk_transform *f,
                          bool *changed, lrk_err *err)
{
    const bool there = m->n >= f->to.n && memcmp(m->s, f->to.data, f->to.n) == 0;
    *changed = m->n > 0 && (f->kind == LRK_TRANSFORM_PREPEND || !there) &&
               (f->kind != LRK_TRANSFORM_PREPEND_FIRST || lrk_origin(m, 0) == 0);
    if (!*changed) return LRK_OK;
    LRK_TRY(lrk_changed_put(c, m, 0, f->to, err));
    return lrk_changed_keep(c, m, 0, m->n, err);
}

/* Without the white space at its ends the text is a part of itself: nothing is copied. */
static void strip(lrk_mapped *m, const lrk_transform *f)
{
    size_t begin = 0, end = m->n;
    for (size_t i = 0; f->left && i < end; begin = i)
        if (!(lrk_class_search(lrk_utf8_next(m->s, &i)) & LRK_SPACE)) break;
    while (f->right && end > begin) {
        const size_t last = lrk_utf8_back(m->s, end);
        size_t i = last;
        if (!(lrk_class_search(lrk_utf8_next(m->s, &i)) & LRK_SPACE)) break;
        end = last;
    }
    *m = lrk_mapped_part(m, begin, end);
}

static lrk_status run(lrk_changed *c, const lrk_mapped *m, const lrk_transform *f, bool *changed,
                      lrk_err *err)
{
    switch (f->kind) {
    case LRK_TRANSFORM_NFC:
    case LRK_TRANSFORM_NFD:
    case LRK_TRANSFORM_NFKC:
    case LRK_TRANSFORM_NFKD:
        return lrk_normalize(c, m, f, changed, err);
    case LRK_TRANSFORM_LOWERCASE:
    case LRK_TRANSFORM_STRIP_ACCENTS:
        return lrk_change_case(c, m, f, changed, err);
    case LRK_TRANSFORM_REPLACE:
        return replace(c, m, f, changed, err);
    case LRK_TRANSFORM_REPLACE_RUNS:
        return replace_runs(c, m, f, changed, err);
    case LRK_TRANSFORM_CHARSMAP:
        return lrk_charsmap_run(c, m, f->map, changed, err);
    case LRK_TRANSFORM_STRIP:
    case LRK_TRANSFORM_PREPEND:
    case LRK_TRANSFORM_PREPEND_ONCE:
    case LRK_TRANSFORM_PREPEND_FIRST:
        break;
    }
    return prepend(c, m, f, changed, err);
}

lrk_status lrk_transform_run(const lrk_transform *list, size_t n, lrk_mapped *m, lrk_changed *c,
                             lrk_err *err)
{
    int target = 0;
    for (size_t i = 0; i < n; i++) {
        lrk_changed *to = &c[target];
        bool changed = false;
        if (list[i].kind == LRK_TRANSFORM_STRIP) {
            strip(m, &list[i]);
            continue;
        }
        to->text.n = 0;
        LRK_TRY(run(to, m, &list[i], &changed, err));
        if (!changed) continue;
        LRK_TRY(origins(to, to->text.n, 0, false, err));
        to->from[to->text.n] = lrk_origin(m, m->n);
        *m = (lrk_mapped){
            .s = to->text.data ? to->text.data : "", .n = to->text.n, .from = to->from};
        target = !target;
    }
    return LRK_OK;
}
