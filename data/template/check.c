/* data/template/check.c -- what the reference finds wrong while it compiles: unknown filters and
 * tests (inside a condition they only fail where they are reached), break outside a loop; and names
 * whose special meaning this renderer does not have. */
#include "data/template/ast.h"

#include <string.h>

typedef struct checker {
    lrk_template *t;
    unsigned depth;
    bool soft; /* inside a condition */
    bool in_loop;
    bool in_macro;
    lrk_err *err;
} checker;

static lrk_status check(checker *c, const lrk_jnode *n);

static lrk_status check_list(checker *c, const lrk_jnode *n)
{
    for (; n; n = n->next) LRK_TRY(check(c, n));
    return LRK_OK;
}

/* A body that the reference compiles to a frame of its own. */
static lrk_status check_body(checker *c, const lrk_jnode *body, bool in_loop)
{
    const checker saved = *c;
    c->soft = false;
    c->in_loop = in_loop;
    LRK_TRY(check_list(c, body));
    *c = saved;
    return LRK_OK;
}

static lrk_status check_name(checker *c, const lrk_jnode *n)
{
    const bool filter = n->kind == LRK_JN_FILTER;
    const int known = filter ? lrk_jfilter_known(n->s) : lrk_jtest_known(n->s);
    const char *what = filter ? "filter" : "test";
    if (known == 2) return LRK_OK;
    if (known == 1) return lrk_jfail(c->t->name, n->at, LRK_ESUPPORT, c->err, "%s %s", what, n->s);
    if (c->soft) return LRK_OK;
    return lrk_jfail(c->t->name, n->at, LRK_EINPUT, c->err, "No %s named '%s'.", what, n->s);
}

static lrk_status check_kids(checker *c, const lrk_jnode *n)
{
    const lrk_jnode *const kids[] = {n->a, n->b, n->c, n->d};
    for (size_t i = 0; i < 4; i++)
        if (kids[i]) LRK_TRY(check(c, kids[i]));
    return LRK_OK;
}

static lrk_status check_soft(checker *c, const lrk_jnode *n)
{
    const bool soft = c->soft;
    c->soft = true;
    LRK_TRY(check_kids(c, n));
    LRK_TRY(check_list(c, n->list));
    LRK_TRY(check_list(c, n->orelse));
    c->soft = soft;
    return LRK_OK;
}

static lrk_status check_for(checker *c, const lrk_jnode *n)
{
    LRK_TRY(check(c, n->b));
    if (n->c) LRK_TRY(check_body(c, n->c, c->in_loop));
    LRK_TRY(check_body(c, n->list, true));
    return check_body(c, n->orelse, c->in_loop);
}

static lrk_status check_macro(checker *c, const lrk_jnode *n)
{
    const checker saved = *c;
    c->in_macro = true;
    c->soft = false;
    for (const lrk_jnode *p = n->params; p; p = p->next) {
        for (const lrk_jnode *q = n->params; q != p; q = q->next)
            if (q->s == p->s)
                return lrk_jfail(c->t->name, p->at, LRK_EINPUT, c->err, "argument %s twice", p->s);
        if (p->a) LRK_TRY(check(c, p->a));
    }
    LRK_TRY(check_body(c, n->list, false));
    *c = saved;
    return LRK_OK;
}

static lrk_status check_special(checker *c, const lrk_jnode *n)
{
    static const char *const special[] = {"caller", "varargs", "kwargs"};
    for (size_t i = 0; c->in_macro && i < 3; i++)
        if (strcmp(n->s, special[i]) == 0)
            return lrk_jfail(c->t->name, n->at, LRK_ESUPPORT, c->err, "%s in a macro", n->s);
    if (strcmp(n->s, "self") == 0 || strcmp(n->s, "super") == 0)
        return lrk_jfail(c->t->name, n->at, LRK_ESUPPORT, c->err, "%s", n->s);
    return LRK_OK;
}

static lrk_status check_target(checker *c, const lrk_jnode *target)
{
    const lrk_jnode *t = target->kind == LRK_JN_TUPLE ? target->list : target;
    for (; t; t = target->kind == LRK_JN_TUPLE ? t->next : NULL)
        if (t->s == c->t->loop)
            return lrk_jfail(c->t->name, t->at, LRK_ESUPPORT, c->err, "assigning to loop");
    return LRK_OK;
}

static lrk_status check_kind(checker *c, const lrk_jnode *n)
{
    switch (n->kind) {
    case LRK_JN_NAME:
        return check_special(c, n);
    case LRK_JN_FILTER:
    case LRK_JN_TEST:
        LRK_TRY(check_name(c, n));
        break;
    case LRK_JN_IF:
    case LRK_JN_COND:
        return check_soft(c, n);
    case LRK_JN_FOR:
        LRK_TRY(check_target(c, n->a));
        return check_for(c, n);
    case LRK_JN_MACRO:
        return check_macro(c, n);
    case LRK_JN_SET:
        LRK_TRY(check_target(c, n->a));
        return check(c, n->b);
    case LRK_JN_SET_BLOCK:
        LRK_TRY(check_target(c, n->a));
        if (n->b) LRK_TRY(check(c, n->b));
        return check_body(c, n->list, c->in_loop);
    case LRK_JN_FILTER_BLOCK:
        LRK_TRY(check(c, n->a));
        return check_body(c, n->list, c->in_loop);
    case LRK_JN_WITH:
        LRK_TRY(check_list(c, n->params));
        return check_body(c, n->list, c->in_loop);
    case LRK_JN_GENERATION:
        return check_body(c, n->list, false);
    case LRK_JN_BREAK:
    case LRK_JN_CONTINUE:
        if (!c->in_loop)
            return lrk_jfail(c->t->name, n->at, LRK_EINPUT, c->err, "outside of a loop");
        return LRK_OK;
    default:
        break;
    }
    LRK_TRY(check_kids(c, n));
    return check_list(c, n->list);
}

static lrk_status check(checker *c, const lrk_jnode *n)
{
    if (++c->depth > 5 * LRK_J_MAX_NESTING)
        return lrk_jfail(c->t->name, n->at, LRK_ESUPPORT, c->err, "expressions this long");
    LRK_TRY(check_kind(c, n));
    c->depth--;
    return LRK_OK;
}

lrk_status lrk_jcheck(lrk_template *t, lrk_err *err)
{
    checker c = {.t = t, .err = err};
    return check_list(&c, t->body);
}
