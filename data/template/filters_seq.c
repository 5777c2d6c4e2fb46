/* data/template/filters_seq.c -- filters of sequences and mappings, and filters by name. What the
 * reference makes a generator is one here: it can be gone through once. */
#include "data/template/filters.h"
#include "data/template/strings.h"
#include "data/template/text.h"

#include "base/size.h"

#include <string.h>

#define FILTER(name)                                                                               \
    static lrk_status name(lrk_jrun *r, lrk_jvalue v, const lrk_jargs *args, lrk_jvalue *out)

static lrk_status no_arguments(lrk_jrun *r, const char *what, const lrk_jargs *args)
{
    return lrk_j_bind(r, what, args, NULL, 0, 0, NULL);
}

FILTER(f_length)
{
    size_t n;
    LRK_TRY(no_arguments(r, "len", args));
    LRK_TRY(lrk_j_length(r, v, &n));
    *out = lrk_j_int((int64_t)n);
    return LRK_OK;
}

FILTER(f_list)
{
    LRK_TRY(no_arguments(r, "list", args));
    out->kind = LRK_JV_LIST;
    return lrk_j_items(r, v, &out->as.seq);
}

FILTER(f_first)
{
    lrk_jiter it;
    bool more;
    LRK_TRY(no_arguments(r, "first", args));
    LRK_TRY(lrk_j_iter(r, v, &it));
    LRK_TRY(lrk_j_next(r, &it, out, &more));
    if (!more) *out = lrk_j_undefined(r, "No first item, sequence was empty.");
    return LRK_OK;
}

FILTER(f_last)
{
    lrk_jseq *items;
    LRK_TRY(no_arguments(r, "last", args));
    if (v.kind == LRK_JV_GENERATOR)
        return lrk_j_fail(r, LRK_EINPUT, "'generator' object is not reversible");
    LRK_TRY(lrk_j_items(r, v, &items));
    *out = items->n ? items->items[items->n - 1]
                    : lrk_j_undefined(r, "No last item, sequence was empty.");
    return LRK_OK;
}

FILTER(f_reverse)
{
    lrk_jseq *items;
    lrk_jvalue list;
    lrk_jout o = {0};
    LRK_TRY(no_arguments(r, "reverse", args));
    LRK_TRY(lrk_j_items(r, v, &items));
    LRK_TRY(lrk_j_seq(r, v.kind == LRK_JV_GENERATOR ? LRK_JV_LIST : LRK_JV_GENERATOR, &list));
    for (size_t i = items->n; i > 0; i--) {
        if (v.kind == LRK_JV_STR)
            LRK_TRY(lrk_j_put_str(r, &o, items->items[i - 1].as.str));
        else
            LRK_TRY(lrk_j_append(r, list.as.seq, items->items[i - 1]));
    }
    if (v.kind == LRK_JV_STR) return lrk_j_finish(r, &o, out);
    *out = list;
    return LRK_OK;
}

/* ---- attributes by path ("a.b.0") ---- */

static lrk_status by_path(lrk_jrun *r, lrk_jvalue v, lrk_jvalue path, lrk_jvalue *out)
{
    *out = v;
    if (path.kind == LRK_JV_MISSING || path.kind == LRK_JV_NONE) return LRK_OK;
    if (path.kind != LRK_JV_STR) return lrk_j_item(r, v, path, out);
    const lrk_jstr *p = path.as.str;
    size_t begin = 0;
    for (size_t i = 0; i <= p->n; i++) {
        if (i < p->n && p->s[i] != '.') continue;
        const size_t n = i - begin;
        lrk_jvalue index;
        LRK_TRY(lrk_j_part(r, p, begin, i, &index));
        bool digits = n > 0 && n < 18;
        int64_t number = 0;
        for (size_t k = begin; digits && k < i; k++) {
            digits = p->s[k] >= '0' && p->s[k] <= '9';
            if (digits) number = number * 10 + (p->s[k] - '0');
        }
        LRK_TRY(lrk_j_item(r, *out, digits ? lrk_j_int(number) : index, out));
        begin = i + 1;
    }
    return LRK_OK;
}

