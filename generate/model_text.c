/* generate/model_text.c -- opening tokenizer and chat template, wherever they are. */
#include "generate/model_text.h"

#include "base/file.h"

#include <string.h>

enum { MAX_TEMPLATE = 4 << 20 };

static lrk_status specials(const lrk_gguf *g, lrk_vocab *v, lrk_err *err)
{
    const struct {
        const char *key;
        int64_t *id;
    } named[] = {
        {"tokenizer.ggml.bos_token_id", &v->bos},     {"tokenizer.ggml.eos_token_id", &v->eos},
        {"tokenizer.ggml.eot_token_id", &v->eot},     {"tokenizer.ggml.eom_token_id", &v->eom},
        {"tokenizer.ggml.unknown_token_id", &v->unk}, {"tokenizer.ggml.padding_token_id", &v->pad}};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        size_t id = SIZE_MAX;
        LRK_TRY(lrk_gguf_opt_size(g, named[i].key, 0, UINT32_MAX, &id, err));
        *named[i].id = id == SIZE_MAX ? LRK_NO_ID : (int64_t)id;
    }
    return LRK_OK;
}

static lrk_status flag(const lrk_gguf *g, const char *key, int *out, lrk_err *err)
{
    bool on = false;
    LRK_TRY(lrk_gguf_opt_bool(g, key, &on, err));
    *out = lrk_gguf_find(g, key) ? on : -1;
    return LRK_OK;
}

static lrk_status strings(const lrk_gguf *g, const char *key, lrk_arena *a, lrk_piece **list,
                          size_t *n, lrk_err *err)
{
    const lrk_gguf_kv *kv = NULL;
    LRK_TRY(lrk_gguf_opt_array(g, key, LRK_GGUF_STRING, &kv, err));
    LRK_REQUIRE(err, kv, LRK_EINPUT, "%s: %s is missing: the file holds no tokenizer", g->path,
                key);
    *n = kv->n;
    LRK_TRY(lrk_alloc(a, *n, sizeof **list, key, list, err));
    for (size_t i = 0; i < *n; i++) (*list)[i].data = lrk_gguf_string(kv, i, &(*list)[i].n);
    return LRK_OK;
}

static lrk_status types(const lrk_gguf *g, lrk_arena *a, size_t n, int32_t **list, lrk_err *err)
{
    static const char key[] = "tokenizer.ggml.token_type";
    const lrk_gguf_kv *kv = NULL;
    LRK_TRY(lrk_gguf_opt_array(g, key, LRK_GGUF_I32, &kv, err));
    LRK_REQUIRE(err, kv && kv->n == n, LRK_EINPUT,
                "%s: %s has %zu elements, expected one a token: %zu", g->path, key, kv ? kv->n : 0,
                n);
    LRK_TRY(lrk_alloc(a, n, sizeof **list, key, list, err));
    for (size_t i = 0; i < n; i++) (*list)[i] = (int32_t)lrk_gguf_integer(kv, i);
    return LRK_OK;
}

static lrk_status scores(const lrk_gguf *g, lrk_arena *a, lrk_vocab *v, lrk_err *err)
{
    static const char key[] = "tokenizer.ggml.scores";
    const lrk_gguf_kv *kv = NULL;
    float *list;
    LRK_TRY(lrk_gguf_opt_array(g, key, LRK_GGUF_F32, &kv, err));
    LRK_REQUIRE(err, kv && kv->n == v->n_tokens, LRK_EINPUT,
                "%s: %s has %zu elements, expected one a token: %zu", g->path, key, kv ? kv->n : 0,
                v->n_tokens);
    LRK_TRY(lrk_alloc(a, v->n_tokens, sizeof *list, key, &list, err));
    for (size_t i = 0; i < v->n_tokens; i++) list[i] = (float)lrk_gguf_number(kv, i);
    v->scores = list;
    return LRK_OK;
}

/* Bytes, signed or not. */
static lrk_status charsmap(const lrk_gguf *g, lrk_vocab *v, lrk_err *err)
{
    static const char key[] = "tokenizer.ggml.precompiled_charsmap";
    const lrk_gguf_kv *kv = lrk_gguf_find(g, key);
    if (!kv) return LRK_OK;
    LRK_REQUIRE(err, kv->array && (kv->type == LRK_GGUF_I8 || kv->type == LRK_GGUF_U8), LRK_EINPUT,
                "%s: %s: expected an array of bytes", g->path, key);
    v->charsmap.data = (const char *)kv->data;
    v->charsmap.n = kv->n;
    return LRK_OK;
}

