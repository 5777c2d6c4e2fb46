/* cli/json_out.h -- what commands say as JSON. */
#ifndef LRK_CLI_JSON_OUT_H
#define LRK_CLI_JSON_OUT_H
#include "base/json.h"

/* Indented, to standard output; frees v. */
lrk_status lrk_print_json(lrk_json *v, lrk_err *err);

#endif /* LRK_CLI_JSON_OUT_H */
