/* plume/generate.c -- draws rows until enough are good. */
#include "plume/generate.h"

#include "base/json.h"
#include "base/sha256.h"
#include "plume/canonical.h"
#include "plume/execute.h"
#include "plume/features.h"
#include "plume/mutate.h"
#include "plume/plan.h"

#include <string.h>

static const char *const splits[PLUME_SPLITS] = {"train", "val", "test-iid", "test-comp"};

const char *plume_split_text(plume_split s) { return splits[s]; }

bool plume_split_find(const char *name, plume_split *s)
{
    for (int i = 0; i < PLUME_SPLITS; i++)
        if (strcmp(splits[i], name) == 0) {
            *s = (plume_split)i;
            return true;
        }
    return false;
}

enum { ROW_BYTES = 1 << 20 }; /* what tries for a row take before it is given back */

/* Texts seen so far, each with a number: a hash table that doubles. */
typedef struct seen {
    struct seen_slot {
        const char *text;
        unsigned count;
    } * slot;
    size_t capacity, n;
} seen;

static uint64_t hash(const char *s)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

static struct seen_slot *seen_at(const seen *t, const char *text)
{
    size_t i = hash(text) & (t->capacity - 1);
    while (t->slot[i].text && strcmp(t->slot[i].text, text) != 0) i = (i + 1) & (t->capacity - 1);
    return &t->slot[i];
}

static lrk_status seen_make(seen *t, size_t rows, lrk_arena *a, lrk_err *err)
{
    t->capacity = 1024;
    while (t->capacity < 4 * rows) t->capacity *= 2;
    return lrk_alloc(a, t->capacity, sizeof *t->slot, "rows so far", &t->slot, err);
}

typedef struct maker {
    plume_split split;
    uint64_t seed;
    plume_database *db;
    seen questions, queries;
    lrk_arena *arena; /* for what stays */
    lrk_err *err;
} maker;

/* Split by the hash of the canonical query: an eighth each for test-iid and val. */
static plume_split split_of(const char *canonical)
{
    char hex[65];
    lrk_sha256_hex(canonical, strlen(canonical), hex);
    if (hex[0] == '0' || hex[0] == '1') return PLUME_TEST_IID;
    return hex[0] == '2' || hex[0] == '3' ? PLUME_VAL : PLUME_TRAIN;
}

static bool right_split(const maker *m, const plume_features *f, const char *canonical)
{
    if (m->split == PLUME_TEST_COMP) return plume_held_out(f) && f->filters < 4 && f->aggs < 3;
    return !plume_held_out(f) && split_of(canonical) == m->split;
}

typedef struct row {
    const char *question, *canonical;
    const plume_query *query;
    plume_features features;
    int level;
    plume_result result[PLUME_DATABASES];
} row;

/* Gold finds rows on 3 databases; its results stay for the comparison with the mutants. */
static lrk_status finds_rows(maker *m, row *r, lrk_arena *a, bool *ok)
{
    int found = 0;
    for (size_t i = 0; i < PLUME_DATABASES; i++) {
        LRK_TRY(plume_execute(r->query, &m->db[i], a, &r->result[i], m->err));
        found += r->result[i].matched && r->result[i].rows;
    }
    *ok = found >= 3;
    return LRK_OK;
}

static lrk_status differs(maker *m, const row *r, const plume_query *mutant, bool *yes)
{
    const bool ordered = r->query->sort.kind != PLUME_UNSORTED;
    lrk_arena a = lrk_arena_growing("results");
    lrk_status s = LRK_OK;
    *yes = false;
    for (size_t i = 0; i < PLUME_DATABASES && s == LRK_OK && !*yes; i++) {
        plume_result other = {0};
        s = plume_execute(mutant, &m->db[i], &a, &other, m->err);
        *yes = s == LRK_OK && !plume_result_equal(&r->result[i], &other, ordered);
    }
    lrk_arena_free(&a);
    return s;
}

static lrk_status tells_mutants(maker *m, const row *r, lrk_arena *a, bool *ok)
{
    const plume_query *mutant[PLUME_MUTANTS];
    size_t n = 0, alike = 0;
    LRK_TRY(plume_mutants(r->query, &m->db[0], a, mutant, &n, m->err));
    for (size_t i = 0; i < n && 10 * alike <= n; i++) {
        bool yes = false;
        LRK_TRY(differs(m, r, mutant[i], &yes));
        alike += !yes;
    }
    *ok = 10 * alike <= n;
    return LRK_OK;
}

/* One attempt: *ok is false where the draw gave nothing, or nothing of this level and split. */
static lrk_status attempt(maker *m, uint32_t step, char table, int level, lrk_arena *a, row *r,
                          bool *ok)
{
    plume_dice d = {{m->seed, LRK_SITE_SAMPLE, step}, 0};
    plume_plan p;
    const char *text = NULL;
    const plume_query *q = NULL;
    lrk_buf b = {0};
    LRK_TRY(plume_plan_draw(&d, table, &m->db[0], a, &p, ok, m->err));
    if (!*ok) return LRK_OK;
    LRK_TRY(plume_plan_query(&p, a, &text, m->err));
    LRK_TRY(plume_parse(text, strlen(text), false, a, &q, NULL, m->err));
    LRK_TRY(plume_canonical(q, a, &r->query, m->err));
    *ok = plume_valid_canonical(r->query, NULL) == LRK_OK;
    if (!*ok) return LRK_OK;
    r->features = plume_features_of(r->query, p.rules, false);
    r->level = plume_level(&r->features);
    plume_print(r->query, &b);
    r->canonical = b.failed ? NULL : lrk_strdup(a, b.data);
    lrk_buf_free(&b);
    LRK_REQUIRE(m->err, r->canonical, LRK_ENOMEM, "out of memory");
    *ok = (!level || r->level == level) && right_split(m, &r->features, r->canonical);
    if (!*ok) return LRK_OK;
    return plume_plan_english(&p, &d, a, &r->question, ok, m->err);
}

