/* data/template/methods.c -- methods of dicts, lists and loops. */
#include "data/template/value.h"

#define METHOD(name)                                                                               \
    static lrk_status name(lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, lrk_jvalue *out)

/* ---- dicts ---- */

METHOD(d_get)
{
    static const char *const names[] = {"/key", "/default"};
    const lrk_jvalue *there;
    lrk_jvalue a[2];
    LRK_TRY(lrk_j_bind(r, "get", args, names, 2, 1, a));
    LRK_TRY(lrk_j_dict_get(r, self.as.dict, a[0], &there));
    *out = there ? *there : a[1].kind == LRK_JV_MISSING ? lrk_j_none() : a[1];
    return LRK_OK;
}

static lrk_status view(lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, bool keys, bool values,
                       lrk_jvalue *out)
{
    const lrk_jdict *d = self.as.dict;
    lrk_jvalue list, item;
    LRK_TRY(lrk_j_bind(r, "this method", args, NULL, 0, 0, NULL));
    LRK_TRY(lrk_j_seq(r, LRK_JV_VIEW, &list));
    for (size_t i = 0; i < d->n; i++) {
        item = keys ? d->pairs[i].key : d->pairs[i].value;
        if (keys && values) LRK_TRY(lrk_j_pair(r, d->pairs[i].key, d->pairs[i].value, &item));
        LRK_TRY(lrk_j_append(r, list.as.seq, item));
    }
    *out = list;
    return LRK_OK;
}

METHOD(d_items) { return view(r, self, args, true, true, out); }

METHOD(d_keys) { return view(r, self, args, true, false, out); }

METHOD(d_values) { return view(r, self, args, false, true, out); }

METHOD(d_copy)
{
    LRK_TRY(lrk_j_bind(r, "copy", args, NULL, 0, 0, NULL));
    *out = self; /* nobody can change either */
    (void)r;
    return LRK_OK;
}

const lrk_jmethod lrk_jmethods_dict[] = {{"get", d_get},       {"items", d_items}, {"keys", d_keys},
                                         {"values", d_values}, {"copy", d_copy},   {NULL, NULL}};

/* ---- lists and tuples ---- */

static lrk_status look(lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, const char *name,
                       int64_t *first, int64_t *count)
{
    static const char *const names[] = {"/value"};
    lrk_jvalue a;
    *first = -1;
    *count = 0;
    if (args->n > 1) return lrk_j_fail(r, LRK_ESUPPORT, "%s with bounds", name);
    LRK_TRY(lrk_j_bind(r, name, args, names, 1, 1, &a));
    for (size_t i = 0; i < self.as.seq->n; i++) {
        bool same;
        LRK_TRY(lrk_j_equal(r, self.as.seq->items[i], a, &same));
        if (same && !(*count)++) *first = (int64_t)i;
    }
    return LRK_OK;
}

METHOD(l_index)
{
    int64_t first, count;
    LRK_TRY(look(r, self, args, "index", &first, &count));
    if (!count) return lrk_j_fail(r, LRK_EINPUT, "the value is not in the list");
    *out = lrk_j_int(first);
    return LRK_OK;
}

METHOD(l_count)
{
    int64_t first, count;
    LRK_TRY(look(r, self, args, "count", &first, &count));
    *out = lrk_j_int(count);
    return LRK_OK;
}

const lrk_jmethod lrk_jmethods_seq[] = {
    {"index", l_index}, {"count", l_count}, {"copy", d_copy}, {NULL, NULL}};

/* ---- loops ---- */

METHOD(loop_cycle)
{
    if (args->n_keywords) return lrk_j_fail(r, LRK_EINPUT, "cycle() takes no keywords");
    if (!args->n) return lrk_j_fail(r, LRK_EINPUT, "no items for cycling given");
    *out = args->at[self.as.loop->index0 % args->n];
    return LRK_OK;
}

METHOD(loop_changed)
{
    lrk_jvalue tuple;
    bool same = false;
    if (args->n_keywords) return lrk_j_fail(r, LRK_EINPUT, "changed() takes no keywords");
    LRK_TRY(lrk_j_seq(r, LRK_JV_TUPLE, &tuple));
    for (size_t i = 0; i < args->n; i++) LRK_TRY(lrk_j_append(r, tuple.as.seq, args->at[i]));
    if (self.as.loop->changed.kind != LRK_JV_MISSING)
        LRK_TRY(lrk_j_equal(r, self.as.loop->changed, tuple, &same));
    self.as.loop->changed = tuple;
    *out = lrk_j_bool(!same);
    return LRK_OK;
}

const lrk_jmethod lrk_jmethods_loop[] = {
    {"cycle", loop_cycle}, {"changed", loop_changed}, {NULL, NULL}};
