/* cli/merge_image_run.c -- a LoRA file into the weights of an image model. */
#include "base/file.h"
#include "base/text.h"
#include "checkpoint/merge_image.h"
#include "cli/merge_run.h"
#include "generate/manifest.h"

static lrk_status check(const lrk_merge_args *m, lrk_image_part *part, lrk_err *err)
{
    LRK_REQUIRE(err, m->adapter && !lrk_is_dir(m->adapter), LRK_EUSAGE,
                "%s: into a single safetensors file goes the LoRA file of an image model; for a language model name "
                "its directory",
                m->model);
    LRK_REQUIRE(err, lrk_ends_with(m->o.out, ".safetensors"), LRK_EUSAGE,
                "%s: expected the name of a safetensors file", m->o.out);
    *part = m->part ? lrk_image_part_find(m->part) : LRK_IMAGE_ANY;
    LRK_REQUIRE(err, *part != LRK_IMAGE_PARTS, LRK_EUSAGE,
                "--part: '%s' is unknown; unet, text_encoder or text_encoder_2", m->part);
    LRK_TRY(lrk_check_apart(m->o.out, m->model, err));
    return lrk_check_apart(m->o.out, m->adapter, err);
}

static lrk_status describe(const lrk_merge_args *m, const lrk_safetensors *base, const lrk_image_adapter *a,
                           lrk_manifest_text *text, lrk_err *err)
{
    lrk_json *manifest;
    LRK_TRY(lrk_manifest_new_image(&manifest, base, a, m->adapter, err));
    const lrk_status status = lrk_manifest_print(manifest, text, err);
    lrk_json_free(manifest);
    return status;
}

static lrk_status merge(const lrk_merge_args *m, const lrk_image_adapter *a, lrk_image_part part, lrk_err *err)
{
    lrk_safetensors base;
    lrk_merge_report report;
    lrk_manifest_text text = {0};
    LRK_TRY(lrk_st_open(&base, m->model, err));
    lrk_status status = describe(m, &base, a, &text, err);
    const lrk_image_merge how = {.base = &base, .out = m->o.out, .part = part, .type = m->o.type, .extra = text.file,
                                 .n_extra = 2};
    if (status == LRK_OK) status = lrk_merge_image(a, &how, &report, err);
    if (status == LRK_OK) status = lrk_merge_print(&m->o, &report, m->json, err);
    lrk_manifest_text_free(&text);
    lrk_st_close(&base);
    return status;
}

lrk_status lrk_merge_image_run(const lrk_merge_args *m, lrk_err *err)
{
    lrk_image_part part;
    lrk_image_adapter a;
    LRK_TRY(check(m, &part, err));
    LRK_TRY(lrk_image_adapter_load(&a, m->adapter, err));
    const lrk_status status = merge(m, &a, part, err);
    lrk_image_adapter_free(&a);
    return status;
}
