/* data/tokenizer/bytes.c -- spellings of bytes, and bytes that are no UTF-8. */
#include "base/file.h"
#include "data/tokenizer/internal.h"

static bool spells_itself(unsigned b)
{
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

/* Printable Latin-1 stands for itself; the other 68 bytes are U+0100 and on, in their order. */
uint32_t lrk_alphabet_point(unsigned char byte)
{
    if (spells_itself(byte)) return byte;
    if (byte <= ' ') return 256u + byte;
    return byte == 173 ? 256 + 67 : 256u + 33 + (byte - 127u);
}

int lrk_alphabet_byte(uint32_t point)
{
    if (point < 256) return spells_itself(point) ? (int)point : -1;
    if (point < 256 + 33) return (int)point - 256;
    if (point < 256 + 67) return (int)(point - 256 - 33) + 127;
    return point == 256 + 67 ? 173 : -1;
}

bool lrk_alphabet_decode(const char *s, size_t n, char *out, size_t *n_out)
{
    *n_out = 0;
    for (size_t i = 0; i < n;) {
        const int b = lrk_alphabet_byte(lrk_utf8_next(s, &i));
        if (b < 0) return false;
        out[(*n_out)++] = (char)b;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

int lrk_byte_token(const char *s, size_t n)
{
    if (n != 6 || s[0] != '<' || s[1] != '0' || s[2] != 'x' || s[5] != '>') return -1;
    const int high = hex_digit(s[3]), low = hex_digit(s[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Bytes at s that no character can go on from, n > 0 and no character there: 1 to 3. */
static size_t broken(const unsigned char *s, size_t n)
{
    const unsigned char a = s[0];
    if (a < 0xc2 || a > 0xf4 || n < 2) return 1;
    const unsigned char low = a == 0xe0 ? 0xa0 : a == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = a == 0xed ? 0x9f : a == 0xf4 ? 0x8f : 0xbf;
    if (a < 0xe0 || s[1] < low || s[1] > high) return 1;
    if (a < 0xf0 || n < 3 || (s[2] & 0xc0) != 0x80) return 2;
    return 3;
}

size_t lrk_unfinished(const char *s, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        const unsigned char *c = (const unsigned char *)s + n - back;
        if ((c[0] & 0xc0) == 0x80) continue;
        const size_t wants = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
        return c[0] >= 0xc2 && c[0] <= 0xf4 && back < wants && broken(c, back) == back ? back : 0;
    }
    return 0;
}

void lrk_append_lossy(lrk_buf *out, const char *s, size_t n, bool each)
{
    for (size_t i = 0; i < n;) {
        size_t fine = 0; /* a NUL is a character here, though lrk_utf8_check stops at it */
        while (i + fine < n) {
            const size_t more = lrk_utf8_check(s + i + fine, n - i - fine);
            fine += more;
            if (i + fine == n || s[i + fine] != '\0') break;
            fine++;
        }
        if (each && fine < n) {
            for (i = 0; i < n; i++) lrk_buf_puts(out, "\xef\xbf\xbd");
            return;
        }
        lrk_buf_append(out, s + i, fine);
        i += fine;
        if (i == n) return;
        i += broken((const unsigned char *)s + i, n - i);
        lrk_buf_puts(out, "\xef\xbf\xbd");
    }
}
