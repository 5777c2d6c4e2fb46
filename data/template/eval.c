/* data/template/eval.c -- expressions. */
#include "data/template/value.h"

#include <string.h>

/* Arguments of a call: values first, then keywords, as the parser ordered them. */
static lrk_status eval_arguments(lrk_jrun *r, const lrk_jnode *list, lrk_jargs *out)
{
    size_t n = 0, n_keywords = 0;
    for (const lrk_jnode *a = list; a; a = a->next) {
        if (a->kind == LRK_JN_KEYWORD)
            n_keywords++;
        else
            n++;
    }
    lrk_jvalue *values = NULL;
    struct lrk_jkeyword *keywords = NULL;
    if (n) LRK_TRY(lrk_j_take(r, n, sizeof *values, &values));
    if (n_keywords) LRK_TRY(lrk_j_take(r, n_keywords, sizeof *keywords, &keywords));
    *out = (lrk_jargs){values, n, keywords, n_keywords};
    size_t i = 0;
    for (const lrk_jnode *a = list; a; a = a->next, i++) {
        if (a->kind != LRK_JN_KEYWORD) {
            LRK_TRY(lrk_j_eval(r, a, &values[i]));
            continue;
        }
        keywords[i - n].name = a->s;
        LRK_TRY(lrk_j_eval(r, a->a, &keywords[i - n].value));
        for (size_t k = 0; k < i - n; k++)
            if (keywords[k].name == a->s)
                return lrk_j_fail(r, LRK_EINPUT, "keyword argument repeated: %s", a->s);
    }
    return LRK_OK;
}

static lrk_status eval_sequence(lrk_jrun *r, const lrk_jnode *n, lrk_jvalue *out)
{
    lrk_jvalue list, item;
    LRK_TRY(lrk_j_seq(r, n->kind == LRK_JN_LIST ? LRK_JV_LIST : LRK_JV_TUPLE, &list));
    for (const lrk_jnode *i = n->list; i; i = i->next) {
        LRK_TRY(lrk_j_eval(r, i, &item));
        LRK_TRY(lrk_j_append(r, list.as.seq, item));
    }
    *out = list;
    return LRK_OK;
}

static lrk_status eval_dict(lrk_jrun *r, const lrk_jnode *n, lrk_jvalue *out)
{
    lrk_jvalue dict, key, value;
    LRK_TRY(lrk_j_dict(r, &dict));
    for (const lrk_jnode *i = n->list; i; i = i->next) {
        LRK_TRY(lrk_j_eval(r, i->a, &key));
        LRK_TRY(lrk_j_eval(r, i->b, &value));
        LRK_TRY(lrk_j_dict_set(r, dict.as.dict, key, value));
    }
    *out = dict;
    return LRK_OK;
}

static lrk_status eval_slice(lrk_jrun *r, const lrk_jnode *n, lrk_jvalue *out)
{
    const lrk_jnode *const parts[3] = {n->b, n->c, n->d};
    lrk_jvalue v, bounds[3];
    LRK_TRY(lrk_j_eval(r, n->a, &v));
    for (int i = 0; i < 3; i++) {
        bounds[i] = lrk_j_none();
        if (parts[i]) LRK_TRY(lrk_j_eval(r, parts[i], &bounds[i]));
    }
    r->at = n->at;
    return lrk_j_slice(r, v, bounds, out);
}

static lrk_status eval_compare(lrk_jrun *r, const lrk_jnode *n, lrk_jvalue *out)
{
    lrk_jvalue left, right;
    bool holds = true;
    LRK_TRY(lrk_j_eval(r, n->a, &left));
    for (const lrk_jnode *o = n->list; o && holds; o = o->next) {
        LRK_TRY(lrk_j_eval(r, o->a, &right));
        r->at = o->at;
        if (o->op == LRK_JOP_IN || o->op == LRK_JOP_NOT_IN) {
            LRK_TRY(lrk_j_contains(r, right, left, &holds));
            holds = holds == (o->op == LRK_JOP_IN);
        } else if (o->op == LRK_JOP_EQ || o->op == LRK_JOP_NE) {
            LRK_TRY(lrk_j_equal(r, left, right, &holds));
            holds = holds == (o->op == LRK_JOP_EQ);
        } else {
            LRK_TRY(lrk_j_compare(r, o->op, left, right, &holds));
        }
        left = right;
    }
    *out = lrk_j_bool(holds);
    return LRK_OK;
}

static lrk_status eval_concat(lrk_jrun *r, const lrk_jnode *n, lrk_jvalue *out)
{
    lrk_jout o = {0};
    lrk_jvalue v;
    for (const lrk_jnode *i = n->list; i; i = i->next) {
        LRK_TRY(lrk_j_eval(r, i, &v));
        LRK_TRY(lrk_j_put_value(r, &o, v));
    }
    return lrk_j_finish(r, &o, out);
}

