/* cli/recipe_schema.h -- the keys of a recipe for people and for editors. */
#ifndef LRK_CLI_RECIPE_SCHEMA_H
#define LRK_CLI_RECIPE_SCHEMA_H
#include "base/arena.h"

void lrk_schema_table(lrk_buf *b);                    /* one line a key */
void lrk_schema_markdown(lrk_buf *b);                 /* docs/recipe.md */
lrk_status lrk_schema_json(lrk_buf *b, lrk_err *err); /* JSON Schema, draft 2020-12 */

/* One key, ours or another tool's; LRK_EUSAGE where nobody knows it. */
lrk_status lrk_schema_explain(const char *key, lrk_buf *b, lrk_err *err);

#endif /* LRK_CLI_RECIPE_SCHEMA_H */
