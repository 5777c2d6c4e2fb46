/* generate/adapter_dir.c -- writing it, and taking it back. */
#include "generate/adapter_dir.h"

#include "base/file.h"
#include "generate/manifest.h"
#include "generate/text_files.h"

lrk_status lrk_adapter_dir_write(const lrk_adapter *a, const char *path, const lrk_json *manifest, lrk_put_text_fn put,
                                 void *ctx, lrk_err *err)
{
    static const char *const files[] = {LRK_ADAPTER_TENSORS, LRK_ADAPTER_CONFIG, LRK_MANIFEST, LRK_MODEL_CARD};
    const bool made = !lrk_is_dir(path);
    bool empty;
    LRK_TRY(lrk_dir_is_empty(path, &empty, err));
    LRK_TRY(lrk_mkdir(path, err));
    lrk_status status = put ? put(ctx, path, err) : LRK_OK;
    if (status == LRK_OK) status = lrk_adapter_save(a, path, err);
    if (status == LRK_OK) status = lrk_manifest_write(manifest, path, err);
    if (status == LRK_OK || !empty) return status;
    lrk_text_files_remove(path);
    lrk_remove_files(path, files, sizeof files / sizeof *files);
    if (made) (void)lrk_remove(path, NULL);
    return status;
}
