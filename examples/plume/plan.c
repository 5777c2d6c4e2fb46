/* plume/plan.c -- draws plans, and writes them as queries. */
#include "plume/plan.h"

#include "plume/canonical.h"
#include "plume/execute.h"

#include <string.h>

/* How often each kind of question is asked of each table. */
static const struct {
    plume_frame_kind kind;
    unsigned spans, logs, hosts;
} kinds[] = {
    {PLUME_F_COUNT, 20, 24, 0}, {PLUME_F_METRIC, 24, 16, 26},   {PLUME_F_METRICS, 11, 9, 9},
    {PLUME_F_HOWSLOW, 4, 0, 0}, {PLUME_F_HOWSLOW_SVC, 2, 0, 0}, {PLUME_F_UNIQ, 9, 13, 6},
    {PLUME_F_HOSTS, 0, 0, 11},  {PLUME_F_HOSTS_THAT, 0, 0, 5},  {PLUME_F_SHARE, 9, 9, 11},
    {PLUME_F_BEST, 4, 2, 2},    {PLUME_F_BESTS, 5, 3, 3},       {PLUME_F_HIGH, 3, 2, 3},
    {PLUME_F_LOW, 1, 1, 2},     {PLUME_F_HIGHS, 5, 3, 5},       {PLUME_F_LOWS, 2, 1, 2},
    {PLUME_F_MOST, 3, 4, 0},    {PLUME_F_FEWEST, 1, 1, 0},      {PLUME_F_MOSTS, 4, 4, 0},
    {PLUME_F_FEWESTS, 1, 1, 0}, {PLUME_F_HAVING, 8, 7, 6},
};

static plume_frame_kind draw_kind(plume_dice *d, char table)
{
    uint64_t total = 0;
    const size_t n = sizeof kinds / sizeof kinds[0];
    unsigned weight[sizeof kinds / sizeof kinds[0]];
    for (size_t i = 0; i < n; i++) {
        weight[i] = table == 'S' ? kinds[i].spans : table == 'L' ? kinds[i].logs : kinds[i].hosts;
        total += weight[i];
    }
    uint64_t r = plume_roll(d, total);
    size_t i = 0;
    while (r >= weight[i]) r -= weight[i++];
    return kinds[i].kind;
}

static bool ranked(plume_frame_kind k) { return k >= PLUME_F_BEST && k <= PLUME_F_FEWESTS; }

static bool ranks_measure(plume_frame_kind k) { return k >= PLUME_F_HIGH && k <= PLUME_F_LOWS; }

static void add_rules(plume_plan *p, const char *rules)
{
    for (const char *s = strchr(rules, 'H'); s; s = strchr(s + 1, 'H')) {
        unsigned n = 0;
        for (const char *t = s + 1; *t >= '0' && *t <= '9'; t++) n = n * 10 + (unsigned)(*t - '0');
        p->rules |= 1u << n;
    }
}

static lrk_status draw_use(plume_dice *d, char table, lrk_arena *a, plume_use *u, lrk_err *err)
{
    u->filter = plume_pick_filter(d, table);
    LRK_TRY(plume_fill_draw(d, u->filter->query, a, &u->fill, err));
    LRK_TRY(plume_fill_text(u->filter->query, &u->fill, false, a, &u->query, err));
    const char *s = u->query;
    if (*s == '(') s++;
    if (strncmp(s, "not ", 4) == 0) s += 4;
    size_t n = strcspn(s, " ");
    if (n >= sizeof u->column) n = sizeof u->column - 1;
    memcpy(u->column, s, n);
    u->column[n] = '\0';
    return LRK_OK;
}

/* A condition that leaves one value of its column: grouping by it would be silly. */
static bool pins(const plume_use *u)
{
    return !strstr(u->query, " in (") && !strstr(u->query, "not ") && !strstr(u->query, ">=") &&
           !strstr(u->query, " starts ") && !strstr(u->query, " ~ ") && !strstr(u->query, " !~ ") &&
           !strstr(u->query, " exists");
}

/* "that were not in cart or failed": not what? */
static bool negated(const plume_use *u)
{
    return strstr(u->query, "not ") || strstr(u->query, " != ") || strstr(u->query, " !~ ");
}

static bool on_column(const plume_use *u, plume_name c)
{
    return strcmp(u->column, plume_name_text(c)) == 0;
}

/* Neighbours in meaning: a question about both is odd or empty. */
static bool related(const char *x, const char *y)
{
    return (strcmp(x, "status") == 0 && strcmp(y, "ok") == 0) ||
           (strcmp(x, "pod") == 0 && strcmp(y, "svc") == 0);
}

