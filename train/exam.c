/* train/exam.c -- data sets to questions. */
#include "train/exam.h"

#include "base/file.h"
#include "data/batch.h"
#include "data/import.h"
#include "train/corpus.h"

#include <string.h>

enum { MAX_ROWS = 1 << 20 };

typedef struct lrk_examiner {
    lrk_exam *x;
    const lrk_exam_options *o;
    const lrk_recipe_datasets *list;
    const lrk_model_text *text;
    lrk_corpus corpus;
    const uint64_t *chosen; /* numbers of examples, counted through all sets, ascending */
    size_t n_chosen;
} lrk_examiner;

bool lrk_evenly(size_t i, size_t n, size_t few)
{
    if (!few || few >= n) return true;
    return (i + 1) * few / n > i * few / n;
}

/* ---- which rows ---- */

/* Rows that val_set_size keeps out, found as training finds them; steps of one row are in order. */
static lrk_status held_out(lrk_examiner *e, uint64_t *numbers, size_t *n, lrk_err *err)
{
    const lrk_batch_options o = {.rows_per_step = 1, .epochs = 1.0, .seed = e->o->recipe->seed,
                                 .val_set_size = e->o->recipe->val_set_size, .held_out = true};
    lrk_batches *b;
    const lrk_step *step;
    *n = 0;
    LRK_TRY(lrk_batches_open(&b, e->corpus.set, e->corpus.n, &o, err));
    lrk_status s = lrk_batches_next(b, &step, err);
    while (s == LRK_OK && step) {
        for (size_t m = 0; m < step->n_micro; m++)
            for (size_t i = 0; i < step->micro[m].n_segments; i++)
                numbers[(*n)++] = step->micro[m].rows[i];
        s = lrk_batches_next(b, &step, err);
    }
    lrk_batches_close(b);
    return s;
}

static lrk_status choose(lrk_examiner *e, lrk_err *err)
{
    size_t n = 0, kept = 0;
    uint64_t *numbers;
    for (size_t i = 0; i < e->corpus.n; i++) n += lrk_tokens_count(e->corpus.set[i]);
    LRK_TRY(lrk_alloc(&e->x->arena, n + 1, sizeof *numbers, "rows", &numbers, err));
    for (size_t i = 0; i < n; i++) numbers[i] = i;
    if (!e->o->recipe->test_datasets.n) LRK_TRY(held_out(e, numbers, &n, err));
    LRK_REQUIRE(err, n, LRK_EINPUT, "there is no row to evaluate on");
    for (size_t i = 0; i < n; i++)
        if (lrk_evenly(i, n, e->o->rows)) numbers[kept++] = numbers[i];
    LRK_REQUIRE(err, kept <= MAX_ROWS, LRK_EUSAGE, "%zu rows are too many for an evaluation, take "
                                                   "some of them with --rows", kept);
    e->chosen = numbers;
    e->n_chosen = kept;
    return LRK_OK;
}

/* ---- their texts ---- */

static const char *readable(lrk_examiner *e, const uint32_t *ids, size_t n, lrk_err *err)
{
    lrk_buf b = {0};
    const char *text = NULL;
    if (lrk_decode(e->text->tokenizer, ids, n, true, &b, err) == LRK_OK &&
        lrk_buf_check(&b, err) == LRK_OK) {
        const char *s = b.data ? b.data : "";
        size_t length = b.n;
        while (length && strchr(" \t\r\n", s[0])) s++, length--;
        while (length && strchr(" \t\r\n", s[length - 1])) length--;
        text = lrk_strndup(&e->x->arena, s, length);
        if (!text) lrk_fail(err, LRK_ENOMEM, "memory: no room for the rows");
    }
    lrk_buf_free(&b);
    return text;
}

/* The last trained stretch is the answer. */
static lrk_status split_row(lrk_examiner *e, lrk_exam_row *r, lrk_err *err)
{
    size_t end = r->n, begin;
    while (end && !r->mask[end - 1]) end--;
    for (begin = end; begin && r->mask[begin - 1];) begin--;
    for (size_t i = 1; i < r->n; i++) r->n_trained += r->mask[i];
    r->n_question = begin;
    r->question = readable(e, r->ids, begin, err);
    r->gold = r->question ? readable(e, r->ids + begin, end - begin, err) : NULL;
    return r->gold ? LRK_OK : err ? err->status : LRK_ENOMEM;
}

