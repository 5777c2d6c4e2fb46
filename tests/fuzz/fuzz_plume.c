/* tests/fuzz/fuzz_plume.c -- queries from strangers, as models write them: the parser, and for what it
 * accepts the round trip through print, canonical form and validity; the same bytes as a line of
 * `plume check`. */
#include "plume/canonical.h"
#include "plume/check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void query(const char *text, size_t n)
{
    lrk_arena a = lrk_arena_growing("fuzz");
    lrk_err err = {0};
    lrk_buf x = {0}, y = {0};
    plume_fault fault = {0};
    const plume_query *q = NULL, *c = NULL;
    if (plume_parse(text, n, true, &a, &q, &fault, &err) == LRK_OK) {
        plume_print(q, &x);
        LRK_ASSERT(plume_parse(x.data, x.n, true, &a, &q, NULL, NULL) == LRK_OK);
        x.n = 0;
        LRK_ASSERT(plume_canonical(q, &a, &c, &err) == LRK_OK);
        plume_print(c, &x);
        LRK_ASSERT(plume_canonical_text(c, &y, &err) == LRK_OK);
        LRK_ASSERT(strcmp(x.data, y.data) == 0);
        LRK_ASSERT(plume_valid(q, NULL) == plume_valid(c, NULL));
    } else {
        LRK_ASSERT(fault.at <= n && err.text[0]);
    }
    lrk_buf_free(&x);
    lrk_buf_free(&y);
    lrk_arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lrk_buf b = {0};
    lrk_err err = {0};
    query((const char *)data, size);
    (void)plume_check_line((const char *)data, size, NULL, &b, &err);
    lrk_buf_free(&b);
    return 0;
}
