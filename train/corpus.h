/* train/corpus.h -- the token sets that the datasets of a recipe name.
 *
 * An entry is a data set made by `lorikeet data import`, or JSONL, which is imported first: into a
 * file beside it that is named by a hash of the bytes and of how they are read (data/import.h).
 */
#ifndef LRK_TRAIN_CORPUS_H
#define LRK_TRAIN_CORPUS_H
#include "data/tokens.h"
#include "generate/model_text.h"
#include "recipes/recipe.h"

typedef struct lrk_corpus {
    lrk_tokens **set;
    lrk_template **chat; /* one a set; NULL where it needs none */
    size_t n;
    lrk_token_report total;
    lrk_arena arena;
} lrk_corpus;

lrk_status lrk_corpus_open(lrk_corpus *c, const lrk_recipe *r, const lrk_recipe_datasets *list,
                           const lrk_model_text *text, lrk_err *err);
void lrk_corpus_close(lrk_corpus *c); /* may be called twice, and on a zeroed one */

/* The template that conversations of r->datasets were trained with. Of several it is that of the first data
 * set. Lives as long as c and r. */
typedef struct lrk_corpus_chat {
    const char *choice; /* as in a recipe; LRK_CHAT_TEMPLATE_NONE where there are no conversations */
    const char *text;   /* NULL where it is the model's own, or where there are none */
    bool several;
} lrk_corpus_chat;
lrk_corpus_chat lrk_corpus_template(const lrk_corpus *c, const lrk_recipe *r);

/* Where the data set of an entry lies; a JSONL entry is imported if it has to be. In a. */
lrk_status lrk_corpus_dataset(const lrk_recipe_dataset *entry, lrk_arena *a, const char **path,
                              lrk_err *err);

#endif /* LRK_TRAIN_CORPUS_H */
