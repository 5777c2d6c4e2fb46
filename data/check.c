/* data/check.c -- one pass over a data set, counting. */
#include "data/check.h"

#include "base/json.h"
#include "base/sha256.h"
#include "data/shapes_private.h"

#include <stdlib.h>
#include <string.h>

/* What is kept of a row. */
typedef struct mark {
    uint64_t hash[2];
    uint32_t split;
} mark;

typedef struct checker {
    lrk_dataset *d;
    const lrk_check_options *o;
    lrk_check_report *r;
    mark *rows, *prompts;
    uint64_t n_prompts;
    uint32_t *lengths;
    lrk_row_tokens tokens;
    uint64_t listed;
} checker;

static bool message_of_assistant(const lrk_part *p)
{
    lrk_json *m = NULL;
    bool yes = false;
    if (p->role != LRK_ROLE_MESSAGE) return false;
    if (lrk_json_parse(&m, p->text, p->n, "message", NULL) == LRK_OK) {
        const char *role = lrk_json_string(lrk_json_get(m, "role"), NULL);
        yes = role && strcmp(role, "assistant") == 0;
    }
    lrk_json_free(m);
    return yes;
}

/* Something in the row could be learned. */
static bool has_answer(const lrk_record *r)
{
    for (size_t i = 0; i < r->n_parts; i++) {
        const lrk_part *p = &r->parts[i];
        const bool says = p->role == LRK_ROLE_RAW || p->role == LRK_ROLE_COMPLETION ||
                          p->role == LRK_ROLE_ASSISTANT || message_of_assistant(p);
        if (!lrk_blank(p->text, p->n) &&
            (p->train == LRK_TRAIN_YES || (says && p->train == LRK_TRAIN_BY_ROLE)))
            return true;
    }
    return false;
}

static mark mark_of(const unsigned char *hash, size_t split)
{
    mark m = {.split = (uint32_t)split};
    memcpy(m.hash, hash, sizeof m.hash);
    return m;
}

/* Everything but the answers. */
static void add_prompt(checker *c, const lrk_record *r, size_t split)
{
    lrk_sha256 h;
    unsigned char digest[32];
    size_t n = 0;
    lrk_sha256_begin(&h);
    for (size_t i = 0; i < r->n_parts; i++) {
        const lrk_part *p = &r->parts[i];
        if (p->role == LRK_ROLE_RAW || p->role == LRK_ROLE_COMPLETION ||
            p->role == LRK_ROLE_ASSISTANT || p->role == LRK_ROLE_SYSTEM || message_of_assistant(p))
            continue;
        lrk_part plain = *p;
        plain.train = LRK_TRAIN_BY_ROLE;
        lrk_part_hash(&h, &plain);
        n++;
    }
    lrk_sha256_end(&h, digest);
    if (n) c->prompts[c->n_prompts++] = mark_of(digest, split);
}

static void list(checker *c, const lrk_record *r, const char *why)
{
    if (c->listed++ < LRK_CHECK_LISTED)
        lrk_buf_printf(&c->r->list, "%s: %s\n", lrk_record_where(c->d, r), why);
}

static bool spells_special(const lrk_record *r, const lrk_tokenizer *t)
{
    size_t n;
    const char *const *texts = lrk_tokenizer_special_texts(t, &n);
    for (size_t i = 0; i < r->n_parts; i++)
        for (size_t k = 0; k < n; k++)
            if (*texts[k] && strstr(r->parts[i].text, texts[k])) return true;
    return false;
}

static lrk_status count_tokens(checker *c, const lrk_record *r)
{
    lrk_err row_err = {0};
    lrk_check_report *out = c->r;
    const lrk_status s = lrk_row_tokenize(r, c->o->tokenizer, &c->o->chat, &c->tokens, &row_err);
    if (s == LRK_ENOMEM) return s;
    if (s != LRK_OK) {
        out->failed++;
        list(c, r, row_err.text);
        return LRK_OK;
    }
    const size_t n = c->tokens.ids.n;
    c->lengths[out->counted++] = (uint32_t)n;
    out->tokens += n;
    out->trained += c->tokens.trained;
    out->across += c->tokens.across;
    if (!c->tokens.trained) {
        out->untrained++;
        list(c, r, "no token is trained");
    } else if (c->o->sequence_len && n > c->o->sequence_len) {
        lrk_buf why = {0};
        out->too_long++;
        lrk_buf_printf(&why, "%zu tokens, more than sequence_len %zu", n, c->o->sequence_len);
        list(c, r, why.data ? why.data : "too long");
        lrk_buf_free(&why);
    }
    out->special_text += spells_special(r, c->o->tokenizer);
    return LRK_OK;
}