static bool clash(const plume_use *x, const plume_use *y)
{
    return strcmp(x->column, y->column) == 0 || related(x->column, y->column) ||
           related(y->column, x->column);
}

/* "the error rate of failed calls", "of 5xx": the condition decides the measure. */
static bool measured(const char *agg, const char *column)
{
    return strstr(agg, column) || (strcmp(column, "status") == 0 && strstr(agg, "(ok ="));
}

static bool uses_fit(const plume_plan *p)
{
    /* "how many racks have machines" */
    if (p->kind == PLUME_F_UNIQ && !p->n_use && !p->has_either && !p->root) return false;
    const plume_use *all[PLUME_USES + 3];
    size_t n = 0;
    for (size_t i = 0; i < p->n_use; i++) all[n++] = &p->use[i];
    for (size_t i = 0; i < 2 && p->has_either; i++) all[n++] = &p->either[i];
    if (p->kind == PLUME_F_SHARE) all[n++] = &p->share;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            if (clash(all[i], all[k])) return false;
        for (size_t k = 0; k < p->n_by; k++)
            if (on_column(all[i], p->by[k]->column) && pins(all[i])) return false;
        for (size_t k = 0; k < p->n_aggs; k++)
            if (all[i] != &p->share && measured(p->agg[k], all[i]->column)) return false;
    }
    return true;
}

static lrk_status draw_uses(plume_dice *d, lrk_arena *a, plume_plan *p, lrk_err *err)
{
    const uint64_t r = plume_roll(d, 100);
    p->n_use = r < 22 ? 0 : r < 68 ? 1 : r < 93 ? 2 : 3;
    if (p->kind == PLUME_F_HOSTS_THAT) p->n_use = 1;
    if (p->kind == PLUME_F_HOWSLOW_SVC) p->n_use = 0;
    for (size_t i = 0; i < p->n_use; i++) LRK_TRY(draw_use(d, p->table, a, &p->use[i], err));
    const bool can_either = p->kind != PLUME_F_HOSTS_THAT && p->kind != PLUME_F_HOWSLOW_SVC &&
                            p->kind != PLUME_F_SHARE && p->n_use < 2;
    p->has_either = can_either && plume_chance(d, 14);
    for (int i = 0; i < 2 && p->has_either; i++) do {
            LRK_TRY(draw_use(d, p->table, a, &p->either[i], err));
        } while (negated(&p->either[i]));
    if (p->kind == PLUME_F_SHARE) LRK_TRY(draw_use(d, p->table, a, &p->share, err));
    /* Kinds with service slots of their own carry them as a condition without words. */
    if (p->kind == PLUME_F_HOWSLOW_SVC) {
        do {
            LRK_TRY(draw_use(d, p->table, a, &p->use[0], err));
        } while (strcmp(p->use[0].filter->name, "svc") != 0);
        p->n_use = 1;
    }
    return LRK_OK;
}

static lrk_status text(lrk_arena *a, lrk_buf *b, const char **out, lrk_err *err)
{
    *out = b->failed ? NULL : lrk_strdup(a, b->data ? b->data : "");
    lrk_buf_free(b);
    LRK_REQUIRE(err, *out, LRK_ENOMEM, "out of memory");
    return LRK_OK;
}

static lrk_status wrapped(const char *fn, const char *inner, lrk_arena *a, const char **out,
                          lrk_err *err)
{
    lrk_buf b = {0};
    lrk_buf_printf(&b, "%s(%s)", fn, inner);
    return text(a, &b, out, err);
}

static void draw_measures(plume_dice *d, plume_plan *p)
{
    p->measure[0] = plume_pick_measure(d, p->table);
    p->n_measures = 1;
    if (p->kind != PLUME_F_METRICS) return;
    p->with_count = p->table != 'H' && plume_chance(d, 35);
    if (p->with_count) return;
    p->measure[1] = plume_pick_measure(d, p->table);
    p->n_measures = 2;
}

