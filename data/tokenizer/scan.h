/* data/tokenizer/scan.h -- the patterns that split text into pieces, each a scanner of its own.
 *
 * A pattern is known by its exact text or, for GGUF, by the name of the splitting it is part of.
 * Every scanner looks at a character a bounded number of times, whatever the text.
 */
#ifndef LRK_DATA_TOKENIZER_SCAN_H
#define LRK_DATA_TOKENIZER_SCAN_H
#include "base/status.h"
#include "data/tokenizer/classes.h"

/* The end of the match that begins at s[i] of the n bytes s, or i where none begins there. */
typedef size_t (*lrk_match)(const lrk_classes *k, const char *s, size_t n, size_t i);

typedef struct lrk_pattern {
    const char *name;
    const char *text; /* as tokenizer.json spells the regular expression; NULL: has no spelling */
    lrk_match match;
    bool whole; /* something matches everywhere: there are no gaps between matches */
} lrk_pattern;

typedef enum lrk_pattern_id {
    LRK_PATTERN_GPT2,
    LRK_PATTERN_LLAMA3,
    LRK_PATTERN_QWEN2,
    LRK_PATTERN_TEKKEN,
    LRK_PATTERN_O200K,
    LRK_PATTERN_DEEPSEEK3,
    LRK_PATTERN_CJK,
    LRK_PATTERN_CJK_HANGUL,
    LRK_PATTERN_DIGITS_3,
    LRK_PATTERN_DIGIT,
    LRK_PATTERN_DIGITS,
    LRK_PATTERN_NEWLINE,
    LRK_PATTERN_SPACE_LETTERS,
    LRK_PATTERN_SPACE_PUNCT,
    LRK_PATTERN_BLANK, /* a string " " goes with what is before it */
    LRK_PATTERN_METASPACE,
    LRK_PATTERNS
} lrk_pattern_id;

extern const lrk_pattern lrk_patterns[LRK_PATTERNS];

/* The pattern with this text, or NULL. */
const lrk_pattern *lrk_pattern_find(const char *text);

/* The next piece, a match or the gap before the next one: its end; i < n. */
size_t lrk_pattern_next(const lrk_pattern *p, const lrk_classes *k, const char *s, size_t n,
                        size_t i);

#endif /* LRK_DATA_TOKENIZER_SCAN_H */
