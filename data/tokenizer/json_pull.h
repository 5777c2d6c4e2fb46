/* data/tokenizer/json_pull.h -- the vocabulary and the merges of a tokenizer.json, read where they
 * stand.
 *
 * They are nearly all of the file, up to a million values: a tree of them would cost more time than
 * everything else. lrk_json_carve takes them out of the text; what is left is parsed as usual.
 */
#ifndef LRK_DATA_TOKENIZER_JSON_PULL_H
#define LRK_DATA_TOKENIZER_JSON_PULL_H
#include "base/json.h"
#include "data/tokenizer.h"

/* A place in JSON text. */
typedef struct lrk_pull {
    const char *s;
    size_t n, at;
    lrk_buf text; /* of a string with escapes */
} lrk_pull;

/* The text of a tokenizer.json in parts. */
typedef struct lrk_carved {
    lrk_buf rest;           /* the text with null in place of model.vocab and model.merges */
    lrk_json *root;         /* the same, parsed */
    lrk_pull vocab, merges; /* s NULL: is not there */
} lrk_carved;

lrk_status lrk_json_carve(lrk_carved *out, const char *text, size_t n, const char *where,
                          lrk_err *err);
void lrk_carved_free(lrk_carved *c);

/* Each goes over blanks first and answers whether what it looks for is there; if so, it stands
 * behind it. */
bool lrk_pull_char(lrk_pull *p, char c);
bool lrk_pull_string(lrk_pull *p, lrk_piece *out); /* valid until the next string with escapes; false
                                                      too when memory is out: lrk_buf_check(&p->text) */
bool lrk_pull_integer(lrk_pull *p, int64_t *out);
bool lrk_pull_number(lrk_pull *p, double *out);
bool lrk_pull_skip(lrk_pull *p); /* any value; only its brackets and strings are looked at */

#endif /* LRK_DATA_TOKENIZER_JSON_PULL_H */
