/* data/template/exec.c -- statements, scopes, loops and macros. */
#include "data/template/value.h"

#include <string.h>

/* ---- scopes: `if` opens none, everything else with a body does ---- */

lrk_status lrk_j_scope_new(lrk_jrun *r, lrk_jscope *up, lrk_jscope **out)
{
    LRK_TRY(lrk_j_take(r, 1, sizeof **out, out));
    (*out)->up = up;
    return LRK_OK;
}

lrk_status lrk_j_scope_set(lrk_jrun *r, lrk_jscope *s, const char *name, lrk_jvalue v)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->slots[i].name == name) {
            s->slots[i].value = v;
            return LRK_OK;
        }
    }
    LRK_TRY(lrk_j_room(r, s->n, &s->capacity, sizeof *s->slots, &s->slots));
    s->slots[s->n].name = name;
    s->slots[s->n++].value = v;
    return LRK_OK;
}

lrk_status lrk_j_lookup(lrk_jrun *r, const char *name, lrk_jvalue *out)
{
    for (const lrk_jscope *s = r->scope; s; s = s->up) {
        for (size_t i = 0; i < s->n; i++) {
            if (s->slots[i].name == name) {
                *out = s->slots[i].value;
                return LRK_OK;
            }
        }
    }
    const lrk_jvalue *given = lrk_j_dict_find(r->context, name, strlen(name));
    const lrk_jfunction *function = given ? NULL : lrk_j_function(name);
    if (given) {
        *out = *given;
    } else if (function) {
        *out = (lrk_jvalue){.kind = LRK_JV_FUNCTION, .as.function = function};
    } else {
        *out = lrk_j_undefined(r, "'%s' is undefined", name);
    }
    return LRK_OK;
}

static lrk_status assign_namespace(lrk_jrun *r, const lrk_jnode *target, lrk_jvalue v)
{
    lrk_jvalue ns;
    LRK_TRY(lrk_j_lookup(r, target->s, &ns));
    r->at = target->at;
    if (ns.kind != LRK_JV_NAMESPACE)
        return lrk_j_fail(r, LRK_EINPUT, "cannot assign attribute on non-namespace object");
    return lrk_j_dict_put(r, ns.as.dict, target->s2, v);
}

lrk_status lrk_j_assign(lrk_jrun *r, const lrk_jnode *target, lrk_jvalue v)
{
    if (target->kind == LRK_JN_NAME) return lrk_j_scope_set(r, r->scope, target->s, v);
    if (target->kind == LRK_JN_NS_TARGET) return assign_namespace(r, target, v);
    lrk_jseq *items;
    size_t n = 0;
    r->at = target->at;
    LRK_TRY(lrk_j_items(r, v, &items));
    for (const lrk_jnode *t = target->list; t; t = t->next) n++;
    if (items->n != n)
        return lrk_j_fail(r, LRK_EINPUT, "%zu values to unpack, expected %zu", items->n, n);
    n = 0;
    for (const lrk_jnode *t = target->list; t; t = t->next)
        LRK_TRY(lrk_j_assign(r, t, items->items[n++]));
    return LRK_OK;
}

/* ---- loops ---- */

/* The next item that passes the loop's filter. The filter sees the scope around the loop and the
 * target, and runs when the item is fetched, as the reference's generator does. */
static lrk_status fetch(lrk_jrun *r, lrk_jloop *l, lrk_jvalue *out)
{
    bool more;
    if (l->rest) {
        *out = (lrk_jvalue){.kind = LRK_JV_MISSING};
        if (l->rest_pos < l->rest->n) *out = l->rest->items[l->rest_pos++];
        return LRK_OK;
    }
    for (;;) {
        LRK_TRY(lrk_j_next(r, &l->iter, out, &more));
        if (!more) {
            *out = (lrk_jvalue){.kind = LRK_JV_MISSING};
            return LRK_OK;
        }
        if (!l->node->c) return LRK_OK;
        lrk_jscope *inner, *saved = r->scope;
        lrk_jvalue keep;
        LRK_TRY(lrk_j_scope_new(r, l->scope, &inner));
        r->scope = inner;
        LRK_TRY(lrk_j_assign(r, l->node->a, *out));
        LRK_TRY(lrk_j_eval(r, l->node->c, &keep));
        r->scope = saved;
        if (lrk_j_true(keep)) return LRK_OK;
    }
}

