/* cli/exam_args.h -- the model and the rows that a command is about: a run directory, options, or both. */
#ifndef LRK_CLI_EXAM_ARGS_H
#define LRK_CLI_EXAM_ARGS_H
#include "base/arena.h"
#include "recipes/recipe.h"

/* Zero-initialize, but for arena; fields of the first two lines are given by options or NULL. After
 * lrk_exam_args_resolve model, adapter and recipe are what is to be opened; data names the rows in
 * reports. */
typedef struct lrk_exam_args {
    const char *run, *model, *adapter, *data;
    const char *split, *prompt, *completion, *chat_template;
    lrk_arena arena; /* growing; the caller's to free */
    lrk_recipe recipe;
    lrk_recipe_dataset entry; /* of data */
} lrk_exam_args;

/* The run's recipe or a default one, with the options put in: base_model, test_datasets, chat_template.
 * LRK_EUSAGE where neither names a model or rows. */
lrk_status lrk_exam_args_resolve(lrk_exam_args *a, lrk_err *err);

#endif /* LRK_CLI_EXAM_ARGS_H */
