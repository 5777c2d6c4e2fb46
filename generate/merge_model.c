/* generate/merge_model.c -- tokenizers from directories to GGUF and back, around a merge. */
#include "generate/merge_model.h"

#include "base/file.h"
#include "base/log.h"
#include "generate/manifest.h"
#include "generate/ollama.h"
#include "generate/text_files.h"
#include "generate/swap_template.h"

#include <string.h>

/* ---- to GGUF ---- */

typedef struct to_gguf {
    lrk_model_text text;
    lrk_model_text base; /* the base's own where text is another one; else without tokenizer */
    const lrk_json *config;
    const char *from;  /* for messages */
    const char *chat_template; /* in place of the tokenizer's, or NULL */
    bool blanks_known; /* the family says which added tokens swallow blanks */
} to_gguf;

static void put_text(lrk_gguf_writer *w, const char *key, const char *s)
{
    if (s) lrk_gguf_put_string(w, key, s, strlen(s));
}

static void put_strings(lrk_gguf_writer *w, const char *key, const lrk_piece *list, size_t n)
{
    lrk_gguf_put_strings(w, key, n);
    for (size_t i = 0; i < n; i++) lrk_gguf_add_string(w, list[i].data, list[i].n);
}

/* The id of config.json where the tokenizer names none; of a list of ends the first. */
static int64_t id_or(const to_gguf *x, int64_t id, const char *key, size_t rows)
{
    const lrk_json *v = lrk_json_get(x->config, key);
    if (lrk_json_is(v, LRK_JSON_ARRAY)) v = lrk_json_at(v, 0);
    if (id != LRK_NO_ID || !lrk_json_is(v, LRK_JSON_INTEGER)) return id;
    const int64_t other = lrk_json_integer(v);
    return other >= 0 && (uint64_t)other < rows ? other : LRK_NO_ID;
}

static void put_ids(const to_gguf *x, lrk_gguf_writer *w, const lrk_vocab *v)
{
    const struct {
        const char *key;
        int64_t id;
    } named[] = {
        {"tokenizer.ggml.bos_token_id", id_or(x, v->bos, "bos_token_id", v->n_tokens)},
        {"tokenizer.ggml.eos_token_id", id_or(x, v->eos, "eos_token_id", v->n_tokens)},
        {"tokenizer.ggml.eot_token_id", v->eot},
        {"tokenizer.ggml.eom_token_id", v->eom},
        {"tokenizer.ggml.unknown_token_id", v->unk},
        {"tokenizer.ggml.padding_token_id", id_or(x, v->pad, "pad_token_id", v->n_tokens)}};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (named[i].id != LRK_NO_ID) lrk_gguf_put_u32(w, named[i].key, (uint32_t)named[i].id);
}

static void put_vocab(const to_gguf *x, lrk_gguf_writer *w, const lrk_vocab *v)
{
    put_text(w, "tokenizer.ggml.model", v->model);
    put_text(w, "tokenizer.ggml.pre", v->pre);
    put_strings(w, "tokenizer.ggml.tokens", v->tokens, v->n_tokens);
    lrk_gguf_put_i32s(w, "tokenizer.ggml.token_type", v->types, v->n_tokens);
    if (v->scores)
        lrk_gguf_put_f32s(w, "tokenizer.ggml.scores", v->scores, v->n_tokens);
    else /* also where there are none */
        put_strings(w, "tokenizer.ggml.merges", v->merges, v->n_merges);
    if (v->charsmap.data)
        lrk_gguf_put_u8s(w, "tokenizer.ggml.precompiled_charsmap", v->charsmap.data, v->charsmap.n);
    put_ids(x, w, v);
    lrk_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", v->add_bos);
    if (v->add_eos) lrk_gguf_put_bool(w, "tokenizer.ggml.add_eos_token", true);
    if (v->add_space_prefix >= 0)
        lrk_gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", v->add_space_prefix);
    if (v->prefix_first) lrk_gguf_put_bool(w, LRK_KEY_PREFIX_FIRST, true);
    if (v->merges_by_id) lrk_gguf_put_bool(w, LRK_KEY_MERGES_BY_ID, true);
    if (v->remove_extra_whitespaces >= 0)
        lrk_gguf_put_bool(w, "tokenizer.ggml.remove_extra_whitespaces",
                          v->remove_extra_whitespaces);
    put_text(w, "tokenizer.chat_template", v->chat_template);
}