/* A question is asked once; a query three times in training, in other words, else once. */
static lrk_status is_new(maker *m, const row *r, bool *ok)
{
    const unsigned most = m->split == PLUME_TRAIN ? 3 : 1;
    *ok = !seen_at(&m->questions, r->question)->text &&
          seen_at(&m->queries, r->canonical)->count < most;
    return LRK_OK;
}

static lrk_status remember(maker *m, const row *r)
{
    struct seen_slot *slot[] = {seen_at(&m->questions, r->question),
                                seen_at(&m->queries, r->canonical)};
    const char *text[] = {r->question, r->canonical};
    for (int i = 0; i < 2; i++) {
        if (!slot[i]->text) slot[i]->text = lrk_strdup(m->arena, text[i]);
        LRK_REQUIRE(m->err, slot[i]->text, LRK_ENOMEM, "out of memory");
        slot[i]->count++;
    }
    return LRK_OK;
}

static void quoted(lrk_buf *b, const char *name, const char *text)
{
    lrk_buf_printf(b, ", \"%s\": ", name);
    lrk_json_quote(b, text, strlen(text));
}

static lrk_status emit(maker *m, const row *r, size_t number, plume_row f, void *ctx)
{
    lrk_buf b = {0}, shape = {0};
    plume_print_shape(r->query, &shape);
    lrk_buf_printf(&b, "{\"id\": \"%s-%05zu\"", splits[m->split], number);
    quoted(&b, "split", splits[m->split]);
    quoted(&b, "schema", plume_table_text(r->query->table));
    quoted(&b, "nl", r->question);
    quoted(&b, "current", "");
    quoted(&b, "target", r->canonical);
    lrk_buf_puts(&b, ", \"tags\": ");
    plume_tags(&r->features, &b);
    lrk_buf_printf(&b, ", \"level\": \"L%d\"", r->level);
    quoted(&b, "group", shape.data ? shape.data : "");
    lrk_buf_puts(&b, "}");
    lrk_status s = lrk_buf_check(&b, m->err);
    if (s == LRK_OK) s = f(ctx, b.data, b.n, m->err);
    lrk_buf_free(&b);
    lrk_buf_free(&shape);
    return s;
}

/* How many of 100 rows are of level 1 to 5. */
static int wanted_level(const maker *m, size_t number)
{
    static const uint64_t share[] = {16, 21, 27, 20, 16};
    uint64_t r = lrk_rng_below((lrk_rng){m->seed, LRK_SITE_SAMPLE, 0}, number, 100);
    int level = 1;
    if (m->split == PLUME_TEST_COMP) return 0;
    while (r >= share[level - 1]) r -= share[level++ - 1];
    return level;
}

/* And of the tables. */
static char wanted_table(const maker *m, size_t number)
{
    const uint64_t r = lrk_rng_below((lrk_rng){m->seed, LRK_SITE_SAMPLE + 1, 0}, number, 100);
    return r < 60 ? 'S' : r < 82 ? 'L' : 'H';
}

static lrk_status next_row(maker *m, size_t number, uint32_t *step, plume_row f, void *ctx)
{
    /* Far more tries than any level needs: a bank that cannot give a row is found out. */
    const uint32_t end = *step + 200000;
    const int level = wanted_level(m, number);
    const char table = wanted_table(m, number);
    bool ok = false;
    lrk_status s = LRK_OK;
    lrk_arena a = lrk_arena_growing("row"); /* of many tries: most take less than a block */
    while (s == LRK_OK && !ok && *step < end) {
        row r = {0};
        if (a.used > ROW_BYTES) lrk_arena_free(&a);
        s = attempt(m, ++*step, table, level, &a, &r, &ok);
        if (s == LRK_OK && ok) s = is_new(m, &r, &ok);
        if (s == LRK_OK && ok) s = finds_rows(m, &r, &a, &ok);
        if (s == LRK_OK && ok) s = tells_mutants(m, &r, &a, &ok);
        if (s == LRK_OK && ok) s = remember(m, &r);
        if (s == LRK_OK && ok) s = emit(m, &r, number, f, ctx);
    }
    lrk_arena_free(&a);
    LRK_TRY(s);
    LRK_REQUIRE(m->err, ok, LRK_EVALUE, "no more rows of split %s, level %d after %zu rows",
                splits[m->split], level, number - 1);
    return LRK_OK;
}

lrk_status plume_generate(plume_split split, size_t rows, uint64_t seed, plume_row f, void *ctx,
                          lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("generator");
    maker m = {.split = split, .seed = seed, .arena = &a, .err = err};
    uint32_t step = 0;
    lrk_status s = lrk_alloc(&a, PLUME_DATABASES, sizeof *m.db, "databases", &m.db, err);
    if (s == LRK_OK) s = plume_databases_make(m.db, &a, err);
    if (s == LRK_OK) s = seen_make(&m.questions, rows, &a, err);
    if (s == LRK_OK) s = seen_make(&m.queries, rows, &a, err);
    for (size_t i = 1; s == LRK_OK && i <= rows; i++) s = next_row(&m, i, &step, f, ctx);
    lrk_arena_free(&a);
    return s;
}
