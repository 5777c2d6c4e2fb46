/* data/tokenizer/regex.c -- compiling and running the patterns that have no scanner of their own.
 */
#include "data/tokenizer/regex.h"

#include <string.h>

enum { MAX_NODES = 192, MAX_RANGES = 512 };
#define NONE SIZE_MAX

typedef struct set {
    unsigned mask; /* classes */
    bool negate;
    uint32_t first, count; /* of ranges */
} set;

typedef struct node {
    enum { SET, BRANCH, JUMP, NOT_AHEAD, LINE_END, DONE } kind;
    set set;
    size_t min, max; /* SET */
    bool possessive;
    size_t target; /* BRANCH: the other way; JUMP */
} node;

struct lrk_regex {
    node node[MAX_NODES];
    uint32_t range[MAX_RANGES][2];
    size_t n_nodes, n_ranges;
};

/* ---- compiling ---- */

typedef struct parser {
    lrk_regex *r;
    const char *text;
    size_t at, n;
    bool fold;
    lrk_err *err;
} parser;

static lrk_status unknown(const parser *p)
{
    return lrk_fail(p->err, LRK_ESUPPORT, "regular expression '%s': byte %zu: this is not known",
                    p->text, p->at);
}

static bool take(parser *p, const char *word)
{
    const size_t n = strlen(word);
    if (p->n - p->at < n || memcmp(p->text + p->at, word, n) != 0) return false;
    p->at += n;
    return true;
}

static bool peek(const parser *p, char c) { return p->at < p->n && p->text[p->at] == c; }

static lrk_status emit(parser *p, node x, size_t *where)
{
    LRK_REQUIRE(p->err, p->r->n_nodes < MAX_NODES, LRK_ESUPPORT,
                "regular expression '%s': is too long", p->text);
    *where = p->r->n_nodes;
    p->r->node[p->r->n_nodes++] = x;
    return LRK_OK;
}

static lrk_status add_range(parser *p, set *to, uint32_t low, uint32_t high)
{
    LRK_REQUIRE(p->err, p->r->n_ranges < MAX_RANGES, LRK_ESUPPORT,
                "regular expression '%s': too many ranges", p->text);
    p->r->range[p->r->n_ranges][0] = low;
    p->r->range[p->r->n_ranges++][1] = high;
    to->count++;
    return LRK_OK;
}

