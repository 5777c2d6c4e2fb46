/* plume/bank.h -- the phrase bank: tables of the .def files of phrases/, random choice among them,
 * slots.
 *
 * Everything that the generator can say is a row of a .def file; the code only combines rows.
 */
#ifndef PLUME_BANK_H
#define PLUME_BANK_H
#include "base/arena.h"
#include "base/rng.h"
#include "plume/schema.h"

/* A stream of random numbers: the same seed and step give the same stream. */
typedef struct plume_dice {
    lrk_rng rng;
    uint64_t next;
} plume_dice;

uint64_t plume_roll(plume_dice *d, uint64_t n); /* 0 .. n - 1 */
bool plume_chance(plume_dice *d, unsigned percent);

typedef enum plume_register {
    PLUME_S,
    PLUME_Q,
    PLUME_C,
    PLUME_N,
    PLUME_A,
    PLUME_REGISTERS
} plume_register;

typedef enum plume_frame_kind {
    PLUME_F_COUNT,
    PLUME_F_METRIC,
    PLUME_F_METRICS,
    PLUME_F_HOWSLOW,
    PLUME_F_HOWSLOW_SVC,
    PLUME_F_UNIQ,
    PLUME_F_HOSTS,
    PLUME_F_HOSTS_THAT,
    PLUME_F_SHARE,
    PLUME_F_BEST,
    PLUME_F_BESTS,
    PLUME_F_HIGH,
    PLUME_F_LOW,
    PLUME_F_HIGHS,
    PLUME_F_LOWS,
    PLUME_F_MOST,
    PLUME_F_FEWEST,
    PLUME_F_MOSTS,
    PLUME_F_FEWESTS,
    PLUME_F_HAVING
} plume_frame_kind;

typedef enum plume_clause_kind {
    PLUME_BY1,
    PLUME_BY2,
    PLUME_KEEP1,
    PLUME_KEEP2,
    PLUME_DOWN,
    PLUME_DOWN_ONE,
    PLUME_UP,
    PLUME_UP_ONE,
    PLUME_SORT_X,
    PLUME_SORT_X_DOWN
} plume_clause_kind;

typedef struct plume_filter {
    const char *tables, *name;
    unsigned weight;
    const char *rules, *query;
} plume_filter;

typedef struct plume_measure {
    const char *tables;
    unsigned weight;
    const char *agg, *rules, *unit;
    bool plural;
    const char *statistic, *noun;
} plume_measure;

typedef struct plume_superlative {
    const char *tables;
    const char *word, *agg;
    bool descending, root;
    const char *rules;
} plume_superlative;

typedef struct plume_entity {
    const char *tables;
    unsigned weight;
    plume_name column;
    const char *one, *many, *verbs;
} plume_entity;

typedef struct plume_noun {
    const char *tables;
    unsigned weight;
    bool root;
    const char *rules, *text;
} plume_noun;

typedef struct plume_when {
    unsigned weight;
    const char *query, *rules;
    bool front;
    const char *text;
} plume_when;

typedef struct plume_compare {
    const char *query, *with, *after;
} plume_compare;

/* tables: one of the letters S, L, H. */
const plume_filter *plume_pick_filter(plume_dice *d, char table);
const plume_measure *plume_pick_measure(plume_dice *d, char table);
const plume_superlative *plume_pick_superlative(plume_dice *d, char table);
const plume_entity *plume_pick_entity(plume_dice *d, char table);
const plume_noun *plume_pick_noun(plume_dice *d, char table);
const plume_when *plume_pick_when(plume_dice *d);
const plume_compare *plume_pick_compare(plume_dice *d);
const char *plume_pick_clause(plume_dice *d, plume_clause_kind kind);

/* NULL where the bank has none: a phrase of a filter in one of the forms, a frame in a register. */
const char *plume_pick_say(plume_dice *d, const char *filter, const char *forms, char *form);
const char *plume_pick_frame(plume_dice *d, plume_frame_kind kind, plume_register reg);

/* One of the words of "a|b|c", in a. */
lrk_status plume_pick_word(plume_dice *d, const char *words, lrk_arena *a, const char **out,
                           lrk_err *err);

/* Up to three different values of one slot, drawn for one phrase. */
enum { PLUME_FILLS = 3 };
typedef struct plume_fill {
    const char *query[PLUME_FILLS], *english[PLUME_FILLS];
} plume_fill;

/* Draws values for the slot that the templates name ("{svc}", "{svc.2}"); none is fine. */
lrk_status plume_fill_draw(plume_dice *d, const char *template, lrk_arena *a, plume_fill *f,
                           lrk_err *err);
/* The template with its slot replaced. */
lrk_status plume_fill_text(const char *template, const plume_fill *f, bool english, lrk_arena *a,
                           const char **out, lrk_err *err);

/* The value of slot `name` nearest to v from below (or from above); false: there is none. */
lrk_status plume_slot_near(plume_dice *d, const char *name, double v, bool below, lrk_arena *a,
                           plume_fill *f, bool *found, lrk_err *err);

#endif /* PLUME_BANK_H */
