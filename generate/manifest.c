/* generate/manifest.c -- what is known of an output, gathered. The card: manifest_card.c. */
#include "generate/manifest.h"

#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "generate/manifest_card.h"

#include <string.h>

#define FORMAT "lorikeet-manifest"
enum { MAX_MANIFEST = 1 << 20, MAX_README = 4 << 20 };

/* Text out of a stranger's file: left out where it is empty or no UTF-8. */
static void set_strange(lrk_json *object, const char *key, const char *text, size_t n)
{
    if (text && n && lrk_utf8_check(text, n) == n)
        lrk_json_set(object, key, lrk_json_new_string(text, n));
}

static void set_strange_text(lrk_json *object, const char *key, const char *text)
{
    set_strange(object, key, text, text ? strlen(text) : 0);
}

/* "license:" of the front matter of a README, without quotes; n 0: none. */
static const char *front_license(const char *text, size_t *n)
{
    static const char key[] = "license:";
    const char *line = strncmp(text, "---", 3) == 0 ? strchr(text, '\n') : NULL;
    while (line && strncmp(line + 1, "---", 3) != 0) {
        line++;
        const char *end = strchr(line, '\n');
        if (strncmp(line, key, sizeof key - 1) == 0) {
            line += sizeof key - 1;
            *n = strcspn(line, "\n\r#");
            while (*n && strchr(" \t'\"", *line)) {
                line++;
                --*n;
            }
            while (*n && strchr(" \t'\"", line[*n - 1])) --*n;
            return line;
        }
        line = end;
    }
    *n = 0;
    return NULL;
}

/* The license that a model card names, if there is one. */
static lrk_status license_of_card(lrk_json *object, const char *directory, lrk_arena *a, lrk_err *err)
{
    size_t n = 0;
    char *text;
    const char *readme = lrk_path_join(a, directory, LRK_MODEL_CARD);
    LRK_REQUIRE(err, readme, LRK_ENOMEM, "memory: no room for a path");
    if (!lrk_is_file(readme)) return LRK_OK;
    LRK_TRY(lrk_file_read(a, readme, MAX_README, &text, &n, err));
    const char *license = front_license(text, &n);
    if (license && n < 100) set_strange(object, "license", license, n);
    return LRK_OK;
}

static lrk_status put_license(lrk_json *object, const lrk_weights *base, lrk_arena *a, lrk_err *err)
{
    const char *s = NULL;
    if (!lrk_weights_gguf(base)) return license_of_card(object, lrk_weights_path(base), a, err);
    LRK_TRY(lrk_gguf_opt_string(lrk_weights_gguf(base), "general.license", a, &s, err));
    set_strange_text(object, "license", s);
    return LRK_OK;
}

/* As the model calls itself, else as its file is called. */
static void put_name(lrk_json *object, const char *name, const char *path)
{
    size_t n = name ? strlen(name) : 0;
    if (!n) name = lrk_path_name(path, &n);
    set_strange(object, "name", name, n);
}

static lrk_status put_base(lrk_json *object, const lrk_weights *base, lrk_arena *a, lrk_err *err)
{
    char hex[65];
    const lrk_json *classes = lrk_json_get(lrk_weights_config(base), "architectures");
    const char *name = lrk_json_string(lrk_json_get(lrk_weights_config(base), "_name_or_path"), NULL);
    if (lrk_weights_gguf(base))
        LRK_TRY(lrk_gguf_opt_string(lrk_weights_gguf(base), "general.name", a, &name, err));
    put_name(object, name, lrk_weights_path(base));
    lrk_weights_sha256(base, hex);
    lrk_json_set_text(object, "sha256", hex);
    set_strange_text(object, "architecture", lrk_json_string(lrk_json_at(classes, 0), NULL));
    return put_license(object, base, a, err);
}

static void put_adapter(lrk_json *root, const lrk_adapter *a)
{
    lrk_json *o = lrk_json_object();
    lrk_json_set_count(o, "modules", a->n);
    lrk_json_set_count(o, "rank", a->rank);
    lrk_json_set(o, "alpha", lrk_json_new_real(a->alpha));
    lrk_json_set(root, "adapter", o);
}

static lrk_json *blank(const char *output)
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
    static const char *const kept[] = {"training", "data", "recipe"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        lrk_json *v = lrk_json_get(from, kept[i]);
        if (v) lrk_json_set(object, kept[i], lrk_json_ref(v));
    }
}

lrk_status lrk_manifest_new(lrk_json **out, const char *output, const lrk_weights *base,
                            const lrk_adapter *adapter, const lrk_json *from, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("manifest");
    lrk_json *root = blank(output), *object = lrk_json_object();
    lrk_json_set(root, "base", object);
    lrk_status status = LRK_OK;
    lrk_json *known = lrk_json_get(from, "base");
    if (base) {
        status = put_base(object, base, &a, err);
    } else if (lrk_json_is(known, LRK_JSON_OBJECT)) {
        lrk_json_set(root, "base", lrk_json_ref(known));
    } else if (adapter) {
        set_strange_text(object, "name", adapter->base_model);
        set_strange_text(object, "sha256",
                         lrk_json_string(lrk_json_get(adapter->notes, LRK_NOTE_BASE), NULL));
    }
    if (adapter) put_adapter(root, adapter);
    lrk_manifest_keep(root, from);
    lrk_arena_free(&a);
    if (status == LRK_OK)
        *out = root;
    else
        lrk_json_free(root);
    return status;
}

