/* train/saved.c -- names and tokens of a recipe, held against the model. */
#include "train/saved.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/text.h"
#include "models/modules.h"

#include <stdlib.h>
#include <string.h>

static lrk_status choose_whole(lrk_saved *s, const lrk_recipe *r, const lrk_decoder *d, lrk_err *err)
{
    const lrk_strings *names = &r->lora_modules_to_save;
    for (size_t i = 0; i < names->n; i++) {
        const unsigned named = lrk_whole_named(d, names->item[i]);
        LRK_REQUIRE(err, named, LRK_EUSAGE,
                    "lora_modules_to_save: '%s' cannot be trained whole; %s and %s can, and linear layers get "
                    "adapters (lora_target_modules), with a rank of their own if need be (rank_pattern)",
                    names->item[i], lrk_last_name(lrk_names_of(d)->embedding), LRK_HEAD_PATH);
        s->bits |= named;
    }
    return LRK_OK;
}

static int by_number(const void *x, const void *y)
{
    const int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;
    return (a > b) - (a < b);
}

static lrk_status take_list(lrk_saved *s, int which, const lrk_sizes *ids, const lrk_recipe *r, size_t vocabulary,
                            lrk_err *err)
{
    int32_t *own = lrk_heap_alloc(ids->n, sizeof *own);
    LRK_REQUIRE(err, own, LRK_ENOMEM, "memory: no room for peft_trainable_token_indices");
    s->own[which] = own;
    s->rows[which] = (lrk_row_list){own, ids->n};
    for (size_t i = 0; i < ids->n; i++) {
        LRK_REQUIRE(err, ids->item[i] < vocabulary, LRK_EUSAGE,
                    "peft_trainable_token_indices: %zu, but the rows of %s are 0 to %zu; more of them come with "
                    "the tokens that they are for (tokens)",
                    ids->item[i], r->base_model, vocabulary - 1);
        own[i] = (int32_t)ids->item[i];
    }
    qsort(own, ids->n, sizeof *own, by_number);
    for (size_t i = 1; i < ids->n; i++)
        LRK_REQUIRE(err, own[i] != own[i - 1], LRK_EUSAGE, "peft_trainable_token_indices: %d stands there twice",
                    own[i]);
    return LRK_OK;
}

static lrk_status choose_rows(lrk_saved *s, const lrk_recipe *r, const lrk_decoder *d, lrk_err *err)
{
    const lrk_token_lists *t = &r->peft_trainable_token_indices;
    for (size_t i = 0; i < t->n; i++) {
        const unsigned named = t->module[i] ? lrk_whole_named(d, t->module[i]) : LRK_WHOLE_EMBEDDING;
        LRK_REQUIRE(err, named, LRK_EUSAGE,
                    "peft_trainable_token_indices: '%s' has no tokens; %s and %s have", t->module[i],
                    lrk_last_name(lrk_names_of(d)->embedding), LRK_HEAD_PATH);
        LRK_REQUIRE(err, !(s->bits & named), LRK_EUSAGE,
                    "peft_trainable_token_indices: '%s' is named twice, or trained whole by lora_modules_to_save",
                    t->module[i] ? t->module[i] : "embed_tokens");
        s->bits |= named;
        LRK_TRY(take_list(s, named == LRK_WHOLE_HEAD, &t->ids[i], r, d->vocabulary, err));
    }
    return LRK_OK;
}

/* The list becomes longer by ids that are not in it. */
static lrk_status join_list(lrk_saved *s, int which, lrk_row_list added, lrk_err *err)
{
    const lrk_row_list old = s->rows[which];
    int32_t *own = lrk_heap_alloc(old.n + added.n, sizeof *own);
    LRK_REQUIRE(err, own, LRK_ENOMEM, "memory: no room for the rows of new tokens");
    size_t n = 0;
    for (size_t i = 0; i < old.n; i++) own[n++] = old.id[i];
    for (size_t i = 0; i < added.n; i++)
        if (!old.n || lrk_row_place(old.id, old.n, added.id[i]) == old.n) own[n++] = added.id[i];
    qsort(own, n, sizeof *own, by_number);
    lrk_heap_free(s->own[which]);
    s->own[which] = own;
    s->rows[which] = (lrk_row_list){own, n};
    return LRK_OK;
}

/* Rows of new tokens, in both where there are two; not beside one that is trained whole, which a tied model parts from
 * the other as PEFT does. */
static lrk_status choose_added(lrk_saved *s, lrk_row_list added, bool tied, lrk_err *err)
{
    static const unsigned bit[] = {LRK_WHOLE_EMBEDDING, LRK_WHOLE_HEAD};
    const bool alone = tied && !(s->bits & LRK_WHOLE_HEAD);
    for (int which = 0; which < (alone ? 1 : 2) && added.n; which++) {
        const bool whole = s->bits & bit[which] && !s->rows[which].n;
        if (whole && tied) return LRK_OK;
        if (whole) continue;
        LRK_TRY(join_list(s, which, added, err));
        s->bits |= bit[which];
    }
    return LRK_OK;
}

/* What becomes of a tie. */
static lrk_status tie(lrk_saved *s, const lrk_recipe *r, lrk_err *err)
{
    const bool rows = s->rows[0].n || s->rows[1].n;
    const bool same = s->rows[0].n && (!s->rows[1].n || lrk_row_lists_equal(s->rows[0], s->rows[1]));
    LRK_REQUIRE(err, !rows || !r->lora_modules_to_save.n, LRK_EUSAGE,
                "peft_trainable_token_indices, or tokens that a recipe adds, beside lora_modules_to_save: not "
                "supported where, as in %s, embedding and head are tied",
                r->base_model);
    LRK_REQUIRE(err, !rows || same || !r->peft_ensure_weight_tying, LRK_EUSAGE,
                "peft_ensure_weight_tying: peft_trainable_token_indices names other tokens of embedding and head");
    if (rows ? same : r->peft_ensure_weight_tying) {
        s->bits |= LRK_WHOLE_AS_ONE;
        return LRK_OK;
    }
    lrk_warn("%s ties its head to its embedding; %s parts them, and a merged model stores both; %s trains them as one",
             r->base_model, rows ? "peft_trainable_token_indices" : "lora_modules_to_save",
             rows ? "a list alone" : "peft_ensure_weight_tying: true");
    return LRK_OK;
}

static lrk_status choose(lrk_saved *s, const lrk_recipe *r, const lrk_decoder *d, lrk_row_list added, lrk_err *err)
{
    LRK_TRY(choose_whole(s, r, d, err));
    LRK_TRY(choose_rows(s, r, d, err));
    LRK_TRY(choose_added(s, added, d->tied, err));
    return s->bits && d->tied ? tie(s, r, err) : LRK_OK;
}

lrk_status lrk_saved_choose(lrk_saved *s, const lrk_recipe *r, const lrk_decoder *d, lrk_row_list added, lrk_err *err)
{
    *s = (lrk_saved){0};
    const lrk_status status = choose(s, r, d, added, err);
    if (status != LRK_OK) lrk_saved_free(s);
    return status;
}

void lrk_saved_free(lrk_saved *s)
{
    lrk_heap_free(s->own[0]);
    lrk_heap_free(s->own[1]);
    *s = (lrk_saved){0};
}