static lrk_status read_tokens(lrk_examiner *e, lrk_tokens *set, size_t example, lrk_exam_row *r,
                              lrk_err *err)
{
    uint32_t *ids;
    uint8_t *mask;
    r->n = lrk_tokens_length(set, example);
    LRK_TRY(lrk_alloc(&e->x->arena, r->n, sizeof *ids, "rows", &ids, err));
    LRK_TRY(lrk_alloc(&e->x->arena, r->n, 1, "rows", &mask, err));
    LRK_TRY(lrk_tokens_read(set, example, ids, mask, err));
    r->ids = ids;
    r->mask = mask;
    return split_row(e, r, err);
}

static lrk_status describe(lrk_examiner *e, lrk_dataset *d, uint64_t number, lrk_exam_row *r,
                           lrk_err *err)
{
    lrk_record record;
    lrk_buf id = {0};
    lrk_arena a = lrk_arena_growing("row");
    lrk_status s = lrk_dataset_read(d, number, &a, &record, err);
    if (s == LRK_OK) {
        r->answerable = record.parts[0].role != LRK_ROLE_RAW && r->n_question > 0;
        r->source = record.source;
        r->line = record.line;
        r->where = lrk_strdup(&e->x->arena, lrk_record_where(d, &record));
        if (r->where) lrk_json_quote(&id, r->where, strlen(r->where));
        r->id = r->where && !id.failed ? lrk_strdup(&e->x->arena, id.data) : NULL;
        if (!r->id) s = lrk_fail(err, LRK_ENOMEM, "memory: no room for the rows");
    }
    lrk_buf_free(&id);
    lrk_arena_free(&a);
    return s;
}

static void note_sizes(lrk_exam *x, const lrk_exam_row *r)
{
    if (r->n > x->longest_row) x->longest_row = r->n;
    if (!r->answerable) return;
    x->answerable++;
    if (r->n_question > x->longest_question) x->longest_question = r->n_question;
    if (strchr(r->gold, '\n')) x->one_line = false;
}

/* ---- members of JSON Lines that are no part of the data set ---- */

static lrk_status member_text(lrk_examiner *e, const lrk_json *v, const char **out, lrk_err *err)
{
    lrk_buf b = {0};
    if (!lrk_json_is_set(v)) return LRK_OK;
    const char *text = lrk_json_string(v, NULL);
    lrk_status s = text ? LRK_OK : lrk_json_dump(v, 0, &b, err);
    if (s == LRK_OK) *out = lrk_strdup(&e->x->arena, text ? text : b.data);
    lrk_buf_free(&b);
    if (s == LRK_OK && !*out) s = lrk_fail(err, LRK_ENOMEM, "memory: no room for the rows");
    return s;
}

static lrk_status take_members(lrk_examiner *e, const lrk_json *row, lrk_exam_row *r, lrk_err *err)
{
    const lrk_json *id = lrk_json_get(row, "id");
    if (lrk_json_is(id, LRK_JSON_STRING) || lrk_json_is(id, LRK_JSON_INTEGER)) {
        lrk_buf b = {0};
        lrk_status s = lrk_json_dump(id, 0, &b, err);
        if (s == LRK_OK) r->id = lrk_strdup(&e->x->arena, b.data);
        lrk_buf_free(&b);
        if (s == LRK_OK && !r->id) s = lrk_fail(err, LRK_ENOMEM, "memory: no room for the rows");
        LRK_TRY(s);
    }
    return e->o->group_by ? member_text(e, lrk_json_get(row, e->o->group_by), &r->group, err)
                          : LRK_OK;
}

