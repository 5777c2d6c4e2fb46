/* plume/english.c -- words for a plan, all of them from the phrase bank. */
#include "plume/plan.h"

#include <string.h>

typedef struct speech {
    const plume_plan *p;
    plume_dice *d;
    lrk_arena *a;
    lrk_err *err;
    bool ok;          /* false: no words for this combination */
    const char *noun; /* what the rows were called, for "such calls" */
    bool logs_said;   /* the rows were called log lines or the like */
} speech;

static lrk_status take(speech *w, lrk_buf *b, const char **out)
{
    *out = b->failed ? NULL : lrk_strdup(w->a, b->data ? b->data : "");
    lrk_buf_free(b);
    LRK_REQUIRE(w->err, *out, LRK_ENOMEM, "out of memory");
    return LRK_OK;
}

static lrk_status joined(speech *w, const char *x, const char *between, const char *y,
                         const char **out)
{
    lrk_buf b = {0};
    lrk_buf_printf(&b, "%s%s%s", x, between, y);
    return take(w, &b, out);
}

/* Replaces {names} of a template. */
typedef struct pair {
    const char *name, *text;
} pair;

static lrk_status expand(speech *w, const char *template, const pair *pairs, size_t n,
                         const char **out)
{
    lrk_buf b = {0};
    for (const char *s = template; *s;) {
        const size_t plain = strcspn(s, "{");
        lrk_buf_append(&b, s, plain);
        s += plain;
        if (!*s) break;
        const size_t length = strcspn(s, "}") - 1;
        for (size_t i = 0; i < n; i++)
            if (strlen(pairs[i].name) == length && memcmp(pairs[i].name, s + 1, length) == 0)
                lrk_buf_puts(&b, pairs[i].text ? pairs[i].text : "");
        s += length + 2;
    }
    return take(w, &b, out);
}

/* A phrase of a condition in one of the forms, filled in; NULL text: there is none. */
static lrk_status say(speech *w, const plume_use *u, const char *forms, char *form,
                      const char **out)
{
    const char *template = plume_pick_say(w->d, u->filter->name, forms, form);
    *out = NULL;
    if (!template) return LRK_OK;
    return plume_fill_text(template, &u->fill, true, w->a, out, w->err);
}

static bool begins(const char *s, const char *with) { return strncmp(s, with, strlen(with)) == 0; }

/* The parts of "failed EU requests to stripe with no retries that took over 1s". */
typedef struct parts {
    const char *before[PLUME_USES], *after[PLUME_USES], *with[PLUME_USES], *that[PLUME_USES];
    size_t n_before, n_after, n_with, n_that;
    const char *noun;
} parts;

/* Hosts that are grouped by host: the rows are the groups, "the hottest hosts in r04". */
static bool rows_are_groups(const plume_plan *p)
{
    return p->kind >= PLUME_F_BEST && p->by[0]->column == PLUME_N_host;
}

static bool fixed_noun(const plume_plan *p)
{
    return p->noun->root || p->kind == PLUME_F_HOSTS || p->kind == PLUME_F_HOSTS_THAT ||
           rows_are_groups(p);
}

static lrk_status sort_uses(speech *w, parts *s, const plume_use **use)
{
    const plume_plan *p = w->p;
    bool named = fixed_noun(p);
    const bool one = strcmp(p->noun->text, "traffic") == 0; /* "traffic that were" */
    for (size_t i = 0; i < p->n_use; i++) {
        lrk_buf forms = {0};
        char form = 0;
        const char *text = NULL, *allowed = NULL;
        lrk_buf_puts(&forms, "plw");
        if (s->n_before < 2) lrk_buf_puts(&forms, "aa");
        if (!named) lrk_buf_puts(&forms, "n");
        if (!one && !p->has_either && p->kind != PLUME_F_SHARE && p->kind != PLUME_F_HOWSLOW)
            lrk_buf_puts(&forms, "t");
        LRK_TRY(take(w, &forms, &allowed));
        LRK_TRY(say(w, use[i], allowed, &form, &text));
        if (!text) {
            w->ok = false;
            return LRK_OK;
        }
        if (form == 'n') {
            named = true;
            s->noun = text;
        } else if (form == 'a')
            s->before[s->n_before++] = text;
        else if (form == 'w')
            s->with[s->n_with++] = text;
        else if (form == 't')
            s->that[s->n_that++] = text;
        else
            s->after[s->n_after++] = text;
    }
    return LRK_OK;
}

