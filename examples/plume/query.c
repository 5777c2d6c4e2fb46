/* plume/query.c -- the parser: one function a rule of plume.gbnf. */
#include "plume/query.h"

#include "base/file.h"

#include <string.h>

typedef struct parser {
    const char *s;
    size_t n, at;
    bool held_out, cut;
    int depth;
    lrk_arena *arena;
    plume_fault *fault;
    lrk_err *err;
} parser;

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t word(const parser *p)
{
    size_t n = 0;
    while (p->at + n < p->n && word_char(p->s[p->at + n])) n++;
    return n;
}

/* What stands at the fault, for the message: a word, or one sign, or the end. */
static lrk_status expected(parser *p, const char *what)
{
    const size_t left = p->n - p->at;
    size_t n = word(p);
    if (left && !n) n = 1;
    if (!left) p->cut = true;
    /* A character of several bytes is shown whole. */
    while (p->at + n < p->n && ((unsigned char)p->s[p->at + n] & 0xc0u) == 0x80u) n++;
    if (n > 40) n = 40;
    if (p->fault) *p->fault = (plume_fault){.at = p->at, .cut = p->cut};
    if (!left)
        return lrk_fail(p->err, LRK_EINPUT, "column %zu: expected %s, got the end", p->at + 1,
                        what);
    return lrk_fail(p->err, LRK_EINPUT, "column %zu: expected %s, got '%.*s'", p->at + 1, what,
                    (int)n, p->s + p->at);
}

/* Takes literal text. A text that ends inside it may be a query cut off. */
static bool eat(parser *p, const char *literal)
{
    const size_t n = strlen(literal), left = p->n - p->at;
    if (left < n) {
        if (memcmp(p->s + p->at, literal, left) == 0) p->cut = true;
        return false;
    }
    if (memcmp(p->s + p->at, literal, n) != 0) return false;
    p->at += n;
    return true;
}

static bool digit(const parser *p, size_t ahead)
{
    const size_t i = p->at + ahead;
    return i < p->n && p->s[i] >= '0' && p->s[i] <= '9';
}

static lrk_status copy(parser *p, const void *from, size_t n, size_t size, void *out)
{
    void *to = NULL;
    LRK_TRY(lrk_alloc(p->arena, n ? n : 1, size, "query", &to, p->err));
    if (n) memcpy(to, from, n * size);
    memcpy(out, &to, sizeof to);
    return LRK_OK;
}

/* kind < 0: any. */
static lrk_status column(parser *p, int kind, plume_name *out)
{
    static const char *const want[] = {"a text column", "a number column", "a bool column"};
    const size_t n = word(p);
    plume_name c;
    if (n && plume_name_find(p->s + p->at, n, &c) && (p->held_out || !plume_name_held_out(c)) &&
        (kind < 0 || (int)plume_name_kind(c) == kind)) {
        *out = c;
        p->at += n;
        return LRK_OK;
    }
    for (int i = 0; p->at + n == p->n && i < PLUME_NAMES; i++)
        if (strncmp(plume_name_text((plume_name)i), p->s + p->at, n) == 0) p->cut = true;
    return expected(p, kind < 0 ? "a column" : want[kind]);
}

static lrk_status number(parser *p, int64_t *out)
{
    const size_t start = p->at;
    const bool minus = p->at < p->n && p->s[p->at] == '-';
    if (minus) p->at++;
    if (!digit(p, 0)) {
        if (p->at == p->n) return expected(p, "a number");
        p->at = start;
        return expected(p, "a number");
    }
    int64_t v = 0;
    if (p->s[p->at] == '0') {
        p->at++;
    } else {
        for (int i = 0; i < 9 && digit(p, 0); i++) v = v * 10 + (p->s[p->at++] - '0');
    }
    v *= 1000;
    if (p->at < p->n && p->s[p->at] == '.') {
        p->at++;
        if (!digit(p, 0)) return expected(p, "a digit");
        for (int64_t unit = 100; unit && digit(p, 0); unit /= 10) v += unit * (p->s[p->at++] - '0');
    }
    if (digit(p, 0)) return expected(p, "at most 9 digits, 3 after the point, no leading zero");
    *out = minus ? -v : v;
    return LRK_OK;
}

static lrk_status text(parser *p, const char **out)
{
    if (!eat(p, "\"")) return expected(p, "a text in double quotes");
    const size_t start = p->at;
    while (p->at < p->n) {
        const unsigned char c = (unsigned char)p->s[p->at];
        if (c == '"' || c == '\\' || c < 0x20) break;
        p->at++;
    }
    const size_t n = p->at - start, good = lrk_utf8_check(p->s + start, n);
    if (good < n) {
        p->at = start + good;
        return expected(p, "UTF-8");
    }
    if (!n) return expected(p, "at least one character");
    if (!eat(p, "\"")) return expected(p, "a closing quote (no backslash, no control character)");
    *out = lrk_strndup(p->arena, p->s + start, n);
    LRK_REQUIRE(p->err, *out, LRK_ENOMEM, "out of memory");
    return LRK_OK;
}