/* ---- image models ---- */

/* The card beside a file, or beside the folder that diffusers has for a part. */
static lrk_status license_near(lrk_json *object, const char *file, lrk_arena *a, lrk_err *err)
{
    size_t n, folder;
    const char *name = lrk_path_name(file, &n);
    const char *directory = name > file ? lrk_strndup(a, file, (size_t)(name - file)) : ".";
    LRK_REQUIRE(err, directory, LRK_ENOMEM, "memory: no room for a path");
    LRK_TRY(license_of_card(object, directory, a, err));
    name = lrk_path_name(directory, &folder);
    const char *part = lrk_strndup(a, name, folder);
    LRK_REQUIRE(err, part, LRK_ENOMEM, "memory: no room for a path");
    if (lrk_json_get(object, "license") || lrk_image_part_find(part) == LRK_IMAGE_PARTS) return LRK_OK;
    const char *above = lrk_path_join(a, directory, "..");
    LRK_REQUIRE(err, above, LRK_ENOMEM, "memory: no room for a path");
    return license_of_card(object, above, a, err);
}

static lrk_status put_image_base(lrk_json *object, const lrk_safetensors *base, lrk_arena *a, lrk_err *err)
{
    char hex[65];
    lrk_tensor *tensor;
    put_name(object, lrk_st_metadata(base, "modelspec.title"), base->path);
    LRK_TRY(lrk_alloc(a, base->n, sizeof *tensor, "tensors of the base", &tensor, err));
    for (size_t i = 0; i < base->n; i++)
        LRK_TRY(lrk_st_view(base, &base->entry[base->lookup.row[i].at], &tensor[i], err));
    lrk_tensors_sha256(tensor, base->n, hex);
    lrk_json_set_text(object, "sha256", hex);
    set_strange_text(object, "architecture", lrk_st_metadata(base, "modelspec.architecture"));
    set_strange_text(object, "license", lrk_st_metadata(base, "modelspec.license"));
    return lrk_json_get(object, "license") ? LRK_OK : license_near(object, base->path, a, err);
}

lrk_status lrk_manifest_put_file(lrk_json *object, const char *name, const char *path, lrk_err *err)
{
    lrk_map map = {0};
    char hex[65];
    LRK_TRY(lrk_map_open(&map, path, err));
    lrk_sha256_hex(map.data, map.size, hex);
    lrk_map_close(&map);
    set_strange_text(object, "name", name);
    lrk_json_set_text(object, "sha256", hex);
    return LRK_OK;
}

static lrk_status put_image_adapter(lrk_json *root, const lrk_image_adapter *a, const char *path, lrk_err *err)
{
    static const char *const noted[][2] = {{"ss_steps", "steps"}, {"ss_seed", "seed"}};
    lrk_json *o = lrk_json_object(), *training = NULL;
    size_t rank = 0, n;
    lrk_json_set(root, "adapter", o);
    LRK_TRY(lrk_manifest_put_file(o, lrk_path_name(path, &n), path, err));
    for (size_t i = 0; i < a->n; i++) rank = a->module[i].m.b.dim[1] > rank ? a->module[i].m.b.dim[1] : rank;
    lrk_json_set_count(o, "modules", a->n);
    lrk_json_set_count(o, "rank", rank);
    for (size_t i = 0; i < sizeof noted / sizeof *noted; i++) {
        const char *text = lrk_json_string(lrk_json_get(a->metadata, noted[i][0]), NULL);
        int64_t count;
        if (!text || !lrk_text_integer(text, &count)) continue;
        if (!training) lrk_json_set(root, "training", training = lrk_json_object());
        lrk_json_set(training, noted[i][1], lrk_json_new_integer(count));
    }
    return LRK_OK;
}

lrk_status lrk_manifest_new_image(lrk_json **out, const lrk_safetensors *base, const lrk_image_adapter *adapter,
                                  const char *adapter_path, lrk_err *err)
{
    lrk_arena a = lrk_arena_growing("manifest");
    lrk_json *root = blank("merged image model"), *object = lrk_json_object();
    lrk_json_set(root, "base", object);
    lrk_status status = put_image_base(object, base, &a, err);
    if (status == LRK_OK) status = put_image_adapter(root, adapter, adapter_path, err);
    lrk_arena_free(&a);
    if (status == LRK_OK)
        *out = root;
    else
        lrk_json_free(root);
    return status;
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
        status = lrk_json_load(out, path, MAX_MANIFEST, err);
    const char *format = lrk_json_string(lrk_json_get(*out, "format"), NULL);
    if (*out && (!format || strcmp(format, FORMAT) != 0)) {
        status = lrk_fail(err, LRK_EINPUT, "%s: format is not " FORMAT, path);
        lrk_json_free(*out);
        *out = NULL;
    }
    lrk_arena_free(&a);
    return status;
}

lrk_status lrk_manifest_print(const lrk_json *m, lrk_manifest_text *out, lrk_err *err)
{
    *out = (lrk_manifest_text){.file = {{.name = LRK_MANIFEST}, {.name = LRK_MODEL_CARD}}};
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
    if (status == LRK_OK) status = lrk_adapter_save_gguf(a, base, text.file, 2, path, err);
    lrk_manifest_text_free(&text);
    lrk_json_free(m);
    return status;
}
