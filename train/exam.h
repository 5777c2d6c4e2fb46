/* train/exam.h -- the rows of a data set as questions with their right answers.
 *
 * Rows pass through the code that prepares them for training, so a question has exactly the tokens
 * that training would show: the answer is the last trained stretch of the row (a completion, the
 * last trained turn of a conversation), the question everything before it. Plain text has no
 * question; only its loss is of interest.
 */
#ifndef LRK_TRAIN_EXAM_H
#define LRK_TRAIN_EXAM_H
#include "generate/model_text.h"
#include "recipes/recipe.h"

typedef struct lrk_exam_row {
    const char *id;      /* JSON: the row's own "id" (JSON Lines), else where it stands */
    const char *where;   /* "test.jsonl:14" */
    const char *group;   /* value of the member group_by; NULL: none */
    const char *question, *gold; /* as people read them: no special tokens, no blanks around */
    const uint32_t *ids;
    const uint8_t *mask; /* 1: a target */
    size_t n, n_question, n_trained;
    bool answerable;
    uint32_t source; /* of line, for reading the file again */
    uint64_t line;
} lrk_exam_row;

typedef struct lrk_exam {
    lrk_exam_row *row; /* in the order of the data */
    size_t n;
    size_t longest_row, longest_question; /* tokens */
    size_t answerable;
    bool one_line; /* no right answer holds a newline, so a newline ends an answer */
    lrk_arena arena;
} lrk_exam;

typedef struct lrk_exam_options {
    /* test_datasets; without any, the rows that val_set_size keeps out of datasets. Masks are those
     * of answers even where the recipe trains on inputs. */
    const lrk_recipe *recipe;
    const char *group_by; /* member of JSON Lines rows; NULL: none */
    size_t rows;          /* at most, evenly spread over the data; 0: all */
} lrk_exam_options;

lrk_status lrk_exam_open(lrk_exam *x, const lrk_exam_options *o, const lrk_model_text *text,
                         lrk_err *err);
void lrk_exam_close(lrk_exam *x); /* may be called twice, and on a zeroed one */

/* Is item i of n one of `few` that are evenly spread over them? few 0: all are. */
bool lrk_evenly(size_t i, size_t n, size_t few);

#endif /* LRK_TRAIN_EXAM_H */