static lrk_status ignore_case(lrk_jrun *r, lrk_jvalue case_sensitive, lrk_jvalue *key)
{
    if (key->kind != LRK_JV_STR || lrk_j_true(case_sensitive)) return LRK_OK;
    return lrk_j_case(r, key->as.str, LRK_J_LOWER, key);
}

FILTER(f_join)
{
    static const char *const names[] = {"d", "attribute"};
    lrk_jvalue a[2], item, glue = {0};
    lrk_jseq *items;
    lrk_jout o = {0};
    LRK_TRY(lrk_j_bind(r, "join", args, names, 2, 0, a));
    LRK_TRY(lrk_j_items(r, v, &items));
    if (a[0].kind != LRK_JV_MISSING) LRK_TRY(lrk_j_to_str(r, a[0], &glue));
    for (size_t i = 0; i < items->n; i++) {
        if (i && glue.kind == LRK_JV_STR) LRK_TRY(lrk_j_put_str(r, &o, glue.as.str));
        LRK_TRY(by_path(r, items->items[i], a[1], &item));
        LRK_TRY(lrk_j_put_value(r, &o, item));
    }
    return lrk_j_finish(r, &o, out);
}

/* ---- generators ---- */

static lrk_status generator(lrk_jrun *r, lrk_jlazy lazy, lrk_jvalue *out)
{
    lrk_jvalue g;
    LRK_TRY(lrk_j_seq(r, LRK_JV_GENERATOR, &g));
    LRK_TRY(lrk_j_take(r, 1, sizeof *g.as.seq->lazy, &g.as.seq->lazy));
    *g.as.seq->lazy = lazy;
    *out = g;
    return LRK_OK;
}

static lrk_status pairs_of(lrk_jrun *r, const lrk_jdict *d, lrk_jvalue *out)
{
    lrk_jvalue list, pair;
    LRK_TRY(lrk_j_seq(r, LRK_JV_LIST, &list));
    for (size_t i = 0; i < d->n; i++) {
        LRK_TRY(lrk_j_pair(r, d->pairs[i].key, d->pairs[i].value, &pair));
        LRK_TRY(lrk_j_append(r, list.as.seq, pair));
    }
    *out = list;
    return LRK_OK;
}

static lrk_status begin_items(lrk_jrun *r, lrk_jlazy *l)
{
    lrk_jvalue pairs = l->over;
    if (pairs.kind != LRK_JV_UNDEFINED) {
        if (pairs.kind != LRK_JV_DICT)
            return lrk_j_fail(r, LRK_EINPUT, "Can only get item pairs from a mapping.");
        LRK_TRY(pairs_of(r, pairs.as.dict, &pairs));
    }
    return lrk_j_iter(r, pairs, &l->source);
}

static lrk_status step_all(lrk_jrun *r, lrk_jlazy *l, lrk_jvalue item, lrk_jvalue *out, bool *keep)
{
    (void)r;
    (void)l;
    *out = item;
    *keep = true;
    return LRK_OK;
}

FILTER(f_items)
{
    LRK_TRY(no_arguments(r, "items", args));
    return generator(r, (lrk_jlazy){.over = v, .begin = begin_items, .step = step_all}, out);
}

FILTER(f_dictsort)
{
    static const char *const names[] = {"case_sensitive", "by", "reverse"};
    lrk_jvalue a[3], pairs, *keys;
    LRK_TRY(lrk_j_bind(r, "dictsort", args, names, 3, 0, a));
    if (v.kind == LRK_JV_UNDEFINED) return lrk_j_fail(r, LRK_EINPUT, "%s", v.as.hint);
    if (v.kind != LRK_JV_DICT)
        return lrk_j_fail(r, LRK_EINPUT, "'%s' object has no attribute 'items'", lrk_j_type(v));
    size_t which = 0;
    if (a[1].kind != LRK_JV_MISSING) {
        const bool str = a[1].kind == LRK_JV_STR;
        which = str && lrk_j_same(a[1].as.str, "value", 5);
        if (!which && !(str && lrk_j_same(a[1].as.str, "key", 3)))
            return lrk_j_fail(r, LRK_EINPUT, "You can only sort by either \"key\" or \"value\"");
    }
    LRK_TRY(pairs_of(r, v.as.dict, &pairs));
    LRK_TRY(lrk_j_take(r, lrk_max(pairs.as.seq->n, 1), sizeof *keys, &keys));
    for (size_t i = 0; i < pairs.as.seq->n; i++) {
        keys[i] = pairs.as.seq->items[i].as.seq->items[which];
        LRK_TRY(ignore_case(r, a[0], &keys[i]));
    }
    LRK_TRY(lrk_j_sort(r, pairs.as.seq, keys, lrk_j_true(a[2])));
    *out = pairs;
    return LRK_OK;
}

