/* base/pattern.h -- regular expressions that users write, such as lora_target_modules:
 * 'model\.layers\.(0|1)\..*'. The only includer of pcre2.h.
 *
 * Perl syntax, which agrees with Python's on what module paths need. Work is bounded: a pattern that
 * backtracks without end is an error, not a hang.
 */
#ifndef LRK_BASE_PATTERN_H
#define LRK_BASE_PATTERN_H
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct lrk_pattern lrk_pattern;

/* LRK_EUSAGE with the place and reason when the pattern cannot be compiled. */
lrk_status lrk_pattern_compile(lrk_pattern **out, const char *text, lrk_err *err);
void lrk_pattern_free(lrk_pattern *p); /* NULL is fine */

/* Whether the whole of `subject` matches, as Python's re.fullmatch. */
lrk_status lrk_pattern_match(const lrk_pattern *p, const char *subject, bool *matches, lrk_err *err);

/* Version of PCRE2, "10.42", for `lorikeet doctor`. */
void lrk_pattern_version(char *out, size_t size);

#endif /* LRK_BASE_PATTERN_H */
