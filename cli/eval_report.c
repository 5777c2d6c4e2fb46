/* cli/eval_report.c -- the table of `eval`, and examples side by side. */
#include "cli/eval_report.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 100, LABEL = 12, CELL = 28 };

const char *lrk_eval_group(const lrk_eval_report *r, const char *after)
{
    const char *best = NULL;
    for (size_t i = 0; i < r->exam->n; i++) {
        const char *g = r->exam->row[i].group;
        if (g && (!after || strcmp(g, after) > 0) && (!best || strcmp(g, best) < 0)) best = g;
    }
    return best;
}

/* Control characters would move the cursor of a terminal. */
static void put_text(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        putchar(c < 0x20 || c == 0x7f ? ' ' : s[i]);
    }
}

/* Cells stand below each other; no blanks at the end of a line. */
static void print_cell(const lrk_eval_report *r, size_t column, const char *text)
{
    printf("  %-*s", column + 1 < r->n_scores ? CELL : 0, text);
}

static void print_share(const lrk_eval_report *r, size_t column, lrk_measure m, const char *group)
{
    char cell[64];
    size_t of;
    const size_t k = lrk_score_count(&r->score[column], r->exam, m, group, &of);
    const lrk_interval i = lrk_wilson(k, of);
    if (of)
        snprintf(cell, sizeof cell, "%5.1f %% [%.1f, %.1f]", 100.0 * i.value, 100.0 * i.low,
                 100.0 * i.high);
    else
        snprintf(cell, sizeof cell, "    -");
    print_cell(r, column, cell);
}

static void print_row(const lrk_eval_report *r, const char *label, lrk_measure m)
{
    printf("%-*s", LABEL, label);
    for (size_t i = 0; i < r->n_scores; i++) print_share(r, i, m, NULL);
    putchar('\n');
}

static void print_losses(const lrk_eval_report *r)
{
    char cell[64];
    printf("%-*s", LABEL, "loss");
    for (size_t i = 0; i < r->n_scores; i++) {
        const lrk_interval *l = &r->score[i].loss;
        if (l->low < l->high)
            snprintf(cell, sizeof cell, "%7.4f [%.4f, %.4f]", l->value, l->low, l->high);
        else
            snprintf(cell, sizeof cell, "%7.4f", l->value);
        print_cell(r, i, cell);
    }
    putchar('\n');
}

static void print_head(const lrk_eval_report *r)
{
    printf("%-*s", LABEL, "");
    for (size_t i = 0; i < r->n_scores; i++) {
        char cell[64];
        snprintf(cell, sizeof cell, "%s (%zu row%s)", r->score[i].name, r->score[i].rows,
                 r->score[i].rows == 1 ? "" : "s");
        print_cell(r, i, cell);
    }
    putchar('\n');
}

/* The measure that decides what is right. */
static lrk_measure main_measure(const lrk_eval_report *r)
{
    return r->score[r->n_scores - 1].has_match ? LRK_MATCH : LRK_EXACT;
}

static void print_groups(const lrk_eval_report *r)
{
    const lrk_measure m = main_measure(r);
    const char *g = lrk_eval_group(r, NULL);
    if (!g) return;
    printf("\n%-*s", LABEL, m == LRK_MATCH ? "match by" : "exact by");
    for (size_t i = 0; i < r->n_scores; i++) print_cell(r, i, r->score[i].name);
    putchar('\n');
    for (; g; g = lrk_eval_group(r, g)) {
        size_t of;
        lrk_score_count(&r->score[r->n_scores - 1], r->exam, m, g, &of);
        char label[64];
        const int n = snprintf(label, sizeof label, "%.20s (%zu)", g, of);
        put_text(label, (size_t)n);
        printf("%*s", n < LABEL ? LABEL - n : 0, "");
        for (size_t i = 0; i < r->n_scores; i++) print_share(r, i, m, g);
        putchar('\n');
    }
}

static void print_comparison(const lrk_eval_report *r)
{
    size_t wins, losses, both;
    if (r->n_scores < 2) return;
    lrk_score_compare(&r->score[0], &r->score[1], r->exam, &wins, &losses, &both);
    if (!both) return;
    printf("\nOf the %zu row%s that both answered, %zu became right and %zu became wrong (McNemar's "
           "p = %.2g).\n",
           both, both == 1 ? "" : "s", wins, losses, lrk_mcnemar(wins, losses));
}