/* More than this many values in one list is nobody's question. */
enum { MAX_LIST = 256 };

static lrk_status in_list(parser *p, plume_cmp *c)
{
    const char *values[MAX_LIST];
    size_t n = 0;
    do {
        if (n == MAX_LIST) return expected(p, "at most 256 values");
        LRK_TRY(text(p, &values[n++]));
    } while (eat(p, ", "));
    if (!eat(p, ")")) return expected(p, "', ' or ')'");
    c->n_text = n;
    return copy(p, values, n, sizeof values[0], &c->text);
}

static const struct {
    const char *text;
    plume_op op;
    bool for_text, for_number, for_bool;
} operators[] = {
    {" = ", PLUME_EQ, true, true, true},
    {" != ", PLUME_NE, true, true, false},
    {" >= ", PLUME_GE, false, true, false},
    {" > ", PLUME_GT, false, true, false},
    {" <= ", PLUME_LE, false, true, false},
    {" < ", PLUME_LT, false, true, false},
    {" ~ ", PLUME_CONTAINS, true, false, false},
    {" !~ ", PLUME_LACKS, true, false, false},
    {" starts ", PLUME_STARTS, true, false, false},
    {" in (", PLUME_IN, true, false, false},
    {" exists", PLUME_EXISTS, true, true, true},
    {" missing", PLUME_MISSING, true, true, true},
};

static bool operator_for(parser *p, plume_kind kind, plume_op *op)
{
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        const bool fits = kind == PLUME_TEXT     ? operators[i].for_text
                          : kind == PLUME_NUMBER ? operators[i].for_number
                                                 : operators[i].for_bool;
        if (!fits || !eat(p, operators[i].text)) continue;
        *op = operators[i].op;
        return true;
    }
    return false;
}

static lrk_status comparison(parser *p, plume_cmp *c)
{
    static const char *const want[] = {
        "= != ~ !~ starts in exists or missing, between single spaces",
        "= != > >= < <= exists or missing, between single spaces",
        "= exists or missing, between single spaces",
    };
    *c = (plume_cmp){0};
    LRK_TRY(column(p, -1, &c->column));
    const plume_kind kind = plume_name_kind(c->column);
    if (!operator_for(p, kind, &c->op)) return expected(p, want[kind]);
    if (c->op == PLUME_EXISTS || c->op == PLUME_MISSING) return LRK_OK;
    if (c->op == PLUME_IN) return in_list(p, c);
    if (kind == PLUME_NUMBER) return number(p, &c->number);
    if (kind == PLUME_BOOL) {
        c->truth = eat(p, "true");
        return c->truth || eat(p, "false") ? LRK_OK : expected(p, "true or false");
    }
    const char *value = NULL;
    LRK_TRY(text(p, &value));
    c->n_text = 1;
    return copy(p, &value, 1, sizeof value, &c->text);
}

static lrk_status disjunction(parser *p, const plume_expr **out);

static lrk_status unit(parser *p, const plume_expr **out)
{
    plume_expr e = {.node = PLUME_CMP};
    if (++p->depth > PLUME_MAX_DEPTH) return expected(p, "less nesting (at most 200 levels)");
    if (eat(p, "(")) {
        LRK_TRY(disjunction(p, out));
        if (!eat(p, ")")) return expected(p, "' and ', ' or ' or ')'");
        p->depth--;
        return LRK_OK;
    }
    if (eat(p, "not ")) {
        const plume_expr *inner = NULL;
        LRK_TRY(unit(p, &inner));
        e.node = PLUME_NOT;
        e.n = 1;
        LRK_TRY(copy(p, &inner, 1, sizeof inner, &e.part));
    } else {
        LRK_TRY(comparison(p, &e.cmp));
    }
    p->depth--;
    return copy(p, &e, 1, sizeof e, out);
}

enum { MAX_PARTS = 64 };

