/* plume/bank.c -- the rows of phrases/ as tables, and choices among them. */
#include "plume/bank.h"

#include "base/text.h"
#include "plume/database.h"

#include <string.h>

static const struct {
    const char *name, *query, *english;
} slots[] = {
#define SLOT(name, query, english) {#name, query, english},
#include "plume/phrases/slots.def"
#undef SLOT
};

static const plume_filter filters[] = {
#define FILTER(tables, name, weight, rules, query) {tables, #name, weight, rules, query},
#define SAY(name, form, text)
#include "plume/phrases/filters.def"
#undef FILTER
#undef SAY
};

static const struct {
    const char *name;
    char form;
    const char *text;
} says[] = {
#define FILTER(tables, name, weight, rules, query)
#define SAY(name, form, text) {#name, form, text},
#include "plume/phrases/filters.def"
#undef FILTER
#undef SAY
};

static const plume_measure measures[] = {
#define MEASURE(tables, weight, agg, rules, unit, plural, statistic, noun)                         \
    {tables, weight, agg, rules, #unit, plural, statistic, noun},
#define SUPERLATIVE(tables, word, agg, descending, root, rules)
#include "plume/phrases/measures.def"
#undef MEASURE
#undef SUPERLATIVE
};

static const plume_superlative superlatives[] = {
#define MEASURE(tables, weight, agg, rules, unit, plural, statistic, noun)
#define SUPERLATIVE(tables, word, agg, descending, root, rules)                                    \
    {tables, word, agg, descending, root, rules},
#include "plume/phrases/measures.def"
#undef MEASURE
#undef SUPERLATIVE
};

static const plume_entity entities[] = {
#define ENTITY(tables, weight, column, one, many, verbs)                                           \
    {tables, weight, PLUME_N_##column, one, many, verbs},
#define NOUN(tables, weight, root, rules, text)
#include "plume/phrases/entities.def"
#undef ENTITY
#undef NOUN
};

static const plume_noun nouns[] = {
#define ENTITY(tables, weight, column, one, many, verbs)
#define NOUN(tables, weight, root, rules, text) {tables, weight, root, rules, text},
#include "plume/phrases/entities.def"
#undef ENTITY
#undef NOUN
};

static const plume_when whens[] = {
#define WINDOW(weight, query, rules, front, text) {weight, query, rules, front, text},
#include "plume/phrases/times.def"
#undef WINDOW
};

static const struct {
    plume_clause_kind kind;
    const char *text;
} clauses[] = {
#define CLAUSE(kind, text) {PLUME_##kind, text},
#define COMPARE(query, with, after)
#include "plume/phrases/clauses.def"
#undef CLAUSE
#undef COMPARE
};

static const plume_compare compares[] = {
#define CLAUSE(kind, text)
#define COMPARE(query, with, after) {query, with, after},
#include "plume/phrases/clauses.def"
#undef CLAUSE
#undef COMPARE
};

static const struct {
    plume_frame_kind kind;
    plume_register reg;
    const char *text;
} frames[] = {
#define FRAME(kind, reg, text) {PLUME_F_##kind, PLUME_##reg, text},
#include "plume/phrases/frames.def"
#undef FRAME
};

#define COUNT_OF(table) (sizeof(table) / sizeof(table)[0])

uint64_t plume_roll(plume_dice *d, uint64_t n) { return lrk_rng_below(d->rng, d->next++, n); }

bool plume_chance(plume_dice *d, unsigned percent) { return plume_roll(d, 100) < percent; }

/* A weighted choice among the rows of a table that are for `table`. */
#define PICK(type, table_of, name)                                                                 \
    const type *plume_pick_##name(plume_dice *d, char table)                                       \
    {                                                                                              \
        uint64_t total = 0;                                                                        \
        for (size_t i = 0; i < COUNT_OF(table_of); i++)                                            \
            if (strchr(table_of[i].tables, table)) total += WEIGHT(table_of[i]);                   \
        uint64_t r = plume_roll(d, total);                                                         \
        for (size_t i = 0;; i++) {                                                                 \
            if (!strchr(table_of[i].tables, table)) continue;                                      \
            if (r < WEIGHT(table_of[i])) return &table_of[i];                                      \
            r -= WEIGHT(table_of[i]);                                                              \
        }                                                                                          \
    }

#define WEIGHT(row) (row).weight
PICK(plume_filter, filters, filter)
PICK(plume_measure, measures, measure)
PICK(plume_entity, entities, entity)
PICK(plume_noun, nouns, noun)
#undef WEIGHT
#define WEIGHT(row) 1u
PICK(plume_superlative, superlatives, superlative)
#undef WEIGHT

const plume_when *plume_pick_when(plume_dice *d)
{
    uint64_t total = 0;
    for (size_t i = 0; i < COUNT_OF(whens); i++) total += whens[i].weight;
    uint64_t r = plume_roll(d, total);
    size_t i = 0;
    while (r >= whens[i].weight) r -= whens[i++].weight;
    return &whens[i];
}

const plume_compare *plume_pick_compare(plume_dice *d)
{
    return &compares[plume_roll(d, COUNT_OF(compares))];
}

const char *plume_pick_clause(plume_dice *d, plume_clause_kind kind)
{
    uint64_t n = 0;
    for (size_t i = 0; i < COUNT_OF(clauses); i++) n += clauses[i].kind == kind;
    uint64_t r = plume_roll(d, n);
    for (size_t i = 0;; i++)
        if (clauses[i].kind == kind && r-- == 0) return clauses[i].text;
}

const char *plume_pick_say(plume_dice *d, const char *filter, const char *forms, char *form)
{
    uint64_t n = 0;
    for (size_t i = 0; i < COUNT_OF(says); i++)
        n += strcmp(says[i].name, filter) == 0 && strchr(forms, says[i].form);
    if (!n) return NULL;
    uint64_t r = plume_roll(d, n);
    for (size_t i = 0;; i++) {
        if (strcmp(says[i].name, filter) != 0 || !strchr(forms, says[i].form) || r-- != 0) continue;
        *form = says[i].form;
        return says[i].text;
    }
}

const char *plume_pick_frame(plume_dice *d, plume_frame_kind kind, plume_register reg)
{
    uint64_t n = 0;
    for (size_t i = 0; i < COUNT_OF(frames); i++)
        n += frames[i].kind == kind && frames[i].reg == reg;
    if (!n) return NULL;
    uint64_t r = plume_roll(d, n);
    for (size_t i = 0;; i++)
        if (frames[i].kind == kind && frames[i].reg == reg && r-- == 0) return frames[i].text;
}

lrk_status plume_pick_word(plume_dice *d, const char *words, lrk_arena *a, const char **out,
                           lrk_err *err)
{
    uint64_t n = 1;
    for (const char *s = words; *s; s++) n += *s == '|';
    uint64_t r = plume_roll(d, n);
    while (r--) words = strchr(words, '|') + 1;
    *out = lrk_strndup(a, words, strcspn(words, "|"));
    LRK_REQUIRE(err, *out, LRK_ENOMEM, "out of memory");
    return LRK_OK;
}

/* The slot at s, which begins with '{': its name, and which of the three values. */
static size_t slot_at(const char *s, size_t *name, size_t *which)
{
    *name = strcspn(s + 1, ".}");
    *which = s[1 + *name] == '.' ? (size_t)(s[2 + *name] - '1') : 0;
    return strcspn(s, "}") + 1;
}

/* Value i of a slot: a row of slots.def, else of the pool of that name. */
typedef struct slot_list {
    size_t first, n; /* rows of slots */
    const char *const *pool;
} slot_list;

static lrk_status slot_find(const char *name, lrk_arena *a, slot_list *l, lrk_err *err)
{
    *l = (slot_list){0};
    for (size_t i = 0; i < COUNT_OF(slots); i++) {
        if (strcmp(slots[i].name, name) != 0) continue;
        if (!l->n) l->first = i;
        l->n++;
    }
    if (!l->n) LRK_TRY(plume_pool(name, a, &l->pool, &l->n, err));
    LRK_REQUIRE(err, l->n, LRK_EINTERNAL, "phrase bank: no slot '%s'", name);
    return LRK_OK;
}

static lrk_status slot_value(plume_dice *d, const slot_list *l, size_t i, lrk_arena *a,
                             plume_fill *f, size_t which, lrk_err *err)
{
    f->query[which] = l->pool ? l->pool[i] : slots[l->first + i].query;
    f->english[which] = f->query[which];
    if (l->pool) return LRK_OK;
    return plume_pick_word(d, slots[l->first + i].english, a, &f->english[which], err);
}

lrk_status plume_fill_draw(plume_dice *d, const char *template, lrk_arena *a, plume_fill *f,
                           lrk_err *err)
{
    const char *s = strchr(template, '{');
    size_t length, which;
    *f = (plume_fill){0};
    if (!s) return LRK_OK;
    slot_at(s, &length, &which);
    const char *name = lrk_strndup(a, s + 1, length);
    LRK_REQUIRE(err, name, LRK_ENOMEM, "out of memory");
    slot_list l;
    LRK_TRY(slot_find(name, a, &l, err));
    size_t taken[PLUME_FILLS];
    for (size_t i = 0; i < PLUME_FILLS && i < l.n; i++) {
        bool again = true;
        while (again) {
            taken[i] = (size_t)plume_roll(d, l.n);
            again = false;
            for (size_t k = 0; k < i; k++) again = again || taken[k] == taken[i];
        }
        LRK_TRY(slot_value(d, &l, taken[i], a, f, i, err));
    }
    return LRK_OK;
}

lrk_status plume_fill_text(const char *template, const plume_fill *f, bool english, lrk_arena *a,
                           const char **out, lrk_err *err)
{
    lrk_buf b = {0};
    for (const char *s = template; *s;) {
        const size_t plain = strcspn(s, "{");
        size_t name, which;
        lrk_buf_append(&b, s, plain);
        s += plain;
        if (!*s) break;
        s += slot_at(s, &name, &which);
        const char *v = english ? f->english[which] : f->query[which];
        lrk_buf_puts(&b, v ? v : "");
    }
    *out = b.failed ? NULL : lrk_strdup(a, b.data ? b.data : "");
    lrk_buf_free(&b);
    LRK_REQUIRE(err, *out, LRK_ENOMEM, "out of memory");
    return LRK_OK;
}

lrk_status plume_slot_near(plume_dice *d, const char *name, double v, bool below, lrk_arena *a,
                           plume_fill *f, bool *found, lrk_err *err)
{
    slot_list l;
    size_t best = 0;
    double best_value = 0.0;
    *found = false;
    LRK_TRY(slot_find(name, a, &l, err));
    for (size_t i = 0; i < l.n; i++) {
        double x = 0.0;
        const char *text = l.pool ? l.pool[i] : slots[l.first + i].query;
        if (!lrk_text_real(text, &x) || (below ? x > v : x < v)) continue;
        if (*found && (below ? x <= best_value : x >= best_value)) continue;
        *found = true;
        best = i;
        best_value = x;
    }
    *f = (plume_fill){0};
    return *found ? slot_value(d, &l, best, a, f, 0, err) : LRK_OK;
}