static lrk_status read_vocab(const lrk_gguf *g, lrk_arena *a, lrk_vocab *v, lrk_err *err)
{
    lrk_piece *tokens, *merges;
    int32_t *kinds;
    v->where = g->path;
    LRK_TRY(lrk_gguf_opt_string(g, "tokenizer.ggml.model", a, &v->model, err));
    LRK_TRY(lrk_gguf_opt_string(g, "tokenizer.ggml.pre", a, &v->pre, err));
    LRK_TRY(lrk_gguf_opt_string(g, "tokenizer.chat_template", a, &v->chat_template, err));
    LRK_TRY(specials(g, v, err));
    LRK_TRY(flag(g, "tokenizer.ggml.add_bos_token", &v->add_bos, err));
    LRK_TRY(flag(g, "tokenizer.ggml.add_eos_token", &v->add_eos, err));
    LRK_TRY(flag(g, "tokenizer.ggml.add_space_prefix", &v->add_space_prefix, err));
    LRK_TRY(flag(g, "tokenizer.ggml.remove_extra_whitespaces", &v->remove_extra_whitespaces, err));
    LRK_TRY(lrk_gguf_opt_bool(g, LRK_KEY_PREFIX_FIRST, &v->prefix_first, err));
    LRK_TRY(lrk_gguf_opt_bool(g, LRK_KEY_MERGES_BY_ID, &v->merges_by_id, err));
    const char *architecture = NULL;
    LRK_TRY(lrk_gguf_opt_string(g, "general.architecture", a, &architecture, err));
    v->blanks_behind = architecture && strcmp(architecture, "phi3") == 0;
    if (!v->model) return LRK_OK; /* refused by name further on, as models that are not known */
    const bool merging = strcmp(v->model, "gpt2") == 0 || strcmp(v->model, "gemma4") == 0;
    if (!merging && strcmp(v->model, "llama") != 0 && strcmp(v->model, "t5") != 0) return LRK_OK;
    LRK_TRY(strings(g, "tokenizer.ggml.tokens", a, &tokens, &v->n_tokens, err));
    v->tokens = tokens;
    if (merging) {
        LRK_TRY(strings(g, "tokenizer.ggml.merges", a, &merges, &v->n_merges, err));
        v->merges = merges;
    } else {
        LRK_TRY(scores(g, a, v, err));
        LRK_TRY(charsmap(g, v, err));
    }
    LRK_TRY(types(g, a, v->n_tokens, &kinds, err));
    v->types = kinds;
    return LRK_OK;
}

lrk_status lrk_text_from_gguf(lrk_model_text *m, const lrk_gguf *g, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("GGUF vocabulary");
    lrk_vocab v = {.where = g->path};
    *m = (lrk_model_text){.tokenizer = NULL};
    lrk_status status = read_vocab(g, &a, &v, err);
    if (status == LRK_OK) status = lrk_tokenizer_from_vocab(&m->tokenizer, &v, err);
    if (status == LRK_OK) m->chat_template = lrk_tokenizer_chat_template(m->tokenizer);
    lrk_arena_free(&a);
    return status;
}

static lrk_status from_json(lrk_model_text *m, const char *path, lrk_err *err)
{
    LRK_TRY(lrk_tokenizer_from_json(&m->tokenizer, path, err));
    m->chat_template = lrk_tokenizer_chat_template(m->tokenizer);
    return LRK_OK;
}

static lrk_status from_directory(lrk_model_text *m, const char *path, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("path");
    const char *file = lrk_path_join(&a, path, "tokenizer.json");
    lrk_status status;
    if (!file)
        status = lrk_fail(err, LRK_ENOMEM, "%s: out of memory", path);
    else if (!lrk_is_file(file))
        status =
            lrk_fail(err, LRK_ESUPPORT,
                     "%s: no tokenizer.json in it; other kinds of tokenizers (tokenizer.model, "
                     "vocab.json) are not known",
                     path);
    else
        status = from_json(m, file, err);
    lrk_arena_free(&a);
    return status;
}

static lrk_status is_gguf(const char *path, bool *yes, lrk_err *err)
{
    lrk_map map = {.data = NULL};
    LRK_TRY(lrk_map_open(&map, path, err));
    *yes = map.size >= 4 && memcmp(map.data, "GGUF", 4) == 0;
    lrk_map_close(&map);
    return LRK_OK;
}

