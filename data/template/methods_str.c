/* data/template/methods_str.c -- methods of strings. A name that Python has and this table lacks is
 * refused where it is looked up (access.c). */
#include "data/template/strings.h"

#include "base/text.h"
#include "data/template/text.h"

#include <string.h>

#define METHOD(name)                                                                               \
    static lrk_status name(lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, lrk_jvalue *out)

/* "/x" in a list of parameters takes no keyword, as most of Python's own methods. */
static lrk_status plain_str(lrk_jrun *r, lrk_jvalue self, const lrk_jstr **out)
{
    if (self.as.str->safe)
        return lrk_j_fail(r, LRK_ESUPPORT, "methods of text that went through |safe");
    *out = self.as.str;
    return LRK_OK;
}

static lrk_status strip(lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, bool left, bool right,
                        lrk_jvalue *out)
{
    static const char *const names[] = {"/chars"};
    const lrk_jstr *s, *chars = NULL;
    lrk_jvalue a;
    LRK_TRY(plain_str(r, self, &s));
    LRK_TRY(lrk_j_bind(r, "strip", args, names, 1, 0, &a));
    if (a.kind != LRK_JV_MISSING && a.kind != LRK_JV_NONE)
        LRK_TRY(lrk_j_want_str(r, "strip arg", a, &chars));
    return lrk_j_strip(r, s, chars, left, right, out);
}

METHOD(s_strip) { return strip(r, self, args, true, true, out); }

METHOD(s_lstrip) { return strip(r, self, args, true, false, out); }

METHOD(s_rstrip) { return strip(r, self, args, false, true, out); }

static lrk_status split(lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, bool right,
                        lrk_jvalue *out)
{
    static const char *const names[] = {"sep", "maxsplit"};
    const lrk_jstr *s, *sep = NULL;
    lrk_jvalue a[2];
    int64_t max = -1;
    LRK_TRY(plain_str(r, self, &s));
    LRK_TRY(lrk_j_bind(r, "split", args, names, 2, 0, a));
    if (a[0].kind != LRK_JV_MISSING && a[0].kind != LRK_JV_NONE)
        LRK_TRY(lrk_j_want_str(r, "the separator", a[0], &sep));
    if (a[1].kind != LRK_JV_MISSING) LRK_TRY(lrk_j_want_int(r, "maxsplit", a[1], &max));
    return lrk_j_split(r, s, sep, max, right, out);
}

METHOD(s_split) { return split(r, self, args, false, out); }

METHOD(s_rsplit) { return split(r, self, args, true, out); }

METHOD(s_splitlines)
{
    static const char *const names[] = {"keepends"};
    const lrk_jstr *s;
    lrk_jvalue a;
    LRK_TRY(plain_str(r, self, &s));
    LRK_TRY(lrk_j_bind(r, "splitlines", args, names, 1, 0, &a));
    return lrk_j_splitlines(r, s, lrk_j_true(a), out);
}

METHOD(s_replace)
{
    static const char *const names[] = {"/old", "/new", "/count"};
    const lrk_jstr *s, *old, *by;
    lrk_jvalue a[3];
    int64_t max = -1;
    LRK_TRY(plain_str(r, self, &s));
    LRK_TRY(lrk_j_bind(r, "replace", args, names, 3, 2, a));
    LRK_TRY(lrk_j_want_str(r, "replace() argument 1", a[0], &old));
    LRK_TRY(lrk_j_want_str(r, "replace() argument 2", a[1], &by));
    if (a[2].kind != LRK_JV_MISSING) LRK_TRY(lrk_j_want_int(r, "count", a[2], &max));
    return lrk_j_replace(r, s, old, by, max, out);
}

static lrk_status cased(lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, lrk_jcase how,
                        lrk_jvalue *out)
{
    const lrk_jstr *s;
    LRK_TRY(plain_str(r, self, &s));
    LRK_TRY(lrk_j_bind(r, "this method", args, NULL, 0, 0, NULL));
    return lrk_j_case(r, s, how, out);
}

METHOD(s_upper) { return cased(r, self, args, LRK_J_UPPER, out); }

METHOD(s_lower) { return cased(r, self, args, LRK_J_LOWER, out); }

METHOD(s_capitalize) { return cased(r, self, args, LRK_J_CAPITALIZE, out); }

METHOD(s_title) { return cased(r, self, args, LRK_J_TITLE, out); }

/* ---- looking for texts ---- */

