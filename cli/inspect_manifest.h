/* cli/inspect_manifest.h -- a manifest (generate/manifest.h) or certificate (train/certificate.h) in a few lines. */
#ifndef LRK_CLI_INSPECT_MANIFEST_H
#define LRK_CLI_INSPECT_MANIFEST_H
#include "base/json.h"

/* Appends lines of two blanks, a word and what there is to say: base, what it was trained for, parts, data, recipe,
 * figures. Text of strangers stands in quotes, escaped as in JSON. */
void lrk_inspect_manifest(const lrk_json *manifest, lrk_buf *out);
/* A line for each output: KL divergence, same top token and loss where they were measured. */
void lrk_inspect_certificate(const lrk_json *certificate, lrk_buf *out);

#endif /* LRK_CLI_INSPECT_MANIFEST_H */
