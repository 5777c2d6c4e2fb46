/* train/metrics.c -- metrics.jsonl. */
#include "train/metrics.h"

#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <string.h>

enum { LONGEST_LINE = 64 * 1024 };

static void number(lrk_buf *b, const char *name, double v)
{
    if (isfinite(v))
        lrk_buf_printf(b, ", \"%s\": %.9g", name, v);
    else
        lrk_buf_printf(b, ", \"%s\": null", name);
}

static void whole(lrk_buf *b, const char *name, uint64_t v)
{
    lrk_buf_printf(b, ", \"%s\": %llu", name, (unsigned long long)v);
}

static lrk_status append(const char *path, lrk_buf *b, lrk_err *err)
{
    lrk_buf_puts(b, "}\n");
    lrk_status s = lrk_buf_check(b, err);
    if (s == LRK_OK) s = lrk_file_append(path, b->data, b->n, err);
    lrk_buf_free(b);
    return s;
}

static double per_second(uint64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0.0;
}

lrk_status lrk_metrics_step(const char *path, const lrk_step_record *r, lrk_err *err)
{
    lrk_buf b = {0};
    lrk_buf_puts(&b, "{\"kind\": \"step\"");
    whole(&b, "step", r->step);
    number(&b, "epoch", r->epoch);
    number(&b, "loss", r->loss);
    number(&b, "learning_rate", r->learning_rate);
    number(&b, "grad_norm", r->grad_norm);
    whole(&b, "tokens", r->tokens);
    whole(&b, "trained_tokens", r->trained_tokens);
    whole(&b, "computed_tokens", r->computed_tokens);
    number(&b, "seconds", r->seconds);
    number(&b, "tokens_per_second", per_second(r->tokens, r->seconds));
    number(&b, "trained_tokens_per_second", per_second(r->trained_tokens, r->seconds));
    number(&b, "elapsed", r->elapsed);
    whole(&b, "peak_bytes", r->peak_bytes);
    return append(path, &b, err);
}

lrk_status lrk_metrics_eval(const char *path, const lrk_eval_record *r, lrk_err *err)
{
    lrk_buf b = {0};
    lrk_buf_puts(&b, "{\"kind\": \"eval\"");
    whole(&b, "step", r->step);
    number(&b, "epoch", r->epoch);
    number(&b, "eval_loss", r->loss);
    whole(&b, "trained_tokens", r->trained_tokens);
    number(&b, "seconds", r->seconds);
    return append(path, &b, err);
}

/* Calls f for each line that is a whole record. */
static lrk_status each(const char *path,
                       lrk_status (*f)(void *ctx, const lrk_json *record, const char *line,
                                       size_t n, lrk_err *err),
                       void *ctx, lrk_err *err)
{
    lrk_lines *lines;
    LRK_TRY(lrk_lines_open(&lines, path, LONGEST_LINE, err));
    lrk_status s = LRK_OK;
    for (;;) {
        char *line;
        size_t n;
        lrk_json *record;
        s = lrk_lines_next(lines, &line, &n, err);
        if (s != LRK_OK || !line) break;
        if (lrk_json_parse(&record, line, n, path, NULL) != LRK_OK) continue;
        s = f(ctx, record, line, n, err);
        lrk_json_free(record);
        if (s != LRK_OK) break;
    }
    lrk_lines_close(lines);
    return s;
}

typedef struct rewinding {
    uint64_t step;
    bool evaluates_again;
    lrk_writer *out;
} rewinding;

static lrk_status keep(void *ctx, const lrk_json *record, const char *line, size_t n, lrk_err *err)
{
    const rewinding *r = ctx;
    const int64_t step = lrk_json_integer(lrk_json_get(record, "step"));
    if (step < 0 || (uint64_t)step > r->step) return LRK_OK;
    if (r->evaluates_again && (uint64_t)step == r->step && lrk_json_get(record, "eval_loss"))
        return LRK_OK;
    LRK_TRY(lrk_write(r->out, line, n, err));
    return lrk_write(r->out, "\n", 1, err);
}

lrk_status lrk_metrics_rewind(const char *path, uint64_t step, bool evaluates_again, lrk_err *err)
{
    rewinding r = {.step = step, .evaluates_again = evaluates_again};
    if (!lrk_is_file(path)) return LRK_OK;
    LRK_TRY(lrk_writer_open(&r.out, path, err));
    lrk_status s = each(path, keep, &r, err);
    if (s == LRK_OK) s = lrk_writer_commit(r.out, err);
    lrk_writer_close(r.out);
    return s;
}

typedef struct reading {
    lrk_buf train, eval;
} reading;

static lrk_status collect(void *ctx, const lrk_json *record, const char *line, size_t n,
                          lrk_err *err)
{
    reading *r = ctx;
    (void)line, (void)n, (void)err;
    const lrk_json *loss = lrk_json_get(record, "loss");
    const lrk_json *eval_loss = lrk_json_get(record, "eval_loss");
    const lrk_json *value = loss ? loss : eval_loss;
    if (!lrk_json_is(value, LRK_JSON_REAL) && !lrk_json_is(value, LRK_JSON_INTEGER)) return LRK_OK;
    const lrk_curve_point p = {lrk_json_number(lrk_json_get(record, "step")),
                               lrk_json_number(value)};
    lrk_buf_append(loss ? &r->train : &r->eval, &p, sizeof p);
    return LRK_OK;
}

static lrk_status points(lrk_arena *a, const lrk_buf *from, lrk_curve_point **out, size_t *n,
                         lrk_err *err)
{
    LRK_TRY(lrk_buf_check(from, err));
    *n = from->n / sizeof **out;
    LRK_TRY(lrk_alloc(a, *n ? *n : 1, sizeof **out, "loss curve", out, err));
    if (*n) memcpy(*out, from->data, *n * sizeof **out);
    return LRK_OK;
}

lrk_status lrk_metrics_read(lrk_curve *c, lrk_arena *a, const char *path, lrk_err *err)
{
    reading r = {0};
    lrk_status s = each(path, collect, &r, err);
    if (s == LRK_OK) s = points(a, &r.train, &c->train, &c->n_train, err);
    if (s == LRK_OK) s = points(a, &r.eval, &c->eval, &c->n_eval, err);
    lrk_buf_free(&r.train);
    lrk_buf_free(&r.eval);
    return s;
}
