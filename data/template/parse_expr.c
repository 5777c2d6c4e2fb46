/* data/template/parse_expr.c -- expressions, with the reference's precedence: from weak to strong
 * `if else`, or, and, not, comparisons, + -, ~, * / // %, **, unary - +, then calls, subscripts,
 * filters and tests. */
#include "data/template/ast.h"

#include <string.h>

typedef struct list {
    lrk_jnode *first, **end;
} list;

static void append(list *l, lrk_jnode *node)
{
    if (!l->end) l->end = &l->first;
    *l->end = node;
    l->end = &node->next;
}

static lrk_status deeper(lrk_jparser *p)
{
    if (++p->depth > LRK_J_MAX_NESTING)
        return lrk_jfail(p->t->name, p->tok->at, LRK_ESUPPORT, p->err, "nesting this deep");
    return LRK_OK;
}

static lrk_status binary(lrk_jparser *p, lrk_jnode_kind kind, lrk_jop op, lrk_jpos at, lrk_jnode *b,
                         lrk_jnode **a)
{
    lrk_jnode *node;
    LRK_TRY(lrk_jnode_new(p, kind, at, &node));
    node->op = op;
    node->a = *a;
    node->b = b;
    *a = node;
    return LRK_OK;
}

/* ---- arguments, subscripts, filters, tests ---- */

static lrk_status parse_arguments(lrk_jparser *p, lrk_jnode **out)
{
    list args = {0};
    bool keywords = false;
    LRK_TRY(lrk_jexpect(p, "("));
    while (!lrk_jis(p->tok, ")")) {
        if (args.first) {
            LRK_TRY(lrk_jexpect(p, ","));
            if (lrk_jis(p->tok, ")")) break;
        }
        if (lrk_jis(p->tok, "*") || lrk_jis(p->tok, "**"))
            return lrk_jfail(p->t->name, p->tok->at, LRK_ESUPPORT, p->err, "* and ** in arguments");
        lrk_jnode *arg, *keyword = NULL;
        if (p->tok->kind == LRK_JT_NAME && lrk_jis(p->tok + 1, "=")) {
            LRK_TRY(lrk_jnode_new(p, LRK_JN_KEYWORD, p->tok->at, &keyword));
            LRK_TRY(lrk_jintern(p, p->tok->s, &keyword->s));
            p->tok += 2;
            keywords = true;
        } else if (keywords) {
            return lrk_jsyntax(p, "a keyword argument");
        }
        LRK_TRY(lrk_jparse_expr(p, true, &arg));
        if (keyword) keyword->a = arg;
        append(&args, keyword ? keyword : arg);
    }
    *out = args.first;
    return lrk_jexpect(p, ")");
}

static lrk_status parse_call(lrk_jparser *p, lrk_jnode **node)
{
    lrk_jnode *call;
    LRK_TRY(lrk_jnode_new(p, LRK_JN_CALL, p->tok->at, &call));
    call->a = *node;
    *node = call;
    return parse_arguments(p, &call->list);
}

static lrk_status parse_slice(lrk_jparser *p, lrk_jpos at, lrk_jnode *low, lrk_jnode **node)
{
    lrk_jnode *slice;
    LRK_TRY(lrk_jnode_new(p, LRK_JN_SLICE, at, &slice));
    slice->a = *node;
    slice->b = low;
    p->tok++;
    if (!lrk_jis(p->tok, ":") && !lrk_jis(p->tok, "]"))
        LRK_TRY(lrk_jparse_expr(p, true, &slice->c));
    if (lrk_jskip(p, ":") && !lrk_jis(p->tok, "]")) LRK_TRY(lrk_jparse_expr(p, true, &slice->d));
    *node = slice;
    return LRK_OK;
}

