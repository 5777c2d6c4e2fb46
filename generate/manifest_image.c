/* generate/manifest_image.c -- the manifest of an image model with a LoRA file merged into it. */
#include "base/file.h"
#include "base/text.h"
#include "generate/manifest.h"
#include "generate/manifest_base.h"

/* The card beside a file, or beside the folder that diffusers has for a part. */
static lrk_status license_near(lrk_json *object, const char *file, lrk_arena *a, lrk_err *err)
{
    size_t n, folder;
    const char *name = lrk_path_name(file, &n);
    const char *directory = name > file ? lrk_strndup(a, file, (size_t)(name - file)) : ".";
    LRK_REQUIRE(err, directory, LRK_ENOMEM, "memory: no room for a path");
    LRK_TRY(lrk_manifest_put_front(object, directory, false, a, err));
    name = lrk_path_name(directory, &folder);
    const char *part = lrk_strndup(a, name, folder);
    LRK_REQUIRE(err, part, LRK_ENOMEM, "memory: no room for a path");
    if (lrk_json_get(object, "license") || lrk_image_part_find(part) == LRK_IMAGE_PARTS) return LRK_OK;
    const char *above = lrk_path_join(a, directory, "..");
    LRK_REQUIRE(err, above, LRK_ENOMEM, "memory: no room for a path");
    return lrk_manifest_put_front(object, above, false, a, err);
}

static lrk_status put_image_base(lrk_json *object, const lrk_safetensors *base, lrk_arena *a, lrk_err *err)
{
    char hex[65];
    lrk_tensor *tensor;
    lrk_manifest_set_name(object, lrk_st_metadata(base, "modelspec.title"), base->path);
    LRK_TRY(lrk_alloc(a, base->n, sizeof *tensor, "tensors of the base", &tensor, err));
    for (size_t i = 0; i < base->n; i++)
        LRK_TRY(lrk_st_view(base, &base->entry[base->lookup.row[i].at], &tensor[i], err));
    lrk_tensors_sha256(tensor, base->n, hex);
    lrk_json_set_text(object, "sha256", hex);
    lrk_manifest_set_strange(object, "architecture", lrk_st_metadata(base, "modelspec.architecture"));
    lrk_manifest_set_strange(object, "license", lrk_st_metadata(base, "modelspec.license"));
    return lrk_json_get(object, "license") ? LRK_OK : license_near(object, base->path, a, err);
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
    lrk_json *root = lrk_manifest_blank("merged image model"), *object = lrk_json_object();
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
