/* checkpoint/merge_image.h -- a LoRA file merged into the weights of an image model: one safetensors file in,
 * one out.
 *
 *     W' = round(W + alpha / R * up * down)      as in merge.h, a convolution as a matrix (out, in h w)
 *     where W holds queries, keys and values, one below the other, each module is for its third of the rows
 *
 * The base is a whole model in the original's layout, or a part in that of diffusers
 * (unet/diffusion_pytorch_model.safetensors, text_encoder/model.safetensors). The ledger: every module of the
 * adapter is used exactly once, or that of `part`; every targeted tensor differs from the base (but where
 * lora_up is zero, as trainers leave parts that were switched off) and every other one is equal to it, on the
 * file that was written, read back. Nothing stays where that fails. The base's metadata go along, but for
 * hashes, which were those of other weights, and for what a merge before this one noted.
 */
#ifndef LRK_CHECKPOINT_MERGE_IMAGE_H
#define LRK_CHECKPOINT_MERGE_IMAGE_H
#include "checkpoint/image_adapter.h"
#include "checkpoint/merge.h"

typedef struct lrk_image_merge {
    const lrk_safetensors *base; /* tensors in the report are named by it, and live as long */
    const char *out;        /* a file; nothing may be there */
    lrk_image_part part;    /* merge the modules of this one only; LRK_IMAGE_ANY: all */
    const lrk_file_type *type; /* f32, f16, bf16 for all floats; NULL: as stored */
    const lrk_merge_file *extra; /* manifest and model card: notes LRK_GGUF_FILE NAME of the metadata */
    size_t n_extra;
} lrk_image_merge;

lrk_status lrk_merge_image(const lrk_image_adapter *a, const lrk_image_merge *how, lrk_merge_report *report,
                           lrk_err *err);

#endif /* LRK_CHECKPOINT_MERGE_IMAGE_H */
