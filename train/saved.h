/* train/saved.h -- what a recipe trains of embedding and head: lora_modules_to_save, peft_trainable_token_indices.
 *
 * As PEFT: where the base ties the two, rows of the embedding are the head's too unless the head is given others; one
 * that is named alone parts them.
 */
#ifndef LRK_TRAIN_SAVED_H
#define LRK_TRAIN_SAVED_H
#include "models/decoder.h"
#include "models/whole.h"
#include "recipes/recipe.h"

typedef struct lrk_saved {
    unsigned bits;         /* of models/whole.h */
    lrk_row_list rows[2];  /* of embedding and head; n 0: all, where the bit is set */
    int32_t *own[2];       /* the memory of these; owned */
} lrk_saved;

/* added: ids of tokens that the recipe adds, whose rows are trained wherever all are not.
 * LRK_EUSAGE for a name or a token that the model has not, and for what cannot be trained together. */
lrk_status lrk_saved_choose(lrk_saved *s, const lrk_recipe *r, const lrk_decoder *d, lrk_row_list added, lrk_err *err);
void lrk_saved_free(lrk_saved *s); /* may be called twice, and on a zeroed one */

#endif /* LRK_TRAIN_SAVED_H */
