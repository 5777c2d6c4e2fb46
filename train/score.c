/* train/score.c -- losses, answers, verdicts. */
#include "train/score.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/segments.h"
#include "base/size.h"
#include "data/prefix.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char blanks[] = " \t\r\n";

typedef struct lrk_scorer {
    lrk_score *s;
    lrk_responder *r;
    const lrk_exam *x;
    const lrk_score_options *o;
    size_t slots;
    size_t run_tokens;
    size_t shared; /* tokens that all rows begin with; each run of losses computes them once */
    /* progress */
    size_t begun, tokens;
    double start, shown;
} lrk_scorer;

static void show(lrk_scorer *c, const char *what, size_t done, size_t of, bool last)
{
    char line[160], speed[48] = "";
    const double now = lrk_seconds(), wait = lrk_log_terminal() ? 0.1 : 10.0;
    if (!last && now - c->shown < wait) return;
    if (c->tokens && now > c->start)
        snprintf(speed, sizeof speed, "  %.0f tok/s", (double)c->tokens / (now - c->start));
    snprintf(line, sizeof line, "%s: %s %zu/%zu%s", c->o->name, what, done, of, speed);
    lrk_log_line(line);
    c->shown = now;
}

static void begin_stage(lrk_scorer *c)
{
    c->start = c->shown = lrk_seconds();
    c->tokens = c->begun = 0;
}

static lrk_status stopped(const lrk_scorer *c, lrk_err *err)
{
    if (c->o->stop && c->o->stop()) return lrk_fail(err, LRK_STOPPED, "stopped");
    return LRK_OK;
}

/* ---- loss ---- */

typedef struct lrk_run_buffers {
    int32_t *ids, *targets, *segments;
    size_t n_tokens, n_segments, n_rows, n_trained;
} lrk_run_buffers;

/* Tokens begin .. end - 1 of a row, behind those of segment 0 where they are not its first. */
static void add_tokens(lrk_run_buffers *b, const lrk_exam_row *r, size_t begin, size_t end)
{
    lrk_segment_child(b->segments + b->n_segments++ * LRK_SEG_FIELDS, b->n_tokens, end - begin, begin, begin ? 0 : -1);
    for (size_t i = begin; i < end; i++) {
        b->ids[b->n_tokens] = (int32_t)r->ids[i];
        b->targets[b->n_tokens++] = i + 1 < r->n && r->mask[i + 1] ? (int32_t)r->ids[i + 1] : -1;
    }
}

static void add_row(lrk_run_buffers *b, const lrk_exam_row *r, size_t shared)
{
    if (shared && !b->n_rows) add_tokens(b, r, 0, shared);
    add_tokens(b, r, shared, r->n);
    b->n_rows++;
    b->n_trained += r->n_trained;
}

static size_t shared_by_all(const lrk_scorer *c)
{
    const lrk_exam_row *row = c->x->row;
    lrk_shared all = {0};
    if (c->slots < 2 || c->r->base.decoder.rope.kind == LRK_ROPE_LONGROPE) return 0;
    for (size_t i = 0; i < c->x->n; i++)
        lrk_shared_add(&all, row[i].ids, lrk_untrained_prefix(row[i].mask, row[i].n));
    return lrk_shared_tokens(&all);
}

/* Part of a score in the journal: "base losses". */
static void part_name(const lrk_scorer *c, const char *what, char out[64])
{
    snprintf(out, 64, "%.40s %s", c->o->name, what);
}

/* Sums that are known already; NaN for the others. */
static lrk_status restore_losses(const lrk_scorer *c, double *sum, size_t n, lrk_err *err)
{
    char mine[64];
    const char *part;
    const lrk_json *value;
    size_t number;
    part_name(c, "losses", mine);
    for (size_t i = 0; i < n; i++) sum[i] = (double)NAN;
    for (size_t i = 0; (value = lrk_journal_piece(c->o->journal, i, &part, &number)); i++) {
        if (strcmp(part, mine) != 0) continue;
        if (number >= n || !lrk_json_is(value, LRK_JSON_REAL)) return lrk_journal_damaged(c->o->journal, err);
        sum[number] = lrk_json_number(value);
    }
    return LRK_OK;
}

static lrk_status loss_of_run(lrk_scorer *c, const lrk_run_buffers *b, size_t number, double *sum, lrk_err *err)
{
    char mine[64];
    const lrk_flat_run run = {b->ids, b->targets, b->segments, b->n_tokens, b->n_segments};
    if (!isnan(*sum)) return LRK_OK;
    LRK_TRY(stopped(c, err));
    c->tokens += b->n_tokens;
    LRK_TRY(lrk_responder_loss(c->r, &run, sum, err));
    part_name(c, "losses", mine);
    if (!isfinite(*sum)) return LRK_OK;
    return lrk_journal_add(c->o->journal, mine, number, lrk_json_new_real(*sum), err);
}