/* llama.cpp's converter takes what looks like a special token for one, whatever the tokenizer says, and a program that
 * serves the model shows none of them: of tokens that an answer is taught with, those that are not special are
 * shown. */
static lrk_status show_new_tokens(const to_gguf *x, lrk_vocab *v, lrk_arena *a, lrk_err *err)
{
    enum { CONTROL = 3, USER_DEFINED = 4 };
    const lrk_tokenizer *new = x->text.tokenizer, *old = x->base.tokenizer;
    int32_t *types;
    if (!old || !v->types) return LRK_OK;
    LRK_TRY(lrk_alloc(a, v->n_tokens, sizeof *types, "token types", &types, err));
    for (size_t i = 0; i < v->n_tokens; i++) {
        size_t n = 0, m = 0;
        const char *now = i < lrk_tokenizer_size(new) ? lrk_token_text(new, (uint32_t)i, &n) : NULL;
        const char *was = i < lrk_tokenizer_size(old) ? lrk_token_text(old, (uint32_t)i, &m) : NULL;
        const bool fresh = now && (!was || n != m || memcmp(now, was, n) != 0);
        types[i] = v->types[i];
        if (fresh && types[i] == CONTROL && !lrk_token_is_special(new, (uint32_t)i)) types[i] = USER_DEFINED;
    }
    v->types = types;
    return LRK_OK;
}

static lrk_status put_tokenizer(void *ctx, lrk_gguf_writer *w, size_t rows, lrk_err *err)
{
    const to_gguf *x = ctx;
    lrk_arena a = lrk_arena_growing("tokenizer keys");
    lrk_vocab v;
    lrk_status s = lrk_tokenizer_to_vocab(x->text.tokenizer, rows, &a, &v, err);
    if (s == LRK_OK) s = show_new_tokens(x, &v, &a, err);
    if (s == LRK_OK) {
        if (x->chat_template) v.chat_template = x->chat_template;
        const size_t blanks = lrk_tokenizer_swallowing(x->text.tokenizer);
        put_vocab(x, w, &v);
        if (blanks && !x->blanks_known)
            lrk_warn("%s: %zu added tokens swallow blanks beside them or stand for whole words; "
                     "GGUF has no place for that, and text around them has other ids there",
                     x->from, blanks);
        if (v.prefix_first)
            lrk_warn("%s: a blank stands in front of the text alone; llama.cpp puts one behind "
                     "special tokens too, and text there has other ids",
                     x->from);
    }
    lrk_arena_free(&a);
    return lrk_err_prefix(err, s, "%s", x->from);
}

static lrk_status open_text(to_gguf *x, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("path");
    const char *file = lrk_path_join(&a, x->from, "tokenizer.json");
    lrk_status s = LRK_OK;
    if (!file)
        s = lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    else if (lrk_is_dir(x->from) && !lrk_is_file(file))
        s = lrk_fail(err, LRK_EINPUT,
                     "%s: missing; a GGUF model carries its tokenizer (--tokenizer DIR names "
                     "another place)",
                     file);
    lrk_arena_free(&a);
    return s == LRK_OK ? lrk_text_open(&x->text, x->from, err) : s;
}

static lrk_status merge_to_gguf(const lrk_weights *base, const lrk_adapter *adapter,
                                lrk_merge_options o, lrk_merge_report *report, lrk_err *err)
{
    const lrk_arch *arch = lrk_weights_arch(base);
    to_gguf x = {.config = lrk_weights_config(base),
                 .from = o.tokenizer ? o.tokenizer : lrk_weights_path(base),
                 .chat_template = o.chat_template,
                 .blanks_known = arch && strcmp(arch->gguf, "phi3") == 0};
    const lrk_merge_text text = {.put = put_tokenizer, .ctx = &x};
    LRK_TRY(open_text(&x, err));
    if (o.tokenizer && lrk_text_open(&x.base, lrk_weights_path(base), NULL) != LRK_OK) x.base.tokenizer = NULL;
    o.text = &text;
    const lrk_status s = lrk_merge(base, adapter, &o, report, err);
    lrk_text_close(&x.text);
    lrk_text_close(&x.base);
    return s;
}

/* ---- to a directory ---- */

