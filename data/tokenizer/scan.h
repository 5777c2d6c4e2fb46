/* data/tokenizer/scan.h -- the patterns that split text into pieces.
 *
 * A pattern is known by its exact text or, for GGUF, by the name of the splitting it is part of.
 * The common ones have scanners of their own, the others run on data/tokenizer/regex.h. All look at
 * a character a bounded number of times, whatever the text.
 */
#ifndef LRK_DATA_TOKENIZER_SCAN_H
#define LRK_DATA_TOKENIZER_SCAN_H
#include "data/tokenizer/regex.h"

/* The end of the match that begins at s[i] of the n bytes s, or i where none begins there. */
typedef size_t (*lrk_match)(const lrk_classes *k, const char *s, size_t n, size_t i);

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
    LRK_PATTERN_DIGIT, /* of Digits, as DIGITS: another table than \p{N} */
    LRK_PATTERN_DIGITS,
    LRK_PATTERN_NEWLINE,
    LRK_PATTERN_SPACE_LETTERS,
    LRK_PATTERN_SPACE_PUNCT,
    LRK_PATTERN_SPACE_END,
    LRK_PATTERN_PUNCTUATION, /* of Punctuation: one character */
    LRK_PATTERN_WORDS,       /* of Whitespace */
    LRK_PATTERN_ONE_SPACE,   /* of WhitespaceSplit */
    LRK_PATTERN_METASPACE,
    LRK_SCANNERS, /* those without a scanner follow */
    LRK_PATTERN_NUMBER = LRK_SCANNERS,
    LRK_PATTERN_NUMBERS,
    LRK_PATTERN_ASCII_DIGITS_3,
    LRK_PATTERN_DEEPSEEK_LETTERS,
    LRK_PATTERN_DEEPSEEK_PUNCT,
    LRK_PATTERN_BLOOM,
    LRK_PATTERN_QWEN35,
    LRK_PATTERN_SEED_CODER,
    LRK_PATTERN_BAILING,
    LRK_PATTERN_MINICPM5,
    LRK_PATTERN_UFAKZEKA,
    LRK_PATTERN_SPARK,
    LRK_PATTERN_YOUTU_SCRIPTS,
    LRK_PATTERN_YOUTU,
    LRK_PATTERN_LINES,
    LRK_PATTERN_CL100K,
    LRK_PATTERNS
} lrk_pattern_id;

typedef struct lrk_pattern {
    const char *text; /* as tokenizer.json spells the regular expression; NULL: has no spelling */
    bool over_blanks; /* where it fails at a blank, it fails at all others of that run */
} lrk_pattern;

extern const lrk_match lrk_scan[LRK_SCANNERS];
extern const lrk_pattern lrk_patterns[LRK_PATTERNS];

/* The pattern with this text, or -1. Line breaks may be spelled out or written \r \n. */
int lrk_pattern_find(const char *text);

/* What becomes of matches (M) and of the gaps between them (G). */
typedef enum lrk_behavior {
    LRK_ISOLATED,        /* each is a piece */
    LRK_REMOVED,         /* M are left out */
    LRK_MERGED_PREVIOUS, /* the first M behind a G goes with it */
    LRK_MERGED_NEXT,     /* the last M before a G goes with it */
    LRK_CONTIGUOUS       /* those of a kind in a row are one */
} lrk_behavior;

/* One split. Zero but for `pattern` it isolates matches. */
typedef struct lrk_split {
    lrk_pattern_id pattern;
    const lrk_regex *regex; /* of a pattern without scanner */
    const char *literal;    /* not NULL: split at this text instead, of n_literal bytes */
    size_t n_literal;
    lrk_behavior behavior;
    bool invert;  /* M and G trade places */
    bool spelled; /* behind ByteLevel: sees bytes as characters of the byte alphabet */
} lrk_split;

typedef struct lrk_span {
    size_t begin, end;
    bool matched;
} lrk_span;

/* Where a pattern that failed at s[i] may match next, with over_blanks. */
size_t lrk_scan_over_blanks(const lrk_classes *k, const char *s, size_t n, size_t i);

/* The next match or gap from i on, i < n: its end. */
size_t lrk_split_span(const lrk_split *p, const lrk_classes *k, const char *s, size_t n, size_t i,
                      bool *matched);

/* The next piece. *i: where to go on, 0 at first; false: there is none any more. */
bool lrk_split_next(const lrk_split *p, const lrk_classes *k, const char *s, size_t n, size_t *i,
                    lrk_span *piece);

#endif /* LRK_DATA_TOKENIZER_SCAN_H */
