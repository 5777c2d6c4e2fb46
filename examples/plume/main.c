/* plume/main.c -- the program: generate, canonical, check, explain, run. The only file here that
 * knows argv, standard output and exit codes. */
#include "base/file.h"
#include "base/text.h"
#include "plume/canonical.h"
#include "plume/check.h"
#include "plume/execute.h"
#include "plume/generate.h"

#include <stdio.h>
#include <string.h>

enum { MAX_LINE = 1 << 20 };

static int report(lrk_status s, const lrk_err *err)
{
    if (s != LRK_OK) fprintf(stderr, "plume: %s\n", err->text[0] ? err->text : lrk_status_text(s));
    return lrk_exit_code(s);
}

/* Lines leave the moment they are complete: the other side waits for each. */
static lrk_status put(const char *text, size_t n, lrk_err *err)
{
    if (fwrite(text, 1, n, stdout) != n || fputc('\n', stdout) == EOF || fflush(stdout) == EOF)
        return lrk_fail(err, LRK_EIO, "standard output: write failed");
    return LRK_OK;
}

static lrk_status put_buf(lrk_buf *b, lrk_status s, lrk_err *err)
{
    if (s == LRK_OK) s = lrk_buf_check(b, err);
    if (s == LRK_OK) s = put(b->data ? b->data : "", b->n, err);
    lrk_buf_free(b);
    return s;
}

static lrk_status parse_valid(const char *text, size_t n, bool valid, lrk_arena *a,
                              const plume_query **q, lrk_err *err)
{
    LRK_TRY(plume_parse(text, n, true, a, q, NULL, err));
    return valid ? plume_valid(*q, err) : LRK_OK;
}

typedef lrk_status (*line_command)(const char *line, size_t n, const plume_database *d,
                                   lrk_err *err);

static lrk_status canonical_line(const char *line, size_t n, const plume_database *d, lrk_err *err)
{
    (void)d;
    lrk_arena a = lrk_arena_growing("query");
    lrk_buf b = {0};
    const plume_query *q = NULL;
    lrk_status s = parse_valid(line, n, false, &a, &q, err);
    if (s == LRK_OK) s = plume_canonical_text(q, &b, err);
    s = put_buf(&b, s, err);
    lrk_arena_free(&a);
    return s;
}

static lrk_status check_line(const char *line, size_t n, const plume_database *d, lrk_err *err)
{
    lrk_buf b = {0};
    return put_buf(&b, plume_check_line(line, n, d, &b, err), err);
}

static lrk_status each_line(line_command f, const plume_database *d, lrk_err *err)
{
    lrk_lines *l = NULL;
    size_t number = 0;
    LRK_TRY(lrk_lines_open(&l, "-", MAX_LINE, err));
    lrk_status s = LRK_OK;
    while (s == LRK_OK) {
        char *line = NULL;
        size_t n = 0;
        s = lrk_lines_next(l, &line, &n, err);
        if (s != LRK_OK || !line) break;
        number++;
        s = f(line, n, d, err);
        if (s != LRK_OK) lrk_err_prefix(err, s, "line %zu", number);
    }
    lrk_lines_close(l);
    return s;
}

static lrk_status canonical(char **args, lrk_err *err)
{
    (void)args;
    return each_line(canonical_line, NULL, err);
}

static lrk_status check(char **args, lrk_err *err)
{
    (void)args;
    lrk_arena a = lrk_arena_growing("databases");
    plume_database *d = NULL;
    lrk_status s = lrk_alloc(&a, PLUME_DATABASES, sizeof *d, "databases", &d, err);
    if (s == LRK_OK) s = plume_databases_make(d, &a, err);
    if (s == LRK_OK) s = each_line(check_line, d, err);
    lrk_arena_free(&a);
    return s;
}

static void tree(const plume_expr *e, int depth, lrk_buf *b)
{
    static const char *const names[] = {"", "not", "and", "or"};
    lrk_buf_printf(b, "  %*s", 2 * depth, "");
    if (e->node == PLUME_CMP)
        plume_print_cmp(&e->cmp, b);
    else
        lrk_buf_puts(b, names[e->node]);
    lrk_buf_puts(b, "\n");
    for (size_t i = 0; i < e->n; i++) tree(e->part[i], depth + 1, b);
}