/* and, or: one of the operands; x if c else y. */
static lrk_status eval_choice(lrk_jrun *r, const lrk_jnode *n, lrk_jvalue *out)
{
    lrk_jvalue v;
    LRK_TRY(lrk_j_eval(r, n->a, &v));
    if (n->kind == LRK_JN_COND) {
        if (lrk_j_true(v)) return lrk_j_eval(r, n->b, out);
        if (n->c) return lrk_j_eval(r, n->c, out);
        *out = lrk_j_undefined(r,
                               "the inline if-expression on line %u evaluated to false and no else "
                               "section was defined.",
                               (unsigned)n->at.line);
        return LRK_OK;
    }
    if (lrk_j_true(v) == (n->kind == LRK_JN_AND)) return lrk_j_eval(r, n->b, out);
    *out = v;
    return LRK_OK;
}

static lrk_status eval_applied(lrk_jrun *r, const lrk_jnode *n, lrk_jvalue *out)
{
    lrk_jvalue v = r->piped;
    lrk_jargs args;
    if (n->a) LRK_TRY(lrk_j_eval(r, n->a, &v));
    LRK_TRY(eval_arguments(r, n->list, &args));
    r->at = n->at;
    if (n->kind == LRK_JN_CALL) return lrk_j_call(r, v, &args, out);
    if (n->kind == LRK_JN_FILTER) return lrk_j_filter(r, n->s, v, &args, out);
    bool holds;
    LRK_TRY(lrk_j_test(r, n->s, v, &args, &holds));
    *out = lrk_j_bool(holds);
    return LRK_OK;
}

static lrk_status eval_operator(lrk_jrun *r, const lrk_jnode *n, lrk_jvalue *out)
{
    lrk_jvalue a, b;
    LRK_TRY(lrk_j_eval(r, n->a, &a));
    if (n->b) LRK_TRY(lrk_j_eval(r, n->b, &b));
    r->at = n->at;
    switch (n->kind) {
    case LRK_JN_ATTR:
        return lrk_j_attr(r, a, n->s, out);
    case LRK_JN_ITEM:
        return lrk_j_item(r, a, b, out);
    case LRK_JN_NOT:
        *out = lrk_j_bool(!lrk_j_true(a));
        return LRK_OK;
    case LRK_JN_NEG:
    case LRK_JN_POS:
        return lrk_j_unary(r, n->kind == LRK_JN_NEG, a, out);
    default:
        return lrk_j_binary(r, n->op, a, b, out);
    }
}

static lrk_status eval_kind(lrk_jrun *r, const lrk_jnode *n, lrk_jvalue *out)
{
    switch (n->kind) {
    case LRK_JN_NONE:
        *out = lrk_j_none();
        return LRK_OK;
    case LRK_JN_BOOL:
        *out = lrk_j_bool(n->integer != 0);
        return LRK_OK;
    case LRK_JN_INTEGER:
        *out = lrk_j_int(n->integer);
        return LRK_OK;
    case LRK_JN_REAL:
        *out = lrk_j_real(n->real);
        return LRK_OK;
    case LRK_JN_STRING:
        return lrk_j_part(r, &(lrk_jstr){.s = n->s, .n = n->n}, 0, n->n, out);
    case LRK_JN_NAME:
        return lrk_j_lookup(r, n->s, out);
    case LRK_JN_TUPLE:
    case LRK_JN_LIST:
        return eval_sequence(r, n, out);
    case LRK_JN_DICT:
        return eval_dict(r, n, out);
    case LRK_JN_SLICE:
        return eval_slice(r, n, out);
    case LRK_JN_COMPARE:
        return eval_compare(r, n, out);
    case LRK_JN_CONCAT:
        return eval_concat(r, n, out);
    case LRK_JN_AND:
    case LRK_JN_OR:
    case LRK_JN_COND:
        return eval_choice(r, n, out);
    case LRK_JN_CALL:
    case LRK_JN_FILTER:
    case LRK_JN_TEST:
        return eval_applied(r, n, out);
    default:
        return eval_operator(r, n, out);
    }
}

lrk_status lrk_j_eval(lrk_jrun *r, const lrk_jnode *n, lrk_jvalue *out)
{
    r->at = n->at;
    LRK_TRY(lrk_j_work(r, 1));
    if (++r->depth > LRK_J_MAX_DEPTH) return lrk_j_fail(r, LRK_ESUPPORT, "recursion this deep");
    LRK_TRY(eval_kind(r, n, out));
    r->depth--;
    return LRK_OK;
}
