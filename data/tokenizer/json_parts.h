/* data/tokenizer/json_parts.h -- the pipeline that a tokenizer.json describes.
 *
 * Each reads one member of the file (NULL and null: it is not there) into t, and refuses by name
 * what it does not know. lrk_tokenizer_index must have run.
 */
#ifndef LRK_DATA_TOKENIZER_JSON_PARTS_H
#define LRK_DATA_TOKENIZER_JSON_PARTS_H
#include "base/json.h"
#include "data/tokenizer/internal.h"
#include "data/tokenizer/json_pull.h"

/* vocabulary.c: makes *t from model.vocab, an object of ids or an array of [text, score]
 * (`unigram`), and added_tokens. */
lrk_status lrk_json_vocabulary(lrk_tokenizer **t, lrk_pull *vocab, const lrk_json *added,
                               bool unigram, lrk_err *err);
lrk_status lrk_json_merges(lrk_tokenizer *t, lrk_pull *merges, lrk_err *err);

lrk_status lrk_json_normalizer(lrk_tokenizer *t, const lrk_json *v, lrk_err *err);
lrk_status lrk_json_pre_tokenizer(lrk_tokenizer *t, const lrk_json *v, lrk_err *err);
lrk_status lrk_json_post_processor(lrk_tokenizer *t, const lrk_json *v, lrk_err *err);
/* After the pre-tokenizer, whose alphabet it must share. */
lrk_status lrk_json_decoder(lrk_tokenizer *t, const lrk_json *v, lrk_err *err);

/* ---- what the readers share ---- */

/* Not there, or null. */
static inline bool lrk_json_absent(const lrk_json *v)
{
    return !v || lrk_json_is(v, LRK_JSON_NULL);
}

/* v itself, or the members of v[list] when v is a Sequence. */
typedef lrk_status (*lrk_json_step)(lrk_tokenizer *t, const lrk_json *v, lrk_err *err);
lrk_status lrk_json_each(lrk_tokenizer *t, const lrk_json *v, const char *list, const char *where,
                         lrk_json_step step, lrk_err *err);

/* The type of a part, whose members must be among those of its kind in `kinds`, a list of "Kind
 * member member ..." that ends with NULL. */
lrk_status lrk_json_part(const lrk_json *v, const char *where, const char *const *kinds,
                         const char **type, lrk_err *err);

/* A member that must be a string, copied into t. */
lrk_status lrk_json_text(lrk_tokenizer *t, const lrk_json *v, const char *key, const char *where,
                         lrk_piece *out, lrk_err *err);

/* Refuses members of object whose names are not among the words of `known`. */
lrk_status lrk_json_only(const lrk_json *object, const char *known, const char *where,
                         lrk_err *err);

#endif /* LRK_DATA_TOKENIZER_JSON_PARTS_H */
