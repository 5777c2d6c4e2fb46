/* data/tokenizer/patterns.c -- the list of known patterns, and cutting text by them. */
#include "data/tokenizer/scan.h"

#include "base/text.h"

#include <string.h>

#define REST "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SUFFIX "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define HEADS "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define TAILS "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define EXTRA "[^\\r\\n\\p{L}\\p{N}]?"
#define OTHERS "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define CASED(suffix) EXTRA HEADS "*" TAILS "+" suffix "|" EXTRA HEADS "+" TAILS "*" suffix
#define MARKS "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"

const lrk_pattern lrk_patterns[LRK_PATTERNS] = {
    [LRK_PATTERN_GPT2] = {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+"
                          "|\\s+(?!\\S)|\\s+",
                          false},
    [LRK_PATTERN_LLAMA3] = {SUFFIX "|" EXTRA "\\p{L}+|\\p{N}{1,3}" OTHERS REST, false},
    [LRK_PATTERN_QWEN2] = {SUFFIX "|" EXTRA "\\p{L}+|\\p{N}" OTHERS REST, false},
    [LRK_PATTERN_TEKKEN] = {CASED("") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" REST, false},
    [LRK_PATTERN_O200K] = {CASED(SUFFIX "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" REST,
                           false},
    [LRK_PATTERN_DEEPSEEK3] = {MARKS "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
                                     "| ?[\\p{P}\\p{S}]+[\\r\\n]*" REST,
                               false},
    [LRK_PATTERN_CJK] = {"[一-龥぀-ゟ゠-ヿ]+", false},
    [LRK_PATTERN_CJK_HANGUL] = {"[一-龥ࠀ-一가-퟿]+", false},
    [LRK_PATTERN_DIGITS_3] = {"\\p{N}{1,3}", false},
    [LRK_PATTERN_NEWLINE] = {"[\\r\\n]", false},
    [LRK_PATTERN_SPACE_LETTERS] = {"\\s?\\p{L}+", false},
    [LRK_PATTERN_SPACE_PUNCT] = {"\\s?\\p{P}+", false},
    [LRK_PATTERN_SPACE_END] = {"\\s+$", true},
    [LRK_PATTERN_NUMBER] = {"\\p{N}", false},
    [LRK_PATTERN_NUMBERS] = {"\\p{N}+", false},
    [LRK_PATTERN_ASCII_DIGITS_3] = {"[0-9][0-9][0-9]", false},
    /* clang-format off */
    [LRK_PATTERN_DEEPSEEK_LETTERS] =
    {"\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-"
     "ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ"
     "-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+", false},
    [LRK_PATTERN_DEEPSEEK_PUNCT] = {"\\s?[!-/:-~！-／：-～‘-‟　-。]+", false},
    [LRK_PATTERN_BLOOM] = {" ?[^(\\s|[.,!?…。，、।۔،])]+", false},
    [LRK_PATTERN_YOUTU_SCRIPTS] =
    {"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+", false},
    /* clang-format on */
    [LRK_PATTERN_QWEN35] = {SUFFIX "|" EXTRA "[\\p{L}\\p{M}]+|\\p{N}"
                                   "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" REST,
                            false},
    [LRK_PATTERN_SEED_CODER] = {SUFFIX "|" EXTRA
                                       "\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+" REST,
                                false},
    [LRK_PATTERN_BAILING] = {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}"
                             "| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
                             false},
    [LRK_PATTERN_MINICPM5] = {SUFFIX "|" EXTRA "\\p{L}+|\\p{N}+" OTHERS REST, false},
    [LRK_PATTERN_UFAKZEKA] = {EXTRA "\\p{L}+|\\p{N}" OTHERS REST, false},
    [LRK_PATTERN_SPARK] = {MARKS "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
                                 "| ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+",
                           false},
    [LRK_PATTERN_YOUTU] = {CASED(SUFFIX "?") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" REST, false},
    [LRK_PATTERN_LINES] = {"[^\\n]+|[\\n]+", false},
    [LRK_PATTERN_CL100K] = {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}"
                            "| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
                            false},
};

/* Both texts are the same once line breaks are written \\r and \\n. */
static bool same(const char *known, const char *text)
{
    for (; *known && *text; known++, text++) {
        if (*known == *text) continue;
        if (known[0] != '\\' || (*text != '\r' && *text != '\n')) return false;
        if (known[1] != (*text == '\r' ? 'r' : 'n')) return false;
        known++;
    }
    return !*known && !*text;
}

int lrk_pattern_find(const char *text)
{
    for (int i = 0; i < LRK_PATTERNS; i++)
        if (lrk_patterns[i].text && same(lrk_patterns[i].text, text)) return i;
    return -1;
}

static size_t match(const lrk_split *p, const lrk_classes *k, const char *s, size_t n, size_t i)
{
    return p->regex ? lrk_regex_match(p->regex, k, s, n, i) : lrk_scan[p->pattern](k, s, n, i);
}

static size_t over(const lrk_split *p, const lrk_classes *k, const char *s, size_t n, size_t i)
{
    if (lrk_patterns[p->pattern].over_blanks) return lrk_scan_over_blanks(k, s, n, i);
    lrk_utf8_next(s, &i);
    return i;
}

static size_t literal(const lrk_split *p, const char *s, size_t n, size_t i, bool *matched)
{
    const char *at = lrk_find_bytes(s + i, n - i, p->literal, p->n_literal);
    *matched = at == s + i;
    if (*matched) return i + p->n_literal;
    return at ? (size_t)(at - s) : n;
}

size_t lrk_split_span(const lrk_split *p, const lrk_classes *k, const char *s, size_t n, size_t i,
                      bool *matched)
{
    if (p->literal) return literal(p, s, n, i, matched);
    size_t end = match(p, k, s, n, i);
    *matched = end > i;
    if (*matched) return end;
    for (end = over(p, k, s, n, i); end < n && match(p, k, s, n, end) == end;)
        end = over(p, k, s, n, end);
    return end;
}

bool lrk_split_next(const lrk_split *p, const lrk_classes *k, const char *s, size_t n, size_t *i,
                    lrk_span *piece)
{
    bool matched, next;
    while (*i < n) {
        const size_t begin = *i;
        size_t end = lrk_split_span(p, k, s, n, begin, &matched);
        matched ^= p->invert;
        *i = end;
        if (p->behavior == LRK_REMOVED && matched) continue;
        while (end < n && p->behavior > LRK_REMOVED) {
            const size_t more = lrk_split_span(p, k, s, n, end, &next);
            next ^= p->invert;
            const bool joins = p->behavior == LRK_CONTIGUOUS    ? matched == next
                               : p->behavior == LRK_MERGED_NEXT ? matched && !next
                                                                : !matched && next;
            if (joins) *i = end = more;
            if (!joins || p->behavior != LRK_CONTIGUOUS) break;
        }
        *piece = (lrk_span){begin, end, matched};
        return true;
    }
    return false;
}