static void in_order(const plume_plan *p, const plume_use **use)
{
    for (size_t i = 0; i < p->n_use; i++) {
        size_t at = i;
        for (; at && use[at - 1]->filter > p->use[i].filter; at--) use[at] = use[at - 1];
        use[at] = &p->use[i];
    }
}

/* "with a and b", "with a and without b" */
static void list_with(lrk_buf *b, const char *const *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const bool again = i && begins(items[i - 1], "with ") && begins(items[i], "with ");
        lrk_buf_printf(b, "%s%s", i ? " and " : " ", items[i] + (again ? strlen("with ") : 0));
    }
}

static void list_that(lrk_buf *b, const char *const *items, size_t n)
{
    /* A negation comes last: what follows it would be read as negated too. */
    bool first = true;
    for (int negated = 0; negated < 2; negated++)
        for (size_t i = 0; i < n; i++) {
            const bool is_negated = strstr(items[i], "n't ") || strstr(items[i], "not ") ||
                                    strstr(items[i], "neither ");
            if (is_negated != (negated == 1)) continue;
            lrk_buf_printf(b, "%s%s", first ? " that " : " and ", items[i]);
            first = false;
        }
}

static lrk_status either(speech *w, lrk_buf *b)
{
    const char *x = NULL, *y = NULL;
    char form = 0;
    LRK_TRY(say(w, &w->p->either[0], "t", &form, &x));
    LRK_TRY(say(w, &w->p->either[1], "t", &form, &y));
    /* "from a or b or failed": which or binds? */
    if (!x || !y || strstr(x, " or ") || strstr(y, " or ")) {
        w->ok = false;
        return LRK_OK;
    }
    const uint64_t way = plume_roll(w->d, 3);
    lrk_buf_printf(b, " that %s%s%s%s", way == 0 ? "either " : "", x,
                   way == 1 ? " or that " : " or ", y);
    return LRK_OK;
}

/* The rows with all their conditions. */
static lrk_status subject(speech *w, const char **out)
{
    const plume_plan *p = w->p;
    const plume_use *use[PLUME_USES];
    parts s = {.noun = fixed_noun(p) && !p->noun->root ? "hosts" : p->noun->text};
    lrk_buf b = {0};
    in_order(p, use);
    LRK_TRY(sort_uses(w, &s, use));
    *out = "";
    if (!w->ok) return LRK_OK;
    for (size_t i = s.n_before; i--;) lrk_buf_printf(&b, "%s ", s.before[i]);
    lrk_buf_puts(&b, s.noun);
    for (size_t i = 0; i < s.n_after; i++) lrk_buf_printf(&b, " %s", s.after[i]);
    list_with(&b, s.with, s.n_with);
    list_that(&b, s.that, s.n_that);
    if (p->has_either) LRK_TRY(either(w, &b));
    w->noun = s.noun;
    w->logs_said = p->table == 'L' && (strstr(s.noun, "log") || strstr(s.noun, "lines"));
    return take(w, &b, out);
}

/* All conditions as bare words or as places, without a noun; NULL where that cannot be. */
static lrk_status places(speech *w, const char *forms, const char **out)
{
    const plume_plan *p = w->p;
    const plume_use *use[PLUME_USES];
    lrk_buf b = {0};
    bool all = p->n_use && !p->has_either && !(p->noun->root && !(p->best && p->best->root));
    in_order(p, use);
    for (size_t i = 0; all && i < p->n_use; i++) {
        char form = 0;
        const char *text = NULL;
        LRK_TRY(say(w, use[i], forms, &form, &text));
        all = text != NULL;
        if (text) lrk_buf_printf(&b, " %s", text);
    }
    *out = NULL;
    if (all) return take(w, &b, out);
    lrk_buf_free(&b);
    return LRK_OK;
}