/* What is computed, and the words that name it. */
static lrk_status draw_aggs(plume_dice *d, lrk_arena *a, plume_plan *p, lrk_err *err)
{
    switch (p->kind) {
    case PLUME_F_METRIC:
    case PLUME_F_METRICS:
    case PLUME_F_HIGH:
    case PLUME_F_LOW:
    case PLUME_F_HIGHS:
    case PLUME_F_LOWS:
        draw_measures(d, p);
        break;
    case PLUME_F_HAVING:
        if (p->table == 'H' || plume_chance(d, 60)) draw_measures(d, p);
        break;
    case PLUME_F_BEST:
    case PLUME_F_BESTS:
        p->best = plume_pick_superlative(d, p->table);
        p->agg[p->n_aggs++] = p->best->agg;
        p->root = p->root || p->best->root;
        add_rules(p, p->best->rules);
        break;
    case PLUME_F_HOWSLOW:
    case PLUME_F_HOWSLOW_SVC:
        p->agg[p->n_aggs++] = "p95(dur_ms)";
        add_rules(p, "H5");
        break;
    case PLUME_F_UNIQ:
        do {
            p->counted = plume_pick_entity(d, p->table);
        } while (!*p->counted->verbs);
        LRK_TRY(wrapped("uniq", plume_name_text(p->counted->column), a, &p->agg[p->n_aggs++], err));
        add_rules(p, "H7");
        break;
    case PLUME_F_HOSTS:
    case PLUME_F_HOSTS_THAT:
        p->agg[p->n_aggs++] = "uniq(host)";
        add_rules(p, "H7");
        break;
    case PLUME_F_SHARE:
        LRK_TRY(wrapped("rate", p->share.query, a, &p->agg[p->n_aggs++], err));
        add_rules(p, p->share.filter->rules);
        break;
    default:
        break;
    }
    for (size_t i = 0; i < p->n_measures; i++) {
        p->agg[p->n_aggs++] = p->measure[i]->agg;
        add_rules(p, p->measure[i]->rules);
    }
    if (p->with_count || !p->n_aggs) p->agg[p->n_aggs++] = "count()";
    return LRK_OK;
}

static void draw_by(plume_dice *d, plume_plan *p)
{
    const uint64_t r = plume_roll(d, 100);
    const bool one = ranked(p->kind) || p->kind == PLUME_F_HAVING;
    p->n_by = one ? 1 : r < 42 ? 0 : r < 88 ? 1 : 2;
    if (p->kind == PLUME_F_HOSTS_THAT || p->kind == PLUME_F_HOWSLOW) p->n_by = r < 70 ? 0 : 1;
    for (size_t i = 0; i < p->n_by; i++) p->by[i] = plume_pick_entity(d, p->table);
}

static bool by_fits(const plume_plan *p)
{
    const bool rows = p->kind == PLUME_F_SHARE || p->kind == PLUME_F_UNIQ ||
                      p->kind == PLUME_F_HOSTS || p->kind == PLUME_F_HOSTS_THAT;
    if (p->n_by == 2 && p->by[0]->column == p->by[1]->column) return false;
    for (size_t i = 0; i < p->n_by; i++) {
        if (p->counted && p->counted->column == p->by[i]->column) return false;
        if (rows && p->by[i]->column == PLUME_N_host) return false;
        for (size_t k = 0; k < p->n_aggs; k++)
            if (strstr(p->agg[k], plume_name_text(p->by[i]->column))) return false;
    }
    return true;
}

static bool has(const char *s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(s, words[i]) == 0) return true;
    return false;
}

/* "highest peak latency" says it twice; bytes and "the most typical" have no thresholds. */
static bool measures_fit(const plume_plan *p)
{
    static const char *const extremes[] = {"worst", "peak", "max", "maximum", "min", "minimum"};
    for (size_t i = 0; i < p->n_measures; i++) {
        const plume_measure *m = p->measure[i];
        if (ranks_measure(p->kind) && has(m->statistic, extremes, 6)) return false;
        if (ranks_measure(p->kind) && m->plural && *m->statistic) return false;
        if (p->kind == PLUME_F_HAVING && strcmp(m->unit, "bytes") == 0 && m->plural) return false;
        if (p->kind == PLUME_F_METRICS && strncmp(m->noun, "number", 6) == 0) return false;
    }
    return p->n_measures < 2 || strcmp(p->measure[0]->agg, p->measure[1]->agg) != 0;
}

static void draw_keep(plume_dice *d, plume_plan *p)
{
    const bool may =
        p->kind == PLUME_F_COUNT || p->kind == PLUME_F_METRIC || p->kind == PLUME_F_METRICS;
    if (p->kind == PLUME_F_HAVING) {
        p->keep.measure = p->n_measures ? p->measure[0] : NULL;
        p->keep.agg = p->agg[0];
    } else if (may && p->n_by && plume_chance(d, 24)) {
        const uint64_t r = plume_roll(d, 100);
        const bool other = p->n_aggs == 1 && p->kind == PLUME_F_METRIC && r < 60 && p->table != 'H';
        p->keep.measure = p->kind == PLUME_F_COUNT || other ? NULL : p->measure[0];
        p->keep.agg = p->keep.measure ? p->measure[0]->agg : "count()";
        if (other) p->agg[p->n_aggs++] = "count()";
    } else {
        return;
    }
    p->keep.there = true;
    p->keep.how = plume_pick_compare(d);
}