static bool has_at(const lrk_jstr *s, const lrk_jstr *what, bool end)
{
    return what->n <= s->n &&
           (!what->n || memcmp(end ? s->s + s->n - what->n : s->s, what->s, what->n) == 0);
}

/* startswith, endswith: one text or a tuple of them. */
static lrk_status begins(lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, bool end,
                         lrk_jvalue *out)
{
    static const char *const names[] = {"/prefix"};
    const lrk_jstr *s, *what;
    lrk_jvalue a;
    bool found = false;
    LRK_TRY(plain_str(r, self, &s));
    if (args->n > 1) return lrk_j_fail(r, LRK_ESUPPORT, "startswith or endswith with bounds");
    LRK_TRY(lrk_j_bind(r, end ? "endswith" : "startswith", args, names, 1, 1, &a));
    if (a.kind == LRK_JV_TUPLE) {
        for (size_t i = 0; !found && i < a.as.seq->n; i++) {
            LRK_TRY(lrk_j_want_str(r, "a prefix or suffix", a.as.seq->items[i], &what));
            found = has_at(s, what, end);
        }
    } else {
        LRK_TRY(lrk_j_want_str(r, "a prefix or suffix", a, &what));
        found = has_at(s, what, end);
    }
    *out = lrk_j_bool(found);
    return LRK_OK;
}

METHOD(s_startswith) { return begins(r, self, args, false, out); }

METHOD(s_endswith) { return begins(r, self, args, true, out); }

static lrk_status remove_fix(lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, bool end,
                             lrk_jvalue *out)
{
    static const char *const names[] = {"/prefix"};
    const lrk_jstr *s, *what;
    lrk_jvalue a;
    LRK_TRY(plain_str(r, self, &s));
    LRK_TRY(lrk_j_bind(r, end ? "removesuffix" : "removeprefix", args, names, 1, 1, &a));
    LRK_TRY(lrk_j_want_str(r, "a prefix or suffix", a, &what));
    const size_t n = has_at(s, what, end) ? what->n : 0;
    return lrk_j_part(r, s, end ? 0 : n, end ? s->n - n : s->n, out);
}

METHOD(s_removeprefix) { return remove_fix(r, self, args, false, out); }

METHOD(s_removesuffix) { return remove_fix(r, self, args, true, out); }

/* The first (or last) place of args[0] in bytes; false where there is none. */
static lrk_status locate(lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, const char *name,
                         bool last, bool *found, size_t *at)
{
    static const char *const names[] = {"/sub"};
    const lrk_jstr *s, *what;
    lrk_jvalue a;
    LRK_TRY(plain_str(r, self, &s));
    if (args->n > 1) return lrk_j_fail(r, LRK_ESUPPORT, "%s with bounds", name);
    LRK_TRY(lrk_j_bind(r, name, args, names, 1, 1, &a));
    LRK_TRY(lrk_j_want_str(r, "what to look for", a, &what));
    LRK_TRY(lrk_j_work(r, 1 + s->n / 64));
    *found = false;
    if (!what->n) {
        *found = true;
        *at = last ? s->n : 0;
        return LRK_OK;
    }
    const char *p = s->s, *hit;
    while ((hit = lrk_find_bytes(p, s->n - (size_t)(p - s->s), what->s, what->n)) != NULL) {
        *found = true;
        *at = (size_t)(hit - s->s);
        if (!last) break;
        LRK_TRY(lrk_j_work(r, 1 + what->n / 64));
        p = hit + 1;
    }
    return LRK_OK;
}

static lrk_status find(lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, const char *name,
                       bool last, bool must, lrk_jvalue *out)
{
    bool found;
    size_t at = 0;
    LRK_TRY(locate(r, self, args, name, last, &found, &at));
    if (!found && must) return lrk_j_fail(r, LRK_EINPUT, "substring not found");
    *out = lrk_j_int(found ? (int64_t)lrk_j_count(self.as.str->s, at) : -1);
    return LRK_OK;
}

METHOD(s_find) { return find(r, self, args, "find", false, false, out); }

METHOD(s_rfind) { return find(r, self, args, "rfind", true, false, out); }

METHOD(s_index) { return find(r, self, args, "index", false, true, out); }

METHOD(s_count)
{
    bool found;
    size_t at = 0;
    LRK_TRY(locate(r, self, args, "count", false, &found, &at));
    const lrk_jstr *s = self.as.str, *what = args->at[0].as.str;
    int64_t n = 0;
    if (!what->n) n = (int64_t)lrk_j_count(s->s, s->n) + 1;
    for (const char *p = s->s, *hit; what->n; p = hit + what->n, n++) {
        hit = lrk_find_bytes(p, s->n - (size_t)(p - s->s), what->s, what->n);
        if (!hit) break;
    }
    *out = lrk_j_int(n);
    return LRK_OK;
}

