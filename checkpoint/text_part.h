/* checkpoint/text_part.h -- the language model inside a model of images and text.
 *
 * A directory of Gemma3ForConditionalGeneration holds Gemma3ForCausalLM beside vision_tower and multi_modal_projector;
 * wrappers.def lists the classes that are built so. Everything here sees that part alone, under the names and the
 * configuration of its own class; what is written for others has their names again:
 *
 *   here                   model.layers.0...                  lm_head
 *   file                   language_model.model.layers.0...   language_model.lm_head
 *   file, and PEFT today   model.language_model.layers.0...   lm_head
 *
 * Its configuration is text_config, where keys that are absent mean what the class says, and of the outer one the
 * tokens that end a text and whether the head is tied. Source: transformers 5.17, conversion_mapping.py; names in
 * adapters are those of peft 0.21 with it.
 *
 * Inside checkpoint/ only. */
#ifndef LRK_CHECKPOINT_TEXT_PART_H
#define LRK_CHECKPOINT_TEXT_PART_H
#include "base/arena.h"
#include "base/json.h"
#include "base/tensor.h"
#include "checkpoint/adapter.h"

/* How a file calls the part. */
typedef enum lrk_text_names { LRK_TEXT_FIRST, LRK_TEXT_BELOW_MODEL } lrk_text_names;

/* *text: the configuration of the part, which the caller frees; NULL where config is not that of such a model.
 * LRK_EINPUT where text_config is no object. */
lrk_status lrk_text_part_config(const lrk_json *config, const char *where, lrk_json **text, lrk_err *err);

/* A name of the file as it is here; *names: how the file has it, left alone by names of a head. False: it is not one of
 * the part. */
bool lrk_text_part_here(const char *stored, lrk_text_names *names, char out[LRK_NAME_MAX]);
/* The other way. */
void lrk_text_part_stored(const char *here, lrk_text_names names, char out[LRK_NAME_MAX]);

/* t[0 .. *n - 1] become those of the part, renamed; the others move to beside, in the order of the file, which belongs
 * to a. */
lrk_status lrk_text_part_split(lrk_tensor *t, size_t *n, lrk_tensor **beside, size_t *n_beside, lrk_text_names *names,
                               lrk_arena *a, lrk_err *err);

/* The tensors of an adapter of such a model get the names they have here, and a->part is set. PEFT puts adapters beside
 * layers for images too where target_modules is a list; they are passed over where their B is zero, as it stays when
 * text alone was trained. LRK_ESUPPORT for others. */
lrk_status lrk_text_part_adapter(lrk_adapter *a, lrk_safetensors *s, lrk_err *err);
/* Whether a key of an adapter belongs to what is beside the language model. */
bool lrk_text_part_is_beside(const char *key);

#endif /* LRK_CHECKPOINT_TEXT_PART_H */