static lrk_status series(parser *p, plume_node node, const plume_expr **out)
{
    const plume_expr *part[MAX_PARTS];
    size_t n = 0;
    do {
        if (n == MAX_PARTS) return expected(p, "at most 64 conditions in a row");
        if (node == PLUME_OR)
            LRK_TRY(series(p, PLUME_AND, &part[n]));
        else
            LRK_TRY(unit(p, &part[n]));
        n++;
    } while (eat(p, node == PLUME_OR ? " or " : " and "));
    if (n == 1) {
        *out = part[0];
        return LRK_OK;
    }
    plume_expr e = {.node = node, .n = n};
    LRK_TRY(copy(p, part, n, sizeof part[0], &e.part));
    return copy(p, &e, 1, sizeof e, out);
}

static lrk_status disjunction(parser *p, const plume_expr **out)
{
    return series(p, PLUME_OR, out);
}

/* Whether an aggregate begins here: its name and an opening parenthesis, or the text ends in it. */
static bool aggregate_name(parser *p, plume_fn *fn)
{
    const size_t n = word(p);
    for (int f = 0; f < PLUME_FNS; f++) {
        const char *name = plume_fn_text((plume_fn)f);
        if (p->at + n == p->n && strncmp(name, p->s + p->at, n) == 0) p->cut = true;
        if (strlen(name) != n || memcmp(name, p->s + p->at, n) != 0) continue;
        if (p->at + n >= p->n || p->s[p->at + n] != '(') continue;
        *fn = (plume_fn)f;
        p->at += n + 1;
        return true;
    }
    return false;
}

static lrk_status aggregate(parser *p, plume_agg *g)
{
    *g = (plume_agg){0};
    if (!aggregate_name(p, &g->fn))
        return expected(p, "count() sum( avg( min( max( p50( p90( p95( p99( uniq( or rate(");
    if (g->fn == PLUME_RATE)
        LRK_TRY(comparison(p, &g->cmp));
    else if (g->fn == PLUME_UNIQ)
        LRK_TRY(column(p, -1, &g->column));
    else if (g->fn != PLUME_COUNT)
        LRK_TRY(column(p, PLUME_NUMBER, &g->column));
    return eat(p, ")") ? LRK_OK : expected(p, "')'");
}

static lrk_status calc(parser *p, plume_query *q)
{
    plume_agg list[MAX_PARTS];
    size_t n = 0;
    do {
        if (n == MAX_PARTS) return expected(p, "at most 64 aggregates");
        LRK_TRY(aggregate(p, &list[n++]));
    } while (eat(p, ", "));
    q->n_calc = n;
    return copy(p, list, n, sizeof list[0], &q->calc);
}

static lrk_status by(parser *p, plume_query *q)
{
    plume_name list[MAX_PARTS];
    size_t n = 0;
    do {
        if (n == MAX_PARTS) return expected(p, "at most 64 columns");
        LRK_TRY(column(p, -1, &list[n++]));
    } while (eat(p, ", "));
    q->n_by = n;
    return copy(p, list, n, sizeof list[0], &q->by);
}

static lrk_status keep(parser *p, plume_query *q)
{
    plume_cond list[MAX_PARTS];
    size_t n = 0;
    do {
        if (n == MAX_PARTS) return expected(p, "at most 64 conditions");
        plume_cond *c = &list[n++];
        *c = (plume_cond){0};
        LRK_TRY(aggregate(p, &c->agg));
        if (!operator_for(p, PLUME_NUMBER, &c->op) || c->op >= PLUME_EXISTS)
            return expected(p, "= != > >= < or <=, between single spaces");
        LRK_TRY(number(p, &c->number));
    } while (eat(p, " and "));
    q->n_keep = n;
    return copy(p, list, n, sizeof list[0], &q->keep);
}

/* [1-9] [0-9]{0,2} */
static lrk_status small(parser *p, int *out)
{
    if (!digit(p, 0) || p->s[p->at] == '0') return expected(p, "a number from 1 to 999");
    *out = 0;
    for (int i = 0; i < 3 && digit(p, 0); i++) *out = *out * 10 + (p->s[p->at++] - '0');
    return digit(p, 0) ? expected(p, "at most 3 digits") : LRK_OK;
}

static lrk_status digits(parser *p, int n, int *out)
{
    *out = 0;
    for (int i = 0; i < n; i++) {
        if (!digit(p, 0)) return expected(p, "a digit of YYYY-MM-DDTHH:MM");
        *out = *out * 10 + (p->s[p->at++] - '0');
    }
    return LRK_OK;
}

static lrk_status timestamp(parser *p, plume_time *t)
{
    LRK_TRY(digits(p, 4, &t->year));
    if (!eat(p, "-")) return expected(p, "'-' of YYYY-MM-DDTHH:MM");
    LRK_TRY(digits(p, 2, &t->month));
    if (!eat(p, "-")) return expected(p, "'-' of YYYY-MM-DDTHH:MM");
    LRK_TRY(digits(p, 2, &t->day));
    if (!eat(p, "T")) return expected(p, "'T' of YYYY-MM-DDTHH:MM");
    LRK_TRY(digits(p, 2, &t->hour));
    if (!eat(p, ":")) return expected(p, "':' of YYYY-MM-DDTHH:MM");
    return digits(p, 2, &t->minute);
}

