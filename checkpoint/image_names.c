/* checkpoint/image_names.c -- one manner of naming image models from the others. */
#include "checkpoint/image_names.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST = 200 }; /* flat name that may get another number: none of these models has such a long one */

static const char *const parts[LRK_IMAGE_PARTS] = {"", "unet", "text_encoder", "text_encoder_2", "another part"};

const char *lrk_image_part_name(lrk_image_part part) { return parts[part]; }

lrk_image_part lrk_image_part_find(const char *name)
{
    lrk_image_part p = LRK_IMAGE_UNET;
    while (p < LRK_IMAGE_OTHER && strcmp(parts[p], name) != 0) p++;
    return p < LRK_IMAGE_OTHER ? p : LRK_IMAGE_PARTS;
}

typedef struct prefix {
    const char *text;
    lrk_image_part part;
} prefix;

static const prefix of_adapter[] = {
    {"lora_unet_", LRK_IMAGE_UNET},
    {"lora_te_", LRK_IMAGE_TEXT},
    {"lora_te1_", LRK_IMAGE_TEXT},
    {"lora_te2_", LRK_IMAGE_TEXT_2},
    {"unet.", LRK_IMAGE_UNET},
    {"transformer.", LRK_IMAGE_UNET},
    {"text_encoder.", LRK_IMAGE_TEXT},
    {"text_encoder_2.", LRK_IMAGE_TEXT_2},
};

static const prefix of_base[] = {
    {"model.diffusion_model.", LRK_IMAGE_UNET},
    {"cond_stage_model.transformer.", LRK_IMAGE_TEXT},
    {"cond_stage_model.model.transformer.", LRK_IMAGE_TEXT},
    {"cond_stage_model.", LRK_IMAGE_OTHER},
    {"conditioner.embedders.0.transformer.", LRK_IMAGE_TEXT},
    {"conditioner.embedders.1.model.transformer.", LRK_IMAGE_TEXT_2},
    {"conditioner.embedders.", LRK_IMAGE_OTHER},
    {"first_stage_model.", LRK_IMAGE_OTHER},
};

bool lrk_image_flat(const char *name, size_t n, bool adapter, lrk_image_part *part, char flat[LRK_FLAT_MAX])
{
    const prefix *list = adapter ? of_adapter : of_base;
    const size_t n_list = adapter ? sizeof of_adapter / sizeof *of_adapter : sizeof of_base / sizeof *of_base;
    *part = LRK_IMAGE_ANY;
    for (size_t i = 0; i < n_list; i++) {
        const size_t k = strlen(list[i].text);
        if (n <= k || strncmp(name, list[i].text, k) != 0) continue;
        *part = list[i].part;
        name += k;
        n -= k;
        break;
    }
    if (n >= LRK_FLAT_MAX) return false;
    for (size_t i = 0; i < n; i++) flat[i] = name[i] == '.' ? '_' : name[i];
    flat[n] = '\0';
    return true;
}

