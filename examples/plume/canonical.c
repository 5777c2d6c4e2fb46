/* plume/canonical.c -- canonical form. One pass from the leaves up reaches the fixed point: a node
 * is finished before its parent looks at it, and a parent only joins, sorts and drops finished
 * operands. */
#include "plume/canonical.h"

#include <stdlib.h>
#include <string.h>

/* An operand beside its printed text: that is what is sorted and compared. */
typedef struct item {
    const char *text;
    const void *value;
} item;

typedef struct work {
    lrk_arena *arena;
    lrk_err *err;
} work;

static int by_text(const void *a, const void *b)
{
    return strcmp(((const item *)a)->text, ((const item *)b)->text);
}

static lrk_status room(work *w, size_t n, size_t size, void *out)
{
    return lrk_alloc(w->arena, n ? n : 1, size, "canonical form", out, w->err);
}

/* Sorts by text and drops repeats; returns how many are left. */
static size_t settle(item *v, size_t n, bool repeats)
{
    if (n) qsort(v, n, sizeof *v, by_text);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (repeats || !kept || strcmp(v[kept - 1].text, v[i].text) != 0) v[kept++] = v[i];
    return kept;
}

static lrk_status printed(work *w, lrk_buf *b, const char **out)
{
    lrk_status s = lrk_buf_check(b, w->err);
    if (s == LRK_OK) {
        *out = lrk_strndup(w->arena, b->data ? b->data : "", b->n);
        if (!*out) s = lrk_fail(w->err, LRK_ENOMEM, "out of memory");
    }
    lrk_buf_free(b);
    return s;
}

/* Rule 5 on a list of values. */
static lrk_status clean_cmp(work *w, plume_cmp *c)
{
    if (c->op != PLUME_IN) return LRK_OK;
    item *v = NULL;
    LRK_TRY(room(w, c->n_text, sizeof *v, &v));
    for (size_t i = 0; i < c->n_text; i++) v[i] = (item){c->text[i], NULL};
    c->n_text = settle(v, c->n_text, false);
    const char **text = NULL;
    LRK_TRY(room(w, c->n_text, sizeof *text, &text));
    for (size_t i = 0; i < c->n_text; i++) text[i] = v[i].text;
    c->text = text;
    if (c->n_text == 1) c->op = PLUME_EQ;
    return LRK_OK;
}

static lrk_status make(work *w, plume_expr e, const plume_expr **out)
{
    plume_expr *p = NULL;
    LRK_TRY(room(w, 1, sizeof *p, &p));
    *p = e;
    *out = p;
    return LRK_OK;
}

static lrk_status negation(work *w, const plume_expr *inner, const plume_expr **out)
{
    const plume_expr **part = NULL;
    LRK_TRY(room(w, 1, sizeof *part, &part));
    part[0] = inner;
    return make(w, (plume_expr){.node = PLUME_NOT, .part = part, .n = 1}, out);
}

static lrk_status leaf(work *w, const plume_cmp *from, bool negate, const plume_expr **out)
{
    plume_expr e = {.node = PLUME_CMP, .cmp = *from};
    plume_cmp *c = &e.cmp;
    LRK_TRY(clean_cmp(w, c));
    if (negate && (c->op == PLUME_EXISTS || c->op == PLUME_MISSING)) {
        c->op = c->op == PLUME_EXISTS ? PLUME_MISSING : PLUME_EXISTS;
        negate = false;
    } else if (negate && plume_name_kind(c->column) == PLUME_BOOL) {
        c->truth = !c->truth;
        negate = false;
    }
    const plume_expr *plain = NULL;
    LRK_TRY(make(w, e, &plain));
    if (negate) return negation(w, plain, out);
    *out = plain;
    return LRK_OK;
}

/* The comparison of rule 4 inside an operand, or NULL: c = or c in under `or`, their negations
 * under `and`. */