/* A class by name; Lu stands for Lt too and Lm for Lo, which the listed patterns never part. */
static bool named_class(parser *p, set *to)
{
    static const struct {
        const char *name;
        unsigned mask;
    } known[] = {{"\\s", LRK_SPACE},      {"\\p{L}", LRK_L},      {"\\p{N}", LRK_NUMBER},
                 {"\\p{P}", LRK_PUNCT},   {"\\p{S}", LRK_SYMBOL}, {"\\p{M}", LRK_MARK},
                 {"\\p{Lu}", LRK_UPPER},  {"\\p{Lt}", LRK_UPPER}, {"\\p{Ll}", LRK_LOWER},
                 {"\\p{Lm}", LRK_LETTER}, {"\\p{Lo}", LRK_LETTER}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (take(p, known[i].name)) {
            to->mask |= known[i].mask;
            return true;
        }
    return false;
}

/* One character, escaped or not. */
static lrk_status character(parser *p, uint32_t *c)
{
    if (!take(p, "\\")) {
        *c = lrk_utf8_next(p->text, &p->at);
        return LRK_OK;
    }
    const char e = p->at < p->n ? p->text[p->at] : '\0';
    if (!e || (e >= '0' && e <= '9') || (e >= 'A' && e <= 'Z') ||
        (e >= 'a' && e <= 'z' && !strchr("rnt", e)))
        return unknown(p);
    p->at++;
    *c = (unsigned char)(e == 'r' ? '\r' : e == 'n' ? '\n' : e == 't' ? '\t' : e);
    return LRK_OK;
}

/* What stands between [ and ]; classes inside are part of the union. */
static lrk_status members(parser *p, set *to, int depth)
{
    while (!take(p, "]")) {
        uint32_t low, high;
        if (p->at >= p->n || depth > 2) return unknown(p);
        if (named_class(p, to)) continue;
        if (take(p, "[")) {
            if (peek(p, '^') || peek(p, ':')) return unknown(p);
            LRK_TRY(members(p, to, depth + 1));
            continue;
        }
        if (take(p, "&&")) return unknown(p);
        LRK_TRY(character(p, &low));
        high = low;
        if (peek(p, '-') && p->at + 1 < p->n && p->text[p->at + 1] != ']') {
            p->at++;
            LRK_TRY(character(p, &high));
        }
        if (high < low) return unknown(p);
        LRK_TRY(add_range(p, to, low, high));
    }
    return LRK_OK;
}

/* The characters that are c in (?i:...): the long s and the Kelvin sign are letters there. */
static lrk_status folded(parser *p, set *to, uint32_t c)
{
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    LRK_TRY(add_range(p, to, c, c));
    if (!p->fold || !letter) return LRK_OK;
    LRK_TRY(add_range(p, to, c ^ 32, c ^ 32));
    if ((c | 32) == 's') return add_range(p, to, 0x17f, 0x17f);
    return (c | 32) == 'k' ? add_range(p, to, 0x212a, 0x212a) : LRK_OK;
}

/* The same for all of [...], which may only list characters. */
static lrk_status fold_members(parser *p, set *to)
{
    const uint32_t end = to->first + to->count;
    if (to->mask || to->negate) return unknown(p);
    for (uint32_t i = to->first; i < end; i++) {
        if (p->r->range[i][0] != p->r->range[i][1]) return unknown(p);
        LRK_TRY(folded(p, to, p->r->range[i][0]));
    }
    return LRK_OK;
}

static lrk_status one_set(parser *p, set *to)
{
    uint32_t c;
    *to = (set){.first = (uint32_t)p->r->n_ranges};
    if (named_class(p, to)) return LRK_OK;
    if (take(p, "\\S")) {
        *to = (set){.mask = LRK_SPACE, .negate = true, .first = to->first};
        return LRK_OK;
    }
    if (take(p, "[")) {
        to->negate = take(p, "^");
        LRK_TRY(members(p, to, 0));
        return p->fold ? fold_members(p, to) : LRK_OK;
    }
    if (p->at >= p->n || strchr("*+?{}^.", p->text[p->at])) return unknown(p);
    LRK_TRY(character(p, &c));
    return folded(p, to, c);
}

static size_t number(parser *p)
{
    size_t n = 0;
    while (p->at < p->n && p->text[p->at] >= '0' && p->text[p->at] <= '9' && n < 10000)
        n = 10 * n + (size_t)(p->text[p->at++] - '0');
    return n;
}

/* ? * + {n} {n,m}, and + behind for possessive. */
static lrk_status quantifier(parser *p, node *x)
{
    x->min = x->max = 1;
    if (take(p, "?")) {
        x->min = 0;
    } else if (take(p, "*")) {
        x->min = 0;
        x->max = SIZE_MAX;
    } else if (take(p, "+")) {
        x->max = SIZE_MAX;
    } else if (take(p, "{")) {
        x->min = x->max = number(p);
        if (take(p, ",")) x->max = number(p);
        if (!take(p, "}") || x->max < x->min || !x->max) return unknown(p);
        return LRK_OK; /* {n,m}+ repeats once more there */
    } else {
        return LRK_OK;
    }
    if (peek(p, '?')) return unknown(p);
    x->possessive = take(p, "+");
    return LRK_OK;
}

static lrk_status alternatives(parser *p, int depth);

/* A group, behind its opening. */
static lrk_status group(parser *p, bool fold, int depth)
{
    const bool outer = p->fold;
    p->fold |= fold;
    size_t branch;
    if (depth > 4) return unknown(p);
    LRK_TRY(emit(p, (node){.kind = BRANCH}, &branch));
    LRK_TRY(alternatives(p, depth + 1));
    if (!take(p, ")")) return unknown(p);
    p->fold = outer;
    if (peek(p, '*') || peek(p, '+') || peek(p, '{')) return unknown(p);
    const bool optional = take(p, "?");
    if (peek(p, '+') || peek(p, '?')) return unknown(p);
    p->r->node[branch] = optional ? (node){.kind = BRANCH, .target = p->r->n_nodes}
                                  : (node){.kind = JUMP, .target = branch + 1};
    return LRK_OK;
}

static lrk_status item(parser *p, int depth)
{
    node x = {.kind = SET};
    size_t where;
    if (take(p, "(?i:")) return group(p, true, depth);
    if (take(p, "(?:")) return group(p, false, depth);
    if (take(p, "(?!")) {
        x.kind = NOT_AHEAD;
        LRK_TRY(one_set(p, &x.set));
        if (!take(p, ")")) return unknown(p);
        return emit(p, x, &where);
    }
    if (take(p, "$")) return emit(p, (node){.kind = LINE_END}, &where);
    if (peek(p, '(')) return unknown(p);
    LRK_TRY(one_set(p, &x.set));
    LRK_TRY(quantifier(p, &x));
    return emit(p, x, &where);
}

static lrk_status alternatives(parser *p, int depth)
{
    enum { MOST = 32 };
    size_t jump[MOST], n = 0, branch;
    for (;;) {
        LRK_TRY(emit(p, (node){.kind = BRANCH}, &branch));
        while (p->at < p->n && !peek(p, '|') && !peek(p, ')')) LRK_TRY(item(p, depth));
        if (!take(p, "|")) break;
        if (n == MOST) return unknown(p);
        LRK_TRY(emit(p, (node){.kind = JUMP}, &jump[n++]));
        p->r->node[branch].target = p->r->n_nodes;
    }
    p->r->node[branch] = (node){.kind = JUMP, .target = branch + 1};
    for (size_t i = 0; i < n; i++) p->r->node[jump[i]].target = p->r->n_nodes;
    return LRK_OK;
}

lrk_status lrk_regex_compile(lrk_regex **out, lrk_arena *a, const char *text, lrk_err *err)
{
    size_t where;
    LRK_TRY(lrk_alloc(a, 1, sizeof **out, "regular expression", out, err));
    parser p = {.r = *out, .text = text, .n = strlen(text), .err = err};
    LRK_TRY(alternatives(&p, 0));
    if (p.at < p.n) return unknown(&p);
    return emit(&p, (node){.kind = DONE}, &where);
}

/* ---- running ---- */

typedef struct subject {
    const lrk_regex *r;
    const lrk_classes *k;
    const char *s;
    size_t n;
} subject;

static bool holds(const subject *x, const set *t, uint32_t c)
{
    bool in = lrk_class(x->k, c) & t->mask;
    for (uint32_t i = t->first; !in && i < t->first + t->count; i++)
        in = c >= x->r->range[i][0] && c <= x->r->range[i][1];
    return in != t->negate;
}

static size_t run(const subject *x, size_t i, size_t at)
{
    for (;;) {
        const node *d = &x->r->node[at];
        size_t end, count = 0, next = i;
        switch (d->kind) {
        case DONE:
            return i;
        case JUMP:
            at = d->target;
            continue;
        case BRANCH:
            end = run(x, i, at + 1);
            if (end != NONE) return end;
            at = d->target;
            continue;
        case LINE_END:
            if (i < x->n && x->s[i] != '\n') return NONE;
            at++;
            continue;
        case NOT_AHEAD:
            if (i < x->n && holds(x, &d->set, lrk_utf8_next(x->s, &next))) return NONE;
            at++;
            continue;
        case SET:
            break;
        }
        const size_t begin = i;
        for (; i < x->n && count < d->max; i = next, count++)
            if (!holds(x, &d->set, lrk_utf8_next(x->s, &next))) break;
        if (count < d->min) return NONE;
        for (at++; !d->possessive && count > d->min; count--) {
            end = run(x, i, at);
            if (end != NONE) return end;
            i = lrk_utf8_back(x->s, i);
        }
        LRK_ASSERT(i >= begin);
    }
}

size_t lrk_regex_match(const lrk_regex *r, const lrk_classes *k, const char *s, size_t n, size_t i)
{
    const subject x = {r, k, s, n};
    const size_t end = run(&x, i, 0);
    return end == NONE ? i : end;
}
