/* data/tokenizer/from_json.c -- a tokenizer from tokenizer.json and tokenizer_config.json. */
#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "data/tokenizer/json_parts.h"

#include <string.h>

enum { MAX_FILE = 128 << 20, MAX_CONFIG = 16 << 20, MAX_TEMPLATE = 1 << 20 };

/* ---- model ---- */

static lrk_status must_be_empty(const lrk_json *model, const char *key, lrk_err *err)
{
    const lrk_json *v = lrk_json_get(model, key);
    size_t n = 0;
    const bool empty = !lrk_json_is_set(v) || (lrk_json_string(v, &n) && n == 0) ||
                       (lrk_json_is(v, LRK_JSON_INTEGER) && lrk_json_integer(v) == 0) ||
                       (lrk_json_is(v, LRK_JSON_REAL) && !(lrk_json_number(v) > 0));
    LRK_REQUIRE(err, empty, LRK_ESUPPORT, "model.%s: is not known", key);
    return LRK_OK;
}

static lrk_status read_bpe(lrk_tokenizer *t, const lrk_json *model, lrk_pull *merges, lrk_err *err)
{
    const char *unk = NULL;
    LRK_TRY(lrk_json_only(model,
                          "type dropout unk_token continuing_subword_prefix end_of_word_suffix "
                          "fuse_unk byte_fallback ignore_merges vocab merges",
                          "model", err));
    LRK_TRY(must_be_empty(model, "dropout", err));
    LRK_TRY(must_be_empty(model, "continuing_subword_prefix", err));
    LRK_TRY(must_be_empty(model, "end_of_word_suffix", err));
    LRK_TRY(lrk_json_opt_bool(model, "fuse_unk", &t->fuse_unk, "model", err));
    LRK_TRY(lrk_json_opt_bool(model, "byte_fallback", &t->byte_fallback, "model", err));
    LRK_TRY(lrk_json_opt_bool(model, "ignore_merges", &t->ignore_merges, "model", err));
    LRK_TRY(lrk_json_opt_string(model, "unk_token", &unk, "model", err));
    if (unk) t->unk = lrk_token_id(t, unk, strlen(unk));
    LRK_REQUIRE(err, !unk || t->unk != LRK_NO_ID, LRK_EINPUT,
                "model.unk_token: '%s' is not in the vocabulary", unk);
    return lrk_json_merges(t, merges, err);
}

static lrk_status read_unigram(lrk_tokenizer *t, const lrk_json *model, lrk_err *err)
{
    size_t unk = SIZE_MAX;
    LRK_TRY(lrk_json_only(model, "type unk_id vocab byte_fallback", "model", err));
    LRK_TRY(lrk_json_opt_bool(model, "byte_fallback", &t->byte_fallback, "model", err));
    LRK_TRY(lrk_json_opt_size(model, "unk_id", 0, t->n_model - 1, &unk, "model", err));
    LRK_REQUIRE(err, unk != SIZE_MAX, LRK_ESUPPORT,
                "model.unk_id: a Unigram without unknown token is not known");
    t->unk = (int64_t)unk;
    return LRK_OK;
}

/* ---- tokenizer_config.json ---- */

static lrk_status special_token(lrk_tokenizer *t, const lrk_json *config, lrk_special s,
                                lrk_err *err)
{
    const lrk_json *v = lrk_json_get(config, lrk_special_name(s));
    if (!lrk_json_is_set(v)) return LRK_OK;
    size_t n = 0;
    const char *text =
        lrk_json_string(lrk_json_is(v, LRK_JSON_OBJECT) ? lrk_json_get(v, "content") : v, &n);
    LRK_REQUIRE(err, text, LRK_EINPUT, "%s: expected a string, or an object with content",
                lrk_special_name(s));
    t->special[s] = lrk_token_id(t, text, n);
    LRK_REQUIRE(err, t->special[s] != LRK_NO_ID, LRK_EINPUT, "%s: '%s' is not in the vocabulary",
                lrk_special_name(s), text);
    return LRK_OK;
}

/* add_bos_token, add_eos_token: puts the id at the outer end of list, or takes it away there. */
static lrk_status add_or_drop(lrk_tokenizer *t, const lrk_json *config, const char *key,
                              lrk_special s, lrk_err *err)
{
    bool add = false;
    const lrk_json *v = lrk_json_get(config, key);
    if (!lrk_json_is_set(v)) return LRK_OK;
    LRK_TRY(lrk_json_opt_bool(config, key, &add, "tokenizer_config.json", err));
    const bool front = s == LRK_TOKEN_BOS;
    uint32_t *list = front ? t->prefix : t->suffix;
    size_t *n = front ? &t->n_prefix : &t->n_suffix;
    const int64_t id = t->special[s];
    LRK_REQUIRE(err, !add || id != LRK_NO_ID, LRK_EINPUT, "%s: is true, but there is no %s", key,
                lrk_special_name(s));
    const bool there = *n && list[front ? 0 : *n - 1] == id;
    if (add && !there) {
        LRK_REQUIRE(err, *n < LRK_MAX_STAGES, LRK_ESUPPORT, "%s: more than %d added ids", key,
                    LRK_MAX_STAGES);
        if (front) memmove(list + 1, list, *n * sizeof *list);
        list[front ? 0 : *n] = (uint32_t)id;
        ++*n;
    } else if (!add && there) {
        --*n;
        if (front) memmove(list, list + 1, *n * sizeof *list);
    }
    return LRK_OK;
}

