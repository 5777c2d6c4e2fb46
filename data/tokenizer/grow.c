/* data/tokenizer/grow.c -- more added tokens in the text of a tokenizer.json. */
#include "base/json.h"
#include "data/tokenizer/internal.h"
#include "data/tokenizer/json_pull.h"

#include <stdlib.h>
#include <string.h>

/* A tokenizer.json on its way out, with more tokens. */
typedef struct growing {
    const lrk_tokenizer *t;
    const char *json;
    size_t n, done; /* text before `done` is in out */
    lrk_json *added;
    size_t next; /* the id of the next token */
    lrk_buf *out;
} growing;

static bool is(lrk_piece p, const char *text)
{
    return p.n == strlen(text) && memcmp(p.data, text, p.n) == 0;
}

/* Where the next thing begins. */
static size_t here(lrk_pull *p)
{
    (void)lrk_pull_char(p, ' '); /* blanks are gone over, and nothing else is one */
    return p->at;
}

/* Where the value of a member of the object that p stands before begins; p stands there too. */
static bool member(lrk_pull *p, const char *name)
{
    lrk_piece key;
    if (!lrk_pull_char(p, '{')) return false;
    do {
        if (!lrk_pull_string(p, &key) || !lrk_pull_char(p, ':')) return false;
        if (is(key, name)) return true;
        if (!lrk_pull_skip(p)) return false;
    } while (lrk_pull_char(p, ','));
    return false;
}

static lrk_json *entry_of(const lrk_json *added, int64_t id)
{
    for (size_t i = 0; i < lrk_json_size(added); i++)
        if (lrk_json_integer(lrk_json_get(lrk_json_at(added, i), "id")) == id) return lrk_json_at(added, i);
    return NULL;
}

static void append(growing *g, const lrk_new_token *token, int64_t id)
{
    lrk_json *e = lrk_json_object();
    lrk_json_set(e, "id", lrk_json_new_integer(id));
    lrk_json_set(e, "content", lrk_json_c_string(token->text));
    lrk_json_set(e, "single_word", lrk_json_new_bool(false));
    lrk_json_set(e, "lstrip", lrk_json_new_bool(false));
    lrk_json_set(e, "rstrip", lrk_json_new_bool(false));
    lrk_json_set(e, "normalized", lrk_json_new_bool(token->normalized));
    lrk_json_set(e, "special", lrk_json_new_bool(token->special));
    lrk_json_add(g->added, e);
}

static int by_id(const void *x, const void *y)
{
    lrk_json *const *a = x, *const *b = y;
    const int64_t i = lrk_json_integer(lrk_json_get(*a, "id")), k = lrk_json_integer(lrk_json_get(*b, "id"));
    return (i > k) - (i < k);
}

/* The reference keeps its added tokens in the order of their ids. */
static lrk_status in_order(growing *g, lrk_err *err)
{
    const size_t n = lrk_json_size(g->added);
    lrk_json **entry = lrk_heap_alloc(n ? n : 1, sizeof *entry), *sorted = lrk_json_array();
    LRK_REQUIRE(err, entry, LRK_ENOMEM, "memory: no room for added tokens");
    for (size_t i = 0; i < n; i++) entry[i] = lrk_json_at(g->added, i);
    qsort(entry, n, sizeof *entry, by_id);
    for (size_t i = 0; i < n; i++) lrk_json_add(sorted, lrk_json_ref(entry[i]));
    lrk_heap_free(entry);
    lrk_json_free(g->added);
    g->added = sorted;
    return LRK_OK;
}

static lrk_status rename_token(growing *g, const lrk_new_token *token, lrk_err *err)
{
    lrk_json *e = entry_of(g->added, token->id);
    const char *old = token->id < (int64_t)g->t->n ? lrk_token_text(g->t, (uint32_t)token->id, NULL) : NULL;
    LRK_REQUIRE(err, e && old, LRK_EUSAGE, "token %lld is none of the added ones, which alone get other texts",
                (long long)token->id);
    lrk_json_set(e, "content", lrk_json_c_string(token->text));
    return LRK_OK;
}