static lrk_status parse_subscript(lrk_jparser *p, lrk_jnode **node)
{
    const lrk_jpos at = p->tok->at;
    lrk_jnode *item, *index = NULL;
    if (lrk_jskip(p, ".")) {
        const bool name = p->tok->kind == LRK_JT_NAME;
        if (!name && p->tok->kind != LRK_JT_INTEGER) return lrk_jsyntax(p, "a name or number");
        LRK_TRY(lrk_jnode_new(p, name ? LRK_JN_ATTR : LRK_JN_ITEM, at, &item));
        item->a = *node;
        if (name) {
            LRK_TRY(lrk_jintern(p, p->tok->s, &item->s));
        } else {
            LRK_TRY(lrk_jnode_new(p, LRK_JN_INTEGER, at, &item->b));
            item->b->integer = p->tok->integer;
        }
        p->tok++;
        *node = item;
        return LRK_OK;
    }
    p->tok++;
    if (!lrk_jis(p->tok, ":")) LRK_TRY(lrk_jparse_expr(p, true, &index));
    if (lrk_jis(p->tok, ":")) {
        LRK_TRY(parse_slice(p, at, index, node));
    } else {
        LRK_TRY(binary(p, LRK_JN_ITEM, 0, at, index, node));
    }
    if (lrk_jis(p->tok, ","))
        return lrk_jfail(p->t->name, p->tok->at, LRK_ESUPPORT, p->err, "several subscripts");
    return lrk_jexpect(p, "]");
}

static lrk_status parse_postfix(lrk_jparser *p, lrk_jnode **node)
{
    for (;;) {
        if (lrk_jis(p->tok, ".") || lrk_jis(p->tok, "[")) {
            LRK_TRY(parse_subscript(p, node));
        } else if (lrk_jis(p->tok, "(")) {
            LRK_TRY(parse_call(p, node));
        } else {
            return LRK_OK;
        }
    }
}

lrk_status lrk_jparse_filters(lrk_jparser *p, lrk_jnode *on, bool inline_start, lrk_jnode **out)
{
    while (inline_start || lrk_jis(p->tok, "|")) {
        if (!inline_start) p->tok++;
        inline_start = false;
        if (p->tok->kind != LRK_JT_NAME) return lrk_jsyntax(p, "the name of a filter");
        lrk_jnode *filter;
        LRK_TRY(lrk_jnode_new(p, LRK_JN_FILTER, p->tok->at, &filter));
        LRK_TRY(lrk_jintern(p, p->tok->s, &filter->s));
        p->tok++;
        filter->a = on;
        on = filter;
        if (lrk_jis(p->tok, "(")) LRK_TRY(parse_arguments(p, &filter->list));
        if (lrk_jis(p->tok, "."))
            return lrk_jfail(p->t->name, p->tok->at, LRK_ESUPPORT, p->err,
                             "filter names with dots");
    }
    *out = on;
    return LRK_OK;
}

/* A test's argument may stand without parentheses. */
static bool bare_argument(const lrk_jtoken *t)
{
    if (t->kind == LRK_JT_NAME)
        return strcmp(t->s, "else") != 0 && strcmp(t->s, "or") != 0 && strcmp(t->s, "and") != 0;
    return t->kind == LRK_JT_STRING || t->kind == LRK_JT_INTEGER || t->kind == LRK_JT_FLOAT ||
           lrk_jis(t, "[") || lrk_jis(t, "{");
}

static lrk_status parse_test(lrk_jparser *p, lrk_jnode **node)
{
    const lrk_jpos at = p->tok->at;
    p->tok++;
    const bool negated = lrk_jskip_name(p, "not");
    if (p->tok->kind != LRK_JT_NAME) return lrk_jsyntax(p, "the name of a test");
    lrk_jnode *test;
    LRK_TRY(lrk_jnode_new(p, LRK_JN_TEST, at, &test));
    LRK_TRY(lrk_jintern(p, p->tok->s, &test->s));
    p->tok++;
    test->a = *node;
    *node = test;
    if (lrk_jis(p->tok, "(")) {
        LRK_TRY(parse_arguments(p, &test->list));
    } else if (bare_argument(p->tok)) {
        if (lrk_jis_name(p->tok, "is")) return lrk_jsyntax(p, "no second test after 'is'");
        LRK_TRY(lrk_jparse_primary(p, &test->list));
        LRK_TRY(parse_postfix(p, &test->list));
    }
    if (!negated) return LRK_OK;
    lrk_jnode * not ;
    LRK_TRY(lrk_jnode_new(p, LRK_JN_NOT, at, &not ));
    not ->a = test;
    *node = not ;
    return LRK_OK;
}

