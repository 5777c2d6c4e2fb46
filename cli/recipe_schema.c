/* cli/recipe_schema.c -- the tables of recipes/ as text, Markdown and JSON Schema. */
#include "cli/recipe_schema.h"

#include "base/json.h"
#include "base/text.h"
#include "cli/json_out.h"
#include "recipes/schema.h"

#include <stdlib.h>
#include <string.h>

static const char *shown_default(const lrk_key *k)
{
    if (*k->fallback) return k->fallback;
    switch (k->kind) {
    case LRK_KEY_PATTERNS:
    case LRK_KEY_TOKENS:
    case LRK_KEY_TEXTS:
        return "{}";
    case LRK_KEY_STRINGS:
    case LRK_KEY_SIZES:
    case LRK_KEY_DATASETS:
        return "[]";
    default:
        return "not set";
    }
}

static void put_domain(lrk_buf *b, const lrk_key *k)
{
    lrk_domain_describe(k, b);
    if (*k->unit) lrk_buf_printf(b, " (%s)", k->unit);
}

void lrk_schema_table(lrk_buf *b)
{
    for (const lrk_key *k = lrk_recipe_keys; k->name; k++) {
        if (k->kind == LRK_KEY_SECTION)
            lrk_buf_printf(b, "%s%s\n", b->n ? "\n" : "", k->name);
        else
            lrk_buf_printf(b, "  %-28s %-18s %s\n", k->name, shown_default(k), k->doc);
    }
    lrk_buf_puts(b, "\nEntries of datasets and test_datasets\n");
    for (const lrk_key *k = lrk_dataset_keys; k->name; k++)
        lrk_buf_printf(b, "  %-28s %-18s %s\n", k->name, shown_default(k), k->doc);
}

/* A cell of a Markdown table: | is escaped. */
static void put_cell(lrk_buf *b, const char *text)
{
    for (; *text; text++) lrk_buf_printf(b, "%s%c", *text == '|' ? "\\" : "", *text);
}

static void markdown_rows(lrk_buf *b, const lrk_key *table)
{
    static const char head[] = "| key | default | values | meaning |\n|---|---|---|---|\n";
    if (table->kind != LRK_KEY_SECTION) lrk_buf_printf(b, "%s", head);
    for (const lrk_key *k = table; k->name; k++) {
        if (k->kind == LRK_KEY_SECTION) {
            lrk_buf_printf(b, "\n## %s\n\n%s", k->name, head);
            continue;
        }
        lrk_buf_printf(b, "| `%s` | ", k->name);
        if (*k->fallback) lrk_buf_printf(b, "`%s`", k->fallback);
        lrk_buf_puts(b, " | ");
        put_domain(b, k);
        lrk_buf_puts(b, " | ");
        put_cell(b, k->doc);
        char word[64];
        const char *lead = "; also called ";
        for (const char *rest = k->aliases; lrk_next_word(&rest, ' ', word); lead = ", ")
            lrk_buf_printf(b, "%s`%s`", lead, word);
        lrk_buf_puts(b, " |\n");
    }
}

static bool is_alike(const lrk_foreign_key *f, const lrk_foreign_key *g)
{
    return strcmp(f->given, g->given) == 0 && strcmp(f->why, g->why) == 0;
}

static bool is_any(const lrk_foreign_key *f) { return strcmp(f->given, "*") == 0; }

/* A row for all keys of one reason, where the first of them stands: those that any value is taken of, or the others. */
static void markdown_foreign(lrk_buf *b, const lrk_foreign_key *table, bool any)
{
    lrk_buf_puts(b, any ? "| key | why |\n|---|---|\n"
                        : "| key | changes nothing at | why, and what to use |\n|---|---|---|\n");
    for (const lrk_foreign_key *f = table; f->name; f++) {
        const lrk_foreign_key *first = table;
        while (!is_alike(first, f)) first++;
        if (first < f || is_any(f) != any) continue;
        const char *lead = "| ";
        for (const lrk_foreign_key *g = f; g->name; g++) {
            if (!is_alike(f, g)) continue;
            lrk_buf_printf(b, "%s`%s`", lead, g->name);
            lead = ", ";
        }
        lrk_buf_puts(b, " | ");
        if (!any) put_cell(b, f->given);
        if (!any) lrk_buf_puts(b, " | ");
        put_cell(b, f->why);
        lrk_buf_puts(b, " |\n");
    }
}

