/* data/tokenizer/vocabulary.c -- model.vocab, model.merges and added_tokens of a tokenizer.json. */
#include "base/sha256.h"
#include "base/size.h"
#include "data/tokenizer/json_parts.h"

#include <string.h>

/* One entry of model.vocab; its text stays in the file unless it has escapes. */
typedef struct entry {
    lrk_piece text;
    int64_t id;
    double score;
} entry;

typedef struct entries {
    lrk_arena arena; /* texts with escapes */
    entry *e;
    size_t n, capacity;
    int64_t highest;
} entries;

static lrk_status add_entry(entries *x, const lrk_pull *p, entry e, lrk_err *err)
{
    LRK_REQUIRE(err, x->n < LRK_MAX_VOCAB && e.id < LRK_MAX_VOCAB, LRK_EINPUT,
                "model.vocab: more than %d tokens, or an id beyond", LRK_MAX_VOCAB);
    if (x->n == x->capacity) {
        const size_t more = x->capacity ? 2 * x->capacity : 1024;
        entry *grown = lrk_heap_grow(x->e, more, sizeof *grown);
        LRK_REQUIRE(err, grown, LRK_ENOMEM, "model.vocab: out of memory");
        x->e = grown;
        x->capacity = more;
    }
    if (e.text.data == p->text.data && e.text.n) {
        e.text.data = lrk_strndup(&x->arena, e.text.data, e.text.n);
        LRK_REQUIRE(err, e.text.data, LRK_ENOMEM, "model.vocab: out of memory");
    }
    if (e.id > x->highest) x->highest = e.id;
    x->e[x->n++] = e;
    return LRK_OK;
}

/* {"text": id, ...} */
static lrk_status read_object(entries *x, lrk_pull *p, lrk_err *err)
{
    if (!lrk_pull_char(p, '{'))
        return lrk_fail(err, LRK_EINPUT, "model.vocab: missing, or not an object");
    if (lrk_pull_char(p, '}')) return LRK_OK;
    do {
        entry e = {.id = -1};
        const bool fine = lrk_pull_string(p, &e.text) && lrk_pull_char(p, ':');
        LRK_TRY(lrk_buf_check(&p->text, err));
        LRK_REQUIRE(err, fine, LRK_EINPUT, "model.vocab: expected a token behind %zu others",
                    x->n);
        LRK_REQUIRE(err, lrk_pull_integer(p, &e.id) && e.id >= 0, LRK_EINPUT,
                    "model.vocab: the id of '%.*s' is not a number from 0 on",
                    (int)lrk_min(e.text.n, 200), e.text.data);
        LRK_TRY(add_entry(x, p, e, err));
    } while (lrk_pull_char(p, ','));
    LRK_REQUIRE(err, lrk_pull_char(p, '}'), LRK_EINPUT, "model.vocab: ends within");
    return LRK_OK;
}

/* [["text", score], ...], ids in order */
static lrk_status read_array(entries *x, lrk_pull *p, lrk_err *err)
{
    if (!lrk_pull_char(p, '['))
        return lrk_fail(err, LRK_EINPUT, "model.vocab: missing, or not an array");
    if (lrk_pull_char(p, ']')) return LRK_OK;
    do {
        entry e = {.id = (int64_t)x->n};
        const bool fine = lrk_pull_char(p, '[') && lrk_pull_string(p, &e.text) &&
                          lrk_pull_char(p, ',') && lrk_pull_number(p, &e.score) &&
                          lrk_pull_char(p, ']');
        LRK_TRY(lrk_buf_check(&p->text, err));
        LRK_REQUIRE(err, fine, LRK_EINPUT, "model.vocab: token %zu is not [\"text\", score]", x->n);
        LRK_TRY(add_entry(x, p, e, err));
    } while (lrk_pull_char(p, ','));
    LRK_REQUIRE(err, lrk_pull_char(p, ']'), LRK_EINPUT, "model.vocab: ends within");
    return LRK_OK;
}

static lrk_status set_entries(lrk_tokenizer *t, const entries *x, bool unigram, lrk_err *err)
{
    for (size_t i = 0; i < x->n; i++) {
        const entry *e = &x->e[i];
        LRK_TRY(lrk_tokenizer_set(t, (size_t)e->id, e->text.data, e->text.n, "model.vocab", err));
    }
    t->n_model = (size_t)x->highest + 1;
    if (!unigram) return LRK_OK;
    LRK_TRY(lrk_alloc(&t->arena, t->n, sizeof *t->score, "scores", &t->score, err));
    for (size_t i = 0; i < x->n; i++) t->score[i] = x->e[i].score;
    return LRK_OK;
}

/* ---- added tokens ---- */

