/* data/template/out.c -- text that grows and remembers who said which bytes. */
#include "data/template/value.h"

#include "base/size.h"

#include <string.h>

static lrk_status mark(lrk_jrun *r, lrk_jout *o, size_t begin, size_t end, uint32_t origin)
{
    lrk_jmark *last = o->n_marks ? &o->marks[o->n_marks - 1] : NULL;
    if (last && last->origin == origin && last->end == begin) {
        last->end = (uint32_t)end;
        return LRK_OK;
    }
    LRK_TRY(lrk_j_room(r, o->n_marks, &o->marks_capacity, sizeof *o->marks, &o->marks));
    o->marks[o->n_marks++] = (lrk_jmark){(uint32_t)begin, (uint32_t)end, origin};
    return LRK_OK;
}

static lrk_status put_bytes(lrk_jrun *r, lrk_jout *o, const char *s, size_t n)
{
    LRK_TRY(lrk_j_work(r, 1 + n / 64));
    if (n > o->capacity - o->n) {
        size_t wanted;
        char *grown;
        if (!lrk_add(o->n, n, &wanted) || wanted > UINT32_MAX / 2)
            return lrk_j_fail(r, LRK_ESUPPORT, "texts beyond 2 GB");
        wanted = o->n ? lrk_max(wanted, 2 * o->capacity) : lrk_max(wanted, 16);
        LRK_TRY(lrk_j_take(r, wanted, 1, &grown));
        if (o->n) memcpy(grown, o->s, o->n);
        o->s = grown;
        o->capacity = wanted;
    }
    if (n) memcpy(o->s + o->n, s, n);
    o->n += n;
    return LRK_OK;
}

lrk_status lrk_j_put(lrk_jrun *r, lrk_jout *o, const char *s, size_t n, uint32_t origin)
{
    const size_t begin = o->n;
    LRK_TRY(put_bytes(r, o, s, n));
    return origin && n ? mark(r, o, begin, o->n, origin) : LRK_OK;
}

lrk_status lrk_j_puts(lrk_jrun *r, lrk_jout *o, const char *s)
{
    return lrk_j_put(r, o, s, strlen(s), 0);
}

lrk_status lrk_j_put_part(lrk_jrun *r, lrk_jout *o, const lrk_jstr *s, size_t begin, size_t end)
{
    const size_t at = o->n;
    bool marked = false;
    LRK_TRY(put_bytes(r, o, s->s + begin, end - begin));
    for (size_t i = 0; i < s->n_marks; i++) {
        const lrk_jmark *m = &s->marks[i];
        const size_t from = lrk_max(m->begin, begin), to = lrk_min(m->end, end);
        if (from > to || (from == to && m->begin != m->end)) continue;
        LRK_TRY(mark(r, o, at + from - begin, at + to - begin, m->origin));
        marked = true;
    }
    /* what is left of a message after a strip may be nothing: it stays a turn of its author */
    if (begin == end && !marked && s->n_marks) return mark(r, o, at, at, s->marks[0].origin);
    return LRK_OK;
}

lrk_status lrk_j_put_str(lrk_jrun *r, lrk_jout *o, const lrk_jstr *s)
{
    return lrk_j_put_part(r, o, s, 0, s->n);
}

lrk_status lrk_j_finish(lrk_jrun *r, lrk_jout *o, lrk_jvalue *out)
{
    lrk_jstr *str;
    LRK_TRY(lrk_j_take(r, 1, sizeof *str, &str));
    *str = (lrk_jstr){.s = o->n ? o->s : "", .n = o->n, .marks = o->marks, .n_marks = o->n_marks};
    out->kind = LRK_JV_STR;
    out->as.str = str;
    return LRK_OK;
}

lrk_status lrk_j_part(lrk_jrun *r, const lrk_jstr *s, size_t begin, size_t end, lrk_jvalue *out)
{
    if (s->n_marks) {
        lrk_jout o = {0};
        LRK_TRY(lrk_j_put_part(r, &o, s, begin, end));
        return lrk_j_finish(r, &o, out);
    }
    lrk_jstr *str;
    LRK_TRY(lrk_j_take(r, 1, sizeof *str, &str));
    *str = (lrk_jstr){.s = s->s + begin, .n = end - begin};
    out->kind = LRK_JV_STR;
    out->as.str = str;
    return LRK_OK;
}

uint32_t lrk_j_origin_at(const lrk_jstr *s, size_t byte)
{
    for (size_t i = 0; i < s->n_marks; i++)
        if (byte >= s->marks[i].begin && byte < s->marks[i].end) return s->marks[i].origin;
    return 0;
}