static lrk_status partition(lrk_jrun *r, lrk_jvalue self, const lrk_jargs *args, bool last,
                            lrk_jvalue *out)
{
    bool found;
    size_t at = 0;
    LRK_TRY(locate(r, self, args, "partition", last, &found, &at));
    const lrk_jstr *s = self.as.str, *sep = args->at[0].as.str;
    if (!sep->n) return lrk_j_fail(r, LRK_EINPUT, "empty separator");
    const size_t cuts[4] = {0,
                            found  ? at
                            : last ? 0
                                   : s->n,
                            found  ? at + sep->n
                            : last ? 0
                                   : s->n,
                            s->n};
    lrk_jvalue tuple, part;
    LRK_TRY(lrk_j_seq(r, LRK_JV_TUPLE, &tuple));
    for (int i = 0; i < 3; i++) {
        LRK_TRY(lrk_j_part(r, s, cuts[i], cuts[i + 1], &part));
        LRK_TRY(lrk_j_append(r, tuple.as.seq, part));
    }
    *out = tuple;
    return LRK_OK;
}

METHOD(s_partition) { return partition(r, self, args, false, out); }

METHOD(s_rpartition) { return partition(r, self, args, true, out); }

METHOD(s_join)
{
    static const char *const names[] = {"/iterable"};
    const lrk_jstr *glue, *item;
    lrk_jvalue a;
    lrk_jseq *items;
    lrk_jout o = {0};
    LRK_TRY(plain_str(r, self, &glue));
    LRK_TRY(lrk_j_bind(r, "join", args, names, 1, 1, &a));
    LRK_TRY(lrk_j_items(r, a, &items));
    for (size_t i = 0; i < items->n; i++) {
        if (i) LRK_TRY(lrk_j_put_str(r, &o, glue));
        LRK_TRY(lrk_j_want_str(r, "an item of join()", items->items[i], &item));
        if (item->safe) return lrk_j_fail(r, LRK_ESUPPORT, "join of text that went through |safe");
        LRK_TRY(lrk_j_put_str(r, &o, item));
    }
    return lrk_j_finish(r, &o, out);
}

METHOD(s_format)
{
    const lrk_jstr *s;
    LRK_TRY(plain_str(r, self, &s));
    return lrk_j_format(r, s, args, out);
}

METHOD(s_isdigit)
{
    const lrk_jstr *s;
    LRK_TRY(plain_str(r, self, &s));
    LRK_TRY(lrk_j_bind(r, "isdigit", args, NULL, 0, 0, NULL));
    bool digits = s->n > 0;
    for (size_t i = 0; i < s->n; i++) {
        if ((unsigned char)s->s[i] >= 0x80)
            return lrk_j_fail(r, LRK_ESUPPORT, "isdigit of text beyond ASCII");
        digits = digits && s->s[i] >= '0' && s->s[i] <= '9';
    }
    *out = lrk_j_bool(digits);
    return LRK_OK;
}

METHOD(s_isspace)
{
    const lrk_jstr *s;
    LRK_TRY(plain_str(r, self, &s));
    LRK_TRY(lrk_j_bind(r, "isspace", args, NULL, 0, 0, NULL));
    *out = lrk_j_bool(s->n && lrk_j_lstrip(s->s, s->n) == s->n);
    return LRK_OK;
}

const lrk_jmethod lrk_jmethods_str[] = {{"strip", s_strip},
                                        {"lstrip", s_lstrip},
                                        {"rstrip", s_rstrip},
                                        {"split", s_split},
                                        {"rsplit", s_rsplit},
                                        {"splitlines", s_splitlines},
                                        {"replace", s_replace},
                                        {"upper", s_upper},
                                        {"lower", s_lower},
                                        {"capitalize", s_capitalize},
                                        {"title", s_title},
                                        {"startswith", s_startswith},
                                        {"endswith", s_endswith},
                                        {"removeprefix", s_removeprefix},
                                        {"removesuffix", s_removesuffix},
                                        {"find", s_find},
                                        {"rfind", s_rfind},
                                        {"index", s_index},
                                        {"count", s_count},
                                        {"partition", s_partition},
                                        {"rpartition", s_rpartition},
                                        {"join", s_join},
                                        {"isdigit", s_isdigit},
                                        {"isspace", s_isspace},
                                        {"format", s_format},
                                        {NULL, NULL}};
