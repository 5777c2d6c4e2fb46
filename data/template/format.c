/* data/template/format.c -- str.format with plain fields: {} {0} {name} {{ }}. Conversions, format
 * specifications, attributes and items in a field are refused. */
#include "data/template/strings.h"

#include <string.h>

typedef struct formatter {
    lrk_jrun *r;
    const lrk_jargs *args;
    size_t next; /* of the automatic numbers */
    bool automatic, manual;
} formatter;

static lrk_status numbered(formatter *f, size_t i, bool automatic, lrk_jvalue *out)
{
    f->automatic = f->automatic || automatic;
    f->manual = f->manual || !automatic;
    if (f->automatic && f->manual)
        return lrk_j_fail(f->r, LRK_EINPUT, "format() mixes {} with {0}");
    if (i >= f->args->n) return lrk_j_fail(f->r, LRK_EINPUT, "format() has no argument %zu", i);
    *out = f->args->at[i];
    return LRK_OK;
}

static lrk_status field(formatter *f, const char *s, size_t n, lrk_jvalue *out)
{
    size_t i = 0, number = 0;
    for (; i < n && s[i] >= '0' && s[i] <= '9' && i < 6; i++)
        number = number * 10 + (size_t)(s[i] - '0');
    if (n == 0) return numbered(f, f->next++, true, out);
    if (i == n) return numbered(f, number, false, out);
    for (i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || s[i] == '_' ||
              (i && s[i] >= '0' && s[i] <= '9')))
            return lrk_j_fail(f->r, LRK_ESUPPORT, "str.format with more than plain fields");
    for (size_t k = 0; k < f->args->n_keywords; k++) {
        if (strlen(f->args->keywords[k].name) == n && !memcmp(f->args->keywords[k].name, s, n)) {
            *out = f->args->keywords[k].value;
            return LRK_OK;
        }
    }
    return lrk_j_fail(f->r, LRK_EINPUT, "format() has no argument '%.*s'", n < 99 ? (int)n : 99, s);
}

lrk_status lrk_j_format(lrk_jrun *r, const lrk_jstr *s, const lrk_jargs *args, lrk_jvalue *out)
{
    formatter f = {.r = r, .args = args};
    lrk_jout o = {0};
    for (size_t i = 0; i < s->n;) {
        const char c = s->s[i];
        if (c != '{' && c != '}') {
            LRK_TRY(lrk_j_put_part(r, &o, s, i, i + 1));
            i++;
            continue;
        }
        if (i + 1 < s->n && s->s[i + 1] == c) {
            LRK_TRY(lrk_j_put_part(r, &o, s, i, i + 1));
            i += 2;
            continue;
        }
        const char *end = c == '{' ? memchr(s->s + i, '}', s->n - i) : NULL;
        if (!end) return lrk_j_fail(r, LRK_EINPUT, "single '%c' in a format string", c);
        const size_t stop = (size_t)(end - s->s);
        lrk_jvalue v;
        LRK_TRY(field(&f, s->s + i + 1, stop - i - 1, &v));
        LRK_TRY(lrk_j_put_value(r, &o, v));
        i = stop + 1;
    }
    return lrk_j_finish(r, &o, out);
}