/* A string, or a list of {"name", "template"} with one named default. */
static lrk_status chat_template(lrk_tokenizer *t, const lrk_json *v, lrk_err *err)
{
    for (size_t i = 0; lrk_json_is(v, LRK_JSON_ARRAY) && i < lrk_json_size(v); i++) {
        const lrk_json *one = lrk_json_at(v, i);
        const char *name = lrk_json_string(lrk_json_get(one, "name"), NULL);
        if (name && strcmp(name, "default") == 0)
            return chat_template(t, lrk_json_get(one, "template"), err);
    }
    LRK_REQUIRE(err, !v || lrk_json_is(v, LRK_JSON_STRING) || lrk_json_is(v, LRK_JSON_ARRAY) ||
                lrk_json_is(v, LRK_JSON_NULL),
                LRK_EINPUT, "chat_template: expected text, or a list of {\"name\", \"template\"}");
    if (!lrk_json_is(v, LRK_JSON_STRING)) return LRK_OK;
    t->chat_template = lrk_strdup(&t->arena, lrk_json_string(v, NULL));
    LRK_REQUIRE(err, t->chat_template, LRK_ENOMEM, "chat_template: out of memory");
    return LRK_OK;
}

/* The reference's Python classes of these names rebuild parts of the pipeline. */
static void note_class(const lrk_json *config, const char *path)
{
    const char *name = lrk_json_string(lrk_json_get(config, "tokenizer_class"), NULL);
    if (name && strcmp(name, "PreTrainedTokenizerFast") != 0)
        lrk_verbose("%s: tokenizer_class is %s; the ids are those of tokenizer.json, which "
                    "PreTrainedTokenizerFast follows",
                    path, name);
}

/* config is freed. */
static lrk_status take_config(lrk_tokenizer *t, lrk_json *config, const char *path, lrk_err *err)
{
    static const lrk_special named[] = {LRK_TOKEN_BOS, LRK_TOKEN_EOS, LRK_TOKEN_PAD, LRK_TOKEN_UNK};
    lrk_status status = lrk_json_is(config, LRK_JSON_OBJECT)
                            ? LRK_OK
                            : lrk_fail(err, LRK_EINPUT, "expected an object");
    note_class(config, path);
    for (int i = 0; i < 4 && status == LRK_OK; i++)
        status = special_token(t, config, named[i], err);
    if (status == LRK_OK) status = add_or_drop(t, config, "add_bos_token", LRK_TOKEN_BOS, err);
    if (status == LRK_OK) status = add_or_drop(t, config, "add_eos_token", LRK_TOKEN_EOS, err);
    if (status == LRK_OK) status = chat_template(t, lrk_json_get(config, "chat_template"), err);
    lrk_json_free(config);
    return status == LRK_OK ? LRK_OK : lrk_err_prefix(err, status, "%s", path);
}

static lrk_status read_config(lrk_tokenizer *t, const char *path, lrk_err *err)
{
    lrk_json *config;
    LRK_TRY(lrk_json_load(&config, path, MAX_CONFIG, err));
    return take_config(t, config, path, err);
}

/* The files beside tokenizer.json. */
static lrk_status read_beside(lrk_tokenizer *t, const char *path, lrk_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *folder = slash == path ? "/" : ".";
    if (slash && slash != path) folder = lrk_strndup(&t->arena, path, (size_t)(slash - path));
    char *config = folder ? lrk_path_join(&t->arena, folder, "tokenizer_config.json") : NULL;
    char *jinja = folder ? lrk_path_join(&t->arena, folder, "chat_template.jinja") : NULL;
    LRK_REQUIRE(err, config && jinja, LRK_ENOMEM, "%s: out of memory", path);
    if (lrk_is_file(config)) LRK_TRY(read_config(t, config, err));
    if (!lrk_is_file(jinja)) return LRK_OK;
    char *text = NULL;
    size_t n = 0;
    LRK_TRY(lrk_file_read(&t->arena, jinja, MAX_TEMPLATE, &text, &n, err));
    const size_t valid = lrk_utf8_check(text, n);
    LRK_REQUIRE(err, valid == n, LRK_EINPUT, "%s: byte %zu is not valid UTF-8", jinja, valid);
    t->chat_template = text;
    return LRK_OK;
}

/* ---- the file ---- */