/* Traffic has no plural, so it cannot be counted, and a bare "p99" is for the terse. */
static bool words_fit(const plume_plan *p)
{
    const bool after_measure =
        p->kind == PLUME_F_METRIC || (p->kind >= PLUME_F_BEST && p->kind <= PLUME_F_LOWS);
    if (strcmp(p->noun->text, "traffic") == 0 && (!after_measure || p->has_either)) return false;
    for (size_t i = 0; i < p->n_measures; i++)
        if (!*p->measure[i]->noun &&
            (p->kind != PLUME_F_METRIC || (p->reg != PLUME_S && p->reg != PLUME_N)))
            return false;
    return true;
}

static bool keep_fits(const plume_plan *p)
{
    const plume_measure *m = p->keep.measure;
    return !p->keep.there || !m || !(m->plural && strcmp(m->unit, "bytes") == 0);
}

static void draw_order(plume_dice *d, plume_plan *p)
{
    const bool may =
        p->kind == PLUME_F_COUNT || p->kind == PLUME_F_METRIC || p->kind == PLUME_F_METRICS;
    if (ranked(p->kind)) {
        p->sort.what = p->agg[0];
        p->sort.descending = p->kind != PLUME_F_LOW && p->kind != PLUME_F_LOWS &&
                             p->kind != PLUME_F_FEWEST && p->kind != PLUME_F_FEWESTS;
        if (p->best) p->sort.descending = p->best->descending;
        add_rules(p, "H6");
        const bool one = p->kind == PLUME_F_BEST || p->kind == PLUME_F_HIGH ||
                         p->kind == PLUME_F_LOW || p->kind == PLUME_F_MOST ||
                         p->kind == PLUME_F_FEWEST;
        p->take = one ? 1 : 5;
        return;
    }
    if (!p->n_by || !(may ? plume_chance(d, 26) : p->kind == PLUME_F_HAVING && plume_chance(d, 10)))
        return;
    p->sort.column = plume_chance(d, 25);
    p->sort.descending = plume_chance(d, p->sort.column ? 25 : 68);
    p->sort.what = p->agg[0];
    p->sort.measure = p->n_measures ? p->measure[0] : NULL;
    if (p->sort.column) p->sort.what = plume_name_text(p->by[0]->column);
}

/* "the top 8 regions" of five: nobody asks that. */
static bool few_values(plume_name c)
{
    return c == PLUME_N_region || c == PLUME_N_method || c == PLUME_N_level || c == PLUME_N_build ||
           c == PLUME_N_os;
}

static lrk_status draw_take(plume_dice *d, lrk_arena *a, plume_plan *p, lrk_err *err)
{
    p->take_text = "";
    if (p->take != 5 || plume_chance(d, 45)) return LRK_OK;
    plume_fill f;
    const char *number = NULL;
    LRK_TRY(plume_fill_draw(d, "{take}", a, &f, err));
    LRK_TRY(plume_fill_text("{take} ", &f, true, a, &p->take_text, err));
    LRK_TRY(plume_fill_text("{take}", &f, false, a, &number, err));
    p->take = 0;
    while (*number) p->take = p->take * 10 + (*number++ - '0');
    return LRK_OK;
}

/* A threshold that some groups pass and some do not, near a value that occurs. */
static lrk_status draw_threshold(plume_dice *d, const plume_database *db, lrk_arena *a,
                                 plume_plan *p, bool *ok, lrk_err *err)
{
    plume_plan bare = *p;
    const char *s = NULL;
    const plume_query *q = NULL;
    plume_result r = {0};
    bare.keep.there = false;
    bare.sort.what = NULL;
    bare.take = 0;
    LRK_TRY(plume_plan_query(&bare, a, &s, err));
    LRK_TRY(plume_parse(s, strlen(s), false, a, &q, NULL, err));
    LRK_TRY(plume_execute(q, db, a, &r, err));
    *ok = r.rows >= 3;
    if (!*ok) return LRK_OK;
    size_t at = 0;
    while (strcmp(p->agg[at], p->keep.agg) != 0) at++;
    const plume_cell *c = &r.cell[plume_roll(d, r.rows) * r.columns + q->n_by + at];
    const bool above = p->keep.how->query[0] == '>';
    const char *unit = p->keep.measure ? p->keep.measure->unit : "many";
    *ok = c->kind == PLUME_CELL_NUMBER;
    if (!*ok) return LRK_OK;
    return plume_slot_near(d, unit, c->number, above, a, &p->keep.value, ok, err);
}

