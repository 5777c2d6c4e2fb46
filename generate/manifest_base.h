/* generate/manifest_base.h -- what a manifest says of the model that an output was made of.
 *
 *   {"name", "sha256", "architecture", "license", "license_name", "license_link", "base_model": [...],
 *    "made_from": {...}}
 *
 * base_model: what the model itself was made of, as the front matter of its README.md or general.base_model of its
 * GGUF file names it. made_from: of a model that was merged or converted here what its own manifest says, so that
 * nothing is lost however often something is made of something. What nobody says is absent.
 */
#ifndef LRK_GENERATE_MANIFEST_BASE_H
#define LRK_GENERATE_MANIFEST_BASE_H
#include "checkpoint/weights.h"

/* Text out of a stranger's file: left out where it is empty or no UTF-8. */
void lrk_manifest_set_strange(lrk_json *object, const char *key, const char *text);

/* The name that a model gives itself, else that of its file or directory. */
void lrk_manifest_set_name(lrk_json *object, const char *name, const char *path);

/* Sets license, license_name, license_link and, where bases are wanted, base_model as the front matter of a README.md
 * there has them. */
lrk_status lrk_manifest_put_front(lrk_json *object, const char *directory, bool bases, lrk_arena *a, lrk_err *err);

/* own: the base's own manifest, or NULL. known: what was said of these weights before, or NULL; where the hash is the
 * same it goes before the name of the path, and what is not found again is taken from it. */
lrk_status lrk_manifest_put_base(lrk_json *object, const lrk_weights *base, const lrk_json *own, const lrk_json *known,
                                 lrk_err *err);

#endif /* LRK_GENERATE_MANIFEST_BASE_H */
