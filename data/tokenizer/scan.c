/* data/tokenizer/scan.c -- scanners for the known pre-tokenizer patterns.
 *
 * Each follows its regular expression alternative by alternative: leftmost, first alternative that
 * matches, greedy with backtracking. Where backtracking can only give one answer, the comment says
 * why and the code goes there at once.
 */
#include "data/tokenizer/scan.h"

#include <string.h>

static unsigned class_at(const lrk_classes *k, const char *s, size_t i)
{
    return lrk_class(k, lrk_utf8_next(s, &i));
}

static size_t behind(const char *s, size_t i)
{
    lrk_utf8_next(s, &i);
    return i;
}

/* The end of the longest run from i of characters in a class of `mask`, of at most `most`. */
static size_t run_of(const lrk_classes *k, const char *s, size_t n, size_t i, unsigned mask,
                     size_t most)
{
    while (i < n && most) {
        size_t next = i;
        if (!(lrk_class(k, lrk_utf8_next(s, &next)) & mask)) break;
        i = next;
        most--;
    }
    return i;
}

/* The same for characters in no class of `mask`. */
static size_t run_not(const lrk_classes *k, const char *s, size_t n, size_t i, unsigned mask)
{
    while (i < n) {
        size_t next = i;
        if (lrk_class(k, lrk_utf8_next(s, &next)) & mask) break;
        i = next;
    }
    return i;
}

static bool is_newline(char c) { return c == '\n' || c == '\r'; }

static size_t newlines(const char *s, size_t n, size_t i, bool slash)
{
    while (i < n && (is_newline(s[i]) || (slash && s[i] == '/'))) i++;
    return i;
}