static const plume_cmp *joinable(const plume_expr *e, plume_node parent)
{
    if (parent == PLUME_AND) {
        if (e->node != PLUME_NOT) return NULL;
        e = e->part[0];
    }
    if (e->node != PLUME_CMP || plume_name_kind(e->cmp.column) != PLUME_TEXT) return NULL;
    return e->cmp.op == PLUME_EQ || e->cmp.op == PLUME_IN ? &e->cmp : NULL;
}

/* Rule 4: the first operand on a column takes the values of all others. */
static lrk_status join_lists(work *w, plume_node node, const plume_expr **part, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        const plume_cmp *first = joinable(part[i], node);
        if (!first) continue;
        size_t total = 0, left = i + 1;
        for (size_t k = i; k < *n; k++) {
            const plume_cmp *c = joinable(part[k], node);
            if (c && c->column == first->column) total += c->n_text;
        }
        if (total == first->n_text) continue;
        const char **text = NULL;
        LRK_TRY(room(w, total, sizeof *text, &text));
        plume_cmp all = {.column = first->column, .op = PLUME_IN, .text = text};
        for (size_t k = i; k < *n; k++) {
            const plume_cmp *c = joinable(part[k], node);
            const bool same = c && c->column == all.column;
            for (size_t j = 0; same && j < c->n_text; j++) text[all.n_text++] = c->text[j];
            if (!same && k > i) part[left++] = part[k];
        }
        *n = left;
        const plume_expr *joined = NULL;
        LRK_TRY(leaf(w, &all, false, &joined));
        if (node == PLUME_AND) LRK_TRY(negation(w, joined, &joined));
        part[i] = joined;
    }
    return LRK_OK;
}

/* Text of an operand as it stands inside its parent. */
static lrk_status operand_text(work *w, const plume_expr *e, plume_node parent, const char **out)
{
    lrk_buf b = {0};
    const bool parens = e->node == PLUME_OR && parent == PLUME_AND;
    if (parens) lrk_buf_puts(&b, "(");
    plume_print_expr(e, &b);
    if (parens) lrk_buf_puts(&b, ")");
    return printed(w, &b, out);
}

static lrk_status normal(work *w, const plume_expr *e, bool negate, const plume_expr **out);

static lrk_status series(work *w, const plume_expr *e, bool negate, const plume_expr **out)
{
    const plume_node node = (e->node == PLUME_AND) != negate ? PLUME_AND : PLUME_OR;
    const plume_expr **done = NULL, **part = NULL;
    size_t n = 0;
    LRK_TRY(room(w, e->n, sizeof *done, &done));
    for (size_t i = 0; i < e->n; i++) {
        LRK_TRY(normal(w, e->part[i], negate, &done[i]));
        n += done[i]->node == node ? done[i]->n : 1;
    }
    LRK_TRY(room(w, n, sizeof *part, &part));
    n = 0;
    for (size_t i = 0; i < e->n; i++) {
        const bool nested = done[i]->node == node;
        for (size_t k = 0; nested && k < done[i]->n; k++) part[n++] = done[i]->part[k];
        if (!nested) part[n++] = done[i];
    }
    LRK_TRY(join_lists(w, node, part, &n));
    item *v = NULL;
    LRK_TRY(room(w, n, sizeof *v, &v));
    for (size_t i = 0; i < n; i++) {
        v[i].value = part[i];
        LRK_TRY(operand_text(w, part[i], node, &v[i].text));
    }
    n = settle(v, n, false);
    for (size_t i = 0; i < n; i++) part[i] = v[i].value;
    if (n == 1) {
        *out = part[0];
        return LRK_OK;
    }
    return make(w, (plume_expr){.node = node, .part = part, .n = n}, out);
}

static lrk_status normal(work *w, const plume_expr *e, bool negate, const plume_expr **out)
{
    if (e->node == PLUME_CMP) return leaf(w, &e->cmp, negate, out);
    if (e->node == PLUME_NOT) return normal(w, e->part[0], !negate, out);
    return series(w, e, negate, out);
}

