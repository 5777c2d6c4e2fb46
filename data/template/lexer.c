/* data/template/lexer.c -- source text to tokens, with the whitespace rules of trim_blocks and
 * lstrip_blocks. */
#include "data/template/ast.h"
#include "data/template/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct lexer {
    lrk_template *t;
    const char *s; /* newlines normalized, the last one dropped */
    size_t n, i;
    lrk_jpos at; /* of s[counted] */
    size_t counted;
    bool line_start; /* the last match ended in a newline */
    lrk_jtoken *tokens;
    size_t n_tokens, capacity;
    char brackets[LRK_J_MAX_NESTING];
    size_t depth;
    lrk_err *err;
} lexer;

static lrk_jpos position(lexer *l, size_t to)
{
    for (; l->counted < to; l->counted++) {
        const unsigned char c = (unsigned char)l->s[l->counted];
        if (c == '\n') {
            l->at.line++;
            l->at.column = 1;
        } else if ((c & 0xC0) != 0x80) {
            l->at.column++;
        }
    }
    return l->at;
}

static lrk_status fail(lexer *l, lrk_jpos at, lrk_status s, const char *what)
{
    return lrk_jfail(l->t->name, at, s, l->err, "%s", what);
}

static lrk_status push(lexer *l, lrk_jtoken_kind kind, lrk_jpos at, const char *s, size_t n,
                       lrk_jtoken **out)
{
    if (l->n_tokens == l->capacity) {
        const size_t capacity = l->capacity ? 2 * l->capacity : 64;
        lrk_jtoken *grown;
        LRK_TRY(
            lrk_alloc(&l->t->arena, capacity, sizeof *grown, "template tokens", &grown, l->err));
        if (l->n_tokens) memcpy(grown, l->tokens, l->n_tokens * sizeof *grown);
        l->tokens = grown;
        l->capacity = capacity;
    }
    char *copy = lrk_strndup(&l->t->arena, s, n);
    LRK_REQUIRE(l->err, copy, LRK_ENOMEM, "%s: out of memory", l->t->name);
    l->tokens[l->n_tokens] = (lrk_jtoken){.kind = kind, .at = at, .s = copy, .n = n};
    if (out) *out = &l->tokens[l->n_tokens];
    l->n_tokens++;
    return LRK_OK;
}

static bool starts(const lexer *l, size_t i, const char *what)
{
    const size_t n = strlen(what);
    return l->n - i >= n && memcmp(l->s + i, what, n) == 0;
}

static size_t skip_space(const lexer *l, size_t i)
{
    while (i < l->n) {
        const size_t w = lrk_j_space_at(l->s, l->n, i);
        if (!w) break;
        i += w;
    }
    return i;
}

/* The end of a tag at i, "%}" or "}}" or "#}" with its sign; 0 when there is none. Sets *after to
 * where the text goes on. */
static bool tag_end(const lexer *l, size_t i, const char *end, bool trim, size_t *after)
{
    if (starts(l, i, "-") && starts(l, i + 1, end)) {
        *after = skip_space(l, i + 3);
        return true;
    }
    if (trim && starts(l, i, "+") && starts(l, i + 1, end)) {
        *after = i + 3;
        return true;
    }
    if (!starts(l, i, end)) return false;
    *after = i + 2;
    if (trim && starts(l, *after, "\n")) ++*after;
    return true;
}

/* Moves to `to`, remembering whether what was passed ended in a newline. */
static void advance(lexer *l, size_t to)
{
    if (to > l->i) l->line_start = l->s[to - 1] == '\n';
    l->i = to;
}

/* Text [begin, end) in front of a tag with the given sign ('-', '+' or 0). */
static lrk_status push_data(lexer *l, size_t begin, size_t end, char sign, bool lstrip)
{
    const lrk_jpos at = position(l, begin);
    if (sign == '-') {
        end = begin + lrk_j_rstrip(l->s + begin, end - begin);
    } else if (sign != '+' && lstrip) {
        size_t line = end;
        while (line > begin && l->s[line - 1] != '\n') line--;
        if ((line > begin || l->line_start) && line < end && skip_space(l, line) >= end) end = line;
    }
    return end > begin ? push(l, LRK_JT_DATA, at, l->s + begin, end - begin, NULL) : LRK_OK;
}

