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

/* The same to standard error, where nothing is wrong. */
void lrk_recipe_note(const lrk_reader *r, const lrk_yaml *at, const char *key, const char *what);

/* "expected <want>, got the word x<near>" */
void lrk_unexpected(lrk_reader *r, const lrk_yaml *node, const char *shown, const char *want, const char *near);

/* The node's value into the member of k in base (a recipe or a dataset). */
void lrk_read_value(lrk_reader *r, const lrk_key *k, void *base, const lrk_yaml *node,
                    const char *shown);

/* Every member of base to its default. */
void lrk_read_defaults(lrk_reader *r, const lrk_key *table, void *base);

/* "~", "null", nothing at all: the key is there, its value is not. */
bool lrk_yaml_null(const lrk_yaml *node);

/* A scalar that says the word: the same text, or the same boolean or number written otherwise (True, 0.0). */
bool lrk_yaml_says(const lrk_yaml *node, const char *word);

/* Keys and values of other tools (foreign.c). True: the key is one that others have, and has been dealt with. */
bool lrk_foreign(lrk_reader *r, const lrk_foreign_key *table, const lrk_yaml *node, const char *shown);

/* The same for keys that are translated; where it is false, *k may be the key meant, and the node its value. */
bool lrk_translate(lrk_reader *r, lrk_yaml *node, const char *shown, const lrk_key **k);

/* The key meant by warmup_steps: 0.03, as transformers 5 takes it: warmup_ratio, with a note; k otherwise. */
const lrk_key *lrk_share_of_steps(const lrk_reader *r, const lrk_key *k, const lrk_yaml *node, const char *shown);

/* A value of a key of ours as others write it becomes ours, with a note. */
void lrk_take_instead(const lrk_reader *r, const lrk_key *k, lrk_yaml *node, const char *shown);

/* "q_proj,v_proj" for a list of modules, as LLaMA-Factory writes it, becomes one, with a note. */
void lrk_cut_commas(lrk_reader *r, const lrk_key *k, lrk_yaml *node, const char *shown);

/* A value of a key of ours that others have and we do not: told of. */
bool lrk_refused(lrk_reader *r, const lrk_key *k, const lrk_yaml *node, const char *shown);

/* Puts "key=value" into the tree, in place of what the file says. */
lrk_status lrk_override(lrk_yaml *root, lrk_arena *a, const char *assignment, lrk_err *err);

/* Keys that contradict or need each other; settles what follows from others. */
void lrk_recipe_rules(lrk_reader *r);

#endif /* LRK_RECIPES_READER_H */