/* What stands after a measure: nothing, a place, or "for" and the rows. */
static lrk_status of_rows(speech *w, const char **out)
{
    const plume_plan *p = w->p;
    const bool silent = !p->noun->root || (p->best && p->best->root);
    const char *s = NULL;
    *out = "";
    if (!p->n_use && !p->has_either && silent && plume_chance(w->d, 85)) return LRK_OK;
    if (p->reg == PLUME_S && plume_chance(w->d, 50)) {
        LRK_TRY(places(w, "b", &s));
        *out = s ? s : *out;
        if (s) return LRK_OK;
    }
    if (plume_chance(w->d, 75)) {
        LRK_TRY(places(w, "p", &s));
        *out = s ? s : *out;
        if (s) return LRK_OK;
    }
    LRK_TRY(subject(w, &s));
    const bool host = p->table == 'H' && !p->best && plume_chance(w->d, 40);
    return joined(w,
                  host                                ? " across "
                  : plume_chance(w->d, 60) || p->best ? " for "
                                                      : " of ",
                  s, "", out);
}

static lrk_status measure_text(speech *w, const plume_measure *m, const char **out)
{
    const char *noun = m->noun;
    if (w->logs_said && begins(noun, "log ")) noun += strlen("log ");
    return joined(w, m->statistic, *m->statistic && *noun ? " " : "", noun, out);
}

/* The measures of a plan as one phrase: "p50 and p99 latency", "count and error rate". */
static lrk_status measures_text(speech *w, const char **out)
{
    const plume_plan *p = w->p;
    const char *x = NULL, *y = NULL;
    *out = "";
    if (!p->n_measures) return LRK_OK;
    LRK_TRY(measure_text(w, p->measure[0], &x));
    *out = x;
    if (p->with_count) {
        static const char *const spans[] = {"count", "call count", "number of calls", "span count"};
        static const char *const logs[] = {"count", "line count", "number of lines",
                                           "number of log lines"};
        y = (p->table == 'S' ? spans : logs)[plume_roll(w->d, 4)];
        /* "count and latency of failed calls" names the rows itself; "count and retries" needs
         * them. */
        if (w->noun) y = "count";
        if (p->measure[0]->plural && !w->noun)
            y = p->table == 'S' ? "number of calls" : "number of lines";
        return joined(w, y, " and ", x, out);
    }
    if (p->n_measures < 2) return LRK_OK;
    const plume_measure *m = p->measure[0], *n = p->measure[1];
    if (strcmp(m->noun, n->noun) == 0 && *m->statistic && *n->statistic) {
        LRK_TRY(joined(w, m->statistic, " and ", n->statistic, &y));
        return joined(w, y, " ", n->noun, out);
    }
    LRK_TRY(measure_text(w, n, &y));
    /* "typical cpu and memory" would be typical memory too: the one without statistic comes first.
     */
    if (*m->statistic && !*n->statistic) return joined(w, y, " and ", x, out);
    return joined(w, x, " and ", y, out);
}

static const char *rows_word(const speech *w)
{
    const plume_plan *p = w->p;
    if (p->noun->root || p->root) return "requests";
    return p->table == 'S' ? "calls" : "lines";
}

/* The condition on groups. */
static lrk_status condition(speech *w, const char *rows, const char *of, const char **out)
{
    const plume_plan *p = w->p;
    const plume_measure *m = p->keep.measure;
    const char *value = NULL, *name = NULL;
    lrk_buf b = {0};
    LRK_TRY(plume_fill_text("{v}", &p->keep.value, true, w->a, &value, w->err));
    if (!m) {
        const bool filtered = p->n_use || p->has_either;
        lrk_buf_printf(&b, "%s %s", p->keep.how->with, value);
        if (p->kind == PLUME_F_HAVING)
            lrk_buf_printf(&b, " %s", rows);
        else if (!filtered)
            lrk_buf_printf(&b, " %s", rows_word(w));
        else if (p->kind == PLUME_F_COUNT && plume_chance(w->d, 50))
            lrk_buf_puts(&b, " of them");
        else if (p->kind != PLUME_F_COUNT)
            lrk_buf_printf(&b, " such %s", rows_word(w));
        return take(w, &b, out);
    }
    LRK_TRY(measure_text(w, m, &name));
    const char *after = p->kind == PLUME_F_HAVING ? of : "";
    if (m->plural || begins(name, "number of "))
        lrk_buf_printf(&b, "%s %s %s%s", p->keep.how->with, value, name + (m->plural ? 0 : 10),
                       after);
    else
        lrk_buf_printf(&b, "a(n) %s %s %s%s", name, p->keep.how->after, value, after);
    return take(w, &b, out);
}

typedef struct tail {
    const char *by, *keep, *when, *sort;
} tail;

