/* generate/manifest.c -- what is known of an output, gathered. The card: manifest_card.c. */
#include "generate/manifest.h"

#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "generate/manifest_base.h"
#include "generate/manifest_card.h"
#include "generate/model_text.h"

#include <string.h>

#define FORMAT "lorikeet-manifest"
enum { MAX_MANIFEST = 4 << 20 };

static void put_adapter(lrk_json *root, const lrk_adapter *a)
{
    char hex[65];
    lrk_json *o = lrk_json_object(), *rows = lrk_json_object();
    lrk_json_set_count(o, "modules", a->n);
    lrk_json_set_count(o, "rank", a->rank);
    lrk_json_set(o, "alpha", lrk_json_new_real(a->alpha));
    lrk_adapter_sha256(a, hex);
    lrk_json_set_text(o, "sha256", hex);
    for (int role = 0; role < LRK_ADAPTER_WHOLE; role++) {
        const lrk_adapter_whole *whole = lrk_adapter_whole_of(a, role);
        if (whole) lrk_json_set_count(rows, whole->path, lrk_rows(&whole->weight));
    }
    if (a->n_whole) lrk_json_set(o, "trained_rows", lrk_json_ref(rows));
    lrk_json_free(rows);
    lrk_json_set(root, "adapter", o);
}

lrk_json *lrk_manifest_blank(const char *output)
{
    lrk_json *root = lrk_json_object(), *program = lrk_json_object();
    lrk_json_set_text(root, "format", FORMAT);
    lrk_json_set(root, "version", lrk_json_new_integer(1));
    lrk_json_set_text(root, "output", output);
    lrk_json_set_text(program, "name", "lorikeet");
    lrk_json_set_text(program, "version", LRK_VERSION);
    lrk_json_set(root, "program", program);
    return root;
}

void lrk_manifest_keep(lrk_json *object, const lrk_json *from)
{
    static const char *const kept[] = {"training", "data", "recipe", "start", "combined", "vocabulary"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        lrk_json *v = lrk_json_get(from, kept[i]);
        if (v) lrk_json_set(object, kept[i], lrk_json_ref(v));
    }
}

/* ---- the bases that adapters were trained for ---- */

/* By the hash where both have one, else by the last part of the name. */
static bool same_base(const lrk_json *x, const lrk_json *y)
{
    const char *hash = lrk_json_word(x, "sha256"), *other = lrk_json_word(y, "sha256");
    size_t n, m;
    if (hash && other) return strcmp(hash, other) == 0;
    const char *a = lrk_path_name(lrk_json_word(x, "name"), &n), *b = lrk_path_name(lrk_json_word(y, "name"), &m);
    return n == m && (!n || memcmp(a, b, n) == 0);
}

static void add_base(lrk_json *list, const lrk_json *base)
{
    if (!lrk_json_word(base, "name") && !lrk_json_word(base, "sha256")) return;
    lrk_json *o = lrk_json_object();
    for (size_t i = 0; i < lrk_json_size(list); i++) {
        if (!same_base(lrk_json_at(list, i), base)) continue;
        lrk_json_free(o);
        return;
    }
    lrk_manifest_set_strange(o, "name", lrk_json_word(base, "name"));
    lrk_manifest_set_strange(o, "sha256", lrk_json_word(base, "sha256"));
    lrk_json_add(list, o);
}

void lrk_manifest_add_trained_for(lrk_json *list, const lrk_adapter *adapter, const lrk_json *from)
{
    const lrk_json *noted = lrk_json_get(from, "trained_for"), *base = lrk_json_get(from, "base");
    lrk_json *word = lrk_json_object();
    lrk_manifest_set_strange(word, "name", adapter->base_model);
    lrk_manifest_set_strange(word, "sha256", lrk_json_word(adapter->notes, LRK_NOTE_BASE));
    for (size_t i = 0; i < lrk_json_size(noted); i++) add_base(list, lrk_json_at(noted, i));
    const bool better = base && (lrk_json_word(base, "sha256") || !lrk_json_word(word, "sha256"));
    if (!lrk_json_size(noted)) add_base(list, better ? base : word);
    lrk_json_free(word);
}

/* A single base is said where it is another one for certain: the same one may have many names. */
static void put_trained_for(lrk_json *root, lrk_json *list)
{
    const char *hash = lrk_json_word(lrk_json_at(list, 0), "sha256");
    const char *here = lrk_json_word(lrk_json_get(root, "base"), "sha256");
    const bool other = lrk_json_size(list) > 1 || (hash && here && strcmp(hash, here) != 0);
    if (other)
        lrk_json_set(root, "trained_for", list);
    else
        lrk_json_free(list);
}

/* ---- all of it ---- */

/* A model that is only converted is what it was; what is new is the form, and the weights that it was converted
 * from. */
