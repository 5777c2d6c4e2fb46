/* recipes/schema.h -- schema.def, dataset.def and foreign.def as tables that can be walked. */
#ifndef LRK_RECIPES_SCHEMA_H
#define LRK_RECIPES_SCHEMA_H
#include "base/arena.h"
#include "recipes/recipe.h"

typedef enum lrk_key_kind {
    LRK_KEY_SECTION, /* a heading: only name is set */
    LRK_KEY_STRING,
    LRK_KEY_PATH,
    LRK_KEY_SIZE,
    LRK_KEY_REAL,
    LRK_KEY_BOOL,
    LRK_KEY_ENUM,
    LRK_KEY_STRINGS,
    LRK_KEY_SIZES,
    LRK_KEY_PATTERNS,
    LRK_KEY_TOKENS,
    LRK_KEY_TEXTS,
    LRK_KEY_DATASETS
} lrk_key_kind;

typedef struct lrk_key {
    lrk_key_kind kind;
    const char *name; /* "lora_r", "export.gguf", or the title of a section */
    size_t offset;    /* of its member in lrk_recipe or lrk_recipe_dataset */
    const char *fallback, *domain, *unit, *aliases;
    bool result; /* the adapter may depend on it */
    const char *doc;
} lrk_key;

/* A table ends with a row whose name is NULL. */
extern const lrk_key lrk_recipe_keys[];
extern const lrk_key lrk_dataset_keys[];

/* A key that other tools have; ours and value are set for a translation: `ours: value` means the
 * same where the given value is `given`; why is set otherwise. */
typedef struct lrk_foreign_key {
    const char *name, *given, *ours, *value, *why;
} lrk_foreign_key;

extern const lrk_foreign_key lrk_foreign_keys[]; /* FOREIGN: given holds the neutral values */
extern const lrk_foreign_key lrk_foreign_rows[]; /* ROW: the same in an entry of datasets */
extern const lrk_foreign_key lrk_translated_keys[];
extern const lrk_foreign_key lrk_refused_values[]; /* name is a key of ours */
extern const lrk_foreign_key lrk_values_instead[]; /* too; value is taken for given, why is told */

/* The row for a key of another tool; in the table a name that ends in * is of all that begin so. */
const lrk_foreign_key *lrk_foreign_find(const lrk_foreign_key *table, const char *name);

/* The row that name, or one of its aliases, stands for; NULL where there is none. */
const lrk_key *lrk_key_find(const lrk_key *table, const char *name);

/* As above for whole recipes, through translations too: bf16 gives compute_dtype. */
const lrk_key *lrk_key_meant(const char *name);

/* For people: "whole number". */
const char *lrk_key_kind_name(lrk_key_kind kind);

/* Domains. A choice is counted from 0 and has other spellings after "=". */
bool lrk_domain_holds(const char *interval, double v);       /* true for "" */
int lrk_domain_choice(const char *domain, const char *word); /* -1: not one of them */
const char *lrk_domain_name(const char *domain, int choice, char out[32]);
int lrk_domain_choices(const char *domain);
void lrk_domain_describe(const lrk_key *k, lrk_buf *b); /* "above 0, at most 1"; "one of a, b" */

/* A word of a list that is separated by `mark`; *rest moves past it. NULL at the end. */
const char *lrk_next_word(const char **rest, char mark, char out[64]);

#endif /* LRK_RECIPES_SCHEMA_H */