static lrk_status lex_comment(lexer *l, lrk_jpos at)
{
    for (size_t i = l->i; i < l->n; i++) {
        size_t after;
        if (tag_end(l, i, "#}", true, &after)) {
            advance(l, after);
            return LRK_OK;
        }
    }
    /* the reference only misses the end where something follows */
    return l->i < l->n ? fail(l, at, LRK_EINPUT, "missing end of comment tag") : LRK_OK;
}

/* "{%- raw -%}" at i: returns where its text begins, or 0. */
static size_t raw_begin(const lexer *l, size_t i)
{
    i += 2;
    if (starts(l, i, "-") || starts(l, i, "+")) i++;
    i = skip_space(l, i);
    if (!starts(l, i, "raw")) return 0;
    i = skip_space(l, i + 3);
    if (starts(l, i, "-%}")) return skip_space(l, i + 3);
    return starts(l, i, "%}") ? i + 2 : 0;
}

static lrk_status lex_raw(lexer *l, lrk_jpos at)
{
    const size_t begin = l->i;
    for (size_t i = begin; i < l->n; i++) {
        if (!starts(l, i, "{%")) continue;
        const char c = i + 2 < l->n ? l->s[i + 2] : 0;
        const char sign = c == '-' || c == '+' ? c : 0;
        size_t j = skip_space(l, i + 2 + (sign ? 1 : 0)), after;
        if (!starts(l, j, "endraw")) continue;
        j = skip_space(l, j + 6);
        if (!tag_end(l, j, "%}", true, &after)) continue;
        LRK_TRY(push_data(l, begin, i, sign, true));
        advance(l, after);
        return LRK_OK;
    }
    return begin < l->n ? fail(l, at, LRK_EINPUT, "missing end of raw directive") : LRK_OK;
}

static bool octal(char c) { return c >= '0' && c <= '7'; }

/* One escape of a string literal, s[*i] being the character after the backslash. */
static lrk_status escape(lexer *l, lrk_jpos at, size_t *i, char *out, size_t *n)
{
    static const char from[] = "ntr\\'\"abfv", to[] = "\n\t\r\\'\"\a\b\f\v";
    const char c = l->s[(*i)++];
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        out[(*n)++] = to[known - from];
        return LRK_OK;
    }
    if (c == '\n') return LRK_OK; /* a continued line */
    uint32_t code = 0;
    if (octal(c)) {
        code = (uint32_t)(c - '0');
        for (int k = 0; k < 2 && *i < l->n && octal(l->s[*i]); k++)
            code = code * 8 + (uint32_t)(l->s[(*i)++] - '0');
    } else if (c == 'x' || c == 'u' || c == 'U') {
        const int digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        for (int k = 0; k < digits; k++) {
            const int digit = *i < l->n ? lrk_j_hex(l->s[*i]) : -1;
            if (digit < 0) return fail(l, at, LRK_EINPUT, "truncated escape in a string");
            code = code * 16 + (uint32_t)digit;
            ++*i;
        }
    } else if (c == 'N' || (unsigned char)c >= 0x80) {
        return fail(l, at, LRK_ESUPPORT, "this escape in a string");
    } else {
        out[(*n)++] = '\\'; /* unknown escapes stay as they are */
        out[(*n)++] = c;
        return LRK_OK;
    }
    if (code > 0x10FFFF) return fail(l, at, LRK_EINPUT, "illegal character in an escape");
    if (code >= 0xD800 && code < 0xE000)
        return fail(l, at, LRK_ESUPPORT, "a surrogate in a string");
    *n += lrk_j_encode(code, out + *n);
    return LRK_OK;
}

