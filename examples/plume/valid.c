/* plume/valid.c -- V1 to V5. Works on the canonical form, so that two spellings of one aggregate
 * count as one. */
#include "plume/canonical.h"

static lrk_status belongs(const plume_query *q, plume_name c, lrk_err *err)
{
    LRK_REQUIRE(err, plume_table_has(q->table, c), LRK_EVALUE, "V1: %s has no column %s",
                plume_table_text(q->table), plume_name_text(c));
    return LRK_OK;
}

static lrk_status agg_belongs(const plume_query *q, const plume_agg *g, lrk_err *err)
{
    if (g->fn == PLUME_COUNT) return LRK_OK;
    return belongs(q, g->fn == PLUME_RATE ? g->cmp.column : g->column, err);
}

static lrk_status expr_belongs(const plume_query *q, const plume_expr *e, lrk_err *err)
{
    if (e->node == PLUME_CMP) return belongs(q, e->cmp.column, err);
    for (size_t i = 0; i < e->n; i++) LRK_TRY(expr_belongs(q, e->part[i], err));
    return LRK_OK;
}

static lrk_status v1(const plume_query *q, lrk_err *err)
{
    if (q->where) LRK_TRY(expr_belongs(q, q->where, err));
    for (size_t i = 0; i < q->n_calc; i++) LRK_TRY(agg_belongs(q, &q->calc[i], err));
    for (size_t i = 0; i < q->n_by; i++) LRK_TRY(belongs(q, q->by[i], err));
    for (size_t i = 0; i < q->n_keep; i++) LRK_TRY(agg_belongs(q, &q->keep[i].agg, err));
    if (q->sort.kind == PLUME_SORT_AGG) return agg_belongs(q, &q->sort.agg, err);
    return q->sort.kind == PLUME_SORT_COLUMN ? belongs(q, q->sort.column, err) : LRK_OK;
}

static lrk_status v2(const plume_query *q, lrk_err *err)
{
    for (size_t i = 1; i < q->n_by; i++)
        LRK_REQUIRE(err, q->by[i] != q->by[i - 1], LRK_EVALUE, "V2: %s stands twice in by",
                    plume_name_text(q->by[i]));
    for (size_t i = 1; i < q->n_calc; i++)
        LRK_REQUIRE(err, !plume_same_agg(&q->calc[i], &q->calc[i - 1]), LRK_EVALUE,
                    "V2: an aggregate (%s) stands twice in calc", plume_fn_text(q->calc[i].fn));
    return LRK_OK;
}

static lrk_status computed(const plume_query *q, const plume_agg *g, const char *clause,
                           lrk_err *err)
{
    for (size_t i = 0; i < q->n_calc; i++)
        if (plume_same_agg(&q->calc[i], g)) return LRK_OK;
    return lrk_fail(err, LRK_EVALUE, "V3: %s uses an aggregate (%s) that calc has not", clause,
                    plume_fn_text(g->fn));
}

static lrk_status v3(const plume_query *q, lrk_err *err)
{
    for (size_t i = 0; i < q->n_keep; i++) LRK_TRY(computed(q, &q->keep[i].agg, "keep", err));
    if (q->sort.kind == PLUME_SORT_AGG) return computed(q, &q->sort.agg, "sort", err);
    if (q->sort.kind == PLUME_UNSORTED) return LRK_OK;
    for (size_t i = 0; i < q->n_by; i++)
        if (q->by[i] == q->sort.column) return LRK_OK;
    return lrk_fail(err, LRK_EVALUE, "V3: sort uses %s, which is not in by",
                    plume_name_text(q->sort.column));
}

lrk_status plume_valid_canonical(const plume_query *q, lrk_err *err)
{
    const plume_window *w = &q->window;
    LRK_TRY(v1(q, err));
    LRK_TRY(v2(q, err));
    LRK_TRY(v3(q, err));
    LRK_REQUIRE(err, !q->n_keep || q->n_by, LRK_EVALUE, "V4: keep needs by");
    LRK_REQUIRE(err, !q->sort.kind || q->n_by, LRK_EVALUE, "V4: sort needs by");
    LRK_REQUIRE(err, !q->take || q->sort.kind, LRK_EVALUE, "V4: take needs sort");
    if (!w->range) return LRK_OK;
    LRK_REQUIRE(err, plume_time_exists(w->from) && plume_time_exists(w->to), LRK_EVALUE,
                "V5: a timestamp of the window is no real time");
    LRK_REQUIRE(err, plume_minutes(w->from) < plume_minutes(w->to), LRK_EVALUE,
                "V5: the window must end after it begins");
    return LRK_OK;
}

lrk_status plume_valid(const plume_query *q, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("validity");
    const plume_query *c = NULL;
    lrk_status s = plume_canonical(q, &a, &c, err);
    if (s == LRK_OK) s = plume_valid_canonical(c, err);
    lrk_arena_free(&a);
    return s;
}