static lrk_status set_flags(lrk_tokenizer *t, uint32_t id, const lrk_json *v, lrk_err *err)
{
    static const struct {
        const char *key;
        unsigned char flag;
    } flags[] = {{"special", LRK_IS_SPECIAL},
                 {"normalized", LRK_IS_NORMALIZED},
                 {"lstrip", LRK_IS_LSTRIP},
                 {"rstrip", LRK_IS_RSTRIP},
                 {"single_word", LRK_IS_SINGLE_WORD}};
    t->flags[id] |= LRK_IS_ADDED;
    for (size_t f = 0; f < sizeof flags / sizeof *flags; f++) {
        bool on = false;
        LRK_TRY(lrk_json_opt_bool(v, flags[f].key, &on, "added_tokens", err));
        if (on) t->flags[id] |= flags[f].flag;
    }
    return LRK_OK;
}

/* One added token is ids and flags; where its text is new, its id must be the one that the
 * reference would give it, whatever the file says. */
static lrk_status added_token(lrk_tokenizer *t, const lrk_json *v, size_t i, size_t n_vocab,
                              size_t *next, lrk_err *err)
{
    const lrk_json *id_value = lrk_json_get(v, "id");
    size_t n = 0;
    const char *content = lrk_json_string(lrk_json_get(v, "content"), &n);
    LRK_REQUIRE(err, content && lrk_json_is(id_value, LRK_JSON_INTEGER), LRK_EINPUT,
                "added_tokens[%zu]: expected an object with id and content", i);
    LRK_TRY(lrk_json_only(v, "id content single_word lstrip rstrip normalized special",
                          "added_tokens", err));
    const int64_t id = lrk_json_integer(id_value), known = lrk_token_id(t, content, n);
    if (known == LRK_NO_ID) {
        uint32_t same;
        LRK_REQUIRE(
            err, id >= 0 && (uint64_t)id == *next, LRK_EINPUT,
            "added_tokens[%zu]: '%s' has id %lld, expected %zu: ids must follow one another "
            "behind those of model.vocab",
            i, content, (long long)id, *next);
        LRK_TRY(lrk_tokenizer_set(t, (size_t)id, content, n, "added_tokens", err));
        LRK_TRY(lrk_strings_add(&t->by_text, (uint32_t)id, &same, err));
        ++*next;
    } else {
        LRK_REQUIRE(err, known == id || (size_t)known < n_vocab, LRK_EINPUT,
                    "added_tokens[%zu]: ids %lld and %lld are both '%s'", i, (long long)known,
                    (long long)id, content);
        LRK_REQUIRE(err, known == id, LRK_EINPUT,
                    "added_tokens[%zu]: '%s' has id %lld, in model.vocab it has %lld", i, content,
                    (long long)id, (long long)known);
    }
    LRK_REQUIRE(err, !(t->flags[id] & LRK_IS_ADDED), LRK_EINPUT,
                "added_tokens[%zu]: '%s' is there twice", i, content);
    return set_flags(t, (uint32_t)id, v, err);
}

static lrk_status read_added(lrk_tokenizer *t, const lrk_json *added, size_t n_vocab, lrk_err *err)
{
    size_t next = n_vocab;
    for (size_t i = 0; i < lrk_json_size(added); i++)
        LRK_TRY(added_token(t, lrk_json_at(added, i), i, n_vocab, &next, err));
    return lrk_tokenizer_complete(t, err);
}

/* How many of the added tokens are not in model.vocab: at most all of them. */
static lrk_status room_for(const entries *x, const lrk_json *added, size_t *n, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("vocabulary");
    lrk_piece *text = NULL;
    lrk_strings table;
    lrk_status status = lrk_alloc(&a, x->n, sizeof *text, "model.vocab", &text, err);
    if (status == LRK_OK) status = lrk_strings_make(&table, &a, x->n, text, err);
    for (size_t i = 0; status == LRK_OK && i < x->n; i++) {
        uint32_t other;
        text[i] = x->e[i].text;
        status = lrk_strings_add(&table, (uint32_t)i, &other, err);
    }
    size_t more = 0;
    for (size_t i = 0; status == LRK_OK && i < lrk_json_size(added); i++) {
        size_t length = 0;
        const char *content =
            lrk_json_string(lrk_json_get(lrk_json_at(added, i), "content"), &length);
        more += content && lrk_strings_find(&table, content, length) == LRK_NO_ID;
    }
    lrk_arena_free(&a);
    *n = x->n + more;
    if (*n < (size_t)(x->highest + 1)) *n = (size_t)(x->highest + 1);
    return status;
}

lrk_status lrk_json_vocabulary(lrk_tokenizer **t, lrk_pull *vocab, const lrk_json *added,
                               bool unigram, lrk_err *err)
{
    entries x = {.arena = lrk_arena_growing("vocabulary"), .highest = -1};
    size_t n = 0;
    lrk_status status = !added || lrk_json_is(added, LRK_JSON_ARRAY)
                            ? LRK_OK
                            : lrk_fail(err, LRK_EINPUT, "added_tokens: expected an array");
    if (status == LRK_OK)
        status = unigram ? read_array(&x, vocab, err) : read_object(&x, vocab, err);
    if (status == LRK_OK) status = room_for(&x, added, &n, err);
    if (status == LRK_OK) status = lrk_tokenizer_new(t, n, err);
    if (status == LRK_OK) status = set_entries(*t, &x, unigram, err);
    if (status == LRK_OK) status = lrk_tokenizer_index(*t, err);
    if (status == LRK_OK) status = read_added(*t, added, x.n, err);
    lrk_heap_free(x.e);
    lrk_arena_free(&x.arena);
    return status;
}