static lrk_status build(lrk_tokenizer **out, lrk_carved *file, lrk_err *err)
{
    const lrk_json *root = file->root, *model = lrk_json_get(root, "model");
    const char *type = NULL;
    LRK_REQUIRE(err, lrk_json_is(model, LRK_JSON_OBJECT), LRK_EINPUT,
                "model: missing, or not an object; expected a tokenizer.json");
    LRK_TRY(lrk_json_opt_string(model, "type", &type, "model", err));
    const bool unigram = type && strcmp(type, "Unigram") == 0;
    LRK_REQUIRE(err, !type || unigram || strcmp(type, "BPE") == 0, LRK_ESUPPORT,
                "model.type: '%s' is not known, only BPE and Unigram are", type);
    LRK_TRY(lrk_json_only(root,
                          "version truncation padding added_tokens normalizer pre_tokenizer "
                          "post_processor decoder model",
                          "tokenizer", err));
    LRK_TRY(
        lrk_json_vocabulary(out, &file->vocab, lrk_json_get(root, "added_tokens"), unigram, err));
    lrk_tokenizer *t = *out;
    LRK_TRY(unigram ? read_unigram(t, model, err) : read_bpe(t, model, &file->merges, err));
    LRK_TRY(lrk_json_normalizer(t, lrk_json_get(root, "normalizer"), err));
    LRK_TRY(lrk_json_pre_tokenizer(t, lrk_json_get(root, "pre_tokenizer"), err));
    LRK_TRY(lrk_json_post_processor(t, lrk_json_get(root, "post_processor"), err));
    return lrk_json_decoder(t, lrk_json_get(root, "decoder"), err);
}

/* Vocabulary and merges as they were read, and the rest of the file as it is. */
static void identify(lrk_tokenizer *t, const lrk_buf *rest)
{
    lrk_sha256 h;
    lrk_sha256_begin(&h);
    lrk_sha256_add(&h, rest->data, rest->n);
    for (size_t i = 0; i < t->n; i++) {
        const uint32_t n = (uint32_t)t->text[i].n;
        lrk_sha256_add(&h, &n, sizeof n);
        lrk_sha256_add(&h, t->text[i].data, n);
    }
    if (t->score) lrk_sha256_add(&h, t->score, t->n * sizeof *t->score);
    lrk_sha256_add(&h, t->merges_sha256, sizeof t->merges_sha256);
    lrk_sha256_add(&h, t->prefix, t->n_prefix * sizeof *t->prefix);
    lrk_sha256_add(&h, "|", 1);
    lrk_sha256_add(&h, t->suffix, t->n_suffix * sizeof *t->suffix);
    lrk_sha256_end_hex(&h, t->sha256);
}

/* What goes with a tokenizer.json: the files that lie beside it, or the text of a tokenizer_config.json. */
typedef struct company {
    bool beside;
    const char *config; /* NULL: none */
    size_t n;
} company;

static lrk_status read_company(lrk_tokenizer *t, const char *path, const company *with, lrk_err *err)
{
    lrk_json *config;
    if (with->beside) return read_beside(t, path, err); /* names its files itself */
    if (!with->config) return LRK_OK;
    LRK_TRY(lrk_json_parse(&config, with->config, with->n, path, err));
    return take_config(t, config, path, err);
}

static lrk_status load(lrk_tokenizer **t, const char *path, const char *file, size_t n, const company *with,
                       lrk_err *err)
{
    lrk_carved parts;
    LRK_TRY(lrk_json_carve(&parts, file, n, path, err));
    lrk_status status = build(t, &parts, err);
    if (status == LRK_OK) {
        status = read_company(*t, path, with, err);
        if (status != LRK_OK) {
            lrk_carved_free(&parts);
            return status;
        }
    }
    if (status == LRK_OK) {
        identify(*t, &parts.rest);
        status = lrk_tokenizer_finish(*t, err);
    }
    lrk_carved_free(&parts);
    return status == LRK_OK ? LRK_OK : lrk_err_prefix(err, status, "%s", path);
}

static lrk_status load_or_free(lrk_tokenizer **out, const char *path, const char *file, size_t n,
                               const company *with, lrk_err *err)
{
    lrk_tokenizer *t = NULL;
    const lrk_status status = load(&t, path, file, n, with, err);
    if (status == LRK_OK)
        *out = t;
    else
        lrk_tokenizer_free(t);
    return status;
}

lrk_status lrk_tokenizer_parse(lrk_tokenizer **out, const char *text, size_t n, const char *where,
                               lrk_err *err)
{
    return load_or_free(out, where, text, n, &(company){.beside = false}, err);
}

lrk_status lrk_tokenizer_parse_with(lrk_tokenizer **out, const char *text, size_t n, const char *config,
                                    size_t n_config, const char *where, lrk_err *err)
{
    return load_or_free(out, where, text, n, &(company){.config = config, .n = n_config}, err);
}

lrk_status lrk_tokenizer_from_json(lrk_tokenizer **out, const char *path, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("tokenizer.json");
    char *file = NULL;
    size_t n = 0;
    lrk_status status = lrk_file_read(&a, path, MAX_FILE, &file, &n, err);
    if (status == LRK_OK) status = load_or_free(out, path, file, n, &(company){.beside = true}, err);
    lrk_arena_free(&a);
    return status;
}
