/* recipes/parse.h -- YAML text into a small tree, by libyaml's events; the only includer of yaml.h.
 *
 * A recipe needs maps, lists and scalars, and a recipe may come from a stranger: anchors, aliases,
 * tags, merge keys, second documents, keys that are not plain words, duplicate keys are errors with
 * line and column; so are more than 64 KiB, 4,096 events, and nesting beyond 16 (libyaml itself
 * slows down quadratically on nesting, so the depth is counted here and parsing stops at once).
 */
#ifndef LRK_RECIPES_PARSE_H
#define LRK_RECIPES_PARSE_H
#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum lrk_yaml_kind { LRK_YAML_SCALAR, LRK_YAML_LIST, LRK_YAML_MAP } lrk_yaml_kind;

typedef struct lrk_yaml {
    lrk_yaml_kind kind;
    const char *key;     /* in a map: the name; else NULL */
    const char *text;    /* scalar: its text, NUL-terminated, without NUL inside */
    bool plain;          /* scalar: written without quotes */
    size_t line, column; /* of the key in a map, else of the value; from 1; 0: an override */
    size_t n;            /* children */
    struct lrk_yaml *child, *next; /* first child; next sibling */
} lrk_yaml;

/* One document into a (growing). name stands before line and column in messages. Empty text gives
 * an empty map. LRK_EUSAGE on anything else than the above. */
lrk_status lrk_yaml_parse(lrk_yaml **root, lrk_arena *a, const char *text, size_t n,
                          const char *name, lrk_err *err);

/* Version of the library, for `lorikeet doctor`. */
const char *lrk_yaml_version(void);

#endif /* LRK_RECIPES_PARSE_H */
