/* data/tokenizer/json_pull.c -- reading JSON in place. */
#include "data/tokenizer/json_pull.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 64 };

static char ahead(lrk_pull *p)
{
    while (p->at < p->n && (p->s[p->at] == ' ' || p->s[p->at] == '\n' || p->s[p->at] == '\t' ||
                            p->s[p->at] == '\r'))
        p->at++;
    return p->at < p->n ? p->s[p->at] : '\0';
}

bool lrk_pull_char(lrk_pull *p, char c)
{
    if (ahead(p) != c) return false;
    p->at++;
    return true;
}

static int hex(const lrk_pull *p, size_t at)
{
    int v = 0;
    if (p->n - at < 4) return -1;
    for (size_t i = at; i < at + 4; i++) {
        const char c = p->s[i], low = (char)(c | 32);
        if (c >= '0' && c <= '9')
            v = v * 16 + (c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v * 16 + (low - 'a' + 10);
        else
            return -1;
    }
    return v;
}

static void append_point(lrk_buf *b, uint32_t c)
{
    const unsigned char u[4] = {(unsigned char)(c < 0x80      ? c
                                                : c < 0x800   ? 0xc0 | c >> 6
                                                : c < 0x10000 ? 0xe0 | c >> 12
                                                              : 0xf0 | c >> 18),
                                (unsigned char)(0x80 | (c >> (c < 0x800     ? 0
                                                              : c < 0x10000 ? 6
                                                                            : 12) &
                                                        63)),
                                (unsigned char)(0x80 | (c >> (c < 0x10000 ? 0 : 6) & 63)),
                                (unsigned char)(0x80 | (c & 63))};
    lrk_buf_append(b, u, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
}

/* The escape at p->at, behind its backslash. */
static bool escape(lrk_pull *p)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char c = p->at < p->n ? p->s[p->at++] : '\0';
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        lrk_buf_append(&p->text, &to[known - from], 1);
        return true;
    }
    int point = c == 'u' ? hex(p, p->at) : -1;
    if (point <= 0) return false;
    p->at += 4;
    if (point >= 0xdc00 && point < 0xe000) return false;
    if (point >= 0xd800 && point < 0xdc00) {
        if (p->n - p->at < 6 || p->s[p->at] != '\\' || p->s[p->at + 1] != 'u') return false;
        const int low = hex(p, p->at + 2);
        if (low < 0xdc00 || low >= 0xe000) return false;
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        p->at += 6;
    }
    append_point(&p->text, (uint32_t)point);
    return true;
}

bool lrk_pull_string(lrk_pull *p, lrk_piece *out)
{
    if (!lrk_pull_char(p, '"')) return false;
    const size_t begin = p->at;
    while (p->at < p->n && p->s[p->at] != '"' && p->s[p->at] != '\\') {
        if ((unsigned char)p->s[p->at] < 0x20) return false;
        p->at++;
    }
    if (p->at == p->n) return false;
    if (p->s[p->at] == '"') {
        *out = (lrk_piece){p->s + begin, p->at++ - begin};
        return true;
    }
    p->text.n = 0;
    lrk_buf_append(&p->text, p->s + begin, p->at - begin);
    while (p->at < p->n && p->s[p->at] != '"') {
        const char c = p->s[p->at++];
        if ((unsigned char)c < 0x20) return false;
        if (c != '\\')
            lrk_buf_append(&p->text, &c, 1);
        else if (!escape(p))
            return false;
    }
    if (p->at == p->n || p->text.failed) return false;
    p->at++;
    *out = (lrk_piece){p->text.data, p->text.n};
    return true;
}

bool lrk_pull_integer(lrk_pull *p, int64_t *out)
{
    const bool minus = ahead(p) == '-';
    int64_t v = 0;
    p->at += minus;
    const size_t begin = p->at;
    for (; p->at < p->n && p->s[p->at] >= '0' && p->s[p->at] <= '9'; p->at++)
        if (v < INT64_MAX / 16) v = v * 10 + (p->s[p->at] - '0');
    const char c = p->at < p->n ? p->s[p->at] : '\0';
    *out = minus ? -v : v;
    return p->at > begin && c != '.' && c != 'e' && c != 'E';
}

/* 10^n, correctly rounded. */
static double power_of_ten(int n)
{
    char text[16];
    snprintf(text, sizeof text, "1e%d", n);
    return strtod(text, NULL);
}

/* The digits at p->at, appended to *v while they fit; how many were, and whether there were any. */
static int digits(lrk_pull *p, uint64_t *v, bool *any)
{
    int n = 0;
    bool full = false;
    *any = p->at < p->n && p->s[p->at] >= '0' && p->s[p->at] <= '9';
    for (; p->at < p->n && p->s[p->at] >= '0' && p->s[p->at] <= '9'; p->at++) {
        const unsigned digit = (unsigned)(p->s[p->at] - '0');
        full = full || *v > (UINT64_MAX - digit) / 10;
        if (full) continue;
        *v = *v * 10 + digit;
        n++;
    }
    return n;
}