/* What a residual block calls its layers. */
static void residual(const char *layer, char *out, size_t room)
{
    static const char *const names[][2] = {
        {"norm1", "in_layers_0"}, {"conv1", "in_layers_2"},           {"norm2", "out_layers_0"},
        {"conv2", "out_layers_3"}, {"time_emb_proj", "emb_layers_1"}, {"conv_shortcut", "skip_connection"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(layer, names[i][0]) == 0) layer = names[i][1];
    snprintf(out, room, "%s", layer);
}

static bool number(const char **s, unsigned *out)
{
    unsigned n = 0;
    int digits = 0;
    for (; **s >= '0' && **s <= '9'; digits++) n = n * 10 + (unsigned)(*(*s)++ - '0');
    *out = n;
    return digits == 1 || digits == 2;
}

static bool word(const char **s, const char *w)
{
    const size_t n = strlen(w);
    if (strncmp(*s, w, n) != 0) return false;
    *s += n;
    return true;
}

/* "KIND_i_WHAT_j" and what follows */
static bool numbered(const char *flat, const char *kind, unsigned *i, const char *what, unsigned *j, const char **rest)
{
    *rest = flat;
    return word(rest, kind) && number(rest, i) && word(rest, what) && number(rest, j);
}

/* Levels of two blocks going down and of three going up, as all of these models have. */
static bool in_blocks(const char *flat, char out[LRK_FLAT_MAX])
{
    unsigned i = 0, j = 0;
    const char *rest;
    char layer[LRK_FLAT_MAX];
    if (numbered(flat, "down_blocks_", &i, "_resnets_", &j, &rest) && word(&rest, "_")) {
        residual(rest, layer, sizeof layer);
        snprintf(out, LRK_FLAT_MAX, "input_blocks_%u_0_%.*s", 3 * i + j + 1, LONGEST, layer);
    } else if (numbered(flat, "down_blocks_", &i, "_attentions_", &j, &rest) && word(&rest, "_")) {
        snprintf(out, LRK_FLAT_MAX, "input_blocks_%u_1_%.*s", 3 * i + j + 1, LONGEST, rest);
    } else if (numbered(flat, "down_blocks_", &i, "_downsamplers_", &j, &rest) && strcmp(rest, "_conv") == 0) {
        snprintf(out, LRK_FLAT_MAX, "input_blocks_%u_0_op", 3 * i + 3);
    } else if (numbered(flat, "up_blocks_", &i, "_resnets_", &j, &rest) && word(&rest, "_")) {
        residual(rest, layer, sizeof layer);
        snprintf(out, LRK_FLAT_MAX, "output_blocks_%u_0_%.*s", 3 * i + j, LONGEST, layer);
    } else if (numbered(flat, "up_blocks_", &i, "_attentions_", &j, &rest) && word(&rest, "_")) {
        snprintf(out, LRK_FLAT_MAX, "output_blocks_%u_1_%.*s", 3 * i + j, LONGEST, rest);
    } else if (numbered(flat, "up_blocks_", &i, "_upsamplers_", &j, &rest) && strcmp(rest, "_conv") == 0) {
        snprintf(out, LRK_FLAT_MAX, "output_blocks_%u_up_conv", 3 * i + 2);
    } else if (numbered(flat, "output_blocks_", &i, "_", &j, &rest) && strcmp(rest, "_conv") == 0) {
        /* number 1 or 2, by whether the level has attention */
        snprintf(out, LRK_FLAT_MAX, "output_blocks_%u_up_conv", i);
    } else {
        return false;
    }
    return true;
}

static bool in_the_middle(const char *flat, char out[LRK_FLAT_MAX])
{
    char layer[LRK_FLAT_MAX];
    const char attention[] = "mid_block_attentions_0_", first[] = "mid_block_resnets_0_",
               second[] = "mid_block_resnets_1_";
    if (strncmp(flat, attention, sizeof attention - 1) == 0) {
        snprintf(out, LRK_FLAT_MAX, "middle_block_1_%.*s", LONGEST, flat + sizeof attention - 1);
        return true;
    }
    const bool is_first = strncmp(flat, first, sizeof first - 1) == 0;
    if (!is_first && strncmp(flat, second, sizeof second - 1) != 0) return false;
    residual(flat + sizeof first - 1, layer, sizeof layer);
    snprintf(out, LRK_FLAT_MAX, "middle_block_%d_%.*s", is_first ? 0 : 2, LONGEST, layer);
    return true;
}

/* "text_model_encoder_layers_N_" and what follows */
static bool in_text(const char *flat, unsigned *layer, const char **rest)
{
    *rest = flat;
    return word(rest, "text_model_encoder_layers_") && number(rest, layer) && word(rest, "_");
}

/* OpenCLIP's layers. */
static bool in_open_clip(const char *flat, char out[LRK_FLAT_MAX])
{
    static const char *const names[][2] = {
        {"self_attn_out_proj", "attn_out_proj"}, {"mlp_fc1", "mlp_c_fc"}, {"mlp_fc2", "mlp_c_proj"}};
    unsigned layer;
    const char *rest;
    if (!in_text(flat, &layer, &rest)) return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(rest, names[i][0]) != 0) continue;
        snprintf(out, LRK_FLAT_MAX, "resblocks_%u_%s", layer, names[i][1]);
        return true;
    }
    return false;
}

bool lrk_image_third(const char *flat, char whole[LRK_FLAT_MAX], size_t *third)
{
    static const char *const names[LRK_IMAGE_THIRDS] = {"self_attn_q_proj", "self_attn_k_proj", "self_attn_v_proj"};
    unsigned layer;
    const char *rest;
    if (!in_text(flat, &layer, &rest)) return false;
    for (*third = 0; *third < LRK_IMAGE_THIRDS && strcmp(rest, names[*third]) != 0;) ++*third;
    snprintf(whole, LRK_FLAT_MAX, "resblocks_%u_attn_in_proj", layer);
    return *third < LRK_IMAGE_THIRDS;
}

void lrk_image_original(const char *flat, char original[LRK_FLAT_MAX])
{
    static const char *const names[][2] = {
        {"conv_in", "input_blocks_0_0"},
        {"conv_out", "out_2"},
        {"time_embedding_linear_1", "time_embed_0"},
        {"time_embedding_linear_2", "time_embed_2"},
        {"add_embedding_linear_1", "label_emb_0_0"},
        {"add_embedding_linear_2", "label_emb_0_2"},
    };
    const bool short_enough = strlen(flat) <= LONGEST;
    if (short_enough && (in_blocks(flat, original) || in_the_middle(flat, original) || in_open_clip(flat, original)))
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(flat, names[i][0]) == 0) flat = names[i][1];
    snprintf(original, LRK_FLAT_MAX, "%s", flat);
}
