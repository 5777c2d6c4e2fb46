/* checkpoint/gguf_tokenizer.c -- the tokenizer keys of a GGUF model from tokenizer.json.
 *
 * Byte-level BPE only, with a pre-tokenizer that llama.cpp has a name for. Facts:
 * github.com/ggml-org/llama.cpp, conversion/base.py (token types, names) and src/llama-vocab.cpp;
 * the patterns are those of the published tokenizer.json files. */
#include "checkpoint/merge_tensor.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_TOKENIZER = 64 << 20,
    MAX_CONFIG = 4 << 20,
    NORMAL = 1,
    CONTROL = 3,
    USER = 4,
    UNUSED = 5
};

typedef struct tokens {
    lrk_gguf_writer *w;
    const char *path;          /* of tokenizer.json */
    lrk_json *root, *settings; /* tokenizer.json, tokenizer_config.json or NULL */
    const lrk_json *config;
    const char *directory;
    size_t rows;
    const char **text;
    int32_t *type;
    lrk_arena arena;
} tokens;

/* How a text is cut, as a line: each step of the pre-tokenizer, in order. */
static const struct {
    const char *cut;
    int ignore_merges; /* -1: either */
    const char *pre;
} known[] = {
    {"split((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
     "?[^\\s\\p{L}\\p{N}]+"
     "[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+) bytes",
     1, "llama-bpe"},
    {"split((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
     "?[^\\s\\p{L}\\p{N}]+"
     "[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+) bytes",
     0, "smaug-bpe"},
    {"split((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+"
     "[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+) bytes",
     -1, "qwen2"},
    {"digits gpt2 bytes", -1, "smollm"},
    {"gpt2 bytes", -1, "gpt-2"},
};

static const char *word(const lrk_json *object, const char *key)
{
    const char *s = lrk_json_string(lrk_json_get(object, key), NULL);
    return s ? s : "";
}

static bool flag(const lrk_json *object, const char *key, bool otherwise)
{
    const lrk_json *v = lrk_json_get(object, key);
    return lrk_json_is(v, LRK_JSON_BOOL) ? lrk_json_bool(v) : otherwise;
}

/* One step as text; false for a step that has none. */
static bool describe(const lrk_json *step, lrk_buf *b)
{
    const char *type = word(step, "type");
    if (b->n) lrk_buf_puts(b, " ");
    if (strcmp(type, "Digits") == 0) {
        lrk_buf_puts(b, "digits");
        return flag(step, "individual_digits", false);
    }
    if (strcmp(type, "Split") == 0) {
        lrk_buf_printf(b, "split(%s)", word(lrk_json_get(step, "pattern"), "Regex"));
        return strcmp(word(step, "behavior"), "Isolated") == 0 && !flag(step, "invert", false);
    }
    if (strcmp(type, "ByteLevel") == 0) {
        lrk_buf_puts(b, flag(step, "use_regex", true) ? "gpt2 bytes" : "bytes");
        return !flag(step, "add_prefix_space", true);
    }
    return false;
}

static lrk_status put_pre(tokens *t, lrk_err *err)
{
    const lrk_json *pre = lrk_json_get(t->root, "pre_tokenizer");
    const lrk_json *steps = lrk_json_get(pre, "pretokenizers");
    const bool ignore = flag(lrk_json_get(t->root, "model"), "ignore_merges", false);
    lrk_buf cut = {0};
    bool plain = lrk_json_is(pre, LRK_JSON_OBJECT);
    if (steps) {
        for (size_t i = 0; i < lrk_json_size(steps); i++)
            plain = describe(lrk_json_at(steps, i), &cut) && plain;
    } else if (plain) {
        plain = describe(pre, &cut);
    }
    const char *name = NULL;
    for (size_t i = 0; plain && cut.data && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].cut, cut.data) == 0 &&
            (known[i].ignore_merges < 0 || known[i].ignore_merges == ignore))
            name = known[i].pre;
    const lrk_status status =
        name ? LRK_OK
             : lrk_fail(err, LRK_ESUPPORT,
                        "%s: GGUF has no name for this pre_tokenizer ('%.300s'); write a Hugging "
                        "Face directory instead",
                        t->path, cut.data ? cut.data : "none");
    lrk_buf_free(&cut);
    if (status == LRK_OK) {
        lrk_gguf_put_string(t->w, "tokenizer.ggml.model", "gpt2", 4);
        lrk_gguf_put_string(t->w, "tokenizer.ggml.pre", name, strlen(name));
    }
    return status;
}

static lrk_status set_token(tokens *t, const lrk_json *id, const char *s, int32_t type,
                            lrk_err *err)
{
    const int64_t at = lrk_json_is(id, LRK_JSON_INTEGER) ? lrk_json_integer(id) : -1;
    LRK_REQUIRE(err, s && at >= 0 && (uint64_t)at < t->rows, LRK_EINPUT,
                "%s: token '%.60s' has no id below %zu, the rows of the embedding", t->path,
                s ? s : "", t->rows);
    LRK_REQUIRE(err, !t->text[at] || strcmp(t->text[at], s) == 0, LRK_EINPUT,
                "%s: id %lld belongs to '%.60s' and to '%.60s'", t->path, (long long)at,
                t->text[at], s);
    t->text[at] = s;
    t->type[at] = type;
    return LRK_OK;
}