/* generation_config.json of a GGUF file, which has none: where texts begin and end. */
static lrk_json *generation_of(const lrk_tokenizer *t)
{
    static const struct {
        lrk_special special;
        const char *key;
    } single[] = {{LRK_TOKEN_BOS, "bos_token_id"}, {LRK_TOKEN_PAD, "pad_token_id"}};
    size_t n;
    const uint32_t *ends = lrk_tokenizer_ends(t, &n);
    lrk_json *v = lrk_json_object(), *list = lrk_json_array();
    for (size_t i = 0; i < 2; i++) {
        const int64_t id = lrk_tokenizer_special(t, single[i].special);
        if (id != LRK_NO_ID) lrk_json_set(v, single[i].key, lrk_json_new_integer(id));
    }
    for (size_t i = 0; i < n; i++) lrk_json_add(list, lrk_json_new_integer((int64_t)ends[i]));
    if (n)
        lrk_json_set(v, "eos_token_id", list);
    else
        lrk_json_free(list);
    return v;
}

static lrk_status merge_to_directory(const lrk_weights *base, const lrk_adapter *adapter,
                                     lrk_merge_options o, lrk_merge_report *report, lrk_err *err)
{
    lrk_model_text text = {.tokenizer = NULL};
    lrk_text_files f = {.n = 0};
    lrk_err why = {0};
    lrk_status s = lrk_text_from_gguf(&text, lrk_weights_gguf(base), &why);
    if (o.chat_template) text.chat_template = NULL; /* among the extra files */
    if (s == LRK_OK) s = lrk_text_files_make(&f, &text, &why);
    if (s == LRK_OK) s = lrk_text_files_add(&f, "generation_config.json", generation_of(text.tokenizer), &why);
    const lrk_merge_text out = {.file = f.file, .n_files = f.n};
    if (s == LRK_OK)
        o.text = &out;
    else
        lrk_verbose("%s", why.text);
    s = s == LRK_ENOMEM ? lrk_fail(err, s, "%s", why.text)
                        : lrk_merge(base, adapter, &o, report, err);
    lrk_text_files_free(&f);
    lrk_text_close(&text);
    return s;
}

/* ---- another template, another tokenizer ---- */

enum { MOST_EXTRA = 8, MAX_SETTINGS = 1 << 20 };

/* Adds an id to a list of ends, once. */
static bool add_end(lrk_json *list, int64_t id)
{
    for (size_t i = 0; i < lrk_json_size(list); i++)
        if (lrk_json_integer(lrk_json_at(list, i)) == id) return false;
    lrk_json_add(list, lrk_json_new_integer(id));
    return true;
}

/* generation_config.json with another eos, if there is one, and with the tokens that end a turn of this template, if it
 * is another one, where the base does not end on them; out stays empty where it does, but for `made`, which no file
 * has. */
static lrk_status put_ends(const lrk_model_text *text, const lrk_merge_options *o, const lrk_json *config,
                           lrk_json *settings, bool made, lrk_buf *out, lrk_err *err)
{
    static const char key[] = "eos_token_id";
    size_t n;
    const uint32_t *ends = lrk_tokenizer_ends(text->tokenizer, &n);
    const lrk_json *old = lrk_json_get(lrk_json_get(settings, key) ? settings : config, key);
    lrk_json *list = lrk_json_array();
    bool more = made || o->eos;
    if (o->eos) add_end(list, *o->eos);
    if (lrk_json_is(old, LRK_JSON_INTEGER)) add_end(list, lrk_json_integer(old));
    for (size_t i = 0; lrk_json_is(old, LRK_JSON_ARRAY) && i < lrk_json_size(old); i++)
        add_end(list, lrk_json_integer(lrk_json_at(old, i)));
    for (size_t i = 0; o->chat_template && i < n; i++)
        if (strstr(o->chat_template, lrk_token_text(text->tokenizer, ends[i], NULL))) more |= add_end(list, ends[i]);
    if (!more) {
        lrk_json_free(list);
        return LRK_OK;
    }
    lrk_json_set(settings, key, list);
    LRK_TRY(lrk_json_dump(settings, 2, out, err));
    lrk_buf_puts(out, "\n");
    return lrk_buf_check(out, err);
}

/* from: where text, the tokenizer, lies; the base's settings where none lie beside it, and of a GGUF file, which has
 * none, those that follow from theirs, its tokenizer; NULL: not known. */
