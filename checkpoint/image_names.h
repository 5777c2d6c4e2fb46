/* checkpoint/image_names.h -- names of the modules of image models (Stable Diffusion 1, 2, XL and what is laid
 * out like them), which come in three manners:
 *   diffusers   down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q     a file for each part
 *   original    model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q     one file
 *   kohya       lora_unet_down_blocks_1_attentions_0_...: either of them, every dot an underscore
 * To find one in another, dots become underscores and blocks get the numbers of the original. Sources: the
 * tables of diffusers, scripts/convert_diffusers_to_original_stable_diffusion.py, and of kohya-ss/sd-scripts,
 * library/sdxl_model_util.py; facts only. The text encoder of Stable Diffusion 2 and the second one of XL have
 * OpenCLIP's names in the original, and queries, keys and values are thirds of one matrix there.
 */
#ifndef LRK_CHECKPOINT_IMAGE_NAMES_H
#define LRK_CHECKPOINT_IMAGE_NAMES_H
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { LRK_FLAT_MAX = 256 };

typedef enum lrk_image_part {
    LRK_IMAGE_ANY, /* the name does not say */
    LRK_IMAGE_UNET, /* or the transformer that takes its place */
    LRK_IMAGE_TEXT,
    LRK_IMAGE_TEXT_2,
    LRK_IMAGE_OTHER, /* nothing that adapters change */
    LRK_IMAGE_PARTS
} lrk_image_part;

/* "unet", "text_encoder", "text_encoder_2"; find: LRK_IMAGE_PARTS where it is none of them. */
const char *lrk_image_part_name(lrk_image_part part);
lrk_image_part lrk_image_part_find(const char *name);

/* A name of the adapter or of the base without its ending: its part, and the rest with underscores. False
 * where it is too long. An adapter's prefix may be of kohya ("lora_unet_", "lora_te1_") or of diffusers
 * ("unet.", "text_encoder_2."). */
bool lrk_image_flat(const char *name, size_t n, bool adapter, lrk_image_part *part, char flat[LRK_FLAT_MAX]);

/* A flat name with the numbers of the original; a copy where it has no other. */
void lrk_image_original(const char *flat, char original[LRK_FLAT_MAX]);

/* A projection of queries, keys or values of a text encoder: OpenCLIP's matrix of all three, and which third it is;
 * false for other names. */
enum { LRK_IMAGE_THIRDS = 3 };
bool lrk_image_third(const char *flat, char whole[LRK_FLAT_MAX], size_t *third);

#endif /* LRK_CHECKPOINT_IMAGE_NAMES_H */