/* ---- literals ---- */

static lrk_status parse_sequence(lrk_jparser *p, bool dict, lrk_jnode **out)
{
    const char *end = dict ? "}" : "]";
    list items = {0};
    lrk_jnode *node;
    LRK_TRY(lrk_jnode_new(p, dict ? LRK_JN_DICT : LRK_JN_LIST, p->tok->at, &node));
    p->tok++;
    while (!lrk_jis(p->tok, end)) {
        if (items.first) {
            LRK_TRY(lrk_jexpect(p, ","));
            if (lrk_jis(p->tok, end)) break;
        }
        lrk_jnode *item;
        LRK_TRY(lrk_jparse_expr(p, true, &item));
        if (dict) {
            lrk_jnode *value;
            LRK_TRY(lrk_jexpect(p, ":"));
            LRK_TRY(lrk_jparse_expr(p, true, &value));
            LRK_TRY(binary(p, LRK_JN_PAIR, 0, item->at, value, &item));
        }
        append(&items, item);
    }
    node->list = items.first;
    *out = node;
    return lrk_jexpect(p, end);
}

static lrk_status parse_strings(lrk_jparser *p, lrk_jnode *node)
{
    size_t n = 0, used = 0;
    for (const lrk_jtoken *t = p->tok; t->kind == LRK_JT_STRING; t++) n += t->n;
    char *s;
    LRK_TRY(lrk_alloc(&p->t->arena, n + 1, 1, "template string", &s, p->err));
    for (; p->tok->kind == LRK_JT_STRING; p->tok++) {
        memcpy(s + used, p->tok->s, p->tok->n);
        used += p->tok->n;
    }
    node->kind = LRK_JN_STRING;
    node->s = s;
    node->n = n;
    return LRK_OK;
}

static lrk_status parse_name(lrk_jparser *p, lrk_jnode *node)
{
    const char *s = p->tok->s;
    if (!strcmp(s, "true") || !strcmp(s, "True") || !strcmp(s, "false") || !strcmp(s, "False")) {
        node->kind = LRK_JN_BOOL;
        node->integer = s[0] == 't' || s[0] == 'T';
    } else if (strcmp(s, "none") != 0 && strcmp(s, "None") != 0) {
        node->kind = LRK_JN_NAME;
        LRK_TRY(lrk_jintern(p, s, &node->s));
    }
    p->tok++;
    return LRK_OK;
}

lrk_status lrk_jparse_primary(lrk_jparser *p, lrk_jnode **out)
{
    LRK_TRY(deeper(p));
    lrk_jnode *node;
    LRK_TRY(lrk_jnode_new(p, LRK_JN_NONE, p->tok->at, &node));
    if (p->tok->kind == LRK_JT_NAME) {
        LRK_TRY(parse_name(p, node));
    } else if (p->tok->kind == LRK_JT_STRING) {
        LRK_TRY(parse_strings(p, node));
    } else if (p->tok->kind == LRK_JT_INTEGER || p->tok->kind == LRK_JT_FLOAT) {
        node->kind = p->tok->kind == LRK_JT_INTEGER ? LRK_JN_INTEGER : LRK_JN_REAL;
        node->integer = p->tok->integer;
        node->real = p->tok->real;
        p->tok++;
    } else if (lrk_jskip(p, "(")) {
        LRK_TRY(lrk_jparse_tuple(p, true, true, NULL, &node));
        LRK_TRY(lrk_jexpect(p, ")"));
    } else if (lrk_jis(p->tok, "[") || lrk_jis(p->tok, "{")) {
        LRK_TRY(parse_sequence(p, lrk_jis(p->tok, "{"), &node));
    } else {
        return lrk_jsyntax(p, "an expression");
    }
    *out = node;
    p->depth--;
    return LRK_OK;
}

