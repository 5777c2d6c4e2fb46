/* recipes/override.c -- key=value beside the file, put into the tree of the file. */
#include "recipes/reader.h"

#include "base/text.h"

#include <string.h>

static void as_override(lrk_yaml *node)
{
    node->line = 0;
    for (lrk_yaml *c = node->child; c; c = c->next) as_override(c); /* 16 deep at most */
}

/* Lists, maps and quoted text are YAML; anything else is the text as it stands. */
static lrk_status parse_value(lrk_yaml **out, lrk_arena *a, const char *text, lrk_err *err)
{
    if (*text && strchr("[{\"'", *text)) {
        LRK_TRY(lrk_yaml_parse(out, a, text, strlen(text), "override", err));
    } else {
        LRK_TRY(lrk_alloc(a, 1, sizeof **out, "recipe", out, err));
        char *copy = lrk_strdup(a, text);
        LRK_REQUIRE(err, copy, LRK_ENOMEM, "override: out of memory");
        **out = (lrk_yaml){.kind = LRK_YAML_SCALAR, .text = copy, .plain = true};
    }
    as_override(*out);
    return LRK_OK;
}

static bool same_key(const char *a, const char *b, bool top)
{
    if (strcmp(a, b) == 0) return true;
    const lrk_key *k = top ? lrk_key_meant(a) : NULL;
    return k && k == lrk_key_meant(b);
}

static lrk_yaml *append(lrk_yaml *parent, lrk_yaml *child)
{
    lrk_yaml **end = &parent->child;
    while (*end) end = &(*end)->next;
    *end = child;
    parent->n++;
    return child;
}

/* The child that `part` names, made where it is not there yet; NULL: cannot be. */
static lrk_yaml *step(lrk_yaml *node, lrk_arena *a, const char *part, bool top)
{
    size_t index;
    lrk_yaml *c = node->child;
    if (node->kind == LRK_YAML_LIST) {
        if (!lrk_text_size(part, &index) || index > node->n) return NULL;
        for (size_t i = 0; c && i < index; i++) c = c->next;
    } else if (node->kind == LRK_YAML_MAP) {
        while (c && !same_key(c->key, part, top)) c = c->next;
    } else {
        return NULL;
    }
    if (c) return c;
    lrk_err ignored = {0};
    if (lrk_alloc(a, 1, sizeof *c, "recipe", &c, &ignored) != LRK_OK) return NULL;
    *c = (lrk_yaml){.kind = LRK_YAML_SCALAR, .text = "", .plain = true};
    return append(node, c);
}

/* A missing value on the way becomes a list where a number follows, else a map. */
static void open_up(lrk_yaml *node, const char *part)
{
    size_t index;
    if (!lrk_yaml_null(node)) return;
    node->kind = lrk_text_size(part, &index) ? LRK_YAML_LIST : LRK_YAML_MAP;
}

/* What else the file says of the same key: lora_target_linear beside lora_target_modules. */
static void drop_others(lrk_yaml *root, const lrk_yaml *kept)
{
    bool of_root = false;
    for (const lrk_yaml *c = root->child; c; c = c->next) of_root = of_root || c == kept;
    if (!of_root) return;
    for (lrk_yaml **at = &root->child; *at;) {
        if (*at != kept && same_key((*at)->key, kept->key, true)) {
            *at = (*at)->next;
            root->n--;
        } else {
            at = &(*at)->next;
        }
    }
}

lrk_status lrk_override(lrk_yaml *root, lrk_arena *a, const char *assignment, lrk_err *err)
{
    const char *equals = strchr(assignment, '=');
    LRK_REQUIRE(err, equals && equals > assignment, LRK_EUSAGE,
                "override: %s: expected key=value, as in learning_rate=1e-4", assignment);
    char *path = lrk_strndup(a, assignment, (size_t)(equals - assignment));
    LRK_REQUIRE(err, path, LRK_ENOMEM, "override: out of memory");

    lrk_yaml *node = root, *value;
    for (char *part = path, *dot; part; part = dot) {
        dot = strchr(part, '.');
        if (dot) *dot++ = '\0';
        if (node != root) open_up(node, part);
        lrk_yaml *child = step(node, a, part, node == root);
        LRK_REQUIRE(err, child, LRK_EUSAGE, "override: %.*s: there is nothing called %s in it",
                    (int)(equals - assignment), assignment, part);
        if (node->kind == LRK_YAML_MAP) child->key = part;
        node = child;
    }
    LRK_TRY(parse_value(&value, a, equals + 1, err));
    value->key = node->key;
    value->next = node->next;
    *node = *value;
    drop_others(root, node);
    return LRK_OK;
}
