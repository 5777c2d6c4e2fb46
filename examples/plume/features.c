/* plume/features.c -- tags, levels, held-out pairs. */
#include "plume/features.h"

static void of_cmp(const plume_cmp *c, plume_features *f)
{
    f->in = f->in || c->op == PLUME_IN;
    f->contains = f->contains || c->op == PLUME_CONTAINS || c->op == PLUME_LACKS;
    f->starts = f->starts || c->op == PLUME_STARTS;
    f->exists = f->exists || c->op == PLUME_EXISTS || c->op == PLUME_MISSING;
}

static void of_expr(const plume_expr *e, plume_features *f)
{
    if (e->node == PLUME_CMP) {
        f->filters++;
        of_cmp(&e->cmp, f);
    }
    f->or_ = f->or_ || e->node == PLUME_OR;
    f->not_ = f->not_ || e->node == PLUME_NOT;
    for (size_t i = 0; i < e->n; i++) of_expr(e->part[i], f);
}

plume_features plume_features_of(const plume_query *q, unsigned rules, bool edit)
{
    plume_features f = {.rules = rules, .edit = edit, .aggs = q->n_calc, .by = q->n_by};
    if (q->where) of_expr(q->where, &f);
    for (size_t i = 0; i < q->n_calc; i++) {
        f.fn[q->calc[i].fn] = true;
        if (q->calc[i].fn == PLUME_RATE) of_cmp(&q->calc[i].cmp, &f);
    }
    f.multi = q->n_calc > 1;
    f.range = q->window.range;
    f.keep = q->n_keep > 0;
    f.desc = q->sort.kind && q->sort.descending;
    f.asc = q->sort.kind && !q->sort.descending;
    f.take = q->take > 0;
    return f;
}

int plume_level(const plume_features *f)
{
    int rules = 0;
    for (unsigned i = 2; i <= 10; i++) rules += (f->rules >> i & 1u) != 0;
    const bool four = f->or_ || f->not_ || f->keep || f->fn[PLUME_RATE] || f->multi;
    if (f->edit || (four && rules >= 2)) return 5;
    if (four) return 4;
    if (f->asc || f->desc || rules) return 3;
    return f->by || f->filters >= 2 ? 2 : 1;
}

bool plume_held_out(const plume_features *f)
{
    return (f->fn[PLUME_RATE] && f->keep) || (f->not_ && f->or_) ||
           (f->fn[PLUME_P99] && f->by >= 2) || (f->fn[PLUME_UNIQ] && f->asc) ||
           (f->in && f->exists) || (f->range && f->take) || (f->starts && f->multi) ||
           f->filters >= 4 || f->aggs >= 3;
}

void plume_tags(const plume_features *f, lrk_buf *b)
{
    const struct {
        const char *name;
        bool there;
    } flags[] = {
        {"multi", f->multi},
        {"in", f->in},
        {"or", f->or_},
        {"not", f->not_},
        {"contains", f->contains},
        {"starts", f->starts},
        {"exists", f->exists},
        {"range", f->range},
        {"keep", f->keep},
        {"asc", f->asc},
        {"desc", f->desc},
        {"take", f->take},
        {"edit", f->edit},
    };
    lrk_buf_puts(b, "[");
    for (int i = 0; i < PLUME_FNS; i++)
        if (f->fn[i]) lrk_buf_printf(b, "\"%s\", ", plume_fn_text((plume_fn)i));
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (flags[i].there) lrk_buf_printf(b, "\"%s\", ", flags[i].name);
    lrk_buf_printf(b, "\"filters:%zu\", \"by:%zu\"", f->filters, f->by);
    for (unsigned i = 1; i <= 10; i++)
        if (f->rules >> i & 1u) lrk_buf_printf(b, ", \"H%u\"", i);
    lrk_buf_puts(b, "]");
}