FILTER(f_sort)
{
    static const char *const names[] = {"reverse", "case_sensitive", "attribute"};
    lrk_jvalue a[3], *keys, list = {.kind = LRK_JV_LIST};
    LRK_TRY(lrk_j_bind(r, "sort", args, names, 3, 0, a));
    if (a[2].kind == LRK_JV_STR && memchr(a[2].as.str->s, ',', a[2].as.str->n))
        return lrk_j_fail(r, LRK_ESUPPORT, "sort by several attributes");
    LRK_TRY(lrk_j_items(r, v, &list.as.seq));
    LRK_TRY(lrk_j_take(r, lrk_max(list.as.seq->n, 1), sizeof *keys, &keys));
    for (size_t i = 0; i < list.as.seq->n; i++) {
        lrk_jvalue key;
        LRK_TRY(by_path(r, list.as.seq->items[i], a[2], &key));
        LRK_TRY(ignore_case(r, a[1], &key));
        /* the reference's keys are lists of one: what equals is never asked for its order */
        LRK_TRY(lrk_j_seq(r, LRK_JV_LIST, &keys[i]));
        LRK_TRY(lrk_j_append(r, keys[i].as.seq, key));
    }
    LRK_TRY(lrk_j_sort(r, list.as.seq, keys, lrk_j_true(a[0])));
    *out = list;
    return LRK_OK;
}

static lrk_status begin_any(lrk_jrun *r, lrk_jlazy *l)
{
    return lrk_j_iter(r, l->over, &l->source);
}

/* args: case_sensitive, attribute, bound already */
static lrk_status step_unique(lrk_jrun *r, lrk_jlazy *l, lrk_jvalue item, lrk_jvalue *out,
                              bool *keep)
{
    lrk_jvalue key;
    bool there;
    LRK_TRY(by_path(r, item, l->args.at[1], &key));
    LRK_TRY(ignore_case(r, l->args.at[0], &key));
    if (key.kind == LRK_JV_LIST || key.kind == LRK_JV_DICT)
        return lrk_j_fail(r, LRK_EINPUT, "unhashable type: '%s'", lrk_j_type(key));
    LRK_TRY(lrk_j_contains(r, (lrk_jvalue){.kind = LRK_JV_LIST, .as.seq = l->seen}, key, &there));
    *keep = !there;
    *out = item;
    return there ? LRK_OK : lrk_j_append(r, l->seen, key);
}

FILTER(f_unique)
{
    static const char *const names[] = {"case_sensitive", "attribute"};
    lrk_jvalue *a, seen;
    LRK_TRY(lrk_j_take(r, 2, sizeof *a, &a));
    LRK_TRY(lrk_j_bind(r, "unique", args, names, 2, 0, a));
    LRK_TRY(lrk_j_seq(r, LRK_JV_LIST, &seen));
    return generator(r,
                     (lrk_jlazy){.over = v,
                                 .begin = begin_any,
                                 .step = step_unique,
                                 .args = {.at = a, .n = 2},
                                 .seen = seen.as.seq},
                     out);
}