static lrk_status tail_by(speech *w, tail *t)
{
    const plume_plan *p = w->p;
    const bool said = p->kind >= PLUME_F_BEST; /* the group is in the frame */
    if (said || !p->n_by) return LRK_OK;
    const pair pairs[] = {{"x", p->by[0]->one}, {"y", p->n_by > 1 ? p->by[1]->one : ""}};
    return expand(w, plume_pick_clause(w->d, p->n_by > 1 ? PLUME_BY2 : PLUME_BY1), pairs, 2,
                  &t->by);
}

static lrk_status tail_keep(speech *w, tail *t)
{
    const plume_plan *p = w->p;
    const char *c = NULL;
    if (!p->keep.there || p->kind == PLUME_F_HAVING) return LRK_OK;
    LRK_TRY(condition(w, "", "", &c));
    const pair pairs[] = {{"x", p->by[0]->one}, {"xs", p->by[0]->many}, {"c", c}};
    return expand(w, plume_pick_clause(w->d, p->n_by > 1 ? PLUME_KEEP2 : PLUME_KEEP1), pairs, 3,
                  &t->keep);
}

static lrk_status tail_sort(speech *w, tail *t)
{
    const plume_plan *p = w->p;
    const char *m = "count";
    if (!p->sort.what || (p->kind >= PLUME_F_BEST && p->kind != PLUME_F_HAVING)) return LRK_OK;
    if (p->sort.measure) LRK_TRY(measure_text(w, p->sort.measure, &m));
    const pair pairs[] = {{"x", p->by[0]->one}, {"m", m}};
    const bool alone = p->n_aggs == 1 && plume_chance(w->d, 40);
    const plume_clause_kind kind = p->sort.column
                                       ? (p->sort.descending ? PLUME_SORT_X_DOWN : PLUME_SORT_X)
                                   : p->sort.descending ? (alone ? PLUME_DOWN_ONE : PLUME_DOWN)
                                                        : (alone ? PLUME_UP_ONE : PLUME_UP);
    return expand(w, plume_pick_clause(w->d, kind), pairs, 2, &t->sort);
}

static void piece(lrk_buf *b, const char *text, bool *comma)
{
    if (!text) return;
    if (*text == ',')
        *comma = true;
    else if (*comma)
        lrk_buf_puts(b, ", ");
    else
        lrk_buf_puts(b, " ");
    lrk_buf_puts(b, text);
}

/* by, window, keep, sort, with commas where a piece would hang on the wrong one. The window goes to
 * *front instead where the sentence begins with it. */
static lrk_status tail_text(speech *w, const char *frame, const char **front, const char **out)
{
    const plume_plan *p = w->p;
    tail t = {0};
    lrk_buf b = {0};
    bool comma = false;
    LRK_TRY(tail_by(w, &t));
    LRK_TRY(tail_keep(w, &t));
    LRK_TRY(tail_sort(w, &t));
    *front = NULL;
    if (p->when)
        LRK_TRY(plume_fill_text(p->when->text, &p->when_fill, true, w->a, &t.when, w->err));
    if (p->when && p->when->front && !begins(frame, "for ") && p->reg != PLUME_S &&
        p->reg != PLUME_N && plume_chance(w->d, 14)) {
        *front = t.when;
        t.when = NULL;
    }
    const bool when_first = t.when && *t.when != ',' && plume_chance(w->d, 25);
    if (when_first) piece(&b, t.when, &comma);
    piece(&b, t.by, &comma);
    if (!when_first) piece(&b, t.when, &comma);
    piece(&b, t.keep, &comma);
    piece(&b, t.sort, &comma);
    return take(w, &b, out);
}

