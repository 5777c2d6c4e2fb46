/* cli/inspect_tensors.h -- the tensors of a file for people: a line each, or one for all that differ in their
 * numbers. */
#ifndef LRK_CLI_INSPECT_TENSORS_H
#define LRK_CLI_INSPECT_TENSORS_H
#include "base/arena.h"
#include "base/json.h"

/* tensors: objects with name, type, shape and bytes, in the order of their numbers. Tensors of one type and shape whose
 * names differ in numbers between dots (layers, experts) are one line, "blk.{0-29}.attn_q.weight", with how many they
 * are and their bytes; with `all` each has its own. *folded: whether a line stands for several. */
lrk_status lrk_inspect_tensors(const lrk_json *tensors, bool all, lrk_arena *a, bool *folded, lrk_err *err);

#endif /* LRK_CLI_INSPECT_TENSORS_H */