static lrk_status extreme(lrk_jrun *r, lrk_jvalue v, const lrk_jargs *args, lrk_jop op,
                          lrk_jvalue *out)
{
    static const char *const names[] = {"case_sensitive", "attribute"};
    lrk_jvalue a[2], key, best = {0};
    lrk_jseq *items;
    LRK_TRY(lrk_j_bind(r, "min or max", args, names, 2, 0, a));
    LRK_TRY(lrk_j_items(r, v, &items));
    if (!items->n) *out = lrk_j_undefined(r, "No aggregated item, sequence was empty.");
    for (size_t i = 0; i < items->n; i++) {
        bool better = i == 0;
        LRK_TRY(by_path(r, items->items[i], a[1], &key));
        LRK_TRY(ignore_case(r, a[0], &key));
        if (i) LRK_TRY(lrk_j_compare(r, op, key, best, &better));
        if (!better) continue;
        best = key;
        *out = items->items[i];
    }
    return LRK_OK;
}

FILTER(f_min) { return extreme(r, v, args, LRK_JOP_LT, out); }

FILTER(f_max) { return extreme(r, v, args, LRK_JOP_GT, out); }

FILTER(f_sum)
{
    static const char *const names[] = {"attribute", "start"};
    lrk_jvalue a[2], item;
    lrk_jseq *items;
    LRK_TRY(lrk_j_bind(r, "sum", args, names, 2, 0, a));
    LRK_TRY(lrk_j_items(r, v, &items));
    lrk_jvalue total = a[1].kind == LRK_JV_MISSING ? lrk_j_int(0) : a[1];
    if (total.kind == LRK_JV_STR) return lrk_j_fail(r, LRK_EINPUT, "sum() can't sum strings");
    for (size_t i = 0; i < items->n; i++) {
        LRK_TRY(by_path(r, items->items[i], a[0], &item));
        if (item.kind == LRK_JV_REAL)
            return lrk_j_fail(r, LRK_ESUPPORT, "sums of floats"); /* Python compensates, or not */
        LRK_TRY(lrk_j_binary(r, LRK_JOP_ADD, total, item, &total));
    }
    *out = total;
    return LRK_OK;
}

/* ---- map, select and theirs ---- */

static lrk_status name_of(lrk_jrun *r, lrk_jvalue v, char name[32])
{
    const lrk_jstr *s;
    LRK_TRY(lrk_j_want_str(r, "the name of a filter or test", v, &s));
    const size_t n = s->n < 31 ? s->n : 31;
    memcpy(name, s->s, n);
    name[n] = 0;
    return LRK_OK;
}

/* These begin with "if value:", so none and 0 are as good as an empty list, and only then look at
 * their arguments. */
static lrk_status begin_truthy(lrk_jrun *r, lrk_jlazy *l)
{
    if (!lrk_j_true(l->over)) l->over = lrk_j_undefined(r, "nothing");
    return lrk_j_iter(r, l->over, &l->source);
}

static lrk_status step_attribute(lrk_jrun *r, lrk_jlazy *l, lrk_jvalue item, lrk_jvalue *out,
                                 bool *keep)
{
    static const char *const names[] = {"attribute", "default"};
    lrk_jvalue a[2];
    LRK_TRY(lrk_j_bind(r, "map", &l->args, names, 2, 1, a));
    const bool given = a[1].kind != LRK_JV_MISSING && a[1].kind != LRK_JV_NONE;
    if (given && a[0].kind == LRK_JV_STR && memchr(a[0].as.str->s, '.', a[0].as.str->n))
        return lrk_j_fail(r, LRK_ESUPPORT, "map with a path and a default");
    LRK_TRY(by_path(r, item, a[0], out));
    if (out->kind == LRK_JV_UNDEFINED && given) *out = a[1];
    *keep = true;
    return LRK_OK;
}

static lrk_status step_filter(lrk_jrun *r, lrk_jlazy *l, lrk_jvalue item, lrk_jvalue *out,
                              bool *keep)
{
    char name[32];
    const lrk_jargs *args = &l->args;
    if (!args->n) return lrk_j_fail(r, LRK_EINPUT, "map requires a filter argument");
    LRK_TRY(name_of(r, args->at[0], name));
    const lrk_jargs rest = {args->at + 1, args->n - 1, args->keywords, args->n_keywords};
    *keep = true;
    return lrk_j_filter(r, name, item, &rest, out);
}

