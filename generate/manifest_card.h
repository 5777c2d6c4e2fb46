/* generate/manifest_card.h -- a model card from a manifest. */
#ifndef LRK_GENERATE_MANIFEST_CARD_H
#define LRK_GENERATE_MANIFEST_CARD_H
#include "base/json.h"

/* "owner/name" of letters, digits, ".", "_" and "-", as the Hugging Face hub has them. */
bool lrk_is_hub_name(const char *s);

/* Appends the text of README.md. What the manifest does not say is left out. */
void lrk_card_print(const lrk_json *manifest, lrk_buf *out);

#endif /* LRK_GENERATE_MANIFEST_CARD_H */