static lrk_status swap_ends(const lrk_weights *base, const lrk_tokenizer *theirs, const char *from,
                            const lrk_model_text *text, const lrk_merge_options *o, lrk_buf *out, lrk_err *err)
{
    static const char name[] = "generation_config.json";
    lrk_arena a = lrk_arena_growing("path");
    lrk_json *settings = NULL;
    const char *path = lrk_path_join(&a, from, name), *bases = lrk_path_join(&a, lrk_weights_path(base), name);
    lrk_status s = path && bases ? LRK_OK : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    if (s == LRK_OK && !lrk_is_file(path)) path = bases;
    if (s == LRK_OK && lrk_is_file(path)) s = lrk_json_load(&settings, path, MAX_SETTINGS, err);
    const bool made = !settings && theirs && lrk_weights_source(base) == LRK_WEIGHTS_GGUF;
    if (s == LRK_OK && !settings) settings = made ? generation_of(theirs) : lrk_json_object();
    if (s == LRK_OK) s = put_ends(text, o, lrk_weights_config(base), settings, made, out, err);
    lrk_json_free(settings);
    lrk_arena_free(&a);
    return s;
}

/* The eos of another tokenizer where that of the base is another token; LRK_NO_ID: none. */
static int64_t other_eos(const lrk_tokenizer *theirs, const lrk_tokenizer *t)
{
    const int64_t id = lrk_tokenizer_special(t, LRK_TOKEN_EOS);
    return id == lrk_tokenizer_special(theirs, LRK_TOKEN_EOS) ? LRK_NO_ID : id;
}

/* The files of a directory that say the template and where texts end, beside those that are given. */
static lrk_status merge_with_text(const lrk_weights *base, const lrk_adapter *adapter, lrk_merge_options o,
                                  lrk_merge_report *report, lrk_err *err)
{
    static const char config[] = "tokenizer_config.json";
    const bool from_gguf = lrk_weights_source(base) == LRK_WEIGHTS_GGUF;
    const char *from = o.tokenizer ? o.tokenizer : from_gguf ? NULL : lrk_weights_path(base);
    lrk_model_text text = {0}, theirs = {0}; /* one that is not known here has no ends to tell */
    const bool known = from && lrk_text_open(&text, from, NULL) == LRK_OK;
    const bool both = known && o.tokenizer && lrk_text_open(&theirs, lrk_weights_path(base), NULL) == LRK_OK;
    const int64_t eos = both ? other_eos(theirs.tokenizer, text.tokenizer) : LRK_NO_ID;
    lrk_arena a = lrk_arena_growing("path");
    const char *path = from ? lrk_path_join(&a, from, config) : NULL;
    lrk_merge_file file[MOST_EXTRA];
    lrk_buf swapped = {0}, ends = {0};
    lrk_status s = from && !path ? lrk_fail(err, LRK_ENOMEM, "memory: no room for a path") : LRK_OK;
    LRK_ASSERT(o.n_extra + 3 <= MOST_EXTRA);
    for (size_t i = 0; i < o.n_extra; i++) file[i] = o.extra[i];
    if (eos != LRK_NO_ID) o.eos = &eos;
    if (o.chat_template)
        file[o.n_extra++] = (lrk_merge_file){"chat_template.jinja", o.chat_template, strlen(o.chat_template)};
    if (s == LRK_OK && path && o.chat_template) s = lrk_swap_template(path, o.chat_template, &swapped, err);
    if (swapped.n) file[o.n_extra++] = (lrk_merge_file){config, swapped.data, swapped.n};
    if (s == LRK_OK && known) s = swap_ends(base, both ? theirs.tokenizer : NULL, from, &text, &o, &ends, err);
    lrk_text_close(&text);
    lrk_text_close(&theirs);
    if (ends.n) file[o.n_extra++] = (lrk_merge_file){"generation_config.json", ends.data, ends.n};
    o.extra = file;
    if (s == LRK_OK)
        s = from ? lrk_merge(base, adapter, &o, report, err) : merge_to_directory(base, adapter, o, report, err);
    lrk_buf_free(&swapped);
    lrk_buf_free(&ends);
    lrk_arena_free(&a);
    return s;
}

static bool is_ids(const lrk_json *v)
{
    bool ids = !lrk_json_is_set(v) || lrk_json_is(v, LRK_JSON_INTEGER) || lrk_json_is(v, LRK_JSON_ARRAY);
    for (size_t i = 0; lrk_json_is(v, LRK_JSON_ARRAY) && i < lrk_json_size(v); i++)
        ids = ids && lrk_json_is(lrk_json_at(v, i), LRK_JSON_INTEGER);
    return ids;
}

