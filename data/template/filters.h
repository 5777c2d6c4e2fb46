/* data/template/filters.h -- filters, in two files: of texts and numbers, and of sequences. */
#ifndef LRK_DATA_TEMPLATE_FILTERS_H
#define LRK_DATA_TEMPLATE_FILTERS_H
#include "data/template/value.h"

typedef struct lrk_jfilter {
    const char *name;
    lrk_status (*call)(lrk_jrun *r, lrk_jvalue v, const lrk_jargs *args, lrk_jvalue *out);
} lrk_jfilter;

extern const lrk_jfilter lrk_jfilters_text[], lrk_jfilters_seq[]; /* end with a NULL name */

#endif /* LRK_DATA_TEMPLATE_FILTERS_H */