static lrk_status add_token(growing *g, lrk_new_token *token, lrk_err *err)
{
    const size_t n = strlen(token->text);
    const int64_t there = lrk_token_id(g->t, token->text, n);
    LRK_REQUIRE(err, n > 0, LRK_EUSAGE, "tokens that a recipe adds: one is empty; a token has 1 to %d bytes",
                LRK_MAX_TOKEN_BYTES);
    LRK_REQUIRE(err, n <= LRK_MAX_TOKEN_BYTES, LRK_EUSAGE, "'%.60s...': a token has 1 to %d bytes", token->text,
                LRK_MAX_TOKEN_BYTES);
    if (token->id != LRK_NO_ID) {
        LRK_REQUIRE(err, there == LRK_NO_ID || there == token->id, LRK_EUSAGE,
                    "'%s' is token %lld already, and cannot be %lld too", token->text, (long long)there,
                    (long long)token->id);
        token->fresh = there == LRK_NO_ID;
        return rename_token(g, token, err);
    }
    const lrk_json *now = entry_of(g->added, there); /* which may have got another text */
    const char *text = lrk_json_string(lrk_json_get(now, "content"), NULL);
    token->id = now && !(text && strcmp(text, token->text) == 0) ? LRK_NO_ID : there;
    for (size_t i = 0; token->id == LRK_NO_ID && i < lrk_json_size(g->added); i++) {
        const lrk_json *e = lrk_json_at(g->added, i);
        const char *content = lrk_json_string(lrk_json_get(e, "content"), NULL);
        if (content && strcmp(content, token->text) == 0) token->id = lrk_json_integer(lrk_json_get(e, "id"));
    }
    if (token->id == LRK_NO_ID) {
        token->fresh = true;
        token->id = (int64_t)g->next++;
        LRK_REQUIRE(err, g->next <= LRK_MAX_VOCAB, LRK_EUSAGE, "more than %d tokens", LRK_MAX_VOCAB);
    }
    if (!entry_of(g->added, token->id)) append(g, token, token->id);
    return LRK_OK;
}

static void copy_to(growing *g, size_t at)
{
    lrk_buf_append(g->out, g->json + g->done, at - g->done);
    g->done = at;
}

static lrk_status put_json(growing *g, const lrk_json *v, size_t from, size_t to, lrk_err *err)
{
    LRK_REQUIRE(err, from >= g->done, LRK_ESUPPORT, "tokenizer.json has its model before its added_tokens");
    copy_to(g, from);
    g->done = to;
    return lrk_json_dump(v, 2, g->out, err);
}

/* The token's text in the vocabulary of the model, which may hold added tokens too, becomes the new one. */
static lrk_status rename_in_model(growing *g, const lrk_new_token *list, size_t n, lrk_err *err)
{
    lrk_pull p = {.s = g->json, .n = g->n};
    lrk_piece text;
    lrk_status status = LRK_OK;
    if (!member(&p, "model") || !member(&p, "vocab")) goto done;
    const bool object = lrk_pull_char(&p, '{');
    if (!object && !lrk_pull_char(&p, '[')) goto done; /* none: nothing to rename */
    do {
        if (!object && !lrk_pull_char(&p, '[')) break;
        const size_t begin = here(&p);
        if (!lrk_pull_string(&p, &text)) break;
        for (size_t i = 0; i < n && status == LRK_OK; i++) {
            if (!list[i].fresh || list[i].id >= (int64_t)g->t->n) continue;
            if (!is(text, lrk_token_text(g->t, (uint32_t)list[i].id, NULL))) continue;
            lrk_json *v = lrk_json_c_string(list[i].text);
            status = put_json(g, v, begin, p.at, err);
            lrk_json_free(v);
            break;
        }
        if (status != LRK_OK || !lrk_pull_char(&p, object ? ':' : ',') || !lrk_pull_skip(&p)) break;
        if (!object && !lrk_pull_char(&p, ']')) break;
    } while (lrk_pull_char(&p, ','));
done:
    if (status == LRK_OK) status = lrk_buf_check(&p.text, err);
    lrk_buf_free(&p.text);
    return status;
}

static lrk_status grow(growing *g, lrk_new_token *list, size_t n, lrk_err *err)
{
    lrk_pull p = {.s = g->json, .n = g->n};
    bool renames = false;
    const bool found = member(&p, "added_tokens");
    const size_t begin = here(&p);
    const bool whole = found && lrk_pull_skip(&p);
    lrk_buf_free(&p.text);
    LRK_REQUIRE(err, whole, LRK_ESUPPORT, "tokenizer.json has no added_tokens, which others are put among");
    LRK_TRY(lrk_json_parse(&g->added, g->json + begin, p.at - begin, "added_tokens", err));
    for (size_t i = 0; i < n; i++) {
        list[i].fresh = false;
        renames = renames || list[i].id != LRK_NO_ID;
        LRK_TRY(add_token(g, &list[i], err));
    }
    LRK_TRY(in_order(g, err));
    LRK_TRY(put_json(g, g->added, begin, p.at, err));
    if (renames) LRK_TRY(rename_in_model(g, list, n, err));
    copy_to(g, g->n);
    return lrk_buf_check(g->out, err);
}

lrk_status lrk_tokenizer_grow(const lrk_tokenizer *t, const char *json, size_t n, lrk_new_token *list, size_t n_list,
                              lrk_buf *out, lrk_err *err)
{
    growing g = {.t = t, .json = json, .n = n, .next = t->n, .out = out};
    const lrk_status status = grow(&g, list, n_list, err);
    lrk_json_free(g.added);
    return status;
}
