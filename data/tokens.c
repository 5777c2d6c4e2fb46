/* data/tokens.c -- one row into ids and mask; token caches, their keys and their reader. The
 * writer: tokens_write.c. */
#include "data/tokens.h"

#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/size.h"
#include "data/cache.h"
#include "data/h5.h"
#include "data/tokens_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Up to this size all ids and masks are held: rows are read in random order, and each read of a
 * compressed chunk costs half a millisecond. */
enum { RESIDENT_TOKENS = 16 << 20, SCAN = 64 * 1024 };

void lrk_row_tokens_free(lrk_row_tokens *r)
{
    lrk_chat_text_free(&r->text);
    lrk_ids_free(&r->ids);
    lrk_heap_free(r->mask);
    *r = (lrk_row_tokens){0};
}

static lrk_status mark_targets(lrk_row_tokens *out, lrk_err *err)
{
    const size_t n = out->ids.n;
    if (n > out->capacity) {
        uint8_t *mask = lrk_heap_grow(out->mask, n, 2);
        LRK_REQUIRE(err, mask, LRK_ENOMEM, "memory: no room for a row of %zu tokens", n);
        out->mask = mask;
        out->capacity = 2 * n;
    }
    size_t k = 0, before = 0;
    out->trained = 0;
    out->across = false;
    for (size_t i = 0; i < n; i++) {
        const size_t at = out->ids.begin[i];
        /* tokens may share a byte of the text where a character became several */
        const size_t next = i + 1 < n ? out->ids.begin[i + 1] : out->text.text.n;
        const size_t end = lrk_max(next, at + 1);
        if (at < before) k = 0; /* a normalizer moved this token */
        before = at;
        while (k < out->text.n_trained && out->text.trained[k].end <= at) k++;
        out->mask[i] = i > 0 && k < out->text.n_trained && out->text.trained[k].begin < end;
        out->trained += out->mask[i];
        if (out->mask[i] && at < out->text.trained[k].begin) out->across = true;
    }
    return LRK_OK;
}

/* A tokenizer that appends eos would do so behind the one that the row ends with. */
static void drop_second_eos(const lrk_tokenizer *t, lrk_row_tokens *out)
{
    lrk_ids *ids = &out->ids;
    if (lrk_tokenizer_adds_eos(t) && ids->n >= 2 && ids->begin[ids->n - 1] == out->text.text.n &&
        ids->id[ids->n - 1] == ids->id[ids->n - 2])
        ids->n--;
}

/* The same in front, where the row's own text begins with the token. */
static void drop_second_bos(const lrk_tokenizer *t, lrk_row_tokens *out)
{
    lrk_ids *ids = &out->ids;
    const int64_t bos = lrk_tokenizer_special(t, LRK_TOKEN_BOS);
    if (!lrk_tokenizer_adds_bos(t) || ids->n < 2 || ids->id[0] != bos || ids->id[1] != bos) return;
    ids->n--;
    memmove(ids->id, ids->id + 1, ids->n * sizeof *ids->id);
    memmove(ids->begin, ids->begin + 1, ids->n * sizeof *ids->begin);
}

lrk_status lrk_row_tokenize(const lrk_record *r, const lrk_tokenizer *t, const lrk_chat_options *o,
                            lrk_row_tokens *out, lrk_err *err)
{
    lrk_chat_text_free(&out->text);
    LRK_TRY(lrk_chat_row(o, r->parts, r->n_parts, &out->text, err));
    const lrk_buf *text = &out->text.text;
    LRK_TRY(
        lrk_encode(t, text->data ? text->data : "", text->n, out->text.add_bos, &out->ids, err));
    if (out->text.add_bos) {
        drop_second_eos(t, out);
        drop_second_bos(t, out);
    }
    return mark_targets(out, err);
}

/* ---- the cache ---- */

