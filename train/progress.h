/* train/progress.h -- how a run is doing, for the person who waits: on a terminal one line that is
 * rewritten, elsewhere a line every ten seconds.
 *
 *   120/375  mean loss 0.341  lr 9.1e-04  212 tok/s (118 trained)  ETA 4:32  412 MB
 *
 * Loss and speeds are means of which the last ten steps make two thirds; memory is the peak. The last line
 * stays. A mean loss far above the first one is warned of, once.
 */
#ifndef LRK_TRAIN_PROGRESS_H
#define LRK_TRAIN_PROGRESS_H
#include "train/metrics.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct lrk_progress {
    uint64_t total;
    double tokens, trained, seconds, steps; /* of the last steps, older ones counting less */
    double loss, loss_weight;               /* the same */
    double shown;                           /* when the last line was shown */
    uint64_t all_tokens;                    /* of this process */
    double all_seconds;
    double first_loss;
    bool any, warned;
} lrk_progress;

/* total: optimizer steps of the whole run, those before a resume included. */
void lrk_progress_begin(lrk_progress *p, uint64_t total);
/* The loss of a step before a resume, oldest first. */
void lrk_progress_recall(lrk_progress *p, double loss);
void lrk_progress_step(lrk_progress *p, const lrk_step_record *r);
void lrk_progress_end(void);

/* The line; what lrk_progress_step shows. */
void lrk_progress_format(const lrk_progress *p, const lrk_step_record *r, char *out, size_t size);

/* "4:32", "1:04:32", "2d 4h" */
void lrk_duration(double seconds, char *out, size_t size);

#endif /* LRK_TRAIN_PROGRESS_H */