static lrk_status peek(lrk_jrun *r, lrk_jloop *l, bool *there)
{
    if (l->after.kind == LRK_JV_MISSING) LRK_TRY(fetch(r, l, &l->after));
    *there = l->after.kind != LRK_JV_MISSING;
    return LRK_OK;
}

static lrk_status loop_length(lrk_jrun *r, lrk_jloop *l, size_t *n)
{
    const lrk_jvalue over = l->iter.over;
    if (!l->node->c && over.kind != LRK_JV_GENERATOR) return lrk_j_length(r, over, n);
    if (!l->rest) {
        lrk_jvalue list, item;
        LRK_TRY(lrk_j_seq(r, LRK_JV_LIST, &list));
        for (;;) {
            LRK_TRY(fetch(r, l, &item));
            if (item.kind == LRK_JV_MISSING) break;
            LRK_TRY(lrk_j_append(r, list.as.seq, item));
        }
        l->rest = list.as.seq;
    }
    *n = l->index0 + 1 + (l->after.kind != LRK_JV_MISSING) + l->rest->n - l->rest_pos;
    return LRK_OK;
}

lrk_status lrk_j_loop_attr(lrk_jrun *r, lrk_jloop *l, const char *name, lrk_jvalue *out,
                           bool *found)
{
    bool there;
    size_t n;
    *found = true;
    if (!strcmp(name, "index0")) {
        *out = lrk_j_int((int64_t)l->index0);
    } else if (!strcmp(name, "index")) {
        *out = lrk_j_int((int64_t)l->index0 + 1);
    } else if (!strcmp(name, "first")) {
        *out = lrk_j_bool(l->index0 == 0);
    } else if (!strcmp(name, "last")) {
        LRK_TRY(peek(r, l, &there));
        *out = lrk_j_bool(!there);
    } else if (!strcmp(name, "nextitem")) {
        LRK_TRY(peek(r, l, &there));
        *out = there ? l->after : lrk_j_undefined(r, "there is no next item");
    } else if (!strcmp(name, "previtem")) {
        *out = l->index0 ? l->before : lrk_j_undefined(r, "there is no previous item");
    } else if (!strcmp(name, "length") || !strcmp(name, "revindex") || !strcmp(name, "revindex0")) {
        LRK_TRY(loop_length(r, l, &n));
        if (name[0] == 'r') n -= l->index0 + (name[8] ? 1 : 0);
        *out = lrk_j_int((int64_t)n);
    } else if (!strcmp(name, "depth") || !strcmp(name, "depth0")) {
        *out = lrk_j_int(name[5] ? 0 : 1); /* only recursive loops are deeper */
    } else {
        *found = false;
    }
    return LRK_OK;
}

static lrk_status in_scope(lrk_jrun *r, const lrk_jnode *body)
{
    lrk_jscope *saved = r->scope;
    LRK_TRY(lrk_j_scope_new(r, saved, &r->scope));
    LRK_TRY(lrk_j_exec(r, body));
    r->scope = saved;
    return LRK_OK;
}