/* ---- merges ---- */

/* "left right" */
static bool both_parts(lrk_piece both, lrk_piece *left, lrk_piece *right)
{
    const char *blank = both.n ? memchr(both.data, ' ', both.n) : NULL;
    if (!blank) return false;
    left->data = both.data;
    left->n = (size_t)(blank - both.data);
    right->data = blank + 1;
    right->n = both.n - left->n - 1;
    return !memchr(right->data, ' ', right->n);
}

/* Merges on their way into the table, and the hash of all. */
typedef struct reading {
    lrk_tokenizer *t;
    lrk_pull *p;
    lrk_arena copies; /* of texts with escapes */
    lrk_piece part[2 * LRK_MERGE_MANY];
    size_t n, done;
    lrk_sha256 hash;
} reading;

static lrk_status keep(reading *x, lrk_piece s, lrk_err *err)
{
    if (s.data == x->p->text.data && s.n) { /* the next string takes its place */
        s.data = lrk_strndup(&x->copies, s.data, s.n);
        LRK_REQUIRE(err, s.data, LRK_ENOMEM, "model.merges: out of memory");
    }
    x->part[x->n++] = s;
    lrk_sha256_add(&x->hash, s.data, s.n);
    lrk_sha256_add(&x->hash, " ", 1);
    return LRK_OK;
}

/* "left right" or ["left", "right"] */
static lrk_status read_merge(reading *x, lrk_err *err)
{
    lrk_pull *p = x->p;
    lrk_piece left = {NULL, 0}, right = {NULL, 0}, both;
    bool fine;
    if (lrk_pull_char(p, '[')) {
        fine = lrk_pull_string(p, &left) && lrk_pull_char(p, ',');
        if (fine) LRK_TRY(keep(x, left, err));
        fine = fine && lrk_pull_string(p, &right) && lrk_pull_char(p, ']');
    } else {
        fine = lrk_pull_string(p, &both);
        if (fine && both.data == p->text.data) {
            both.data = lrk_strndup(&x->copies, both.data, both.n);
            LRK_REQUIRE(err, both.data, LRK_ENOMEM, "model.merges: out of memory");
        }
        fine = fine && both_parts(both, &left, &right);
        if (fine) LRK_TRY(keep(x, left, err));
    }
    LRK_TRY(lrk_buf_check(&p->text, err));
    LRK_REQUIRE(err, fine, LRK_EINPUT,
                "model.merges: merge %zu is neither \"left right\" nor [\"left\", \"right\"]",
                x->done + x->n / 2);
    return keep(x, right, err);
}

static lrk_status add_merges(reading *x, lrk_err *err)
{
    const size_t n = x->n / 2, rank = x->done;
    x->n = 0;
    x->done += n;
    return lrk_tokenizer_merges(x->t, rank, x->part, n, "model.merges", err);
}

/* An upper bound of the number of merges: commas between them, or twice as many. */
static size_t count_commas(const lrk_pull *p)
{
    size_t n = 1;
    for (const char *s = p->s, *end = p->s + p->n; (s = memchr(s, ',', (size_t)(end - s))); s++)
        n++;
    return n;
}

lrk_status lrk_json_merges(lrk_tokenizer *t, lrk_pull *p, lrk_err *err)
{
    LRK_REQUIRE(err, p->s && lrk_pull_char(p, '['), LRK_EINPUT,
                "model.merges: missing, or not an array");
    lrk_pull first = {.s = p->s, .n = p->n, .at = p->at};
    const bool pairs = lrk_pull_char(&first, '[');
    const size_t most = pairs ? count_commas(p) / 2 + 1 : count_commas(p);
    LRK_REQUIRE(err, most <= 2 * LRK_MAX_MERGES, LRK_EINPUT, "model.merges: more than %d merges",
                LRK_MAX_MERGES);
    LRK_TRY(lrk_merges_make(&t->merges, &t->arena, most, err));
    if (lrk_pull_char(p, ']')) return LRK_OK;
    reading x = {.t = t, .p = p, .copies = lrk_arena_growing("merges")};
    lrk_sha256_begin(&x.hash);
    lrk_status status = LRK_OK;
    do {
        if (x.done + x.n / 2 == most)
            status = lrk_fail(err, LRK_EINPUT, "model.merges: pairs and strings mixed");
        if (status == LRK_OK) status = read_merge(&x, err);
        if (status == LRK_OK && x.n == 2 * LRK_MERGE_MANY) status = add_merges(&x, err);
    } while (status == LRK_OK && lrk_pull_char(p, ','));
    if (status == LRK_OK) status = add_merges(&x, err);
    lrk_sha256_end(&x.hash, t->merges_sha256);
    lrk_arena_free(&x.copies);
    LRK_TRY(status);
    LRK_REQUIRE(err, lrk_pull_char(p, ']'), LRK_EINPUT, "model.merges: ends within");
    return LRK_OK;
}
