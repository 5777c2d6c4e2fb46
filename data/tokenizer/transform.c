/* data/tokenizer/transform.c -- normalizers: NFC, Prepend, Replace, with the way back to the input.
 *
 * A text is copied only when it changes: ASCII is in NFC, and most text is all the same.
 */
#include "data/tokenizer/internal.h"

#include <string.h>
#include <utf8proc.h>

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

/* `made` in place of what began at m->s[i]. */
static lrk_status put(lrk_changed *c, const lrk_mapped *m, size_t i, lrk_piece made, lrk_err *err)
{
    const size_t first = c->text.n;
    lrk_buf_append(&c->text, made.data, made.n);
    LRK_TRY(lrk_buf_check(&c->text, err));
    return origins(c, first, lrk_origin(m, i), false, err);
}

/* m->s[begin .. end) as it is. */
static lrk_status keep(lrk_changed *c, const lrk_mapped *m, size_t begin, size_t end, lrk_err *err)
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
    const char *at = memmem(m->s, m->n, f->from.data, f->from.n);
    *changed = at != NULL;
    size_t done = 0;
    for (; at; at = memmem(m->s + done, m->n - done, f->from.data, f->from.n)) {
        const size_t i = (size_t)(at - m->s);
        LRK_TRY(keep(c, m, done, i, err));
        LRK_TRY(put(c, m, i, f->to, err));
        done = i + f->from.n;
    }
    return *changed ? keep(c, m, done, m->n, err) : LRK_OK;
}

static lrk_status prepend(lrk_changed *c, const lrk_mapped *m, const lrk_transform *f,
                          bool *changed, lrk_err *err)
{
    const bool there = m->n >= f->to.n && memcmp(m->s, f->to.data, f->to.n) == 0;
    *changed = m->n > 0 && (f->kind == LRK_TRANSFORM_PREPEND || !there) &&
               (f->kind != LRK_TRANSFORM_PREPEND_FIRST || lrk_origin(m, 0) == 0);
    if (!*changed) return LRK_OK;
    LRK_TRY(put(c, m, 0, f->to, err));
    return keep(c, m, 0, m->n, err);
}

/* Marks that came to Unicode after version 9, which is the one that the reference normalizes by: it
 * takes them for letters, which nothing combines with or passes by. */
static bool is_unknown_mark(uint32_t c)
{
    static const uint32_t range[][2] = {
        {0x7fd, 0x7fd},     {0x898, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},
        {0xc3c, 0xc3c},     {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0x1715, 0x1715},
        {0x1abf, 0x1ace},   {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},   {0x10d24, 0x10d27},
        {0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50}, {0x10f82, 0x10f85},
        {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e}, {0x11839, 0x1183a},
        {0x11930, 0x11930}, {0x1193d, 0x1193e}, {0x11943, 0x11943}, {0x119e0, 0x119e0},
        {0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42},
        {0x11d44, 0x11d45}, {0x11d97, 0x11d97}, {0x11f41, 0x11f42}, {0x16ff0, 0x16ff1},
        {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae}, {0x1e2ec, 0x1e2ef},
        {0x1e4ec, 0x1e4ef}};
    for (size_t i = 0; i < sizeof range / sizeof *range && c >= range[i][0]; i++)
        if (c <= range[i][1]) return true;
    return false;
}

/* Nothing before such a character ever combines with it or moves behind it. */
static bool begins_cluster(uint32_t c)
{
    if (c < 0x300) return true;
    const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)c);
    const bool mark = p->category == UTF8PROC_CATEGORY_MN || p->category == UTF8PROC_CATEGORY_MC ||
                      p->category == UTF8PROC_CATEGORY_ME;
    if (mark || p->combining_class) return is_unknown_mark(c);
    return !(c >= 0x1160 && c <= 0x11ff);
}

typedef struct points {
    utf8proc_int32_t *c;
    utf8proc_int32_t *spare; /* as long, for sorting */
    size_t n, capacity;
} points;

static utf8proc_propval_t order_of(utf8proc_int32_t c)
{
    const utf8proc_propval_t order = utf8proc_get_property(c)->combining_class;
    return order && is_unknown_mark((uint32_t)c) ? 0 : order;
}

/* Canonical order of c[0 .. n), all with a combining class: a stable merge sort, since a stranger
 * may write a million of them. */
static void sort_marks(utf8proc_int32_t *c, utf8proc_int32_t *spare, size_t n)
{
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t low = 0; low < n; low += 2 * width) {
            const size_t middle = low + width < n ? low + width : n;
            const size_t high = middle + width < n ? middle + width : n;
            size_t a = low, b = middle;
            for (size_t k = low; k < high; k++) {
                const bool right = a == middle || (b < high && order_of(c[b]) < order_of(c[a]));
                spare[k] = right ? c[b++] : c[a++];
            }
        }
        memcpy(c, spare, n * sizeof *c);
    }
}

