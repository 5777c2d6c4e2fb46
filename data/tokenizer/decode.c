/* data/tokenizer/decode.c -- ids back to text. */
#include "data/tokenizer/internal.h"

#include "base/text.h"

#include <string.h>

static lrk_status check(const lrk_tokenizer *t, uint32_t id, lrk_err *err)
{
    LRK_REQUIRE(err, id < t->n && t->text[id].data, LRK_EVALUE,
                "token id %u is outside the vocabulary of %zu", (unsigned)id, t->n);
    return LRK_OK;
}

lrk_status lrk_token_bytes(const lrk_tokenizer *t, uint32_t id, lrk_buf *out, lrk_err *err)
{
    LRK_TRY(check(t, id, err));
    lrk_buf_append(out, t->bytes[id].data, t->bytes[id].n);
    return lrk_buf_check(out, err);
}

/* Byte tokens in a row are one run of bytes to the reference: UTF-8 as a whole, or not at all. */
static void decode_run(const lrk_tokenizer *t, const uint32_t *ids, size_t n, lrk_buf *run,
                       lrk_buf *out)
{
    run->n = 0;
    for (size_t i = 0; i < n; i++) lrk_buf_append(run, t->bytes[ids[i]].data, t->bytes[ids[i]].n);
    lrk_append_lossy(out, run->data, run->n, true);
}

/* What a token stands for at the beginning of a text. */
static void append_first(const lrk_tokenizer *t, uint32_t id, lrk_buf *out)
{
    const lrk_piece from = t->decode_from;
    if (!t->decode_drop || t->flags[id] & LRK_IS_BYTE) {
        lrk_buf_append(out, t->bytes[id].data, t->bytes[id].n);
        return;
    }
    const char *s = t->text[id].data, *end = s + t->text[id].n;
    for (const char *at; (at = lrk_find_bytes(s, (size_t)(end - s), from.data, from.n)); s = at + from.n)
        lrk_buf_append(out, s, (size_t)(at - s));
    lrk_buf_append(out, s, (size_t)(end - s));
}

static void decode_text(const lrk_tokenizer *t, const uint32_t *ids, size_t n, lrk_buf *run,
                        lrk_buf *out)
{
    for (size_t i = 0, end; i < n; i = end) {
        end = i;
        while (end < n && t->flags[ids[end]] & LRK_IS_BYTE) end++;
        if (end > i) {
            decode_run(t, ids + i, end - i, run, out);
        } else if (i == 0) {
            append_first(t, ids[i], out);
            end++;
        } else {
            lrk_buf_append(out, t->bytes[ids[i]].data, t->bytes[ids[i]].n);
            end++;
        }
    }
}

lrk_status lrk_decode(const lrk_tokenizer *t, const uint32_t *ids, size_t n, bool skip_special,
                      lrk_buf *out, lrk_err *err)
{
    const size_t first = out->n;
    lrk_buf run = {.n = 0};
    lrk_ids kept = {.n = 0};
    lrk_status status = LRK_OK;
    for (size_t i = 0; i < n && status == LRK_OK; i++) {
        status = check(t, ids[i], err);
        if (status != LRK_OK || (skip_special && t->flags[ids[i]] & LRK_IS_SPECIAL)) continue;
        if (t->byte_level)
            lrk_buf_append(&run, t->bytes[ids[i]].data, t->bytes[ids[i]].n);
        else
            status = lrk_ids_add(&kept, ids[i], 0, err);
    }
    if (status == LRK_OK && t->byte_level)
        lrk_append_lossy(out, run.data, run.n, false);
    else if (status == LRK_OK)
        decode_text(t, kept.id, kept.n, &run, out);
    if (status == LRK_OK && t->decode_strip && out->n > first && out->data[first] == ' ') {
        memmove(out->data + first, out->data + first + 1, out->n - first); /* the NUL as well */
        out->n--;
    }
    if (status == LRK_OK) status = lrk_buf_check(&run, err);
    if (status == LRK_OK) status = lrk_buf_check(out, err);
    lrk_buf_free(&run);
    lrk_ids_free(&kept);
    return status;
}

lrk_status lrk_stream_push(const lrk_tokenizer *t, lrk_stream *s, uint32_t id, bool skip_special,
                           lrk_buf *out, lrk_err *err)
{
    LRK_TRY(check(t, id, err));
    if (skip_special && t->flags[id] & LRK_IS_SPECIAL) return LRK_OK;
    lrk_buf all = {.n = 0};
    lrk_buf_append(&all, s->held, s->n_held);
    if (s->begun)
        lrk_buf_append(&all, t->bytes[id].data, t->bytes[id].n);
    else
        append_first(t, id, &all);
    s->begun |= t->decode_drop;
    lrk_status status = lrk_buf_check(&all, err);
    if (status == LRK_OK && all.n) {
        const size_t skip = !s->begun && t->decode_strip && all.data[0] == ' ';
        const size_t held = lrk_unfinished(all.data + skip, all.n - skip);
        lrk_append_lossy(out, all.data + skip, all.n - skip - held, false);
        memcpy(s->held, all.data + all.n - held, held);
        s->n_held = (unsigned)held;
        s->begun = true;
        status = lrk_buf_check(out, err);
    }
    lrk_buf_free(&all);
    return status;
}

void lrk_stream_end(lrk_stream *s, lrk_buf *out)
{
    lrk_append_lossy(out, (const char *)s->held, s->n_held, false);
    s->n_held = 0;
}
