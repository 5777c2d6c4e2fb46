/* data/template/text.c -- code points, white space and case. */
#include "data/template/text.h"

#include <utf8proc.h>

size_t lrk_j_encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    const size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (char)(lead[n] | code);
    return n;
}

uint32_t lrk_j_decode(const char *s, size_t n, size_t i, size_t *width)
{
    const unsigned char c = (unsigned char)s[i];
    const size_t w = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    uint32_t code = w == 1 ? c : (uint32_t)(c & (0xFF >> (w + 1)));
    size_t k = 1;
    for (; k < w && i + k < n; k++) code = code << 6 | (uint32_t)((unsigned char)s[i + k] & 0x3F);
    *width = k;
    return code;
}

size_t lrk_j_prev(const char *s, size_t i)
{
    do i--;
    while (i > 0 && ((unsigned char)s[i] & 0xC0) == 0x80);
    return i;
}

size_t lrk_j_count(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)s[i] & 0xC0) != 0x80;
    return count;
}

size_t lrk_j_offset(const char *s, size_t n, size_t code_points)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)s[i] & 0xC0) != 0x80 && code_points-- == 0) return i;
    return n;
}

int lrk_j_hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

size_t lrk_j_space_at(const char *s, size_t n, size_t i)
{
    size_t width;
    return i < n && is_space(lrk_j_decode(s, n, i, &width)) ? width : 0;
}

size_t lrk_j_rstrip(const char *s, size_t n)
{
    while (n > 0) {
        const size_t before = lrk_j_prev(s, n);
        if (!lrk_j_space_at(s, n, before)) break;
        n = before;
    }
    return n;
}

size_t lrk_j_lstrip(const char *s, size_t n)
{
    size_t i = 0, width;
    while ((width = lrk_j_space_at(s, n, i)) > 0) i += width;
    return i;
}

size_t lrk_j_newline_at(const char *s, size_t n, size_t i)
{
    size_t width;
    const uint32_t c = lrk_j_decode(s, n, i, &width);
    if (c == '\r' && i + 1 < n && s[i + 1] == '\n') return 2;
    const bool newline =
        (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
    return newline ? width : 0;
}

/* Code points whose full upper case is several (SpecialCasing.txt), as ranges that may hold others
 * too: those are refused with them. */
bool lrk_j_upper(uint32_t c, uint32_t *out)
{
    if (c == 0xDF || c == 0x149 || c == 0x1F0 || c == 0x390 || c == 0x3B0 || c == 0x587 ||
        (c >= 0x1E96 && c <= 0x1E9A) || (c >= 0x1F50 && c <= 0x1F57) ||
        (c >= 0x1F80 && c <= 0x1FFC) || (c >= 0xFB00 && c <= 0xFB17))
        return false;
    *out = (uint32_t)utf8proc_toupper((utf8proc_int32_t)c);
    return true;
}

/* U+0130 becomes two code points; a capital sigma depends on where it stands. */
bool lrk_j_lower(uint32_t c, uint32_t *out)
{
    if (c == 0x130 || c == 0x3A3) return false;
    *out = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    return true;
}

bool lrk_j_printable(uint32_t c)
{
    if (c < 0x80) return c >= 0x20 && c < 0x7F;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return true;
    }
}
