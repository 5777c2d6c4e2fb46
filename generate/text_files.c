/* generate/text_files.c -- reading, making, growing and writing the files of a tokenizer. */
#include "generate/text_files.h"

#include "base/file.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum { MAX_TOKENIZER = 128 << 20, MAX_SETTINGS = 16 << 20 };

static const char tokenizer_file[] = "tokenizer.json", settings_file[] = "tokenizer_config.json",
                  map_file[] = "special_tokens_map.json";
static const char *const names[LRK_TEXT_FILES] = {tokenizer_file, settings_file, map_file, LRK_CHAT_TEMPLATE_FILE};

void lrk_text_files_free(lrk_text_files *f)
{
    for (size_t i = 0; i < LRK_TEXT_FILES; i++) lrk_buf_free(&f->text[i]);
    *f = (lrk_text_files){.n = 0};
}

/* The buffer of the last file has its text. */
static lrk_status close_file(lrk_text_files *f, const char *name, lrk_err *err)
{
    lrk_buf *b = &f->text[f->n];
    LRK_TRY(lrk_buf_check(b, err));
    f->file[f->n++] = (lrk_merge_file){name, b->data, b->n};
    return LRK_OK;
}

lrk_status lrk_text_files_add(lrk_text_files *f, const char *name, lrk_json *v, lrk_err *err)
{
    const lrk_status s = lrk_json_dump(v, 2, &f->text[f->n], err);
    lrk_buf_puts(&f->text[f->n], "\n");
    lrk_json_free(v);
    return s == LRK_OK ? close_file(f, name, err) : s;
}

static lrk_json *settings_of(const lrk_tokenizer *t)
{
    lrk_json *v = lrk_json_object();
    const char *class = "PreTrainedTokenizerFast"; /* follows tokenizer.json, whatever the family */
    for (int i = 0; i < LRK_TOKEN_SPECIALS; i++) {
        const int64_t id = lrk_tokenizer_special(t, (lrk_special)i);
        size_t n;
        if (id == LRK_NO_ID || i == LRK_TOKEN_EOT || i == LRK_TOKEN_EOM) continue;
        const char *s = lrk_token_text(t, (uint32_t)id, &n);
        lrk_json_set(v, lrk_special_name((lrk_special)i), lrk_json_new_string(s, n));
    }
    lrk_json_set(v, "tokenizer_class", lrk_json_c_string(class));
    lrk_json_set(v, "clean_up_tokenization_spaces", lrk_json_new_bool(false));
    return v;
}

static lrk_status add_template(lrk_text_files *f, const char *template, lrk_err *err)
{
    lrk_buf_puts(&f->text[f->n], template);
    return close_file(f, LRK_CHAT_TEMPLATE_FILE, err);
}

lrk_status lrk_text_files_make(lrk_text_files *f, const lrk_model_text *text, lrk_err *err)
{
    LRK_TRY(lrk_tokenizer_to_json(text->tokenizer, &f->text[f->n], err));
    LRK_TRY(close_file(f, tokenizer_file, err));
    LRK_TRY(lrk_text_files_add(f, settings_file, settings_of(text->tokenizer), err));
    return text->chat_template ? add_template(f, text->chat_template, err) : LRK_OK;
}

/* ---- more tokens ---- */