struct lrk_tokens {
    lrk_h5 *f;
    lrk_h5_column *ids, *mask; /* NULL where all is held in memory */
    uint32_t *all_ids;
    uint8_t *all_mask;
    uint64_t *offsets, *row, *hash;
    uint32_t *trained;
    size_t n;
    uint32_t vocabulary;
    lrk_token_report report;
    char key[65];
    char *path;
    lrk_arena arena;
};

static void put_text(lrk_buf *b, const char *name, const char *text)
{
    /* with its length, so that no text can pass for two */
    lrk_buf_printf(b, "%s %zu %s\n", name, text ? strlen(text) + 1 : 0, text ? text : "");
}

/* Everything that decides what a row becomes. */
static void put_chat(lrk_buf *b, const lrk_chat_options *c)
{
    put_text(b, "template", c->template ? lrk_template_sha256(c->template) : NULL);
    put_text(b, "bos", c->bos);
    put_text(b, "eos", c->eos);
    put_text(b, "pad", c->pad);
    put_text(b, "unk", c->unk);
    put_text(b, "now", c->now);
    for (size_t i = 0; c->end_tokens && i < c->n_end_tokens; i++)
        put_text(b, "end", c->end_tokens[i]);
    for (size_t i = 0; c->roles_to_train && i < c->n_roles_to_train; i++)
        put_text(b, "role", c->roles_to_train[i]);
    lrk_buf_printf(b, "eos %d inputs %d generation %d ends %d roles %d thinking %d\n",
                   (int)c->train_on_eos, c->train_on_inputs, c->add_generation_prompt,
                   c->end_tokens != NULL, c->roles_to_train != NULL, (int)c->thinking);
}

static lrk_status make_key(const char *path, const char *split, const lrk_tokenizer *t,
                           const lrk_token_options *o, char key[65], lrk_err *err)
{
    lrk_map m;
    char data[65];
    lrk_buf b = {0};
    LRK_TRY(lrk_map_open(&m, path, err));
    lrk_sha256_hex(m.data, m.size, data);
    lrk_map_close(&m);
    lrk_buf_printf(&b, "%s %d\ndata %s\ntokenizer %s\nsequence_len %zu\nlong_rows %d\n",
                   LRK_TOKENS_FORMAT, LRK_TOKENS_VERSION, data, lrk_tokenizer_sha256(t),
                   o->sequence_len, (int)o->long_rows);
    put_text(&b, "split", split);
    put_chat(&b, &o->chat);
    const lrk_status s = lrk_buf_check(&b, err);
    if (s == LRK_OK) lrk_sha256_hex(b.data, b.n, key);
    lrk_buf_free(&b);
    return s;
}

/* A whole column of u64 into the arena. */
static lrk_status read_u64(lrk_tokens *t, const char *path, size_t n, uint64_t **out, lrk_err *err)
{
    lrk_h5_column *c;
    LRK_TRY(lrk_h5_column_open(t->f, path, LRK_H5_U64, 1, &c, err));
    lrk_status s = LRK_OK;
    if (lrk_h5_count(c) != n)
        s = lrk_fail(err, LRK_EINPUT, "%s: %s has %" PRIu64 " entries, expected %zu", t->path, path,
                     lrk_h5_count(c), n);
    if (s == LRK_OK) s = lrk_alloc(&t->arena, n, sizeof **out, path, out, err);
    if (s == LRK_OK) s = lrk_h5_read(c, 0, n, *out, err);
    lrk_h5_column_drop(c);
    return s;
}

