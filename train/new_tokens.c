/* train/new_tokens.c -- what a recipe says of tokens, one after the other. */
#include "train/new_tokens.h"

#include "base/arena.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

typedef struct collected {
    lrk_growth growth;
    size_t room;
    lrk_arena arena;
} collected;

static void add(collected *c, const char *text, int64_t id, bool special, bool normalized)
{
    LRK_ASSERT(c->growth.n < c->room);
    c->growth.token[c->growth.n++] =
        (lrk_new_token){.text = text, .id = id, .special = special, .normalized = normalized};
}

/* LLaMA-Factory's form: texts with commas between. */
static lrk_status add_list(collected *c, const lrk_strings *list, bool special, bool normalized, lrk_err *err)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *text = list->item[i];
        for (const char *comma; list->scalar && (comma = strchr(text, ',')); text = comma + 1) {
            const char *part = lrk_strndup(&c->arena, text, (size_t)(comma - text));
            LRK_REQUIRE(err, part, LRK_ENOMEM, "memory: no room for the new tokens");
            add(c, part, LRK_NO_ID, special, normalized);
        }
        add(c, text, LRK_NO_ID, special, normalized);
    }
    return LRK_OK;
}

static size_t at_most(const lrk_strings *list)
{
    size_t n = list->n;
    for (const char *p = list->scalar && n ? list->item[0] : ""; *p; p++) n += *p == ',';
    return n;
}

/* A token with a role: nothing is asked for where it has it, nor of padding where the token is there. */
static lrk_status add_role(collected *c, const lrk_tokenizer *t, lrk_special role, const char *text, lrk_err *err)
{
    if (!text) return LRK_OK;
    const int64_t id = lrk_token_id(t, text, strlen(text)), now = lrk_tokenizer_special(t, role);
    if (id != LRK_NO_ID && (id == now || role == LRK_TOKEN_PAD)) return LRK_OK;
    LRK_REQUIRE(err, role == LRK_TOKEN_EOS || role == LRK_TOKEN_PAD, LRK_EUSAGE,
                "special_tokens.%s: '%s' is not what the tokenizer has as that, and another one would change every "
                "text", lrk_special_name(role), text);
    if (role == LRK_TOKEN_PAD)
        lrk_note("special_tokens.pad_token: '%s' is no token yet and becomes one, with a row that no text uses: "
                 "nothing is padded here; without the key the vocabulary stays as it is", text);
    add(c, text, LRK_NO_ID, true, false);
    c->growth.role[role] = text;
    return LRK_OK;
}

static lrk_status collect(collected *c, const lrk_recipe *r, const lrk_tokenizer *t, lrk_err *err)
{
    const struct {
        lrk_special role;
        const char *text;
    } roles[] = {{LRK_TOKEN_BOS, r->special_tokens_bos_token},
                 {LRK_TOKEN_EOS, r->special_tokens_eos_token},
                 {LRK_TOKEN_PAD, r->special_tokens_pad_token},
                 {LRK_TOKEN_UNK, r->special_tokens_unk_token}};
    const lrk_strings *others = &r->special_tokens_additional_special_tokens;
    c->room = r->added_tokens_overrides.n + 4 + r->tokens.n + at_most(&r->add_tokens) +
              at_most(&r->add_special_tokens) + others->n;
    LRK_TRY(lrk_alloc(&c->arena, c->room, sizeof *c->growth.token, "new tokens", &c->growth.token, err));
    for (size_t i = 0; i < r->added_tokens_overrides.n; i++)
        add(c, r->added_tokens_overrides.text[i], (int64_t)r->added_tokens_overrides.id[i], false, false);
    for (size_t i = 0; i < 4; i++) LRK_TRY(add_role(c, t, roles[i].role, roles[i].text, err));
    for (size_t i = 0; i < r->tokens.n; i++) add(c, r->tokens.item[i], LRK_NO_ID, false, false);
    LRK_TRY(add_list(c, &r->add_tokens, false, true, err));
    LRK_TRY(add_list(c, &r->add_special_tokens, true, false, err));
    for (size_t i = 0; i < others->n; i++) add(c, others->item[i], LRK_NO_ID, true, false);
    return LRK_OK;
}

static int by_number(const void *x, const void *y)
{
    const int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;
    return (a > b) - (a < b);
}

static lrk_status note_rows(lrk_new_tokens *x, const lrk_growth *g, lrk_err *err)
{
    int32_t *id = lrk_heap_alloc(g->n, sizeof *id);
    size_t n = 0;
    LRK_REQUIRE(err, id, LRK_ENOMEM, "memory: no room for the new tokens");
    for (size_t i = 0; i < g->n; i++)
        if (g->token[i].fresh) id[n++] = (int32_t)g->token[i].id;
    qsort(id, n, sizeof *id, by_number);
    x->rows = (lrk_row_list){id, n};
    return LRK_OK;
}

lrk_status lrk_new_tokens_add(lrk_new_tokens *x, const lrk_recipe *r, lrk_model_text *text, const char *path,
                              lrk_err *err)
{
    collected c = {.arena = lrk_arena_growing("new tokens")};
    *x = (lrk_new_tokens){0};
    lrk_status s = collect(&c, r, text->tokenizer, err);
    if (s == LRK_OK && c.growth.n) s = lrk_text_grow(text, path, &c.growth, &x->files, err);
    if (s == LRK_OK && c.growth.n) s = note_rows(x, &c.growth, err);
    lrk_arena_free(&c.arena);
    if (s != LRK_OK) lrk_new_tokens_free(x);
    return s;
}

void lrk_new_tokens_free(lrk_new_tokens *x)
{
    lrk_text_files_free(&x->files);
    lrk_heap_free((void *)(uintptr_t)x->rows.id);
    *x = (lrk_new_tokens){0};
}
