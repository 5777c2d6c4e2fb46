/* data/tokens_write.c -- a split through template and tokenizer, in blocks, into a cache file. */
#include "data/tokens_private.h"

#include "base/size.h"
#include "base/threads.h"
#include "data/h5.h"

#include <inttypes.h>
#include <string.h>

enum { BLOCK_ROWS = 256, BLOCK_BYTES = 8 << 20, LISTED = 8 };

/* A row on its way. */
typedef struct slot {
    lrk_arena arena;
    lrk_record record;
    lrk_row_tokens out;
    lrk_status status;
    lrk_err err;
} slot;

/* Rows that are refused: how many, and the first ones for the message. */
typedef struct complaint {
    uint64_t n;
    lrk_buf list;
} complaint;

typedef struct writer {
    const lrk_token_job *job;
    lrk_h5 *f;
    lrk_h5_column *ids, *mask, *offsets, *row, *hash;
    lrk_token_report report;
    complaint long_rows, untrained;
    slot slots[BLOCK_ROWS];
    size_t n; /* slots in use */
} writer;

static void tokenize_slot(void *ctx, size_t task, int worker)
{
    writer *w = ctx;
    slot *s = &w->slots[task];
    (void)worker;
    s->status = lrk_row_tokenize(&s->record, w->job->tokenizer, &w->job->o->chat, &s->out, &s->err);
}

static void complain(writer *w, complaint *c, const lrk_record *r, size_t tokens)
{
    if (c->n++ >= LISTED) return;
    lrk_buf_printf(&c->list, "%s%s", c->n > 1 ? ", " : "", lrk_record_where(w->job->data, r));
    if (tokens) lrk_buf_printf(&c->list, " (%zu tokens)", tokens);
}

static lrk_status append_row(writer *w, slot *s, size_t n, lrk_err *err)
{
    uint64_t hash = 0;
    /* not the bytes that an import's --val-fraction looks at: splits of splits stay even */
    for (size_t i = 8; i < 16; i++) hash = hash << 8 | s->record.hash[i];
    LRK_TRY(lrk_h5_append(w->ids, s->out.ids.id, n, err));
    LRK_TRY(lrk_h5_append(w->mask, s->out.mask, n, err));
    w->report.tokens += n;
    LRK_TRY(lrk_h5_append(w->offsets, &w->report.tokens, 1, err));
    LRK_TRY(lrk_h5_append(w->row, &s->record.row, 1, err));
    w->report.kept++;
    w->report.across += s->out.across;
    return lrk_h5_append(w->hash, &hash, 1, err);
}

static lrk_status finish_slot(writer *w, slot *s, lrk_err *err)
{
    const lrk_token_options *o = w->job->o;
    if (s->status != LRK_OK) {
        lrk_fail(err, s->status, "%s: %s", lrk_record_where(w->job->data, &s->record), s->err.text);
        return s->status;
    }
    size_t n = s->out.ids.n;
    w->report.rows++;
    w->report.longest = lrk_max(w->report.longest, n);
    const bool too_long = o->sequence_len && n > o->sequence_len;
    if (too_long && o->long_rows == LRK_LONG_RAISE) {
        complain(w, &w->long_rows, &s->record, n);
        return LRK_OK;
    }
    if (too_long && o->long_rows == LRK_LONG_DROP) {
        w->report.dropped++;
        w->report.cut_tokens += n;
        return LRK_OK;
    }
    if (too_long) {
        w->report.cut++;
        w->report.cut_tokens += n - o->sequence_len;
        n = o->sequence_len;
    }
    size_t trained = 0;
    for (size_t i = 0; i < n; i++) trained += s->out.mask[i];
    w->report.trained += trained;
    if (!trained) {
        complain(w, &w->untrained, &s->record, 0);
        return LRK_OK;
    }
    return append_row(w, s, n, err);
}

static lrk_status finish_block(writer *w, lrk_err *err)
{
    lrk_status status = LRK_OK;
    lrk_parallel(w->n, tokenize_slot, w);
    for (size_t i = 0; i < w->n; i++) {
        slot *s = &w->slots[i];
        if (status == LRK_OK) status = finish_slot(w, s, err);
        lrk_arena_free(&s->arena);
        s->err = (lrk_err){0};
    }
    w->n = 0;
    return status;
}

static lrk_status all_rows(writer *w, lrk_err *err)
{
    const lrk_token_job *j = w->job;
    const uint64_t total = j->split < 0 ? lrk_dataset_rows(j->data)
                                        : lrk_dataset_split_rows(j->data, (size_t)j->split);
    size_t bytes = 0;
    for (uint64_t i = 0; i < total; i++) {
        uint64_t row = i;
        if (j->split >= 0)
            LRK_TRY(lrk_dataset_split_read(j->data, (size_t)j->split, i, 1, &row, err));
        slot *s = &w->slots[w->n++];
        s->arena = lrk_arena_growing("row");
        LRK_TRY(lrk_dataset_read(j->data, row, &s->arena, &s->record, err));
        for (size_t k = 0; k < s->record.n_parts; k++) bytes += s->record.parts[k].n;
        if (w->n < BLOCK_ROWS && bytes < BLOCK_BYTES && i + 1 < total) continue;
        LRK_TRY(finish_block(w, err));
        bytes = 0;
    }
    return LRK_OK;
}