static void markdown_others(lrk_buf *b)
{
    lrk_buf_puts(b, "\n## Keys of other tools\n\n"
                    "Accepted, and what they become:\n\n| key | here |\n|---|---|\n");
    for (const lrk_foreign_key *f = lrk_translated_keys; f->name; f++)
        if (*f->value)
            lrk_buf_printf(b, "| `%s: %s` | `%s: %s` |\n", f->name, f->given, f->ours, f->value);
    for (const lrk_foreign_key *f = lrk_values_instead; f->name; f++)
        lrk_buf_printf(b, "| `%s: %s` | `%s: %s` |\n", f->name, f->given, f->name, f->value);
    lrk_buf_puts(b, "\nAccepted with a note, for no value of theirs changes anything here; a name that ends in `*` "
                    "is of all that begin so:\n\n");
    markdown_foreign(b, lrk_foreign_keys, true);
    lrk_buf_puts(b, "\nRefused, unless they stand at a value that changes nothing:\n\n");
    markdown_foreign(b, lrk_foreign_keys, false);
    lrk_buf_puts(b, "\nIn an entry of `datasets`, accepted:\n\n");
    markdown_foreign(b, lrk_foreign_rows, true);
    lrk_buf_puts(b, "\nand refused:\n\n");
    markdown_foreign(b, lrk_foreign_rows, false);
}

void lrk_schema_markdown(lrk_buf *b)
{
    lrk_buf_puts(b,
                 "# Recipe keys\n"
                 "\n"
                 "Made by `lorikeet recipe schema --markdown` from `recipes/schema.def`; change "
                 "that, not this.\n"
                 "\n"
                 "A recipe is flat YAML. Names are Axolotl's; those of Hugging Face, "
                 "LLaMA-Factory, torchtune and TRL are\n"
                 "accepted where they mean the same. Unknown keys, wrong types, values out of "
                 "range and keys that contradict\n"
                 "each other are errors with line and column. Anchors, aliases, tags, merge keys, "
                 "a second document, duplicate\n"
                 "keys, and `yes` or `no` for booleans are not accepted.\n"
                 "\n"
                 "Any key can be set on the command line, after the recipe:\n"
                 "\n"
                 "```\n"
                 "lorikeet train recipe.yaml learning_rate=1e-4 lora_target_modules=[q_proj,v_proj]"
                 " datasets.0.path=rows.h5\n"
                 "```\n");
    markdown_rows(b, lrk_recipe_keys);
    lrk_buf_puts(b, "\n## Entries of `datasets` and `test_datasets`\n\n");
    markdown_rows(b, lrk_dataset_keys);
    markdown_others(b);
}

/* "(0,1]" into minimum, exclusiveMinimum and their likes */
static void json_interval(lrk_json *o, const char *interval)
{
    char *end;
    const double low = strtod(interval + 1, &end), high = strtod(end + 1, &end);
    lrk_json_set(o, interval[0] == '(' ? "exclusiveMinimum" : "minimum", lrk_json_new_real(low));
    lrk_json_set(o, *end == ')' ? "exclusiveMaximum" : "maximum", lrk_json_new_real(high));
}

static lrk_json *json_choices(const char *domain)
{
    lrk_json *list = lrk_json_array();
    char name[32];
    for (int i = 0; i < lrk_domain_choices(domain); i++)
        lrk_json_add(list, lrk_json_c_string(lrk_domain_name(domain, i, name)));
    return list;
}

