/* train/validator.h -- the task's own judge of answers: a program that plugs in.
 *
 * The program is started once, under `sh -c`. For each answer it gets one line
 *     {"id": 7, "pred": "the model's answer", "gold": "the right one"}
 * and must answer at once (flush!) with one line that has at least the same id, and any of
 *     "parse"  bool    the answer is well-formed
 *     "valid"  bool    and means something
 *     "equal"  bool    and means what gold means: the task's own match
 *     "class"  string  what kind of answer or mistake it is
 *     "note"   string  for people
 * Further members are its own affair. It ends when its standard input does.
 */
#ifndef LRK_TRAIN_VALIDATOR_H
#define LRK_TRAIN_VALIDATOR_H
#include "base/status.h"

#include <stdbool.h>

/* -1: not said */
typedef struct lrk_verdict {
    int parse, valid, equal;
    char class[32], note[200]; /* cut to fit */
} lrk_verdict;

typedef struct lrk_validator lrk_validator;

lrk_status lrk_validator_open(lrk_validator **v, const char *command, lrk_err *err);

/* id: a JSON value, as text. LRK_EINPUT, with command and id, where the program ends, stays silent
 * for LRK_VALIDATOR_SECONDS, or answers something else than described above. */
lrk_status lrk_validator_ask(lrk_validator *v, const char *id, const char *pred, const char *gold,
                             lrk_verdict *verdict, lrk_err *err);

void lrk_validator_close(lrk_validator *v); /* NULL is fine */

enum { LRK_VALIDATOR_SECONDS = 20 };

#endif /* LRK_TRAIN_VALIDATOR_H */