/* The reference's JSON reader rounds twice, the digits as a whole and their quotient by a power of
 * ten; scores that tie depend on it. */
bool lrk_pull_number(lrk_pull *p, double *out)
{
    uint64_t v = 0, e = 0;
    bool any;
    const bool minus = ahead(p) == '-';
    p->at += minus;
    digits(p, &v, &any);
    if (!any) return false;
    int exponent = 0;
    if (p->at < p->n && p->s[p->at] == '.') {
        p->at++;
        exponent = -digits(p, &v, &any);
        if (!any) return false;
    }
    if (p->at < p->n && (p->s[p->at] | 32) == 'e') {
        p->at++;
        const bool down = p->at < p->n && p->s[p->at] == '-';
        p->at += p->at < p->n && (down || p->s[p->at] == '+');
        digits(p, &e, &any);
        if (!any || e > 400) return false;
        exponent += down ? -(int)e : (int)e;
    }
    double f = (double)v;
    for (; exponent < -308; exponent += 308) f /= 1e308;
    f = exponent < 0 ? f / power_of_ten(-exponent) : f * power_of_ten(exponent);
    *out = minus ? -f : f;
    return isfinite(f);
}

bool lrk_pull_skip(lrk_pull *p)
{
    char open[DEEPEST];
    int depth = 0;
    for (;;) {
        const char c = ahead(p);
        if (!c) return false;
        if (c == '"') {
            const char *s = p->s;
            for (p->at++; p->at < p->n && s[p->at] != '"'; p->at++)
                if (s[p->at] == '\\') p->at++;
            if (p->at >= p->n) return false;
            p->at++;
        } else if (c == '{' || c == '[') {
            if (depth == DEEPEST) return false;
            open[depth++] = c;
            p->at++;
            continue;
        } else if (c == '}' || c == ']') {
            if (!depth || open[--depth] != (c == '}' ? '{' : '[')) return false;
            p->at++;
        } else if (c == ',' || c == ':') {
            if (!depth) return false;
            p->at++;
            continue;
        } else {
            while (p->at < p->n && !strchr(" \n\t\r,:{}[]\"", p->s[p->at])) p->at++;
        }
        if (!depth) return true;
    }
}

/* ---- carving ---- */

typedef struct carving {
    lrk_pull p;
    lrk_carved *out;
    size_t done; /* text before it is in out->rest */
} carving;

static bool is(lrk_piece p, const char *name)
{
    return p.n == strlen(name) && memcmp(p.data, name, p.n) == 0;
}

/* The members of the object that p stands before; those of `model` at depth 1. */
static bool object(carving *x, int depth)
{
    lrk_pull *p = &x->p;
    if (!lrk_pull_char(p, '{')) return false;
    if (lrk_pull_char(p, '}')) return true;
    do {
        lrk_piece key;
        if (!lrk_pull_string(p, &key) || !lrk_pull_char(p, ':')) return false;
        lrk_pull *taken = depth && is(key, "vocab")    ? &x->out->vocab
                          : depth && is(key, "merges") ? &x->out->merges
                                                       : NULL;
        const char c = ahead(p);
        const size_t begin = p->at;
        if (!depth && c == '{' && is(key, "model")) {
            if (!object(x, 1)) return false;
            continue;
        }
        if (!lrk_pull_skip(p)) return false;
        if (!taken || (c != '{' && c != '[')) continue;
        *taken = (lrk_pull){.s = p->s + begin, .n = p->at - begin};
        lrk_buf_append(&x->out->rest, p->s + x->done, begin - x->done);
        lrk_buf_puts(&x->out->rest, "null");
        x->done = p->at;
    } while (lrk_pull_char(p, ','));
    return lrk_pull_char(p, '}');
}

lrk_status lrk_json_carve(lrk_carved *out, const char *text, size_t n, const char *where,
                          lrk_err *err)
{
    carving x = {.p = {.s = text, .n = n}, .out = out};
    *out = (lrk_carved){.root = NULL};
    const bool carved = object(&x, 0);
    if (carved) lrk_buf_append(&out->rest, text + x.done, n - x.done);
    lrk_status status = lrk_buf_check(&x.p.text, err);
    if (status == LRK_OK) status = lrk_buf_check(&out->rest, err);
    if (status == LRK_OK && (!carved || lrk_json_parse(&out->root, out->rest.data, out->rest.n,
                                                       where, NULL) != LRK_OK)) {
        /* Places in messages are those of the file as it is. */
        status = lrk_json_parse(&out->root, text, n, where, err);
        if (status == LRK_OK)
            status =
                lrk_fail(err, LRK_EINPUT, "%s: not a tokenizer.json: expected an object", where);
    }
    lrk_buf_free(&x.p.text);
    if (status != LRK_OK) lrk_carved_free(out);
    return status;
}

void lrk_carved_free(lrk_carved *c)
{
    lrk_buf_free(&c->rest);
    lrk_json_free(c->root);
    lrk_buf_free(&c->vocab.text);
    lrk_buf_free(&c->merges.text);
    *c = (lrk_carved){.root = NULL};
}
