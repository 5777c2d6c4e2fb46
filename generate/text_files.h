/* generate/text_files.h -- a tokenizer as the files that others read it from, and tokens added to it.
 *
 * Beside an adapter whose training gave the tokenizer more tokens lie the files of the tokenizer it was trained with,
 * as other trainers leave them there. Who uses the adapter takes them in place of the base's.
 */
#ifndef LRK_GENERATE_TEXT_FILES_H
#define LRK_GENERATE_TEXT_FILES_H
#include "generate/model_text.h"

enum { LRK_TEXT_FILES = 4 };

/* Zero-initialize. file[i].text points into text[i]. */
typedef struct lrk_text_files {
    lrk_buf text[LRK_TEXT_FILES];
    lrk_merge_file file[LRK_TEXT_FILES];
    size_t n;
} lrk_text_files;

void lrk_text_files_free(lrk_text_files *f); /* may be called twice, and on a zeroed one */

/* One more; v is freed. */
lrk_status lrk_text_files_add(lrk_text_files *f, const char *name, lrk_json *v, lrk_err *err);
/* tokenizer.json, tokenizer_config.json and chat_template.jinja, made; LRK_ESUPPORT for what they cannot describe. */
lrk_status lrk_text_files_make(lrk_text_files *f, const lrk_model_text *text, lrk_err *err);

/* Tokens that a tokenizer gets, in order, and texts of those that get a role (bos, eos, pad, unk) or NULL. */
typedef struct lrk_growth {
    lrk_new_token *token;
    size_t n;
    const char *role[LRK_TOKEN_SPECIALS];
} lrk_growth;

/* m, of this path, becomes the tokenizer with these tokens; f its files, all else in them as the base has it. */
lrk_status lrk_text_grow(lrk_model_text *m, const char *path, lrk_growth *g, lrk_text_files *f, lrk_err *err);

/* Into a directory that is there. */
lrk_status lrk_text_files_write(const lrk_text_files *f, const char *directory, lrk_err *err);
/* From the one beside an adapter to another; where there are none, none. */
lrk_status lrk_text_files_copy(const char *from, const char *to, lrk_err *err);
void lrk_text_files_remove(const char *directory);

/* The path to open for the text of a model with an adapter (a directory, or NULL): the adapter's where a tokenizer lies
 * there that gives tokens other texts than the base's, or has more of them; else the base's. One that cannot be read
 * here counts as the base's. */
const char *lrk_text_path(const char *base, const char *adapter);

#endif /* LRK_GENERATE_TEXT_FILES_H */
