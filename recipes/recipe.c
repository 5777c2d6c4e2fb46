/* recipes/recipe.c -- a recipe from its tree: which key is whose, and what it may not be. */
#include "recipes/recipe.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "recipes/reader.h"

#include <stdio.h>
#include <string.h>

enum { MOST_BYTES = 64 * 1024 };

static void put_place(lrk_buf *b, const lrk_reader *r, const lrk_yaml *at)
{
    if (at && at->line == 0)
        lrk_buf_puts(b, "override: ");
    else if (at)
        lrk_buf_printf(b, "%s:%zu:%zu: ", r->name, at->line, at->column);
    else
        lrk_buf_printf(b, "%s: ", r->name);
}

void lrk_mistake(lrk_reader *r, const lrk_yaml *at, const char *key, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (r->n_mistakes++ >= LRK_MOST_MISTAKES) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (r->mistakes.n) lrk_buf_puts(&r->mistakes, "\n");
    put_place(&r->mistakes, r, at);
    lrk_buf_printf(&r->mistakes, "%.80s: %s", key, text);
}

void lrk_recipe_note(const lrk_reader *r, const lrk_yaml *at, const char *key, const char *what)
{
    lrk_buf place = {0};
    put_place(&place, r, at);
    lrk_note("note: %s%s: %s", place.data ? place.data : "", key, what);
    lrk_buf_free(&place);
}

static void unknown(lrk_reader *r, const lrk_yaml *node, const char *shown)
{
    lrk_nearest near = {.word = shown};
    char word[64];
    for (const lrk_key *k = lrk_recipe_keys; k->name; k++) {
        if (k->kind == LRK_KEY_SECTION) continue;
        lrk_nearest_offer(&near, k->name);
        for (const char *rest = k->aliases; lrk_next_word(&rest, ' ', word);) {
            lrk_nearest_offer(&near, word);
            if (near.best == word) near.best = k->name;
        }
    }
    if (near.best)
        lrk_mistake(r, node, shown, "unknown key, did you mean %s?", near.best);
    else
        lrk_mistake(r, node, shown, "unknown key; `lorikeet recipe schema` lists all");
}

static void unknown_in_row(lrk_reader *r, const lrk_yaml *node, const char *shown)
{
    lrk_nearest near = {.word = node->key};
    for (const lrk_key *k = lrk_dataset_keys; k->name; k++) lrk_nearest_offer(&near, k->name);
    if (lrk_key_find(lrk_recipe_keys, node->key))
        lrk_mistake(r, node, shown, "stands outside the list, once for the whole run");
    else if (near.best)
        lrk_mistake(r, node, shown, "unknown key, did you mean %s?", near.best);
    else
        lrk_mistake(r, node, shown, "unknown key; `lorikeet recipe schema` lists all");
}

/* An entry of datasets that is being read; given: by row of lrk_dataset_keys. */
typedef struct entry {
    lrk_recipe_dataset *to;
    const char *list;
    const lrk_yaml *given[LRK_MOST_KEYS];
} entry;

/* message_property_mappings: {role: from}; name is with the map's. */
static void read_member(lrk_reader *r, entry *e, const lrk_yaml *node, const char *name)
{
    char shown[160];
    const lrk_key *k = lrk_key_find(lrk_dataset_keys, name);
    snprintf(shown, sizeof shown, "%s.%.80s", e->list, name);
    if (!k && lrk_foreign(r, lrk_foreign_rows, node, name)) return;
    if (!k) {
        unknown_in_row(r, node, shown);
        return;
    }
    if (lrk_yaml_null(node)) return;
    if (strcmp(k->name, "type") == 0 && lrk_yaml_says(node, "alpaca"))
        lrk_recipe_note(r, node, shown,
                        "alpaca is the shape of the rows; their text is chat_template's, which may be alpaca too");
    const lrk_yaml **first = &e->given[k - lrk_dataset_keys];
    if (*first)
        lrk_mistake(r, node, shown, "given twice, first as %s", (*first)->key);
    else
        lrk_read_value(r, k, e->to, node, shown);
    *first = node;
}

static void read_mappings(lrk_reader *r, entry *e, const lrk_yaml *map)
{
    for (const lrk_yaml *node = map->child; node; node = node->next) {
        char name[96];
        snprintf(name, sizeof name, "%.30s.%.60s", map->key, node->key);
        if (lrk_key_find(lrk_dataset_keys, name) || lrk_foreign_find(lrk_foreign_rows, name))
            read_member(r, e, node, name);
        else
            lrk_mistake(r, node, name, "%s", lrk_foreign_find(lrk_foreign_rows, map->key)->why);
    }
}