static lrk_status exec_for(lrk_jrun *r, const lrk_jnode *n)
{
    lrk_jloop *l;
    lrk_jvalue over, item;
    lrk_jscope *saved = r->scope, *inner = NULL;
    LRK_TRY(lrk_j_eval(r, n->b, &over));
    r->at = n->at;
    LRK_TRY(lrk_j_take(r, 1, sizeof *l, &l));
    *l = (lrk_jloop){.node = n, .scope = saved};
    LRK_TRY(lrk_j_iter(r, over, &l->iter));
    for (;;) {
        if (l->after.kind != LRK_JV_MISSING) {
            item = l->after;
            l->after.kind = LRK_JV_MISSING;
        } else {
            LRK_TRY(fetch(r, l, &item));
        }
        if (item.kind == LRK_JV_MISSING) break;
        if (l->current.kind != LRK_JV_MISSING) l->index0++;
        l->before = l->current;
        l->current = item;
        if (!inner || inner->captured) LRK_TRY(lrk_j_scope_new(r, saved, &inner));
        inner->n = 0;
        r->scope = inner;
        LRK_TRY(
            lrk_j_scope_set(r, inner, r->t->loop, (lrk_jvalue){.kind = LRK_JV_LOOP, .as.loop = l}));
        LRK_TRY(lrk_j_assign(r, n->a, item));
        LRK_TRY(lrk_j_exec(r, n->list));
        const int flow = r->flow;
        r->flow = LRK_J_GO;
        r->scope = saved;
        if (flow == LRK_J_BREAK) break;
    }
    if (l->current.kind == LRK_JV_MISSING && n->orelse) return in_scope(r, n->orelse);
    return LRK_OK;
}

/* ---- bodies that become text ---- */

static lrk_status capture(lrk_jrun *r, const lrk_jnode *body, lrk_jvalue *out)
{
    lrk_jout o = {0}, *saved = r->out;
    r->out = &o;
    LRK_TRY(lrk_j_exec(r, body));
    r->out = saved;
    return lrk_j_finish(r, &o, out);
}

static lrk_status capture_in_scope(lrk_jrun *r, const lrk_jnode *body, const lrk_jnode *filter,
                                   lrk_jvalue *out)
{
    lrk_jscope *saved = r->scope;
    LRK_TRY(lrk_j_scope_new(r, saved, &r->scope));
    LRK_TRY(capture(r, body, out));
    if (filter && r->flow == LRK_J_GO) {
        const lrk_jvalue piped = r->piped;
        r->piped = *out;
        LRK_TRY(lrk_j_eval(r, filter, out));
        r->piped = piped;
    }
    r->scope = saved;
    return LRK_OK;
}

lrk_status lrk_j_call_macro(lrk_jrun *r, const lrk_jmacro *m, const lrk_jargs *args,
                            lrk_jvalue *out)
{
    enum { MAX_PARAMS = 32 };
    const char *names[MAX_PARAMS];
    lrk_jvalue values[MAX_PARAMS];
    size_t n = 0;
    for (const lrk_jnode *p = m->node->params; p; p = p->next) {
        if (n == MAX_PARAMS) return lrk_j_fail(r, LRK_ESUPPORT, "macros with so many arguments");
        names[n++] = p->s;
    }
    LRK_TRY(lrk_j_bind(r, m->node->s, args, names, n, 0, values));
    lrk_jscope *saved = r->scope;
    LRK_TRY(lrk_j_scope_new(r, m->scope, &r->scope));
    n = 0;
    for (const lrk_jnode *p = m->node->params; p; p = p->next, n++) {
        if (values[n].kind == LRK_JV_MISSING) {
            if (p->a)
                LRK_TRY(lrk_j_eval(r, p->a, &values[n]));
            else
                values[n] = lrk_j_undefined(r, "parameter '%s' was not provided", p->s);
        }
        LRK_TRY(lrk_j_scope_set(r, r->scope, p->s, values[n]));
    }
    if (++r->depth > LRK_J_MAX_DEPTH) return lrk_j_fail(r, LRK_ESUPPORT, "recursion this deep");
    LRK_TRY(capture(r, m->node->list, out));
    r->depth--;
    r->scope = saved;
    return LRK_OK;
}

static lrk_status define_macro(lrk_jrun *r, const lrk_jnode *n)
{
    lrk_jmacro *m;
    LRK_TRY(lrk_j_take(r, 1, sizeof *m, &m));
    *m = (lrk_jmacro){n, r->scope};
    for (lrk_jscope *s = r->scope; s && !s->captured; s = s->up) s->captured = true;
    return lrk_j_scope_set(r, r->scope, n->s, (lrk_jvalue){.kind = LRK_JV_MACRO, .as.macro = m});
}