static lrk_json *json_key(const lrk_key *k)
{
    lrk_json *o = lrk_json_object();
    lrk_json_set(o, "description", lrk_json_c_string(k->doc));
    switch (k->kind) {
    case LRK_KEY_SIZE:
    case LRK_KEY_REAL:
        lrk_json_set(o, "type", lrk_json_c_string(k->kind == LRK_KEY_SIZE ? "integer" : "number"));
        lrk_json_set(o, "default", lrk_json_new_real(strtod(k->fallback, NULL)));
        json_interval(o, k->domain);
        break;
    case LRK_KEY_BOOL:
        lrk_json_set_text(o, "type", "boolean");
        lrk_json_set(o, "default", lrk_json_new_bool(strcmp(k->fallback, "true") == 0));
        break;
    case LRK_KEY_ENUM:
        lrk_json_set(o, "enum", json_choices(k->domain));
        lrk_json_set(o, "default", lrk_json_c_string(k->fallback));
        break;
    case LRK_KEY_STRINGS: {
        lrk_json *items = lrk_json_object();
        lrk_json_set_text(items, "type", "string");
        if (*k->domain) lrk_json_set(items, "enum", json_choices(k->domain));
        lrk_json *types = lrk_json_array();
        lrk_json_add(types, lrk_json_c_string("array"));
        lrk_json_add(types, lrk_json_c_string("string"));
        lrk_json_set(o, "type", types);
        lrk_json_set(o, "items", items);
        break;
    }
    case LRK_KEY_SIZES:
    case LRK_KEY_PATTERNS: {
        const bool list = k->kind == LRK_KEY_SIZES;
        lrk_json *items = lrk_json_object();
        lrk_json_set(items, "type", lrk_json_c_string(list ? "integer" : "number"));
        json_interval(items, k->domain);
        lrk_json_set(o, "type", lrk_json_c_string(list ? "array" : "object"));
        lrk_json_set(o, list ? "items" : "additionalProperties", items);
        break;
    }
    case LRK_KEY_TEXTS: {
        lrk_json *texts = lrk_json_object();
        lrk_json_set_text(texts, "type", "string");
        lrk_json_set_text(o, "type", "object");
        lrk_json_set(o, "additionalProperties", texts);
        break;
    }
    case LRK_KEY_TOKENS: {
        lrk_json *ids = lrk_json_object(), *item = lrk_json_object(), *types = lrk_json_array();
        lrk_json_set_text(item, "type", "integer");
        json_interval(item, k->domain);
        lrk_json_set_text(ids, "type", "array");
        lrk_json_set(ids, "items", lrk_json_ref(item));
        lrk_json_add(types, lrk_json_c_string("array"));
        lrk_json_add(types, lrk_json_c_string("object"));
        lrk_json_set(o, "type", types);
        lrk_json_set(o, "items", item);
        lrk_json_set(o, "additionalProperties", ids);
        break;
    }
    default:
        lrk_json_set_text(o, "type", "string");
        if (*k->fallback) lrk_json_set(o, "default", lrk_json_c_string(k->fallback));
    }
    return o;
}

static lrk_json *json_map(lrk_json *properties)
{
    lrk_json *o = lrk_json_object();
    lrk_json_set_text(o, "type", "object");
    lrk_json_set(o, "additionalProperties", lrk_json_new_bool(false));
    lrk_json_set(o, "properties", properties);
    return o;
}

static lrk_json *json_datasets(const lrk_key *k)
{
    lrk_json *o = lrk_json_object(), *properties = lrk_json_object();
    for (const lrk_key *d = lrk_dataset_keys; d->name; d++)
        lrk_json_set(properties, d->name, json_key(d));
    lrk_json_set(o, "description", lrk_json_c_string(k->doc));
    lrk_json_set_text(o, "type", "array");
    lrk_json_set(o, "items", json_map(properties));
    return o;
}

lrk_status lrk_schema_json(lrk_buf *b, lrk_err *err)
{
    lrk_json *properties = lrk_json_object();
    for (const lrk_key *k = lrk_recipe_keys; k->name; k++) {
        if (k->kind == LRK_KEY_SECTION) continue;
        const char *dot = strchr(k->name, '.');
        if (!dot) {
            lrk_json_set(properties, k->name,
                         k->kind == LRK_KEY_DATASETS ? json_datasets(k) : json_key(k));
            continue;
        }
        char group[64];
        const char *rest = k->name;
        lrk_next_word(&rest, '.', group);
        if (!lrk_json_get(properties, group))
            lrk_json_set(properties, group, json_map(lrk_json_object()));
        lrk_json_set(lrk_json_get(lrk_json_get(properties, group), "properties"), dot + 1,
                     json_key(k));
    }
    lrk_json *root = json_map(properties), *required = lrk_json_array();
    lrk_json_add(required, lrk_json_c_string("base_model"));
    lrk_json_add(required, lrk_json_c_string("datasets"));
    lrk_json_set_text(root, "$schema", "https://json-schema.org/draft/2020-12/schema");
    lrk_json_set_text(root, "title", "Lorikeet recipe");
    lrk_json_set(root, "required", required);
    const lrk_status s = lrk_json_dump(root, 2, b, err);
    lrk_buf_puts(b, "\n");
    lrk_json_free(root);
    return s;
}

/* ---- one key ---- */

static const char in_entry[] = "in an entry of datasets: ";

static void explain(const lrk_key *k, bool entry, lrk_json *list)
{
    lrk_json *o = lrk_json_object(), *aliases = lrk_json_array();
    lrk_buf values = {0};
    char word[64];
    put_domain(&values, k);
    for (const char *rest = k->aliases; lrk_next_word(&rest, ' ', word);)
        lrk_json_add(aliases, lrk_json_c_string(word));
    lrk_json_set_text(o, "key", k->name);
    lrk_json_set(o, "of_an_entry", lrk_json_new_bool(entry));
    lrk_json_set_text(o, "meaning", k->doc);
    lrk_json_set_text(o, "values", values.data);
    lrk_json_set_text(o, "default", shown_default(k));
    lrk_json_set(o, "aliases", aliases);
    lrk_buf_free(&values);
    lrk_json_add(list, o);
}

