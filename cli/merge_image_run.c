/* cli/merge_image_run.c -- a LoRA file into the weights of an image model. */
#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "checkpoint/merge_image.h"
#include "cli/merge_run.h"
#include "generate/manifest.h"

#include <string.h>

static lrk_status file_sha256(const char *path, char hex[65], lrk_err *err)
{
    lrk_map map = {0};
    LRK_TRY(lrk_map_open(&map, path, err));
    lrk_sha256_hex(map.data, map.size, hex);
    lrk_map_close(&map);
    return LRK_OK;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* There is no directory for a manifest and a card: the note in the file says what it was made of. */
static lrk_status describe(const lrk_merge_args *m, lrk_buf *out, lrk_err *err)
{
    char hex[65];
    LRK_TRY(file_sha256(m->adapter, hex, err));
    lrk_json *v = lrk_manifest_blank("merged image model"), *base = lrk_json_object(), *adapter = lrk_json_object();
    lrk_json_set_text(base, "name", name_of(m->model));
    lrk_json_set_text(adapter, "name", name_of(m->adapter));
    lrk_json_set_text(adapter, "sha256", hex);
    lrk_json_set(v, "base", base);
    lrk_json_set(v, "adapter", adapter);
    const lrk_status status = lrk_json_dump(v, 0, out, err);
    lrk_json_free(v);
    return status == LRK_OK ? lrk_buf_check(out, err) : status;
}

static lrk_status check(const lrk_merge_args *m, lrk_image_part *part, lrk_err *err)
{
    LRK_REQUIRE(err, m->adapter && !lrk_is_dir(m->adapter), LRK_EUSAGE,
                "%s: into a single safetensors file goes the LoRA file of an image model; for a language model name its "
                "directory",
                m->model);
    LRK_REQUIRE(err, lrk_ends_with(m->o.out, ".safetensors"), LRK_EUSAGE,
                "%s: expected the name of a safetensors file", m->o.out);
    *part = m->part ? lrk_image_part_find(m->part) : LRK_IMAGE_ANY;
    LRK_REQUIRE(err, *part != LRK_IMAGE_PARTS, LRK_EUSAGE,
                "--part: '%s' is unknown; unet, text_encoder or text_encoder_2", m->part);
    LRK_TRY(lrk_check_apart(m->o.out, m->model, err));
    return lrk_check_apart(m->o.out, m->adapter, err);
}

static lrk_status merge(const lrk_merge_args *m, const lrk_image_adapter *a, lrk_image_merge *how, lrk_err *err)
{
    lrk_safetensors base;
    lrk_merge_report report;
    LRK_TRY(lrk_st_open(&base, m->model, err));
    how->base = &base;
    lrk_status status = lrk_merge_image(a, how, &report, err);
    if (status == LRK_OK) status = lrk_merge_print(&m->o, &report, m->json, err);
    lrk_st_close(&base);
    return status;
}

lrk_status lrk_merge_image_run(const lrk_merge_args *m, lrk_err *err)
{
    lrk_image_merge how = {.out = m->o.out, .type = m->o.type};
    lrk_image_adapter a;
    lrk_buf manifest = {0};
    LRK_TRY(check(m, &how.part, err));
    LRK_TRY(lrk_image_adapter_load(&a, m->adapter, err));
    lrk_status status = describe(m, &manifest, err);
    how.manifest = manifest.data;
    if (status == LRK_OK) status = merge(m, &a, &how, err);
    lrk_buf_free(&manifest);
    lrk_image_adapter_free(&a);
    return status;
}
