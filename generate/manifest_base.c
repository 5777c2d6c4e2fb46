/* generate/manifest_base.c -- a base model described: its name, its hash, its license, and where it comes from. */
#include "generate/manifest_base.h"

#include "base/file.h"
#include "generate/manifest.h"

#include <stdio.h>
#include <string.h>

enum { MAX_README = 4 << 20, MOST_BASES = 16 };

static void set_strange(lrk_json *object, const char *key, const char *text, size_t n)
{
    if (text && n && lrk_utf8_check(text, n) == n)
        lrk_json_set(object, key, lrk_json_new_string(text, n));
}

void lrk_manifest_set_strange(lrk_json *object, const char *key, const char *text)
{
    set_strange(object, key, text, text ? strlen(text) : 0);
}

void lrk_manifest_set_name(lrk_json *object, const char *name, const char *path)
{
    size_t n = name ? strlen(name) : 0;
    if (!n) name = lrk_path_name(path, &n);
    set_strange(object, "name", name, n);
}

/* ---- front matter ---- */

/* The value without blanks, quotes and comment; *n of it. */
static const char *bare(const char *value, size_t *n)
{
    *n = strcspn(value, "\n\r");
    for (size_t i = 1; i < *n; i++)
        if (value[i] == '#' && strchr(" \t", value[i - 1])) *n = i;
    while (*n && strchr(" \t'\"", *value)) {
        value++;
        --*n;
    }
    while (*n && strchr(" \t'\"", value[*n - 1])) --*n;
    return value;
}

/* What follows "key:" in the front matter of a README, or NULL. */
static const char *front_value(const char *text, const char *key)
{
    const size_t n = strlen(key);
    const char *line = strncmp(text, "---", 3) == 0 ? strchr(text, '\n') : NULL;
    while (line && strncmp(line + 1, "---", 3) != 0) {
        line++;
        if (strncmp(line, key, n) == 0 && line[n] == ':') return line + n + 1;
        line = strchr(line, '\n');
    }
    return NULL;
}

static void put_scalar(lrk_json *object, const char *key, const char *text)
{
    enum { LONGEST = 300 };
    size_t n;
    const char *value = front_value(text, key);
    if (!value) return;
    value = bare(value, &n);
    if (n < LONGEST) set_strange(object, key, value, n);
}

static void add_strange(lrk_json *list, const char *text, size_t n)
{
    if (n && lrk_utf8_check(text, n) == n && lrk_json_size(list) < MOST_BASES)
        lrk_json_add(list, lrk_json_new_string(text, n));
}

/* One name behind the key, or a line "- name" for each. */
static void put_list(lrk_json *object, const char *key, const char *text)
{
    size_t n;
    const char *value = front_value(text, key), *name = value ? bare(value, &n) : NULL;
    if (!name || *name == '[') return;
    lrk_json *list = lrk_json_array();
    add_strange(list, name, n);
    for (const char *line = n ? NULL : strchr(value, '\n'); line; line = strchr(line, '\n')) {
        line += 1 + strspn(line + 1, " ");
        if (line[0] != '-' || line[1] != ' ') break;
        name = bare(line + 1, &n);
        add_strange(list, name, n);
    }
    if (lrk_json_size(list))
        lrk_json_set(object, key, list);
    else
        lrk_json_free(list);
}

lrk_status lrk_manifest_put_front(lrk_json *object, const char *directory, bool bases, lrk_arena *a, lrk_err *err)
{
    size_t n = 0;
    char *text;
    const char *readme = lrk_path_join(a, directory, LRK_MODEL_CARD);
    LRK_REQUIRE(err, readme, LRK_ENOMEM, "memory: no room for a path");
    if (!lrk_is_file(readme)) return LRK_OK;
    LRK_TRY(lrk_file_read(a, readme, MAX_README, &text, &n, err));
    put_scalar(object, "license", text);
    put_scalar(object, "license_name", text);
    put_scalar(object, "license_link", text);
    if (bases) put_list(object, "base_model", text);
    return LRK_OK;
}

/* ---- keys of a GGUF file ---- */

