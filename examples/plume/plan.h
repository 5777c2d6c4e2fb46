/* plume/plan.h -- one question before it has words: what is asked, of which rows, by what, when.
 *
 * A plan gives the gold query (plume_plan_query) and, through the phrase bank, a question
 * (plume_plan_english, english.c). Both come from the same rows of the bank, so the words
 * determine the query under the house rules.
 */
#ifndef PLUME_PLAN_H
#define PLUME_PLAN_H
#include "plume/bank.h"
#include "plume/database.h"

/* A condition with its values. */
typedef struct plume_use {
    const plume_filter *filter;
    plume_fill fill;
    const char *query;
    char column[24];
} plume_use;

enum { PLUME_USES = 3 };

typedef struct plume_plan {
    char table; /* S, L, H */
    plume_frame_kind kind;
    plume_register reg;
    const plume_noun *noun;
    bool root; /* the words ask for requests */
    plume_use use[PLUME_USES];
    size_t n_use;
    plume_use either[2]; /* or-ed, where has_either */
    bool has_either;
    plume_use share; /* PLUME_F_SHARE */
    const plume_measure *measure[2];
    size_t n_measures;
    bool with_count; /* count() beside a measure */
    const plume_superlative *best;
    const plume_entity *counted; /* PLUME_F_UNIQ */
    const plume_entity *by[2];
    size_t n_by;
    const char *agg[3];
    size_t n_aggs;
    struct {
        bool there;
        const plume_measure *measure; /* NULL: the number of rows */
        const char *agg;
        const plume_compare *how;
        plume_fill value;
    } keep;
    struct {
        const char *what; /* aggregate or column; NULL: unsorted */
        const plume_measure *measure;
        bool column, descending;
    } sort;
    int take;
    const char *take_text;  /* "", or the number in words and a blank */
    const plume_when *when; /* NULL: not said, so the last two hours */
    plume_fill when_fill;
    unsigned rules; /* bit i: Hi was used */
} plume_plan;

/* Draws a plan for one of the tables S, L, H. *ok is false when the draw makes no sense (two
 * conditions on one column, ...): draw again. db: where thresholds of keep come from. */
lrk_status plume_plan_draw(plume_dice *d, char table, const plume_database *db, lrk_arena *a,
                           plume_plan *p, bool *ok, lrk_err *err);

/* The query as it comes, not yet canonical. */
lrk_status plume_plan_query(const plume_plan *p, lrk_arena *a, const char **out, lrk_err *err);

/* A question for the plan. *ok is false when the bank has no words for this combination. */
lrk_status plume_plan_english(const plume_plan *p, plume_dice *d, lrk_arena *a, const char **out,
                              bool *ok, lrk_err *err);

#endif /* PLUME_PLAN_H */