/* Texts that llama.cpp's converter takes for control tokens whatever their flag says. */
static bool looks_special(const char *s)
{
    const size_t n = strlen(s);
    return strcmp(s, "<pad>") == 0 || strcmp(s, "<mask>") == 0 || strcmp(s, "<2mass>") == 0 ||
           strcmp(s, "[@BOS@]") == 0 || strncmp(s, "<unused", 7) == 0 ||
           (n >= 4 && strncmp(s, "<|", 2) == 0 && strcmp(s + n - 2, "|>") == 0);
}

static lrk_status collect(tokens *t, lrk_err *err)
{
    const lrk_json *vocab = lrk_json_get(lrk_json_get(t->root, "model"), "vocab");
    const lrk_json *added = lrk_json_get(t->root, "added_tokens");
    LRK_TRY(lrk_alloc(&t->arena, t->rows, sizeof *t->text, "tokens", &t->text, err));
    LRK_TRY(lrk_alloc(&t->arena, t->rows, sizeof *t->type, "token types", &t->type, err));
    LRK_REQUIRE(err, lrk_json_is(vocab, LRK_JSON_OBJECT), LRK_EINPUT, "%s: model.vocab is missing",
                t->path);
    for (void *i = lrk_json_begin(vocab); i; i = lrk_json_next(vocab, i))
        LRK_TRY(set_token(t, lrk_json_value(i), lrk_json_key(i, NULL), NORMAL, err));
    for (size_t i = 0; i < lrk_json_size(added); i++) {
        const lrk_json *v = lrk_json_at(added, i);
        const char *s = lrk_json_string(lrk_json_get(v, "content"), NULL);
        const bool control = flag(v, "special", false) || (s && looks_special(s));
        LRK_TRY(set_token(t, lrk_json_get(v, "id"), s, control ? CONTROL : USER, err));
    }
    return LRK_OK;
}

static void put_tokens(tokens *t)
{
    lrk_gguf_put_strings(t->w, "tokenizer.ggml.tokens", t->rows);
    for (size_t i = 0; i < t->rows; i++) {
        char pad[40];
        snprintf(pad, sizeof pad, "[PAD%zu]", i); /* a row of the embedding without a token */
        const char *s = t->text[i] ? t->text[i] : pad;
        if (!t->text[i]) t->type[i] = UNUSED;
        lrk_gguf_add_string(t->w, s, strlen(s));
    }
    lrk_gguf_put_i32s(t->w, "tokenizer.ggml.token_type", t->type, t->rows);
}

/* A half of a merge; a blank inside would end it, and is written as byte-level BPE writes blanks.
 */
static void add_half(lrk_buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == ' ')
            lrk_buf_puts(b, "\xc4\xa0");
        else
            lrk_buf_append(b, s + i, 1);
    }
}

static lrk_status put_merges(tokens *t, lrk_err *err)
{
    const lrk_json *merges = lrk_json_get(lrk_json_get(t->root, "model"), "merges");
    lrk_buf b = {0};
    LRK_REQUIRE(err, lrk_json_is(merges, LRK_JSON_ARRAY), LRK_EINPUT, "%s: model.merges is missing",
                t->path);
    lrk_gguf_put_strings(t->w, "tokenizer.ggml.merges", lrk_json_size(merges));
    lrk_status status = LRK_OK;
    for (size_t i = 0; i < lrk_json_size(merges) && status == LRK_OK; i++) {
        const lrk_json *m = lrk_json_at(merges, i);
        size_t n = 0, k = 0;
        const char *s = lrk_json_string(m, &n);
        b.n = 0;
        if (s) {
            lrk_buf_append(&b, s, n);
        } else {
            const char *left = lrk_json_string(lrk_json_at(m, 0), &n);
            const char *right = lrk_json_string(lrk_json_at(m, 1), &k);
            if (!left || !right || lrk_json_size(m) != 2) {
                status = lrk_fail(err, LRK_EINPUT, "%s: merge %zu is no pair", t->path, i);
                break;
            }
            add_half(&b, left, n);
            lrk_buf_puts(&b, " ");
            add_half(&b, right, k);
        }
        status = lrk_buf_check(&b, err);
        if (status == LRK_OK) lrk_gguf_add_string(t->w, b.data, b.n);
    }
    lrk_buf_free(&b);
    return status;
}

/* Id of a special token: by its text in tokenizer_config.json, else by number in config.json. -1:
 * none. A list of ends gives the first, as the reference takes it. */