/* Ids and masks are in range; counts the targets of every example. */
static lrk_status scan(lrk_tokens *t, uint32_t *ids, uint8_t *mask, lrk_err *err)
{
    size_t example = 0;
    for (uint64_t at = 0; at < t->report.tokens; at += SCAN) {
        const size_t n = (size_t)(t->report.tokens - at < SCAN ? t->report.tokens - at : SCAN);
        LRK_TRY(lrk_h5_read(t->ids, at, n, ids, err));
        LRK_TRY(lrk_h5_read(t->mask, at, n, mask, err));
        for (size_t i = 0; i < n; i++) {
            while (at + i >= t->offsets[example + 1]) example++;
            const bool first = at + i == t->offsets[example];
            LRK_REQUIRE(err, ids[i] < t->vocabulary && mask[i] <= !first, LRK_EINPUT,
                        "%s: token %" PRIu64 ": an id or a mask out of range", t->path, at + i);
            t->trained[example] += mask[i];
        }
        if (t->all_ids) {
            memcpy(t->all_ids + at, ids, n * sizeof *ids);
            memcpy(t->all_mask + at, mask, n);
        }
    }
    for (size_t i = 0; i < t->n; i++) {
        LRK_REQUIRE(err, t->trained[i], LRK_EINPUT, "%s: example %zu has no target", t->path, i);
        t->report.trained += t->trained[i];
    }
    return LRK_OK;
}

static lrk_status read_tokens(lrk_tokens *t, lrk_err *err)
{
    uint32_t *ids;
    uint8_t *mask;
    t->report.tokens = lrk_h5_count(t->ids);
    LRK_REQUIRE(err,
                lrk_h5_count(t->mask) == t->report.tokens && t->offsets[0] == 0 &&
                    t->offsets[t->n] == t->report.tokens,
                LRK_EINPUT, "%s: lengths of ids, mask and offsets differ", t->path);
    for (size_t i = 0; i < t->n; i++)
        LRK_REQUIRE(err,
                    t->offsets[i] < t->offsets[i + 1] &&
                        t->offsets[i + 1] - t->offsets[i] <= INT32_MAX / 2,
                    LRK_EINPUT, "%s: offsets are not ascending", t->path);
    LRK_TRY(lrk_alloc(&t->arena, t->n, sizeof *t->trained, "trained", &t->trained, err));
    if (t->report.tokens <= RESIDENT_TOKENS) {
        const size_t n = (size_t)t->report.tokens;
        LRK_TRY(lrk_alloc(&t->arena, n, sizeof *t->all_ids, "ids", &t->all_ids, err));
        LRK_TRY(lrk_alloc(&t->arena, n, 1, "mask", &t->all_mask, err));
    }
    lrk_arena a = lrk_arena_growing("scan");
    lrk_status s = lrk_alloc(&a, SCAN, sizeof *ids, "ids", &ids, err);
    if (s == LRK_OK) s = lrk_alloc(&a, SCAN, 1, "mask", &mask, err);
    if (s == LRK_OK) s = scan(t, ids, mask, err);
    lrk_arena_free(&a);
    return s;
}

static void close_file(lrk_tokens *t)
{
    lrk_h5_column_drop(t->ids);
    lrk_h5_column_drop(t->mask);
    lrk_h5_close(t->f);
    t->ids = t->mask = NULL;
    t->f = NULL;
}

bool lrk_is_token_cache(const char *path)
{
    lrk_h5 *f = NULL;
    lrk_arena a = lrk_arena_growing("token cache");
    char *format = NULL;
    const bool is = lrk_h5_open(&f, path, NULL) == LRK_OK &&
                    lrk_h5_get_string(f, "/", "lrk.format", &a, &format, NULL) == LRK_OK &&
                    strcmp(format, LRK_TOKENS_FORMAT) == 0;
    lrk_h5_close(f);
    lrk_arena_free(&a);
    return is;
}