static void put_converted(lrk_json *root, const lrk_weights *base, const lrk_json *own)
{
    static const char *const kept[] = {"base", "trained_for", "adapter"};
    char hex[65];
    lrk_json *source = lrk_json_object();
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        lrk_json *v = lrk_json_get(own, kept[i]);
        if (v) lrk_json_set(root, kept[i], lrk_json_ref(v));
    }
    lrk_weights_sha256(base, hex);
    lrk_manifest_set_name(source, NULL, lrk_weights_path(base));
    lrk_json_set_text(source, "sha256", hex);
    lrk_json_set(root, "source", source);
    lrk_manifest_keep(root, own);
}

static lrk_status put_base(lrk_json *root, const lrk_weights *base, const lrk_adapter *adapter, const lrk_json *from,
                           const lrk_json *own, lrk_err *err)
{
    lrk_json *known = lrk_json_get(from, "base"), *object = lrk_json_object();
    lrk_json_set(root, "base", object);
    if (base) return lrk_manifest_put_base(object, base, own, known, err);
    if (lrk_json_is(known, LRK_JSON_OBJECT)) {
        lrk_json_set(root, "base", lrk_json_ref(known));
    } else if (adapter) {
        lrk_manifest_set_strange(object, "name", adapter->base_model);
        lrk_manifest_set_strange(object, "sha256", lrk_json_word(adapter->notes, LRK_NOTE_BASE));
    }
    return LRK_OK;
}

lrk_status lrk_manifest_new(lrk_json **out, const char *output, const lrk_weights *base,
                            const lrk_adapter *adapter, const lrk_json *from, lrk_err *err)
{
    lrk_json *root = lrk_manifest_blank(output), *own = NULL, *trained = lrk_json_array();
    lrk_status status = base ? lrk_manifest_of_model(&own, lrk_weights_path(base), err) : LRK_OK;
    if (status == LRK_OK && own && !adapter) {
        put_converted(root, base, own);
    } else if (status == LRK_OK) {
        status = put_base(root, base, adapter, from, own, err);
        if (adapter) {
            put_adapter(root, adapter);
            lrk_manifest_add_trained_for(trained, adapter, from);
        }
        put_trained_for(root, lrk_json_ref(trained));
        lrk_manifest_keep(root, from);
    }
    lrk_json_free(trained);
    lrk_json_free(own);
    if (status == LRK_OK)
        *out = root;
    else
        lrk_json_free(root);
    return status;
}

bool lrk_manifest_trained_plain(const lrk_json *m)
{
    const lrk_json *parts = lrk_json_get(lrk_json_get(m, "combined"), "adapters");
    const char *template = lrk_json_word(lrk_json_get(m, "training"), "chat_template");
    if (template || !lrk_json_size(parts)) return template && strcmp(template, LRK_CHAT_TEMPLATE_NONE) == 0;
    for (size_t i = 0; i < lrk_json_size(parts); i++)
        if (!lrk_manifest_trained_plain(lrk_json_at(parts, i))) return false;
    return true;
}

void lrk_manifest_note_plain(const char *name)
{
    lrk_note("%s: was trained on plain prompts: ask it with prompts as they stand (generate --prompt), not through the "
             "base's chat template",
             name);
}

lrk_status lrk_manifest_put_file(lrk_json *object, const char *name, const char *path, lrk_err *err)
{
    lrk_map map = {0};
    char hex[65];
    LRK_TRY(lrk_map_open(&map, path, err));
    lrk_sha256_hex(map.data, map.size, hex);
    lrk_map_close(&map);
    lrk_manifest_set_strange(object, "name", name);
    lrk_json_set_text(object, "sha256", hex);
    return LRK_OK;
}

/* ---- from and to files ---- */

static lrk_status load_from_gguf(lrk_json **out, const char *path, lrk_arena *a, lrk_err *err)
{
    lrk_gguf g;
    const char *text = NULL;
    LRK_TRY(lrk_gguf_open(&g, path, err));
    lrk_status status = lrk_gguf_opt_string(&g, LRK_GGUF_FILE LRK_MANIFEST, a, &text, err);
    lrk_gguf_close(&g);
    return status == LRK_OK && text ? lrk_json_parse(out, text, strlen(text), path, err) : status;
}

static lrk_status check_format(lrk_json **m, const char *path, lrk_err *err)
{
    const char *format = lrk_json_word(*m, "format");
    if (!*m || (format && strcmp(format, FORMAT) == 0)) return LRK_OK;
    lrk_json_free(*m);
    *m = NULL;
    return lrk_fail(err, LRK_EINPUT, "%s: format is not " FORMAT, path);
}

lrk_status lrk_manifest_load_file(lrk_json **out, const char *path, lrk_err *err)
{
    *out = NULL;
    LRK_TRY(lrk_json_load(out, path, MAX_MANIFEST, err));
    return check_format(out, path, err);
}