static void read_dataset(lrk_reader *r, lrk_recipe_dataset *d, const lrk_yaml *map, const char *list)
{
    entry e = {.to = d, .list = list};
    lrk_read_defaults(r, lrk_dataset_keys, d);
    for (const lrk_yaml *node = map->child; node; node = node->next) {
        if (node->kind == LRK_YAML_MAP && strcmp(node->key, "message_property_mappings") == 0)
            read_mappings(r, &e, node);
        else
            read_member(r, &e, node, node->key);
    }
    if (!d->path) lrk_mistake(r, map, list, "an entry without path");
}

static void read_datasets(lrk_reader *r, const lrk_key *k, const lrk_yaml *node)
{
    lrk_recipe_datasets *list = (void *)((char *)r->recipe + k->offset);
    if (node->kind != LRK_YAML_LIST) {
        lrk_mistake(r, node, k->name, "expected a list of data sets, as in [{path: rows.h5}]");
        return;
    }
    if (r->status == LRK_OK && node->n)
        r->status = lrk_alloc(r->arena, node->n, sizeof *list->item, "recipe", &list->item, r->err);
    if (r->status != LRK_OK) return;
    for (const lrk_yaml *e = node->child; e; e = e->next) {
        if (e->kind == LRK_YAML_MAP)
            read_dataset(r, &list->item[list->n++], e, k->name);
        else
            lrk_mistake(r, e, k->name, "expected {path: ...}");
    }
}

static bool is_linear(const lrk_yaml *node) { return strcmp(node->key, "lora_target_linear") == 0; }

/* lora_target_linear: true beside a list of modules, as Axolotl has it, is their union: all linear layers, and
 * those of the list must be such. */
static void read_union(lrk_reader *r, const lrk_key *k, const lrk_yaml *linear, const lrk_yaml *list)
{
    static const char *const others[] = {"lm_head", "embed_out", "embed_tokens", "embed_in", "gate", "router"};
    const lrk_strings *modules = &r->recipe->lora_target_modules;
    lrk_read_value(r, k, r->recipe, list, list->key);
    for (size_t i = 0; i < modules->n; i++)
        for (size_t o = 0; o < sizeof others / sizeof *others; o++)
            if (strcmp(modules->item[i], others[o]) == 0)
                lrk_mistake(r, list, list->key,
                            "%s is none of the linear layers that lora_target_linear: true adapts; leave it out, "
                            "or list all modules",
                            others[o]);
    lrk_read_value(r, k, r->recipe, linear, linear->key);
    lrk_recipe_note(r, list, list->key,
                    "lora_target_linear: true is every linear layer, those of this list among them");
}

static void read_key(lrk_reader *r, lrk_yaml *node, const char *shown)
{
    const lrk_key *k = lrk_key_find(lrk_recipe_keys, shown);
    if (!k && lrk_translate(r, node, shown, &k)) return;
    if (!k && lrk_foreign(r, lrk_foreign_keys, node, shown)) return;
    if (!k) {
        unknown(r, node, shown);
        return;
    }
    /* "key:" in a file is not set; key= on the command line is a slip, but for lists of data */
    if (lrk_yaml_null(node) && (node->line || k->kind == LRK_KEY_DATASETS)) {
        if (strcmp(shown, "clip_grad_norm") == 0) /* torchtune's null is no clipping */
            lrk_recipe_note(r, node, shown, "is not set, so that the default holds; 0 is no clipping");
        return;
    }
    const lrk_key *named = k;
    k = lrk_share_of_steps(r, k, node, shown);
    const lrk_yaml **first = &r->given[k - lrk_recipe_keys];
    if (*first && is_linear(*first) != is_linear(node)) {
        lrk_cut_commas(r, k, node, shown);
        read_union(r, k, is_linear(node) ? node : *first, is_linear(node) ? *first : node);
        return;
    }
    if (*first) {
        const bool same = strcmp((*first)->key, node->key) == 0;
        lrk_mistake(r, node, shown, "given twice, first %s%s%sin line %zu", same ? "" : "as ",
                    same ? "" : (*first)->key, same ? "" : " ", (*first)->line);
        return;
    }
    *first = node;
    r->recipe->given[k - lrk_recipe_keys] = true;
    lrk_take_instead(r, k, node, shown);
    lrk_cut_commas(r, k, node, shown);
    if (named == k && strcmp(k->name, shown) != 0 && lrk_key_find(lrk_recipe_keys, shown)) {
        char text[96];
        snprintf(text, sizeof text, "is called %s here", k->name);
        lrk_recipe_note(r, node, shown, text);
    }
    if (k->kind == LRK_KEY_DATASETS)
        read_datasets(r, k, node);
    else
        lrk_read_value(r, k, r->recipe, node, shown);
}

