/* data/tokenizer/scores.c -- merges of a SentencePiece BPE, which has scores instead.
 *
 * A token merges from any two tokens whose texts it is made of. In which order: the highest score
 * of the token first, then the longest left part, then the longest right part, counted in
 * characters, then the lowest ids; so the reference makes the merges of a tokenizer.json. Older
 * versions of it took the lowest ids at once.
 */
#include "data/tokenizer/internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct pair {
    float score;
    uint32_t id, left, right;
    uint16_t n_left, n_right; /* characters */
} pair;

typedef struct pairs {
    pair *p;
    size_t n, capacity;
} pairs;

static int best_first(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->score < y->score || x->score > y->score) return x->score > y->score ? -1 : 1;
    if (x->n_left != y->n_left) return x->n_left > y->n_left ? -1 : 1;
    if (x->n_right != y->n_right) return x->n_right > y->n_right ? -1 : 1;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->left < y->left ? -1 : x->left > y->left;
}

static int lowest_ids(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->score < y->score || x->score > y->score) return x->score > y->score ? -1 : 1;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->left < y->left ? -1 : x->left > y->left;
}

static lrk_status add(pairs *list, pair p, lrk_err *err)
{
    LRK_REQUIRE(err, list->n < LRK_MAX_MERGES, LRK_ESUPPORT,
                "tokenizer.ggml.scores: the vocabulary has more than %d merges", LRK_MAX_MERGES);
    if (list->n == list->capacity) {
        const size_t more = list->capacity ? 2 * list->capacity : 1 << 14;
        pair *grown = lrk_heap_grow(list->p, more, sizeof *grown);
        LRK_REQUIRE(err, grown, LRK_ENOMEM, "merges: out of memory");
        list->p = grown;
        list->capacity = more;
    }
    list->p[list->n++] = p;
    return LRK_OK;
}

/* All ways to make token id. */
static lrk_status collect(const lrk_tokenizer *t, pairs *list, uint32_t id, float score,
                          lrk_err *err)
{
    const char *s = t->text[id].data;
    const size_t n = t->text[id].n;
    uint16_t count = 0, total = 0;
    for (size_t i = 0; i < n; total++) lrk_utf8_next(s, &i);
    for (size_t i = 0; i < n;) {
        lrk_utf8_next(s, &i);
        count++;
        if (i == n) break;
        const int64_t left = lrk_strings_find(&t->by_text, s, i);
        if (left == LRK_NO_ID) continue;
        const int64_t right = lrk_strings_find(&t->by_text, s + i, n - i);
        if (right == LRK_NO_ID) continue;
        LRK_TRY(add(list,
                    (pair){.score = score,
                           .id = id,
                           .left = (uint32_t)left,
                           .right = (uint32_t)right,
                           .n_left = count,
                           .n_right = (uint16_t)(total - count)},
                    err));
    }
    return LRK_OK;
}

lrk_status lrk_merges_from_scores(lrk_tokenizer *t, const float *score, bool by_id, lrk_err *err)
{
    pairs list = {.n = 0};
    lrk_status status = LRK_OK;
    for (uint32_t id = 0; id < t->n && status == LRK_OK; id++)
        if (!(t->flags[id] & LRK_IS_SPECIAL)) status = collect(t, &list, id, score[id], err);
    if (list.n) qsort(list.p, list.n, sizeof *list.p, by_id ? lowest_ids : best_first);
    if (status == LRK_OK) status = lrk_merges_make(&t->merges, &t->arena, list.n, err);
    for (size_t i = 0; i < list.n && status == LRK_OK; i++)
        status = lrk_merges_add(&t->merges,
                                (lrk_merge){.left = list.p[i].left,
                                            .right = list.p[i].right,
                                            .rank = (uint32_t)i,
                                            .id = list.p[i].id},
                                err);
    lrk_heap_free(list.p);
    return status;
}