static lrk_status lex_string(lexer *l, lrk_jpos at)
{
    const char quote = l->s[l->i];
    size_t i = l->i + 1, n = 0;
    char *text; /* no escape is longer than what it stands for */
    size_t close = i;
    while (close < l->n && l->s[close] != quote) close += l->s[close] == '\\' ? 2 : 1;
    if (close >= l->n) return fail(l, at, LRK_EINPUT, "a string that does not end");
    LRK_TRY(lrk_alloc(&l->t->arena, close - i + 4, 1, "template string", &text, l->err));
    while (i < close) {
        if (l->s[i] != '\\') {
            text[n++] = l->s[i++];
        } else {
            i++;
            LRK_TRY(escape(l, at, &i, text, &n));
        }
    }
    advance(l, close + 1);
    return push(l, LRK_JT_STRING, at, text, n, NULL);
}

static bool digit(const lexer *l, size_t i) { return i < l->n && l->s[i] >= '0' && l->s[i] <= '9'; }

static lrk_status lex_number(lexer *l, lrk_jpos at)
{
    const size_t begin = l->i;
    size_t i = begin;
    while (digit(l, i)) i++;
    const size_t whole = i;
    const bool after_dot = begin > 0 && l->s[begin - 1] == '.';
    bool real = false;
    if (!after_dot) {
        if (i < l->n && l->s[i] == '.' && digit(l, i + 1)) {
            real = true;
            for (i++; digit(l, i); i++) {
            }
        }
        if (i < l->n && (l->s[i] == 'e' || l->s[i] == 'E')) {
            size_t j = i + 1;
            if (j < l->n && (l->s[j] == '+' || l->s[j] == '-')) j++;
            if (digit(l, j)) {
                real = true;
                for (i = j; digit(l, i); i++) {
                }
            }
        }
    }
    const char next = i < l->n ? l->s[i] : 0;
    if (next == '_' || (whole == begin + 1 && l->s[begin] == '0' && next && strchr("xXoObB", next)))
        return fail(l, at, LRK_ESUPPORT, "numbers in other than plain decimal digits");
    for (size_t k = begin; !real && l->s[begin] == '0' && k < i; k++)
        if (l->s[k] != '0') return fail(l, at, LRK_EINPUT, "a number with leading zeros");
    lrk_jtoken *tok;
    LRK_TRY(push(l, real ? LRK_JT_FLOAT : LRK_JT_INTEGER, at, l->s + begin, i - begin, &tok));
    errno = 0;
    if (real) {
        tok->real = strtod(tok->s, NULL);
        if (!isfinite(tok->real)) return fail(l, at, LRK_ESUPPORT, "a number beyond double range");
    } else {
        tok->integer = strtoll(tok->s, NULL, 10);
        if (errno == ERANGE) return fail(l, at, LRK_ESUPPORT, "an integer beyond 64 bits");
    }
    advance(l, i);
    return LRK_OK;
}

