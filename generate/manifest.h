/* generate/manifest.h -- what an output says about itself: manifest.json and a model card.
 *
 *   {"format": "lorikeet-manifest", "version": 1, "output": "PEFT adapter", "program": {name, version},
 *    "base": {"name", "sha256", "license", "architecture"},
 *    "adapter": {"modules", "rank", "alpha"},              of an image model also "name", "sha256"
 *    "combined": {"method", "adapters": [...], ...},       of several adapters as one: cli/cmd_combine.c
 *    "training": {...}, "data": [...], "recipe": {...}}    as far as known: train/manifest.h
 *
 * A directory has it as a file, a GGUF file as the key LRK_GGUF_FILE manifest.json, a safetensors file by itself as
 * a note of that name.
 * The card, README.md, is made of it: the front matter that the Hugging Face hub reads, tables, and
 * what is open. Neither holds a time or a machine, but for paths as they were given: equal runs say the same.
 */
#ifndef LRK_GENERATE_MANIFEST_H
#define LRK_GENERATE_MANIFEST_H
#include "checkpoint/image_adapter.h"
#include "checkpoint/merge.h"

#define LRK_MANIFEST "manifest.json"
#define LRK_MODEL_CARD "README.md"

/* A manifest for the caller to free. base NULL: the adapter's word on it. adapter NULL: none. What was
 * there of training, data and recipe in `from` (the adapter's own manifest, or NULL) is taken over. */
lrk_status lrk_manifest_new(lrk_json **out, const char *output, const lrk_weights *base,
                            const lrk_adapter *adapter, const lrk_json *from, lrk_err *err);

/* The same of a LoRA file merged into an image model. License: the base's modelspec.license, or that of the README.md
 * beside it, or beside the folder that diffusers has for the part. Steps and seed: as kohya's scripts note them. */
lrk_status lrk_manifest_new_image(lrk_json **out, const lrk_safetensors *base, const lrk_image_adapter *adapter,
                                  const char *adapter_path, lrk_err *err);

/* Sets what `from`, a manifest or NULL, knows of a training: its "training", "data" and "recipe". */
void lrk_manifest_keep(lrk_json *object, const lrk_json *from);

/* Sets "name" and the "sha256" of all of the file at path. */
lrk_status lrk_manifest_put_file(lrk_json *object, const char *name, const char *path, lrk_err *err);

/* That of a directory or a GGUF file; *out NULL where there is none. LRK_EINPUT where it is no manifest. */
lrk_status lrk_manifest_load(lrk_json **out, const char *output, lrk_err *err);

/* Both texts, and the files to hand to a merge; they point into it. */
typedef struct lrk_manifest_text {
    lrk_buf manifest, card;
    lrk_merge_file file[2];
} lrk_manifest_text;
lrk_status lrk_manifest_print(const lrk_json *m, lrk_manifest_text *out, lrk_err *err);
void lrk_manifest_text_free(lrk_manifest_text *t); /* may be called on a zeroed one */

/* An adapter as a GGUF file (checkpoint/adapter.h) that carries both. */
lrk_status lrk_manifest_save_gguf(const lrk_adapter *a, const lrk_weights *base, const lrk_json *from,
                                  const char *path, lrk_err *err);

/* Both files into a directory that is there. */
lrk_status lrk_manifest_write(const lrk_json *m, const char *directory, lrk_err *err);
/* A new manifest, written. */
lrk_status lrk_manifest_describe(const char *directory, const char *output, const lrk_weights *base,
                                 const lrk_adapter *adapter, const lrk_json *from, lrk_err *err);

#endif /* LRK_GENERATE_MANIFEST_H */