/* "owner/name" out of the address of a repository where there is one, else the name. */
static lrk_status put_gguf_bases(lrk_json *object, const lrk_gguf *g, lrk_arena *a, lrk_err *err)
{
    size_t count = 0;
    LRK_TRY(lrk_gguf_opt_size(g, LRK_KEY_BASE_MODEL "count", 0, SIZE_MAX / 2, &count, err));
    if (!count) return LRK_OK;
    lrk_json *list = lrk_json_array();
    lrk_status status = LRK_OK;
    for (size_t i = 0; status == LRK_OK && i < count && i < MOST_BASES; i++) {
        char key[80];
        const char *name = NULL, *url = NULL;
        snprintf(key, sizeof key, LRK_KEY_BASE_MODEL "%zu.name", i);
        status = lrk_gguf_opt_string(g, key, a, &name, err);
        snprintf(key, sizeof key, LRK_KEY_BASE_MODEL "%zu.repo_url", i);
        if (status == LRK_OK) status = lrk_gguf_opt_string(g, key, a, &url, err);
        if (url && strncmp(url, LRK_HUB, sizeof LRK_HUB - 1) == 0) name = url + sizeof LRK_HUB - 1;
        if (status == LRK_OK && name) add_strange(list, name, strlen(name));
    }
    if (status == LRK_OK && lrk_json_size(list))
        lrk_json_set(object, "base_model", list);
    else
        lrk_json_free(list);
    return status;
}

static lrk_status put_gguf_keys(lrk_json *object, const lrk_gguf *g, bool bases, lrk_arena *a, lrk_err *err)
{
    static const char *const keys[][2] = {{"general.license", "license"},
                                          {"general.license.name", "license_name"},
                                          {"general.license.link", "license_link"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *s = NULL;
        LRK_TRY(lrk_gguf_opt_string(g, keys[i][0], a, &s, err));
        lrk_manifest_set_strange(object, keys[i][1], s);
    }
    return bases ? put_gguf_bases(object, g, a, err) : LRK_OK;
}

/* ---- all of it ---- */

static void fill(lrk_json *object, const lrk_json *from, const char *key)
{
    lrk_json *v = lrk_json_get(from, key);
    if (v && !lrk_json_get(object, key)) lrk_json_set(object, key, lrk_json_ref(v));
}

/* A model's name stays what it was through merging and converting: its manifest has it, whatever the folder. */
static lrk_status put_name(lrk_json *object, const lrk_weights *base, const lrk_json *own, const lrk_json *known,
                           lrk_arena *a, lrk_err *err)
{
    const char *name = lrk_json_word(lrk_json_get(own, "base"), "name");
    if (!name) name = lrk_json_word(lrk_weights_config(base), "_name_or_path");
    if (!name && lrk_weights_gguf(base))
        LRK_TRY(lrk_gguf_opt_string(lrk_weights_gguf(base), "general.name", a, &name, err));
    if (!name || !*name) name = lrk_json_word(known, "name");
    lrk_manifest_set_name(object, name, lrk_weights_path(base));
    return LRK_OK;
}

static lrk_json *made_from(const lrk_json *own)
{
    static const char *const parts[] = {"output", "base", "trained_for", "source", "adapter"};
    lrk_json *o = lrk_json_object();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) fill(o, own, parts[i]);
    lrk_manifest_keep(o, own);
    return o;
}

static lrk_status put_base(lrk_json *object, const lrk_weights *base, const lrk_json *own, const lrk_json *known,
                           lrk_arena *a, lrk_err *err)
{
    static const char *const found[] = {"architecture", "license", "license_name", "license_link", "base_model",
                                        "made_from"};
    char hex[65];
    const lrk_json *classes = lrk_json_get(lrk_weights_config(base), "architectures");
    lrk_weights_sha256(base, hex);
    const char *hash = lrk_json_word(known, "sha256");
    if (!hash || strcmp(hash, hex) != 0) known = NULL;
    LRK_TRY(put_name(object, base, own, known, a, err));
    lrk_json_set_text(object, "sha256", hex);
    lrk_manifest_set_strange(object, "architecture", lrk_json_string(lrk_json_at(classes, 0), NULL));
    /* the card of a model that was made here names what it was made of, which its manifest says better */
    LRK_TRY(lrk_weights_gguf(base) ? put_gguf_keys(object, lrk_weights_gguf(base), !own, a, err)
                                   : lrk_manifest_put_front(object, lrk_weights_path(base), !own, a, err));
    if (own) lrk_json_set(object, "made_from", made_from(own));
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) fill(object, known, found[i]);
    for (size_t i = 1; i < 5; i++) fill(object, lrk_json_get(own, "base"), found[i]);
    return LRK_OK;
}

lrk_status lrk_manifest_put_base(lrk_json *object, const lrk_weights *base, const lrk_json *own, const lrk_json *known,
                                 lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("manifest");
    const lrk_status status = put_base(object, base, own, known, &a, err);
    lrk_arena_free(&a);
    return status;
}
