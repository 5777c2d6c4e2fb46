/* data/tokenizer/unigram.c -- the most probable cut of a piece into tokens.
 *
 * best(end) = max over tokens that end there of best(begin) + score; of equals the first found
 * stays: begins ascending, then tokens ascending in length. A character without a token of its own
 * may be unknown, 10 below the lowest score. Unknown ones in a row are one token.
 */
#include "data/tokenizer/internal.h"

#include <string.h>

static void offer(lrk_best *to, double score, size_t id, size_t begin)
{
    if (to->begin != UINT32_MAX && !(score > to->score)) return;
    *to = (lrk_best){score, (uint32_t)id, (uint32_t)begin};
}

/* Fills best[0 .. n]. */
static void forward(const lrk_tokenizer *t, const char *s, size_t n, lrk_best *best)
{
    for (size_t i = 0; i <= n; i++) best[i].begin = UINT32_MAX;
    best[0].score = 0.0;
    for (size_t i = 0, next = 0; i < n; i = next) {
        bool single = false;
        lrk_utf8_next(s, &next);
        uint32_t node = 0;
        for (size_t end = i; end < n && lrk_trie_step(&t->trie, &node, (unsigned char)s[end]);) {
            const int32_t id = t->trie.node[node].id;
            end++;
            if (id < 0) continue;
            offer(&best[end], t->score[id] + best[i].score, (size_t)id, i);
            single |= end == next;
        }
        if (!single) offer(&best[next], t->unknown_score + best[i].score, (size_t)t->unk, i);
    }
}

/* Ids of the unknown text m->s[begin .. end), last first: itself if it is a token, its bytes, or
 * unk. */
static lrk_status unknown(const lrk_tokenizer *t, const lrk_mapped *m, size_t begin, size_t end,
                          lrk_ids *out, lrk_err *err)
{
    int64_t id = lrk_strings_find(&t->by_text, m->s + begin, end - begin);
    if (id >= (int64_t)t->n_model) id = LRK_NO_ID;
    bool bytes = id == LRK_NO_ID && t->byte_fallback;
    for (size_t i = begin; bytes && i < end; i++) bytes = t->fallback[(unsigned char)m->s[i]] >= 0;
    if (!bytes)
        return lrk_ids_add(out, (uint32_t)(id == LRK_NO_ID ? t->unk : id), lrk_origin(m, begin),
                           err);
    for (size_t i = end; i-- > begin;)
        LRK_TRY(
            lrk_ids_add(out, (uint32_t)t->fallback[(unsigned char)m->s[i]], lrk_origin(m, i), err));
    return LRK_OK;
}

static void reverse(lrk_ids *ids, size_t first)
{
    for (size_t i = first, j = ids->n; i + 1 < j; i++) {
        j--;
        const uint32_t id = ids->id[i];
        const size_t begin = ids->begin[i];
        ids->id[i] = ids->id[j];
        ids->begin[i] = ids->begin[j];
        ids->id[j] = id;
        ids->begin[j] = begin;
    }
}

lrk_status lrk_unigram(const lrk_tokenizer *t, const lrk_mapped *m, size_t begin, size_t end,
                       lrk_work *w, lrk_ids *out, lrk_err *err)
{
    const size_t n = end - begin, first = out->n;
    LRK_TRY(lrk_work_room(&w->best, &w->n_best, n + 1, sizeof *w->best, err));
    lrk_best *best = w->best;
    forward(t, m->s + begin, n, best);
    for (size_t at = n, stop = n; at > 0; stop = at) {
        for (; at > 0 && best[at].id == (uint32_t)t->unk; at = best[at].begin) continue;
        if (at < stop) {
            LRK_TRY(unknown(t, m, begin + at, begin + stop, out, err));
            continue;
        }
        const uint32_t id = best[at].id;
        at = best[at].begin;
        LRK_TRY(lrk_ids_add(out, id, lrk_origin(m, begin + at), err));
    }
    reverse(out, first);
    return LRK_OK;
}