lrk_status lrk_manifest_load(lrk_json **out, const char *output, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("manifest");
    const bool gguf = lrk_is_file(output);
    const char *path = gguf ? output : lrk_path_join(&a, output, LRK_MANIFEST);
    *out = NULL;
    lrk_status status = LRK_OK;
    if (!path)
        status = lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    else if (gguf)
        status = load_from_gguf(out, path, &a, err);
    else if (lrk_is_file(path))
        status = lrk_manifest_load_file(out, path, err);
    if (status == LRK_OK) status = check_format(out, path, err);
    lrk_arena_free(&a);
    return status;
}

lrk_status lrk_manifest_of_model(lrk_json **out, const char *model, lrk_err *err)
{
    lrk_err why = {0};
    const lrk_status status = lrk_manifest_load(out, model, &why);
    if (status == LRK_OK || status == LRK_EINPUT) return LRK_OK;
    return lrk_fail(err, status, "%s", why.text);
}

/* "owner/name" in its two parts, else the name alone. */
static lrk_gguf_model model_of(const char *name)
{
    const char *slash = lrk_is_hub_name(name) ? strchr(name, '/') : NULL;
    return slash ? (lrk_gguf_model){.name = slash + 1, .owner = name, .owner_bytes = (size_t)(slash - name)}
                 : (lrk_gguf_model){.name = name};
}

static void put_origin(const lrk_json *m, lrk_gguf_origin *out)
{
    const lrk_json *base = lrk_json_get(m, "base"), *list = lrk_json_get(base, "base_model");
    const char *name = lrk_json_word(base, "name");
    *out = (lrk_gguf_origin){.license = lrk_json_word(base, "license"),
                             .license_name = lrk_json_word(base, "license_name"),
                             .license_link = lrk_json_word(base, "license_link")};
    if (name) out->model = model_of(name);
    if (name && lrk_json_get(m, "adapter")) out->base[out->n_bases++] = out->model;
    const size_t most = out->n_bases ? 0 : lrk_json_size(list);
    for (size_t i = 0; i < most && i < LRK_GGUF_BASES; i++) {
        const char *one = lrk_json_string(lrk_json_at(list, i), NULL);
        if (one) out->base[out->n_bases++] = model_of(one);
    }
}

lrk_status lrk_manifest_print(const lrk_json *m, lrk_manifest_text *out, lrk_err *err)
{
    *out = (lrk_manifest_text){.file = {{.name = LRK_MANIFEST}, {.name = LRK_MODEL_CARD}}};
    put_origin(m, &out->origin);
    LRK_TRY(lrk_json_dump(m, 2, &out->manifest, err));
    lrk_buf_puts(&out->manifest, "\n");
    lrk_card_print(m, &out->card);
    LRK_TRY(lrk_buf_check(&out->manifest, err));
    LRK_TRY(lrk_buf_check(&out->card, err));
    const lrk_buf *text[] = {&out->manifest, &out->card};
    for (int i = 0; i < 2; i++) {
        out->file[i].text = text[i]->data;
        out->file[i].n = text[i]->n;
    }
    return LRK_OK;
}

void lrk_manifest_text_free(lrk_manifest_text *t)
{
    lrk_buf_free(&t->manifest);
    lrk_buf_free(&t->card);
}

lrk_status lrk_manifest_write(const lrk_json *m, const char *directory, lrk_err *err)
{
    lrk_manifest_text text;
    lrk_arena a = lrk_arena_growing("manifest");
    lrk_status status = lrk_manifest_print(m, &text, err);
    for (int i = 0; status == LRK_OK && i < 2; i++) {
        const char *path = lrk_path_join(&a, directory, text.file[i].name);
        status = path ? lrk_file_write(path, text.file[i].text, text.file[i].n, err)
                      : lrk_fail(err, LRK_ENOMEM, "memory: no room for a path");
    }
    lrk_manifest_text_free(&text);
    lrk_arena_free(&a);
    return status;
}

lrk_status lrk_manifest_describe(const char *directory, const char *output, const lrk_weights *base,
                                 const lrk_adapter *adapter, const lrk_json *from, lrk_err *err)
{
    lrk_json *m;
    LRK_TRY(lrk_manifest_new(&m, output, base, adapter, from, err));
    const lrk_status status = lrk_manifest_write(m, directory, err);
    lrk_json_free(m);
    return status;
}

lrk_status lrk_manifest_save_gguf(const lrk_adapter *a, const lrk_weights *base, const lrk_json *from,
                                  const char *path, lrk_err *err)
{
    lrk_json *m;
    lrk_manifest_text text = {0};
    LRK_TRY(lrk_manifest_new(&m, "GGUF adapter", base, a, from, err));
    lrk_status status = lrk_manifest_print(m, &text, err);
    text.origin.model = (lrk_gguf_model){0}; /* the adapter has no name of its own; its base has one */
    const lrk_adapter_extra extra = {text.file, 2, &text.origin};
    if (status == LRK_OK) status = lrk_adapter_save_gguf(a, base, &extra, path, err);
    lrk_manifest_text_free(&text);
    lrk_json_free(m);
    return status;
}