/* Keys of tokenizer_config.json and special_tokens_map.json that say what the tokens are. */
static void edit_settings(lrk_json *v, const lrk_growth *g, bool is_map)
{
    lrk_json *decoder = lrk_json_get(v, "added_tokens_decoder");
    for (int i = 0; i < LRK_TOKEN_SPECIALS; i++)
        if (g->role[i]) lrk_json_set(v, lrk_special_name((lrk_special)i), lrk_json_c_string(g->role[i]));
    if (is_map) return;
    if (!lrk_json_get(v, "tokenizer_class"))
        lrk_json_set(v, "tokenizer_class", lrk_json_c_string("PreTrainedTokenizerFast"));
    for (size_t i = 0; i < g->n && lrk_json_is(decoder, LRK_JSON_OBJECT); i++) {
        const lrk_new_token *t = &g->token[i];
        char id[24];
        snprintf(id, sizeof id, "%lld", (long long)t->id);
        lrk_json *e = lrk_json_get(decoder, id);
        if (e) {
            lrk_json_set(e, "content", lrk_json_c_string(t->text));
            continue;
        }
        e = lrk_json_object();
        lrk_json_set(e, "content", lrk_json_c_string(t->text));
        lrk_json_set(e, "lstrip", lrk_json_new_bool(false));
        lrk_json_set(e, "normalized", lrk_json_new_bool(t->normalized));
        lrk_json_set(e, "rstrip", lrk_json_new_bool(false));
        lrk_json_set(e, "single_word", lrk_json_new_bool(false));
        lrk_json_set(e, "special", lrk_json_new_bool(t->special));
        lrk_json_set(decoder, id, e);
    }
}

/* A file of the base with its tokens; left out where the base has none and it need not be. */
static lrk_status grow_settings(lrk_text_files *f, lrk_arena *a, const char *path, const char *name,
                                const lrk_growth *g, lrk_err *err)
{
    const bool is_map = name == map_file;
    const char *from = lrk_path_join(a, path, name);
    lrk_json *v = NULL;
    LRK_REQUIRE(err, from, LRK_ENOMEM, "memory: no room for a path");
    if (lrk_is_file(from))
        LRK_TRY(lrk_json_load(&v, from, MAX_SETTINGS, err));
    else if (!is_map)
        v = lrk_json_object();
    if (!v) return LRK_OK;
    edit_settings(v, g, is_map);
    return lrk_text_files_add(f, name, v, err);
}

static lrk_status grow_tokenizer(lrk_text_files *f, const lrk_model_text *m, const char *json, size_t n, lrk_growth *g,
                                 const char *path, lrk_err *err)
{
    const lrk_status s = lrk_tokenizer_grow(m->tokenizer, json, n, g->token, g->n, &f->text[f->n], err);
    return s == LRK_OK ? close_file(f, tokenizer_file, err) : lrk_err_prefix(err, s, "%s", path);
}

static lrk_status grow_directory(lrk_text_files *f, lrk_arena *a, const lrk_model_text *m, const char *path,
                                 lrk_growth *g, lrk_err *err)
{
    const char *from = lrk_path_join(a, path, tokenizer_file), *jinja = lrk_path_join(a, path, LRK_CHAT_TEMPLATE_FILE);
    char *json;
    size_t n;
    LRK_REQUIRE(err, from && jinja, LRK_ENOMEM, "memory: no room for a path");
    LRK_TRY(lrk_file_read(a, from, MAX_TOKENIZER, &json, &n, err));
    LRK_TRY(grow_tokenizer(f, m, json, n, g, path, err));
    LRK_TRY(grow_settings(f, a, path, settings_file, g, err));
    LRK_TRY(grow_settings(f, a, path, map_file, g, err));
    return lrk_is_file(jinja) && m->chat_template ? add_template(f, m->chat_template, err) : LRK_OK;
}

/* Of a GGUF file, or of a tokenizer.json alone. */
static lrk_status grow_made(lrk_text_files *f, const lrk_model_text *m, const char *path, lrk_growth *g, lrk_err *err)
{
    lrk_buf json = {0};
    lrk_status s = lrk_tokenizer_to_json(m->tokenizer, &json, err);
    if (s == LRK_OK) s = lrk_buf_check(&json, err);
    if (s == LRK_OK) s = grow_tokenizer(f, m, json.data, json.n, g, path, err);
    lrk_buf_free(&json);
    LRK_TRY(s);
    lrk_json *v = settings_of(m->tokenizer);
    edit_settings(v, g, false);
    LRK_TRY(lrk_text_files_add(f, settings_file, v, err));
    return m->chat_template ? add_template(f, m->chat_template, err) : LRK_OK;
}