/* How many answers of the last score were cut off, and how many of each class there are. */
static void print_kinds(const lrk_eval_report *r)
{
    const lrk_score *s = &r->score[r->n_scores - 1];
    const char *last = NULL;
    size_t unfinished = 0;
    bool any = false;
    for (size_t i = 0; i < r->exam->n; i++)
        unfinished += s->outcome[i].answered && !s->outcome[i].finished;
    for (;;) {
        const char *next = NULL;
        size_t n = 0;
        for (size_t i = 0; i < r->exam->n; i++) {
            const char *c = s->outcome[i].verdict.class;
            if (!s->outcome[i].answered || !c[0] || (last && strcmp(c, last) <= 0)) continue;
            if (!next || strcmp(c, next) < 0) next = c, n = 0;
            n += strcmp(c, next) == 0;
        }
        if (!next) break;
        if (any)
            printf(", ");
        else
            printf("\nKinds of answers (%s): ", s->name);
        printf("%s %zu", next, n);
        any = true;
        last = next;
    }
    if (any) printf(".\n");
    if (unfinished)
        printf("\nCut off by --max-tokens (%s): %zu of %zu.\n", s->name, unfinished, s->answered);
}

void lrk_print_eval(const lrk_eval_report *r)
{
    const lrk_score *last = &r->score[r->n_scores - 1];
    print_head(r);
    print_losses(r);
    if (last->answered) {
        print_row(r, "exact", LRK_EXACT);
        if (last->has_match) print_row(r, "match", LRK_MATCH);
        if (last->has_parse) print_row(r, "parse", LRK_PARSE);
        print_groups(r);
        print_comparison(r);
        print_kinds(r);
    }
    printf("\nIn brackets: 95 %% intervals. %s\n",
           last->has_match ? "exact: the same text; match, parse: the validator says so."
                           : "exact: the same text.");
}

/* ---- examples ---- */

/* Bytes of text that fit into `columns`, ending behind a blank where there is one. */
static size_t piece(const char *s, size_t n, size_t columns)
{
    size_t at = 0, used = 0, blank = 0;
    while (at < n && s[at] != '\n') {
        if (((unsigned char)s[at] & 0xc0) != 0x80 && used++ == columns) break;
        at++;
        if (s[at - 1] == ' ') blank = at;
    }
    if (at == n || s[at] == '\n') return at;
    return blank ? blank : at;
}

enum { INDENT = 17, LINES = 3 };

/* Behind the line that *text begins with, and the blanks after it. */
static size_t line_of(const char **text, size_t *n)
{
    const size_t k = piece(*text, *n, WIDTH - INDENT - 4);
    *text += k;
    *n -= k;
    while (*n && (**text == '\n' || **text == ' ')) ++*text, --*n;
    return k;
}

/* Where the last LINES lines of a text begin: the end of a question is what was asked. */
static const char *last_lines(const char *text)
{
    const char *start[LINES] = {text};
    size_t lines = 0;
    for (size_t n = strlen(text); n; lines++) {
        start[lines % LINES] = text;
        line_of(&text, &n);
    }
    return lines > LINES ? start[lines % LINES] : start[0];
}

static void print_wrapped(const char *label, const char *text)
{
    size_t n = strlen(text);
    printf("   %-*s", INDENT - 3, label);
    if (!n) putchar('\n');
    for (int line = 0; n; line++) {
        const char *const at = text;
        const size_t k = line_of(&text, &n);
        if (line) printf("%*s", INDENT, "");
        put_text(at, k && at[k - 1] == ' ' ? k - 1 : k);
        if (n && line + 1 == LINES) {
            printf(" ...");
            n = 0;
        }
        putchar('\n');
    }
}

static void print_example(const lrk_eval_report *r, size_t number, size_t i)
{
    const lrk_exam_row *row = &r->exam->row[i];
    printf("\n%zu. %s%s", number, row->where, row->group ? ", " : "");
    if (row->group) put_text(row->group, strlen(row->group));
    putchar('\n');
    const char *asked = last_lines(row->question);
    print_wrapped(asked == row->question ? "question" : "... question", asked);
    print_wrapped("gold", row->gold);
    for (size_t k = 0; k < r->n_scores; k++) {
        char label[32];
        const lrk_outcome *o = &r->score[k].outcome[i];
        snprintf(label, sizeof label, "%-6s%s", r->score[k].name,
                 lrk_outcome_right(&r->score[k], i) ? "ok" : "wrong");
        print_wrapped(label, o->text[0] ? o->text : "(nothing)");
    }
}

static bool known(const lrk_eval_report *r, size_t i)
{
    bool all = true;
    for (size_t k = 0; k < r->n_scores; k++) all &= r->score[k].outcome[i].answered;
    return all;
}

void lrk_print_eval_examples(const lrk_eval_report *r, size_t few)
{
    size_t n = 0, at = 0, shown = 0;
    for (size_t i = 0; i < r->exam->n; i++) n += known(r, i);
    for (size_t i = 0; few && i < r->exam->n; i++) {
        if (!known(r, i)) continue;
        if (lrk_evenly(at++, n, few)) print_example(r, ++shown, i);
    }
}
