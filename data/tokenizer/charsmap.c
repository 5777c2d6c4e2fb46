/* data/tokenizer/charsmap.c -- the precompiled normalizer of SentencePiece, as the reference runs
 * it.
 *
 * In a file: u32 bytes of the trie, the trie, then the texts. The trie is a double array: a unit
 * holds the label it must have been reached by, the offset of its children, whether a value lies
 * there. The reference looks up each cluster of characters that is shorter than 6 bytes as a whole,
 * takes the first (shortest) beginning that the trie knows for all of it, and else looks up
 * character by character in the same way.
 */
#include "base/file.h"
#include "data/tokenizer/internal.h"

#include <string.h>
#include <utf8proc.h>

lrk_status lrk_charsmap_make(lrk_charsmap **out, lrk_arena *a, const char *bytes, size_t n,
                             lrk_err *err)
{
    const unsigned char *b = (const unsigned char *)bytes;
    const size_t trie =
        n >= 4 ? (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24
               : SIZE_MAX;
    LRK_REQUIRE(err, trie <= n - 4 && n >= 4 && trie % 4 == 0 && trie >= 4, LRK_EINPUT,
                "precompiled_charsmap: %zu bytes hold no trie", n);
    lrk_charsmap *map;
    uint32_t *unit;
    char *text;
    LRK_TRY(lrk_alloc(a, 1, sizeof *map, "precompiled_charsmap", &map, err));
    LRK_TRY(lrk_alloc(a, trie / 4, sizeof *unit, "precompiled_charsmap", &unit, err));
    map->n_units = trie / 4;
    map->n_text = n - 4 - trie;
    LRK_TRY(lrk_alloc(a, map->n_text + 1, 1, "precompiled_charsmap", &text, err));
    for (size_t i = 0; i < map->n_units; i++, b += 4)
        unit[i] =
            (uint32_t)b[4] | (uint32_t)b[5] << 8 | (uint32_t)b[6] << 16 | (uint32_t)b[7] << 24;
    memcpy(text, bytes + 4 + trie, map->n_text);
    for (size_t i = 0; i < map->n_text; i += strlen(text + i) + 1) {
        const size_t length = strlen(text + i);
        LRK_REQUIRE(err, lrk_utf8_check(text + i, length) == length, LRK_EINPUT,
                    "precompiled_charsmap: a text in it is not valid UTF-8");
    }
    map->unit = unit;
    map->text = text;
    *out = map;
    return LRK_OK;
}

static size_t offset(uint32_t unit) { return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6); }

/* What the shortest known beginning of s maps to, or NULL. */
static const char *find(const lrk_charsmap *map, const char *s, size_t n)
{
    size_t at = offset(map->unit[0]);
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        at ^= c;
        if (at >= map->n_units || (map->unit[at] & 0x800000ffu) != c) return NULL;
        const uint32_t unit = map->unit[at];
        at ^= offset(unit);
        if (!(unit >> 8 & 1)) continue;
        const size_t value = at < map->n_units ? map->unit[at] & 0x7fffffffu : SIZE_MAX;
        if (value >= map->n_text || ((unsigned char)map->text[value] & 0xc0) == 0x80) return NULL;
        return map->text + value;
    }
    return NULL;
}

/* The end of the cluster that begins at s[i]. */
static size_t cluster(const char *s, size_t n, size_t i)
{
    utf8proc_int32_t state = 0;
    utf8proc_int32_t before = (utf8proc_int32_t)lrk_utf8_next(s, &i);
    for (size_t next = i; next < n; i = next) {
        const utf8proc_int32_t c = (utf8proc_int32_t)lrk_utf8_next(s, &next);
        if (utf8proc_grapheme_break_stateful(before, c, &state)) break;
        before = c;
    }
    return i;
}

typedef struct mapping {
    lrk_changed *c;
    const lrk_mapped *m;
    const lrk_charsmap *map;
    size_t done;
    bool changed;
} mapping;

/* Maps m->s[begin .. end) where the trie knows it. */
static lrk_status look_up(mapping *x, size_t begin, size_t end, bool *found, lrk_err *err)
{
    const char *to = find(x->map, x->m->s + begin, end - begin);
    *found = to != NULL;
    if (!to) return LRK_OK;
    x->changed = true;
    LRK_TRY(lrk_changed_keep(x->c, x->m, x->done, begin, err));
    x->done = end;
    return lrk_changed_put(x->c, x->m, begin, (lrk_piece){to, strlen(to)}, err);
}

lrk_status lrk_charsmap_run(lrk_changed *c, const lrk_mapped *m, const lrk_charsmap *map,
                            bool *changed, lrk_err *err)
{
    enum { SHORT = 6 };
    mapping x = {.c = c, .m = m, .map = map};
    for (size_t i = 0, end; i < m->n; i = end) {
        bool found = false;
        end = i + 1;
        const bool ascii =
            (m->s[i] & 0x80) == 0 && m->s[i] != '\r' && (end == m->n || (m->s[end] & 0x80) == 0);
        if (!ascii) end = cluster(m->s, m->n, i);
        if (end - i < SHORT) LRK_TRY(look_up(&x, i, end, &found, err));
        for (size_t next; !found && i < end; i = next) {
            bool one;
            next = i;
            lrk_utf8_next(m->s, &next);
            LRK_TRY(look_up(&x, i, next, &one, err));
        }
    }
    *changed = x.changed;
    return x.changed ? lrk_changed_keep(c, m, x.done, m->n, err) : LRK_OK;
}
