/* data/tokenizer/tokenizer.c -- questions to a tokenizer. */
#include "data/tokenizer/internal.h"

#include <string.h>

size_t lrk_tokenizer_size(const lrk_tokenizer *t) { return t->n; }

const char *lrk_token_text(const lrk_tokenizer *t, uint32_t id, size_t *n)
{
    if (id >= t->n) return NULL;
    if (n) *n = t->text[id].n;
    return t->text[id].data;
}

int64_t lrk_token_id(const lrk_tokenizer *t, const char *text, size_t n)
{
    return lrk_strings_find(&t->by_text, text, n);
}

static bool has_flag(const lrk_tokenizer *t, uint32_t id, unsigned flag)
{
    return id < t->n && t->flags[id] & flag;
}

bool lrk_token_is_special(const lrk_tokenizer *t, uint32_t id)
{
    return has_flag(t, id, LRK_IS_SPECIAL);
}

bool lrk_token_is_added(const lrk_tokenizer *t, uint32_t id)
{
    return has_flag(t, id, LRK_IS_ADDED);
}

bool lrk_token_is_end(const lrk_tokenizer *t, uint32_t id) { return has_flag(t, id, LRK_IS_END); }

const char *lrk_special_name(lrk_special s)
{
    static const char *const names[LRK_TOKEN_SPECIALS] = {
        [LRK_TOKEN_BOS] = "bos_token", [LRK_TOKEN_EOS] = "eos_token",
        [LRK_TOKEN_EOT] = "eot_token", [LRK_TOKEN_EOM] = "eom_token",
        [LRK_TOKEN_PAD] = "pad_token", [LRK_TOKEN_UNK] = "unk_token"};
    return names[s];
}

int64_t lrk_tokenizer_special(const lrk_tokenizer *t, lrk_special s) { return t->special[s]; }

const uint32_t *lrk_tokenizer_ends(const lrk_tokenizer *t, size_t *n)
{
    *n = t->n_ends;
    return t->ends;
}

const char *const *lrk_tokenizer_end_texts(const lrk_tokenizer *t, size_t *n)
{
    *n = t->n_ends;
    return t->end_texts;
}

const char *const *lrk_tokenizer_special_texts(const lrk_tokenizer *t, size_t *n)
{
    *n = t->n_specials;
    return t->special_texts;
}

static bool holds(const uint32_t *ids, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

bool lrk_tokenizer_adds_bos(const lrk_tokenizer *t)
{
    return holds(t->prefix, t->n_prefix, t->special[LRK_TOKEN_BOS]);
}

bool lrk_tokenizer_adds_eos(const lrk_tokenizer *t)
{
    return holds(t->suffix, t->n_suffix, t->special[LRK_TOKEN_EOS]);
}

const char *lrk_tokenizer_chat_template(const lrk_tokenizer *t) { return t->chat_template; }

const char *lrk_tokenizer_sha256(const lrk_tokenizer *t) { return t->sha256; }