static lrk_status read_cache(lrk_tokens *t, const lrk_tokenizer *tokenizer, lrk_err *err)
{
    char *format, *key;
    uint64_t version = 0, complete = 0, vocabulary = 0;
    lrk_h5_column *rows;
    LRK_TRY(lrk_h5_open(&t->f, t->path, err));
    LRK_TRY(lrk_h5_get_string(t->f, "/", "lrk.format", &t->arena, &format, err));
    LRK_TRY(lrk_h5_get_u64(t->f, "/", "lrk.version", &version, err));
    LRK_TRY(lrk_h5_get_u64(t->f, "/", "lrk.complete", &complete, err));
    LRK_TRY(lrk_h5_get_string(t->f, "/", "lrk.key", &t->arena, &key, err));
    LRK_REQUIRE(err,
                strcmp(format, LRK_TOKENS_FORMAT) == 0 && version == LRK_TOKENS_VERSION &&
                    complete == 1 && strcmp(key, t->key) == 0,
                LRK_EINPUT, "%s: of other data or settings", t->path);
    LRK_TRY(lrk_h5_get_u64(t->f, "/", "lrk.vocab_size", &vocabulary, err));
    LRK_TRY(lrk_h5_get_u64(t->f, "/", "lrk.rows", &t->report.rows, err));
    LRK_TRY(lrk_h5_get_u64(t->f, "/", "lrk.dropped", &t->report.dropped, err));
    LRK_TRY(lrk_h5_get_u64(t->f, "/", "lrk.cut", &t->report.cut, err));
    LRK_TRY(lrk_h5_get_u64(t->f, "/", "lrk.cut_tokens", &t->report.cut_tokens, err));
    LRK_TRY(lrk_h5_get_u64(t->f, "/", "lrk.longest", &t->report.longest, err));
    LRK_TRY(lrk_h5_get_u64(t->f, "/", "lrk.across", &t->report.across, err));
    /* ids below it index the model's embedding without another look */
    LRK_REQUIRE(err, vocabulary == lrk_tokenizer_size(tokenizer), LRK_EINPUT,
                "%s: vocabulary of %" PRIu64, t->path, vocabulary);
    t->vocabulary = (uint32_t)vocabulary;
    LRK_TRY(lrk_h5_column_open(t->f, "/tokens/row", LRK_H5_U64, 1, &rows, err));
    t->n = (size_t)lrk_h5_count(rows);
    t->report.kept = t->n;
    lrk_h5_column_drop(rows);
    LRK_REQUIRE(err, t->n && t->n + t->report.dropped == t->report.rows, LRK_EINPUT,
                "%s: %zu rows, expected %" PRIu64, t->path, t->n,
                t->report.rows - t->report.dropped);
    LRK_TRY(read_u64(t, "/tokens/row", t->n, &t->row, err));
    LRK_TRY(read_u64(t, "/tokens/hash", t->n, &t->hash, err));
    LRK_TRY(read_u64(t, "/tokens/offsets", t->n + 1, &t->offsets, err));
    LRK_TRY(lrk_h5_column_open(t->f, "/tokens/ids", LRK_H5_U32, 1, &t->ids, err));
    LRK_TRY(lrk_h5_column_open(t->f, "/tokens/mask", LRK_H5_U8, 1, &t->mask, err));
    LRK_TRY(read_tokens(t, err));
    if (t->all_ids) close_file(t);
    return LRK_OK;
}

/* Forgets what a failed read_cache has found. */
static void forget(lrk_tokens *t)
{
    close_file(t);
    t->all_ids = NULL;
    t->all_mask = NULL;
    t->report = (lrk_token_report){0};
}

static lrk_status open_split(const char *path, const char *split, lrk_token_job *job, lrk_err *err)
{
    LRK_TRY(lrk_dataset_open(&job->data, path, err));
    job->split = split ? lrk_dataset_split(job->data, split) : -1;
    if (!split || job->split >= 0) return LRK_OK;
    lrk_buf names = {0};
    for (size_t i = 0; i < lrk_dataset_splits(job->data); i++)
        lrk_buf_printf(&names, "%s%s", i ? ", " : "", lrk_dataset_split_name(job->data, i));
    const lrk_status s = lrk_fail(err, LRK_EINPUT, "%s: no split '%.40s'; there are: %s", path,
                                  split, names.data ? names.data : "none");
    lrk_buf_free(&names);
    return s;
}