static lrk_status last(parser *p, plume_query *q)
{
    LRK_TRY(small(p, &q->window.n));
    if (p->at == p->n || !strchr("mhdw", p->s[p->at])) return expected(p, "m, h, d or w");
    q->window.unit = p->s[p->at++];
    return LRK_OK;
}

static lrk_status range(parser *p, plume_query *q)
{
    q->window.range = true;
    LRK_TRY(timestamp(p, &q->window.from));
    if (!eat(p, " to ")) return expected(p, "' to '");
    return timestamp(p, &q->window.to);
}

static lrk_status sort(parser *p, plume_query *q)
{
    const size_t start = p->at;
    plume_fn fn;
    if (aggregate_name(p, &fn)) {
        p->at = start;
        q->sort.kind = PLUME_SORT_AGG;
        LRK_TRY(aggregate(p, &q->sort.agg));
    } else {
        q->sort.kind = PLUME_SORT_COLUMN;
        LRK_TRY(column(p, -1, &q->sort.column));
    }
    q->sort.descending = eat(p, " desc");
    return q->sort.descending || eat(p, " asc") ? LRK_OK : expected(p, "' asc' or ' desc'");
}

static lrk_status take(parser *p, plume_query *q) { return small(p, &q->take); }

static lrk_status where(parser *p, plume_query *q) { return disjunction(p, &q->where); }

/* Clauses in their order: after one, only later ones may follow, and none may skip a clause that
 * must be there. */
enum { CALC = 2, WINDOW = 5 };
static const struct {
    const char *text;
    int order, after; /* after: the clauses that must have come before */
    lrk_status (*parse)(parser *, plume_query *);
} clauses[] = {
    {" | where ", 1, 0, where},       {" | calc ", CALC, 0, calc},
    {" | by ", 3, CALC, by},          {" | keep ", 4, CALC, keep},
    {" | last ", WINDOW, CALC, last}, {" | from ", WINDOW, CALC, range},
    {" | sort ", 6, WINDOW, sort},    {" | take ", 7, WINDOW, take},
};
enum { CLAUSES = sizeof clauses / sizeof clauses[0] };

static bool may_follow(size_t clause, int order)
{
    return clauses[clause].order > order && clauses[clause].after <= order;
}

static lrk_status clause_expected(parser *p, int order)
{
    char what[80] = "";
    size_t n = 0;
    for (size_t i = 0; i < CLAUSES; i++) {
        if (!may_follow(i, order)) continue;
        for (const char *s = clauses[i].text; s[1]; s++) what[n++] = *s;
    }
    for (const char *s = order < WINDOW ? "" : n ? " or the end" : " the end"; *s; s++)
        what[n++] = *s;
    what[n] = '\0';
    /* A clause that the text ends in is not wrong, only cut off. */
    for (size_t i = 0; i < CLAUSES; i++)
        if (p->at < p->n && may_follow(i, order) &&
            strncmp(clauses[i].text, p->s + p->at, p->n - p->at) == 0) {
            p->at = p->n;
            return expected(p, "the rest of a clause");
        }
    if (p->n - p->at > 3 && memcmp(p->s + p->at, " | ", 3) == 0) p->at += 3;
    return expected(p, what + 1);
}

lrk_status plume_parse(const char *s, size_t n, bool held_out, lrk_arena *a,
                       const plume_query **out, plume_fault *fault, lrk_err *err)
{
    parser p = {.s = s, .n = n, .held_out = held_out, .arena = a, .fault = fault, .err = err};
    plume_query q = {0};
    const size_t head = word(&p);
    if (!plume_table_find(s, head, &q.table) || (!held_out && plume_table_held_out(q.table))) {
        for (int i = 0; head && head == n && i < PLUME_TABLES; i++)
            if (strncmp(plume_table_text((plume_table)i), s, n) == 0) p.cut = true;
        return expected(&p, "a table: spans, logs or hosts");
    }
    p.at = head;
    int order = 0;
    while (p.at < n || order < WINDOW) {
        size_t i = 0;
        while (i < CLAUSES && !(may_follow(i, order) && eat(&p, clauses[i].text))) i++;
        if (i == CLAUSES) return clause_expected(&p, order);
        order = clauses[i].order;
        LRK_TRY(clauses[i].parse(&p, &q));
    }
    return copy(&p, &q, 1, sizeof q, out);
}
