/* data/tokenizer/unicode.c -- normal forms, lower case, accents: as the reference's Unicode has
 * them, version 9 for normal forms, whatever the one of utf8proc is. */
#include "data/tokenizer/internal.h"

#include <string.h>
#include <utf8proc.h>

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

/* Characters that got a compatibility decomposition after version 9: they stay what they are. */
static bool is_unknown_form(uint32_t c)
{
    static const uint32_t range[][2] = {{0x32ff, 0x32ff},   {0xa7f1, 0xa7f4},   {0xab69, 0xab69},
                                        {0x10781, 0x107ba}, {0x1ccd6, 0x1ccf9}, {0x1e030, 0x1e06d},
                                        {0x1f16c, 0x1f16c}, {0x1fbf0, 0x1fbf9}};
    for (size_t i = 0; i < sizeof range / sizeof *range && c >= range[i][0]; i++)
        if (c <= range[i][1]) return true;
    return false;
}

enum { LONGEST = 18 }; /* code points one decomposes into, at most */

/* Decomposes c into `to`, which has room for LONGEST; how many it became, negative on failure. */
static utf8proc_ssize_t decompose_one(utf8proc_int32_t c, bool compat, utf8proc_int32_t *to)
{
    int boundary = 0;
    if (c == 0x11938 || (compat && is_unknown_form((uint32_t)c))) {
        to[0] = c;
        return 1;
    }
    const utf8proc_option_t how = compat ? UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT
                                         : UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    return utf8proc_decompose_char(c, to, LONGEST, how, &boundary);
}

/* Nothing before such a character ever combines with it or moves behind it. */
static bool begins_cluster(uint32_t c, bool compat)
{
    utf8proc_int32_t made[LONGEST];
    if (c < 0x300) return true;
    if (compat && decompose_one((utf8proc_int32_t)c, true, made) > 0) c = (uint32_t)made[0];
    const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)c);
    const bool mark = p->category == UTF8PROC_CATEGORY_MN || p->category == UTF8PROC_CATEGORY_MC ||
                      p->category == UTF8PROC_CATEGORY_ME;
    if (mark || p->combining_class) return is_unknown_mark(c);
    return !(c >= 0x1160 && c <= 0x11ff);
}

typedef struct points {
    bool compat, composes;
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

/* Decomposition of s[begin .. end) into p, sorted. */
static lrk_status decompose(points *p, const char *s, size_t begin, size_t end, lrk_err *err)
{
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
        const utf8proc_ssize_t made = decompose_one(c, p->compat, p->c + p->n);
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

/* The normal form of the cluster s[begin .. end) into `made`. */
static lrk_status cluster(points *p, const char *s, size_t begin, size_t end, lrk_buf *made,
                          lrk_err *err)
{
    LRK_TRY(decompose(p, s, begin, end, err));
    utf8proc_ssize_t n = (utf8proc_ssize_t)p->n;
    if (p->composes) n = utf8proc_normalize_utf32(p->c, n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    LRK_REQUIRE(err, n >= 0, LRK_EINTERNAL, "normalizer: %s", utf8proc_errmsg(n));
    made->n = 0;
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        utf8proc_uint8_t utf8[4];
        lrk_buf_append(made, utf8, (size_t)utf8proc_encode_char(p->c[i], utf8));
    }
    return lrk_buf_check(made, err);
}

static lrk_status clusters(lrk_changed *c, const lrk_mapped *m, points *p, lrk_buf *made,
                           bool *changed, lrk_err *err)
{
    size_t done = 0;
    for (size_t i = 0; i < m->n;) {
        const size_t begin = i;
        const uint32_t first = lrk_utf8_next(m->s, &i);
        for (size_t next = i; next < m->n; i = next)
            if (begins_cluster(lrk_utf8_next(m->s, &next), p->compat)) break;
        if (first < 0x80 && i == begin + 1) continue;
        LRK_TRY(cluster(p, m->s, begin, i, made, err));
        if (made->n == i - begin && memcmp(made->data, m->s + begin, made->n) == 0) continue;
        *changed = true;
        LRK_TRY(lrk_changed_keep(c, m, done, begin, err));
        LRK_TRY(lrk_changed_put(c, m, begin, (lrk_piece){made->data, made->n}, err));
        done = i;
    }
    return *changed ? lrk_changed_keep(c, m, done, m->n, err) : LRK_OK;
}

lrk_status lrk_normalize(lrk_changed *c, const lrk_mapped *m, const lrk_transform *f, bool *changed,
                         lrk_err *err)
{
    size_t i = 0;
    while (i < m->n && (unsigned char)m->s[i] < 0x80) i++;
    if (i == m->n) return LRK_OK;
    points p = {.compat = f->kind == LRK_TRANSFORM_NFKC || f->kind == LRK_TRANSFORM_NFKD,
                .composes = f->kind == LRK_TRANSFORM_NFC || f->kind == LRK_TRANSFORM_NFKC};
    lrk_buf made = {.n = 0};
    const lrk_status status = clusters(c, m, &p, &made, changed, err);
    lrk_heap_free(p.c);
    lrk_heap_free(p.spare);
    lrk_buf_free(&made);
    return status;
}

/* ---- case and accents ---- */

static const uint32_t lower[][2] = {
#include "data/tokenizer/lower.def"
};
static const uint32_t mark_edges[] = {
#include "data/tokenizer/mark.def"
};
enum { LOWER = sizeof lower / sizeof *lower, MARKS = sizeof mark_edges / sizeof *mark_edges };

static uint32_t lower_of(uint32_t c)
{
    size_t low = 0, high = LOWER;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (lower[middle][0] == c) return lower[middle][1];
        if (lower[middle][0] < c)
            low = middle + 1;
        else
            high = middle;
    }
    return c;
}

static bool is_accent(uint32_t c)
{
    size_t low = 0, high = MARKS; /* edges at or before c */
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (mark_edges[middle] <= c)
            low = middle + 1;
        else
            high = middle;
    }
    return low & 1;
}

lrk_status lrk_change_case(lrk_changed *c, const lrk_mapped *m, const lrk_transform *f,
                           bool *changed, lrk_err *err)
{
    size_t done = 0;
    for (size_t i = 0; i < m->n;) {
        const size_t begin = i;
        const uint32_t was = lrk_utf8_next(m->s, &i);
        utf8proc_uint8_t utf8[8];
        size_t n = 0;
        if (f->kind == LRK_TRANSFORM_STRIP_ACCENTS) {
            if (!is_accent(was)) continue;
        } else {
            const uint32_t now = lower_of(was);
            if (now == was) continue;
            n = (size_t)utf8proc_encode_char((utf8proc_int32_t)now, utf8);
            if (was == 0x130) /* the only one of two: i and a dot above */
                n += (size_t)utf8proc_encode_char(0x307, utf8 + n);
        }
        *changed = true;
        LRK_TRY(lrk_changed_keep(c, m, done, begin, err));
        LRK_TRY(lrk_changed_put(c, m, begin, (lrk_piece){(const char *)utf8, n}, err));
        done = i;
    }
    return *changed ? lrk_changed_keep(c, m, done, m->n, err) : LRK_OK;
}
