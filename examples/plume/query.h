/* plume/query.h -- the tree of a Plume query, its parser and its printer.
 *
 * The grammar is plume.gbnf: one spelling, single spaces, clauses in a fixed order. The parser is
 * strict: it accepts exactly the strings of the grammar (up to PLUME_MAX_DEPTH of nesting). Trees
 * live in the caller's arena and are never changed after they were built, so they may be shared.
 *
 *   plume_print(plume_parse(x)) == x    up to needless parentheses around a single unit and the
 *                                       spelling of numbers (1.50 prints as 1.5)
 *   plume_parse(plume_print(t)) == t    always
 */
#ifndef PLUME_QUERY_H
#define PLUME_QUERY_H
#include "base/arena.h"
#include "plume/schema.h"

#include <stdint.h>

enum { PLUME_MAX_DEPTH = 200 };

typedef enum plume_op {
    PLUME_EQ,
    PLUME_NE,
    PLUME_GT,
    PLUME_GE,
    PLUME_LT,
    PLUME_LE,
    PLUME_CONTAINS, /* ~ */
    PLUME_LACKS,    /* !~ */
    PLUME_STARTS,
    PLUME_IN,
    PLUME_EXISTS,
    PLUME_MISSING
} plume_op;

/* One comparison. Which value counts follows from the kind of the column: text[0] (or all of them
 * with PLUME_IN), number, truth. Numbers are thousandths, so the three digits that the grammar
 * allows after the point are exact. */
typedef struct plume_cmp {
    plume_name column;
    plume_op op;
    const char *const *text;
    size_t n_text;
    int64_t number;
    bool truth;
} plume_cmp;

typedef enum plume_node { PLUME_CMP, PLUME_NOT, PLUME_AND, PLUME_OR } plume_node;

typedef struct plume_expr {
    plume_node node;
    plume_cmp cmp;                        /* PLUME_CMP */
    const struct plume_expr *const *part; /* PLUME_NOT: one; PLUME_AND, PLUME_OR: two or more */
    size_t n;
} plume_expr;

typedef enum plume_fn {
    PLUME_COUNT,
    PLUME_SUM,
    PLUME_AVG,
    PLUME_MIN,
    PLUME_MAX,
    PLUME_P50,
    PLUME_P90,
    PLUME_P95,
    PLUME_P99,
    PLUME_UNIQ,
    PLUME_RATE,
    PLUME_FNS
} plume_fn;

typedef struct plume_agg {
    plume_fn fn;
    plume_name column; /* but for count and rate */
    plume_cmp cmp;     /* rate */
} plume_agg;

typedef struct plume_cond {
    plume_agg agg;
    plume_op op;
    int64_t number; /* thousandths */
} plume_cond;

typedef struct plume_time {
    int year, month, day, hour, minute; /* as written; valid.h asks whether the day exists */
} plume_time;

typedef struct plume_window {
    bool range;
    int n; /* last n units */
    char unit;
    plume_time from, to; /* range */
} plume_window;

typedef enum plume_sort_kind { PLUME_UNSORTED, PLUME_SORT_AGG, PLUME_SORT_COLUMN } plume_sort_kind;

typedef struct plume_query {
    plume_table table;
    const plume_expr *where; /* NULL: all rows */
    const plume_agg *calc;
    size_t n_calc;
    const plume_name *by;
    size_t n_by;
    const plume_cond *keep;
    size_t n_keep;
    plume_window window;
    struct {
        plume_sort_kind kind;
        plume_agg agg;
        plume_name column;
        bool descending;
    } sort;
    int take; /* 0: all */
} plume_query;

/* Where and how a text is no query. */
typedef struct plume_fault {
    size_t at; /* byte offset of the word or sign that does not fit; the length of the text where
                  more was expected */
    bool cut;  /* the text is a beginning of a query that stops too early */
} plume_fault;

/* Parses n bytes. On failure LRK_EINPUT, "column 7: expected ..., got ..." in err, and *fault
 * filled in (fault may be NULL). held_out: tables and columns outside the plain grammar count too.
 */
lrk_status plume_parse(const char *text, size_t n, bool held_out, lrk_arena *a,
                       const plume_query **out, plume_fault *fault, lrk_err *err);

/* Text of a tree, parentheses only where the tree needs them, appended to b. */
void plume_print(const plume_query *q, lrk_buf *b);
void plume_print_expr(const plume_expr *e, lrk_buf *b);
void plume_print_cmp(const plume_cmp *c, lrk_buf *b);
void plume_print_agg(const plume_agg *g, lrk_buf *b);
bool plume_same_agg(const plume_agg *a, const plume_agg *b); /* of the same text */
void plume_print_cond(const plume_cond *c, lrk_buf *b);
void plume_print_number(int64_t thousandths, lrk_buf *b);

/* The same with every literal blanked: two queries of one shape differ in values alone. */
void plume_print_shape(const plume_query *q, lrk_buf *b);

const char *plume_fn_text(plume_fn f);
const char *plume_op_text(plume_op o);

/* Minutes since 1970 of a time that exists. */
int64_t plume_minutes(plume_time t);
plume_time plume_time_of(int64_t minutes);
bool plume_time_exists(plume_time t);

/* Now is always 2026-03-01T12:00, a Sunday. */
int64_t plume_now(void);

#endif /* PLUME_QUERY_H */
