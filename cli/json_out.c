/* cli/json_out.c -- JSON on standard output. */
#include "cli/json_out.h"

#include <stdio.h>

lrk_status lrk_print_json(lrk_json *v, lrk_err *err)
{
    lrk_buf b = {0};
    const lrk_status s = lrk_json_dump(v, 2, &b, err);
    if (s == LRK_OK) printf("%s\n", b.data);
    lrk_buf_free(&b);
    lrk_json_free(v);
    return s;
}
