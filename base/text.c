/* base/text.c -- strict numbers and near names. */
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_WORD = 64 };

static bool digit(char c) { return c >= '0' && c <= '9'; }

bool lrk_text_size(const char *s, size_t *out)
{
    size_t n = 0;
    if (!*s) return false;
    for (; *s; s++) {
        if (!digit(*s)) return false;
        if (__builtin_mul_overflow(n, (size_t)10, &n)) return false;
        if (__builtin_add_overflow(n, (size_t)(*s - '0'), &n)) return false;
    }
    *out = n;
    return true;
}

bool lrk_text_integer(const char *s, int64_t *out)
{
    const bool negative = *s == '-';
    size_t n;
    if (*s == '-' || *s == '+') s++;
    if (!lrk_text_size(s, &n) || n > (size_t)INT64_MAX) return false;
    *out = negative ? -(int64_t)n : (int64_t)n;
    return true;
}

/* [+-] digits [. digits] [e [+-] digits], at least one digit before the exponent */
static bool real_shape(const char *s)
{
    size_t digits = 0;
    if (*s == '-' || *s == '+') s++;
    for (; digit(*s); s++) digits++;
    if (*s == '.') s++;
    for (; digit(*s); s++) digits++;
    if (digits == 0) return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '-' || *s == '+') s++;
        if (!digit(*s)) return false;
        while (digit(*s)) s++;
    }
    return *s == '\0';
}

bool lrk_text_real(const char *s, double *out)
{
    if (!real_shape(s)) return false;
    const double d = strtod(s, NULL);
    if (!isfinite(d)) return false;
    *out = d;
    return true;
}

static char folded(char c)
{
    if (c >= 'A' && c <= 'Z') return (char)(c - 'A' + 'a');
    return c == '-' ? '_' : c;
}

void lrk_real_text(double d, char out[40])
{
    char digits[40];
    if (!isfinite(d)) {
        snprintf(out, 40, "%s", isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
        return;
    }
    int precision = 0;
    do snprintf(digits, sizeof digits, "%.*e", precision, d);
    while (strtod(digits, NULL) != d && ++precision < 17);
    const char *e = strchr(digits, 'e');
    const int exponent = e ? (int)strtol(e + 1, NULL, 10) : 0;
    if (exponent < -4 || exponent >= 16) {
        snprintf(out, 40, "%.*se%c%02d", (int)(e - digits), digits, exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    const int decimals = precision - exponent;
    snprintf(out, 40, "%.*f", decimals > 1 ? decimals : 1, d);
}

size_t lrk_edit_distance(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    size_t rows[3][LONGEST_WORD + 1];
    if (n > LONGEST_WORD || m > LONGEST_WORD) return SIZE_MAX;

    for (size_t j = 0; j <= m; j++) rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const char x = folded(a[i - 1]), y = folded(b[j - 1]);
            size_t best = last[j - 1] + (x == y ? 0 : 1);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && x == folded(b[j - 2]) && folded(a[i - 2]) == y &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[n % 3][m];
}

void lrk_nearest_offer(lrk_nearest *n, const char *name)
{
    const size_t distance = lrk_edit_distance(n->word, name), length = strlen(n->word);
    if (distance > (length < 3 ? 1 : (length + 2) / 3)) return;
    if (n->best && distance >= n->distance) return;
    n->best = name;
    n->distance = distance;
}

bool lrk_text_escape(char c, char *out)
{
    static const char from[] = "ntr\\", to[] = "\n\t\r\\";
    const char *at = c ? strchr(from, c) : NULL;
    if (at) *out = to[at - from];
    return at != NULL;
}

bool lrk_text_unescape(char *text)
{
    char *to = text;
    for (const char *s = text; *s; s++, to++) {
        *to = *s;
        if (*s == '\\' && !lrk_text_escape(*++s, to)) return false;
    }
    *to = '\0';
    return true;
}

bool lrk_ends_with(const char *s, const char *ending)
{
    const size_t n = strlen(s), e = strlen(ending);
    return n >= e && strcmp(s + n - e, ending) == 0;
}

const char *lrk_last_name(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

bool lrk_path_ends_in(const char *path, const char *name)
{
    const size_t n = strlen(path), k = strlen(name);
    return k <= n && strcmp(path + n - k, name) == 0 && (k == n || path[n - k - 1] == '.');
}

const char *lrk_find_bytes(const char *s, size_t n, const char *what, size_t n_what)
{
    enum { WINDOW = 16384 };
    for (size_t i = 0; n - i >= n_what; i += WINDOW) {
        const bool last = n - i <= WINDOW + n_what;
        const char *at = memmem(s + i, last ? n - i : WINDOW + n_what, what, n_what);
        if (at || last) return at;
    }
    return NULL;
}