static lrk_status exec_generation(lrk_jrun *r, const lrk_jnode *n)
{
    const size_t begin = r->out->n;
    if (r->out != &r->text)
        return lrk_j_fail(r, LRK_ESUPPORT,
                          "a generation block whose text does not go straight out");
    const size_t outside = r->n_generations;
    LRK_TRY(in_scope(r, n->list));
    r->n_generations = outside; /* a block inside of this one says nothing new */
    LRK_TRY(lrk_j_room(r, r->n_generations, &r->generations_capacity, sizeof *r->generations,
                       &r->generations));
    r->generations[r->n_generations++] = (lrk_jmark){(uint32_t)begin, (uint32_t)r->out->n, 0};
    return LRK_OK;
}

/* ---- one statement ---- */

static lrk_status exec_if(lrk_jrun *r, const lrk_jnode *n)
{
    for (;;) {
        lrk_jvalue v;
        LRK_TRY(lrk_j_eval(r, n->a, &v));
        if (lrk_j_true(v)) return lrk_j_exec(r, n->list);
        n = n->orelse;
        if (!n) return LRK_OK;
        if (n->kind != LRK_JN_IF || n->next) return lrk_j_exec(r, n);
    }
}

static lrk_status exec_with(lrk_jrun *r, const lrk_jnode *n)
{
    lrk_jscope *saved = r->scope, *inner;
    LRK_TRY(lrk_j_scope_new(r, saved, &inner));
    for (const lrk_jnode *p = n->params; p; p = p->next) {
        lrk_jvalue v;
        LRK_TRY(lrk_j_eval(r, p->b, &v));
        LRK_TRY(lrk_j_scope_set(r, inner, p->a->s, v));
    }
    r->scope = inner;
    LRK_TRY(lrk_j_exec(r, n->list));
    r->scope = saved;
    return LRK_OK;
}

static lrk_status exec_one(lrk_jrun *r, const lrk_jnode *n)
{
    lrk_jvalue v;
    switch (n->kind) {
    case LRK_JN_TEXT:
        return lrk_j_put(r, r->out, n->s, n->n, 0);
    case LRK_JN_PRINT:
        LRK_TRY(lrk_j_eval(r, n->a, &v));
        r->at = n->at;
        return lrk_j_put_value(r, r->out, v);
    case LRK_JN_FOR:
        return exec_for(r, n);
    case LRK_JN_IF:
        return exec_if(r, n);
    case LRK_JN_SET:
        LRK_TRY(lrk_j_eval(r, n->b, &v));
        return lrk_j_assign(r, n->a, v);
    case LRK_JN_SET_BLOCK:
        LRK_TRY(capture_in_scope(r, n->list, n->b, &v));
        return r->flow == LRK_J_GO ? lrk_j_assign(r, n->a, v) : LRK_OK;
    case LRK_JN_FILTER_BLOCK:
        LRK_TRY(capture_in_scope(r, n->list, n->a, &v));
        return r->flow == LRK_J_GO ? lrk_j_put_value(r, r->out, v) : LRK_OK;
    case LRK_JN_MACRO:
        return define_macro(r, n);
    case LRK_JN_WITH:
        return exec_with(r, n);
    case LRK_JN_GENERATION:
        return exec_generation(r, n);
    case LRK_JN_BREAK:
    case LRK_JN_CONTINUE:
        r->flow = n->kind == LRK_JN_BREAK ? LRK_J_BREAK : LRK_J_CONTINUE;
        return LRK_OK;
    default:
        return lrk_j_fail(r, LRK_EINTERNAL, "an unknown statement");
    }
}

lrk_status lrk_j_exec(lrk_jrun *r, const lrk_jnode *list)
{
    if (++r->depth > LRK_J_MAX_DEPTH) return lrk_j_fail(r, LRK_ESUPPORT, "recursion this deep");
    for (const lrk_jnode *n = list; n && r->flow == LRK_J_GO; n = n->next) {
        r->at = n->at;
        LRK_TRY(lrk_j_work(r, 1));
        LRK_TRY(exec_one(r, n));
    }
    r->depth--;
    return LRK_OK;
}
