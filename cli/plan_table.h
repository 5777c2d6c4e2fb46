/* cli/plan_table.h -- the table of `plan`, which `train` prints too. */
#ifndef LRK_CLI_PLAN_TABLE_H
#define LRK_CLI_PLAN_TABLE_H
#include "train/plan.h"

void lrk_print_plan(const lrk_plan *p, const lrk_session *s);

#endif /* LRK_CLI_PLAN_TABLE_H */
