/* cli/eval_files.c -- the figures of `eval` as JSON, and the rows that went wrong. */
#include "cli/eval_report.h"

#include <string.h>

/* One without width is not known: too few rows. */
static lrk_json *interval(lrk_interval i)
{
    const bool known = i.low < i.high;
    lrk_json *o = lrk_json_object();
    lrk_json_set(o, "value", lrk_json_new_real(i.value));
    lrk_json_set(o, "low", known ? lrk_json_new_real(i.low) : lrk_json_new_null());
    lrk_json_set(o, "high", known ? lrk_json_new_real(i.high) : lrk_json_new_null());
    return o;
}

static lrk_json *share(const lrk_score *s, const lrk_exam *x, lrk_measure m, const char *group)
{
    size_t of;
    const size_t k = lrk_score_count(s, x, m, group, &of);
    lrk_json *o = interval(lrk_wilson(k, of));
    lrk_json_set_count(o, "count", k);
    lrk_json_set_count(o, "of", of);
    return o;
}

static lrk_json *add_shares(lrk_json *o, const lrk_score *s, const lrk_exam *x, const char *group)
{
    lrk_json_set(o, "exact", share(s, x, LRK_EXACT, group));
    if (s->has_match) lrk_json_set(o, "match", share(s, x, LRK_MATCH, group));
    if (s->has_parse) lrk_json_set(o, "parse", share(s, x, LRK_PARSE, group));
    return o;
}

static lrk_json *score(const lrk_eval_report *r, const lrk_score *s)
{
    lrk_json *o = lrk_json_object(), *groups = lrk_json_object();
    lrk_json_set(o, "name", lrk_json_c_string(s->name));
    lrk_json_set_count(o, "rows", s->rows);
    lrk_json_set_count(o, "answers", s->answered);
    lrk_json_set_count(o, "trained_tokens", s->trained);
    lrk_json_set(o, "seconds", lrk_json_new_real(s->seconds));
    lrk_json_set(o, "loss", interval(s->loss));
    add_shares(o, s, r->exam, NULL);
    for (const char *g = lrk_eval_group(r, NULL); g; g = lrk_eval_group(r, g))
        lrk_json_set(groups, g, add_shares(lrk_json_object(), s, r->exam, g));
    lrk_json_set(o, "groups", groups);
    return o;
}

lrk_json *lrk_eval_json(const lrk_eval_report *r)
{
    lrk_json *o = lrk_json_object(), *scores = lrk_json_array();
    lrk_json_set(o, "model", lrk_json_c_string(r->model));
    lrk_json_set(o, "adapter", lrk_json_c_string(r->adapter));
    lrk_json_set(o, "data", lrk_json_c_string(r->data));
    lrk_json_set(o, "validator", lrk_json_c_string(r->validator));
    for (size_t i = 0; i < r->n_scores; i++) lrk_json_add(scores, score(r, &r->score[i]));
    lrk_json_set(o, "scores", scores);
    if (r->n_scores < 2) return o;
    size_t wins, losses, both;
    lrk_json *paired = lrk_json_object();
    lrk_score_compare(&r->score[0], &r->score[1], r->exam, &wins, &losses, &both);
    lrk_json_set_count(paired, "rows", both);
    lrk_json_set_count(paired, "wins", wins);
    lrk_json_set_count(paired, "losses", losses);
    lrk_json_set(paired, "mcnemar_p", lrk_json_new_real(lrk_mcnemar(wins, losses)));
    lrk_json_set(o, "paired", paired);
    return o;
}

static lrk_json *failure(const lrk_eval_report *r, size_t i)
{
    const lrk_exam_row *row = &r->exam->row[i];
    const lrk_verdict *v = &r->score[r->n_scores - 1].outcome[i].verdict;
    lrk_json *o = lrk_json_object();
    lrk_json *id = NULL;
    if (lrk_json_parse(&id, row->id, strlen(row->id), "id", NULL) != LRK_OK) id = lrk_json_c_string(row->id);
    lrk_json_set(o, "id", id);
    lrk_json_set(o, "where", lrk_json_c_string(row->where));
    lrk_json_set_text(o, "group", row->group);
    lrk_json_set(o, "question", lrk_json_c_string(row->question));
    lrk_json_set(o, "gold", lrk_json_c_string(row->gold));
    for (size_t k = 0; k < r->n_scores; k++)
        if (r->score[k].outcome[i].answered)
            lrk_json_set(o, r->score[k].name, lrk_json_c_string(r->score[k].outcome[i].text));
    if (v->parse >= 0) lrk_json_set(o, "parse", lrk_json_new_bool(v->parse > 0));
    if (v->class[0]) lrk_json_set(o, "class", lrk_json_c_string(v->class));
    if (v->note[0]) lrk_json_set(o, "note", lrk_json_c_string(v->note));
    return o;
}

lrk_status lrk_eval_failures(const lrk_eval_report *r, lrk_writer *w, size_t *n, lrk_err *err)
{
    const lrk_score *last = &r->score[r->n_scores - 1];
    lrk_buf line = {0};
    lrk_status s = LRK_OK;
    *n = 0;
    for (size_t i = 0; s == LRK_OK && i < r->exam->n; i++) {
        if (!last->outcome[i].answered || lrk_outcome_right(last, i)) continue;
        lrk_json *o = failure(r, i);
        line.n = 0;
        s = lrk_json_dump(o, 0, &line, err);
        lrk_json_free(o);
        lrk_buf_puts(&line, "\n");
        if (s == LRK_OK) s = lrk_buf_check(&line, err);
        if (s == LRK_OK) s = lrk_write(w, line.data, line.n, err);
        ++*n;
    }
    lrk_buf_free(&line);
    return s;
}