/* ---- operators ---- */

static lrk_status parse_unary(lrk_jparser *p, bool with_filter, lrk_jnode **out)
{
    LRK_TRY(deeper(p));
    if (lrk_jis(p->tok, "-") || lrk_jis(p->tok, "+")) {
        LRK_TRY(lrk_jnode_new(p, lrk_jis(p->tok, "-") ? LRK_JN_NEG : LRK_JN_POS, p->tok->at, out));
        p->tok++;
        LRK_TRY(parse_unary(p, false, &(*out)->a));
    } else {
        LRK_TRY(lrk_jparse_primary(p, out));
    }
    p->depth--;
    LRK_TRY(parse_postfix(p, out));
    while (with_filter) {
        if (lrk_jis(p->tok, "|")) {
            LRK_TRY(lrk_jparse_filters(p, *out, false, out));
        } else if (lrk_jis_name(p->tok, "is")) {
            LRK_TRY(parse_test(p, out));
        } else if (lrk_jis(p->tok, "(")) {
            LRK_TRY(parse_call(p, out));
        } else {
            break;
        }
    }
    return LRK_OK;
}

/* Left-associative operators: one row a level, weak to strong. */
typedef struct level {
    struct {
        const char *text;
        lrk_jop op;
    } ops[4];
} level;

static const level levels[] = {
    {{{"+", LRK_JOP_ADD}, {"-", LRK_JOP_SUB}}},
    {{{"~", 0}}},
    {{{"*", LRK_JOP_MUL}, {"/", LRK_JOP_DIV}, {"//", LRK_JOP_FLOORDIV}, {"%", LRK_JOP_MOD}}},
    {{{"**", LRK_JOP_POW}}},
};

enum { N_LEVELS = sizeof levels / sizeof *levels, CONCAT = 1 };

static lrk_status parse_level(lrk_jparser *p, size_t which, lrk_jnode **out);

static lrk_status parse_concat(lrk_jparser *p, lrk_jnode **out)
{
    list parts = {0};
    lrk_jnode *node;
    LRK_TRY(lrk_jnode_new(p, LRK_JN_CONCAT, p->tok->at, &node));
    append(&parts, *out);
    while (lrk_jskip(p, "~")) {
        lrk_jnode *part;
        LRK_TRY(parse_level(p, CONCAT + 1, &part));
        append(&parts, part);
    }
    node->list = parts.first;
    *out = node;
    return LRK_OK;
}

static lrk_status parse_level(lrk_jparser *p, size_t which, lrk_jnode **out)
{
    if (which == N_LEVELS) return parse_unary(p, true, out);
    LRK_TRY(parse_level(p, which + 1, out));
    if (which == CONCAT) return lrk_jis(p->tok, "~") ? parse_concat(p, out) : LRK_OK;
    for (;;) {
        size_t k = 0;
        while (k < 4 && levels[which].ops[k].text && !lrk_jis(p->tok, levels[which].ops[k].text))
            k++;
        if (k == 4 || !levels[which].ops[k].text) return LRK_OK;
        const lrk_jpos at = p->tok->at;
        lrk_jnode *right;
        p->tok++;
        LRK_TRY(parse_level(p, which + 1, &right));
        LRK_TRY(binary(p, LRK_JN_BINARY, levels[which].ops[k].op, at, right, out));
    }
}

