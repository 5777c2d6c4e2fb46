/* data/tokenizer/encode.c -- the way of a text through the tokenizer. */
#include "base/file.h"
#include "data/tokenizer/internal.h"

#include <string.h>

typedef struct encoding {
    const lrk_tokenizer *t;
    lrk_work work;
    lrk_ids *out;
    lrk_err *err;
} encoding;

void lrk_work_free(lrk_work *w)
{
    lrk_heap_free(w->symbol);
    lrk_heap_free(w->heap);
    for (int i = 0; i < 4; i++) {
        lrk_buf_free(&w->changed[i].text);
        lrk_heap_free(w->changed[i].from);
    }
    *w = (lrk_work){.n_symbols = 0};
}

void lrk_ids_free(lrk_ids *ids)
{
    lrk_heap_free(ids->id);
    lrk_heap_free(ids->begin);
    *ids = (lrk_ids){.n = 0};
}

/* m from the given split on. A split sees a piece of the one before as a text of its own: what
 * follows it is the end to (?!\S). */
static lrk_status pieces(encoding *e, const lrk_mapped *m, size_t stage)
{
    const lrk_tokenizer *t = e->t;
    if (stage == t->n_splits) return lrk_bpe(t, m, 0, m->n, &e->work, e->out, e->err);
    const bool last = stage + 1 == t->n_splits;
    for (size_t i = 0, end; i < m->n; i = end) {
        end = lrk_pattern_next(t->split[stage], &t->classes, m->s, m->n, i);
        if (last) {
            LRK_TRY(lrk_bpe(t, m, i, end, &e->work, e->out, e->err));
            continue;
        }
        const lrk_mapped piece = lrk_mapped_part(m, i, end);
        LRK_TRY(pieces(e, &piece, stage + 1));
    }
    return LRK_OK;
}

/* Text behind the normalizer, without added tokens. */
static lrk_status plain(encoding *e, lrk_mapped m)
{
    const lrk_tokenizer *t = e->t;
    if (!m.n) return LRK_OK;
    LRK_TRY(lrk_transform_run(t->after, t->n_after, &m, e->work.changed + 2, e->err));
    return m.n ? pieces(e, &m, 0) : LRK_OK;
}

/* Text of the input between added tokens of the first kind. */
static lrk_status segment(encoding *e, lrk_mapped m)
{
    const lrk_tokenizer *t = e->t;
    if (!m.n) return LRK_OK;
    LRK_TRY(lrk_transform_run(t->before, t->n_before, &m, e->work.changed, e->err));
    lrk_found f = {.gap = 0};
    while (lrk_added_next(&t->normalized, t, m.s, m.n, &f)) {
        if (f.gap < f.begin) LRK_TRY(plain(e, lrk_mapped_part(&m, f.gap, f.begin)));
        LRK_TRY(lrk_ids_add(e->out, f.id, lrk_origin(&m, f.begin), e->err));
    }
    return plain(e, lrk_mapped_part(&m, f.gap, m.n));
}

static lrk_status input(encoding *e, lrk_mapped m)
{
    const lrk_tokenizer *t = e->t;
    lrk_found f = {.gap = 0};
    while (lrk_added_next(&t->raw, t, m.s, m.n, &f)) {
        if (f.gap < f.begin) LRK_TRY(segment(e, lrk_mapped_part(&m, f.gap, f.begin)));
        LRK_TRY(lrk_ids_add(e->out, f.id, f.begin, e->err));
    }
    return segment(e, lrk_mapped_part(&m, f.gap, m.n));
}

static lrk_status added(encoding *e, const uint32_t *ids, size_t n, size_t begin)
{
    for (size_t i = 0; i < n; i++) LRK_TRY(lrk_ids_add(e->out, ids[i], begin, e->err));
    return LRK_OK;
}

lrk_status lrk_encode(const lrk_tokenizer *t, const char *text, size_t n, bool add_special,
                      lrk_ids *out, lrk_err *err)
{
    out->n = 0;
    LRK_REQUIRE(err, n < (size_t)1 << 30, LRK_EVALUE,
                "text of %zu bytes: a tokenizer takes 1 GiB at once, cut it into parts", n);
    const size_t valid = n ? lrk_utf8_check(text, n) : 0;
    LRK_REQUIRE(err, valid == n, LRK_EINPUT, "text: byte %zu (0x%02x) is not valid UTF-8", valid,
                (unsigned)(unsigned char)text[valid]);
    encoding e = {.t = t, .out = out, .err = err};
    lrk_status status = LRK_OK;
    if (add_special) status = added(&e, t->prefix, t->n_prefix, 0);
    if (status == LRK_OK) status = input(&e, (lrk_mapped){.s = n ? text : "", .n = n});
    if (status == LRK_OK && add_special) status = added(&e, t->suffix, t->n_suffix, n);
    lrk_work_free(&e.work);
    return status;
}