static lrk_status check_row(checker *c, uint64_t row, size_t split, lrk_err *err)
{
    lrk_record r;
    lrk_status s = LRK_OK;
    lrk_arena a = lrk_arena_growing("row");
    s = lrk_dataset_read(c->d, row, &a, &r, err);
    if (s == LRK_OK) {
        c->rows[c->r->rows++] = mark_of(r.hash, split);
        add_prompt(c, &r, split);
        if (!has_answer(&r)) {
            c->r->no_answer++;
            list(c, &r, "there is no answer to learn from");
        } else if (c->o->tokenizer) {
            s = count_tokens(c, &r);
            if (s != LRK_OK) lrk_fail(err, s, "memory: no room for the tokens of a row");
        }
    }
    lrk_arena_free(&a);
    return s;
}

static int by_hash(const void *x, const void *y)
{
    const mark *a = x, *b = y;
    for (int i = 0; i < 2; i++)
        if (a->hash[i] != b->hash[i]) return a->hash[i] < b->hash[i] ? -1 : 1;
    return 0;
}

/* Counts equal hashes within and between splits. */
static void compare(mark *m, uint64_t n, uint64_t out[LRK_MAX_SPLITS][LRK_MAX_SPLITS])
{
    if (n) qsort(m, (size_t)n, sizeof *m, by_hash);
    for (uint64_t i = 0, end; i < n; i = end) {
        uint64_t in[LRK_MAX_SPLITS] = {0};
        for (end = i; end < n && by_hash(&m[i], &m[end]) == 0; end++) in[m[end].split]++;
        if (end == i + 1) continue;
        for (size_t a = 0; a < LRK_MAX_SPLITS; a++)
            for (size_t b = 0; b < LRK_MAX_SPLITS; b++)
                if (in[a] && in[b]) out[a][b] += a == b ? in[a] - 1 : in[b];
    }
}

static int by_value(const void *x, const void *y)
{
    const uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

static void describe_lengths(lrk_check_report *r, uint32_t *lengths)
{
    const uint64_t n = r->counted;
    if (!n) return;
    qsort(lengths, (size_t)n, sizeof *lengths, by_value);
    r->shortest = lengths[0];
    r->median = lengths[(n - 1) / 2];
    r->p90 = lengths[(n - 1) * 90 / 100];
    r->p99 = lengths[(n - 1) * 99 / 100];
    r->longest = lengths[n - 1];
    for (uint64_t i = 0; i < n; i++) {
        size_t b = 0;
        while (b + 1 < LRK_CHECK_BUCKETS && lengths[i] >> (b + 1)) b++;
        r->bucket[b]++;
    }
}

static lrk_status run(checker *c, lrk_arena *a, lrk_err *err)
{
    const uint64_t n = lrk_dataset_rows(c->d);
    lrk_split_walk walk = {0};
    LRK_TRY(lrk_dataset_verify(c->d, err));
    LRK_TRY(lrk_alloc(a, (size_t)n, sizeof *c->rows, "rows", &c->rows, err));
    LRK_TRY(lrk_alloc(a, (size_t)n, sizeof *c->prompts, "prompts", &c->prompts, err));
    LRK_TRY(lrk_alloc(a, (size_t)n, sizeof *c->lengths, "lengths", &c->lengths, err));
    for (uint64_t row = 0; row < n; row++) {
        size_t split = 0;
        LRK_TRY(lrk_split_walk_next(c->d, &walk, &split, err));
        LRK_TRY(check_row(c, row, split, err));
    }
    compare(c->rows, c->r->rows, c->r->equal_rows);
    compare(c->prompts, c->n_prompts, c->r->equal_prompts);
    describe_lengths(c->r, c->lengths);
    return lrk_buf_check(&c->r->list, err);
}

lrk_status lrk_data_check(lrk_dataset *d, const lrk_check_options *o, lrk_check_report *r,
                          lrk_err *err)
{
    checker c = {.d = d, .o = o, .r = r};
    lrk_arena a = lrk_arena_growing("check");
    *r = (lrk_check_report){0};
    const lrk_status s = run(&c, &a, err);
    lrk_row_tokens_free(&c.tokens);
    lrk_arena_free(&a);
    return s;
}

bool lrk_check_passed(const lrk_check_report *r)
{
    return !r->no_answer && !r->failed && !r->untrained && !r->too_long;
}

void lrk_check_free(lrk_check_report *r) { lrk_buf_free(&r->list); }
