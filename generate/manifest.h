/* generate/manifest.h -- what an output says about itself: manifest.json and a model card.
 *
 *   {"format": "lorikeet-manifest", "version": 1, "output": "PEFT adapter", "program": {name, version},
 *    "base": {"name", "sha256", "license", ...},           generate/manifest_base.h
 *    "trained_for": [{"name", "sha256"}, ...],             where that is not this base, or not this one alone
 *    "source": {"name", "sha256"},                         of a converted model: what it was converted from
 *    "adapter": {"modules", "rank", "alpha", "sha256"},    the hash is lrk_adapter_sha256; of an image model that of
 *                                                          the file, which has a "name" too;
 *                                                          "trained_rows": {"lm_head": 2}, of embedding and head
 *    "vocabulary": {"new_tokens": [...], "rows_before", "rows"},  tokens that a recipe added; rows of the embedding
 *    "combined": {"method", "adapters": [...], ...},       of several adapters as one: lrk_manifest_new_combined
 *    "training": {...}, "data": [...], "recipe": {...}}    as far as known: train/manifest.h
 *
 * What is made of an output says what that said: an adapter's training, data, recipe and parts go into each merge,
 * export and combination; a model that is converted keeps all that its manifest has; one that is the base of something
 * new has it under base.made_from.
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

/* A manifest for the caller to free. base NULL: the adapter's word on it. adapter NULL: none, a model is converted.
 * `from`: the adapter's own manifest, or NULL; the base's is found beside it or in it. */
lrk_status lrk_manifest_new(lrk_json **out, const char *output, const lrk_weights *base,
                            const lrk_adapter *adapter, const lrk_json *from, lrk_err *err);

/* The same of a LoRA file merged into an image model. License: the base's modelspec.license, or that of the README.md
 * beside it, or beside the folder that diffusers has for the part. Steps and seed: as kohya's scripts note them. */
lrk_status lrk_manifest_new_image(lrk_json **out, const lrk_safetensors *base, const lrk_image_adapter *adapter,
                                  const char *adapter_path, lrk_err *err);

/* Of several adapters as one. combined: method and figures, which this takes over and adds "adapters" to: [{"name",
 * "sha256" of the file, "weight", "base", "training", "data", "recipe", ...}]. */
typedef struct lrk_manifest_part {
    const char *path;
    const lrk_adapter *adapter;
    const lrk_json *manifest; /* its own, or NULL */
    double weight;
} lrk_manifest_part;
lrk_status lrk_manifest_new_combined(lrk_json **out, const lrk_adapter *adapter, const lrk_manifest_part *part,
                                     size_t n, lrk_json *combined, lrk_err *err);

/* An object with format, version, output and program. */
lrk_json *lrk_manifest_blank(const char *output);

/* Sets what `from`, a manifest or NULL, knows of a training: its "training", "data", "recipe", "start",
 * "combined" and "vocabulary". */
void lrk_manifest_keep(lrk_json *object, const lrk_json *from);

/* Adds the bases that an adapter with this manifest (or NULL) was trained for to a list, each once. */
void lrk_manifest_add_trained_for(lrk_json *list, const lrk_adapter *adapter, const lrk_json *from);

/* Whether it was trained on plain prompts, without a chat template; of a combination, all of its parts. */
bool lrk_manifest_trained_plain(const lrk_json *m);
/* Says of one that is so, called `name`, how it is asked. */
void lrk_manifest_note_plain(const char *name);

/* Sets "name" and the "sha256" of all of the file at path. */
lrk_status lrk_manifest_put_file(lrk_json *object, const char *name, const char *path, lrk_err *err);

/* That of a directory or a GGUF file; *out NULL where there is none. LRK_EINPUT where it is no manifest. */
lrk_status lrk_manifest_load(lrk_json **out, const char *output, lrk_err *err);

/* A manifest.json by itself. */
lrk_status lrk_manifest_load_file(lrk_json **out, const char *path, lrk_err *err);
/* The same of a model: *out NULL also where it has a file of this name that is something else. */
lrk_status lrk_manifest_of_model(lrk_json **out, const char *model, lrk_err *err);

/* Both texts, the files to hand to a merge, and what a GGUF file says of itself in keys; files point into it, the
 * keys into the manifest. */
typedef struct lrk_manifest_text {
    lrk_buf manifest, card;
    lrk_merge_file file[2];
    lrk_gguf_origin origin;
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