FILTER(f_map)
{
    return generator(
        r,
        (lrk_jlazy){.over = v,
                    .begin = begin_truthy,
                    .args = *args,
                    .step = !args->n && args->n_keywords ? step_attribute : step_filter},
        out);
}

static lrk_status step_select(lrk_jrun *r, lrk_jlazy *l, lrk_jvalue item, lrk_jvalue *out,
                              bool *keep)
{
    const size_t first = l->attribute ? 1 : 0;
    const lrk_jargs *args = &l->args;
    lrk_jvalue subject = item;
    char name[32];
    bool holds;
    if (args->n < first) return lrk_j_fail(r, LRK_EINPUT, "Missing parameter for attribute name");
    if (l->attribute) LRK_TRY(by_path(r, item, args->at[0], &subject));
    if (args->n > first) {
        LRK_TRY(name_of(r, args->at[first], name));
        const lrk_jargs rest = {args->at + first + 1, args->n - first - 1, args->keywords,
                                args->n_keywords};
        LRK_TRY(lrk_j_test(r, name, subject, &rest, &holds));
    } else {
        holds = lrk_j_true(subject);
    }
    *keep = holds == l->want;
    *out = item;
    return LRK_OK;
}

static lrk_status select_items(lrk_jrun *r, lrk_jvalue v, const lrk_jargs *args, bool attribute,
                               bool want, lrk_jvalue *out)
{
    return generator(r,
                     (lrk_jlazy){.over = v,
                                 .begin = begin_truthy,
                                 .step = step_select,
                                 .args = *args,
                                 .attribute = attribute,
                                 .want = want},
                     out);
}

FILTER(f_select) { return select_items(r, v, args, false, true, out); }

FILTER(f_reject) { return select_items(r, v, args, false, false, out); }

FILTER(f_selectattr) { return select_items(r, v, args, true, true, out); }

FILTER(f_rejectattr) { return select_items(r, v, args, true, false, out); }

const lrk_jfilter lrk_jfilters_seq[] = {{"length", f_length},
                                        {"count", f_length},
                                        {"list", f_list},
                                        {"first", f_first},
                                        {"last", f_last},
                                        {"reverse", f_reverse},
                                        {"join", f_join},
                                        {"items", f_items},
                                        {"dictsort", f_dictsort},
                                        {"sort", f_sort},
                                        {"unique", f_unique},
                                        {"min", f_min},
                                        {"max", f_max},
                                        {"sum", f_sum},
                                        {"map", f_map},
                                        {"select", f_select},
                                        {"reject", f_reject},
                                        {"selectattr", f_selectattr},
                                        {"rejectattr", f_rejectattr},
                                        {NULL, NULL}};

/* ---- by name ---- */

static const lrk_jfilter *find(const char *name)
{
    const lrk_jfilter *const tables[] = {lrk_jfilters_text, lrk_jfilters_seq};
    for (size_t t = 0; t < 2; t++)
        for (const lrk_jfilter *f = tables[t]; f->name; f++)
            if (strcmp(f->name, name) == 0) return f;
    return NULL;
}

int lrk_jfilter_known(const char *name)
{
    static const char *const refused[] = {
        "attr",     "batch",     "center", "e",         "escape",   "filesizeformat", "forceescape",
        "format",   "groupby",   "pprint", "random",    "round",    "slice",          "striptags",
        "truncate", "urlencode", "urlize", "wordcount", "wordwrap", "xmlattr"};
    if (find(name)) return 2;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcmp(refused[i], name) == 0) return 1;
    return 0;
}

lrk_status lrk_j_filter(lrk_jrun *r, const char *name, lrk_jvalue v, const lrk_jargs *args,
                        lrk_jvalue *out)
{
    const lrk_jfilter *f = find(name);
    if (f) return f->call(r, v, args, out);
    return lrk_jfilter_known(name) ? lrk_j_fail(r, LRK_ESUPPORT, "filter %s", name)
                                   : lrk_j_fail(r, LRK_EINPUT, "No filter named '%s' found.", name);
}
