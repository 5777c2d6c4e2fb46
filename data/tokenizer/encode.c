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

static void changed_free(lrk_changed *c)
{
    lrk_buf_free(&c->text);
    lrk_heap_free(c->from);
}

void lrk_work_free(lrk_work *w)
{
    lrk_heap_free(w->symbol);
    lrk_heap_free(w->heap);
    lrk_heap_free(w->best);
    for (int i = 0; i < 2; i++) changed_free(&w->changed[i]);
    for (int i = 0; i < LRK_MAX_STAGES; i++) {
        changed_free(&w->step[i]);
        lrk_buf_free(&w->spelled[i]);
    }
    *w = (lrk_work){.n_symbols = 0};
}

void lrk_ids_free(lrk_ids *ids)
{
    lrk_heap_free(ids->id);
    lrk_heap_free(ids->begin);
    *ids = (lrk_ids){.n = 0};
}

static lrk_status model(encoding *e, const lrk_mapped *m, size_t begin, size_t end)
{
    return e->t->score ? lrk_unigram(e->t, m, begin, end, &e->work, e->out, e->err)
                       : lrk_bpe(e->t, m, begin, end, &e->work, e->out, e->err);
}

static lrk_status steps(encoding *e, const lrk_mapped *m, size_t stage);

/* The piece begin .. end of m to the steps behind `stage`. A split sees a piece of the one before
 * as a text of its own: what follows it is the end to (?!\S). */
static lrk_status piece(encoding *e, const lrk_mapped *m, size_t begin, size_t end, size_t stage)
{
    if (stage + 1 == e->t->n_steps) return model(e, m, begin, end);
    const lrk_mapped part = lrk_mapped_part(m, begin, end);
    return steps(e, &part, stage + 1);
}

static size_t letters(const char *s, size_t begin, size_t end)
{
    size_t n = 0;
    for (size_t i = begin; i < end; i++) n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

/* Behind ByteLevel a split sees each byte as a character of the byte alphabet. */
static lrk_status split_spelled(encoding *e, const lrk_mapped *m, size_t stage)
{
    const lrk_tokenizer *t = e->t;
    lrk_buf *b = &e->work.spelled[stage];
    b->n = 0;
    for (size_t i = 0; i < m->n; i++) {
        const uint32_t c = lrk_alphabet_point((unsigned char)m->s[i]);
        const char two[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 63))}, one = (char)c;
        lrk_buf_append(b, c < 128 ? &one : two, c < 128 ? 1 : 2);
    }
    LRK_TRY(lrk_buf_check(b, e->err));
    size_t i = 0, done = 0, at = 0; /* `done` letters lie before b->data[at] */
    lrk_span p;
    while (lrk_split_next(&t->step[stage].split, &t->classes, b->data, b->n, &i, &p)) {
        const size_t begin = done + letters(b->data, at, p.begin);
        done = begin + letters(b->data, p.begin, p.end);
        at = p.end;
        LRK_TRY(piece(e, m, begin, done, stage));
    }
    return LRK_OK;
}

static lrk_status steps(encoding *e, const lrk_mapped *m, size_t stage)
{
    const lrk_tokenizer *t = e->t;
    if (stage == t->n_steps) return model(e, m, 0, m->n);
    const lrk_step *step = &t->step[stage];
    if (!step->splits) {
        lrk_mapped changed = *m;
        LRK_TRY(lrk_transform_run(&step->transform, 1, &changed, &e->work.step[stage], e->err));
        return changed.n ? steps(e, &changed, stage + 1) : LRK_OK;
    }
    if (step->split.spelled) return split_spelled(e, m, stage);
    size_t i = 0;
    lrk_span p;
    while (lrk_split_next(&step->split, &t->classes, m->s, m->n, &i, &p))
        LRK_TRY(piece(e, m, p.begin, p.end, stage));
    return LRK_OK;
}

/* Text behind the normalizer, without added tokens. */
static lrk_status plain(encoding *e, lrk_mapped m) { return m.n ? steps(e, &m, 0) : LRK_OK; }

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