static void explain_foreign(const lrk_foreign_key *table, const char *key, bool entry, lrk_json *list)
{
    const lrk_foreign_key *f = lrk_foreign_find(table, key);
    if (!f) return;
    lrk_json *o = lrk_json_object();
    lrk_json_set_text(o, "key", key);
    lrk_json_set(o, "of_an_entry", lrk_json_new_bool(entry));
    lrk_json_set_text(o, "of_another_tool", f->why);
    lrk_json_set_text(o, "changes_nothing_at", strcmp(f->given, "*") == 0 ? "any" : *f->given ? f->given : "none");
    lrk_json_add(list, o);
}

static void explain_translated(const char *key, lrk_json *list)
{
    for (const lrk_foreign_key *f = lrk_translated_keys; f->name; f++) {
        if (strcmp(f->name, key) != 0 || !*f->value) continue;
        lrk_json *o = lrk_json_object();
        lrk_json_set_text(o, "key", key);
        lrk_json_set_text(o, "value", f->given);
        lrk_json_set_text(o, "key_here", f->ours);
        lrk_json_set_text(o, "value_here", f->value);
        lrk_json_add(list, o);
    }
}

lrk_status lrk_schema_explain(const char *key, lrk_json *list, lrk_err *err)
{
    const size_t start = lrk_json_size(list), n = strlen(key);
    const lrk_key *k = lrk_key_find(lrk_recipe_keys, key);
    if (k) explain(k, false, list);
    for (const lrk_key *g = lrk_recipe_keys; g->name; g++)
        if (g->kind != LRK_KEY_SECTION && strncmp(g->name, key, n) == 0 && g->name[n] == '.')
            explain(g, false, list);
    const char *dot = strchr(key, '.');
    const bool row = dot && (strncmp(key, "datasets.", 9) == 0 || strncmp(key, "test_datasets.", 14) == 0);
    const lrk_key *d = lrk_key_find(lrk_dataset_keys, row ? dot + 1 : key);
    if (d) explain(d, true, list);
    explain_translated(key, list);
    explain_foreign(lrk_foreign_keys, key, false, list);
    explain_foreign(lrk_foreign_rows, key, true, list);
    if (lrk_json_size(list) > start) return LRK_OK;

    lrk_nearest near = {.word = key};
    for (const lrk_key *o = lrk_recipe_keys; o->name; o++)
        if (o->kind != LRK_KEY_SECTION) lrk_nearest_offer(&near, o->name);
    if (near.best)
        return lrk_fail(err, LRK_EUSAGE, "%s: unknown key, did you mean %s?", key, near.best);
    return lrk_fail(err, LRK_EUSAGE, "%s: unknown key; `lorikeet recipe schema` lists all", key);
}

static const char *text(const lrk_json *o, const char *name)
{
    const char *s = lrk_json_string(lrk_json_get(o, name), NULL);
    return s ? s : "";
}

static void put_explained(const lrk_json *o, lrk_buf *b)
{
    const lrk_json *aliases = lrk_json_get(o, "aliases");
    if (lrk_json_get(o, "value")) {
        lrk_buf_printf(b, "%s: %s\n    is %s: %s here\n", text(o, "key"), text(o, "value"), text(o, "key_here"),
                       text(o, "value_here"));
        return;
    }
    lrk_buf_printf(b, "%s%s\n", lrk_json_bool(lrk_json_get(o, "of_an_entry")) ? in_entry : "", text(o, "key"));
    if (!aliases) {
        lrk_buf_printf(b, "    a key of another tool: %s\n    values at which it changes nothing: %s\n",
                       text(o, "of_another_tool"), text(o, "changes_nothing_at"));
        return;
    }
    lrk_buf_printf(b, "    %s\n    values: %s\n    default: %s\n", text(o, "meaning"), text(o, "values"),
                   text(o, "default"));
    for (size_t i = 0; i < lrk_json_size(aliases); i++)
        lrk_buf_printf(b, "%s%s", i ? " " : "    also called: ", lrk_json_string(lrk_json_at(aliases, i), NULL));
    if (lrk_json_size(aliases)) lrk_buf_puts(b, "\n");
}

void lrk_schema_explained(const lrk_json *list, lrk_buf *b)
{
    for (size_t i = 0; i < lrk_json_size(list); i++) put_explained(lrk_json_at(list, i), b);
}