static int64_t special_id(const tokens *t, const char *name)
{
    char key[40];
    snprintf(key, sizeof key, "%s_token", name);
    const lrk_json *v = lrk_json_get(t->settings, key);
    const char *s =
        lrk_json_string(lrk_json_is(v, LRK_JSON_OBJECT) ? lrk_json_get(v, "content") : v, NULL);
    for (size_t i = 0; s && i < t->rows; i++)
        if (t->text[i] && strcmp(t->text[i], s) == 0) return (int64_t)i;
    snprintf(key, sizeof key, "%s_token_id", name);
    v = lrk_json_get(t->config, key);
    if (lrk_json_is(v, LRK_JSON_ARRAY)) v = lrk_json_at(v, 0);
    const int64_t id = lrk_json_is(v, LRK_JSON_INTEGER) ? lrk_json_integer(v) : -1;
    return id >= 0 && (uint64_t)id < t->rows ? id : -1;
}

/* Whether the post-processor puts this token in front of every text. */
static bool template_adds(const lrk_json *post, const char *token)
{
    const lrk_json *list = lrk_json_get(post, "processors");
    for (size_t i = 0; i < lrk_json_size(list); i++)
        if (template_adds(lrk_json_at(list, i), token)) return true;
    const lrk_json *first =
        lrk_json_get(lrk_json_at(lrk_json_get(post, "single"), 0), "SpecialToken");
    return first && strcmp(word(first, "id"), token) == 0;
}

static void put_specials(tokens *t)
{
    static const char *const names[][2] = {
        {"bos", "bos_token_id"},       {"eos", "eos_token_id"},     {"unk", "unknown_token_id"},
        {"sep", "seperator_token_id"}, {"pad", "padding_token_id"}, {"mask", "mask_token_id"}};
    const int64_t bos = special_id(t, "bos");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char key[60];
        const int64_t id = special_id(t, names[i][0]);
        snprintf(key, sizeof key, "tokenizer.ggml.%s", names[i][1]);
        if (id >= 0) lrk_gguf_put_u32(t->w, key, (uint32_t)id);
    }
    /* always said: readers have defaults of their own for some pre-tokenizers */
    const bool adds = bos >= 0 && t->text[bos] &&
                      template_adds(lrk_json_get(t->root, "post_processor"), t->text[bos]);
    lrk_gguf_put_bool(t->w, "tokenizer.ggml.add_bos_token",
                      flag(t->settings, "add_bos_token", adds));
}

/* tokenizer_config.json (a string, or a list of named ones), or a file of its own. */
static lrk_status put_template(tokens *t, lrk_err *err)
{
    const lrk_json *v = lrk_json_get(t->settings, "chat_template");
    size_t n = 0;
    const char *file = lrk_path_join(&t->arena, t->directory, "chat_template.jinja");
    const char *text = lrk_json_string(v, &n);
    for (size_t i = 0; lrk_json_is(v, LRK_JSON_ARRAY) && i < lrk_json_size(v); i++)
        if (strcmp(word(lrk_json_at(v, i), "name"), "default") == 0)
            text = lrk_json_string(lrk_json_get(lrk_json_at(v, i), "template"), &n);
    if (file && lrk_is_file(file)) {
        char *data;
        LRK_TRY(lrk_file_read(&t->arena, file, MAX_CONFIG, &data, &n, err));
        text = data;
    }
    if (text) lrk_gguf_put_string(t->w, "tokenizer.chat_template", text, n);
    return LRK_OK;
}

static lrk_status put_all(tokens *t, lrk_err *err)
{
    const char *settings = lrk_path_join(&t->arena, t->directory, "tokenizer_config.json");
    t->path = lrk_path_join(&t->arena, t->directory, "tokenizer.json");
    LRK_REQUIRE(err, t->path && settings, LRK_ENOMEM, "memory: no room for a path");
    LRK_REQUIRE(err, lrk_is_file(t->path), LRK_EINPUT,
                "%s: missing; a GGUF model carries its tokenizer (--tokenizer DIR names another "
                "place)",
                t->path);
    LRK_TRY(lrk_json_load(&t->root, t->path, MAX_TOKENIZER, err));
    if (lrk_is_file(settings)) LRK_TRY(lrk_json_load(&t->settings, settings, MAX_CONFIG, err));
    const lrk_json *model = lrk_json_get(t->root, "model");
    LRK_REQUIRE(
        err, strcmp(word(model, "type"), "BPE") == 0 && !flag(model, "byte_fallback", false),
        LRK_ESUPPORT,
        "%s: only byte-level BPE can be written as GGUF here; write a Hugging Face directory "
        "and convert that",
        t->path);
    LRK_TRY(put_pre(t, err));
    LRK_TRY(collect(t, err));
    put_tokens(t);
    LRK_TRY(put_merges(t, err));
    put_specials(t);
    return put_template(t, err);
}

lrk_status lrk_gguf_put_tokenizer(lrk_gguf_writer *w, const char *directory, const lrk_json *config,
                                  size_t rows, lrk_err *err)
{
    tokens t = {.w = w,
                .directory = directory,
                .config = config,
                .rows = rows,
                .arena = lrk_arena_growing("tokenizer keys")};
    const lrk_status status = put_all(&t, err);
    lrk_json_free(t.root);
    lrk_json_free(t.settings);
    lrk_arena_free(&t.arena);
    return status;
}
