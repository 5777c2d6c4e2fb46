/* data/template/parse.c -- statements. */
#include "data/template/ast.h"

#include <stdio.h>
#include <string.h>

lrk_status lrk_jfail(const char *name, lrk_jpos at, lrk_status s, lrk_err *err, const char *fmt,
                     ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return lrk_fail(err, s, "%s:%u:%u: %s%s", name, (unsigned)at.line, (unsigned)at.column,
                    s == LRK_ESUPPORT ? "not supported: " : "", text);
}

lrk_status lrk_jnode_new(lrk_jparser *p, lrk_jnode_kind kind, lrk_jpos at, lrk_jnode **out)
{
    LRK_TRY(lrk_alloc(&p->t->arena, 1, sizeof **out, "template tree", out, p->err));
    (*out)->kind = kind;
    (*out)->at = at;
    return LRK_OK;
}

lrk_status lrk_jintern(lrk_jparser *p, const char *s, const char **out)
{
    for (const lrk_jname *n = p->t->names; n; n = n->next) {
        if (strcmp(n->s, s) == 0) {
            *out = n->s;
            return LRK_OK;
        }
    }
    lrk_jname *name;
    LRK_TRY(lrk_alloc(&p->t->arena, 1, sizeof *name, "template name", &name, p->err));
    name->s = lrk_strdup(&p->t->arena, s);
    LRK_REQUIRE(p->err, name->s, LRK_ENOMEM, "%s: out of memory", p->t->name);
    name->next = p->t->names;
    p->t->names = name;
    *out = name->s;
    return LRK_OK;
}

lrk_status lrk_jsyntax(lrk_jparser *p, const char *expected)
{
    const lrk_jtoken *t = p->tok;
    const char *got = t->kind == LRK_JT_EOF                                  ? "the end"
                      : t->kind == LRK_JT_PRINT_END                          ? "}}"
                      : t->kind == LRK_JT_BLOCK_END                          ? "%}"
                      : t->kind == LRK_JT_NAME || t->kind == LRK_JT_OPERATOR ? t->s
                      : t->kind == LRK_JT_STRING                             ? "a string"
                      : t->kind == LRK_JT_INTEGER || t->kind == LRK_JT_FLOAT ? "a number"
                                                                             : "text";
    return lrk_jfail(p->t->name, t->at, LRK_EINPUT, p->err, "expected %s, got %s", expected, got);
}

bool lrk_jis(const lrk_jtoken *t, const char *op)
{
    return t->kind == LRK_JT_OPERATOR && strcmp(t->s, op) == 0;
}

bool lrk_jis_name(const lrk_jtoken *t, const char *name)
{
    return t->kind == LRK_JT_NAME && strcmp(t->s, name) == 0;
}

bool lrk_jskip(lrk_jparser *p, const char *op)
{
    if (!lrk_jis(p->tok, op)) return false;
    p->tok++;
    return true;
}

bool lrk_jskip_name(lrk_jparser *p, const char *name)
{
    if (!lrk_jis_name(p->tok, name)) return false;
    p->tok++;
    return true;
}

lrk_status lrk_jexpect(lrk_jparser *p, const char *op)
{
    if (lrk_jskip(p, op)) return LRK_OK;
    char expected[8];
    snprintf(expected, sizeof expected, "'%s'", op);
    return lrk_jsyntax(p, expected);
}

/* ---- bodies ---- */

static lrk_status parse_statement(lrk_jparser *p, lrk_jnode **out);

static lrk_status expect_block_end(lrk_jparser *p)
{
    if (p->tok->kind != LRK_JT_BLOCK_END) return lrk_jsyntax(p, "%}");
    p->tok++;
    return LRK_OK;
}

/* Nodes up to "{% x" with x one of ends (NULL-terminated), which becomes the current token; ends
 * NULL: up to the end of the template. */
static lrk_status parse_nodes(lrk_jparser *p, const char *const *ends, lrk_jnode **out)
{
    lrk_jnode **end = out;
    *out = NULL;
    if (++p->depth > LRK_J_MAX_NESTING)
        return lrk_jfail(p->t->name, p->tok->at, LRK_ESUPPORT, p->err, "nesting this deep");
    while (p->tok->kind != LRK_JT_EOF) {
        lrk_jnode *node = NULL;
        if (p->tok->kind == LRK_JT_DATA) {
            LRK_TRY(lrk_jnode_new(p, LRK_JN_TEXT, p->tok->at, &node));
            node->s = p->tok->s;
            node->n = p->tok->n;
            p->tok++;
        } else if (p->tok->kind == LRK_JT_PRINT) {
            LRK_TRY(lrk_jnode_new(p, LRK_JN_PRINT, p->tok->at, &node));
            p->tok++;
            LRK_TRY(lrk_jparse_tuple(p, true, false, NULL, &node->a));
            if (p->tok->kind != LRK_JT_PRINT_END) return lrk_jsyntax(p, "}}");
            p->tok++;
        } else {
            p->tok++;
            for (size_t i = 0; ends && ends[i]; i++) {
                if (lrk_jis_name(p->tok, ends[i])) {
                    p->depth--;
                    return LRK_OK;
                }
            }
            LRK_TRY(parse_statement(p, &node));
            LRK_TRY(expect_block_end(p));
        }
        *end = node;
        end = &node->next;
    }
    p->depth--;
    return ends ? lrk_jsyntax(p, ends[0]) : LRK_OK;
}

