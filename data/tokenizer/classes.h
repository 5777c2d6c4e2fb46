/* data/tokenizer/classes.h -- what kind of character a code point is, as the reference sees it.
 *
 * The tables are written by tests/peer/make_classes.py, which asks the reference: its Unicode
 * version is ours. Every code point is in one class or in none (0: controls, unassigned).
 */
#ifndef LRK_DATA_TOKENIZER_CLASSES_H
#define LRK_DATA_TOKENIZER_CLASSES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LRK_UPPER = 1,   /* Lu Lt */
    LRK_LOWER = 2,   /* Ll */
    LRK_LETTER = 4,  /* Lm Lo */
    LRK_MARK = 8,    /* M */
    LRK_NUMBER = 16, /* N */
    LRK_PUNCT = 32,  /* P */
    LRK_SYMBOL = 64, /* S */
    LRK_SPACE = 128, /* \s */
    LRK_L = LRK_UPPER | LRK_LOWER | LRK_LETTER
};

/* Classes of the first 65,536 code points, looked up by index; the others are searched. */
typedef struct lrk_classes {
    uint8_t low[65536];
} lrk_classes;

void lrk_classes_fill(lrk_classes *k);
unsigned lrk_class_search(uint32_t c);
bool lrk_class_is_word(uint32_t c); /* \w */

static inline unsigned lrk_class(const lrk_classes *k, uint32_t c)
{
    return c < 65536 ? k->low[c] : lrk_class_search(c);
}

/* The character at s[*i] of valid UTF-8; *i moves behind it. */
static inline uint32_t lrk_utf8_next(const char *text, size_t *i)
{
    const unsigned char *s = (const unsigned char *)text + *i;
    if (s[0] < 0x80) {
        *i += 1;
        return s[0];
    }
    if (s[0] < 0xe0) {
        *i += 2;
        return (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
    }
    if (s[0] < 0xf0) {
        *i += 3;
        return (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
    }
    *i += 4;
    return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 |
           (uint32_t)(s[2] & 0x3f) << 6 | (s[3] & 0x3f);
}

/* Where the character that ends before s[i] begins; i > 0. */
static inline size_t lrk_utf8_back(const char *s, size_t i)
{
    do i--;
    while (((unsigned char)s[i] & 0xc0) == 0x80);
    return i;
}

#endif /* LRK_DATA_TOKENIZER_CLASSES_H */