static lrk_status run_losses(lrk_scorer *c, lrk_run_buffers *b, double *sum, size_t *n,
                             size_t *runs, lrk_err *err)
{
    size_t done = 0;
    for (size_t i = 0; i <= c->x->n; i++) {
        const lrk_exam_row *r = i < c->x->n ? &c->x->row[i] : NULL;
        if (r && !c->s->outcome[i].asked) continue;
        const bool full = r && (b->n_tokens + r->n - c->shared > c->run_tokens || b->n_rows == c->slots);
        if (b->n_rows && (!r || full)) {
            n[*runs] = b->n_trained;
            LRK_TRY(loss_of_run(c, b, *runs, &sum[*runs], err));
            ++*runs;
            c->s->trained += b->n_trained;
            done += b->n_rows;
            b->n_tokens = b->n_segments = b->n_rows = b->n_trained = 0;
            show(c, "loss of row", done, c->s->rows, false);
        }
        if (r) add_row(b, r, c->shared);
    }
    return LRK_OK;
}

static lrk_status losses(lrk_scorer *c, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("losses");
    lrk_run_buffers b = {0};
    double *sum = NULL;
    size_t *n = NULL, runs = 0;
    lrk_status s = lrk_alloc(&a, c->run_tokens, sizeof *b.ids, "ids", &b.ids, err);
    begin_stage(c);
    if (s == LRK_OK) s = lrk_alloc(&a, c->run_tokens, sizeof *b.targets, "targets", &b.targets, err);
    if (s == LRK_OK)
        s = lrk_alloc(&a, (c->slots + 1) * LRK_SEG_FIELDS, sizeof *b.segments, "segments", &b.segments, err);
    if (s == LRK_OK) s = lrk_alloc(&a, c->x->n, sizeof *sum, "losses", &sum, err);
    if (s == LRK_OK) s = lrk_alloc(&a, c->x->n, sizeof *n, "losses", &n, err);
    if (s == LRK_OK) s = restore_losses(c, sum, c->x->n, err);
    if (s == LRK_OK) s = run_losses(c, &b, sum, n, &runs, err);
    if (s == LRK_OK) c->s->loss = lrk_ratio_mean(sum, n, runs);
    lrk_arena_free(&a);
    return s;
}

/* ---- answers ---- */

static void count_token(void *ctx, size_t answer, uint32_t id)
{
    lrk_scorer *c = ctx;
    (void)id;
    c->tokens++;
    c->begun = lrk_max(c->begun, answer + 1);
    show(c, "answer", c->begun, c->s->answered, false);
}

/* Bytes that are no UTF-8 become U+FFFD: a model may stop in the middle of a character. */
static void add_valid(lrk_buf *b, const char *s, size_t n)
{
    while (n) {
        const size_t good = lrk_utf8_check(s, n);
        lrk_buf_append(b, s, good);
        if (good == n) return;
        lrk_buf_puts(b, "\xef\xbf\xbd");
        s += good + 1;
        n -= good + 1;
    }
}

static lrk_status take_answer(lrk_scorer *c, const lrk_answer *a, const lrk_exam_row *row,
                              lrk_outcome *out, lrk_err *err)
{
    lrk_buf raw = {0}, text = {0};
    lrk_status s = lrk_responder_decode(c->r, a, &raw, err);
    if (s == LRK_OK) s = lrk_buf_check(&raw, err);
    if (s == LRK_OK) {
        const char *t = raw.data ? raw.data : "", *end;
        size_t n = raw.n;
        while (n && strchr(blanks, t[0])) t++, n--;
        if (c->x->one_line && (end = memchr(t, '\n', n)) != NULL) n = (size_t)(end - t);
        while (n && strchr(blanks, t[n - 1])) n--;
        add_valid(&text, t, n);
        s = lrk_buf_check(&text, err);
    }
    if (s == LRK_OK) {
        out->text = lrk_strndup(&c->s->arena, text.data ? text.data : "", text.n);
        if (!out->text) s = lrk_fail(err, LRK_ENOMEM, "memory: no room for the answers");
    }
    if (s == LRK_OK) {
        out->finished = a->finished;
        out->exact = strcmp(out->text, row->gold) == 0;
    }
    lrk_buf_free(&raw);
    lrk_buf_free(&text);
    return s;
}

/* Prompts are lent by the exam, so answers are freed without them. */
static lrk_status ask_all(lrk_scorer *c, lrk_answer *answers, const size_t *row, lrk_err *err)
{
    char mine[64];
    const lrk_answering how = {.max_tokens = c->o->max_tokens, .slots = c->slots,
                               .stop_at_newline = c->x->one_line, .stop = c->o->stop,
                               .journal = c->o->journal, .part = mine,
                               .token = count_token, .ctx = c};
    part_name(c, "answers", mine);
    begin_stage(c);
    lrk_status s = lrk_responder_answer(c->r, answers, c->s->answered, &how, err);
    for (size_t i = 0; s == LRK_OK && i < c->s->answered; i++)
        s = take_answer(c, &answers[i], &c->x->row[row[i]], &c->s->outcome[row[i]], err);
    for (size_t i = 0; i < c->s->answered; i++) {
        answers[i].prompt = (lrk_ids){0};
        lrk_answer_free(&answers[i]);
    }
    return s;
}

