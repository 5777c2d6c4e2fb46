/* generate/swap_template.h -- another chat template in a tokenizer_config.json.
 *
 * transformers reads chat_template.jinja first, llama.cpp's converter the member chat_template of
 * tokenizer_config.json: an output has the text that was trained with in both.
 */
#ifndef LRK_GENERATE_SWAP_TEMPLATE_H
#define LRK_GENERATE_SWAP_TEMPLATE_H
#include "base/arena.h"

/* Appends the file of this path to out, the value of its member chat_template replaced and every other
 * byte as it was; out stays empty where the file or the member is not there. LRK_EINPUT where the file
 * is no object of JSON, LRK_ESUPPORT where the member's name is written with escapes. */
lrk_status lrk_swap_template(const char *path, const char *template, lrk_buf *out, lrk_err *err);

#endif /* LRK_GENERATE_SWAP_TEMPLATE_H */