static plume_window clean_window(plume_window w)
{
    static const struct {
        char unit, larger;
        int factor;
    } steps[] = {{'m', 'h', 60}, {'h', 'd', 24}, {'d', 'w', 7}};
    for (int i = 0; i < 3 && !w.range; i++) {
        if (w.unit != steps[i].unit || w.n % steps[i].factor != 0) continue;
        w.n /= steps[i].factor;
        w.unit = steps[i].larger;
    }
    return w;
}

static lrk_status aggs(work *w, const plume_query *q, plume_query *c)
{
    item *v = NULL;
    plume_agg *clean = NULL, *sorted = NULL;
    LRK_TRY(room(w, q->n_calc, sizeof *v, &v));
    LRK_TRY(room(w, q->n_calc, sizeof *clean, &clean));
    LRK_TRY(room(w, q->n_calc, sizeof *sorted, &sorted));
    for (size_t i = 0; i < q->n_calc; i++) {
        lrk_buf b = {0};
        clean[i] = q->calc[i];
        LRK_TRY(clean_cmp(w, &clean[i].cmp));
        plume_print_agg(&clean[i], &b);
        v[i].value = &clean[i];
        LRK_TRY(printed(w, &b, &v[i].text));
    }
    c->n_calc = settle(v, q->n_calc, true);
    for (size_t i = 0; i < c->n_calc; i++) sorted[i] = *(const plume_agg *)v[i].value;
    c->calc = sorted;
    return LRK_OK;
}

static lrk_status conds(work *w, const plume_query *q, plume_query *c)
{
    item *v = NULL;
    plume_cond *clean = NULL, *sorted = NULL;
    LRK_TRY(room(w, q->n_keep, sizeof *v, &v));
    LRK_TRY(room(w, q->n_keep, sizeof *clean, &clean));
    LRK_TRY(room(w, q->n_keep, sizeof *sorted, &sorted));
    for (size_t i = 0; i < q->n_keep; i++) {
        lrk_buf b = {0};
        clean[i] = q->keep[i];
        LRK_TRY(clean_cmp(w, &clean[i].agg.cmp));
        plume_print_cond(&clean[i], &b);
        v[i].value = &clean[i];
        LRK_TRY(printed(w, &b, &v[i].text));
    }
    c->n_keep = settle(v, q->n_keep, false);
    for (size_t i = 0; i < c->n_keep; i++) sorted[i] = *(const plume_cond *)v[i].value;
    c->keep = sorted;
    return LRK_OK;
}

static lrk_status columns(work *w, const plume_query *q, plume_query *c)
{
    item *v = NULL;
    plume_name *sorted = NULL;
    LRK_TRY(room(w, q->n_by, sizeof *v, &v));
    LRK_TRY(room(w, q->n_by, sizeof *sorted, &sorted));
    for (size_t i = 0; i < q->n_by; i++) v[i] = (item){plume_name_text(q->by[i]), &q->by[i]};
    c->n_by = settle(v, q->n_by, true);
    for (size_t i = 0; i < c->n_by; i++) sorted[i] = *(const plume_name *)v[i].value;
    c->by = sorted;
    return LRK_OK;
}

lrk_status plume_canonical(const plume_query *q, lrk_arena *a, const plume_query **out,
                           lrk_err *err)
{
    work w = {a, err};
    plume_query *c = NULL;
    LRK_TRY(room(&w, 1, sizeof *c, &c));
    *c = *q;
    if (q->where) LRK_TRY(normal(&w, q->where, false, &c->where));
    LRK_TRY(aggs(&w, q, c));
    LRK_TRY(columns(&w, q, c));
    LRK_TRY(conds(&w, q, c));
    LRK_TRY(clean_cmp(&w, &c->sort.agg.cmp));
    c->window = clean_window(q->window);
    *out = c;
    return LRK_OK;
}

lrk_status plume_canonical_text(const plume_query *q, lrk_buf *b, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("canonical form");
    const plume_query *c = NULL;
    lrk_status s = plume_canonical(q, &a, &c, err);
    if (s == LRK_OK) {
        plume_print(c, b);
        s = lrk_buf_check(b, err);
    }
    lrk_arena_free(&a);
    return s;
}
