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

/* Up to the next blank, itself included. */
static size_t blank(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    (void)k;
    const char *found = memchr(s + i, ' ', n - i);
    return found ? (size_t)(found - s) + 1 : n;
}

/* U+2581 and what follows it up to the next one. */
static size_t metaspace(const lrk_classes *k, const char *s, size_t n, size_t i)
{
    (void)k;
    size_t j = i + 1;
    while (j < n && (n - j < 3 || memcmp(s + j, "\xe2\x96\x81", 3) != 0)) j++;
    return j;
}

#define REST "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SUFFIX "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define HEADS "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define TAILS "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define EXTRA "[^\\r\\n\\p{L}\\p{N}]?"

const lrk_pattern lrk_patterns[LRK_PATTERNS] = {
    [LRK_PATTERN_GPT2] = {"gpt-2",
                          "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+"
                          "|\\s+(?!\\S)|\\s+",
                          gpt2, true},
    [LRK_PATTERN_LLAMA3] = {"llama-bpe",
                            SUFFIX "|" EXTRA
                                   "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" REST,
                            llama3, true},
    [LRK_PATTERN_QWEN2] = {"qwen2",
                           SUFFIX "|" EXTRA "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" REST,
                           qwen2, true},
    [LRK_PATTERN_TEKKEN] = {"tekken",
                            EXTRA HEADS "*" TAILS "+|" EXTRA HEADS "+" TAILS
                                        "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" REST,
                            tekken, true},
    [LRK_PATTERN_O200K] = {"o200k",
                           EXTRA HEADS "*" TAILS "+" SUFFIX "?|" EXTRA HEADS "+" TAILS "*" SUFFIX
                                       "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" REST,
                           o200k, true},
    [LRK_PATTERN_DEEPSEEK3] = {"deepseek-v3",
                               "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
                               "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
                               "| ?[\\p{P}\\p{S}]+[\\r\\n]*" REST,
                               deepseek3, false},
    [LRK_PATTERN_CJK] = {"cjk", "[一-龥぀-ゟ゠-ヿ]+", cjk, false},
    [LRK_PATTERN_CJK_HANGUL] = {"cjk-hangul", "[一-龥ࠀ-一가-퟿]+", cjk_hangul, false},
    [LRK_PATTERN_DIGITS_3] = {"three digits", "\\p{N}{1,3}", digits_3, false},
    [LRK_PATTERN_DIGIT] = {"digit", NULL, digit, false},
    [LRK_PATTERN_DIGITS] = {"digits", NULL, digits, false},
    [LRK_PATTERN_NEWLINE] = {"newline", "[\\r\\n]", newline, false},
    [LRK_PATTERN_SPACE_LETTERS] = {"letters", "\\s?\\p{L}+", space_letters, false},
    [LRK_PATTERN_SPACE_PUNCT] = {"punctuation", "\\s?\\p{P}+", space_punct, false},
    [LRK_PATTERN_BLANK] = {"blank", NULL, blank, true},
    [LRK_PATTERN_METASPACE] = {"metaspace", NULL, metaspace, true},
};

const lrk_pattern *lrk_pattern_find(const char *text)
{
    for (size_t i = 0; i < LRK_PATTERNS; i++)
        if (lrk_patterns[i].text && strcmp(lrk_patterns[i].text, text) == 0)
            return &lrk_patterns[i];
    return NULL;
}

size_t lrk_pattern_next(const lrk_pattern *p, const lrk_classes *k, const char *s, size_t n,
                        size_t i)
{
    size_t end = p->match(k, s, n, i);
    if (p->whole || end > i) return end;
    for (end = behind(s, i); end < n && p->match(k, s, n, end) == end;) end = behind(s, end);
    return end;
}