/* Is there a key "name.something"? */
static bool is_group(const char *name)
{
    const size_t n = strlen(name);
    for (const lrk_key *k = lrk_recipe_keys; k->name; k++)
        if (k->kind != LRK_KEY_SECTION && strncmp(k->name, name, n) == 0 && k->name[n] == '.')
            return true;
    return false;
}

static void read_root(lrk_reader *r, lrk_yaml *root)
{
    for (lrk_yaml *node = root->child; node; node = node->next) {
        if (!is_group(node->key)) {
            read_key(r, node, node->key);
            continue;
        }
        if (lrk_yaml_null(node)) continue;
        if (node->kind != LRK_YAML_MAP) {
            lrk_mistake(r, node, node->key, "expected a map; see `lorikeet recipe explain %s`",
                        node->key);
            continue;
        }
        for (lrk_yaml *c = node->child; c; c = c->next) {
            char shown[160];
            snprintf(shown, sizeof shown, "%s.%.64s", node->key, c->key);
            read_key(r, c, shown);
        }
    }
}

static lrk_status report(lrk_reader *r)
{
    if (r->status != LRK_OK) return r->status;
    if (r->n_mistakes == 0) return LRK_OK;
    if (r->n_mistakes > LRK_MOST_MISTAKES)
        lrk_buf_printf(&r->mistakes, "\nand %zu more", r->n_mistakes - LRK_MOST_MISTAKES);
    LRK_TRY(lrk_buf_check(&r->mistakes, r->err));
    return lrk_fail(r->err, LRK_EUSAGE, "%s", r->mistakes.data);
}

/* Objects, one a line. */
static bool is_rows(const char *text)
{
    const char *at = text + strspn(text, " \t\r\n"), *line = at;
    if (*at != '{' || (at[1 + strspn(at + 1, " \t")] != '"' && at[1] != '}')) return false;
    line = strchr(at, '\n');
    return line && line[1] == '{'; /* a single object may be a recipe: JSON is YAML */
}

/* The later one wins, as in scripts that add to a list of them; by hand it may be a slip. */
static void warn_repeats(const char *const *overrides, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const size_t key = strcspn(overrides[i], "=") + 1;
        for (size_t k = 0; k < i; k++)
            if (strncmp(overrides[i], overrides[k], key) == 0)
                lrk_warn("override: %s is replaced by %s behind it", overrides[k], overrides[i]);
    }
}

lrk_status lrk_recipe_parse(lrk_recipe *recipe, lrk_arena *a, const char *text, size_t n,
                            const char *name, const char *const *overrides, size_t n_overrides,
                            lrk_err *err)
{
    lrk_yaml *root;
    LRK_REQUIRE(err, !is_rows(text), LRK_EUSAGE,
                "%s: holds rows of JSON, which are data; a recipe is YAML that names them under datasets", name);
    LRK_TRY(lrk_yaml_parse(&root, a, text, n, name, err));
    if (lrk_yaml_null(root)) *root = (lrk_yaml){.kind = LRK_YAML_MAP, .line = 1, .column = 1};
    LRK_REQUIRE(err, root->kind == LRK_YAML_MAP, LRK_EUSAGE,
                "%s:%zu:%zu: a recipe is a map of keys, as in \"lora_r: 16\"", name, root->line,
                root->column);
    warn_repeats(overrides, n_overrides);
    for (size_t i = 0; i < n_overrides; i++) LRK_TRY(lrk_override(root, a, overrides[i], err));

    *recipe = (lrk_recipe){0};
    lrk_reader r = {.recipe = recipe, .arena = a, .name = name, .err = err};
    lrk_read_defaults(&r, lrk_recipe_keys, recipe);
    read_root(&r, root);
    lrk_recipe_rules(&r);
    const lrk_status s = report(&r);
    lrk_buf_free(&r.mistakes);
    return s;
}

lrk_status lrk_recipe_load(lrk_recipe *r, lrk_arena *a, const char *path,
                           const char *const *overrides, size_t n_overrides, lrk_err *err)
{
    char *text;
    size_t n;
    lrk_map m;
    LRK_TRY(lrk_map_open(&m, path, err));
    const bool binary = m.size && memchr(m.data, 0, m.size < 64 ? m.size : 64);
    n = m.size;
    lrk_map_close(&m);
    LRK_REQUIRE(err, n <= MOST_BYTES, LRK_EINPUT,
                "%s: %zu bytes, at most %d are accepted: a recipe names models and data sets (base_model, datasets)",
                path, n, MOST_BYTES);
    LRK_REQUIRE(err, !binary, LRK_EUSAGE,
                "%s: is no text; a recipe is YAML, and names models and data sets (base_model, datasets)", path);
    LRK_TRY(lrk_file_read(a, path, MOST_BYTES, &text, &n, err));
    return lrk_recipe_parse(r, a, text, n, path, overrides, n_overrides, err);
}