/* Canonical decomposition of s[begin .. end) into p, sorted. */
static lrk_status decompose(points *p, const char *s, size_t begin, size_t end, lrk_err *err)
{
    enum { LONGEST = 18 }; /* code points one decomposes into, at most */
    const size_t room = (end - begin) * LONGEST + LONGEST;
    if (p->capacity < room) {
        utf8proc_int32_t *grown = lrk_heap_grow(p->c, 2 * room, sizeof *grown);
        LRK_REQUIRE(err, grown, LRK_ENOMEM, "normalizer: out of memory");
        p->c = grown;
        grown = lrk_heap_grow(p->spare, 2 * room, sizeof *grown);
        LRK_REQUIRE(err, grown, LRK_ENOMEM, "normalizer: out of memory");
        p->spare = grown;
        p->capacity = room;
    }
    p->n = 0;
    for (size_t i = begin; i < end;) {
        const utf8proc_int32_t c = (utf8proc_int32_t)lrk_utf8_next(s, &i);
        int boundary = 0;
        const utf8proc_ssize_t made = utf8proc_decompose_char(
            c, p->c + p->n, LONGEST, UTF8PROC_STABLE | UTF8PROC_COMPOSE, &boundary);
        LRK_REQUIRE(err, made >= 0 && made <= LONGEST, LRK_EINTERNAL, "normalizer: %s",
                    utf8proc_errmsg(made));
        p->n += (size_t)made;
    }
    for (size_t i = 0; i < p->n;) {
        size_t j = i;
        while (j < p->n && order_of(p->c[j])) j++;
        if (j - i > 1) sort_marks(p->c + i, p->spare, j - i);
        i = j + 1;
    }
    return LRK_OK;
}

/* The NFC of the cluster s[begin .. end), at most its length times 3 long, into `made`. */
static lrk_status compose(points *p, const char *s, size_t begin, size_t end, lrk_buf *made,
                          lrk_err *err)
{
    LRK_TRY(decompose(p, s, begin, end, err));
    const utf8proc_ssize_t n =
        utf8proc_normalize_utf32(p->c, (utf8proc_ssize_t)p->n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    LRK_REQUIRE(err, n >= 0, LRK_EINTERNAL, "normalizer: %s", utf8proc_errmsg(n));
    made->n = 0;
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        utf8proc_uint8_t utf8[4];
        lrk_buf_append(made, utf8, (size_t)utf8proc_encode_char(p->c[i], utf8));
    }
    return lrk_buf_check(made, err);
}

static lrk_status compose_all(lrk_changed *c, const lrk_mapped *m, points *p, lrk_buf *made,
                              bool *changed, lrk_err *err)
{
    size_t done = 0;
    for (size_t i = 0; i < m->n;) {
        const size_t begin = i;
        const uint32_t first = lrk_utf8_next(m->s, &i);
        for (size_t next = i; next < m->n; i = next)
            if (begins_cluster(lrk_utf8_next(m->s, &next))) break;
        if (first < 0x80 && i == begin + 1) continue;
        LRK_TRY(compose(p, m->s, begin, i, made, err));
        if (made->n == i - begin && memcmp(made->data, m->s + begin, made->n) == 0) continue;
        *changed = true;
        LRK_TRY(keep(c, m, done, begin, err));
        LRK_TRY(put(c, m, begin, (lrk_piece){made->data, made->n}, err));
        done = i;
    }
    return *changed ? keep(c, m, done, m->n, err) : LRK_OK;
}

static lrk_status nfc(lrk_changed *c, const lrk_mapped *m, bool *changed, lrk_err *err)
{
    size_t i = 0;
    while (i < m->n && (unsigned char)m->s[i] < 0x80) i++;
    if (i == m->n) return LRK_OK;
    points p = {.n = 0};
    lrk_buf made = {.n = 0};
    const lrk_status status = compose_all(c, m, &p, &made, changed, err);
    lrk_heap_free(p.c);
    lrk_heap_free(p.spare);
    lrk_buf_free(&made);
    return status;
}

lrk_status lrk_transform_run(const lrk_transform *list, size_t n, lrk_mapped *m, lrk_changed c[2],
                             lrk_err *err)
{
    int target = 0;
    for (size_t i = 0; i < n; i++) {
        lrk_changed *to = &c[target];
        bool changed = false;
        to->text.n = 0;
        switch (list[i].kind) {
        case LRK_TRANSFORM_NFC:
            LRK_TRY(nfc(to, m, &changed, err));
            break;
        case LRK_TRANSFORM_REPLACE:
            LRK_TRY(replace(to, m, &list[i], &changed, err));
            break;
        default:
            LRK_TRY(prepend(to, m, &list[i], &changed, err));
        }
        if (!changed) continue;
        LRK_TRY(origins(to, to->text.n, 0, false, err));
        to->from[to->text.n] = lrk_origin(m, m->n);
        *m = (lrk_mapped){
            .s = to->text.data ? to->text.data : "", .n = to->text.n, .from = to->from};
        target = !target;
    }
    return LRK_OK;
}
