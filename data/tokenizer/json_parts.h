/* data/tokenizer/json_parts.h -- the pipeline that a tokenizer.json describes.
 *
 * Each reads one member of the file (NULL and null: it is not there) into t, and refuses by name
 * what it does not know. lrk_tokenizer_index must have run.
 */
#ifndef LRK_DATA_TOKENIZER_JSON_PARTS_H
#define LRK_DATA_TOKENIZER_JSON_PARTS_H
#include "base/json.h"
#include "data/tokenizer/internal.h"

lrk_status lrk_json_normalizer(lrk_tokenizer *t, const lrk_json *v, lrk_err *err);
lrk_status lrk_json_pre_tokenizer(lrk_tokenizer *t, const lrk_json *v, lrk_err *err);
lrk_status lrk_json_post_processor(lrk_tokenizer *t, const lrk_json *v, lrk_err *err);
/* After the pre-tokenizer, whose alphabet it must share. */
lrk_status lrk_json_decoder(lrk_tokenizer *t, const lrk_json *v, lrk_err *err);

/* Refuses members of object whose names are not among the words of `known`. */
lrk_status lrk_json_only(const lrk_json *object, const char *known, const char *where,
                         lrk_err *err);

#endif /* LRK_DATA_TOKENIZER_JSON_PARTS_H */
