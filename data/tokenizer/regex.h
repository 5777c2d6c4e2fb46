/* data/tokenizer/regex.h -- a matcher for the regular expressions that tokenizers split text with.
 *
 * It knows what the listed patterns of data/tokenizer/patterns.c are made of, as Oniguruma reads
 * it: literals, classes with ranges, \p{..} and classes inside, \s \S, ? * + {n} {n,m} on one
 * character, possessive too, alternatives, groups (?:...) and (?i:...) with ? behind, (?!x) of one
 * character, $. A group never repeats, so the depth of backtracking is bounded by the pattern.
 */
#ifndef LRK_DATA_TOKENIZER_REGEX_H
#define LRK_DATA_TOKENIZER_REGEX_H
#include "base/arena.h"
#include "data/tokenizer/classes.h"

typedef struct lrk_regex lrk_regex;

/* Lives as long as the arena. LRK_ESUPPORT names what is not known, and where. */
lrk_status lrk_regex_compile(lrk_regex **out, lrk_arena *a, const char *text, lrk_err *err);

/* The end of the match that begins at s[i] of the n bytes s, or i where none begins there or the
 * match is empty. */
size_t lrk_regex_match(const lrk_regex *r, const lrk_classes *k, const char *s, size_t n, size_t i);

#endif /* LRK_DATA_TOKENIZER_REGEX_H */