/* "a(n) error rate" becomes "an error rate"; the first letter and the closing sign follow. */
static lrk_status polish(speech *w, const char *text, bool frame_first, const char **out)
{
    const plume_register r = w->p->reg;
    const bool formal = (r == PLUME_Q || r == PLUME_C || r == PLUME_A) && frame_first &&
                        plume_chance(w->d, r == PLUME_A ? 70 : 40);
    lrk_buf b = {0};
    for (const char *s = text; *s; s++) {
        if (!begins(s, "a(n) ")) {
            lrk_buf_append(&b, s, 1);
            continue;
        }
        const bool vowel = strchr("aeio", s[5]) || (s[5] == 'u' && !begins(s + 5, "user"));
        lrk_buf_puts(&b, vowel ? "an " : "a ");
        s += 4;
    }
    if (formal && !b.failed && b.n && b.data[0] >= 'a' && b.data[0] <= 'z')
        b.data[0] = (char)(b.data[0] - 'a' + 'A');
    const bool asks = !b.failed && b.n && b.data[b.n - 1] == '?';
    if (formal && !asks && plume_chance(w->d, 70)) lrk_buf_puts(&b, ".");
    if (!formal && asks && r == PLUME_Q && plume_chance(w->d, 15)) b.data[--b.n] = '\0';
    return take(w, &b, out);
}

/* The frame's kind, where plural measures are counted instead of measured. */
static plume_frame_kind frame_kind(const plume_plan *p)
{
    const bool plural = p->n_measures && p->measure[0]->plural;
    if (p->kind == PLUME_F_METRIC && plural) return PLUME_F_METRICS;
    if (!plural || p->kind < PLUME_F_HIGH || p->kind > PLUME_F_LOWS) return p->kind;
    return (plume_frame_kind)(p->kind - PLUME_F_HIGH + PLUME_F_MOST);
}

/* Everything that a frame may ask for. */
static lrk_status fill_frame(speech *w, const char *frame, const char *tail_, const char **out)
{
    const plume_plan *p = w->p;
    const char *m = NULL, *rows = "", *of = "", *c = "", *had = "", *t = "";
    char form = 0;
    const bool counts = frame_kind(p) != p->kind && p->kind != PLUME_F_METRIC;
    const bool having_rows = p->kind == PLUME_F_HAVING && !p->keep.measure;
    const bool groups = rows_are_groups(p) && (p->n_use || p->has_either);
    const bool having_of = p->kind == PLUME_F_HAVING && p->keep.measure;
    const bool says_of = strstr(frame, "{of}") || counts || having_of;
    const bool says_rows = (strstr(frame, "{S}") && !counts) || having_rows;
    if (groups && !strstr(frame, "{xs}")) w->ok = false;
    if (says_of && !groups) LRK_TRY(of_rows(w, &of));
    if (says_rows || groups) LRK_TRY(subject(w, &rows));
    if (!w->ok) return LRK_OK;
    LRK_TRY(measures_text(w, &m));
    if (counts) LRK_TRY(joined(w, m, "", of, &rows));
    if (p->kind == PLUME_F_HAVING) LRK_TRY(condition(w, rows, of, &c));
    if (p->counted) LRK_TRY(plume_pick_word(w->d, p->counted->verbs, w->a, &had, w->err));
    if (strstr(frame, "{t}")) {
        LRK_TRY(say(w, p->kind == PLUME_F_SHARE ? &p->share : &p->use[0], "t", &form, &t));
        w->ok = t != NULL;
    }
    const plume_entity *x = p->counted ? p->counted : p->n_by ? p->by[0] : NULL;
    const pair pairs[] = {
        {"S", rows},
        {"of", of},
        {"m", m},
        {"c", c},
        {"had", had},
        {"t", t},
        {"tail", tail_},
        {"x", x ? x->one : ""},
        {"xs", groups ? rows
               : x    ? x->many
                      : ""},
        {"n", p->take_text},
        {"word", p->best ? p->best->word : ""},
        {"svc", p->n_use ? p->use[0].fill.english[0] : ""},
    };
    return expand(w, frame, pairs, sizeof pairs / sizeof pairs[0], out);
}

lrk_status plume_plan_english(const plume_plan *p, plume_dice *d, lrk_arena *a, const char **out,
                              bool *ok, lrk_err *err)
{
    speech w = {.p = p, .d = d, .a = a, .err = err, .ok = true};
    const char *frame = plume_pick_frame(d, frame_kind(p), p->reg), *front = NULL, *tail_ = NULL;
    *ok = frame != NULL;
    if (!frame) return LRK_OK;
    LRK_TRY(tail_text(&w, frame, &front, &tail_));
    const char *text = NULL;
    lrk_status s = fill_frame(&w, frame, tail_, &text);
    *ok = w.ok;
    if (s != LRK_OK || !w.ok) return s;
    if (front) LRK_TRY(joined(&w, front, ", ", text, &text));
    return polish(&w, text, front || *frame != '{', out);
}