/* 's|'t|'re|'ve|'m|'ll|'d, with (?i) when fold. The long s is an s to (?i). */
static size_t contraction(const char *s, size_t n, size_t i, bool fold)
{
    if (s[i] != '\'' || n - i < 2) return i;
    const char a = fold && s[i + 1] >= 'A' && s[i + 1] <= 'Z' ? (char)(s[i + 1] | 32) : s[i + 1];
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return i + 2;
    if (n - i < 3) return i;
    if (fold && (unsigned char)a == 0xc5 && (unsigned char)s[i + 2] == 0xbf) return i + 3;
    const char b = fold && s[i + 2] >= 'A' && s[i + 2] <= 'Z' ? (char)(s[i + 2] | 32) : s[i + 2];
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return i + 3;
    return i;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ with the first alternative only when `lines`; i where no space is. In a
 * run of blanks the first alternative backs up to the last newline; the second gives back one
 * character where text follows, and fails on a run of one. */
static size_t blanks(const lrk_classes *k, const char *s, size_t n, size_t i, bool lines)
{
    const size_t end = run_of(k, s, n, i, LRK_SPACE, SIZE_MAX);
    for (size_t e = end; lines && e > i; e--)
        if (is_newline(s[e - 1])) return e;
    if (end == n || end == i) return end;
    const size_t last = lrk_utf8_back(s, end);
    return last > i ? last : end;
}

static size_t gpt2(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    const size_t end = contraction(s, n, i, false);
    if (end > i) return end;
    const size_t j = s[i] == ' ' && i + 1 < n ? i + 1 : i;
    const unsigned c = class_at(k, s, j);
    if (c & LRK_L) return run_of(k, s, n, j, LRK_L, SIZE_MAX);
    if (c & LRK_NUMBER) return run_of(k, s, n, j, LRK_NUMBER, SIZE_MAX);
    if (!(c & LRK_SPACE)) return run_not(k, s, n, j, LRK_SPACE | LRK_L | LRK_NUMBER);
    return blanks(k, s, n, i, false);
}

/* The alternatives after the words: numbers, punctuation, blanks. */
static size_t beyond_words(const lrk_classes *k, const char *s, size_t n, size_t i, size_t digits,
                           bool slash)
{
    const unsigned c = class_at(k, s, i);
    if (c & LRK_NUMBER) return run_of(k, s, n, i, LRK_NUMBER, digits);
    const size_t j = s[i] == ' ' ? i + 1 : i;
    const size_t end = run_not(k, s, n, j, LRK_SPACE | LRK_L | LRK_NUMBER);
    if (end > j) return newlines(s, n, end, slash);
    return blanks(k, s, n, i, true);
}

/* (?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|... */
static size_t cl100k(const lrk_classes *k, const char *s, size_t n, size_t i, size_t digits)
{
    const size_t end = contraction(s, n, i, true);
    if (end > i) return end;
    size_t j = i;
    const unsigned c = class_at(k, s, i);
    if (!(c & (LRK_L | LRK_NUMBER)) && !is_newline(s[i])) j = behind(s, i);
    if (j < n) {
        const size_t word = run_of(k, s, n, j, LRK_L, SIZE_MAX);
        if (word > j) return word;
    }
    return beyond_words(k, s, n, i, digits, false);
}

static size_t llama3(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    return cl100k(k, s, n, i, 3);
}

static size_t qwen2(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    return cl100k(k, s, n, i, 1);
}

enum { HEAD = LRK_UPPER | LRK_LETTER | LRK_MARK, TAIL = LRK_LOWER | LRK_LETTER | LRK_MARK };

/* HEAD*TAIL+ from i, or i. When no TAIL follows the heads, the match backs up to the last head that
 * is a TAIL too; heads behind it are none, so it ends there. */
static size_t lower_word(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    const size_t head = run_of(k, s, n, i, HEAD, SIZE_MAX);
    const size_t tail = run_of(k, s, n, head, TAIL, SIZE_MAX);
    if (tail > head) return tail;
    for (size_t e = head; e > i; e = lrk_utf8_back(s, e))
        if (class_at(k, s, lrk_utf8_back(s, e)) & TAIL) return e;
    return i;
}

/* HEAD+TAIL* from i, or i. */
static size_t upper_word(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    const size_t head = run_of(k, s, n, i, HEAD, SIZE_MAX);
    return head > i ? run_of(k, s, n, head, TAIL, SIZE_MAX) : i;
}

/* [^\r\n\p{L}\p{N}]? before lower_word, then before upper_word: with that character, then without.
 */
static size_t cased_word(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    const unsigned c = class_at(k, s, i);
    const bool extra = !(c & (LRK_L | LRK_NUMBER)) && !is_newline(s[i]);
    const size_t j = extra ? behind(s, i) : i;
    size_t end = j < n ? lower_word(k, s, n, j) : j;
    if (end > j) return end;
    end = lower_word(k, s, n, i);
    if (end > i) return end;
    end = j < n ? upper_word(k, s, n, j) : j;
    if (end > j) return end;
    return upper_word(k, s, n, i);
}

static size_t tekken(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    const size_t end = cased_word(k, s, n, i);
    return end > i ? end : beyond_words(k, s, n, i, 1, true);
}

static size_t o200k(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    const size_t end = cased_word(k, s, n, i);
    if (end > i) return end < n ? contraction(s, n, end, true) : end;
    return beyond_words(k, s, n, i, 3, true);
}

static bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static size_t deepseek3(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    size_t j = i + 1;
    if (s[i] > ' ' && s[i] < 127 && class_at(k, s, i) & (LRK_PUNCT | LRK_SYMBOL)) {
        while (j < n && is_ascii_letter(s[j])) j++;
        if (j > i + 1) return j;
    }
    const unsigned c = class_at(k, s, i);
    j = !(c & (LRK_L | LRK_PUNCT | LRK_SYMBOL)) && !is_newline(s[i]) ? behind(s, i) : i;
    size_t end = run_of(k, s, n, j, LRK_L | LRK_MARK, SIZE_MAX);
    if (end > j) return end;
    if (c & LRK_MARK) return j; /* a mark alone: the optional character gives it back */
    j = s[i] == ' ' ? i + 1 : i;
    end = run_of(k, s, n, j, LRK_PUNCT | LRK_SYMBOL, SIZE_MAX);
    if (end > j) return newlines(s, n, end, false);
    return blanks(k, s, n, i, true);
}

static size_t ranges(const char *s, size_t n, size_t i, const uint32_t (*range)[2], size_t count)
{
    while (i < n) {
        size_t next = i, r = 0;
        const uint32_t c = lrk_utf8_next(s, &next);
        while (r < count && (c < range[r][0] || c > range[r][1])) r++;
        if (r == count) break;
        i = next;
    }
    return i;
}

static size_t cjk(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    static const uint32_t range[][2] = {{0x4e00, 0x9fa5}, {0x3040, 0x309f}, {0x30a0, 0x30ff}};
    (void)k;
    return ranges(s, n, i, range, 3);
}

static size_t cjk_hangul(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    static const uint32_t range[][2] = {{0x4e00, 0x9fa5}, {0x0800, 0x4e00}, {0xac00, 0xd7ff}};
    (void)k;
    return ranges(s, n, i, range, 3);
}

static size_t digits_3(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    return run_of(k, s, n, i, LRK_NUMBER, 3);
}

/* The reference asks another table for Digits, of a later Unicode: 13 more characters. */
static bool is_digit(const lrk_classes *k, uint32_t c)
{
    return lrk_class(k, c) & LRK_NUMBER || (c >= 0x11de0 && c <= 0x11de9) ||
           (c >= 0x16ff4 && c <= 0x16ff6);
}

static size_t digit(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    size_t next = i;
    (void)n;
    return is_digit(k, lrk_utf8_next(s, &next)) ? next : i;
}

static size_t digits(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    for (size_t end; i < n && (end = digit(k, s, n, i)) > i;) i = end;
    return i;
}

static size_t newline(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    (void)k, (void)n;
    return is_newline(s[i]) ? i + 1 : i;
}

static size_t space_then(const lrk_classes *k, const char *s, size_t n, size_t i, unsigned mask)
{
    const size_t j = class_at(k, s, i) & LRK_SPACE ? behind(s, i) : i;
    const size_t end = run_of(k, s, n, j, mask, SIZE_MAX);
    return end > j ? end : i;
}

static size_t space_letters(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    return space_then(k, s, n, i, LRK_L);
}

static size_t space_punct(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    return space_then(k, s, n, i, LRK_PUNCT);
}

/* \s+$: blanks up to the end, or up to the last newline among them. */
static size_t space_end(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    size_t e = run_of(k, s, n, i, LRK_SPACE, SIZE_MAX);
    if (e == n) return e;
    while (e > i && s[e] != '\n') e--; /* no character but \n has this byte */
    return e;
}

/* Where \s+$ failed at a blank it fails at all others of the run. */
size_t lrk_scan_over_blanks(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    const size_t end = run_of(k, s, n, i, LRK_SPACE, SIZE_MAX);
    return end > i ? end : behind(s, i);
}

/* The reference asks a table of Unicode 8 for Punctuation, and takes ASCII symbols for such too. */
static bool is_punctuation(const lrk_classes *k, uint32_t c)
{
    static const uint32_t later[][2] = {
        {0x61d, 0x61d},     {0x9fd, 0x9fd},     {0xa76, 0xa76},     {0xc77, 0xc77},
        {0xc84, 0xc84},     {0x1b4e, 0x1b4f},   {0x1b7d, 0x1b7f},   {0x2e43, 0x2e4f},
        {0x2e52, 0x2e5d},   {0x10d6e, 0x10d6e}, {0x10ead, 0x10ead}, {0x10f55, 0x10f59},
        {0x10f86, 0x10f89}, {0x113d4, 0x113d5}, {0x113d7, 0x113d8}, {0x1144b, 0x1144f},
        {0x1145a, 0x1145b}, {0x1145d, 0x1145d}, {0x11660, 0x1166c}, {0x116b9, 0x116b9},
        {0x1183b, 0x1183b}, {0x11944, 0x11946}, {0x119e2, 0x119e2}, {0x11a3f, 0x11a46},
        {0x11a9a, 0x11a9c}, {0x11a9e, 0x11aa2}, {0x11b00, 0x11b09}, {0x11be1, 0x11be1},
        {0x11c41, 0x11c45}, {0x11c70, 0x11c71}, {0x11ef7, 0x11ef8}, {0x11f43, 0x11f4f},
        {0x11fff, 0x11fff}, {0x12ff1, 0x12ff2}, {0x16d6d, 0x16d6f}, {0x16e97, 0x16e9a},
        {0x16fe2, 0x16fe2}, {0x1e5ff, 0x1e5ff}, {0x1e95e, 0x1e95f}};
    if (c < 128) return lrk_class(k, c) & (LRK_PUNCT | LRK_SYMBOL);
    if (c == 0x166d || c == 0x111c9) return true;
    if (!(lrk_class(k, c) & LRK_PUNCT)) return false;
    for (size_t i = 0; i < sizeof later / sizeof *later && c >= later[i][0]; i++)
        if (c <= later[i][1]) return false;
    return true;
}

static size_t punctuation(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    size_t next = i;
    (void)n;
    return is_punctuation(k, lrk_utf8_next(s, &next)) ? next : i;
}

/* \w+|[^\w\s]+ */
static size_t words(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    size_t next = i;
    const bool word = lrk_class_is_word(lrk_utf8_next(s, &next));
    if (!word && class_at(k, s, i) & LRK_SPACE) return i;
    while (next < n) {
        const size_t at = next;
        const uint32_t c = lrk_utf8_next(s, &next);
        if (lrk_class_is_word(c) != word || (!word && lrk_class(k, c) & LRK_SPACE)) return at;
    }
    return next;
}

static size_t one_space(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    (void)n;
    return class_at(k, s, i) & LRK_SPACE ? behind(s, i) : i;
}

/* U+2581 and what follows it up to the next one. */
static size_t metaspace(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    (void)k;
    size_t j = i + 1;
    while (j < n && (n - j < 3 || memcmp(s + j, "\xe2\x96\x81", 3) != 0)) j++;
    return j;
}

const lrk_match lrk_scan[LRK_SCANNERS] = {
    [LRK_PATTERN_GPT2] = gpt2,
    [LRK_PATTERN_LLAMA3] = llama3,
    [LRK_PATTERN_QWEN2] = qwen2,
    [LRK_PATTERN_TEKKEN] = tekken,
    [LRK_PATTERN_O200K] = o200k,
    [LRK_PATTERN_DEEPSEEK3] = deepseek3,
    [LRK_PATTERN_CJK] = cjk,
    [LRK_PATTERN_CJK_HANGUL] = cjk_hangul,
    [LRK_PATTERN_DIGITS_3] = digits_3,
    [LRK_PATTERN_DIGIT] = digit,
    [LRK_PATTERN_DIGITS] = digits,
    [LRK_PATTERN_NEWLINE] = newline,
    [LRK_PATTERN_SPACE_LETTERS] = space_letters,
    [LRK_PATTERN_SPACE_PUNCT] = space_punct,
    [LRK_PATTERN_SPACE_END] = space_end,
    [LRK_PATTERN_PUNCTUATION] = punctuation,
    [LRK_PATTERN_WORDS] = words,
    [LRK_PATTERN_ONE_SPACE] = one_space,
    [LRK_PATTERN_METASPACE] = metaspace,
};
