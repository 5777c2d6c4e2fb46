/* data/template/strings.c -- strip, split, replace and case, by Python's rules. */
#include "data/template/strings.h"

#include "base/text.h"
#include "data/template/text.h"

#include <string.h>

/* Whether the code point at s[i] is to be stripped; its width in *width. */
static bool strippable(const lrk_jstr *s, size_t i, const lrk_jstr *chars, size_t *width)
{
    const uint32_t c = lrk_j_decode(s->s, s->n, i, width);
    if (!chars) return lrk_j_space_at(s->s, s->n, i) > 0;
    size_t w;
    for (size_t k = 0; k < chars->n; k += w)
        if (lrk_j_decode(chars->s, chars->n, k, &w) == c) return true;
    return false;
}

lrk_status lrk_j_strip(lrk_jrun *r, const lrk_jstr *s, const lrk_jstr *chars, bool left, bool right,
                       lrk_jvalue *out)
{
    size_t begin = 0, end = s->n, width;
    LRK_TRY(lrk_j_work(r, 1 + s->n / 64 * (1 + (chars ? chars->n : 0))));
    while (left && begin < end && strippable(s, begin, chars, &width)) begin += width;
    while (right && end > begin) {
        const size_t before = lrk_j_prev(s->s, end);
        if (!strippable(s, before, chars, &width)) break;
        end = before;
    }
    return lrk_j_part(r, s, begin, end, out);
}

static lrk_status append_part(lrk_jrun *r, const lrk_jstr *s, size_t begin, size_t end,
                              lrk_jseq *list)
{
    lrk_jvalue part;
    LRK_TRY(lrk_j_part(r, s, begin, end, &part));
    return lrk_j_append(r, list, part);
}

static lrk_status split_space(lrk_jrun *r, const lrk_jstr *s, int64_t max, lrk_jseq *list)
{
    size_t i = lrk_j_lstrip(s->s, s->n), width;
    while (i < s->n) {
        if (max >= 0 && (int64_t)list->n == max)
            return append_part(r, s, i, s->n, list);
        size_t end = i;
        while (end < s->n && !lrk_j_space_at(s->s, s->n, end)) {
            lrk_j_decode(s->s, s->n, end, &width);
            end += width;
        }
        LRK_TRY(append_part(r, s, i, end, list));
        i = end + lrk_j_lstrip(s->s + end, s->n - end);
    }
    return LRK_OK;
}

static void reverse(lrk_jseq *list)
{
    for (size_t i = 0; i < list->n / 2; i++) {
        const lrk_jvalue swap = list->items[i];
        list->items[i] = list->items[list->n - 1 - i];
        list->items[list->n - 1 - i] = swap;
    }
}

static lrk_status rsplit_space(lrk_jrun *r, const lrk_jstr *s, int64_t max, lrk_jseq *list)
{
    size_t end = lrk_j_rstrip(s->s, s->n);
    const size_t first = lrk_j_lstrip(s->s, s->n);
    while (end > first) {
        if (max >= 0 && (int64_t)list->n == max) {
            LRK_TRY(append_part(r, s, 0, end, list));
            break;
        }
        size_t begin = end;
        while (begin > first) {
            const size_t before = lrk_j_prev(s->s, begin);
            if (lrk_j_space_at(s->s, s->n, before)) break;
            begin = before;
        }
        LRK_TRY(append_part(r, s, begin, end, list));
        end = lrk_j_rstrip(s->s, begin);
    }
    reverse(list);
    return LRK_OK;
}

static lrk_status rsplit_at(lrk_jrun *r, const lrk_jstr *s, const lrk_jstr *sep, int64_t max,
                            lrk_jseq *list)
{
    size_t end = s->n, i = s->n;
    while (i >= sep->n && (max < 0 || (int64_t)list->n < max)) {
        const char *at = s->s + i - sep->n;
        const bool may_be = *at == *sep->s;
        if (may_be) LRK_TRY(lrk_j_work(r, 1 + sep->n / 64));
        if (!may_be || memcmp(at, sep->s, sep->n) != 0) {
            if (i-- == 0) break;
            continue;
        }
        LRK_TRY(append_part(r, s, i, end, list));
        end = i = i - sep->n;
    }
    LRK_TRY(append_part(r, s, 0, end, list));
    reverse(list);
    return LRK_OK;
}

static lrk_status split_at(lrk_jrun *r, const lrk_jstr *s, const lrk_jstr *sep, int64_t max,
                           lrk_jseq *list)
{
    size_t begin = 0;
    while (max < 0 || (int64_t)list->n < max) {
        const char *found = lrk_find_bytes(s->s + begin, s->n - begin, sep->s, sep->n);
        if (!found) break;
        const size_t at = (size_t)(found - s->s);
        LRK_TRY(append_part(r, s, begin, at, list));
        begin = at + sep->n;
    }
    return append_part(r, s, begin, s->n, list);
}