static bool comparison(lrk_jparser *p, lrk_jop *op)
{
    static const struct {
        const char *text;
        lrk_jop op;
    } rows[] = {{"==", LRK_JOP_EQ}, {"!=", LRK_JOP_NE}, {"<", LRK_JOP_LT},
                {"<=", LRK_JOP_LE}, {">", LRK_JOP_GT},  {">=", LRK_JOP_GE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        *op = rows[i].op;
        if (lrk_jskip(p, rows[i].text)) return true;
    }
    *op = LRK_JOP_IN;
    if (lrk_jskip_name(p, "in")) return true;
    if (!lrk_jis_name(p->tok, "not") || !lrk_jis_name(p->tok + 1, "in")) return false;
    *op = LRK_JOP_NOT_IN;
    p->tok += 2;
    return true;
}

static lrk_status parse_compare(lrk_jparser *p, lrk_jnode **out)
{
    list operands = {0};
    lrk_jop op;
    LRK_TRY(parse_level(p, 0, out));
    for (;;) {
        const lrk_jpos at = p->tok->at;
        lrk_jnode *operand;
        if (!comparison(p, &op)) break;
        LRK_TRY(lrk_jnode_new(p, LRK_JN_OPERAND, at, &operand));
        operand->op = op;
        LRK_TRY(parse_level(p, 0, &operand->a));
        append(&operands, operand);
    }
    if (!operands.first) return LRK_OK;
    LRK_TRY(binary(p, LRK_JN_COMPARE, 0, operands.first->at, NULL, out));
    (*out)->list = operands.first;
    return LRK_OK;
}

static lrk_status parse_not(lrk_jparser *p, lrk_jnode **out)
{
    if (!lrk_jis_name(p->tok, "not")) return parse_compare(p, out);
    LRK_TRY(deeper(p));
    LRK_TRY(lrk_jnode_new(p, LRK_JN_NOT, p->tok->at, out));
    p->tok++;
    LRK_TRY(parse_not(p, &(*out)->a));
    p->depth--;
    return LRK_OK;
}

static lrk_status parse_and(lrk_jparser *p, lrk_jnode **out)
{
    LRK_TRY(parse_not(p, out));
    while (lrk_jis_name(p->tok, "and")) {
        const lrk_jpos at = p->tok->at;
        lrk_jnode *right;
        p->tok++;
        LRK_TRY(parse_not(p, &right));
        LRK_TRY(binary(p, LRK_JN_AND, 0, at, right, out));
    }
    return LRK_OK;
}

static lrk_status parse_or(lrk_jparser *p, lrk_jnode **out)
{
    LRK_TRY(parse_and(p, out));
    while (lrk_jis_name(p->tok, "or")) {
        const lrk_jpos at = p->tok->at;
        lrk_jnode *right;
        p->tok++;
        LRK_TRY(parse_and(p, &right));
        LRK_TRY(binary(p, LRK_JN_OR, 0, at, right, out));
    }
    return LRK_OK;
}

lrk_status lrk_jparse_expr(lrk_jparser *p, bool with_cond, lrk_jnode **out)
{
    LRK_TRY(deeper(p));
    LRK_TRY(parse_or(p, out));
    while (with_cond && lrk_jis_name(p->tok, "if")) {
        lrk_jnode *cond;
        LRK_TRY(lrk_jnode_new(p, LRK_JN_COND, p->tok->at, &cond));
        p->tok++;
        cond->b = *out;
        LRK_TRY(parse_or(p, &cond->a));
        if (lrk_jskip_name(p, "else")) LRK_TRY(lrk_jparse_expr(p, true, &cond->c));
        *out = cond;
    }
    p->depth--;
    return LRK_OK;
}

static bool tuple_end(const lrk_jtoken *t, const char *end)
{
    return t->kind == LRK_JT_PRINT_END || t->kind == LRK_JT_BLOCK_END || lrk_jis(t, ")") ||
           (end && lrk_jis_name(t, end));
}

lrk_status lrk_jparse_tuple(lrk_jparser *p, bool with_cond, bool parentheses, const char *end,
                            lrk_jnode **out)
{
    list items = {0};
    bool tuple = false;
    const lrk_jpos at = p->tok->at;
    while (!tuple_end(p->tok, end)) {
        lrk_jnode *item;
        LRK_TRY(lrk_jparse_expr(p, with_cond, &item));
        append(&items, item);
        if (!lrk_jskip(p, ",")) break;
        tuple = true;
    }
    if (!tuple && items.first) {
        *out = items.first;
        return LRK_OK;
    }
    if (!items.first && !parentheses) return lrk_jsyntax(p, "an expression");
    LRK_TRY(lrk_jnode_new(p, LRK_JN_TUPLE, at, out));
    (*out)->list = items.first;
    return LRK_OK;
}