/* The body of a statement whose head has just been read. */
static lrk_status parse_body(lrk_jparser *p, const char *const *ends, lrk_jnode **out)
{
    lrk_jskip(p, ":");
    LRK_TRY(expect_block_end(p));
    return parse_nodes(p, ends, out);
}

static lrk_status parse_whole_body(lrk_jparser *p, const char *end, lrk_jnode **out)
{
    const char *const ends[] = {end, NULL};
    LRK_TRY(parse_body(p, ends, out));
    p->tok++;
    return LRK_OK;
}

/* ---- targets ---- */

static lrk_status parse_target_item(lrk_jparser *p, bool with_namespace, lrk_jnode **out)
{
    static const char *const constants[] = {"true", "True", "false", "False", "none", "None"};
    if (lrk_jskip(p, "(")) {
        return lrk_jfail(p->t->name, p->tok->at, LRK_ESUPPORT, p->err, "nested assignment targets");
    }
    if (p->tok->kind != LRK_JT_NAME) return lrk_jsyntax(p, "a name to assign to");
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (lrk_jis_name(p->tok, constants[i])) return lrk_jsyntax(p, "a name to assign to");
    LRK_TRY(lrk_jnode_new(p, LRK_JN_NAME, p->tok->at, out));
    LRK_TRY(lrk_jintern(p, p->tok->s, &(*out)->s));
    p->tok++;
    if (with_namespace && lrk_jskip(p, ".")) {
        if (p->tok->kind != LRK_JT_NAME) return lrk_jsyntax(p, "a name");
        (*out)->kind = LRK_JN_NS_TARGET;
        LRK_TRY(lrk_jintern(p, p->tok->s, &(*out)->s2));
        p->tok++;
    }
    return LRK_OK;
}

/* A name or several, with commas. */
static lrk_status parse_target(lrk_jparser *p, bool with_namespace, const char *end,
                               lrk_jnode **out)
{
    const lrk_jpos at = p->tok->at;
    const bool parentheses = lrk_jskip(p, "(");
    lrk_jnode *first = NULL, **last = &first;
    bool tuple = false;
    for (;;) {
        LRK_TRY(parse_target_item(p, with_namespace, last));
        last = &(*last)->next;
        if (!lrk_jskip(p, ",")) break;
        tuple = true;
        if ((end && lrk_jis_name(p->tok, end)) || lrk_jis(p->tok, ")") || lrk_jis(p->tok, "="))
            break;
    }
    if (parentheses) LRK_TRY(lrk_jexpect(p, ")"));
    *out = first;
    if (!tuple) return LRK_OK;
    LRK_TRY(lrk_jnode_new(p, LRK_JN_TUPLE, at, out));
    (*out)->list = first;
    return LRK_OK;
}

/* ---- statements ---- */

static lrk_status parse_for(lrk_jparser *p, lrk_jnode *node)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    node->kind = LRK_JN_FOR;
    LRK_TRY(parse_target(p, false, "in", &node->a));
    if (!lrk_jskip_name(p, "in")) return lrk_jsyntax(p, "'in'");
    LRK_TRY(lrk_jparse_tuple(p, false, false, "recursive", &node->b));
    if (lrk_jskip_name(p, "if")) LRK_TRY(lrk_jparse_expr(p, true, &node->c));
    if (lrk_jis_name(p->tok, "recursive"))
        return lrk_jfail(p->t->name, p->tok->at, LRK_ESUPPORT, p->err, "recursive loops");
    LRK_TRY(parse_body(p, ends, &node->list));
    p->tok++;
    if (lrk_jis_name(p->tok - 1, "else")) return parse_whole_body(p, "endfor", &node->orelse);
    return LRK_OK;
}

static lrk_status parse_if(lrk_jparser *p, lrk_jnode *node)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    for (;;) {
        node->kind = LRK_JN_IF;
        LRK_TRY(lrk_jparse_tuple(p, false, false, NULL, &node->a));
        LRK_TRY(parse_body(p, ends, &node->list));
        p->tok++;
        if (lrk_jis_name(p->tok - 1, "else")) return parse_whole_body(p, "endif", &node->orelse);
        if (!lrk_jis_name(p->tok - 1, "elif")) return LRK_OK;
        LRK_TRY(lrk_jnode_new(p, LRK_JN_IF, p->tok->at, &node->orelse));
        node = node->orelse;
    }
}