/* report.cached: what lies at t->path is what is wanted. */
static lrk_status look_for(lrk_tokens *t, const lrk_tokenizer *tokenizer, lrk_err *err)
{
    lrk_err why = {0};
    if (!lrk_is_file(t->path)) return LRK_OK;
    const lrk_status s = read_cache(t, tokenizer, &why);
    t->report.cached = s == LRK_OK;
    if (s == LRK_OK) return LRK_OK;
    if (s == LRK_ENOMEM) return lrk_fail(err, s, "%s", why.text);
    lrk_verbose("token cache is made anew: %s", why.text);
    forget(t);
    return LRK_OK;
}

static lrk_status open_tokens(lrk_tokens *t, const char *path, const char *split,
                              lrk_token_job *job, lrk_err *err)
{
    LRK_TRY(open_split(path, split, job, err));
    LRK_TRY(make_key(path, split, job->tokenizer, job->o, t->key, err));
    char tail[24];
    const char *dir = job->o->cache_dir;
    snprintf(tail, sizeof tail, ".tokens-%.8s.h5", t->key);
    if (dir) LRK_TRY(lrk_mkdir(dir, err));
    LRK_TRY(lrk_cache_name(path, tail, dir, &t->arena, &t->path, err));
    LRK_TRY(look_for(t, job->tokenizer, err));
    if (t->report.cached) return LRK_OK;
    const char *beside = t->path;
    if (!dir) LRK_TRY(lrk_cache_place(path, tail, &t->arena, &t->path, err));
    if (t->path != beside) LRK_TRY(look_for(t, job->tokenizer, err));
    if (t->report.cached) return LRK_OK;
    job->path = t->path;
    job->key = t->key;
    LRK_TRY(lrk_tokens_write(job, err));
    return read_cache(t, job->tokenizer, err);
}

lrk_status lrk_tokens_open(lrk_tokens **out, const char *path, const char *split,
                           const lrk_tokenizer *tokenizer, const lrk_token_options *o, lrk_err *err)
{
    lrk_token_job job = {.tokenizer = tokenizer, .o = o};
    lrk_tokens *t = lrk_heap_alloc(1, sizeof *t);
    LRK_REQUIRE(err, t, LRK_ENOMEM, "memory: no room for tokens of %s", path);
    t->arena = lrk_arena_growing("tokens");
    const lrk_status s = open_tokens(t, path, split, &job, err);
    lrk_dataset_close(job.data);
    if (s != LRK_OK) {
        lrk_tokens_close(t);
        return s;
    }
    *out = t;
    return LRK_OK;
}

void lrk_tokens_close(lrk_tokens *t)
{
    if (!t) return;
    close_file(t);
    lrk_arena_free(&t->arena);
    lrk_heap_free(t);
}

const lrk_token_report *lrk_tokens_report(const lrk_tokens *t) { return &t->report; }

const char *lrk_tokens_key(const lrk_tokens *t) { return t->key; }

const char *lrk_tokens_path(const lrk_tokens *t) { return t->path; }

size_t lrk_tokens_count(const lrk_tokens *t) { return t->n; }

uint64_t lrk_tokens_row(const lrk_tokens *t, size_t example) { return t->row[example]; }

uint64_t lrk_tokens_hash(const lrk_tokens *t, size_t example) { return t->hash[example]; }

size_t lrk_tokens_length(const lrk_tokens *t, size_t example)
{
    return (size_t)(t->offsets[example + 1] - t->offsets[example]);
}

size_t lrk_tokens_trained(const lrk_tokens *t, size_t example) { return t->trained[example]; }

lrk_status lrk_tokens_read(lrk_tokens *t, size_t example, uint32_t *ids, uint8_t *mask,
                           lrk_err *err)
{
    const uint64_t at = t->offsets[example];
    const size_t n = lrk_tokens_length(t, example);
    if (t->all_ids) {
        memcpy(ids, t->all_ids + at, n * sizeof *ids);
        memcpy(mask, t->all_mask + at, n);
        return LRK_OK;
    }
    LRK_TRY(lrk_h5_read(t->ids, at, n, ids, err));
    return lrk_h5_read(t->mask, at, n, mask, err);
}
