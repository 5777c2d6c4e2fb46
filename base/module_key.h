/* base/module_key.h -- modules by the keys of PEFT's rank_pattern and alpha_pattern.
 *
 * A key matches a module path as Python's re.match(rf"(.*\.)?({key})$", path) does: it is a regular expression for
 * the end of the path, from a dot on. Source: huggingface/peft, utils/other.py, get_pattern_key.
 */
#ifndef LRK_BASE_MODULE_KEY_H
#define LRK_BASE_MODULE_KEY_H
#include "base/status.h"

#include <stdbool.h>

/* path NULL: only whether the key can be understood, LRK_EUSAGE where not. */
lrk_status lrk_module_key_matches(const char *key, const char *path, bool *matches, lrk_err *err);

#endif /* LRK_BASE_MODULE_KEY_H */
