/* plume/print.c -- the printer, and the calendar behind timestamps. */
#include "plume/query.h"

#include <string.h>

static const char *const fns[PLUME_FNS] = {"count", "sum", "avg", "min",  "max", "p50",
                                           "p90",   "p95", "p99", "uniq", "rate"};
static const char *const ops[] = {
    "=", "!=", ">", ">=", "<", "<=", "~", "!~", "starts", "in", "exists", "missing"};

const char *plume_fn_text(plume_fn f) { return fns[f]; }

const char *plume_op_text(plume_op o) { return ops[o]; }

void plume_print_number(int64_t v, lrk_buf *b)
{
    if (v < 0) lrk_buf_puts(b, "-");
    const uint64_t u = v < 0 ? (uint64_t)-v : (uint64_t)v;
    unsigned part = (unsigned)(u % 1000);
    lrk_buf_printf(b, "%llu", (unsigned long long)(u / 1000));
    if (!part) return;
    lrk_buf_puts(b, ".");
    for (unsigned unit = 100; part; unit /= 10) {
        lrk_buf_printf(b, "%u", part / unit);
        part %= unit;
    }
}

/* blank: the shape, where literals are one underscore. */
static void print_cmp(const plume_cmp *c, bool blank, lrk_buf *b)
{
    lrk_buf_printf(b, "%s %s", plume_name_text(c->column), ops[c->op]);
    if (c->op == PLUME_EXISTS || c->op == PLUME_MISSING) return;
    lrk_buf_puts(b, " ");
    if (c->op == PLUME_IN) lrk_buf_puts(b, "(");
    switch (plume_name_kind(c->column)) {
    case PLUME_TEXT:
        for (size_t i = 0; i < (blank ? 1 : c->n_text); i++)
            lrk_buf_printf(b, "%s\"%s\"", i ? ", " : "", blank ? "_" : c->text[i]);
        break;
    case PLUME_NUMBER:
        if (blank)
            lrk_buf_puts(b, "_");
        else
            plume_print_number(c->number, b);
        break;
    case PLUME_BOOL:
        lrk_buf_puts(b, c->truth ? "true" : "false");
        break;
    }
    if (c->op == PLUME_IN) lrk_buf_puts(b, ")");
}

static void print_expr(const plume_expr *e, bool blank, lrk_buf *b)
{
    if (e->node == PLUME_CMP) {
        print_cmp(&e->cmp, blank, b);
        return;
    }
    for (size_t i = 0; i < e->n; i++) {
        const plume_node inner = e->part[i]->node;
        const bool series = inner == PLUME_AND || inner == PLUME_OR;
        /* Only an `and` inside an `or` needs none. */
        const bool parens = series && !(inner == PLUME_AND && e->node == PLUME_OR);
        if (e->node == PLUME_NOT)
            lrk_buf_puts(b, "not ");
        else if (i)
            lrk_buf_puts(b, e->node == PLUME_AND ? " and " : " or ");
        if (parens) lrk_buf_puts(b, "(");
        print_expr(e->part[i], blank, b);
        if (parens) lrk_buf_puts(b, ")");
    }
}

static void print_agg(const plume_agg *g, bool blank, lrk_buf *b)
{
    lrk_buf_printf(b, "%s(", fns[g->fn]);
    if (g->fn == PLUME_RATE)
        print_cmp(&g->cmp, blank, b);
    else if (g->fn != PLUME_COUNT)
        lrk_buf_puts(b, plume_name_text(g->column));
    lrk_buf_puts(b, ")");
}

static void print_cond(const plume_cond *c, bool blank, lrk_buf *b)
{
    print_agg(&c->agg, blank, b);
    lrk_buf_printf(b, " %s ", ops[c->op]);
    if (blank)
        lrk_buf_puts(b, "_");
    else
        plume_print_number(c->number, b);
}

static void print_time(plume_time t, lrk_buf *b)
{
    lrk_buf_printf(b, "%04d-%02d-%02dT%02d:%02d", t.year, t.month, t.day, t.hour, t.minute);
}