/* What is no id would be passed over in a GGUF file, which takes the tokenizer's then, and carried into a directory. */
static lrk_status check_ids(const lrk_weights *base, lrk_err *err)
{
    static const char *const keys[] = {"bos_token_id", "eos_token_id", "pad_token_id"};
    const lrk_json *config = lrk_weights_config(base);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        LRK_REQUIRE(err, is_ids(lrk_json_get(config, keys[i])), LRK_EINPUT,
                    "%s: config.json: %s: expected a token's id, or a list of them", lrk_weights_path(base), keys[i]);
    return LRK_OK;
}

lrk_status lrk_merge_model(const lrk_weights *base, const lrk_adapter *adapter,
                           const lrk_merge_options *options, lrk_merge_report *report, lrk_err *err)
{
    const bool from_gguf = lrk_weights_source(base) == LRK_WEIGHTS_GGUF;
    LRK_TRY(check_ids(base, err));
    if (options->gguf && (!from_gguf || options->tokenizer)) return merge_to_gguf(base, adapter, *options, report, err);
    if (!options->gguf && (options->chat_template || options->tokenizer))
        return merge_with_text(base, adapter, *options, report, err);
    if (!options->gguf && from_gguf && !options->tokenizer)
        return merge_to_directory(base, adapter, *options, report, err);
    return lrk_merge(base, adapter, options, report, err);
}

/* ---- with what it says of itself ---- */

/* What becomes of base and adapter; what the adapter's own manifest knows goes into it. */
static lrk_status describe(const lrk_merge_request *r, bool gguf, const lrk_weights *base, const lrk_adapter *a,
                           lrk_json **manifest, lrk_err *err)
{
    static const char *const outputs[2][2] = {{"converted model", "merged model"},
                                              {"converted GGUF model", "merged GGUF model"}};
    const char *output = r->bundle ? "model for Ollama" : outputs[gguf][r->adapter != NULL];
    lrk_json *from = NULL;
    if (r->adapter) LRK_TRY(lrk_manifest_load(&from, r->adapter, err));
    const lrk_status status = lrk_manifest_new(manifest, output, base, a, from, err);
    lrk_json_free(from);
    return status;
}

lrk_status lrk_merge_described(const lrk_weights *base, const lrk_adapter *adapter, const lrk_merge_request *request,
                               const lrk_merge_options *options, lrk_merge_report *report, lrk_err *err)
{
    lrk_merge_options o = *options;
    lrk_json *manifest;
    lrk_manifest_text text = {0};
    lrk_arena arena = lrk_arena_growing("chat template");
    const char *choice, *path = lrk_weights_path(base);
    const char *text_path = request->adapter ? lrk_text_path(path, request->adapter) : path;
    if (!o.tokenizer && text_path != path) o.tokenizer = text_path;
    LRK_TRY(describe(request, o.gguf, base, adapter, &manifest, err));
    lrk_status status = lrk_text_choice(request->chat_template, request->adapter, &arena, &choice, err);
    if (status == LRK_OK) status = lrk_text_chosen(choice, &arena, &o.chat_template, err);
    if (status == LRK_OK) status = lrk_manifest_print(manifest, &text, err);
    o.extra = text.file;
    o.n_extra = 2;
    o.origin = &text.origin;
    if (status == LRK_OK) status = lrk_merge_model(base, adapter, &o, report, err);
    const char *asked_by = request->chat_template ? "tokenizer_default" : lrk_ollama_choice(manifest);
    if (status == LRK_OK && request->bundle) status = lrk_ollama_complete(request->bundle, asked_by, manifest, err);
    if (status == LRK_OK && !request->bundle && strcmp(asked_by, LRK_CHAT_TEMPLATE_NONE) == 0)
        lrk_manifest_note_plain(o.out);
    if (status == LRK_OK && report->needs_tokenizer)
        lrk_note("%s holds weights and configuration; the tokenizer of the GGUF base is of a kind that tokenizer.json "
                 "cannot describe here, so put the files of the original model beside them, as `lorikeet merge "
                 "--tokenizer DIR` does", o.out);
    lrk_manifest_text_free(&text);
    lrk_json_free(manifest);
    lrk_arena_free(&arena);
    return status;
}
