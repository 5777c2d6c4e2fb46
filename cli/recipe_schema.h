/* cli/recipe_schema.h -- the keys of a recipe for people and for editors. */
#ifndef LRK_CLI_RECIPE_SCHEMA_H
#define LRK_CLI_RECIPE_SCHEMA_H
#include "base/json.h"

void lrk_schema_table(lrk_buf *b);                    /* one line a key */
void lrk_schema_markdown(lrk_buf *b);                 /* docs/recipe.md */
lrk_status lrk_schema_json(lrk_buf *b, lrk_err *err); /* JSON Schema, draft 2020-12 */

/* Adds what is known of a key, ours or another tool's, to an array; LRK_EUSAGE where nobody knows it. */
lrk_status lrk_schema_explain(const char *key, lrk_json *list, lrk_err *err);
void lrk_schema_explained(const lrk_json *list, lrk_buf *b); /* the same for people */

#endif /* LRK_CLI_RECIPE_SCHEMA_H */