static void explain_tree(const plume_query *q, lrk_buf *b)
{
    lrk_buf_printf(b, "table   %s\n", plume_table_text(q->table));
    if (q->where) {
        lrk_buf_puts(b, "where\n");
        tree(q->where, 1, b);
    }
    for (size_t i = 0; i < q->n_calc; i++) {
        lrk_buf_puts(b, i ? "        " : "calc    ");
        plume_print_agg(&q->calc[i], b);
        lrk_buf_puts(b, "\n");
    }
    for (size_t i = 0; i < q->n_by; i++)
        lrk_buf_printf(b, "%s%s\n", i ? "        " : "by      ", plume_name_text(q->by[i]));
    for (size_t i = 0; i < q->n_keep; i++) {
        lrk_buf_puts(b, i ? "        " : "keep    ");
        plume_print_cond(&q->keep[i], b);
        lrk_buf_puts(b, "\n");
    }
    const plume_window *w = &q->window;
    if (w->range)
        lrk_buf_printf(b, "window  %04d-%02d-%02dT%02d:%02d to %04d-%02d-%02dT%02d:%02d\n",
                       w->from.year, w->from.month, w->from.day, w->from.hour, w->from.minute,
                       w->to.year, w->to.month, w->to.day, w->to.hour, w->to.minute);
    else
        lrk_buf_printf(b, "window  last %d%c\n", w->n, w->unit);
    if (q->sort.kind) {
        lrk_buf_puts(b, "sort    ");
        if (q->sort.kind == PLUME_SORT_AGG)
            plume_print_agg(&q->sort.agg, b);
        else
            lrk_buf_puts(b, plume_name_text(q->sort.column));
        lrk_buf_puts(b, q->sort.descending ? " descending\n" : " ascending\n");
    }
    if (q->take) lrk_buf_printf(b, "take    %d\n", q->take);
}

static lrk_status explain(char **args, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("query");
    lrk_buf b = {0};
    const plume_query *q = NULL;
    lrk_status s = parse_valid(args[0], strlen(args[0]), false, &a, &q, err);
    if (s == LRK_OK) {
        explain_tree(q, &b);
        lrk_buf_puts(&b, "\ncanonical: ");
        s = plume_canonical_text(q, &b, err);
    }
    if (s == LRK_OK) s = plume_valid(q, err);
    const lrk_status written = put_buf(&b, b.n ? LRK_OK : s, err);
    lrk_arena_free(&a);
    return s == LRK_OK ? written : s;
}

static void cell(const plume_cell *c, lrk_buf *b)
{
    if (c->kind == PLUME_CELL_MISSING)
        lrk_buf_puts(b, "-");
    else if (c->kind == PLUME_CELL_TEXT)
        lrk_buf_puts(b, c->text);
    else if (c->kind == PLUME_CELL_BOOL)
        lrk_buf_puts(b, c->number > 0.5 ? "true" : "false");
    else
        lrk_buf_printf(b, "%.10g", c->number);
}

static void table(const plume_query *q, const plume_result *r, lrk_buf *b)
{
    for (size_t i = 0; i < q->n_by; i++)
        lrk_buf_printf(b, "%s%s", i ? "\t" : "", plume_name_text(q->by[i]));
    for (size_t i = 0; i < q->n_calc; i++) {
        if (i + q->n_by) lrk_buf_puts(b, "\t");
        plume_print_agg(&q->calc[i], b);
    }
    for (size_t i = 0; i < r->rows * r->columns; i++) {
        lrk_buf_puts(b, i % r->columns ? "\t" : "\n");
        cell(&r->cell[i], b);
    }
}

