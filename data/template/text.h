/* data/template/text.h -- UTF-8 as Python's str sees it: code points, white space, case.
 *
 * Texts are valid UTF-8 wherever these are called. Pure functions, no memory.
 */
#ifndef LRK_DATA_TEMPLATE_TEXT_H
#define LRK_DATA_TEMPLATE_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t lrk_j_encode(uint32_t code, char *out); /* 1 to 4 bytes written */
/* The code point at s[i] and its width in *width. */
uint32_t lrk_j_decode(const char *s, size_t n, size_t i, size_t *width);
size_t lrk_j_prev(const char *s, size_t i);  /* where the code point before byte i begins */
size_t lrk_j_count(const char *s, size_t n); /* code points */
size_t lrk_j_offset(const char *s, size_t n, size_t code_points); /* byte of the k-th, or n */
int lrk_j_hex(char c); /* value of a hexadecimal digit, or -1 */

/* Width in bytes of the white space at s[i], 0 where there is none: Python's str.isspace(). */
size_t lrk_j_space_at(const char *s, size_t n, size_t i);
size_t lrk_j_rstrip(const char *s, size_t n); /* length without white space at the end */
size_t lrk_j_lstrip(const char *s, size_t n); /* bytes of white space in front */
/* Width of the line boundary at s[i] as str.splitlines() has it, 0 where there is none. */
size_t lrk_j_newline_at(const char *s, size_t n, size_t i);

/* Case mappings of one code point; false where Python's result is not one code point, or depends
 * on its neighbours. */
bool lrk_j_upper(uint32_t code, uint32_t *out);
bool lrk_j_lower(uint32_t code, uint32_t *out);
bool lrk_j_printable(uint32_t code); /* repr() shows it as it is */

#endif /* LRK_DATA_TEMPLATE_TEXT_H */
