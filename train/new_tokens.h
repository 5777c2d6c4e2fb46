/* train/new_tokens.h -- the tokens that a recipe adds: tokens, add_tokens, add_special_tokens, special_tokens,
 * added_tokens_overrides.
 *
 * In the order in which Axolotl adds them: other texts first, then the special tokens by role, tokens (and those of
 * LLaMA-Factory's keys), additional special ones. Ids follow that order.
 */
#ifndef LRK_TRAIN_NEW_TOKENS_H
#define LRK_TRAIN_NEW_TOKENS_H
#include "base/row_list.h"
#include "generate/text_files.h"
#include "recipes/recipe.h"

typedef struct lrk_new_tokens {
    lrk_text_files files; /* of the tokenizer that has them; n 0: the recipe adds none */
    lrk_row_list rows;    /* their ids, ascending; owned */
    size_t before;        /* rows of the embedding as it is stored; lrk_session_open sets it */
} lrk_new_tokens;

/* text, of this path, gets them. LRK_EUSAGE for what cannot be. */
lrk_status lrk_new_tokens_add(lrk_new_tokens *x, const lrk_recipe *r, lrk_model_text *text, const char *path,
                              lrk_err *err);
void lrk_new_tokens_free(lrk_new_tokens *x); /* may be called twice, and on a zeroed one */

#endif /* LRK_TRAIN_NEW_TOKENS_H */