static lrk_status parse_set(lrk_jparser *p, lrk_jnode *node)
{
    node->kind = LRK_JN_SET;
    LRK_TRY(parse_target(p, true, NULL, &node->a));
    if (lrk_jskip(p, "=")) return lrk_jparse_tuple(p, true, false, NULL, &node->b);
    node->kind = LRK_JN_SET_BLOCK;
    LRK_TRY(lrk_jparse_filters(p, NULL, false, &node->b));
    return parse_whole_body(p, "endset", &node->list);
}

static lrk_status parse_macro(lrk_jparser *p, lrk_jnode *node)
{
    lrk_jnode **last = &node->params;
    bool defaults = false;
    node->kind = LRK_JN_MACRO;
    if (p->tok->kind != LRK_JT_NAME) return lrk_jsyntax(p, "the name of the macro");
    LRK_TRY(lrk_jintern(p, p->tok->s, &node->s));
    p->tok++;
    LRK_TRY(lrk_jexpect(p, "("));
    while (!lrk_jis(p->tok, ")")) {
        if (node->params) LRK_TRY(lrk_jexpect(p, ","));
        if (p->tok->kind != LRK_JT_NAME) return lrk_jsyntax(p, "the name of an argument");
        lrk_jnode *param;
        LRK_TRY(lrk_jnode_new(p, LRK_JN_PARAM, p->tok->at, &param));
        LRK_TRY(lrk_jintern(p, p->tok->s, &param->s));
        p->tok++;
        if (lrk_jskip(p, "=")) {
            defaults = true;
            LRK_TRY(lrk_jparse_expr(p, true, &param->a));
        } else if (defaults) {
            return lrk_jsyntax(p, "a default value, as the arguments before have one");
        }
        *last = param;
        last = &param->next;
    }
    p->tok++;
    return parse_whole_body(p, "endmacro", &node->list);
}

static lrk_status parse_with(lrk_jparser *p, lrk_jnode *node)
{
    lrk_jnode **last = &node->params;
    node->kind = LRK_JN_WITH;
    while (p->tok->kind != LRK_JT_BLOCK_END) {
        if (node->params) LRK_TRY(lrk_jexpect(p, ","));
        LRK_TRY(lrk_jnode_new(p, LRK_JN_SET, p->tok->at, last));
        LRK_TRY(parse_target_item(p, false, &(*last)->a));
        LRK_TRY(lrk_jexpect(p, "="));
        LRK_TRY(lrk_jparse_expr(p, true, &(*last)->b));
        last = &(*last)->next;
    }
    return parse_whole_body(p, "endwith", &node->list);
}

static lrk_status parse_statement(lrk_jparser *p, lrk_jnode **out)
{
    static const char *const refused[] = {"block", "extends", "include", "import",
                                          "from",  "print",   "call",    "autoescape"};
    const lrk_jtoken *tag = p->tok;
    if (tag->kind != LRK_JT_NAME) return lrk_jsyntax(p, "the name of a statement");
    lrk_jnode *node;
    LRK_TRY(lrk_jnode_new(p, LRK_JN_BREAK, tag->at, &node));
    *out = node;
    p->tok++;
    if (lrk_jis_name(tag, "for")) return parse_for(p, node);
    if (lrk_jis_name(tag, "if")) return parse_if(p, node);
    if (lrk_jis_name(tag, "set")) return parse_set(p, node);
    if (lrk_jis_name(tag, "macro")) return parse_macro(p, node);
    if (lrk_jis_name(tag, "with")) return parse_with(p, node);
    if (lrk_jis_name(tag, "break")) return LRK_OK;
    if (lrk_jis_name(tag, "continue")) {
        node->kind = LRK_JN_CONTINUE;
        return LRK_OK;
    }
    if (lrk_jis_name(tag, "generation")) {
        node->kind = LRK_JN_GENERATION;
        p->t->generation = true;
        return parse_whole_body(p, "endgeneration", &node->list);
    }
    if (lrk_jis_name(tag, "filter")) {
        node->kind = LRK_JN_FILTER_BLOCK;
        LRK_TRY(lrk_jparse_filters(p, NULL, true, &node->a));
        return parse_whole_body(p, "endfilter", &node->list);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (lrk_jis_name(tag, refused[i]))
            return lrk_jfail(p->t->name, tag->at, LRK_ESUPPORT, p->err, "statement %s", tag->s);
    return lrk_jfail(p->t->name, tag->at, LRK_EINPUT, p->err, "unknown or misplaced statement %s",
                     tag->s);
}

lrk_status lrk_jparse(lrk_template *t, const lrk_jtoken *tokens, lrk_err *err)
{
    lrk_jparser p = {.t = t, .tok = tokens, .err = err};
    LRK_TRY(lrk_jintern(&p, "loop", &t->loop));
    return parse_nodes(&p, NULL, &t->body);
}