static lrk_status refuse_rows(writer *w, lrk_err *err)
{
    const lrk_token_options *o = w->job->o;
    const char *path = o->name ? o->name : lrk_dataset_path(w->job->data);
    const char *more_long = w->long_rows.n > LISTED ? ", ..." : "";
    const char *more_untrained = w->untrained.n > LISTED ? ", ..." : "";
    LRK_REQUIRE(err, !w->long_rows.n, LRK_EINPUT,
                "%s: %" PRIu64 " of %" PRIu64 " rows are longer than sequence_len %zu: %s%s; set "
                "sequence_len: %" PRIu64 ", or excess_length_strategy: drop or truncate",
                path, w->long_rows.n, w->report.rows, o->sequence_len,
                w->long_rows.list.data ? w->long_rows.list.data : "", more_long, w->report.longest);
    LRK_REQUIRE(err, !w->untrained.n, LRK_EINPUT,
                "%s: %" PRIu64 " of %" PRIu64
                " rows have no trained token%s: %s%s; see `lorikeet data show`, "
                "roles_to_train and the marks in the rows, or remove them",
                path, w->untrained.n, w->report.rows,
                w->report.cut ? " (perhaps after the cut)" : "",
                w->untrained.list.data ? w->untrained.list.data : "", more_untrained);
    LRK_REQUIRE(err, w->report.kept, LRK_EINPUT, "%s: every row is longer than sequence_len %zu",
                path, o->sequence_len);
    return LRK_OK;
}

static lrk_status create(writer *w, lrk_err *err)
{
    const uint64_t zero = 0;
    LRK_TRY(lrk_h5_create(&w->f, w->job->path, err));
    LRK_TRY(lrk_h5_group(w->f, "/tokens", err));
    LRK_TRY(lrk_h5_column_create(w->f, "/tokens/ids", LRK_H5_U32, 1, &w->ids, err));
    LRK_TRY(lrk_h5_column_create(w->f, "/tokens/mask", LRK_H5_U8, 1, &w->mask, err));
    LRK_TRY(lrk_h5_column_create(w->f, "/tokens/offsets", LRK_H5_U64, 1, &w->offsets, err));
    LRK_TRY(lrk_h5_column_create(w->f, "/tokens/row", LRK_H5_U64, 1, &w->row, err));
    LRK_TRY(lrk_h5_column_create(w->f, "/tokens/hash", LRK_H5_U64, 1, &w->hash, err));
    return lrk_h5_append(w->offsets, &zero, 1, err);
}

static lrk_status commit(writer *w, lrk_err *err)
{
    lrk_h5_column **columns[] = {&w->ids, &w->mask, &w->offsets, &w->row, &w->hash};
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"lrk.vocab_size", lrk_tokenizer_size(w->job->tokenizer)},
                  {"lrk.rows", w->report.rows},
                  {"lrk.dropped", w->report.dropped},
                  {"lrk.cut", w->report.cut},
                  {"lrk.cut_tokens", w->report.cut_tokens},
                  {"lrk.longest", w->report.longest},
                  {"lrk.across", w->report.across}};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        lrk_h5_column *c = *columns[i];
        *columns[i] = NULL;
        LRK_TRY(lrk_h5_column_close(c, err));
    }
    LRK_TRY(lrk_h5_set_string(w->f, "/", "lrk.format", LRK_TOKENS_FORMAT, err));
    LRK_TRY(lrk_h5_set_u64(w->f, "/", "lrk.version", LRK_TOKENS_VERSION, err));
    LRK_TRY(lrk_h5_set_string(w->f, "/", "lrk.key", w->job->key, err));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        LRK_TRY(lrk_h5_set_u64(w->f, "/", counts[i].name, counts[i].value, err));
    LRK_TRY(lrk_h5_set_u64(w->f, "/", "lrk.complete", 1, err));
    lrk_h5 *f = w->f;
    w->f = NULL;
    return lrk_h5_commit(f, err);
}

lrk_status lrk_tokens_write(const lrk_token_job *job, lrk_err *err)
{
    writer *w = lrk_heap_alloc(1, sizeof *w);
    LRK_REQUIRE(err, w, LRK_ENOMEM, "memory: no room to tokenize %s", lrk_dataset_path(job->data));
    w->job = job;
    lrk_status s = create(w, err);
    if (s == LRK_OK) s = all_rows(w, err);
    if (s == LRK_OK) s = refuse_rows(w, err);
    if (s == LRK_OK) s = commit(w, err);
    for (size_t i = 0; i < BLOCK_ROWS; i++) {
        lrk_arena_free(&w->slots[i].arena);
        lrk_row_tokens_free(&w->slots[i].out);
    }
    lrk_h5_column *columns[] = {w->ids, w->mask, w->offsets, w->row, w->hash};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) lrk_h5_column_drop(columns[i]);
    lrk_h5_close(w->f);
    lrk_buf_free(&w->long_rows.list);
    lrk_buf_free(&w->untrained.list);
    lrk_heap_free(w);
    return s;
}
