/* plume/mutate.c -- one-step mutants. */
#include "plume/mutate.h"

#include "plume/canonical.h"

#include <string.h>

typedef enum step { DROP, NEGATE, OPERATOR, VALUE, STEPS } step;

typedef struct maker {
    const plume_query *q;
    const plume_database *db;
    lrk_arena *a;
    const plume_query **out;
    size_t n;
    lrk_buf text; /* canonical form of q */
    lrk_err *err;
} maker;

static lrk_status copy(maker *m, const void *from, size_t n, size_t size, void *out)
{
    void *to = NULL;
    LRK_TRY(lrk_alloc(m->a, n ? n : 1, size, "mutants", &to, m->err));
    if (n) memcpy(to, from, n * size);
    memcpy(out, &to, sizeof to);
    return LRK_OK;
}

static plume_op neighbour(plume_op op)
{
    switch (op) {
    case PLUME_EQ:
        return PLUME_NE;
    case PLUME_NE:
        return PLUME_EQ;
    case PLUME_GT:
        return PLUME_GE;
    case PLUME_GE:
        return PLUME_GT;
    case PLUME_LT:
        return PLUME_LE;
    case PLUME_LE:
        return PLUME_LT;
    case PLUME_CONTAINS:
        return PLUME_LACKS;
    case PLUME_LACKS:
        return PLUME_CONTAINS;
    case PLUME_STARTS:
        return PLUME_CONTAINS;
    case PLUME_EXISTS:
        return PLUME_MISSING;
    case PLUME_MISSING:
        return PLUME_EXISTS;
    case PLUME_IN:
        break;
    }
    return op;
}

/* Another text of the column than those of the comparison. */
static const char *other_text(const maker *m, const plume_cmp *c)
{
    const plume_data_column *col = &m->db->table[m->q->table].column[c->column];
    for (size_t i = 1; i < col->n_values; i++) {
        bool taken = false;
        for (size_t k = 0; k < c->n_text; k++)
            taken = taken || strcmp(col->value[i].text, c->text[k]) == 0;
        if (!taken) return col->value[i].text;
    }
    return c->text[0];
}

static lrk_status change_cmp(maker *m, plume_cmp *c, step s)
{
    if (s == OPERATOR) {
        c->op = neighbour(c->op);
        return LRK_OK;
    }
    if (c->op == PLUME_EXISTS || c->op == PLUME_MISSING) return LRK_OK;
    if (plume_name_kind(c->column) == PLUME_BOOL) c->truth = !c->truth;
    if (plume_name_kind(c->column) == PLUME_NUMBER) c->number = c->number ? c->number * 2 : 1000;
    if (plume_name_kind(c->column) != PLUME_TEXT) return LRK_OK;
    if (c->op == PLUME_IN) {
        c->n_text--;
        return LRK_OK;
    }
    if (c->op != PLUME_EQ && c->op != PLUME_NE) return LRK_OK;
    const char *text = other_text(m, c);
    return copy(m, &text, 1, sizeof text, &c->text);
}

/* The expression with one comparison changed: the target-th from the left; NULL: dropped. */
static lrk_status change(maker *m, const plume_expr *e, size_t *target, step s,
                         const plume_expr **out)
{
    *out = e;
    if (e->node == PLUME_CMP) {
        if ((*target)-- != 0) return LRK_OK;
        plume_expr c = *e;
        if (s == DROP) *out = NULL;
        if (s == DROP) return LRK_OK;
        if (s == NEGATE) {
            c = (plume_expr){.node = PLUME_NOT, .n = 1};
            LRK_TRY(copy(m, &e, 1, sizeof e, &c.part));
        } else {
            LRK_TRY(change_cmp(m, &c.cmp, s));
        }
        return copy(m, &c, 1, sizeof c, out);
    }
    plume_expr c = *e;
    const plume_expr **part = NULL;
    LRK_TRY(copy(m, e->part, e->n, sizeof *part, &part));
    c.part = part;
    c.n = 0;
    for (size_t i = 0; i < e->n; i++) {
        const plume_expr *p = NULL;
        LRK_TRY(change(m, e->part[i], target, s, &p));
        if (p) part[c.n++] = p;
    }
    *out = c.n == 0 ? NULL : c.n == 1 && c.node != PLUME_NOT ? part[0] : &c;
    return *out == &c ? copy(m, &c, 1, sizeof c, out) : LRK_OK;
}

static size_t leaves(const plume_expr *e)
{
    size_t n = e->node == PLUME_CMP;
    for (size_t i = 0; i < e->n; i++) n += leaves(e->part[i]);
    return n;
}

/* Keeps a mutant that is valid and another query. */
static lrk_status offer(maker *m, const plume_query *q)
{
    if (m->n == PLUME_MUTANTS) return LRK_OK;
    const plume_query *c = NULL;
    lrk_buf b = {0};
    lrk_status s = plume_canonical(q, m->a, &c, m->err);
    if (s == LRK_OK && plume_valid_canonical(c, NULL) == LRK_OK) {
        plume_print(c, &b);
        s = lrk_buf_check(&b, m->err);
        if (s == LRK_OK && strcmp(m->text.data, b.data) != 0)
            s = copy(m, q, 1, sizeof *q, &m->out[m->n++]);
    }
    lrk_buf_free(&b);
    return s;
}