/* rows: of one file, ascending by line. */
static lrk_status read_members(lrk_examiner *e, const char *path, lrk_exam_row *rows, size_t n,
                               lrk_err *err)
{
    lrk_lines *l;
    char *line;
    size_t length, at = 0;
    LRK_TRY(lrk_lines_open(&l, path, LRK_MAX_LINE, err));
    lrk_status s = LRK_OK;
    for (size_t number = 1; s == LRK_OK && at < n; number++) {
        s = lrk_lines_next(l, &line, &length, err);
        if (s != LRK_OK || !line) break;
        lrk_json *row = NULL;
        if (rows[at].line == number) s = lrk_import_line(line, length, path, number, &row, err);
        while (s == LRK_OK && row && at < n && rows[at].line == number)
            s = take_members(e, row, &rows[at++], err);
        lrk_json_free(row);
    }
    lrk_lines_close(l);
    return s;
}

/* ---- all of it ---- */

/* Chosen rows of set i, whose examples are numbered from `first`; *at runs through all sets. */
static lrk_status read_set(lrk_examiner *e, size_t i, uint64_t first, size_t *at, lrk_err *err)
{
    lrk_exam *x = e->x;
    lrk_tokens *set = e->corpus.set[i];
    const lrk_recipe_dataset *entry = &e->list->item[i];
    const size_t begin = *at;
    const char *path;
    lrk_dataset *d;
    LRK_TRY(lrk_corpus_dataset(entry, &x->arena, &path, err));
    LRK_TRY(lrk_dataset_open(&d, path, err));
    lrk_status s = LRK_OK;
    for (; s == LRK_OK && *at < x->n && e->chosen[*at] - first < lrk_tokens_count(set); (*at)++) {
        const size_t example = (size_t)(e->chosen[*at] - first);
        lrk_exam_row *r = &x->row[*at];
        s = read_tokens(e, set, example, r, err);
        if (s == LRK_OK) s = describe(e, d, lrk_tokens_row(set, example), r, err);
        if (s == LRK_OK) note_sizes(x, r);
    }
    lrk_dataset_close(d);
    if (s == LRK_OK && strcmp(path, entry->path) != 0)
        s = read_members(e, entry->path, x->row + begin, *at - begin, err);
    return s;
}

static lrk_status read_rows(lrk_examiner *e, lrk_err *err)
{
    size_t at = 0;
    uint64_t first = 0;
    LRK_TRY(choose(e, err));
    LRK_TRY(lrk_alloc(&e->x->arena, e->n_chosen, sizeof *e->x->row, "rows", &e->x->row, err));
    e->x->n = e->n_chosen;
    for (size_t i = 0; i < e->corpus.n; i++) {
        LRK_TRY(read_set(e, i, first, &at, err));
        first += lrk_tokens_count(e->corpus.set[i]);
    }
    return LRK_OK;
}

static lrk_status check_groups(const lrk_exam *x, const char *group_by, lrk_err *err)
{
    bool any = !group_by;
    for (size_t i = 0; i < x->n; i++) any |= x->row[i].group != NULL;
    LRK_REQUIRE(err, any, LRK_EUSAGE, "no row has a member \"%s\" to group by; it is looked for in "
                                      "JSON Lines, not in imported data sets",
                group_by);
    return LRK_OK;
}

lrk_status lrk_exam_open(lrk_exam *x, const lrk_exam_options *o, const lrk_model_text *text,
                         lrk_err *err)
{
    *x = (lrk_exam){.arena = lrk_arena_growing("exam"), .one_line = true};
    lrk_recipe answers = *o->recipe;
    answers.train_on_inputs = false;
    lrk_examiner e = {.x = x, .o = o, .text = text,
                      .list = o->recipe->test_datasets.n ? &answers.test_datasets
                                                         : &answers.datasets};
    lrk_status s = lrk_corpus_open(&e.corpus, &answers, e.list, text, err);
    if (s == LRK_OK) s = read_rows(&e, err);
    if (s == LRK_OK) s = check_groups(x, o->group_by, err);
    lrk_corpus_close(&e.corpus);
    if (s != LRK_OK) lrk_exam_close(x);
    return s;
}

void lrk_exam_close(lrk_exam *x)
{
    lrk_arena_free(&x->arena);
    *x = (lrk_exam){0};
}