static lrk_status draw_when(plume_dice *d, lrk_arena *a, plume_plan *p, lrk_err *err)
{
    if (plume_chance(d, 34)) {
        add_rules(p, "H1");
        return LRK_OK;
    }
    p->when = plume_pick_when(d);
    add_rules(p, p->when->rules);
    return plume_fill_draw(d, p->when->query, a, &p->when_fill, err);
}

lrk_status plume_plan_draw(plume_dice *d, char table, const plume_database *db, lrk_arena *a,
                           plume_plan *p, bool *ok, lrk_err *err)
{
    *p = (plume_plan){.table = table};
    p->kind = draw_kind(d, p->table);
    p->reg = (plume_register)plume_roll(d, PLUME_REGISTERS);
    p->noun = plume_pick_noun(d, p->table);
    LRK_TRY(draw_uses(d, a, p, err));
    /* One condition, not a negated or joined one, fits into rate(). */
    *ok =
        p->kind != PLUME_F_SHARE || !(p->share.query[0] == '(' || strstr(p->share.query, "not ") ||
                                      strstr(p->share.query, " and "));
    if (!*ok) return LRK_OK;
    LRK_TRY(draw_aggs(d, a, p, err));
    p->root = p->root || (p->noun->root && p->kind != PLUME_F_HOWSLOW_SVC);
    draw_by(d, p);
    draw_keep(d, p);
    draw_order(d, p);
    *ok = uses_fit(p) && by_fits(p) && measures_fit(p) && words_fit(p) && keep_fits(p);
    if (!*ok) return LRK_OK;
    for (size_t i = 0; i < p->n_use; i++) add_rules(p, p->use[i].filter->rules);
    for (int i = 0; i < 2 && p->has_either; i++) add_rules(p, p->either[i].filter->rules);
    if (p->root) add_rules(p, "H2");
    LRK_TRY(draw_take(d, a, p, err));
    *ok = !*p->take_text || p->take < 5 || !few_values(p->by[0]->column);
    if (!*ok) return LRK_OK;
    LRK_TRY(draw_when(d, a, p, err));
    return p->keep.there ? draw_threshold(d, db, a, p, ok, err) : LRK_OK;
}

static void condition(lrk_buf *b, size_t *n, const char *query)
{
    lrk_buf_puts(b, (*n)++ ? " and " : " | where ");
    lrk_buf_puts(b, query);
}

lrk_status plume_plan_query(const plume_plan *p, lrk_arena *a, const char **out, lrk_err *err)
{
    lrk_buf b = {0};
    const char *window = "last 2h", *value = "";
    size_t n = 0;
    lrk_buf_puts(&b, p->table == 'S' ? "spans" : p->table == 'L' ? "logs" : "hosts");
    if (p->root) condition(&b, &n, "root = true");
    for (size_t i = 0; i < p->n_use; i++) condition(&b, &n, p->use[i].query);
    if (p->has_either) {
        condition(&b, &n, "(");
        lrk_buf_printf(&b, "%s or %s)", p->either[0].query, p->either[1].query);
    }
    for (size_t i = 0; i < p->n_aggs; i++)
        lrk_buf_printf(&b, "%s%s", i ? ", " : " | calc ", p->agg[i]);
    for (size_t i = 0; i < p->n_by; i++)
        lrk_buf_printf(&b, "%s%s", i ? ", " : " | by ", plume_name_text(p->by[i]->column));
    lrk_status s = LRK_OK;
    if (p->keep.there) {
        s = plume_fill_text("{v}", &p->keep.value, false, a, &value, err);
        lrk_buf_printf(&b, " | keep %s %s %s", p->keep.agg, p->keep.how->query, value);
    }
    if (s == LRK_OK && p->when)
        s = plume_fill_text(p->when->query, &p->when_fill, false, a, &window, err);
    lrk_buf_printf(&b, " | %s", window);
    if (p->sort.what)
        lrk_buf_printf(&b, " | sort %s %s", p->sort.what, p->sort.descending ? "desc" : "asc");
    if (p->take) lrk_buf_printf(&b, " | take %d", p->take);
    if (s != LRK_OK) {
        lrk_buf_free(&b);
        return s;
    }
    return text(a, &b, out, err);
}
