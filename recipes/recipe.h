/* recipes/recipe.h -- a recipe: everything that decides a training run, read from flat YAML.
 *
 * recipes/schema.def has one row a key; the struct, the parser, the resolved recipe and
 * docs/recipe.md all come from it. Strict: an unknown key, a wrong type, a value out of range, keys
 * that contradict each other are errors with file, line and column, up to 20 reported at once.
 * Names of other tools are accepted where they mean the same, with a note; their keys that have no
 * counterpart are refused by name with the reason (foreign.def), or accepted at the value that
 * changes nothing.
 */
#ifndef LRK_RECIPES_RECIPE_H
#define LRK_RECIPES_RECIPE_H
#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct lrk_strings {
    const char **item;
    size_t n;
    bool scalar; /* given as one word, not as a list: lora_target_modules may be a pattern */
} lrk_strings;

typedef struct lrk_sizes {
    size_t *item, n;
} lrk_sizes;

/* Numbers for modules that a key matches (base/module_key.h); the first one counts. */
typedef struct lrk_patterns {
    const char **key;
    double *value;
    size_t n;
} lrk_patterns;

/* Ids of tokens, for modules that are named; one list alone, whose name is NULL, is for the embedding. */
typedef struct lrk_token_lists {
    const char **module;
    lrk_sizes *ids;
    size_t n;
} lrk_token_lists;

/* Other texts for tokens of a tokenizer. */
typedef struct lrk_token_texts {
    size_t *id, n;
    const char **text;
} lrk_token_texts;

/* In the order of the domains in schema.def and dataset.def. */
enum { LRK_ADAPTER_LORA, LRK_ADAPTER_QLORA };
enum {
    LRK_INIT_TRUE,
    LRK_INIT_PISSA,
    LRK_INIT_PISSA_1, /* then 2, 4, ... 64 rounds */
    LRK_INIT_OLORA = LRK_INIT_PISSA_1 + 7
};
enum { LRK_EOS_TURN, LRK_EOS_ALL, LRK_EOS_LAST, LRK_EOS_NONE };
enum { LRK_EXCESS_RAISE, LRK_EXCESS_DROP, LRK_EXCESS_TRUNCATE };
enum { LRK_OPTIMIZER_ADAMW };
enum { LRK_SCHEDULER_CONSTANT, LRK_SCHEDULER_LINEAR, LRK_SCHEDULER_COSINE };
enum { LRK_DEVICE_AUTO, LRK_DEVICE_CPU, LRK_DEVICE_CUDA };
enum { LRK_COMPUTE_AUTO, LRK_COMPUTE_F32, LRK_COMPUTE_BF16 };
enum { LRK_RECOMPUTE_AUTO, LRK_RECOMPUTE_NONE, LRK_RECOMPUTE_MLP, LRK_RECOMPUTE_LAYER, LRK_RECOMPUTE_OFFLOAD };
enum { LRK_EVAL_NO, LRK_EVAL_STEPS, LRK_EVAL_EPOCH, LRK_EVAL_AUTO }; /* never auto once read */
enum {
    LRK_ROWS_AUTO,
    LRK_ROWS_MESSAGES,
    LRK_ROWS_PROMPT_COMPLETION,
    LRK_ROWS_INSTRUCTION,
    LRK_ROWS_SHAREGPT,
    LRK_ROWS_TEXT
};

typedef const char *lrk_member_STRING; /* NULL: not set */
typedef const char *lrk_member_PATH;
typedef size_t lrk_member_SIZE;
typedef double lrk_member_REAL;
typedef bool lrk_member_BOOL;
typedef int lrk_member_ENUM;
typedef lrk_strings lrk_member_STRINGS;
typedef lrk_sizes lrk_member_SIZES;
typedef lrk_patterns lrk_member_PATTERNS;
typedef lrk_token_lists lrk_member_TOKENS;
typedef lrk_token_texts lrk_member_TEXTS;

#define SECTION(title)
#define KEY(kind, name, ...) lrk_member_##kind name;
#define SUBKEY(parent, name, kind, ...) lrk_member_##kind parent##_##name;

typedef struct lrk_recipe_dataset {
#include "recipes/dataset.def"
} lrk_recipe_dataset;

typedef struct lrk_recipe_datasets {
    lrk_recipe_dataset *item;
    size_t n;
} lrk_recipe_datasets;

typedef lrk_recipe_datasets lrk_member_DATASETS;

enum { LRK_MOST_KEYS = 96 };

/* Members are named as the keys are: recipe->lora_r, recipe->export_gguf. given: by row of lrk_recipe_keys
 * (recipes/schema.h), whether the recipe has the key. */
typedef struct lrk_recipe {
#include "recipes/schema.def"
    bool given[LRK_MOST_KEYS];
} lrk_recipe;

#undef SECTION
#undef KEY
#undef SUBKEY

/* Reads path, then the overrides, each "key=value", "export.gguf=[q8_0]" or
 * "datasets.0.path=x.h5", whose values are YAML too. Strings live in a (growing). LRK_EUSAGE with
 * every mistake found, one a line. */
lrk_status lrk_recipe_load(lrk_recipe *r, lrk_arena *a, const char *path,
                           const char *const *overrides, size_t n_overrides, lrk_err *err);

/* The same from memory; name stands for the file in messages. */
lrk_status lrk_recipe_parse(lrk_recipe *r, lrk_arena *a, const char *text, size_t n,
                            const char *name, const char *const *overrides, size_t n_overrides,
                            lrk_err *err);

bool lrk_recipe_gives(const lrk_recipe *r, const char *key);

/* The recipe with every default, but for what the adapter of lora_model_dir decides, as YAML that reads back
 * to the same recipe. */
lrk_status lrk_recipe_print(const lrk_recipe *r, lrk_buf *b, lrk_err *err);

/* SHA-256 over the keys that may change the result; equal runs have equal hashes. */
lrk_status lrk_recipe_sha256(const lrk_recipe *r, char hex[65], lrk_err *err);

/* Whether its run is the beginning of every longer one, bit for bit: a constant rate, a warm-up in steps, and no
 * weights or end chosen by evaluations, one of which a run makes at its end. */
bool lrk_recipe_open_ended(const lrk_recipe *r);

/* SHA-256 over the keys that decide each of its steps: without num_epochs and max_steps where it is so. */
lrk_status lrk_recipe_steps_sha256(const lrk_recipe *r, char hex[65], lrk_err *err);

/* *key: the first of those keys whose values differ, or NULL. */
lrk_status lrk_recipe_difference(const lrk_recipe *a, const lrk_recipe *b, const char **key,
                                 lrk_err *err);

#endif /* LRK_RECIPES_RECIPE_H */