static lrk_status answer(lrk_scorer *c, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("answers");
    lrk_answer *answers;
    size_t *row, n = 0;
    lrk_status s = lrk_alloc(&a, c->s->answered, sizeof *answers, "answers", &answers, err);
    if (s == LRK_OK) s = lrk_alloc(&a, c->s->answered, sizeof *row, "answers", &row, err);
    for (size_t i = 0; s == LRK_OK && i < c->x->n; i++) {
        const lrk_exam_row *r = &c->x->row[i];
        if (!c->s->outcome[i].answered) continue;
        answers[n] = (lrk_answer){.prompt = {.id = (uint32_t *)(uintptr_t)r->ids,
                                             .n = r->n_question}};
        row[n++] = i;
    }
    if (s == LRK_OK && n) s = ask_all(c, answers, row, err);
    lrk_arena_free(&a);
    return s;
}

static lrk_status judge(lrk_scorer *c, lrk_err *err)
{
    size_t done = 0;
    begin_stage(c);
    for (size_t i = 0; i < c->x->n; i++) {
        lrk_outcome *out = &c->s->outcome[i];
        if (!out->answered) continue;
        LRK_TRY(stopped(c, err));
        LRK_TRY(lrk_validator_ask(c->o->validator, c->x->row[i].id, out->text, c->x->row[i].gold,
                                  &out->verdict, err));
        c->s->has_match |= out->verdict.equal >= 0;
        c->s->has_parse |= out->verdict.parse >= 0;
        show(c, "verdict", ++done, c->s->answered, false);
    }
    return LRK_OK;
}

/* ---- all of it ---- */

static lrk_status make(lrk_scorer *c, lrk_err *err)
{
    lrk_score *s = c->s;
    const lrk_exam *x = c->x;
    const size_t few = c->o->rows, positions = c->r->base.decoder.max_positions;
    LRK_REQUIRE(err, x->longest_row <= positions, LRK_EINPUT,
                "the longest row has %zu tokens, the model %zu positions", x->longest_row, positions);
    LRK_TRY(lrk_alloc(&s->arena, x->n, sizeof *s->outcome, "outcomes", &s->outcome, err));
    for (size_t i = 0; i < x->n; i++) {
        s->outcome[i] = (lrk_outcome){.asked = lrk_evenly(i, x->n, few),
                                      .verdict = {.parse = -1, .valid = -1, .equal = -1}};
        s->outcome[i].answered = s->outcome[i].asked && x->row[i].answerable;
        s->rows += s->outcome[i].asked;
        s->answered += s->outcome[i].answered;
    }
    lrk_responder_reserve(c->r, c->slots, x->longest_question + c->o->max_tokens, c->run_tokens);
    LRK_TRY(losses(c, err));
    LRK_TRY(answer(c, err));
    return c->o->validator ? judge(c, err) : LRK_OK;
}

lrk_status lrk_score_make(lrk_score *s, lrk_responder *r, const lrk_exam *x,
                          const lrk_score_options *o, lrk_err *err)
{
    const double start = lrk_seconds();
    *s = (lrk_score){.name = o->name, .arena = lrk_arena_growing("score")};
    lrk_scorer c = {.s = s, .r = r, .x = x, .o = o,
                    .slots = lrk_min(o->slots ? o->slots : LRK_ANSWER_SLOTS, lrk_max(x->n, 1))};
    c.shared = shared_by_all(&c);
    c.run_tokens = lrk_max(c.shared + LRK_ANSWER_RUN, x->longest_row);
    const lrk_status status = make(&c, err);
    lrk_log_line_end();
    s->seconds = lrk_seconds() - start;
    if (status != LRK_OK) lrk_score_free(s);
    return status;
}

void lrk_score_free(lrk_score *s)
{
    lrk_arena_free(&s->arena);
    *s = (lrk_score){0};
}

bool lrk_outcome_right(const lrk_score *s, size_t row)
{
    const lrk_outcome *o = &s->outcome[row];
    return s->has_match ? o->verdict.equal > 0 : o->exact;
}

size_t lrk_score_count(const lrk_score *s, const lrk_exam *x, lrk_measure m, const char *group,
                       size_t *of)
{
    size_t n = 0;
    *of = 0;
    for (size_t i = 0; i < x->n; i++) {
        const lrk_outcome *o = &s->outcome[i];
        if (!o->answered) continue;
        if (group && (!x->row[i].group || strcmp(x->row[i].group, group) != 0)) continue;
        ++*of;
        n += m == LRK_EXACT ? o->exact : (m == LRK_MATCH ? o->verdict.equal : o->verdict.parse) > 0;
    }
    return n;
}

void lrk_score_compare(const lrk_score *a, const lrk_score *b, const lrk_exam *x, size_t *wins,
                       size_t *lost, size_t *both)
{
    *wins = *lost = *both = 0;
    for (size_t i = 0; i < x->n; i++) {
        if (!a->outcome[i].answered || !b->outcome[i].answered) continue;
        const bool right_a = lrk_outcome_right(a, i), right_b = lrk_outcome_right(b, i);
        ++*both;
        *wins += right_b && !right_a;
        *lost += right_a && !right_b;
    }
}
