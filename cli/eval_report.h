/* cli/eval_report.h -- what `eval` prints and writes. */
#ifndef LRK_CLI_EVAL_REPORT_H
#define LRK_CLI_EVAL_REPORT_H
#include "base/file.h"
#include "base/json.h"
#include "train/score.h"

typedef struct lrk_eval_report {
    const char *model, *adapter, *data, *validator; /* adapter, validator: NULL where there is none */
    const lrk_exam *exam;
    const lrk_score *score; /* base, then tuned; or one alone */
    size_t n_scores;
} lrk_eval_report;

void lrk_print_eval(const lrk_eval_report *r);
/* `few` rows that all scores know, evenly spread: question, gold and answers side by side. */
void lrk_print_eval_examples(const lrk_eval_report *r, size_t few);

/* The same figures as JSON. */
lrk_json *lrk_eval_json(const lrk_eval_report *r);
/* One line a row that the last score has wrong: id, where, group, question, gold, answers, verdict. */
lrk_status lrk_eval_failures(const lrk_eval_report *r, lrk_writer *w, size_t *n, lrk_err *err);

/* The group whose name follows `after` (NULL: the first one); NULL at the end. */
const char *lrk_eval_group(const lrk_eval_report *r, const char *after);

#endif /* LRK_CLI_EVAL_REPORT_H */