static lrk_status mutate_where(maker *m)
{
    plume_query q = *m->q;
    const size_t n = q.where ? leaves(q.where) : 0;
    for (size_t i = 0; i < n; i++)
        for (int s = DROP; s < STEPS; s++) {
            size_t target = i;
            LRK_TRY(change(m, m->q->where, &target, (step)s, &q.where));
            LRK_TRY(offer(m, &q));
        }
    if (!n || m->q->where->n < 2) return LRK_OK;
    plume_expr flipped = *m->q->where;
    flipped.node = flipped.node == PLUME_AND ? PLUME_OR : PLUME_AND;
    LRK_TRY(copy(m, &flipped, 1, sizeof flipped, &q.where));
    return offer(m, &q);
}

static lrk_status mutate_calc(maker *m)
{
    static const plume_fn next[PLUME_FNS] = {
        [PLUME_COUNT] = PLUME_COUNT, [PLUME_SUM] = PLUME_AVG,  [PLUME_AVG] = PLUME_MAX,
        [PLUME_MIN] = PLUME_AVG,     [PLUME_MAX] = PLUME_P90,  [PLUME_P50] = PLUME_AVG,
        [PLUME_P90] = PLUME_P50,     [PLUME_P95] = PLUME_P50,  [PLUME_P99] = PLUME_P50,
        [PLUME_UNIQ] = PLUME_COUNT,  [PLUME_RATE] = PLUME_RATE};
    for (size_t i = 0; i < m->q->n_calc; i++) {
        plume_query q = *m->q;
        plume_agg *calc = NULL;
        LRK_TRY(copy(m, q.calc, q.n_calc, sizeof *calc, &calc));
        q.calc = calc;
        calc[i].fn = next[calc[i].fn];
        if (calc[i].fn == PLUME_RATE) LRK_TRY(change_cmp(m, &calc[i].cmp, VALUE));
        /* What sorts or keeps by the old aggregate follows it. */
        lrk_buf x = {0}, y = {0};
        plume_print_agg(&m->q->calc[i], &x);
        plume_print_agg(&q.sort.agg, &y);
        if (q.sort.kind == PLUME_SORT_AGG && !x.failed && !y.failed && strcmp(x.data, y.data) == 0)
            q.sort.agg = calc[i];
        lrk_buf_free(&x);
        lrk_buf_free(&y);
        LRK_TRY(offer(m, &q));
    }
    return LRK_OK;
}

static lrk_status mutate_groups(maker *m)
{
    for (size_t i = 0; i < m->q->n_by; i++) {
        plume_query q = *m->q;
        plume_name *by = NULL;
        LRK_TRY(copy(m, q.by, q.n_by, sizeof *by, &by));
        memmove(by + i, by + i + 1, (q.n_by - i - 1) * sizeof *by);
        q.by = by;
        q.n_by--;
        LRK_TRY(offer(m, &q));
    }
    for (size_t i = 0; i < m->q->n_keep; i++)
        for (int s = DROP; s < STEPS; s++) {
            plume_query q = *m->q;
            plume_cond *keep = NULL;
            LRK_TRY(copy(m, q.keep, q.n_keep, sizeof *keep, &keep));
            q.keep = keep;
            if (s == OPERATOR)
                keep[i].op = neighbour(keep[i].op);
            else if (s == VALUE)
                keep[i].number = keep[i].number ? keep[i].number * 2 : 1000;
            else
                memmove(keep + i, keep + i + 1, (--q.n_keep - i) * sizeof *keep);
            if (s != NEGATE) LRK_TRY(offer(m, &q));
        }
    return LRK_OK;
}

static lrk_status mutate_rest(maker *m)
{
    plume_query q = *m->q;
    const bool two_hours = !q.window.range && q.window.n == 2 && q.window.unit == 'h';
    q.window = (plume_window){.n = two_hours ? 1 : 2, .unit = 'h'};
    LRK_TRY(offer(m, &q));
    q = *m->q;
    if (q.window.range)
        q.window.from = plume_time_of(plume_minutes(q.window.from) + 60);
    else
        q.window.n = q.window.n > 500 ? 1 : q.window.n * 2;
    LRK_TRY(offer(m, &q));
    q = *m->q;
    q.sort.descending = !q.sort.descending;
    if (q.sort.kind) LRK_TRY(offer(m, &q));
    q = *m->q;
    q.take = q.take == 1 ? 2 : q.take - 1;
    return m->q->take ? offer(m, &q) : LRK_OK;
}

lrk_status plume_mutants(const plume_query *q, const plume_database *db, lrk_arena *a,
                         const plume_query *out[PLUME_MUTANTS], size_t *n, lrk_err *err)
{
    maker m = {.q = q, .db = db, .a = a, .out = out, .err = err};
    lrk_status s = plume_canonical_text(q, &m.text, err);
    if (s == LRK_OK) s = mutate_where(&m);
    if (s == LRK_OK) s = mutate_calc(&m);
    if (s == LRK_OK) s = mutate_groups(&m);
    if (s == LRK_OK) s = mutate_rest(&m);
    lrk_buf_free(&m.text);
    *n = m.n;
    return s;
}
