/* recipes/reader.h -- how the files of this folder share one reading of a recipe: every mistake is
 * noted and reading goes on, so that all are reported at once. */
#ifndef LRK_RECIPES_READER_H
#define LRK_RECIPES_READER_H
#include "recipes/parse.h"
#include "recipes/recipe.h"
#include "recipes/schema.h"

enum { LRK_MOST_MISTAKES = 20 };

typedef struct lrk_reader {
    lrk_recipe *recipe;
    lrk_arena *arena;
    const char *name; /* of the file */
    lrk_err *err;
    lrk_status status; /* out of memory ends everything */
    lrk_buf mistakes;
    size_t n_mistakes;
    const lrk_yaml *given[LRK_MOST_KEYS]; /* by row of lrk_recipe_keys; NULL: default */
} lrk_reader;

/* at may be NULL: the file as a whole. key is the name to show. */
void lrk_mistake(lrk_reader *r, const lrk_yaml *at, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The node's value into the member of k in base (a recipe or a dataset). */
void lrk_read_value(lrk_reader *r, const lrk_key *k, void *base, const lrk_yaml *node,
                    const char *shown);

/* Every member of base to its default. */
void lrk_read_defaults(lrk_reader *r, const lrk_key *table, void *base);

/* "~", "null", nothing at all: the key is there, its value is not. */
bool lrk_yaml_null(const lrk_yaml *node);

/* Puts "key=value" into the tree, in place of what the file says. */
lrk_status lrk_override(lrk_yaml *root, lrk_arena *a, const char *assignment, lrk_err *err);

/* Keys that contradict or need each other; settles what follows from others. */
void lrk_recipe_rules(lrk_reader *r);

#endif /* LRK_RECIPES_READER_H */