/* The tokenizer of the grown files, with the template of the old one. */
static lrk_status reopen(lrk_model_text *m, const lrk_text_files *f, const char *path, lrk_err *err)
{
    lrk_json *v;
    lrk_buf settings = {0};
    lrk_tokenizer *grown = NULL;
    LRK_TRY(lrk_json_parse(&v, f->file[1].text, f->file[1].n, path, err));
    if (m->chat_template) lrk_json_set(v, "chat_template", lrk_json_c_string(m->chat_template));
    lrk_status s = lrk_json_dump(v, 0, &settings, err);
    lrk_json_free(v);
    if (s == LRK_OK) s = lrk_buf_check(&settings, err);
    if (s == LRK_OK)
        s = lrk_tokenizer_parse_with(&grown, f->file[0].text, f->file[0].n, settings.data, settings.n, path, err);
    lrk_buf_free(&settings);
    LRK_TRY(s);
    lrk_text_close(m);
    *m = (lrk_model_text){.tokenizer = grown, .chat_template = lrk_tokenizer_chat_template(grown)};
    return LRK_OK;
}

lrk_status lrk_text_grow(lrk_model_text *m, const char *path, lrk_growth *g, lrk_text_files *f, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("tokenizer files");
    lrk_status s = lrk_is_dir(path) ? grow_directory(f, &a, m, path, g, err) : grow_made(f, m, path, g, err);
    if (s == LRK_OK) s = reopen(m, f, path, err);
    lrk_arena_free(&a);
    return s;
}

/* ---- files ---- */

lrk_status lrk_text_files_write(const lrk_text_files *f, const char *directory, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("tokenizer files");
    lrk_status s = LRK_OK;
    for (size_t i = 0; i < f->n && s == LRK_OK; i++) {
        const char *to = lrk_path_join(&a, directory, f->file[i].name);
        s = to ? lrk_file_write(to, f->file[i].text, f->file[i].n, err)
               : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    }
    lrk_arena_free(&a);
    return s;
}

lrk_status lrk_text_files_copy(const char *from, const char *to, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("tokenizer files");
    lrk_status s = LRK_OK;
    for (size_t i = 0; i < LRK_TEXT_FILES && s == LRK_OK; i++) {
        const char *source = lrk_path_join(&a, from, names[i]), *target = lrk_path_join(&a, to, names[i]);
        if (!source || !target)
            s = lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
        else if (lrk_is_file(source))
            s = lrk_file_copy(source, target, err);
    }
    lrk_arena_free(&a);
    return s;
}

void lrk_text_files_remove(const char *directory)
{
    lrk_remove_files(directory, names, LRK_TEXT_FILES);
}

/* Whether a token of y has another text in x, or none. */
static bool differs(const lrk_tokenizer *x, const lrk_tokenizer *y)
{
    for (size_t id = 0; id < lrk_tokenizer_size(y); id++) {
        size_t n = 0, m = 0;
        const char *b = lrk_token_text(y, (uint32_t)id, &m);
        const char *a = id < lrk_tokenizer_size(x) ? lrk_token_text(x, (uint32_t)id, &n) : NULL;
        if (b && (!a || n != m || memcmp(a, b, n) != 0)) return true;
    }
    return false;
}

const char *lrk_text_path(const char *base, const char *adapter)
{
    lrk_arena a = lrk_arena_growing("path");
    lrk_model_text theirs = {0}, own = {0};
    lrk_err why = {0};
    const char *file = adapter ? lrk_path_join(&a, adapter, tokenizer_file) : NULL, *path = base;
    if (file && lrk_is_file(file)) {
        if (lrk_text_open(&own, adapter, &why) != LRK_OK)
            lrk_warn("%s; the tokenizer of %s is used", why.text, base);
        else if (lrk_text_open(&theirs, base, NULL) != LRK_OK || differs(theirs.tokenizer, own.tokenizer))
            path = adapter;
    }
    lrk_text_close(&own);
    lrk_text_close(&theirs);
    lrk_arena_free(&a);
    return path;
}