lrk_status lrk_j_split(lrk_jrun *r, const lrk_jstr *s, const lrk_jstr *sep, int64_t max,
                       bool from_right, lrk_jvalue *out)
{
    lrk_jvalue list;
    LRK_TRY(lrk_j_seq(r, LRK_JV_LIST, &list));
    LRK_TRY(lrk_j_work(r, 1 + s->n / 64));
    if (sep && !sep->n) return lrk_j_fail(r, LRK_EINPUT, "empty separator");
    if (!sep) {
        LRK_TRY(from_right ? rsplit_space(r, s, max, list.as.seq)
                           : split_space(r, s, max, list.as.seq));
    } else if (from_right) {
        LRK_TRY(rsplit_at(r, s, sep, max, list.as.seq));
    } else {
        LRK_TRY(split_at(r, s, sep, max, list.as.seq));
    }
    *out = list;
    return LRK_OK;
}

lrk_status lrk_j_splitlines(lrk_jrun *r, const lrk_jstr *s, bool keep_ends, lrk_jvalue *out)
{
    lrk_jvalue list;
    size_t begin = 0, i = 0, width;
    LRK_TRY(lrk_j_seq(r, LRK_JV_LIST, &list));
    while (i < s->n) {
        const size_t newline = lrk_j_newline_at(s->s, s->n, i);
        if (newline) {
            LRK_TRY(append_part(r, s, begin, i + (keep_ends ? newline : 0), list.as.seq));
            begin = i = i + newline;
        } else {
            lrk_j_decode(s->s, s->n, i, &width);
            i += width;
        }
    }
    if (begin < s->n) LRK_TRY(append_part(r, s, begin, s->n, list.as.seq));
    *out = list;
    return LRK_OK;
}

/* What takes the place of a message's words is its author's too: a template that drops a marker
 * from an answer, or escapes it, still prints the answer. */
lrk_status lrk_j_replace(lrk_jrun *r, const lrk_jstr *s, const lrk_jstr *old, const lrk_jstr *by,
                         int64_t max, lrk_jvalue *out)
{
    lrk_jout o = {0};
    size_t i = 0;
    if (!old->n && max != 0) { /* between all code points */
        size_t width;
        for (int64_t count = 0;; count++) {
            if (max < 0 || count < max) LRK_TRY(lrk_j_put_str(r, &o, by));
            if (i >= s->n) break;
            lrk_j_decode(s->s, s->n, i, &width);
            LRK_TRY(lrk_j_put_part(r, &o, s, i, i + width));
            i += width;
        }
        return lrk_j_finish(r, &o, out);
    }
    for (int64_t count = 0; max < 0 || count < max; count++) {
        const char *found = old->n ? lrk_find_bytes(s->s + i, s->n - i, old->s, old->n) : NULL;
        if (!found) break;
        const size_t at = (size_t)(found - s->s);
        LRK_TRY(lrk_j_put_part(r, &o, s, i, at));
        if (by->n_marks)
            LRK_TRY(lrk_j_put_str(r, &o, by));
        else
            LRK_TRY(lrk_j_put(r, &o, by->s, by->n, lrk_j_origin_at(s, at)));
        i = at + old->n;
    }
    LRK_TRY(lrk_j_put_part(r, &o, s, i, s->n));
    return lrk_j_finish(r, &o, out);
}

static bool letter(uint32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static lrk_status put_cased(lrk_jrun *r, lrk_jout *o, uint32_t c, bool upper, uint32_t origin)
{
    char text[4];
    uint32_t changed;
    if (upper && c == 0xDF) return lrk_j_put(r, o, "SS", 2, origin);
    if (!(upper ? lrk_j_upper(c, &changed) : lrk_j_lower(c, &changed)))
        return lrk_j_fail(r, LRK_ESUPPORT, "the %s case of U+%04X", upper ? "upper" : "lower",
                          (unsigned)c);
    const size_t n = lrk_j_encode(changed, text);
    return lrk_j_put(r, o, text, n, origin);
}

lrk_status lrk_j_case(lrk_jrun *r, const lrk_jstr *s, lrk_jcase how, lrk_jvalue *out)
{
    lrk_jout o = {0};
    bool start = true;
    size_t width;
    for (size_t i = 0; i < s->n; i += width) {
        const uint32_t c = lrk_j_decode(s->s, s->n, i, &width), origin = lrk_j_origin_at(s, i);
        const bool plain = how == LRK_J_UPPER || how == LRK_J_LOWER;
        if (!plain && c >= 0x80 && (start || how == LRK_J_TITLE))
            return lrk_j_fail(r, LRK_ESUPPORT, "capitals of text beyond ASCII");
        LRK_TRY(put_cased(r, &o, c, plain ? how == LRK_J_UPPER : start, origin));
        if (how == LRK_J_CAPITALIZE) start = false;
        if (how == LRK_J_TITLE) start = !letter(c);
        if (how == LRK_J_TITLE_WORDS)
            start = lrk_j_space_at(s->s, s->n, i) || (c && c < 0x80 && strchr("-({[<", (char)c));
    }
    if (!o.n && s->n_marks) return lrk_j_part(r, s, 0, 0, out);
    return lrk_j_finish(r, &o, out);
}
