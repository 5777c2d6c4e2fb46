/* base/text.h -- small things about words and numbers that people type.
 *
 * Numbers are decimal and whole strings: no leading or trailing blanks, no hexadecimal, no "inf" or
 * "nan", no digits that do not fit. The locale plays no part.
 */
#ifndef LRK_BASE_TEXT_H
#define LRK_BASE_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns false, and leaves *out alone, where s is not such a number. */
bool lrk_text_size(const char *s, size_t *out);     /* 12 */
bool lrk_text_integer(const char *s, int64_t *out); /* -12, +12 */
bool lrk_text_real(const char *s, double *out);     /* 2e-4, .5, 1., 12; finite */

/* The shortest decimal that reads back as d, as Python writes it: 1e-05, 0.1, 2.0, nan, -inf. */
void lrk_real_text(double d, char out[40]);

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b; '-' equals '_', case is
 * ignored. Words beyond 64 bytes are SIZE_MAX apart. */
size_t lrk_edit_distance(const char *a, const char *b);

/* "did you mean": zero-initialize but for word, offer every known name, read best, which is NULL
 * where nothing is near enough (a third of the word at most). */
typedef struct lrk_nearest {
    const char *word;
    const char *best;
    size_t distance;
} lrk_nearest;

void lrk_nearest_offer(lrk_nearest *n, const char *name);

/* What a backslash and c stand for: n, t, r as in C, a backslash itself; false: nothing else does. */
bool lrk_text_escape(char c, char *out);
/* The same for each backslash of a text, in place; false where one stands before something else. */
bool lrk_text_unescape(char *text);

bool lrk_ends_with(const char *s, const char *ending);

/* The last name of a module's path: "q_proj" of "model.layers.0.self_attn.q_proj". */
const char *lrk_last_name(const char *path);
/* Whether the path is the name, which may be a path too, or ends in it from a dot on. */
bool lrk_path_ends_in(const char *path, const char *name);

/* The first occurrence of `what`, NULL if there is none. As memmem, whose whole range a sanitizer checks each time it
 * is called: a text with a million hits would take hours under one. */
const char *lrk_find_bytes(const char *s, size_t n, const char *what, size_t n_what);

#endif /* LRK_BASE_TEXT_H */