static void print_window(const plume_window *w, bool blank, lrk_buf *b)
{
    if (blank) {
        lrk_buf_puts(b, w->range ? " | from _ to _" : " | last _");
    } else if (!w->range) {
        lrk_buf_printf(b, " | last %d%c", w->n, w->unit);
    } else {
        lrk_buf_puts(b, " | from ");
        print_time(w->from, b);
        lrk_buf_puts(b, " to ");
        print_time(w->to, b);
    }
}

static void print_query(const plume_query *q, bool blank, lrk_buf *b)
{
    lrk_buf_puts(b, plume_table_text(q->table));
    if (q->where) {
        lrk_buf_puts(b, " | where ");
        print_expr(q->where, blank, b);
    }
    for (size_t i = 0; i < q->n_calc; i++) {
        lrk_buf_puts(b, i ? ", " : " | calc ");
        print_agg(&q->calc[i], blank, b);
    }
    for (size_t i = 0; i < q->n_by; i++)
        lrk_buf_printf(b, "%s%s", i ? ", " : " | by ", plume_name_text(q->by[i]));
    for (size_t i = 0; i < q->n_keep; i++) {
        lrk_buf_puts(b, i ? " and " : " | keep ");
        print_cond(&q->keep[i], blank, b);
    }
    print_window(&q->window, blank, b);
    if (q->sort.kind) {
        lrk_buf_puts(b, " | sort ");
        if (q->sort.kind == PLUME_SORT_AGG)
            print_agg(&q->sort.agg, blank, b);
        else
            lrk_buf_puts(b, plume_name_text(q->sort.column));
        lrk_buf_puts(b, q->sort.descending ? " desc" : " asc");
    }
    if (q->take && blank)
        lrk_buf_puts(b, " | take _");
    else if (q->take)
        lrk_buf_printf(b, " | take %d", q->take);
}

void plume_print(const plume_query *q, lrk_buf *b) { print_query(q, false, b); }

void plume_print_shape(const plume_query *q, lrk_buf *b) { print_query(q, true, b); }

void plume_print_expr(const plume_expr *e, lrk_buf *b) { print_expr(e, false, b); }

void plume_print_cmp(const plume_cmp *c, lrk_buf *b) { print_cmp(c, false, b); }

void plume_print_agg(const plume_agg *g, lrk_buf *b) { print_agg(g, false, b); }

void plume_print_cond(const plume_cond *c, lrk_buf *b) { print_cond(c, false, b); }

static bool leap(int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

bool plume_time_exists(plume_time t)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (t.month < 1 || t.month > 12 || t.hour > 23 || t.minute > 59) return false;
    return t.day >= 1 && t.day <= days[t.month - 1] + (t.month == 2 && leap(t.year));
}

bool plume_same_agg(const plume_agg *a, const plume_agg *b)
{
    lrk_buf x = {0}, y = {0};
    plume_print_agg(a, &x);
    plume_print_agg(b, &y);
    const bool same = !x.failed && !y.failed && strcmp(x.data, y.data) == 0;
    lrk_buf_free(&x);
    lrk_buf_free(&y);
    return same;
}

/* Days of the Gregorian calendar, counted from March so that the leap day comes last. */
int64_t plume_minutes(plume_time t)
{
    const int64_t y = t.year - (t.month <= 2) + 400, m = (t.month + 9) % 12;
    const int64_t days = 365 * y + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + t.day - 1;
    return (days - 719468 - 146097) * 1440 + t.hour * 60 + t.minute;
}

plume_time plume_time_of(int64_t minutes)
{
    const int64_t days = minutes / 1440;
    const int minute = (int)(minutes % 1440);
    plume_time t = {.year = (int)(1970 + days / 366), .month = 1, .day = 1};
    while (plume_minutes((plume_time){t.year + 1, 1, 1, 0, 0}) <= days * 1440) t.year++;
    while (t.month < 12 && plume_minutes((plume_time){t.year, t.month + 1, 1, 0, 0}) <= days * 1440)
        t.month++;
    t.day = (int)(days - plume_minutes((plume_time){t.year, t.month, 1, 0, 0}) / 1440) + 1;
    t.hour = minute / 60;
    t.minute = minute % 60;
    return t;
}

int64_t plume_now(void) { return plume_minutes((plume_time){2026, 3, 1, 12, 0}); }
