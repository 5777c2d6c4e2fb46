/* checkpoint/image_adapter.h -- LoRA files of image models, as kohya's scripts and diffusers write them.
 *
 * One safetensors file. For a linear weight W (out, in) or a convolution W (out, in, h, w) of the base:
 *   linear        W' = W + alpha / R * up * down            up (out, R), down (R, in)
 *   convolution   the same, down (R, in, h, w) as (R, in h w), up (out, R, 1, 1)
 *   with a middle factor, mid (R, R, h, w):   W'[o,i,y,x] += alpha / R * sum_pq up[o,p] mid[p,q,y,x] down[q,i]
 * alpha is a tensor of one element, or in diffusers' "lora_adapter_metadata", or else R.
 *
 * Keys: module + .lora_down.weight | .lora_up.weight | .lora_mid.weight | .alpha (kohya), .lora_A.weight |
 * .lora_B.weight (diffusers, PEFT), .lora.down.weight, .lora_linear_layer.down.weight, .processor.to_q_lora.down.weight
 * (older diffusers). Module names: image_names.h. Everything else in the file (LoHa, LoKr, DoRA, differences,
 * trained embeddings) is refused by name. Tensors may be f32, f16 or bf16; NaN and infinity are refused.
 */
#ifndef LRK_CHECKPOINT_IMAGE_ADAPTER_H
#define LRK_CHECKPOINT_IMAGE_ADAPTER_H
#include "checkpoint/adapter.h"
#include "checkpoint/image_names.h"

typedef struct lrk_image_module {
    lrk_image_part part;
    const char *flat;    /* image_names.h */
    lrk_adapter_module m; /* path: as in the file; a (R, in h w), b (out, R) */
} lrk_image_module;

typedef struct lrk_image_adapter {
    lrk_image_module *module; /* by part and name */
    size_t n;
    lrk_json *metadata; /* of the file, or NULL */
    lrk_arena arena;
} lrk_image_adapter;

lrk_status lrk_image_adapter_load(lrk_image_adapter *a, const char *path, lrk_err *err);
lrk_status lrk_image_adapter_of(lrk_image_adapter *a, const lrk_safetensors *s, lrk_err *err); /* a copy: s may go */
void lrk_image_adapter_free(lrk_image_adapter *a); /* may be called twice, and on a zeroed one */

#endif /* LRK_CHECKPOINT_IMAGE_ADAPTER_H */
