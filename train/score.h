/* train/score.h -- how well a model answers an exam.
 *
 *   loss    mean over the trained tokens of the rows, as the training loop computes it
 *   exact   the greedy answer's text is the gold text, blanks around both aside
 *   match   the validator says "equal"       parse   the validator says "parse"
 *
 * An answer ends at an end token, at the length limit, or at a newline behind some text
 * where no gold answer has one.
 */
#ifndef LRK_TRAIN_SCORE_H
#define LRK_TRAIN_SCORE_H
#include "generate/responder.h"
#include "train/exam.h"
#include "train/interval.h"
#include "train/validator.h"

typedef struct lrk_outcome {
    bool asked;       /* one of the rows that this score is about */
    bool answered;    /* and it had a question */
    const char *text; /* the answer, valid UTF-8, no blanks around */
    bool finished;    /* not by the length limit */
    bool exact;
    lrk_verdict verdict;
} lrk_outcome;

typedef struct lrk_score {
    const char *name; /* "base", "tuned" */
    lrk_outcome *outcome; /* one for each row of the exam */
    size_t rows, answered;
    size_t trained; /* tokens under loss */
    lrk_interval loss;
    bool has_match, has_parse; /* the validator says so */
    double seconds;
    lrk_arena arena;
} lrk_score;

typedef struct lrk_score_options {
    const char *name;
    lrk_validator *validator; /* NULL: none */
    size_t rows;              /* some of the exam's, evenly spread; 0: all */
    size_t max_tokens, slots; /* of an answer; answers under way at a time */
    bool (*stop)(void);
    lrk_journal *journal;     /* losses and answers go there, and are taken from there; NULL: none */
} lrk_score_options;

lrk_status lrk_score_make(lrk_score *s, lrk_responder *r, const lrk_exam *x,
                          const lrk_score_options *o, lrk_err *err);
void lrk_score_free(lrk_score *s); /* may be called twice, and on a zeroed one */

/* Right by the task's own match, or exactly where no validator says anything about it. */
bool lrk_outcome_right(const lrk_score *s, size_t row);

typedef enum lrk_measure { LRK_EXACT, LRK_MATCH, LRK_PARSE } lrk_measure;

/* How many of how many answers; group NULL: of all rows. */
size_t lrk_score_count(const lrk_score *s, const lrk_exam *x, lrk_measure m, const char *group,
                       size_t *of);

/* Rows that both were asked: right in b alone, right in a alone. */
void lrk_score_compare(const lrk_score *a, const lrk_score *b, const lrk_exam *x, size_t *wins,
                       size_t *losses, size_t *both);

#endif /* LRK_TRAIN_SCORE_H */