lrk_status lrk_text_open(lrk_model_text *m, const char *path, lrk_err *err)
{
    bool gguf;
    *m = (lrk_model_text){.tokenizer = NULL};
    if (lrk_is_dir(path)) return from_directory(m, path, err);
    LRK_TRY(is_gguf(path, &gguf, err));
    if (!gguf) return from_json(m, path, err);
    lrk_gguf g;
    LRK_TRY(lrk_gguf_open(&g, path, err));
    const lrk_status status = lrk_text_from_gguf(m, &g, err);
    lrk_gguf_close(&g);
    return status;
}

void lrk_text_close(lrk_model_text *m)
{
    lrk_tokenizer_free(m->tokenizer);
    *m = (lrk_model_text){.tokenizer = NULL};
}

void lrk_text_variables(const lrk_model_text *m, lrk_json *variables)
{
    static const lrk_special named[] = {LRK_TOKEN_BOS, LRK_TOKEN_EOS, LRK_TOKEN_PAD, LRK_TOKEN_UNK};
    for (int i = 0; i < 4; i++) {
        const int64_t id = lrk_tokenizer_special(m->tokenizer, named[i]);
        const char *name = lrk_special_name(named[i]);
        size_t n;
        if (id == LRK_NO_ID || lrk_json_get(variables, name)) continue;
        const char *text = lrk_token_text(m->tokenizer, (uint32_t)id, &n);
        lrk_json_set(variables, name, lrk_json_new_string(text, n));
    }
}

lrk_status lrk_text_check_rows(const lrk_model_text *m, size_t rows, const char *path, lrk_err *err)
{
    const size_t n = lrk_tokenizer_size(m->tokenizer);
    LRK_REQUIRE(
        err, n <= rows, LRK_EINPUT,
        "%s: the tokenizer has %zu tokens, the embedding of the model %zu rows: they do not "
        "belong together",
        path, n, rows);
    return LRK_OK;
}

lrk_status lrk_text_chat(const lrk_model_text *m, const char *choice, const char *where,
                         bool conversations, lrk_template **t, lrk_chat_options *o, lrk_err *err)
{
    const struct {
        lrk_special special;
        const char **text;
    } named[] = {{LRK_TOKEN_BOS, &o->bos},
                 {LRK_TOKEN_EOS, &o->eos},
                 {LRK_TOKEN_PAD, &o->pad},
                 {LRK_TOKEN_UNK, &o->unk}};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        const int64_t id = lrk_tokenizer_special(m->tokenizer, named[i].special);
        *named[i].text = id == LRK_NO_ID ? NULL : lrk_token_text(m->tokenizer, (uint32_t)id, NULL);
    }
    o->end_tokens = lrk_tokenizer_end_texts(m->tokenizer, &o->n_end_tokens);
    *t = NULL;
    const lrk_status s =
        conversations ? lrk_chat_template(t, choice, m->chat_template, where, err) : LRK_OK;
    o->template = *t;
    return s;
}

lrk_status lrk_text_choice(const char *given, const char *adapter, lrk_arena *a, const char **choice,
                           lrk_err *err)
{
    *choice = given ? given : "tokenizer_default";
    if (given || !adapter) return LRK_OK;
    const char *path = lrk_path_join(a, adapter, LRK_CHAT_TEMPLATE_FILE);
    LRK_REQUIRE(err, path, LRK_ENOMEM, "memory: no room for a path");
    if (lrk_is_file(path)) *choice = path;
    return LRK_OK;
}

lrk_status lrk_text_chosen(const char *choice, lrk_arena *a, const char **text, lrk_err *err)
{
    lrk_template *t;
    char *data;
    size_t n;
    *text = NULL;
    if (strcmp(choice, "tokenizer_default") == 0) return LRK_OK;
    if (lrk_is_file(choice)) { /* as it is, whether it can be rendered here or not */
        LRK_TRY(lrk_file_read(a, choice, MAX_TEMPLATE, &data, &n, err));
        LRK_REQUIRE(err, lrk_utf8_check(data, n) == n, LRK_EINPUT, "%s: is not UTF-8", choice);
        *text = data;
        return LRK_OK;
    }
    LRK_TRY(lrk_chat_template(&t, choice, NULL, "", err));
    *text = lrk_strdup(a, lrk_template_source(t));
    lrk_template_free(t);
    LRK_REQUIRE(err, *text, LRK_ENOMEM, "memory: no room for a chat template");
    return LRK_OK;
}