static lrk_status run(char **args, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("database");
    lrk_buf b = {0};
    const plume_query *q = NULL;
    plume_database *d = NULL;
    plume_result r = {0};
    lrk_status s = parse_valid(args[0], strlen(args[0]), true, &a, &q, err);
    if (s == LRK_OK) s = lrk_alloc(&a, 1, sizeof *d, "database", &d, err);
    if (s == LRK_OK) s = plume_database_make(d, 1, &a, err);
    if (s == LRK_OK) s = plume_execute(q, d, &a, &r, err);
    if (s == LRK_OK) table(q, &r, &b);
    s = put_buf(&b, s, err);
    lrk_arena_free(&a);
    return s;
}

static lrk_status put_row(void *ctx, const char *line, size_t n, lrk_err *err)
{
    (void)ctx;
    return put(line, n, err);
}

static lrk_status generate(char **args, lrk_err *err)
{
    plume_split split = PLUME_TRAIN;
    size_t n = 3000, seed = 1;
    for (; *args; args += 2) {
        const char *value = args[1] ? args[1] : "";
        bool ok = false;
        if (strcmp(args[0], "--split") == 0)
            ok = plume_split_find(value, &split);
        else if (strcmp(args[0], "--n") == 0)
            ok = lrk_text_size(value, &n) && n > 0 && n <= 100000;
        else if (strcmp(args[0], "--seed") == 0)
            ok = lrk_text_size(value, &seed);
        LRK_REQUIRE(err, ok, LRK_EUSAGE, "generate: %s %s: see plume generate --help", args[0],
                    value);
    }
    return plume_generate(split, n, seed, put_row, NULL, err);
}

static const struct {
    const char *name;
    int args;
    lrk_status (*run)(char **args, lrk_err *err);
    const char *help;
} commands[] = {
    {"generate", -1, generate,
     "plume generate [--split train|val|test-iid|test-comp] [--n ROWS] [--seed SEED]\n"
     "  Rows of question and query as JSON lines; the same arguments give the same bytes. Splits\n"
     "  share no question and no query.\n"
     "  Example: plume generate --split train --n 3000 --seed 1 > train.jsonl\n"},
    {"canonical", 0, canonical,
     "plume canonical\n"
     "  Queries on standard input, one a line; their canonical form on standard output.\n"
     "  Example: echo 'spans | calc count() | last 120m' | plume canonical\n"},
    {"check", 0, check,
     "plume check\n"
     "  The validator that `lorikeet eval` starts. JSON lines {\"id\",\"pred\",\"gold\"} on "
     "standard\n"
     "  input; for each, at once, "
     "{\"id\",\"parse\",\"valid\",\"equal\",\"same\",\"class\",\"note\"}. equal:\n"
     "  the same canonical form; same: the same results on five databases; class: ok, empty,\n"
     "  prose, truncated, parse, semantic, wrong.\n"
     "  Example: echo '{\"id\":1,\"pred\":\"spans\",\"gold\":\"logs | calc count() | last 2h\"}' | "
     "plume check\n"},
    {"explain", 1, explain,
     "plume explain QUERY\n"
     "  The tree of a query and its canonical form.\n"
     "  Example: plume explain 'spans | where not (ok = true or retries > 0) | calc count() | last "
     "2h'\n"},
    {"run", 1, run,
     "plume run QUERY\n"
     "  The result of a query on the first of the seeded databases, columns separated by tabs.\n"
     "  Example: plume run 'spans | calc p95(dur_ms) | by svc | last 2h | sort p95(dur_ms) "
     "desc'\n"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int usage(FILE *to, int code)
{
    fputs("plume: the query language of the Lorikeet example (examples/plume/README.md)\n\n", to);
    for (int i = 0; i < COMMANDS; i++) fputs(commands[i].help, to);
    return code;
}

int main(int argc, char **argv)
{
    lrk_err err = {0};
    if (argc < 2) return usage(stderr, 2);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) return usage(stdout, 0);
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, argv[1]) != 0) continue;
        if (argc > 2 && strcmp(argv[2], "--help") == 0) return fputs(commands[i].help, stdout), 0;
        if (argc != 2 + commands[i].args && commands[i].args >= 0)
            return fputs(commands[i].help, stderr), 2;
        return report(commands[i].run(argv + 2, &err), &err);
    }
    fprintf(stderr, "plume: unknown command '%s'; see plume --help\n", argv[1]);
    return 2;
}