static bool name_byte(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static lrk_status lex_operator(lexer *l, lrk_jpos at)
{
    static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                            "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                            ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    const char *op = NULL;
    for (size_t k = 0; !op && k < sizeof operators / sizeof *operators; k++)
        if (starts(l, l->i, operators[k])) op = operators[k];
    if (!op)
        return lrk_jfail(l->t->name, at,
                         (unsigned char)l->s[l->i] < 0x80 ? LRK_EINPUT : LRK_ESUPPORT, l->err,
                         "unexpected character (byte 0x%02x)", (unsigned char)l->s[l->i]);
    static const char open[] = "([{", close[] = ")]}";
    const char *o = strchr(open, op[0]), *c = strchr(close, op[0]);
    if (o) {
        if (l->depth == sizeof l->brackets)
            return fail(l, at, LRK_ESUPPORT, "brackets nested so deep");
        l->brackets[l->depth++] = close[o - open];
    } else if (c) {
        if (!l->depth || l->brackets[l->depth - 1] != *c)
            return lrk_jfail(l->t->name, at, LRK_EINPUT, l->err, "unexpected '%c'", *c);
        l->depth--;
    }
    LRK_TRY(push(l, LRK_JT_OPERATOR, at, op, strlen(op), NULL));
    advance(l, l->i + strlen(op));
    return LRK_OK;
}

/* The inside of {{ }} or {% %}, up to and with its end. */
static lrk_status lex_tag(lexer *l, bool block, lrk_jpos begin)
{
    for (;;) {
        size_t after;
        const lrk_jpos at = position(l, l->i);
        if (l->i >= l->n) return fail(l, begin, LRK_EINPUT, "a tag that does not end");
        if (!l->depth && tag_end(l, l->i, block ? "%}" : "}}", block, &after)) {
            advance(l, after);
            return push(l, block ? LRK_JT_BLOCK_END : LRK_JT_PRINT_END, at, "", 0, NULL);
        }
        const size_t space = skip_space(l, l->i);
        const char c = l->s[l->i];
        if (space > l->i) {
            advance(l, space);
        } else if (digit(l, l->i)) {
            LRK_TRY(lex_number(l, at));
        } else if (name_byte(c, true)) {
            size_t end = l->i + 1;
            while (end < l->n && name_byte(l->s[end], false)) end++;
            if (end < l->n && (unsigned char)l->s[end] >= 0x80 && !lrk_j_space_at(l->s, l->n, end))
                return fail(l, at, LRK_ESUPPORT, "names beyond ASCII");
            LRK_TRY(push(l, LRK_JT_NAME, at, l->s + l->i, end - l->i, NULL));
            advance(l, end);
        } else if (c == '\'' || c == '"') {
            LRK_TRY(lex_string(l, at));
        } else {
            LRK_TRY(lex_operator(l, at));
        }
    }
}

static lrk_status lex_root(lexer *l)
{
    while (l->i < l->n) {
        size_t tag = l->i;
        while (tag < l->n && !(l->s[tag] == '{' && tag + 1 < l->n && strchr("{%#", l->s[tag + 1]) &&
                               l->s[tag + 1]))
            tag++;
        if (tag == l->n) {
            const lrk_jpos at = position(l, l->i);
            return push(l, LRK_JT_DATA, at, l->s + l->i, l->n - l->i, NULL);
        }
        const char kind = l->s[tag + 1], c = tag + 2 < l->n ? l->s[tag + 2] : 0;
        const char sign = c == '-' || c == '+' ? c : 0;
        LRK_TRY(push_data(l, l->i, tag, sign, kind != '{'));
        const lrk_jpos at = position(l, tag);
        const size_t raw = kind == '%' ? raw_begin(l, tag) : 0;
        advance(l, raw ? raw : tag + 2 + (sign ? 1 : 0));
        if (kind == '#') {
            LRK_TRY(lex_comment(l, at));
        } else if (raw) {
            LRK_TRY(lex_raw(l, at));
        } else {
            LRK_TRY(push(l, kind == '%' ? LRK_JT_BLOCK : LRK_JT_PRINT, at, "", 0, NULL));
            LRK_TRY(lex_tag(l, kind == '%', at));
        }
    }
    return LRK_OK;
}

lrk_status lrk_jlex(lrk_template *t, const char *source, size_t n, lrk_jtoken **tokens,
                    lrk_err *err)
{
    char *s;
    size_t used = 0;
    LRK_TRY(lrk_alloc(&t->arena, n + 1, 1, "template", &s, err));
    for (size_t i = 0; i < n; i++) {
        if (source[i] == '\r') {
            s[used++] = '\n';
            if (i + 1 < n && source[i + 1] == '\n') i++;
        } else {
            s[used++] = source[i];
        }
    }
    if (used && s[used - 1] == '\n') used--;
    lexer l = {.t = t, .s = s, .n = used, .at = {1, 1}, .line_start = true, .err = err};
    LRK_TRY(lex_root(&l));
    LRK_TRY(push(&l, LRK_JT_EOF, position(&l, used), "", 0, NULL));
    *tokens = l.tokens;
    return LRK_OK;
}
